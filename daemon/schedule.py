"""Which job is next. Pure: times come in, jobs go out.

Three choices, each made in O(log n) however many jobs wait, and for whatever they wait:

- **The lane**, one for each provider. Of those with room: where the fewest run, then where the
  next job is the oldest.
- **The level**, one for each priority in a lane: the one that waited longest for its turn, counted
  in jobs that its lane served meanwhile. A step of priority is worth `HEAD_START` jobs of waiting.
- **The folder**: those of a level take turns; within a folder so do its batches, one by one, and
  all that is in no batch. Each hands out its jobs in the order in which they became ready.

So nobody starves. A level that waits is passed over `HEAD_START` times for each step of priority
above it, and then at most once by each other level; a folder is passed over once by each other
folder of its level, and a batch once by each other one of its folder. Neither depends on what comes
later, nor on a clock: it fits fast pictures and slow clips. What ran empty leaves nothing behind.

Of one name only the job that was accepted first may run; newer ones are blocked by it. One that
needs what others make waits for them first, whatever its time (`daemon.dependencies` says so).
"""

from __future__ import annotations

import heapq
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable
from typing import Generic, Literal, TypeVar, get_args

from daemon.jobs import Job

HEAD_START = 100
"""How many jobs may pass over a lower level, for each step of priority, before it has its turn."""

_Jobs = OrderedDict[str, None]
_Shares = OrderedDict[str, _Jobs]
"""By batch; what is in none shares one that has no name."""

Where = Literal["running", "waiting", "later", "blocked", "needs", "kept"]
Key = TypeVar("Key")
Item = TypeVar("Item")


class Heap(Generic[Item, Key]):
    """Items by their keys, the smallest first; each may be moved and dropped.

    That leaves its entry behind: stale ones are skipped when they surface, and swept out when
    they are more than half.
    """

    def __init__(self) -> None:
        self._keys: dict[Item, Key] = {}
        self._entries: list[tuple[Key, Item]] = []

    def __len__(self) -> int:
        return len(self._keys)

    def put(self, item: Item, key: Key) -> None:
        """Take in an item, or move it to another key."""
        if self._keys.get(item) != key:
            self._keys[item] = key
            heapq.heappush(self._entries, (key, item))
            self._sweep()

    def drop(self, item: Item) -> None:
        """Let go of an item, if it is there."""
        if self._keys.pop(item, None) is not None:
            self._sweep()

    def first(self) -> Item:
        """The item with the smallest key; there must be one."""
        entries = self._entries
        while self._keys.get(entries[0][1]) != entries[0][0]:
            heapq.heappop(entries)
        return entries[0][1]

    def first_key(self) -> Key:
        """The smallest key; there must be one."""
        return self._keys[self.first()]

    def _sweep(self) -> None:
        if len(self._entries) > 2 * len(self._keys) + 8:  # a handful is not worth the trouble
            self._entries = [(key, item) for item, key in self._keys.items()]
            heapq.heapify(self._entries)


class Lane:
    """The jobs of one provider: those that are ready in levels and folders, all of them counted."""

    def __init__(self) -> None:
        self.counts: dict[Where, int] = dict.fromkeys(get_args(Where), 0)
        self._levels: dict[int, OrderedDict[str, _Shares]] = {}
        self._turns: Heap[int, int] = Heap()
        self._served = 0

    def first(self) -> str:
        """The id of the job whose turn it is; there must be one."""
        shares = next(iter(self._levels[self._turns.first()].values()))
        return next(iter(next(iter(shares.values()))))

    def put(self, job: Job) -> None:
        """Have a job wait behind those of its priority, folder and batch."""
        folders = self._levels.get(job.priority)
        if folders is None:
            folders = self._levels[job.priority] = OrderedDict()
            self._go_to_the_end(job.priority)
        shares = folders.setdefault(_folder(job), OrderedDict())
        shares.setdefault(job.batch or "", OrderedDict())[job.id] = None

    def drop(self, job: Job) -> None:
        """Forget a job that waits."""
        folders, folder, share = self._levels[job.priority], _folder(job), job.batch or ""
        del folders[folder][share][job.id]
        if not folders[folder][share]:
            del folders[folder][share]
        if not folders[folder]:
            del folders[folder]
        if not folders:
            del self._levels[job.priority]
            self._turns.drop(job.priority)

    def serve(self, job: Job) -> None:
        """Take out the job whose turn it is; its level, folder and batch have had theirs."""
        self._served += 1
        self._go_to_the_end(job.priority)
        folders, folder = self._levels[job.priority], _folder(job)
        folders.move_to_end(folder)
        folders[folder].move_to_end(job.batch or "")
        self.drop(job)

    def _go_to_the_end(self, priority: int) -> None:
        self._turns.put(priority, self._served - HEAD_START * priority)


