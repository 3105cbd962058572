"""Following one batch, for a client that waits for it: how far it is, by the end of the log.

What was before is read once, as every looking command does it; after that only the lines that come,
and of these only the ones that tell of an item's end. So a batch of any size costs next to nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydantic_core import to_json

from daemon.archive import Drop
from daemon.errors import UsageError
from daemon.events import (
    BatchOpened,
    Event,
    ItemRejected,
    JobAccepted,
    JobCancelled,
    JobFailed,
    JobRetryRequested,
    JobSucceeded,
    QueueExtended,
    Recorded,
    RequestMatched,
)
from daemon.jobs import BATCH, QUEUE, Job, parent_of
from daemon.lines import decode
from daemon.reading import look
from daemon.settings import Settings
from daemon.state import State
from daemon.tally import Tally

_ENDS: Mapping[type[Event], str] = {
    JobSucceeded: "succeeded",
    JobFailed: "failed",
    JobCancelled: "cancelled",
    ItemRejected: "rejected",
}
_TELL: tuple[type[Event], ...] = (
    *_ENDS,
    JobAccepted,
    JobRetryRequested,
    BatchOpened,
    QueueExtended,
    RequestMatched,
)
_TYPES = tuple(f'"type":"{kind.TYPE}"'.encode() for kind in _TELL)

_MOST = 64 << 20
"""Bytes of the log that are read at one look."""


def may_be_batch(name: str, data: bytes) -> bool:
    """Whether what is dropped may become a batch, without parsing it."""
    return name.endswith(QUEUE) or data.lstrip()[:1] == b"[" or f'"{BATCH}"'.encode() in data


class Following:
    """How far the batch is that somebody dropped.

    Args:
        settings: which root.
        name: what it was dropped as.
        sha256: of its bytes.
    """

    def __init__(self, settings: Settings, name: str, sha256: str) -> None:
        self._settings = settings
        self._dropped = (name, sha256)
        self._name = name
        self._job: str | None = None
        self._tally: Tally | None = None
        self._ended: dict[int, str] = {}
        """How the items ended that did so since it is followed, by their numbers."""
        self._place: tuple[int, int] | None = None
        """Up to where the log is read: a segment's number, and bytes of it."""

    def look(self) -> Tally | None:
        """How far it is; None where the log does not say that it is a batch.

        Raises:
            LogCorrupt: a line is not what was once written.
        """
        if self._place is None:
            self._begin()
        else:
            for recorded in self._news():
                if not self._apply(recorded):
                    self._begin()  # what has to be known happened before it was followed
                    break
        return self._tally

    def _begin(self) -> None:
        try:
            reading = look(self._settings)
        except UsageError:
            return  # the daemon has just begun, and the log has not
        self._ended.clear()
        self._tally = self._job = None
        _, _, segment, _, end = reading.segments.position
        self._place = segment, end
        state = reading.state
        job = self._find(state)
        if job is not None and job.is_batch:
            self._job, self._name = job.id, job.name
            batch = state.batches.get(job.id)
            self._tally = Tally.of(batch) if batch is not None else None
        if reading.index is not None:
            reading.index.close()  # a reader that stays would keep it from being tidied

    def _find(self, state: State) -> Job | None:
        """The job that answers what was dropped."""
        name, sha256 = self._dropped
        drops: dict[str, Drop] = state.drops.get(name, {})
        jobs = [
            drop.job
            for drop in drops.values()
            if drop.job is not None and (drop.request_sha256 == sha256 or name.endswith(QUEUE))
        ]
        return state.jobs[jobs[-1]] if jobs else None

    # ------------------------------------------------------------ what comes

    def _news(self) -> Iterator[Recorded]:
        """The events since the last look that concern the batch."""
        wanted = {b'"subject":' + to_json(name)[:-1] for name in (self._name, self._dropped[0])}
        read = 0
        while self._place is not None and read < _MOST:
            number, offset = self._place
            path = self._settings.events / f"{number:08d}.jsonl"
            newer = path.with_name(f"{number + 1:08d}.jsonl").exists()  # asked before the end is
            with path.open("rb") as file:
                file.seek(offset)
                for line in file:
                    if not line.endswith(b"\n"):
                        break
                    offset += len(line)
                    read += len(line)
                    self._place = number, offset
                    head = line[:4000]
                    if any(one in head for one in wanted) and any(one in head for one in _TYPES):
                        yield decode(line, f"{path.name}, byte {offset - len(line)}")[0]
                    if read >= _MOST:
                        return
            if not newer:
                return
            self._place = number + 1, 0

    def _apply(self, recorded: Recorded) -> bool:
        """Take in an event; False where that takes more than is known here."""
        event, name = recorded.event, recorded.subject or ""
        if name == self._dropped[0] and isinstance(event, RequestMatched):
            return False
        if name == self._name:
            return self._apply_own(recorded)
        batch, number = parent_of(name)
        if batch != self._name or not number or self._tally is None:
            return True
        if isinstance(event, JobRetryRequested):
            return self._moved(number, None)
        status = _ENDS.get(type(event)) if event is not None else None
        return self._moved(number, status) if status is not None else True

    def _apply_own(self, recorded: Recorded) -> bool:
        """Take in an event of the batch itself."""
        event = recorded.event
        if isinstance(event, JobAccepted) and event.task == BATCH:
            if self._is_dropped(event):
                self._job, self._tally = recorded.job, None
        elif recorded.job is None or recorded.job != self._job:
            return True
        elif isinstance(event, BatchOpened):
            self._tally = Tally(event.count)
        elif isinstance(event, QueueExtended):
            tally = self._tally or Tally(0)
            self._tally = tally._replace(total=tally.total + event.lines)
        return True

    def _is_dropped(self, event: JobAccepted) -> bool:
        return self._name.endswith(QUEUE) or event.request_sha256 == self._dropped[1]

    def _moved(self, number: int, status: str | None) -> bool:
        before = self._ended.pop(number, None)
        if status is None and before is None:
            return False
        if self._tally is not None:
            self._tally = self._tally.moved(before, status)
        if status is not None:
            self._ended[number] = status
        return True
