"""Closing a batch: what it came to, once all of its items have ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from daemon.batch import Batch
from daemon.decisions import EndBatch, Run
from daemon.errors import Problem
from daemon.jobs import Job
from daemon.recall import Recall
from daemon.rows import Rows
from daemon.state import State
from handlers.contract import ErrorCode, Json

_CANCELLED = Problem(
    "cancelled",
    "the batch was cancelled before it was done",
    ("Use retry to run those items again that did not succeed.",),
)


_AGAIN = "The row of each says why; use retry to run those again that failed."
_MEND = "The row of each says why; mend them, and drop the file again."


class Closing:
    """Says what batches came to.

    Args:
        state: where their items stand.
        recall: has the requests of batches.
        rows: what is told of the items of queues.
    """

    def __init__(self, state: State, recall: Recall, rows: Rows) -> None:
        self._state = state
        self._recall = recall
        self._rows = rows

    def catch_up(self, job: Job) -> None:
        """After a start: add what the rows of an open queue lack."""
        batch = self._state.batches.get(job.id)
        if batch is not None and batch.is_queue:
            self._rows.catch_up(job.name, job)

    async def command(self, job: Job, batch: Batch) -> EndBatch:
        """What ends a batch. The rows of a queue are in their file by then."""
        items: Sequence[Job] = ()
        summary: str | None = None
        if batch.is_queue:
            await self._rows.flush(job.name)
        else:
            items = self._state.items(job.id)
            summary = (await self._recall.request(job)).summary
        status, problem = _outcome(job, batch)
        return EndBatch(
            job.id,
            Run(warnings=list(_warnings(batch))),
            status,
            _counts(batch),
            [item.last for item in items],
            summary,
            problem,
        )


def _outcome(job: Job, batch: Batch) -> tuple[str, Problem | None]:
    """How a batch ended, and why not well."""
    good = batch.ended("succeeded")
    if job.cancelling:
        return "cancelled", _CANCELLED
    if good == batch.total:
        return "succeeded", None
    return "partial" if good else "failed", _problem(batch)


def _problem(batch: Batch) -> Problem:
    number, code = batch.bad or (0, "cancelled")
    failed = batch.total - batch.ended("succeeded")
    example = f", such as item {number}: {code}" if number else ""
    return Problem(
        cast("ErrorCode", code),
        f"{failed} of {batch.total} items did not succeed{example}",
        (_AGAIN if batch.ended("failed", "cancelled") else _MEND,),
        retryable=bool(batch.ended("failed", "cancelled")),
    )


def _warnings(batch: Batch) -> Sequence[str]:
    if not batch.is_queue or not batch.rest:
        return [] if batch.total else ["there was no item in it"]
    return ["its last line has no end and is no JSON yet: it is an item once it is whole"]


def _counts(batch: Batch) -> Mapping[str, Json]:
    counts: dict[str, Json] = {
        "count": batch.total,
        "succeeded": batch.ended("succeeded"),
        "failed": batch.ended("failed"),
        "cancelled": batch.ended("cancelled"),
        "rejected": batch.ended("rejected"),
    }
    if not batch.is_queue:
        return counts
    missing = None if batch.expected is None else max(0, batch.expected - batch.in_file)
    queue = {"known": batch.known, "complete": batch.end and not missing, "missing": missing}
    return {**counts, **queue}
