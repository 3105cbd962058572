"""How one ask of a handler is answered: by the log, by going on with what a provider took, or by
sending it. Whatever comes back is durable before anything is done with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import Any, TypeVar

from daemon.clock import parse_rfc3339, rfc3339
from daemon.errors import Conflict, problem_of
from daemon.events import (
    ProviderAccepted,
    ProviderAnswered,
    ProviderProgressed,
    ProviderRequested,
)
from daemon.exchange import Means, exchange
from daemon.homecoming import bring_home
from daemon.journal import Journal, Taken, digest_of_call, outcome_of, taken_by
from daemon.polling import Cadence, poll
from daemon.redaction import SIEVE
from daemon.requests import Request
from daemon.roster import Service
from daemon.services import Services
from daemon.streams import Over, Stream
from handlers.contract import Call, HandlerError, Json, Medium, Outcome
from handlers.wire import Pending, Ticket

PROGRESS_SECONDS = 3.0
"""At most one progress event of a job in this time."""

Reply = TypeVar("Reply")


class DryRun(Exception):
    """A dry run came to its first call: all that can be checked was."""


class Asker:
    """Answers the asks of one run.

    Args:
        request: whose they are.
        journal: what the log already answers.
        live: where new steps are journaled; raises once the run is over.
        saving: holds what must be recorded whatever happens.
        services: everything shared.
    """

    def __init__(
        self,
        request: Request,
        journal: Journal,
        live: Callable[[], Stream],
        saving: set[asyncio.Task[Any]],
        services: Services,
    ) -> None:
        self._request = request
        self._journal = journal
        self._live = live
        self._saving = saving
        self._with = services
        self._told = float("-inf")
        self.outcomes: dict[str, Outcome | None] = {}
        self.provider: str | None = None
        """The last one that was asked."""
        self.model: str | None = request.envelope.model
        self.paid: set[asyncio.Task[Any]] = set()
        """Paid calls under way: a stop waits for them."""
        self.taken: set[str] = set()
        """Steps that a provider took and works on."""
        self.warnings: list[str] = []

    async def ask(self, step: str, call: Call) -> Outcome:
        """Have a call answered, as `Context.ask`.

        Raises:
            DryRun: nobody is to be asked.
        """
        self.outcomes[step] = None
        stream, roster = self._live(), self._with.roster
        name = self._journal.provider_of(step) or stream.job.provider
        name = name or roster.default(self._request.task)
        self.provider = name
        if self._request.envelope.dry_run:
            roster.service(name, call.operation)
            self.warnings.append(f"dry run: {name} would have been asked to {call.operation}")
            raise DryRun
        stream.flush()  # what follows may take long, or end the process
        call = self._completed(call)
        digest = digest_of_call(call)
        known = self._journal.recorded(step, digest, stream.job, roster.on_ambiguous(name))
        if known is None:
            service = roster.service(name, call.operation)
            known = await self._send(step, digest, service, call)
        if isinstance(known, Taken):
            known = await self._finish(step, known)
        self.outcomes[step] = known
        self.model = known.model or self.model
        return known

    async def progress(self, message: str, fraction: float | None) -> None:
        """Tell how far it is; at most one every few seconds is written."""
        now = self._with.clock.monotonic()
        if now - self._told >= PROGRESS_SECONDS:
            self._told = now
            self._live().append(ProviderProgressed(SIEVE.text(message), fraction))

    def _completed(self, call: Call) -> Call:
        """A call with what the request's envelope adds."""
        envelope = self._request.envelope
        return replace(
            call,
            model=call.model or envelope.model,
            endpoint=envelope.endpoint,
            extra={**call.extra, **envelope.body},
        )

    # ------------------------------------------------------------ sending

    async def _send(self, step: str, digest: str, service: Service, call: Call) -> Outcome | Taken:
        submitting = self._submit(step, digest, service, call)
        if not service.provider.paid:
            return await submitting
        return await unbroken(submitting, self.paid)

    async def _submit(
        self, step: str, digest: str, service: Service, call: Call
    ) -> Outcome | Taken:
        provider = service.provider
        async with self._with.gates.pass_through(provider.name, service.limits):
            if self._with.stopping.is_set():
                raise asyncio.CancelledError
            call, warnings = self._addressed(step, service, call)
            await self._announce(step, digest, service, call)
            began = self._with.clock.monotonic()
            answer: Outcome | Ticket | HandlerError
            try:
                answer = await exchange(
                    provider, provider.submit(call), self._means(service), self._timeout
                )
            except HandlerError as error:
                answer = self._judged(error, provider.name)
        if isinstance(answer, Outcome):
            answer = replace(answer, warnings=(*answer.warnings, *warnings))
        seconds = self._with.clock.monotonic() - began
        if isinstance(answer, HandlerError):
            failed = Outcome(model=call.model, warnings=warnings)
            return await unbroken(self._record(step, seconds, failed, answer), self._saving)
        if isinstance(answer, Ticket) or any(medium.url for medium in answer.media):
            return await unbroken(self._accept(step, service, answer, warnings), self._saving)
        record = self._record(step, seconds, answer, hold=provider.paid)
        return await unbroken(record, self._saving)

    def _addressed(self, step: str, service: Service, call: Call) -> tuple[Call, tuple[str, ...]]:
        """A call with what the configuration adds, and warnings about that."""
        name, model, warning = service.provider.name, call.model, None
        if model is None:
            model, warning = self._with.roster.model(name, call.operation)
        key = None
        if service.provider.idempotent:
            key = self._journal.key_of(step, name) or self._with.clock.new_id()
        warnings = () if warning is None else (warning,)
        return replace(call, model=model, idempotency_key=key), warnings

    async def _announce(self, step: str, digest: str, service: Service, call: Call) -> None:
        """Say that a call is about to leave; durably, if it can cost money."""
        provider, stream = service.provider, self._live()
        requested = ProviderRequested(
            step,
            call.operation,
            provider.name,
            call.model,
            provider.paid,
            digest,
            stream.job.attempt,
            call.idempotency_key,
        )
        if provider.paid:
            await stream.write(requested)
        else:
            stream.append(requested)

    def _means(self, service: Service) -> Means:
        shared = self._with
        return Means(shared.workbench, shared.network, shared.clock, service.site)

    @property
    def _timeout(self) -> float:
        return self._request.envelope.timeout or self._with.settings.call_timeout

    def _judged(self, error: HandlerError, provider: str) -> HandlerError:
        """A lost answer may be asked for again only where the settings say so."""
        lost = error.code == "ambiguous_submit"
        if lost and self._with.roster.on_ambiguous(provider) == "retry":
            error.retryable = True
        return _sifted(error)

    # ------------------------------------------------------------ going on

    async def _finish(self, step: str, taken: Taken) -> Outcome:
        """Wait for what a provider took, and bring it home. All of this is free, and may be left
        at any moment."""
        service = self._with.roster.service(taken.provider)
        began = self._with.clock.monotonic()
        self.taken.add(step)
        failure: HandlerError | None = None
        outcome = taken.outcome
        try:
            if taken.ticket is not None:
                outcome = await self._poll(service, taken, taken.ticket)
            outcome = await bring_home(outcome, partial(self._fetch, service))
        except HandlerError as error:
            failure = _sifted(error)
        seconds = self._with.clock.monotonic() - began
        recorded = await unbroken(self._record(step, seconds, outcome, failure), self._saving)
        self.taken.discard(step)
        return recorded

    async def _poll(self, service: Service, taken: Taken, ticket: Ticket) -> Outcome:
        provider, means, settings = service.provider, self._means(service), self._with.settings
        waited = (self._with.clock.now() - parse_rfc3339(taken.since)).total_seconds()
        left = settings.poll_timeout - max(waited, 0.0)
        if left <= 0:  # somebody wants it to be asked for once more
            left = settings.poll_timeout
        until = self._with.clock.monotonic() + left
        found = await poll(
            lambda: exchange(provider, provider.resume(ticket), means, self._timeout),
            ticket.wait,
            Cadence(settings.poll_seconds, settings.poll_seconds_max, until),
            self._with.clock,
            self._tell,
        )
        return replace(
            found,
            model=found.model or taken.outcome.model,
            warnings=(*taken.outcome.warnings, *found.warnings),
        )

    async def _tell(self, pending: Pending) -> None:
        await self.progress(pending.message, pending.fraction)

    async def _fetch(self, service: Service, medium: Medium) -> Medium:
        fetched = await self._with.network.fetch(service.site, medium.url or "", self._timeout)
        return Medium(fetched.data, media_type=fetched.media_type or medium.media_type)

    # ------------------------------------------------------------ recording

    async def _accept(
        self, step: str, service: Service, answer: Outcome | Ticket, warnings: Sequence[str]
    ) -> Taken:
        """Write down that the provider took the call, before anything else is done."""
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
            model=outcome.model,
            usage=SIEVE.json(outcome.usage),
            warnings=[SIEVE.text(one) for one in outcome.warnings or warnings],
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

    async def _record(
        self,
        step: str,
        seconds: float,
        outcome: Outcome,
        failure: HandlerError | None = None,
        *,
        hold: bool = False,
    ) -> Outcome:
        """Make an answer durable, its media first. With `hold` there is no other way to have it
        than to pay again, so it is kept until the disk has room."""
        media = outcome.media if failure is None else ()
        digests = [await self._store(medium, hold=hold) for medium in media]
        error = problem_of(failure).to_json() if failure is not None else None
        answered = ProviderAnswered(
            step=step,
            attempt=self._live().job.attempt,
            seconds=round(seconds, 3),
            model=outcome.model,
            media=[_named(*one) for one in zip(media, digests, strict=True)],
            references=[SIEVE.json(reference) for reference in outcome.references],
            warnings=[SIEVE.text(warning) for warning in outcome.warnings],
            usage=SIEVE.json(outcome.usage),
            error=error,
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
        if medium.data is None:
            return medium.sha256
        put = partial(self._with.blobs.put, medium.data)
        return await self._with.disk.patiently(put, hold=hold)


def _sifted(error: HandlerError) -> HandlerError:
    """A failure without the keys that a provider may have repeated in it."""
    error.message = SIEVE.text(error.message)
    error.hints = tuple(SIEVE.text(hint) for hint in error.hints)
    error.faults = tuple((pointer, SIEVE.text(said)) for pointer, said in error.faults)
    error.http = SIEVE.json(dict(error.http)) if error.http is not None else None
    error.args = (error.message,)
    return error


def _named(medium: Medium, digest: str | None) -> Mapping[str, Json]:
    """A medium as events name it."""
    if digest is not None:
        return {"sha256": digest, "media_type": medium.media_type}
    return {"url": SIEVE.text(medium.url or ""), "media_type": medium.media_type}


async def unbroken(work: Coroutine[Any, Any, Reply], under_way: set[asyncio.Task[Any]]) -> Reply:
    """Do something that goes on when whoever waits is cancelled; `under_way` holds it then."""
    task = asyncio.create_task(work)
    under_way.add(task)
    task.add_done_callback(under_way.discard)
    task.add_done_callback(lambda done: done.cancelled() or done.exception())
    return await asyncio.shield(task)
