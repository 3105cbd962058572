"""The strict door: dropped bytes -> a `Request`, or every fault at once. Pure.

The envelope is what every task shares; a task's own fields are its handler's `Request`.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import posixpath
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import NamedTuple

from pydantic import BaseModel, ValidationError

from daemon.envelope import MAX_LABELS, Envelope
from daemon.errors import BadRequest, Fault
from daemon.jobs import BATCH
from daemon.longstrings import LONG
from daemon.strictjson import MAX_FAULTS, WHITE, fault_at, parse_json
from handlers.contract import Handler, Json, TaskRequest

TASK_ALIASES = MappingProxyType({"generate_consistent_media": "reference_media"})
_REFERENCES = frozenset({"reference_image", "reference_images", "consistent"})


class Request(NamedTuple):
    """A request that came through the door."""

    task: str
    envelope: Envelope
    fields: TaskRequest
    """The task's own fields, as its handler's model."""
    raw: Mapping[str, Json]
    """The whole object, as it was dropped."""
    folder: str | None = None
    """Where to save, relative to the output root; None for the folder of each kind."""
    summary: str | None = None
    """Of a batch: where its result is wanted as well, relative to the output root."""


# ---------------------------------------------------------------- the door


@dataclass(frozen=True, slots=True)
class Door:
    """Everything the door judges by.

    Args:
        handlers: the tasks this installation can do.
        root: what paths in requests are relative to.
        output: the output root, which `out_dir` must lie inside.
        fill: fills the names in that `vars` gives; raises ValueError where too much comes of it.
    """

    handlers: Mapping[str, Handler]
    root: PurePosixPath
    output: PurePosixPath
    fill: Callable[[Mapping[str, Json]], Mapping[str, Json]] = dict

    def parse(self, data: bytes) -> Request:
        """Judge the bytes of a dropped file.

        Raises:
            BadRequest: they are no request; it holds every fault. It raises nothing else.
        """
        return self.validate(parse_json(data))

    def validate(self, value: Json) -> Request:
        """Judge a parsed value, as `parse` does.

        Raises:
            BadRequest: it is no request.
        """
        if isinstance(value, list):  # what was dropped so goes on after a failure
            value = {"task": BATCH, "items": value, "continue_on_error": True}
        if not isinstance(value, dict):
            raise BadRequest("invalid_request", f"a request is an object, not {_kind(value)}")
        task = self._task(value)
        handler = self.handlers[task]
        filled = value if task == BATCH else self._filled(value)
        return _Validation(filled, task, handler, self).request(value)

    def _filled(self, value: Mapping[str, Json]) -> Mapping[str, Json]:
        """A request with its names filled in, where it gives any; it is recorded as it was."""
        if not (value.get("vars") or value.get("vars_json")):
            return value
        try:
            return self.fill(value)
        except ValueError as error:
            raise BadRequest("limit_exceeded", str(error), [Fault("/vars", str(error))]) from None

    def _task(self, value: Mapping[str, Json]) -> str:
        given = value.get("task")
        if given is None and "task" not in value:
            given = infer_task(value)
        if not isinstance(given, str):
            fault = Fault("/task", f"must be a text, not {_kind(given)}")
            raise BadRequest("unknown_task", "the task is no text", [fault])
        task = TASK_ALIASES.get(given, given)
        if task in self.handlers:
            return task
        message = f"there is no task {_quoted(given)}{_suggestion(given, self.handlers)}"
        hint = f"The tasks here are: {', '.join(sorted(self.handlers))}."
        raise BadRequest("unknown_task", message, [Fault("/task", message)], [hint])

    def echo(self, value: Json) -> tuple[str | None, Mapping[str, Json]]:
        """What a refusal can say back of a request that is wrong elsewhere: its task and labels."""
        if not isinstance(value, dict):
            return None, {}
        task, labels = value.get("task"), value.get("labels")
        if not isinstance(labels, dict) or len(str(labels)) > MAX_LABELS:
            labels = {}
        return task if isinstance(task, str) and task in self.handlers else None, labels


def infer_task(value: Mapping[str, Json]) -> str:
    """The task of a request that names none, the way the old manifests routed."""
    if any(value.get(name) for name in _REFERENCES):
        return "reference_media"
    return "generate_video" if value.get("mode") == "video" else "generate_image"


def compacted(value: Mapping[str, Json]) -> Mapping[str, Json]:
    """The request of a batch with a long list of items as JSON text, which goes to a blob."""
    long = {
        name: text
        for name in ("items", "manifest")
        if not isinstance(value.get(name), str | None)
        and len(text := json.dumps(value[name], ensure_ascii=False, separators=(",", ":"))) >= LONG
    }
    return {**value, **long} if long else value


def digest_of(data: bytes) -> str:
    """The SHA-256 of some bytes, in hex."""
    return hashlib.sha256(data).hexdigest()


def digests_of(data: bytes) -> tuple[str, str]:
    """The digest of a request's bytes, and the one that tells it from another: there white space
    around it does not count, as a writer may add its last newline after we looked."""
    digest, content = digest_of(data), data.strip(WHITE)
    return digest, digest if len(content) == len(data) else digest_of(content)


def body_digest(raw: Mapping[str, Json]) -> str:
    """The digest of a request's meaning: its JSON value, however it is spelled (for `id`)."""
    text = json.dumps(raw, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return digest_of(text.encode("utf-8", "surrogatepass"))


@dataclass(frozen=True, slots=True)
class _Names:
    """How the fields of a task may be spelled."""

    shared: Mapping[str, str]
    """Spelling -> field of the envelope."""
    own: Mapping[str, str]
    """Spelling -> field of the task."""


@cache
def _names_of(model: type[TaskRequest]) -> _Names:
    shared = {name: name for name in Envelope.model_fields} | dict(Envelope.ALIASES)
    own = {name: name for name in model.model_fields} | dict(model.ALIASES)
    shared = {spelled: name for spelled, name in shared.items() if spelled not in own}
    return _Names(shared, own)


@dataclass(slots=True)
class _Validation:
    """One object being judged against the envelope and its task's fields."""

    value: Mapping[str, Json]
    task: str
    handler: Handler
    door: Door
    faults: list[Fault] = field(default_factory=list)
    typed: dict[str, str] = field(default_factory=dict)
    """Field -> how the caller spelled it."""

    def request(self, dropped: Mapping[str, Json]) -> Request:
        """The request; `dropped` is what it was before its names were filled in."""
        shared, own = self._sorted()
        envelope = self._model(Envelope, shared)
        fields = self._model(self.handler.request, own)
        if isinstance(envelope, Envelope) and isinstance(fields, TaskRequest):
            self._judge_together(envelope, fields)
        out_dir = shared.get("out_dir")  # judged whatever else of the envelope is wrong
        folder = self._within("out_dir", out_dir)
        summary = self._within("summary_out", own.get("summary_out"))
        if summary is not None and not summary.endswith(".json"):  # it replaces what lies there
            self._fault("summary_out", "must end in .json")
        if self.faults or not (isinstance(envelope, Envelope) and isinstance(fields, TaskRequest)):
            raise _refusal(self.faults[:MAX_FAULTS])
        raw = compacted(dropped) if self.task == BATCH else dropped
        return Request(self.task, envelope, fields, raw, folder, summary)

    def _sorted(self) -> tuple[dict[str, Json], dict[str, Json]]:
        """The object under its fields' own names, the envelope's and the task's apart; what is not
        for a model is judged here."""
        names = _names_of(self.handler.request)
        shared: dict[str, Json] = {}
        own: dict[str, Json] = {}
        unknown = 0
        for spelled, given in self.value.items():
            if spelled in ("task", "$schema"):
                continue
            if spelled in names.own:
                self._put(own, names.own[spelled], spelled, given)
            elif spelled in names.shared:
                self._put(shared, names.shared[spelled], spelled, given)
            elif (unknown := unknown + 1) <= MAX_FAULTS:  # there may be millions
                self._put(own, spelled, spelled, given)
        return shared, own

    def _put(self, named: dict[str, Json], name: str, spelled: str, given: Json) -> None:
        if name in named:
            self._fault(spelled, f"given twice, also as {_quoted(self.typed[name])}")
            return
        number = isinstance(given, int | float) and not isinstance(given, bool)
        named[name] = given / 1000 if spelled == "timeoutMs" and number else given
        self.typed[name] = spelled

    def _model(self, model: type[BaseModel], values: dict[str, Json]) -> BaseModel | None:
        try:
            made = model.model_validate(values)
        except ValidationError as error:
            for one in error.errors(include_url=False, include_context=False):
                self._translate(model, one["loc"], one["type"], one["msg"])
            return None
        for name, message in made.faults() if isinstance(made, TaskRequest) else ():
            self._fault(self.typed.get(name, name), message)
        return made

    def _judge_together(self, envelope: Envelope, fields: TaskRequest) -> None:
        why = fields.needs_download
        if not envelope.download and why is not None:
            self._fault("download", f"cannot be false: {why}")

    def _translate(
        self, model: type[BaseModel], place: tuple[int | str, ...], kind: str, message: str
    ) -> None:
        """A fault in pydantic's words, in ours."""
        name = str(place[0]) if place else ""
        message = message.removeprefix("Value error, ").replace("Input should be", "must be")
        if kind == "extra_forbidden" and len(place) == 1:
            near = _suggestion(name, self._known_names())
            message = "unknown field" + (near or "; what only your provider knows goes in extra")
        elif kind == "missing":
            message = "is missing"
        elif kind == "string_pattern_mismatch":
            message = f"is not like this: {model.model_fields[name].description}"
        spelled = self.typed.get(name, name)
        within = place[1:] if kind == "missing" else _there(self.value.get(spelled), place[1:])
        pointer = [spelled, *(str(part) for part in within)]
        self.faults.append(fault_at(pointer, message))

    def _known_names(self) -> list[str]:
        names = _names_of(self.handler.request)
        return [*names.shared, *names.own]

    def _within(self, field: str, path: Json) -> str | None:
        """A path relative to the output root; lexically, as links are judged when it is used."""
        if not isinstance(path, str) or not path:
            return None
        root, output = str(self.door.root), str(self.door.output)
        wanted = posixpath.normpath(posixpath.join(root, path))
        if "\0" in path or (wanted != output and not wanted.startswith(output + "/")):
            shown = posixpath.relpath(output, root) if output.startswith(root) else output
            self._fault(field, f"must lie inside {shown}/")
            return None
        if any(len(part.encode()) > 255 for part in wanted.split("/")):
            self._fault(field, "a name in it is longer than 255 bytes")
            return None
        return wanted[len(output) + 1 :]

    def _fault(self, spelled: str, message: str) -> None:
        self.faults.append(fault_at([spelled], message))


def _there(value: Json, place: tuple[int | str, ...]) -> list[int | str]:
    """As much of a place as is in the value; behind it pydantic names branches of a type."""
    found: list[int | str] = []
    for part in place:
        if isinstance(value, str):  # of which a number would pick a sign
            break
        try:
            value = value[part]
        except (LookupError, TypeError):
            break
        found.append(part)
    return found


def _refusal(faults: list[Fault]) -> BadRequest:
    shown = "; ".join(f"{fault.pointer} {fault.message}" for fault in faults[:3])
    more = f"; and {len(faults) - 3} more" if len(faults) > 3 else ""
    hint = "`darkroom schema` prints every field of every task."
    return BadRequest("invalid_request", shown + more, faults, [hint])


def _suggestion(name: str, known: Collection[str]) -> str:
    close = difflib.get_close_matches(name[:80], known, 1)
    return f"; did you mean {_quoted(close[0])}?" if close else ""


def _quoted(text: str) -> str:
    short = text if len(text) <= 80 else text[:79] + "…"
    return json.dumps(short, ensure_ascii=not short.isprintable())


def _kind(value: Json) -> str:
    names = {dict: "an object", list: "a list", str: "a text", bool: "a boolean"}
    return names.get(type(value), "null" if value is None else "a number")
