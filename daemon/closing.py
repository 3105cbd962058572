"""Closing a batch: what it came to, once all of its items have ended."""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping, Sequence
from typing import cast

from daemon.batch import Batch
from daemon.decisions import EndBatch, Run
from daemon.errors import LogFull, Problem
from daemon.jobs import Job
from daemon.opening import Options
from daemon.recall import Recall
from daemon.requests import Request
from daemon.rows import Rows
from daemon.sheets import Sheets
from daemon.state import State
from handlers.contract import ErrorCode, HandlerError, Json, TaskRequest

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
        sheets: who draws contact sheets.
        options: how a batch is to be run, by its fields.
    """

    def __init__(
        self,
        state: State,
        recall: Recall,
        rows: Rows,
        sheets: Sheets,
        options: Callable[[TaskRequest], Options],
    ) -> None:
        self._state = state
        self._recall = recall
        self._rows = rows
        self._sheets = sheets
        self._options = options

    def catch_up(self, job: Job) -> None:
        """After a start: add what the rows of an open queue lack."""
        batch = self._state.batches.get(job.id)
        if batch is not None and batch.is_queue:
            self._rows.catch_up(job.name, job)

    async def room(self) -> None:
        """Wait until the rows of queues are not too far behind what has ended."""
        await self._rows.room()

    async def command(self, job: Job, batch: Batch) -> EndBatch:
        """What ends a batch. The rows of a queue are in their file by then."""
        if batch.is_queue:
            warnings = [*_warnings(batch), *await self._flushed(job)]
            return _end(job, batch, Run(warnings=warnings))
        request, items = await self._recall.request(job), self._state.items(job.id)
        run = Run(warnings=_warnings(batch))
        if self._options(request.fields).contact_sheet and items and not request.envelope.dry_run:
            run = await self._with_sheet(run, job, items, request)
        ends = [item.last for item in items]
        return _end(job, batch, run)._replace(items=ends, summary=request.summary)

    async def _flushed(self, job: Job) -> list[str]:
        """Have the rows of a queue written; what is to be told where that cannot be.

        Raises:
            LogFull: there was no room for them.
        """
        try:
            await self._rows.flush(job.name)
        except OSError as error:
            return [f"its rows cannot be written: {_reason(error, 'rows')}"]
        return []

    async def _with_sheet(self, run: Run, job: Job, items: Sequence[Job], request: Request) -> Run:
        """The batch with a picture of all that it made; without it, and a warning, where it cannot
        be saved.

        Raises:
            LogFull: there was no room for it.
        """
        try:
            prefix = request.envelope.prefix
            sheet = await self._sheets.saved(job, items, request.folder, prefix)
        except HandlerError as error:
            why = error.message
        except OSError as error:
            why = _reason(error, "a contact sheet")
        else:
            return run._replace(artifacts=[sheet.to_json()])
        warning = f"the contact sheet cannot be saved: {why}"
        return run._replace(warnings=[*run.warnings, warning])


def _reason(error: OSError, what: str) -> str:
    """Why something cannot be written.

    Raises:
        LogFull: for want of room, which may come.
    """
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        raise LogFull(f"there is no room for {what}") from error
    return (error.strerror or "").lower()


def _end(job: Job, batch: Batch, run: Run) -> EndBatch:
    status, problem = _outcome(job, batch)
    return EndBatch(job.id, run, status, _counts(batch), (), problem=problem)


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
