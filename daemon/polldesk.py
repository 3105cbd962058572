"""Where jobs wait that providers work on: one agenda of what is to be asked for when.

Such a job has no task, no place and no context. All that is kept of it is its tickets; to ask for
one is a short task, and few of them are under way at once. What the desk finds is handed to the
job's next run; what a crash makes it forget is asked for again, by what the log holds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial

import structlog

from daemon.agenda import Agenda
from daemon.asking import Polled
from daemon.clock import parse_rfc3339, rfc3339
from daemon.envelope import Envelope
from daemon.errors import BadRequest, may_pass
from daemon.exchange import Means, exchange
from daemon.jobs import Job
from daemon.journal import Taken
from daemon.polling import Watch, cadence_of
from daemon.progress import Progress, Told
from daemon.recall import Recall
from daemon.services import Services
from daemon.state import State
from handlers.contract import HandlerError, Outcome
from handlers.wire import Pending

AT_ONCE = 64
"""Polls under way."""

AT_ONCE_EACH = 16
"""The same, of each provider."""

PACE = 200.0
"""Jobs a second that are asked for first after a start."""

TOGETHER = 30.0
"""Seconds for which what was found of a job waits for its other calls: it may lie at an address for
minutes only."""

HELD_BYTES = 64 << 20
"""Of media in answers that wait for their job's turn; a job whose answer is not kept asks for it
once more."""

Answer = Outcome | Pending | HandlerError
_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Parked:
    """A job that waits here."""

    id: str
    calls: dict[str, _Call] = field(default_factory=dict)
    """By step."""
    found: dict[str, Polled] = field(default_factory=dict)
    since: float = 0.0
    """When something was found first, on the monotonic clock."""
    told: Told = field(default_factory=Told)
    over: bool = False
    """Whether it waits no more, and is to run."""


@dataclass(slots=True, eq=False)
class _Call:
    """One call of a job that is asked for again and again."""

    job: _Parked
    step: str
    watch: Watch
    due: float
    """When it is asked for next, on the monotonic clock."""


class PollDesk:
    """Asks for what providers work on.

    Args:
        services: who is asked, and by which means.
        state: where each job stands.
        recall: what the log holds of a job.
        found: is told each job that waits no more.
        changed: is called when something may be due.
    """

    def __init__(
        self,
        services: Services,
        state: State,
        recall: Recall,
        found: Callable[[str], None],
        changed: Callable[[], None],
    ) -> None:
        self._with = services
        self._state = state
        self._recall = recall
        self._tell_found = found
        self._changed = changed
        self._progress = Progress(services, state)
        self._jobs: dict[str, _Parked] = {}
        self._agenda: Agenda[_Call] = Agenda(AT_ONCE, AT_ONCE_EACH)
        self._polls: dict[_Call, asyncio.Task[Answer]] = {}
        self._reading: set[asyncio.Task[None]] = set()
        self._held = 0

    def __contains__(self, job_id: str) -> bool:
        return job_id in self._jobs

    # ------------------------------------------------------------ coming and going

    async def park(self, job: Job, envelope: Envelope, calls: Mapping[str, Taken]) -> str:
        """Have a job wait until one of its calls is done.

        Args:
            job: as the state has it.
            envelope: what its request says of polls.
            calls: by step, what was taken; each with a ticket.

        Returns:
            When the first is asked for (RFC 3339).
        """
        watches = await self._watches(job, envelope, calls)
        now = self._with.clock.monotonic()
        due = {step: watch.first_due(now) for step, watch in watches.items()}
        self.leave(job.id)
        parked = self._jobs[job.id] = _Parked(job.id)
        self._wait(parked, watches, due)
        return rfc3339(self._with.clock.now() + timedelta(seconds=min(due.values()) - now))

    def restore(self, jobs: Sequence[Job]) -> None:
        """Have jobs wait of which the log says that they do; their first polls are spread, so that
        many jobs are no burst."""
        now = self._with.clock.monotonic()
        waiting = []
        for number, job in enumerate(jobs):
            self.leave(job.id)
            parked = self._jobs[job.id] = _Parked(job.id)
            waiting.append((parked, now + number / PACE))
        if waiting:
            reading = asyncio.create_task(self._read_all(waiting))
            self._reading.add(reading)
            reading.add_done_callback(self._reading.discard)

    def has_found(self, job_id: str) -> bool:
        """Whether a job waits no more, and is to run."""
        parked = self._jobs.get(job_id)
        return parked is not None and parked.over

    def leave(self, job_id: str) -> dict[str, Polled]:
        """Forget a job, as it runs or has ended.

        Returns:
            By step, what providers made of its calls.
        """
        parked = self._jobs.pop(job_id, None)
        if parked is None:
            return {}
        self._drop_calls(parked)
        self._held -= sum(map(_size_of, parked.found.values()))
        return parked.found

    def _wait(
        self, parked: _Parked, watches: Mapping[str, Watch], due: Mapping[str, float]
    ) -> None:
        """Have each call of a job be asked for at its moment."""
        for step, watch in watches.items():
            call = parked.calls[step] = _Call(parked, step, watch, due[step])
            self._agenda.put(call, watch.provider, call.due)
        self._changed()

    def _drop_calls(self, parked: _Parked) -> None:
        for call in parked.calls.values():
            self._agenda.drop(call)
            if call in self._polls:
                self._polls[call].cancel()
        parked.calls = {}

    async def _watches(
        self, job: Job, envelope: Envelope, calls: Mapping[str, Taken]
    ) -> dict[str, Watch]:
        """What is watched of a job. A retry by hand has the time to wait begin anew."""
        clock, settings = self._with.clock, self._with.settings
        again, watches = await self._recall.retried_at(job), {}
        for step, taken in calls.items():
            since = parse_rfc3339(max(taken.since, again))
            waited = max(0.0, (clock.now() - since).total_seconds())
            until = clock.monotonic() + settings.poll_timeout - waited
            cadence, timeout = cadence_of(envelope, settings, until), settings.call_timeout
            if taken.ticket is not None:
                watches[step] = Watch(
                    taken.provider,
                    taken.ticket,
                    cadence,
                    envelope.timeout or timeout,
                    job.polls.get(step, 0),
                )
        return watches

    # ------------------------------------------------------------ after a start

    async def _read_all(self, waiting: Sequence[tuple[_Parked, float]]) -> None:
        """Read how jobs stand, one after the other, and have them wait as they did before; each for
        its own moment, if that is later."""
        for parked, moment in waiting:
            try:
                watches = await self._read(parked.id)
            except Exception:
                _log.exception("a job that waits could not be read", job=parked.id)
                watches = {}  # its run says what is wrong
            if self._jobs.get(parked.id) is not parked:
                continue  # it has ended, or runs
            if not watches:
                self._go_on(parked)
                continue
            due = self._moment(self._state.jobs[parked.id].due)
            dues = {step: max(moment, one.in_time(due)) for step, one in watches.items()}
            self._wait(parked, watches, dues)

    async def _read(self, job_id: str) -> dict[str, Watch]:
        """What is watched of a job, as the log tells."""
        job = self._state.jobs[job_id]
        try:
            request = await self._recall.request(job)
        except BadRequest:  # this version would not take it any more, as its run will say
            return {}
        journal = await self._recall.journal(job)
        return await self._watches(job, request.envelope, journal.under_way())

    def _moment(self, due: str | None) -> float:
        """A moment of the wall clock (RFC 3339), on the other one."""
        clock = self._with.clock
        left = (parse_rfc3339(due) - clock.now()).total_seconds() if due is not None else 0.0
        return clock.monotonic() + left

    # ------------------------------------------------------------ asking

    def next_due(self) -> float | None:
        """When something is due next, on the monotonic clock; None where nothing is, or not before
        an answer comes."""
        return self._agenda.next_due()

    def begin(self) -> None:
        """Ask for what is due, as far as there is room."""
        now = self._with.clock.monotonic()
        while (call := self._agenda.take(now)) is not None:
            self._polls[call] = poll = asyncio.create_task(self._ask(call.watch))
            poll.add_done_callback(partial(self._asked, call))

    async def stop(self) -> None:
        """Let go of all that is under way."""
        tasks: list[asyncio.Task[Answer] | asyncio.Task[None]]
        tasks = [*self._polls.values(), *self._reading]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _ask(self, watch: Watch) -> Answer:
        """Ask once for what a provider took."""
        shared = self._with
        try:
            service = shared.roster.service(watch.provider)
        except HandlerError as error:
            error.retryable = True  # somebody may be writing the configuration just now
            return error
        means = Means(shared.workbench, shared.network, shared.clock, service.site)
        try:
            effects = service.provider.resume(watch.ticket)
            return await exchange(service.provider, effects, means, watch.timeout, submits=False)
        except HandlerError as error:
            return error

    def _asked(self, call: _Call, poll: asyncio.Task[Answer]) -> None:
        """Go on with what a poll came to, unless nobody waits for it any more."""
        del self._polls[call]
        self._agenda.done(call)
        if not poll.cancelled() and call.job.calls.get(call.step) is call:
            if (error := poll.exception()) is None:
                self._take_in(call, poll.result())
            else:
                _log.error("a poll broke off", job=call.job.id, exc_info=error)
                self._go_on(call.job)  # its run parks it again
        self._changed()

    def _take_in(self, call: _Call, answer: Answer) -> None:
        """Ask again later, or hand over what was found."""
        if isinstance(answer, Outcome):
            self._hand_over(call, answer)
            return
        now, parked = self._with.clock.monotonic(), call.job
        after = call.watch.after(answer, now)
        if isinstance(after, Watch) or may_pass(after):  # another attempt goes on counting
            polls = call.watch.polls + 1
            self._progress.tell(parked.id, parked.told, call.step, answer, polls)
        if isinstance(after, HandlerError):
            self._hand_over(call, after)
            return
        call.watch, call.due = after, after.due(now, answer.wait)
        self._agenda.put(call, after.provider, call.due)
        if parked.found:
            self._go_on_in_time(parked)

    def _hand_over(self, call: _Call, found: Outcome | HandlerError) -> None:
        """Have the next run of a job take what was found; at once, if it failed."""
        parked = call.job
        if isinstance(found, Outcome) or not may_pass(found):
            parked.told.newest.pop(call.step, None)  # nobody counts on
        if not parked.found:
            parked.since = self._with.clock.monotonic()
        parked.found[call.step] = self._kept(found)
        del parked.calls[call.step]
        if isinstance(found, HandlerError):
            self._go_on(parked)
        else:
            self._go_on_in_time(parked)

    def _go_on_in_time(self, parked: _Parked) -> None:
        """Have a job of which something was found go on, unless more may be found before long."""
        if all(call.due >= parked.since + TOGETHER for call in parked.calls.values()):
            self._go_on(parked)

    def _go_on(self, parked: _Parked) -> None:
        """A job waits no more."""
        self._drop_calls(parked)
        parked.over = True
        self._progress.flush(parked.id, parked.told)
        self._tell_found(parked.id)

    def _kept(self, found: Outcome | HandlerError) -> Polled:
        """What was found, unless too much is kept already."""
        size = _size_of(found)
        if self._held + size > HELD_BYTES:
            return None
        self._held += size
        return found


def _size_of(found: Polled) -> int:
    """Bytes of media."""
    media = found.media if isinstance(found, Outcome) else ()
    return sum(len(medium.data or b"") for medium in media)
