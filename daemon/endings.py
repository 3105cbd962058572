"""How an attempt ended: the problem that its job fails with, and what the diagnostics say."""

from __future__ import annotations

import structlog

from daemon.context import DryRun
from daemon.errors import LogError, Problem, problem_of
from daemon.jobs import Job
from handlers.contract import HandlerError

_log = structlog.get_logger(__name__)


def cause_of(error: Exception) -> Exception:
    """What made a handler fail: of several steps side by side, the failure that weighs most."""
    if not isinstance(error, ExceptionGroup):
        return error
    return max(map(cause_of, error.exceptions), key=_weight)


def _weight(error: Exception) -> int:
    """The log goes before a fault of ours, and that before a refusal that no retry can mend."""
    if isinstance(error, HandlerError):
        return 1 if problem_of(error).retryable else 2
    return 4 if isinstance(error, LogError) else 0 if isinstance(error, DryRun) else 3


def problem_in(job: Job, error: Exception) -> Problem:
    """The failure that a handler named, or ours if it broke."""
    if isinstance(error, HandlerError):
        return problem_of(error)
    _log.error("a handler broke", job=job.id, task=job.task, exc_info=error)
    return Problem(
        "internal",
        f"the handler of {job.task} broke: {type(error).__name__}",
        ("This is a fault of darkroom or of a plug-in; the diagnostics tell where.",),
    )


def too_many_crashes(runs: int) -> Problem:
    """Why a job is not started any more."""
    return Problem(
        "internal",
        f"the daemon died {runs} times while this job ran, so it is not started again",
        ("If the job is not to blame, use retry.",),
    )


def tell_end(job: Job, seconds: float) -> None:
    """The one line of diagnostics about an attempt."""
    tell = _log.info if job.status == "succeeded" else _log.warning
    tell(
        f"job {job.status}",
        job=job.id,
        request=job.name,
        task=job.task,
        provider=job.provider,
        attempt=job.attempt,
        code=job.error,
        due=job.due,
        seconds=round(seconds, 3),
    )