class Schedule:
    """Open jobs, from their acceptance to their end.

    Args:
        limit: jobs at once.
        lane_limit: jobs at once for each provider; where they differ, a function of its name.
    """

    def __init__(self, limit: int, lane_limit: int | Callable[[str], int]) -> None:
        self._limit = limit
        self._lane_limit = lane_limit
        self._paused: frozenset[str | None] = frozenset()
        self._held: dict[str, str] = {}  # provider -> when it wants to be asked again
        self._running = 0
        self._jobs: dict[str, Job] = {}
        self._where: dict[str, Where] = {}  # nowhere: between two attempts
        self._lanes: defaultdict[str, Lane] = defaultdict(Lane)
        self._ready: Heap[str, tuple[int, int]] = Heap()  # lanes with room, and a job for it
        self._later: Heap[str, tuple[str, int]] = Heap()
        self._oldest: dict[str, str] = {}  # name -> its open job that was accepted first
        self._newer: defaultdict[str, Heap[str, int]] = defaultdict(Heap)  # name -> the others
        self._needing: set[str] = set()  # jobs that wait for others

    def add(self, job: Job) -> None:
        """Have a job wait: for older ones of its name, for what it needs, for its due time, then
        for its turn.

        One that waits already is replaced and keeps its place; one that runs is left alone.
        """
        where, before = self._where.get(job.id), self._jobs.get(job.id, job)
        if where == "running":
            return
        self._jobs[job.id] = job
        if where is not None:
            if _line(before) == _line(job):
                return
            self._move(before, None)
        self._line_up(job)

    def pick(self, now: str) -> Job | None:
        """The next job for which there is a place; it counts as running from now on.

        Args:
            now: the wall clock (RFC 3339, as `rfc3339` writes it, so that text compares as time).
        """
        while self._later and (self._jobs[self._later.first()].due or "") <= now:
            self._move(self._jobs[self._later.first()], "waiting")
        for provider in [one for one, until in self._held.items() if until <= now]:
            del self._held[provider]
            self._offer(provider)
        if self._running >= self._limit or None in self._paused or not self._ready:
            return None
        job = self._jobs[self._lanes[self._ready.first()].first()]
        self._move(job, "running")
        return job

    def done(self, job_id: str) -> None:
        """Give a running job's place back. Until it is removed, newer ones of its name wait."""
        if self._where.get(job_id) == "running":
            self._move(self._jobs[job_id], None)

    def need(self, job_id: str) -> None:
        """Have a job wait for others until they are met; it need not be here yet."""
        self._needing.add(job_id)
        if self._where.get(job_id) in ("waiting", "later"):
            self._move(self._jobs[job_id], "needs")

    def meet(self, job_id: str) -> None:
        """What a job needs is there."""
        self._needing.discard(job_id)
        if self._where.get(job_id) == "needs":
            self._let_go(self._jobs[job_id])

    def take(self, job_id: str) -> None:
        """Have a job wait for nothing until it is added again or removed: it is being ended."""
        if job_id in self._where:
            self._move(self._jobs[job_id], None)

    def keep(self, job_id: str) -> None:
        """Have a job that was picked wait until it is let go."""
        self._move(self._jobs[job_id], "kept")

    def release(self, job_ids: Iterable[str]) -> None:
        """Let go of jobs that were kept: they wait for their turn again."""
        for job_id in job_ids:
            if self._where.get(job_id) == "kept":
                self._let_go(self._jobs[job_id])

    def remove(self, job_id: str) -> None:
        """Forget a job that ended, wherever it is, and let the next of its name go."""
        self._needing.discard(job_id)
        self.take(job_id)
        job = self._jobs.pop(job_id, None)
        if job is not None:
            self._hand_on(job)

    def pause(self, providers: frozenset[str | None]) -> None:
        """Start nothing for these providers (None: for any at all), and go on with all others."""
        changed, self._paused = self._paused ^ providers, providers
        for provider in self._lanes.keys() & changed:
            self._offer(provider)

    def hold(self, provider: str, until: str) -> None:
        """Start nothing for a provider that asked for patience before some moment (RFC 3339)."""
        self._held[provider] = max(until, self._held.get(provider, ""))
        self._offer(provider)

    def is_kept_off(self, provider: str) -> bool:
        """Whether nothing is started for a provider because it asked for patience."""
        return provider in self._held

    def next_due(self) -> str | None:
        """The earliest moment at which a job may start that waits for nothing but time."""
        moments = [self._jobs[self._later.first()].due or ""] if self._later else []
        moments += [until for one, until in self._held.items() if one in self._lanes]
        return min(moments, default=None)

    def is_held(self, job_id: str, now: str) -> bool:
        """Whether a job waits for what may be long in coming: for a time that its sender chose,
        for the end of a pause, or for a budget; or for an older one of its name that does. One
        that needs others waits as long as they do, so it is for them to say."""
        job, where = self._jobs[job_id], self._where.get(job_id)
        if where == "blocked":
            return self.is_held(self._oldest[job.name], now)
        if where in ("needs", "kept"):
            return True
        if where == "later" and job.status == "waiting" and (job.due or "") > now:
            return True
        return where in ("waiting", "later") and bool(self._paused & {None, job.provider})

    @property
    def running(self) -> int:
        """How many jobs run."""
        return self._running

    def waits(self) -> dict[str, dict[Where, int]]:
        """By provider, how many jobs run, and how many wait for what."""
        return {provider: lane.counts.copy() for provider, lane in self._lanes.items()}

    def _line_up(self, job: Job) -> None:
        """Have a job wait behind the older ones of its name, and the newer ones behind it."""
        oldest = self._jobs[self._oldest.setdefault(job.name, job.id)]
        if oldest.first < job.first:
            self._newer[job.name].put(job.id, job.first)
            self._move(job, "blocked")
            return
        if oldest.id != job.id:  # an older one was retried
            self._oldest[job.name] = job.id
            self._newer[job.name].put(oldest.id, oldest.first)
            if self._where.get(oldest.id) in ("waiting", "later", "needs"):
                self._move(oldest, "blocked")
        self._let_go(job)

    def _hand_on(self, ended: Job) -> None:
        """Let the next of a name go, if it waited for this one."""
        if ended.name not in self._newer:
            del self._oldest[ended.name]
            return
        newer = self._newer[ended.name]
        if self._oldest[ended.name] == ended.id:
            heir = self._jobs[newer.first()]
            newer.drop(heir.id)
            self._oldest[ended.name] = heir.id
            if self._where.get(heir.id) == "blocked":
                self._let_go(heir)
        newer.drop(ended.id)
        if not newer:
            del self._newer[ended.name]

    def _let_go(self, job: Job) -> None:
        """No older one of its name is left: have a job wait for what it needs, for its due time, or
        for its turn."""
        if job.id in self._needing:
            self._move(job, "needs")
        else:
            self._move(job, "waiting" if job.due is None else "later")

    def _move(self, job: Job, to: Where | None) -> None:
        """Have a job be somewhere else, or nowhere."""
        lane, at = self._lanes[job.provider], self._where.pop(job.id, None)
        if at is not None:
            lane.counts[at] -= 1
        if to is not None:
            lane.counts[to] += 1
            self._where[job.id] = to
        self._running += (to == "running") - (at == "running")
        if to == "running":
            lane.serve(job)
        elif at == "waiting":
            lane.drop(job)
        elif at == "later":
            self._later.drop(job.id)
        if to == "waiting":
            lane.put(job)
        elif to == "later":
            self._later.put(job.id, (job.due or "", job.first))
        self._offer(job.provider)

    def _offer(self, provider: str) -> None:
        """Have a lane take part in the next pick, if it can; forget it where nothing is left."""
        lane = self._lanes[provider]
        running = lane.counts["running"]
        kept = provider in self._paused or provider in self._held
        if lane.counts["waiting"] and not kept and running < self._most(provider):
            self._ready.put(provider, (running, self._jobs[lane.first()].first))
            return
        self._ready.drop(provider)
        if not any(lane.counts.values()):
            del self._lanes[provider]

    def _most(self, provider: str) -> int:
        """How many jobs may run at once for a provider."""
        limit = self._lane_limit
        return limit if isinstance(limit, int) else limit(provider)


def _folder(job: Job) -> str:
    return job.name.rpartition("/")[0]


def _line(job: Job) -> tuple[str, int, str | None]:
    """Where a job lines up: as long as that is the same, it keeps its place."""
    return job.provider, job.priority, job.due
