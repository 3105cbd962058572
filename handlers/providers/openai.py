"""Servers of the OpenAI shape: OpenAI itself, and the many that speak as it does.

Pictures by `/images/generations`, edits by `/images/edits`, clips by `/videos` where a server has
them, and pictures out of a chat. How one server differs from another is a row of
`handlers.openai_shape.table`; `docs/providers.md` tells it to users.

In a configuration's `options` may stand: `images = "chat"` (ask for pictures in a chat),
`status_path` (where jobs are asked for, with `{id}`), `allow_paths = true` (it reads files of this
machine), and for Azure `api_version` and `deployment`.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Mapping
from functools import partial

from handlers.contract import Call, HandlerError, Json, Outcome
from handlers.openai_shape.addresses import check_base_url, own_path
from handlers.openai_shape.asking import Asked, refuse
from handlers.openai_shape.cancelling import cancel_call, read_cancel
from handlers.openai_shape.images import image_call
from handlers.openai_shape.listing import ask
from handlers.openai_shape.polling import asked_by, read_poll, status_address
from handlers.openai_shape.reading import read
from handlers.openai_shape.table import dialect_of
from handlers.openai_shape.videos import video_call
from handlers.wire import Compute, Effect, Entry, HttpCall, Pending, Probe, Provider, Ticket

OPTIONS: Mapping[str, str] = {
    "images": '"chat": ask for pictures in a chat',
    "status_path": 'where jobs are asked for, as "/jobs/{id}"',
    "api_version": 'for Azure, as "2025-04-01-preview"',
    "deployment": "for Azure, the name of a deployment",
    "allow_paths": "true: it may be sent paths of pictures (`image_transport`), and reads them",
}
"""What an entry may say besides, and what it is for."""

_SMALL = 16 << 10
"""Bytes of an answer that is read at once."""


class OpenAIShaped:
    """One configured server of the OpenAI shape.

    Args:
        entry: how it is configured.
    """

    def __init__(self, entry: Entry) -> None:
        self._entry = entry
        self._dialect = dialect_of(entry)
        self.name = entry.name
        self.paid = entry.paid
        self.idempotent = entry.idempotency_header is not None
        self.operations: Collection[str] = self._dialect.operations
        self.key_header = self._dialect.key_header
        self.key_prefix = self._dialect.key_prefix

    def submit(self, call: Call) -> Generator[Effect, Json, Outcome | Ticket]:
        """Send the call, and read what comes back."""
        phrase = partial(self._phrase, call)
        sent: HttpCall
        asked: Asked
        # Pictures are converted and encoded, which takes its time; without any it takes none.
        sent, asked = (yield Compute(phrase)) if any(call.inputs.values()) else phrase()
        reply = yield sent
        answer: Outcome | Ticket = yield Compute(partial(read, reply, asked))
        return answer

    def resume(self, ticket: Ticket) -> Generator[Effect, Json, Outcome | Pending]:
        """Ask for a job once."""
        asked = asked_by(ticket, self._entry, self._dialect)
        reply = yield HttpCall("GET", status_address(ticket, asked))
        look = partial(read_poll, reply, ticket, asked)
        answer: Outcome | Pending
        # One that is not done says so in a few words: a thread would cost more than to read them.
        answer = (yield Compute(look)) if len(reply.body) > _SMALL else look()
        return answer

    def cancel(self, ticket: Ticket) -> Generator[Effect, Json, bool]:
        """Have a job left, where the answer that took it said how."""
        call = cancel_call(ticket)
        if call is None:
            return False
        reply = yield call
        return read_cancel(reply, self.name)

    def probe(self) -> Generator[Effect, Json, Probe]:
        """Ask for the list of models."""
        return ask(self._entry, self._dialect)

    def _phrase(self, call: Call) -> tuple[HttpCall, Asked]:
        videos = self._dialect.videos
        if call.operation != "generate_video":
            return image_call(self._entry, self._dialect, call)
        if videos is None:
            raise refuse(self._dialect, "request for clips")
        return video_call(self._entry, self._dialect, videos, call)


class OpenAI:
    """The adapter: makes a provider of each entry that speaks so."""

    apis = frozenset(
        {
            *("openai", "openai-completions", "openai-responses", "openai-chatgpt-responses"),
            "azure-openai-responses",
        }
    )
    key_header = "authorization"
    key_prefix = "Bearer "

    def provider(self, entry: Entry) -> Provider:
        """The provider of an entry.

        Raises:
            HandlerError: `config_invalid`: its address, its dialect or its options cannot be
                meant so.
        """
        check_base_url(entry)
        _check_options(entry)
        return OpenAIShaped(entry)


def adapter() -> OpenAI:
    """The adapter of this module."""
    return OpenAI()


def _check_options(entry: Entry) -> None:
    for name, value in entry.options.items():
        if name not in OPTIONS:
            raise _wrong_option(entry, name, f"Options are: {', '.join(OPTIONS)}")
        if name == "allow_paths":
            if not isinstance(value, bool):
                raise _wrong_option(entry, name, f"{name} is true or false; {OPTIONS[name]}")
        elif not isinstance(value, str) or (name == "images" and value not in ("", "chat")):
            raise _wrong_option(entry, name, f"{name} is text; {OPTIONS[name]}")
    path = entry.options.get("status_path")
    if path is not None and ("{id}" not in path or not path.startswith("/")):
        raise _wrong_option(entry, "status_path", f"status_path says {OPTIONS['status_path']}")
    if path is not None:
        own_path(path)


def _wrong_option(entry: Entry, name: str, hint: str) -> HandlerError:
    return HandlerError(
        "config_invalid",
        f"the option {name} of the provider {entry.name} cannot be meant so",
        hints=[f"{hint}."],
    )
