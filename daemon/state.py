"""The state: a fold over the log and nothing else. Pure.

`State.apply` takes in one event, in place, because copying a hundred thousand jobs for each event
is not to be paid for. What has been quiet for a while may lie in an archive (`daemon.index`) and
is read from there when somebody asks: memory holds what is open, not all that ever was.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

from daemon.accounts import Accounts
from daemon.archive import Archive, Changes, Drop, Items, Nothing, Touched
from daemon.backed import Backed
from daemon.batch import Batch, extended, moved, opened
from daemon.events import (
    BatchEnded,
    BatchOpened,
    BudgetFreed,
    BudgetReached,
    Event,
    IntakePaused,
    IntakeResumed,
    ItemRejected,
    JobAccepted,
    JobCancelled,
    JobFailed,
    JobRetryRequested,
    JobSucceeded,
    ProviderAccepted,
    ProviderAnswered,
    ProviderRequested,
    QueueExtended,
    Recorded,
    RequestMatched,
    RequestRejected,
    ResultEmitted,
)
from daemon.jobs import Job, account_of, evolve, parent_of


class State:
    """Everything known, folded from the log."""

    def __init__(self) -> None:
        self._archive: Archive = Nothing()
        self.jobs: Backed[Job] = Backed(self._archive.job)
        self.drops: Backed[dict[str, Drop]] = Backed(self._archive.drops)
        """By name and key, the newest last. Changed in place: a name may be used for years."""
        self.ids: Backed[tuple[str, str]] = Backed(self._archive.sender_id)
        """The senders' ids: id -> (digest of the body, job)."""
        self.open_jobs: dict[str, None] = {}
        """Jobs that have not ended, in the order of their acceptance."""
        self.owed: dict[str, int] = {}
        """Names whose newest answer has not been put in place: name -> the sequence it tells of."""
        self.held: Counter[str] = Counter()
        """SHA-256 of a media blob -> how many jobs may still need it."""
        self.request_blobs: set[str] = set()
        """SHA-256 of the blobs that requests are made of; kept for as long as the log."""
        self.counts: Counter[str] = Counter()
        """How many jobs stand where, by status; and how many drops were rejected."""
        self.batches: Backed[Batch] = Backed(self._archive.batch)
        """By the id of its job."""
        self._items = Items()
        self.paused = False
        self.accounts = Accounts()
        self.hour = ("", 0)
        """An hour of the clock ("2026-11-25T21"), and how many jobs were accepted in it."""
        self.sequence = 0
        self._touched = Touched()

    def use(self, archive: Archive) -> None:
        """Look there for what is not at hand, from now on."""
        self._archive = archive
        self.jobs.load, self.drops.load = archive.job, archive.drops
        self.ids.load, self.batches.load = archive.sender_id, archive.batch

    def take_up(self, jobs: Iterable[Job]) -> None:
        """Have these at hand, as the archive knows them."""
        for job in jobs:
            self.jobs[job.id] = job
            self._items.put(job)

    def apply(self, recorded: Recorded) -> None:
        """Take in the next event of the log."""
        sequence, _, _, _, job, event = recorded
        self.sequence = sequence
        if event is None:
            return
        if job is not None:
            self._apply_to_job(job, recorded, event)
        reading = self._READINGS.get(type(event))
        if reading is not None:
            reading(self, recorded, event)

    def __eq__(self, other: object) -> bool:
        """Whether two states hold the same at hand."""
        if not isinstance(other, State):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self._COMPARED)

    __hash__ = None  # type: ignore[assignment]

    _COMPARED = (
        "jobs", "drops", "ids", "open_jobs", "owed", "held", "request_blobs", "counts", "paused",
        "accounts", "hour", "sequence", "batches",
    )  # fmt: skip

    def _apply_to_job(self, job_id: str, recorded: Recorded, event: Event) -> None:
        # One that is being accepted was never there before, so nothing is looked for.
        before = None
        if type(event) is not JobAccepted and type(event) is not ItemRejected:
            before = dict.get(self.jobs, job_id) or self.jobs.get(job_id)
        job = evolve(before, recorded)
        if job is None:
            return
        self.jobs[job_id] = job
        self._touched.jobs[job_id] = None
        if before is None:
            self.counts[job.status] += 1
        elif job.status != before.status:
            self.counts[job.status] += 1
            self.counts[before.status] -= 1
        if job.hold != (before.hold if before is not None else ()):
            self._hold(before, job)
        if job.batch is not None:
            self._move_item(job.batch, before, job)

    # ------------------------------------------------------------ one event each

    def _accepted(self, recorded: Recorded, event: JobAccepted) -> None:
        job_id = recorded.job
        if job_id is None:
            return
        self.open_jobs[job_id] = None
        hour, accepted = self.hour
        self.hour = (recorded.time[:13], accepted + 1 if recorded.time.startswith(hour) else 1)
        if event.blobs:
            self._keep(event.blobs.values())
        if event.batch is not None:  # it is answered by a row of its batch
            return
        if event.request_id is not None and event.body_sha256 is not None:
            self.ids[event.request_id] = (event.body_sha256, job_id)
            self._touched.ids[event.request_id] = None
        # One text for both, as they mostly are the same.
        sha256 = event.request_sha256
        key = sha256 if event.content_sha256 == sha256 else event.content_sha256
        self._drop(recorded, Drop(key, sha256, job_id, self.sequence))

    def _item_rejected(self, recorded: Recorded, event: ItemRejected) -> None:
        self.open_jobs.pop(recorded.job or "", None)
        self._keep(event.blobs.values())

    def _opened(self, recorded: Recorded, event: BatchOpened) -> None:
        blobs = (event.manifest, event.variables)
        self._keep(digest for digest in blobs if digest is not None)
        self._set_batch(opened(recorded.job or "", event))

    def _extended(self, recorded: Recorded, event: QueueExtended) -> None:
        """Of a queue only the newest state of its file is known: it may grow ten thousand times."""
        job_id, name = recorded.job or "", recorded.subject or ""
        if self.jobs.get(job_id) is None:
            return
        self._keep([event.blob] if event.blob is not None else [])
        self._set_batch(extended(self.batches.get(job_id), job_id, self.sequence, event))
        self.open_jobs[job_id] = None
        sha256 = event.request_sha256
        self.drops[name] = {}
        self._drop(recorded, Drop(sha256, sha256, job_id, self.sequence))

    def _again(self, recorded: Recorded, _: JobRetryRequested) -> None:
        job = self.jobs.get(recorded.job or "")
        if job is not None:
            self.open_jobs[job.id] = None
            for name in self.names_of(job):
                self._owe(name, None)

    def _ended(self, recorded: Recorded, _: Event) -> None:
        job = self.jobs.get(recorded.job or "")
        if job is not None:
            if job.id in self.accounts.claims:
                self.accounts.apply(recorded, None)
            self.open_jobs.pop(job.id, None)
            for name in self.names_of(job):
                self._owe(name, self.sequence)

    def _match(self, recorded: Recorded, event: RequestMatched) -> None:
        name, job = recorded.subject or "", self.jobs.get(event.answered_by)
        if job is None:
            return
        self._drop(recorded, Drop(event.key, event.request_sha256, job.id, self.sequence))
        if name != job.name and name not in job.matched:
            self.jobs[job.id] = job._replace(matched=(*job.matched, name))
            self._touched.jobs[job.id] = None
        if job.ended:
            self._owe(name, job.last)

    def _rejected(self, recorded: Recorded, event: RequestRejected) -> None:
        self.counts["rejected"] += 1
        self._drop(recorded, Drop(event.key, event.request_sha256, None, self.sequence))
        self._owe(recorded.subject or "", self.sequence)

    def _emitted(self, recorded: Recorded, event: ResultEmitted) -> None:
        if self.owed.get(recorded.subject or "") == event.answers:
            self._owe(recorded.subject or "", None)

    def _booked(self, recorded: Recorded, _: Event) -> None:
        job = self.jobs.get(recorded.job or "")
        self.accounts.apply(recorded, account_of(job) if job is not None else None)

    def _paused(self, _: Recorded, event: Event) -> None:
        self.paused = type(event) is IntakePaused

    _READINGS: ClassVar[Mapping[type[Event], Callable[[State, Recorded, Any], None]]] = {
        JobAccepted: _accepted,
        ItemRejected: _item_rejected,
        BatchOpened: _opened,
        QueueExtended: _extended,
        BatchEnded: _ended,
        JobRetryRequested: _again,
        JobSucceeded: _ended,
        JobFailed: _ended,
        JobCancelled: _ended,
        RequestMatched: _match,
        RequestRejected: _rejected,
        ResultEmitted: _emitted,
        IntakePaused: _paused,
        IntakeResumed: _paused,
        ProviderRequested: _booked,
        ProviderAccepted: _booked,
        ProviderAnswered: _booked,
        BudgetReached: _booked,
        BudgetFreed: _booked,
    }

    # ------------------------------------------------------------ batches

    def _set_batch(self, batch: Batch) -> None:
        self.batches[batch.id] = batch
        self._touched.batches[batch.id] = None

    def _move_item(self, batch_id: str, before: Job | None, item: Job) -> None:
        """An item of a batch was admitted, or stands elsewhere. A batch that had ended and one of
        whose items runs again is open again."""
        if before is None:
            self._items.put(item)
        elif before.status == item.status:
            return
        batch = self.batches.get(batch_id)
        if batch is None:
            return
        self._set_batch(moved(batch, before.status if before is not None else None, item))
        if not item.ended:
            self._reopen(batch_id)

    def _reopen(self, batch_id: str) -> None:
        job = self.jobs.get(batch_id)
        if job is None or (job.status == "running"):
            return
        self.counts[job.status] -= 1
        self.counts["running"] += 1
        job = self.jobs[batch_id] = job._replace(status="running", last=0, error=None)
        self._touched.jobs[batch_id] = None
        self.open_jobs[batch_id] = None
        for name in self.names_of(job):
            self._owe(name, None)

    def items(self, batch_id: str) -> list[Job]:
        """The items of a batch that were admitted, in their order."""
        found = {job.id: job for job in self._archive.items(batch_id)}
        found |= {job_id: self.jobs[job_id] for job_id in self._items.of(batch_id)}
        return sorted(found.values(), key=lambda job: job.item)

    def item_named(self, name: str) -> Job | None:
        """The item with a name as `queue.jsonl#17`, of the newest batch of that name."""
        parent, number = parent_of(name)
        newest = self.newest(parent) if number else None
        job_id = self.item(newest.job, number) if newest is not None and newest.job else None
        return self.jobs.get(job_id) if job_id else None

    def item(self, batch_id: str, wanted: int | str) -> str | None:
        """The job of an item of a batch, by its number or by its id; None where there is none."""
        return self._items.find(batch_id, wanted) or self._archive.item(batch_id, wanted)

    # ------------------------------------------------------------ bookkeeping

    def _keep(self, digests: Iterable[str]) -> None:
        """Keep blobs for as long as the log: requests are made of them."""
        for digest in digests:
            self.request_blobs.add(digest)
            self._touched.blobs.add(digest)

    def _owe(self, name: str, answers: int | None) -> None:
        if answers is not None:
            self.owed[name] = answers
            self._touched.owed[name] = None
        elif self.owed.pop(name, None) is not None:
            self._touched.owed[name] = None

    def _hold(self, before: Job | None, after: Job) -> None:
        self.held.update(after.hold)
        self.held.subtract(before.hold if before is not None else ())
        for digest in before.hold if before is not None else ():
            if self.held[digest] <= 0:
                del self.held[digest]

    def _drop(self, recorded: Recorded, drop: Drop) -> None:
        name = recorded.subject or ""
        drops = self.drops.get(name) or {}
        drops.pop(drop.key, None)
        drops[drop.key] = drop
        self.drops[name] = drops
        self._touched.names[name] = None
        self._owe(name, None)

    # ------------------------------------------------------------ asking

    def needs(self, digest: str) -> bool:
        """Whether a job or a request may still need the blob with this SHA-256."""
        at_hand = digest in self.held or digest in self.request_blobs
        return at_hand or self._archive.is_request_blob(digest)

    def version(self, job_id: str) -> int:
        """How many events a job's stream has."""
        job = self.jobs.get(job_id)
        return job.version if job is not None else 0

    def newest(self, name: str) -> Drop | None:
        """The newest drop under a name."""
        drops = self.drops.get(name)
        return next(reversed(drops.values())) if drops else None

    def known(self, name: str, key: str) -> Drop | None:
        """The drop of a name with this key, newest or not."""
        drops: dict[str, Drop] = self.drops.get(name, {})
        return drops.get(key)

    def names_of(self, job: Job) -> list[str]:
        """The names whose newest drop this job answers; an item answers none."""
        if job.batch is not None:
            return []
        names = [job.name, *job.matched]
        return [
            name
            for name in names
            if (newest := self.newest(name)) is not None and newest.job == job.id
        ]

    # ------------------------------------------------------------ archiving

    def fetch(self, names: Iterable[str]) -> None:
        """Have at hand what the archive knows of these names, found with one look; also that it
        knows nothing of them."""
        if isinstance(self._archive, Nothing):
            return
        missing = [name for name in names if name not in self.drops]
        found = self._archive.drops_of(missing)
        for name in missing:
            self.drops[name] = found.get(name, {})
            self._touched.fetched.append(name)

    @property
    def changed(self) -> int:
        """How many jobs and names changed, or were fetched, since the changes were last taken."""
        touched = self._touched
        return len(touched.jobs) + len(touched.names) + len(touched.fetched)

    def take_changes(self) -> Changes:
        """What changed since the last time; from now on it counts as taken."""
        touched, self._touched = self._touched, Touched()
        return Changes(
            sequence=self.sequence,
            jobs=tuple(self.jobs[job_id] for job_id in touched.jobs),
            drops={name: tuple(self.drops[name].values()) for name in touched.names},
            owed={name: self.owed.get(name) for name in touched.owed},
            ids={wanted: self.ids[wanted] for wanted in touched.ids},
            request_blobs=frozenset(touched.blobs),
            held=dict(self.held),
            counts=dict(self.counts),
            paused=self.paused,
            accounts=self.accounts.to_json(),
            hour=self.hour,
            fetched=tuple(touched.fetched),
            batches=tuple(self.batches[job_id] for job_id in touched.batches),
        )

    def let_go(self, changes: Changes) -> list[str]:
        """Forget what the archive has now, as far as it is quiet: jobs that ended and names whose
        answer lies there. What changed since the changes were taken stays.

        Returns:
            The jobs that are not at hand any more.
        """
        gone = []
        for job in changes.jobs:
            if job.ended and dict.get(self.jobs, job.id) is job:
                del self.jobs[job.id]
                gone.append(job.id)
                self._items.drop(job)
        self._let_go_of_names({*changes.drops, *changes.owed, *changes.fetched})
        for wanted in changes.ids:
            self.ids.pop(wanted, None)
        for batch in changes.batches:
            if batch.id not in self.open_jobs and dict.get(self.batches, batch.id) is batch:
                del self.batches[batch.id]
        self.request_blobs -= changes.request_blobs - self._touched.blobs
        return gone

    def _let_go_of_names(self, names: Iterable[str]) -> None:
        for name in names:
            drops = dict.get(self.drops, name)
            if drops is None or name in self.owed or name in self._touched.names:
                continue
            if not any(drop.job in self.open_jobs for drop in drops.values()):
                del self.drops[name]


def fold(events: Iterable[Recorded]) -> State:
    """The state after these events."""
    state = State()
    for recorded in events:
        state.apply(recorded)
    return state
