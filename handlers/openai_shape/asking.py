"""A call, phrased: the HTTP call to send, and all that reading its answer needs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from handlers.answers.blame import NOTHING, Sent
from handlers.contract import Call, HandlerError, Json, Kind
from handlers.openai_shape.dialects import Dialect
from handlers.wire import Entry, FilePart, HttpCall


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked for; what an answer is read against."""

    entry: Entry
    dialect: Dialect
    kind: Kind
    model: str | None = None
    prompt: str | None = None
    """Where it is known: a ticket does not hold it."""
    wanted: int = 1
    """How many media."""
    warnings: tuple[str, ...] = ()
    """What the caller should be told beside the answer."""
    left_out: tuple[str, ...] = ()
    """What did not go along, because the server does not take it."""
    sent: Sent = NOTHING
    """What the call had in it, by name; a ticket does not hold it."""
    status_path: str | None = None
    """Where a job is asked for, if its answer does not say; `{id}` stands for its name."""


@dataclass(frozen=True, slots=True)
class Body:
    """The body of a call, before the caller's `extra`."""

    fields: Mapping[str, Json]
    files: Sequence[FilePart] = ()
    as_form: bool = False
    pictured: tuple[str, ...] = ()
    """The fields that hold pictures, by their names."""
    warnings: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()

    def sent(self, extra: Iterable[str]) -> Sent:
        """What goes out, by name."""
        return Sent(frozenset({*self.fields, *self.pictured, *extra}), self.pictured)


def model_of(call: Call) -> str | None:
    """The model that a call asks for; the caller's `extra` has the last word."""
    model = call.extra.get("model", call.model)
    return model if isinstance(model, str) else call.model


def posted(entry: Entry, call: Call, url: str, body: Body, kind: Kind) -> HttpCall:
    """The call that creates: the body with the caller's `extra` merged over it, last wins."""
    fields = {**body.fields, **call.extra}
    headers = {}
    if entry.idempotency_header and call.idempotency_key:
        headers[entry.idempotency_header] = call.idempotency_key
    if not body.as_form:
        return HttpCall("POST", url, json=fields, headers=headers, creates=kind)
    form = tuple((name, form_text(value)) for name, value in fields.items())
    return HttpCall("POST", url, form=form, files=tuple(body.files), headers=headers, creates=kind)


def form_text(value: Json) -> str:
    """A value as a form has it: text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value)


def refuse(dialect: Dialect, what: str, *hints: str) -> HandlerError:
    """The refusal of what a server cannot do, before anything is sent."""
    return HandlerError(
        "not_supported",
        f"{dialect.title} takes no {what}",
        hints=hints or ("Name another provider; docs/providers.md says which can.",),
    )
