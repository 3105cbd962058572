"""What the log already answers of a job's steps. Pure.

A handler that is run again asks for the same steps by the same names. `Journal.outcome` says what
each comes to: the recorded outcome, a recorded or a new failure, or nothing, and then the call
may be sent.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Literal

from daemon.decisions import Run
from daemon.errors import error_of
from daemon.events import ArtifactSaved, ProviderAnswered, ProviderRequested, Recorded
from daemon.jobs import Job
from daemon.lines import compact
from handlers.contract import Artifact, Call, HandlerError, Medium, Outcome

MAY_BE_BILLED = "a paid call was under way; the provider may still bill it"


@dataclass(slots=True)
class _Ask:
    sequence: int
    requested: ProviderRequested
    answered: ProviderAnswered | None = None


@dataclass(slots=True)
class Journal:
    """The recorded steps of one job, the newest of each name."""

    asks: dict[str, _Ask] = field(default_factory=dict)
    saved: dict[str, Artifact] = field(default_factory=dict)

    @classmethod
    def of(cls, events: Iterable[Recorded]) -> Journal:
        """Read a journal out of a job's events."""
        journal = cls()
        for recorded in events:
            match recorded.event:
                case ProviderRequested() as event:
                    journal.asks[event.step] = _Ask(recorded.sequence, event)
                case ProviderAnswered() as event if event.step in journal.asks:
                    journal.asks[event.step].answered = event
                case ArtifactSaved() as event:
                    journal.saved[event.step] = Artifact(**event.artifact)
        return journal

    def outcome(
        self, step: str, digest: str, job: Job, on_ambiguous: Literal["fail", "retry"]
    ) -> Outcome | None:
        """What an ask comes to.

        Args:
            step: its name.
            digest: of what would be sent now.
            job: whose step it is; a record from before its last retry binds nobody.
            on_ambiguous: whether a paid call may be sent again when its answer was lost.

        Returns:
            The recorded outcome, or None where the call is to be sent.

        Raises:
            HandlerError: it failed and this attempt must not ask again; its answer was lost; or
                something else would be sent than was recorded.
        """
        ask = self.asks.get(step)
        if ask is None:
            return None
        released = ask.sequence < job.retried
        if ask.answered is None:
            free = not ask.requested.paid or released or on_ambiguous == "retry"
            if free:
                return None
            raise lost_answer(ask.requested.provider)
        if ask.answered.error is not None:
            lost = ask.answered.error["code"] == "ambiguous_submit" and on_ambiguous == "fail"
            if released or (ask.answered.attempt < job.attempt and not lost):
                return None
            raise error_of(ask.answered.error)
        if ask.requested.digest != digest:
            if released:
                return None
            raise _changed(step)
        return outcome_of(ask.answered)

    def run(self, job: Job) -> Run:
        """What the runs so far came to, for the end of a job that nobody goes on with."""
        paying = any(
            ask.requested.paid and ask.answered is None and ask.sequence > job.retried
            for ask in self.asks.values()
        )
        return Run(
            artifacts=[asdict(artifact) for artifact in self.saved.values()],
            warnings=[MAY_BE_BILLED] if paying else [],
        )


def digest_of_call(provider: str, call: Call) -> str:
    """What tells one call from another: the SHA-256 of all that would be sent."""
    whole = [
        provider,
        call.operation,
        call.model,
        call.endpoint,
        dict(sorted(call.fields.items())),
        dict(sorted(call.extra.items())),
    ]
    return hashlib.sha256(compact(whole).encode()).hexdigest()


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
    )


def lost_answer(provider: str) -> HandlerError:
    """The failure of a paid call of which nobody knows whether it was done."""
    return HandlerError(
        "ambiguous_submit",
        f"a paid call to {provider} was sent and its answer was lost; "
        "it may have been done and billed",
        hints=[
            "Look at the provider's own list of jobs before you pay again.",
            "To send it again all the same, use retry.",
        ],
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
