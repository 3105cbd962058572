"""How one ask of a handler is answered: by the log, by going on with what a provider took, or by
sending it. Whatever comes back is durable before anything is done with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import Any, NoReturn, TypeVar

from daemon.clock import parse_rfc3339
from daemon.costs import Counter
from daemon.downloads import EXPIRED
from daemon.events import ProviderProgressed, ProviderRequested
from daemon.exchange import Means, exchange
from daemon.homecoming import bring_home, left_there
from daemon.journal import Journal, Taken, digest_of_call
from daemon.prices import Cost
from daemon.recording import Recorder, sifted, unbroken
from daemon.redaction import SIEVE
from daemon.requests import Request
from daemon.roster import Service
from daemon.services import Services
from daemon.staging import StagedMedium
from daemon.streams import Stream
from handlers.contract import Call, HandlerError, Json, Medium, Outcome
from handlers.wire import Pending, Ticket

Polled = Outcome | HandlerError | None
"""What a provider made of a call that it took; None where it is to be asked for it once more."""

PROGRESS_SECONDS = 3.0
"""At most one progress event of a job in this time."""

Reply = TypeVar("Reply")


class DryRun(Exception):
    """A dry run came to its first call: all that can be checked was."""


class Parked(Exception):
    """A provider works on a call of this run, so the handler is unwound: it runs again, from its
    top, when the provider is done."""


class Asker:
    """Answers the asks of one run.

    Args:
        request: whose they are.
        journal: what the log already answers.
        live: where new steps are journaled; raises once the run is over.
        saving: holds what must be recorded whatever happens.
        services: everything shared.
        found: by step, what providers made of calls that they took.
    """

    def __init__(
        self,
        request: Request,
        journal: Journal,
        live: Callable[[], Stream],
        saving: set[asyncio.Task[Any]],
        services: Services,
        found: Mapping[str, Polled],
    ) -> None:
        self._request = request
        self._journal = journal
        self._live = live
        self._recorder = Recorder(live, saving, services)
        self._with = services
        self._found = dict(found)
        self._asking = 0
        self._parking = 0
        self._moved = asyncio.Event()
        self._told = float("-inf")
        self.outcomes: dict[str, Outcome | None] = {}
        self.provider: str | None = None
        """The last one that was asked."""
        self.model: str | None = request.envelope.model
        self.paid: set[asyncio.Task[Any]] = set()
        """Paid calls under way: a stop waits for them."""
        self.taken: dict[str, Taken] = {}
        """By step, what a provider took and works on."""
        self.warnings: list[str] = []
        self.last_word: Mapping[str, Json] | None = None
        """What is merged into a body after all else: the fields of a file of the request's."""

    async def ask(self, step: str, calls: Sequence[Call]) -> Outcome:
        """Have the first call answered that the provider can do, as `Context.ask`.

        Raises:
            DryRun: nobody is to be asked.
            Parked: the provider took it, and works on it.
        """
        self._asking += 1
        try:
            return await self._ask(step, calls)
        finally:
            self._asking -= 1
            self._moved.set()

    async def _ask(self, step: str, calls: Sequence[Call]) -> Outcome:
        self.outcomes[step] = None
        stream, roster = self._live(), self._with.roster
        name = self._journal.provider_of(step) or stream.job.provider
        name = name or roster.default(self._request.fields.makes)
        self.provider = name
        call = self._chosen(step, name, calls)
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
            known = await self._finish(step, known, call)
        self.outcomes[step] = known
        self.model = known.model or self.model
        return known

    def _chosen(self, step: str, name: str, calls: Sequence[Call]) -> Call:
        """The call by which the step was asked for before, or the first that the provider can do;
        the last where it can do none, and then that one is refused."""
        *firsts, last = calls
        if not firsts:
            return last
        asked = self._journal.operation_of(step)
        able = [asked] if asked is not None else self._with.roster.service(name).provider.operations
        return next((call for call in firsts if call.operation in able), last)

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
            extra={**call.extra, **envelope.body, **(self.last_word or {})},
        )

    # ------------------------------------------------------------ sending

    async def _send(self, step: str, digest: str, service: Service, call: Call) -> Outcome | Taken:
        provider = service.provider
        async with self._with.gates.pass_through(provider.name, service.limits):
            if self._with.stopping.is_set():
                raise asyncio.CancelledError
            submitting = self._submit(step, digest, service, call)
            return await (unbroken(submitting, self.paid) if provider.paid else submitting)

    async def _submit(
        self, step: str, digest: str, service: Service, call: Call
    ) -> Outcome | Taken:
        provider, clock = service.provider, self._with.clock
        call, warnings = self._addressed(step, service, call)
        self.model = call.model or self.model
        counter = Counter(provider, self._with.roster.prices(), call)
        await self._announce(step, digest, service, call, counter.estimate())
        began, cost = clock.monotonic(), None
        try:
            effects = provider.submit(call)
            answer = await exchange(provider, effects, self._means(service), self._timeout)
        except HandlerError as error:
            failure = self._judged(error, provider.name)
            failed = Outcome(model=call.model, warnings=warnings)
            seconds, cost = clock.monotonic() - began, counter.cost_of_failure(failure)
            return await self._recorder.record(step, seconds, failed, failure, cost=cost)
        if isinstance(answer, Outcome):
            cost = counter.cost(answer)
            told = (*warnings, *self._uncounted(service, call.model, cost))
            answer = replace(answer, warnings=(*answer.warnings, *told))
        if isinstance(answer, Ticket) or any(medium.url for medium in answer.media):
            self.taken[step] = await self._recorder.accept(step, service, answer, warnings, cost)
            return self.taken[step]
        if not self._request.envelope.download:
            answer = left_there(answer)
        seconds = clock.monotonic() - began
        return await self._recorder.record(step, seconds, answer, cost=cost, hold=provider.paid)

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

    def _uncounted(self, service: Service, model: str | None, cost: Cost | None) -> tuple[str, ...]:
        paid = service.provider.paid
        return self._with.treasury.warnings(service.provider.name, model, cost) if paid else ()

    async def _announce(
        self, step: str, digest: str, service: Service, call: Call, estimate: Cost | None
    ) -> None:
        """Say that a call is about to leave; durably, if it can cost money.

        Raises:
            OverBudget: it can, and too little is left.
        """
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
            estimate.to_json() if estimate is not None else None,
        )
        if provider.paid:
            with self._with.treasury.claim(stream.job, step, provider.name, estimate):
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
        return sifted(error)

    # ------------------------------------------------------------ going on

    async def _finish(self, step: str, taken: Taken, call: Call) -> Outcome:
        """Bring home what became of a call that a provider took. All of this is free, and may be
        left at any moment.

        Args:
            step: the name of the step.
            taken: what the provider took.
            call: what was asked for.

        Raises:
            Parked: it is not done yet.
        """
        self.taken[step] = taken
        service = self._with.roster.service(taken.provider)
        failure: HandlerError | None = None
        outcome, cost = taken.outcome, Cost.of(taken.outcome.cost)
        with ExitStack() as files:
            try:
                if taken.ticket is not None:
                    outcome = await self._made(service, step, taken, taken.ticket)
                    counter = Counter(service.provider, self._with.roster.prices(), call)
                    cost = counter.cost(outcome)
                    told = self._uncounted(service, outcome.model, cost)
                    outcome = replace(outcome, warnings=(*outcome.warnings, *told))
                outcome = await self._brought_home(service, taken, outcome, files)
            except HandlerError as error:
                failure = sifted(error)
            else:
                files.pop_all()  # it is the recorder who closes them from here on
        seconds = (self._with.clock.now() - parse_rfc3339(taken.since)).total_seconds()
        recorded = await self._recorder.record(step, max(0.0, seconds), outcome, failure, cost=cost)
        del self.taken[step]
        return recorded

    async def _made(self, service: Service, step: str, taken: Taken, ticket: Ticket) -> Outcome:
        """What a provider made of a call, as it was found when it was asked for."""
        if step not in self._found:
            return await self._park()
        found = self._found.pop(step)
        if isinstance(found, HandlerError):
            raise found
        if found is not None:
            return _whole(taken, found)
        return await self._asked_once(service, taken, ticket)

    async def _park(self) -> NoReturn:
        """Unwind the run, as soon as no other ask of it is on its way: what these come to is to be
        written down first, as none of it is done twice.

        Raises:
            Parked: always.
        """
        self._parking += 1
        self._moved.set()
        try:
            await asyncio.sleep(0)  # those that begin beside it have begun then
            while self._asking > self._parking:
                self._moved.clear()
                await self._moved.wait()
        finally:
            self._parking -= 1
        raise Parked

    async def _asked_once(self, service: Service, taken: Taken, ticket: Ticket) -> Outcome:
        """What is made of a call, asked for here and now as it was done a moment ago. Where it is
        not any more the attempt fails: the next one asks on, and there are only so many."""
        provider, means = service.provider, self._means(service)
        effects = provider.resume(ticket)
        answer = await exchange(provider, effects, means, self._timeout, submits=False)
        if isinstance(answer, Pending):
            raise HandlerError(
                "provider_unavailable",
                f"{provider.name} was done with the call, and now says {answer.message!r}",
            )
        return _whole(taken, answer)

    async def _brought_home(
        self, service: Service, taken: Taken, outcome: Outcome, files: ExitStack
    ) -> Outcome:
        """An outcome with its media, unless they are to stay where they are; `files` closes those
        that are large. Addresses may live for minutes only: where they are over, the provider is
        asked once more for what it took, and names them anew."""
        if not self._request.envelope.download:
            return left_there(outcome)
        fetch = partial(self._fetch, service, files)
        try:
            return await bring_home(outcome, fetch)
        except HandlerError as error:
            if taken.ticket is None or (error.http or {}).get("status") not in EXPIRED:
                raise
        return await bring_home(await self._asked_once(service, taken, taken.ticket), fetch)

    async def _fetch(self, service: Service, files: ExitStack, medium: Medium) -> Medium:
        fetch = partial(self._with.network.fetch, service.site, medium.url or "", self._timeout)
        fetched = await self._with.disk.through(fetch)
        media_type = fetched.media_type or medium.media_type
        if fetched.staged is None:
            return Medium(fetched.data, media_type=media_type)
        files.callback(fetched.staged.close)
        return StagedMedium(media_type=media_type, staged=fetched.staged)


def _whole(taken: Taken, found: Outcome) -> Outcome:
    """What was found, with what was known of it when it was taken."""
    return replace(
        found,
        model=found.model or taken.outcome.model,
        warnings=(*taken.outcome.warnings, *found.warnings),
    )
