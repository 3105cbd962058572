"""What the package of handlers knows of batches, as the daemon asks for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import cast

from daemon.errors import BadRequest, Fault, Problem
from daemon.items import Wanted
from daemon.opening import Options
from daemon.strictjson import parse_json
from handlers.batches.expanding import Item, expand, item_of, shared_names
from handlers.batches.manifests import Entry, ManifestUnreadable, items_in, vars_in
from handlers.batches.matrix import TooManyItems
from handlers.batches.templating import render
from handlers.contract import Json, TaskRequest
from handlers.generate_batch_media import Request

_HINT = "docs/batches.md shows what a manifest looks like."


def _strict(data: bytes) -> Json:
    """JSON by the strict door's rules.

    Raises:
        ValueError: it is none.
    """
    try:
        return parse_json(data)
    except BadRequest as error:
        raise ValueError(error.problem.message) from None


class Manifests:
    """Makes items of the requests of batches.

    Args:
        most: items of the largest batch.
    """

    def __init__(self, most: int) -> None:
        self._most = most

    def files(self, request: TaskRequest) -> tuple[str | None, str | None]:
        fields = cast("Request", request)
        return fields.manifest_path, fields.vars_file

    def options(self, request: TaskRequest) -> Options:
        return cast("Request", request)

    def items(
        self,
        request: TaskRequest,
        names: Mapping[str, Json],
        manifest: tuple[bytes, str] | None,
        variables: bytes | None,
    ) -> Iterator[Wanted]:
        fields = cast("Request", request)
        try:
            if manifest is not None:
                entries = list(items_in(*manifest, _strict))
            else:
                entries = list(fields.inline(_strict))
            name = fields.vars_file or ""
            file = vars_in(variables, name, _strict) if variables is not None else {}
            shared = shared_names(names, file)
            return map(_wanted, expand(fields.matrix, entries, shared, most=self._most))
        except ManifestUnreadable as error:
            raise BadRequest("invalid_request", str(error), hints=[_HINT]) from None
        except TooManyItems as error:
            hint = (
                "Drop it as a queue (.jsonl), which may be as long as you like, or raise "
                "$DARKROOM_MAX_BATCH_ITEMS."
            )
            raise BadRequest("limit_exceeded", str(error), hints=[hint]) from None

    def line(self, value: Json, number: int) -> Wanted:
        return _wanted(item_of(number, Entry(value), {}, {}))


def filled(value: Mapping[str, Json]) -> Mapping[str, Json]:
    """A request by itself, with the names filled in that its `vars` give.

    Raises:
        ValueError: too much comes of it.
    """
    mode = value.get("mode") or ("video" if value.get("task") == "generate_video" else "image")
    given = value.get("vars") or value.get("vars_json")
    given = _strict(given.encode()) if isinstance(given, str) else given
    if not isinstance(given, dict):
        return value  # the door says what is wrong with it
    kept = {name: value[name] for name in ("vars", "vars_json") if name in value}
    fields = {name: one for name, one in value.items() if name not in kept}
    return {**render(fields, {"index": 1, "mode": mode, **given}), **kept}


def _wanted(item: Item) -> Wanted:
    fault = item.fault
    if fault is None:
        return Wanted(item.index, item.value)
    faults = (Fault(fault.pointer, fault.message),) if fault.pointer else ()
    return Wanted(item.index, item.value, Problem(fault.code, fault.message, faults=faults))
