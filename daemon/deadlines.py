"""When jobs begin at the earliest, and by when they must have ended. Pure.

A deadline is a moment in the log, so a restart changes nothing about it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from daemon.clock import Clock, rfc3339
from daemon.envelope import Envelope
from daemon.errors import Problem
from daemon.jobs import Job
from daemon.schedule import Heap


def start_of(envelope: Envelope, now: str) -> str | None:
    """When a job may start at the earliest; what lies in the past is at once."""
    moment = envelope.not_before
    return moment if moment is not None and moment > now else None


def deadline_of(envelope: Envelope, now: datetime) -> str | None:
    """By when a job that is accepted now must have ended."""
    seconds = envelope.deadline_seconds
    return rfc3339(now + timedelta(seconds=seconds)) if seconds is not None else None


class Deadlines:
    """The deadlines of open jobs, the earliest first."""

    def __init__(self) -> None:
        self._heap: Heap[str, str] = Heap()

    def add(self, job: Job) -> None:
        """Take in an open job, if it has a deadline."""
        if job.deadline is not None:
            self._heap.put(job.id, job.deadline)

    def drop(self, job_id: str) -> None:
        """Forget a job that ended."""
        self._heap.drop(job_id)

    def next(self) -> str | None:
        """The earliest deadline."""
        return self._heap.first_key() if self._heap else None

    def take(self, now: str) -> str | None:
        """A job whose deadline came; it is not told again."""
        if not self._heap or self._heap.first_key() > now:
            return None
        job_id = self._heap.first()
        self._heap.drop(job_id)
        return job_id


def is_late(job: Job, clock: Clock) -> bool:
    """Whether a job should have ended by now."""
    return job.deadline is not None and job.deadline <= clock.stamp()


def too_late(job: Job) -> Problem:
    """Why a job ends whose deadline came."""
    return Problem(
        "deadline_exceeded",
        f"the job was accepted at {job.accepted_at} and had to end by {job.deadline}; "
        f"it was still {job.status} then",
        hints=(
            "Drop it again with a larger deadline_seconds.",
            "Or use retry: that runs it again without a deadline.",
        ),
    )


def last_attempt(problem: Problem, due: str, deadline: str) -> Problem:
    """What went wrong, where no time is left to try again."""
    hint = f"Another attempt at {due} would have begun after the deadline, {deadline}."
    return replace(problem, hints=(*problem.hints, hint))


def left_over(jobs: Sequence[Job], now: str) -> list[str]:
    """What is told of jobs that a drain leaves as they wait for what may be long in coming."""
    times = [job.due for job in jobs if job.status == "waiting" and job.due and job.due > now]
    others = len(jobs) - len(times)
    told = []
    if times:
        whose = "job waits for its" if len(times) == 1 else "jobs wait for their"
        told.append(f"{len(times)} {whose} time, the first at {min(times)}")
    if others:
        what = "job waits" if others == 1 else "jobs wait"
        whom = (
            "for the end of a pause, for a budget, for another request, or for an older drop of "
            "the same name"
        )
        told.append(f"{others} {what} {whom}")
    return told
