"""Writing down what became of a call, its media first: nothing is done with an answer before.

What a provider says may repeat the key that it was shown, so all of it goes through the sieve.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import Any, TypeVar

from daemon.clock import rfc3339
from daemon.errors import Conflict, problem_of
from daemon.events import ProviderAccepted, ProviderAnswered
from daemon.journal import Taken, outcome_of, taken_by
from daemon.prices import Cost
from daemon.redaction import SIEVE
from daemon.roster import Service
from daemon.services import Services
from daemon.staging import StagedMedium, close_all
from daemon.streams import Over, Stream
from handlers.contract import HandlerError, Json, Medium, Outcome
from handlers.wire import Ticket

Reply = TypeVar("Reply")


class Recorder:
    """Writes down the answers of one run.

    Args:
        live: where; raises once the run is over.
        saving: holds what must be recorded whatever happens.
        services: everything shared.
    """

    def __init__(
        self, live: Callable[[], Stream], saving: set[asyncio.Task[Any]], services: Services
    ) -> None:
        self._live = live
        self._saving = saving
        self._with = services

    async def accept(
        self,
        step: str,
        service: Service,
        answer: Outcome | Ticket,
        warnings: Sequence[str],
        cost: Cost | None = None,
    ) -> Taken:
        """Write down that the provider took the call, before anything else is done."""
        accepting = self._accepting(step, service, answer, warnings, cost)
        return await unbroken(accepting, self._saving)

    async def record(
        self,
        step: str,
        seconds: float,
        outcome: Outcome,
        failure: HandlerError | None = None,
        *,
        cost: Cost | None = None,
        hold: bool = False,
    ) -> Outcome:
        """Make an answer durable.

        Args:
            step: whose it is.
            seconds: that it took.
            outcome: what came, with the files of what was fetched; of a failure, what is known all
                the same.
            failure: why nothing came.
            cost: what it cost, if it is known.
            hold: there is no other way to have it than to pay again, so it is kept until the disk
                has room.

        Raises:
            HandlerError: the failure.
        """
        recording = self._recording(step, seconds, outcome, failure, cost, hold=hold)
        return await unbroken(_closing(recording, outcome.media), self._saving)

    async def _accepting(
        self,
        step: str,
        service: Service,
        answer: Outcome | Ticket,
        warnings: Sequence[str],
        cost: Cost | None,
    ) -> Taken:
        outcome = answer if isinstance(answer, Outcome) else Outcome(model=answer.model)
        ticket = SIEVE.json(asdict(answer)) if isinstance(answer, Ticket) else None
        paid = service.provider.paid
        digests = [await self._store(medium, hold=paid) for medium in outcome.media]
        accepted = ProviderAccepted(
            step=step,
            attempt=self._live().job.attempt,
            ticket=ticket,
            media=[_named(*one) for one in zip(outcome.media, digests, strict=True)],
            references=[SIEVE.json(reference) for reference in outcome.references],
            model=_sifted_text(outcome.model),
            usage=SIEVE.json(outcome.usage),
            warnings=[SIEVE.text(one) for one in outcome.warnings or warnings],
            left_out=list(outcome.left_out),
            cost=cost.to_json() if cost is not None else None,
        )
        await self._write(accepted, digests, hold=paid)
        now = rfc3339(self._with.clock.now())
        taken = taken_by(service.provider.name, now, accepted)
        if isinstance(answer, Ticket):  # what the sieve took out is still of use here
            return taken._replace(ticket=answer)
        media = (
            known if known.sha256 is not None else medium
            for known, medium in zip(taken.outcome.media, answer.media, strict=True)
        )
        return taken._replace(outcome=replace(taken.outcome, media=tuple(media)))

    async def _recording(
        self,
        step: str,
        seconds: float,
        outcome: Outcome,
        failure: HandlerError | None,
        cost: Cost | None,
        *,
        hold: bool,
    ) -> Outcome:
        media = outcome.media if failure is None else ()
        digests = [await self._store(medium, hold=hold) for medium in media]
        error = problem_of(failure).to_json() if failure is not None else None
        answered = ProviderAnswered(
            step=step,
            attempt=self._live().job.attempt,
            seconds=round(seconds, 3),
            model=_sifted_text(outcome.model),
            media=[_named(*one) for one in zip(media, digests, strict=True)],
            references=[SIEVE.json(reference) for reference in outcome.references],
            warnings=[SIEVE.text(warning) for warning in outcome.warnings],
            usage=SIEVE.json(outcome.usage),
            error=error,
            left_out=list(outcome.left_out),
            cost=cost.to_json() if cost is not None else None,
        )
        await self._write(answered, digests, hold=hold)
        if failure is not None:
            raise failure
        return outcome_of(answered)

    async def _write(
        self,
        event: ProviderAccepted | ProviderAnswered,
        digests: Sequence[str | None],
        *,
        hold: bool,
    ) -> None:
        """Write an event that names blobs; they are in its care, or gone."""
        blobs, named = self._with.blobs, [digest for digest in digests if digest is not None]
        try:
            await self._live().write(event, hold=hold)
        except (Conflict, HandlerError, Over):  # no event will ever name them
            for digest in named:
                blobs.release(digest)
            await asyncio.to_thread(blobs.drop, named)
            raise
        for digest in named:
            blobs.release(digest)

    async def _store(self, medium: Medium, *, hold: bool) -> str | None:
        """The digest under which the bytes of a medium lie; None where it is elsewhere yet."""
        blobs = self._with.blobs
        if isinstance(medium, StagedMedium) and medium.staged is not None:
            adopt = partial(blobs.adopt, medium.staged)
            return await self._with.disk.patiently(adopt, hold=hold)
        if medium.data is None:
            return medium.sha256
        put = partial(blobs.put, SIEVE.data(medium.data))
        return await self._with.disk.patiently(put, hold=hold)


def sifted(error: HandlerError) -> HandlerError:
    """A failure without the keys that a provider may have repeated in it."""
    error.message = SIEVE.text(error.message)
    error.hints = tuple(SIEVE.text(hint) for hint in error.hints)
    error.faults = tuple((SIEVE.text(pointer), SIEVE.text(said)) for pointer, said in error.faults)
    error.http = SIEVE.json(dict(error.http)) if error.http is not None else None
    error.args = (error.message,)
    return error


def _named(medium: Medium, digest: str | None) -> Mapping[str, Json]:
    """A medium as events name it."""
    media_type = _sifted_text(medium.media_type)
    if digest is not None:
        return {"sha256": digest, "media_type": media_type}
    return {"url": SIEVE.text(medium.url or ""), "media_type": media_type}


def _sifted_text(text: str | None) -> str | None:
    return SIEVE.text(text) if text is not None else None


async def _closing(recording: Coroutine[Any, Any, Reply], media: Sequence[Medium]) -> Reply:
    """Record something; what became no blob of its files goes."""
    try:
        return await recording
    finally:
        close_all(media)


async def unbroken(work: Coroutine[Any, Any, Reply], under_way: set[asyncio.Task[Any]]) -> Reply:
    """Do something that goes on when whoever waits is cancelled; `under_way` holds it then."""
    task = asyncio.create_task(work)
    under_way.add(task)
    task.add_done_callback(under_way.discard)
    task.add_done_callback(lambda done: done.cancelled() or done.exception())
    return await asyncio.shield(task)
