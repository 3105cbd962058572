"""What the log already answers of a job's steps. Pure.

A handler that is run again asks for the same steps by the same names. `Journal.recorded` says what
each comes to: the recorded outcome, a call that the provider took and that is gone on with, a
recorded or a new failure, or nothing, and then the call may be sent.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from daemon.decisions import Run
from daemon.errors import RESUMES, Problem, error_of, problem_of
from daemon.events import (
    ArtifactSaved,
    InputRead,
    JobRetrying,
    ProviderAccepted,
    ProviderAnswered,
    ProviderRequested,
    Recorded,
)
from daemon.jobs import Job
from daemon.lines import compact
from daemon.sending import is_known_failure, lost_answer
from handlers.contract import Artifact, Call, HandlerError, Json, Medium, Outcome
from handlers.wire import Ticket

MAY_BE_BILLED = "a paid call was under way; the provider may still bill it"


class Taken(NamedTuple):
    """A call that a provider took: what is left is to ask for its outcome, or to fetch it."""

    provider: str
    since: str
    """When it was taken (RFC 3339)."""
    ticket: Ticket | None
    outcome: Outcome
    """As far as it is known: with a ticket, its model and warnings."""


class Tried(NamedTuple):
    """A provider that failed before another one was asked."""

    sequence: int
    provider: str
    after: str | None
    """Who was asked next."""
    problem: Problem


@dataclass(slots=True)
class _Ask:
    sequence: int
    requested: ProviderRequested
    accepted: ProviderAccepted | None = None
    since: str = ""
    answered: ProviderAnswered | None = None
    ended: int = 0
    """The sequence of the answer."""

    @property
    def error(self) -> Mapping[str, Json] | None:
        return self.answered.error if self.answered is not None else None

    @property
    def is_done(self) -> bool:
        return self.answered is not None and self.error is None

    @property
    def is_under_way(self) -> bool:
        """Whether the provider took it, and nothing says that it is over."""
        if self.accepted is None or self.is_done:
            return False
        return self.error is None or self.error["code"] in RESUMES

    @property
    def is_ambiguous(self) -> bool:
        """Whether it may have been paid for without anybody knowing."""
        if not self.requested.paid or self.requested.idempotency_key is not None:
            return False
        return self.answered is None or (
            self.error is not None and self.error["code"] == "ambiguous_submit"
        )

    @property
    def is_lost(self) -> bool:
        """Whether it may have been done without anybody knowing."""
        if self.error is None:
            return self.answered is None
        status = (self.error["http"] or {}).get("status")
        kind: Literal["image", "video"] = (
            "video" if "video" in self.requested.operation else "image"
        )
        return not (isinstance(status, int) and is_known_failure(status, kind))

    def outcome(self) -> Outcome | Taken | None:
        """What it came to, as far as it is known."""
        if self.answered is not None and self.error is None:
            return outcome_of(self.answered)
        accepted = self.accepted
        if accepted is None:
            return None
        return taken_by(self.requested.provider, self.since, accepted)


@dataclass(slots=True)
class Journal:
    """The recorded steps of one job, the newest of each name."""

    asks: dict[str, _Ask] = field(default_factory=dict)
    inputs: dict[str, tuple[int, InputRead]] = field(default_factory=dict)
    """What was read, with the sequence of the event."""
    saved: dict[str, Artifact] = field(default_factory=dict)
    tries: list[Tried] = field(default_factory=list)

    @classmethod
    def of(cls, events: Iterable[Recorded]) -> Journal:
        """Read a journal out of a job's events."""
        journal = cls()
        for recorded in events:
            match recorded.event:
                case InputRead() as event:
                    journal.inputs[event.step] = recorded.sequence, event
                case ProviderRequested() as event:
                    journal.asks[event.step] = _Ask(recorded.sequence, event)
                case ProviderAccepted() as event if event.step in journal.asks:
                    ask = journal.asks[event.step]
                    ask.accepted, ask.since = event, recorded.time
                case ProviderAnswered() as event if event.step in journal.asks:
                    ask = journal.asks[event.step]
                    ask.answered, ask.ended = event, recorded.sequence
                case ArtifactSaved() as event:
                    journal.saved[event.step] = Artifact(**event.artifact)
                case JobRetrying() as event if event.provider is not None:
                    problem = problem_of(error_of(event.error))
                    tried = Tried(recorded.sequence, event.provider, event.next_provider, problem)
                    journal.tries.append(tried)
        return journal

    def recorded(
        self, step: str, digest: str, job: Job, on_ambiguous: Literal["fail", "retry"]
    ) -> Outcome | Taken | None:
        """What an ask comes to.

        Args:
            step: its name.
            digest: of what would be sent now.
            job: whose step it is; a record from before its last retry binds nobody, and a failure
                from before its last attempt neither.
            on_ambiguous: whether a paid call may be sent again when its answer was lost.

        Returns:
            The recorded outcome; the call to go on with; or None where it is to be sent.

        Raises:
            HandlerError: it failed and this attempt must not ask again; its answer was lost; or
                something else would be sent than was recorded.
        """
        ask = self.asks.get(step)
        if ask is None:
            return None
        released = ask.sequence < job.retried
        if ask.error is not None and not (released or ask.ended < job.released):
            raise error_of(ask.error)
        if ask.is_done or ask.is_under_way:
            if ask.requested.digest == digest:
                return ask.outcome()
            if not released:
                raise _changed(step)
            return None
        if ask.is_ambiguous and not (released or on_ambiguous == "retry"):
            raise error_of(ask.error) if ask.error else lost_answer(ask.requested.provider)
        return None

    def read(self, step: str, job: Job) -> InputRead | None:
        """What an input was when it was read first. After a retry by hand it is read again, for
        it may have been mended; unless the job goes on with a call that it went along with."""
        sequence, event = self.inputs.get(step, (0, None))
        goes_on = any(ask.is_done or ask.is_under_way for ask in self.asks.values())
        return event if goes_on or sequence > job.retried else None

    def operation_of(self, step: str) -> str | None:
        """By which operation a step was asked for, if somebody took or answered it."""
        ask = self.asks.get(step)
        bound = ask is not None and (ask.is_done or ask.is_under_way)
        return ask.requested.operation if ask is not None and bound else None

    def provider_of(self, step: str) -> str | None:
        """Who took or answered a step, if somebody did: the one to go on with."""
        ask = self.asks.get(step)
        bound = ask is not None and (ask.is_done or ask.is_under_way)
        return ask.requested.provider if ask is not None and bound else None

    def key_of(self, step: str, provider: str) -> str | None:
        """The idempotency key to send again, where the provider may have done the call."""
        ask = self.asks.get(step)
        if ask is None or ask.requested.provider != provider or not ask.is_lost:
            return None
        return ask.requested.idempotency_key

    def under_way(self) -> dict[str, Taken]:
        """By step, the calls that a provider took and works on."""
        found: dict[str, Taken] = {}
        for step, ask in self.asks.items():
            if ask.is_under_way and ask.accepted is not None and ask.accepted.ticket is not None:
                found[step] = taken_by(ask.requested.provider, ask.since, ask.accepted)
        return found

    def run(self, job: Job) -> Run:
        """What the runs so far came to, for the end of a job that nobody goes on with."""
        asks = [ask for ask in self.asks.values() if ask.requested.paid]
        paying = any(
            ask.answered is None and not ask.accepted and ask.sequence > job.retried for ask in asks
        )
        warnings = [MAY_BE_BILLED] if paying else []
        return Run(
            artifacts=[artifact.to_json() for artifact in self.saved.values()],
            warnings=[*warnings, *self.told(job)],
        )

    def told(self, job: Job) -> list[str]:
        """Which providers were tried before the one that answered, for the result's warnings."""
        tries = [tried for tried in self.tries if tried.sequence > job.retried]
        lines = (
            f"{tried.provider} was tried first: {tried.problem.code}: {tried.problem.message}"
            for tried in tries
        )
        return list(dict.fromkeys(lines))

    def round(self, job: Job, first: str) -> list[Problem]:
        """Why those failed that were asked since the list was begun with its first provider."""
        problems: list[Problem] = []
        for tried in self.tries:
            if tried.sequence > job.retried:
                problems = [] if tried.after == first else [*problems, tried.problem]
        return problems


