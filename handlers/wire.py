"""What a provider is: values that it is given, effects that it yields, replies that it is sent.

A *provider* answers calls. It is a generator without I/O: it phrases a call as effects, the daemon
performs them, and it reads the replies. It holds no key, opens no socket and never sleeps, so its
tests are tables of reply and outcome. An *adapter* makes providers out of configured entries.

Nothing here imports the daemon, and nothing here has a side effect.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, runtime_checkable

from handlers.contract import Call, HandlerError, Json, Kind, Outcome

# ---------------------------------------------------------------- calls that take long


@dataclass(frozen=True, slots=True)
class Ticket:
    """A call that a provider took and works on: all that is needed to ask for it again. It is in
    the log before anything else is done, so nothing of it may be secret."""

    id: str
    """The provider's own name for it."""
    status_url: str | None = None
    """Where to ask how far it is: an address, or a path of the provider's own."""
    state: Mapping[str, Json] = field(default_factory=dict)
    """What else the provider's `resume` needs to know."""
    model: str | None = None
    wait: float | None = None
    """Seconds after which the provider wants to be asked, where it said so."""


@dataclass(frozen=True, slots=True)
class Pending:
    """It is not done yet."""

    message: str
    """The provider's own word for where it stands."""
    fraction: float | None = None
    """How much of it is done, from 0 to 1, where that is known."""
    wait: float | None = None
    """Seconds after which the provider wants to be asked again, where it said so."""


@dataclass(frozen=True, slots=True)
class Probe:
    """What a provider says of itself to somebody who has nothing made."""

    models: Mapping[str, str | None] | None
    """The models that it lists, each with the day of its shutdown, as "2026-12-01", where the list
    says one; None: it has no list."""
    are_all: bool = True
    """Whether what a call names as its model is to be found in the list, if it exists."""
    checked_key: bool = False
    """Whether only a good key gets such an answer; else nobody knows whether it was looked at."""


# ---------------------------------------------------------------- effects


@dataclass(frozen=True, slots=True)
class Compute:
    """An effect: run this function in a worker thread, and send back what it returned."""

    function: Callable[[], Json]


@dataclass(frozen=True, slots=True)
class FilePart:
    """One file of a multipart form."""

    name: str
    """Of the form's field, as it is sent: "image[]"."""
    filename: str
    media_type: str
    data: bytes


@dataclass(frozen=True, slots=True)
class HttpCall:
    """An effect: send this, and send back the `HttpReply`, whatever its status.

    The daemon adds the key, and only where the address is of the provider's own origin. Where no
    reply came a `HandlerError` is thrown into the provider instead, which best lets it pass: what
    it means for a call that can cost money is judged in one place, by the daemon.
    """

    method: Literal["GET", "POST", "PUT", "DELETE"]
    url: str
    """A path below the provider's base URL ("/images/generations"), or a whole address."""
    json: Json = None
    form: Sequence[tuple[str, str]] = ()
    files: Sequence[FilePart] = ()
    """With one of these the body is multipart, even where only `form` is given."""
    headers: Mapping[str, str] = field(default_factory=dict)
    creates: Kind | None = None
    """What it makes, if it makes something that may cost money; such a call is never simply
    repeated. None for a call that is free, as a poll."""


@dataclass(frozen=True, slots=True)
class HttpReply:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    """By their names in lower case."""
    body: bytes


Effect = Compute | HttpCall
"""What a provider may yield."""


# ---------------------------------------------------------------- providers


@dataclass(frozen=True, slots=True)
class Entry:
    """A provider as it is configured, without its key, which the daemon keeps to itself."""

    name: str
    base_url: str
    """Without a slash at the end."""
    api: str
    """Which way of speaking, by a name that some adapter claims."""
    dialect: str | None = None
    """Which server it is, where that was said and the address does not tell."""
    paid: bool = True
    idempotency_header: str | None = None
    """The header in which it takes an idempotency key, if it does."""
    options: Mapping[str, Json] = field(default_factory=dict)
    """Whatever else its adapter reads."""


class Provider(Protocol):
    """Somebody who answers calls."""

    name: str
    paid: bool
    """Whether a call may cost money: then none is sent twice unless the first is known to have
    failed. A free one is simply repeated."""
    idempotent: bool
    """Whether `Call.idempotency_key` goes along, and the provider does a call that comes twice
    once: then a call whose answer was lost is sent again."""
    operations: Collection[str]
    """What it can do, by the names of `Call.operation`."""

    def submit(self, call: Call) -> Generator[Effect, Json, Outcome | Ticket]:
        """Phrase a call as effects, read the replies, return the outcome; or the ticket, where the
        provider took the call and the outcome is to be asked for.

        Raises:
            HandlerError: the call was refused, or the answer was no good.
        """
        ...

    def resume(self, ticket: Ticket) -> Generator[Effect, Json, Outcome | Pending]:
        """Ask once for the outcome of a call that was taken, maybe before a restart.

        Raises:
            HandlerError: it failed, or nobody knows of it any more.
        """
        ...


@runtime_checkable
class Probed(Protocol):
    """A provider that can be asked without having anything made, and without paying."""

    def probe(self) -> Generator[Effect, Json, Probe]:
        """Ask it what it has, by GET alone.

        Raises:
            HandlerError: it refused, or what answers is not what was configured.
        """
        ...


@runtime_checkable
class Cancels(Protocol):
    """A provider that can be told to leave what it took."""

    def cancel(self, ticket: Ticket) -> Generator[Effect, Json, bool]:
        """Tell it once that nobody waits for a call any more.

        Returns:
            Whether it agreed to leave it; False where it has no call for that.

        Raises:
            HandlerError: it did not agree.
        """
        ...


class AnswersAtOnce:
    """What a provider is besides, that never gives a ticket and takes no idempotency key."""

    idempotent = False

    def resume(self, ticket: Ticket) -> Generator[Effect, Json, Outcome | Pending]:
        raise HandlerError("internal", f"this provider never gave the ticket {ticket.id!r}")


class Adapter(Protocol):
    """A way of speaking that many servers share: it makes a provider of each configured entry."""

    apis: Collection[str]
    """The names that it goes by in configurations."""
    key_header: str
    """Where the key goes, in lower case, if the configuration does not say: "authorization"."""
    key_prefix: str
    """What stands before it there: "Bearer "."""

    def provider(self, entry: Entry) -> Provider:
        """The provider of an entry.

        Raises:
            HandlerError: `config_invalid`: it cannot be meant so.
        """
        ...
