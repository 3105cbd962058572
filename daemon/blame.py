"""Why a job cannot start that waited for other requests, told with the chain that leads there.
Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from daemon.errors import Problem
from daemon.events import ItemRejected, JobEnded, Recorded, RequestRejected
from daemon.jobs import Job
from daemon.references import Target
from handlers.contract import ErrorCode

MAX_DEPTH = 10
"""Requests that may wait for each other in a row, besides the first of them."""

LONGEST = 2000
"""Characters of a chain that are told."""

Get = Callable[[int], Recorded]

_HOW = {
    "failed": "which failed",
    "cancelled": "which was cancelled",
    "rejected": "which was rejected",
    "partial": "which succeeded in part only",
}


def broken(job: Job, target: Target, get: Get) -> Problem:
    """What a job needs was rejected, or ended without success: each of a chain says why."""
    sequence = target.job.last if target.job is not None else target.rejected
    event = get(sequence).event
    error = event.error if isinstance(event, JobEnded | RequestRejected | ItemRejected) else None
    status = target.job.status if target.job is not None else "rejected"
    how = _HOW.get(status, f"which is {status}")
    why, hints = "", ()
    if error is not None and error["code"] == "dependency_failed":
        why, hints = f" (dependency_failed): {error['message']}", error["hints"]
    elif error is not None and error["code"] != "cancelled":
        why = f": {error['code']}: {error['message']}"
    hint = f"When {shown(target.name)} has succeeded, use retry on {shown(job.name)}."
    message = f"{shown(job.name)} needs {shown(target.name)}, {how}{why}"
    return _problem(message, [*hints, hint])


def not_there(job: Job, names: Sequence[str], seconds: float) -> Problem:
    """What a job needs did not come in time."""
    return _problem(
        f"{shown(job.name)} needs {listed(names)}, which did not come within {seconds:g} s",
        [
            "A request is named as its file, without its folder: both lie in the same one.",
            f"Drop what is missing, then use retry on {shown(job.name)}.",
        ],
    )


def elsewhere(job: Job, reference: str) -> Problem:
    """What a job needs is named with a folder."""
    return _problem(
        f"{shown(reference)} names a folder", [f"Name a request of the folder of {job.name}."]
    )


def circle(chain: Sequence[str]) -> Problem:
    """A job waits for itself, over others or at once.

    Args:
        chain: their names, the job's own at both ends.
    """
    return _problem(
        f"{shown(chain[0])} waits for itself: {path_of(chain)}",
        ["Drop one of these again without what it waits for, then use retry on the others."],
    )


def too_deep(chain: Sequence[str]) -> Problem:
    """Too many wait for each other in a row.

    Args:
        chain: their names, the job's own first.
    """
    return _problem(
        f"{shown(chain[0])} waits for {len(chain) - 1} requests in a row, and {MAX_DEPTH} may be: "
        f"{path_of(chain)}",
        [f"When {shown(chain[1])} has succeeded, use retry on {shown(chain[0])}."],
        "limit_exceeded",
    )


def needed(targets: Sequence[Target]) -> str:
    """What a job waits for, in a few words."""
    missing = [one.name for one in targets if one.job is None and not one.rejected]
    there = [one.name for one in targets if one.name not in missing]
    told = [listed(there)] if there else []
    return "; ".join([*told, f"{listed(missing)}, not there yet"] if missing else told)


def path_of(chain: Sequence[str]) -> str:
    """Names in the order in which they wait for each other."""
    return " → ".join(map(shown, chain))


def listed(names: Sequence[str]) -> str:
    """Some names in a sentence."""
    first, *others = [shown(name) for name in names[:4]]
    if len(names) > 4:
        return f"{first}, {', '.join(others[:2])} and {len(names) - 3} more"
    return f"{', '.join([first, *others[:-1]])} and {others[-1]}" if others else first


def shown(name: str) -> str:
    """A name as messages repeat it."""
    return name if len(name) <= 200 else name[:199] + "…"


def _problem(message: str, hints: Sequence[str], code: ErrorCode = "dependency_failed") -> Problem:
    cut = message if len(message) <= LONGEST else message[: LONGEST - 1] + "…"
    return Problem(code, cut, tuple(hints))
