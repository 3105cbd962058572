"""Who waits for whom: a job starts when all that it names has succeeded. Pure.

Nothing of this is kept: it is judged by the state, at the start and whenever a name is taken in or
a job ends, so a restart changes nothing. A job that cannot start any more is *doomed*: whoever runs
jobs takes it from here and ends it, with the reason.

How deep a job waits is kept as a number that only grows, and looked into when it grows beyond what
may be: then there are too many in a row, or a circle, in which it grows for ever, or the number is
outdated, as some have ended meanwhile. So a job that is added costs what it names, however many
wait.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from graphlib import CycleError, TopologicalSorter
from typing import Any

from daemon.blame import MAX_DEPTH, Get, broken, circle, elsewhere, not_there, too_deep
from daemon.clock import parse_rfc3339, rfc3339
from daemon.errors import Problem
from daemon.jobs import Job
from daemon.references import is_elsewhere, keys_of, resolve
from daemon.schedule import Heap, Schedule
from daemon.state import State

_Reason = Callable[[Get], Problem]


@dataclass(slots=True)
class _Waiting:
    """A job that was accepted and has not begun."""

    job: Job
    pending: dict[str, Job] = field(default_factory=dict)
    """What it names that is open, by the reference."""
    missing: dict[str, str] = field(default_factory=dict)
    """What it names that is not there: reference -> name."""
    depth: int = 0
    """How many wait for each other from here on, or more."""


class Dependencies:
    """Has jobs wait on a schedule until what they name has succeeded.

    Args:
        state: what names mean, and where jobs stand.
        schedule: is told which jobs wait for others.
        patience: seconds to wait for what is not there.
    """

    def __init__(self, state: State, schedule: Schedule, patience: float) -> None:
        self._state = state
        self._schedule = schedule
        self._patience = patience
        self._waiting: dict[str, _Waiting] = {}
        self._by_name: defaultdict[str, dict[str, _Waiting]] = defaultdict(dict)
        self._naming: defaultdict[str, dict[tuple[str, str], None]] = defaultdict(dict)
        """By what is named: the jobs that do, each with its reference."""
        self._waiters: defaultdict[str, defaultdict[str, dict[tuple[str, str], None]]]
        self._waiters = defaultdict(lambda: defaultdict(dict))
        """The same by what is waited for: its name, then its job."""
        self._patient: Heap[str, str] = Heap()
        self._doomed: dict[str, _Reason] = {}
        self._to_end: OrderedDict[str, None] = OrderedDict()

    # ------------------------------------------------------------ what happens

    def add(self, job: Job) -> None:
        """Judge an open job that waits for its turn; one that is here already, anew.

        One that has begun, and wrote down something of it, waits for nobody any more.
        """
        if not job.after:
            return
        self._forget(job.id)
        if job.status == "polling" or (job.journal and job.status != "waiting"):
            self._schedule.meet(job.id)
            return
        waiting = self._waiting[job.id] = self._by_name[job.name][job.id] = _Waiting(job)
        for reference in job.after:
            for key in keys_of(job, reference):
                self._naming[key][job.id, reference] = None
        for reference in job.after:
            self._look(waiting, reference)
        self._settle(waiting)

    def appeared(self, name: str) -> None:
        """Something was dropped under a name, or runs again that answers it."""
        for job_id, reference in list(self._naming.get(name, ())):
            waiting = self._waiting.get(job_id)
            if waiting is not None:
                self._unlink(waiting, reference)
                self._look(waiting, reference)
                self._settle(waiting)

    def reopened(self, job: Job) -> None:
        """A job runs again that had ended: who waits, waits for it again."""
        for name in (job.name, *job.matched):
            self.appeared(name)

    def begun(self, job_id: str) -> None:
        """A job starts, or is being ended: it waits for nobody any more."""
        waiting = self._waiting.pop(job_id, None)
        if waiting is None:
            return
        self._patient.drop(job_id)
        _discard(self._by_name, waiting.job.name, job_id)
        for reference in waiting.job.after:
            self._unlink(waiting, reference)
            for key in keys_of(waiting.job, reference):
                _discard(self._naming, key, (job_id, reference))

    def ended(self, job: Job) -> None:
        """A job ended: who waits for it goes on, or is doomed."""
        self._forget(job.id)
        if job.name not in self._waiters:
            return
        for job_id, reference in list(self._waiters[job.name].get(job.id, ())):
            waiting = self._waiting.get(job_id)
            if waiting is not None:
                self._unlink(waiting, reference)
                self._look(waiting, reference)
                self._settle(waiting)
        if not self._waiters[job.name]:
            del self._waiters[job.name]

    def give_up(self, by: str) -> None:
        """Wait no longer for what was to come by some moment (RFC 3339)."""
        while self._patient and self._patient.first_key() <= by:
            waiting = self._waiting[self._patient.first()]
            names = list(waiting.missing.values())
            self._doom(waiting, _told(not_there(waiting.job, names, self._patience)))

    # ------------------------------------------------------------ what comes of it

    @property
    def busy(self) -> bool:
        """Whether a job waits for what is not there, or is to be ended."""
        return bool(self._patient or self._to_end)

    def next_due(self) -> str | None:
        """When a job first waits no longer for what is not there (RFC 3339)."""
        return self._patient.first_key() if self._patient else None

    def take(self) -> str | None:
        """A doomed job; it is not told again."""
        return self._to_end.popitem(last=False)[0] if self._to_end else None

    def is_doomed(self, job_id: str) -> bool:
        """Whether a job cannot start any more."""
        return job_id in self._doomed

    def reason(self, job_id: str, get: Get) -> Problem | None:
        """Why a job is doomed; None where it is not.

        Args:
            job_id: whose.
            get: an event of the log, by its sequence.
        """
        reason = self._doomed.get(job_id)
        return reason(get) if reason is not None else None

    # ------------------------------------------------------------ one reference

    def _look(self, waiting: _Waiting, reference: str) -> None:
        """See what a reference names now."""
        job = waiting.job
        if job.id not in self._waiting:  # it was doomed by another one
            return
        target = resolve(self._state, job, reference)
        other = target.job
        if other is None and is_elsewhere(reference) and waiting.job.batch is None:
            self._doom(waiting, _told(elsewhere(job, reference)))
        elif other is None and not target.rejected:
            waiting.missing[reference] = target.name
        elif other is None or (other.ended and other.status != "succeeded"):
            self._doom(waiting, partial(broken, job, target))
        elif not other.ended:
            waiting.pending[reference] = other
            self._waiters[other.name][other.id][job.id, reference] = None
            below = (one.depth for one in self._up_to(other))
            self._deepen(waiting, 1 + max(below, default=0))

    def _unlink(self, waiting: _Waiting, reference: str) -> None:
        """Forget what a reference named."""
        waiting.missing.pop(reference, None)
        other = waiting.pending.pop(reference, None)
        if other is not None:
            waiters = self._waiters[other.name]
            _discard(waiters, other.id, (waiting.job.id, reference))
            if not waiters:
                del self._waiters[other.name]

    def _settle(self, waiting: _Waiting) -> None:
        """Have a job wait, or go, as it stands now."""
        job = waiting.job
        if job.id not in self._waiting:
            return
        if waiting.missing:
            since = parse_rfc3339(max(job.asked_at, job.due or ""))
            self._patient.put(job.id, rfc3339(since + timedelta(seconds=self._patience)))
        else:
            self._patient.drop(job.id)
        if waiting.missing or waiting.pending:
            self._schedule.need(job.id)
        else:
            self._schedule.meet(job.id)

    def _doom(self, waiting: _Waiting, reason: _Reason) -> None:
        self.begun(waiting.job.id)
        self._schedule.need(waiting.job.id)
        self._doomed[waiting.job.id] = reason
        self._to_end[waiting.job.id] = None

    def _forget(self, job_id: str) -> None:
        self.begun(job_id)
        self._doomed.pop(job_id, None)
        self._to_end.pop(job_id, None)

    # ------------------------------------------------------------ chains and circles

    def _up_to(self, job: Job) -> Iterator[_Waiting]:
        """What waits of a job and of the older ones of its name, which it lets go first: who waits
        for it waits for all of them."""
        named = self._by_name.get(job.name, {}).values()
        return (one for one in named if one.job.first <= job.first)

    def _below(self, waiting: _Waiting) -> Iterator[_Waiting]:
        """What a job waits for that waits itself."""
        for other in waiting.pending.values():
            yield from self._up_to(other)

    def _above(self, waiting: _Waiting) -> Iterator[str]:
        """Who waits for a job, or for a newer one of its name."""
        for other, waiters in self._waiters.get(waiting.job.name, {}).items():
            if self._state.jobs[other].first >= waiting.job.first:
                yield from (job_id for job_id, _ in waiters)

    def _deepen(self, waiting: _Waiting, depth: int) -> None:
        """Take in how deep a job waits at least, and with it all that wait for it."""
        deeper = [(waiting.job.id, depth)]
        while deeper:
            job_id, depth = deeper.pop()
            one = self._waiting.get(job_id)
            if one is None or depth <= one.depth:
                continue
            one.depth = depth
            if depth > MAX_DEPTH:
                self._look_into(one)
            if job_id in self._waiting:
                deeper += ((above, one.depth + 1) for above in self._above(one))

    def _look_into(self, waiting: _Waiting) -> None:
        """See whether a job really waits so deep; if so, or if there is a circle, doom who does."""
        graph = self._graph(waiting)
        try:
            order = list(TopologicalSorter(graph).static_order())
        except CycleError as error:
            self._break(error.args[1][:0:-1])  # its first is its last as well
            return
        for one in map(self._waiting.__getitem__, order):
            below = (other.depth for other in self._below(one))
            one.depth = 1 + max(below, default=0) if one.pending else 0
        if waiting.depth > MAX_DEPTH:
            self._doom(waiting, _told(too_deep(self._chain(waiting))))

    def _graph(self, waiting: _Waiting) -> dict[str, list[str]]:
        """All that a job waits for, and each what it waits for."""
        graph: dict[str, list[str]] = {}
        left = [waiting]
        while left:
            one = left.pop()
            if one.job.id not in graph:
                below = list(self._below(one))
                graph[one.job.id] = [other.job.id for other in below]
                left += below
        return graph

    def _chain(self, waiting: _Waiting) -> list[str]:
        """The names of the longest chain that begins with a job."""
        chain = [waiting.job.name]
        while below := list(self._below(waiting)):
            waiting = max(below, key=lambda one: one.depth)
            chain.append(waiting.job.name)
        return [*chain, *(other.name for other in list(waiting.pending.values())[:1])]

    def _break(self, ring: Sequence[str]) -> None:
        """Doom all in a circle.

        Args:
            ring: their ids, each before the one that it waits for.
        """
        members = [self._waiting[job_id] for job_id in ring]
        names = [one.job.name for one in members]
        for place, one in enumerate(members):
            self._doom(one, _told(circle([*names[place:], *names[: place + 1]])))


def _told(problem: Problem) -> _Reason:
    """A reason for which nothing has to be read."""
    return lambda _: problem


def _discard(sets: dict[str, dict[Any, Any]], key: str, item: Any) -> None:
    """Take an item out of one of many sets; one that ran empty goes."""
    members = sets.get(key)
    if members is not None:
        members.pop(item, None)
        if not members:
            del sets[key]