def digest_of_call(call: Call) -> str:
    """What tells one call from another: the SHA-256 of all that the request and its inputs say.

    Who is asked, and with which model where the request names none, is the configuration's and may
    change while a job is under way.
    """
    whole = [
        call.operation,
        call.model,
        call.endpoint,
        dict(sorted(call.fields.items())),
        dict(sorted(call.extra.items())),
        {name: [_digest_of(one) for one in media] for name, media in sorted(call.inputs.items())},
    ]
    return hashlib.sha256(compact(whole).encode()).hexdigest()


def _digest_of(medium: Medium) -> str | None:
    data = medium.data
    if medium.recipe is not None:
        return medium.recipe
    return hashlib.sha256(data).hexdigest() if data is not None else medium.sha256 or medium.url


def taken_by(provider: str, since: str, accepted: ProviderAccepted) -> Taken:
    """The call that a provider took."""
    ticket = Ticket(**accepted.ticket) if accepted.ticket is not None else None
    outcome = Outcome(
        media=tuple(Medium(**medium) for medium in accepted.media),
        references=tuple(accepted.references),
        model=accepted.model,
        usage=accepted.usage,
        warnings=tuple(accepted.warnings),
        left_out=tuple(accepted.left_out),
        cost=accepted.cost,
    )
    return Taken(provider, since, ticket, outcome)


def outcome_of(answered: ProviderAnswered) -> Outcome:
    """The outcome that an answer was."""
    return Outcome(
        media=tuple(
            Medium(sha256=medium["sha256"], media_type=medium["media_type"])
            for medium in answered.media
        ),
        model=answered.model,
        usage=answered.usage,
        warnings=tuple(answered.warnings),
        references=tuple(answered.references),
        left_out=tuple(answered.left_out),
        cost=answered.cost,
    )


def _changed(step: str) -> HandlerError:
    return HandlerError(
        "internal",
        f"step {step!r} would now send something else than was recorded, so nothing was sent",
        hints=[
            "The handler or an input was changed while the job was under way.",
            "To send the new call, use retry.",
        ],
    )
