"""Where a job stands, by the words that providers have for it.

The words are compared without regard to case, and `-`, `_` and space are equal. A word that nobody
knows means that the job goes on: only what is known to be an end is one.
"""

from __future__ import annotations

from typing import Literal

from handlers.contract import Json

Standing = Literal["waiting", "running", "done", "failed", "cancelled"]

_WORDS: dict[Standing, str] = {
    "waiting": (
        "queued,in queue,pending,throttled,starting,submitted,created,preparing,queueing,waiting,"
        "scheduled,not started,validating,accepted"
    ),
    "running": (
        "in progress,processing,running,generating,dreaming,executing,progress,rendering,active,"
        "started,cancelling,cancellation requested"
    ),
    "done": "completed,succeeded,succeed,success,ready,done,ok,finished,complete",
    "failed": (
        "failed,fail,failure,error,errored,expired,timeout,timed out,aborted,request moderated,"
        "content moderated,task not found,rejected,moderated,nsfw,incomplete,deleted"
    ),
    "cancelled": "cancelled,canceled,execution interrupted,interrupted",
}
_STANDINGS = {word: standing for standing, words in _WORDS.items() for word in words.split(",")}

MODERATED = frozenset({"request moderated", "content moderated", "moderated", "nsfw"})
"""Words of failure that mean a refusal."""


def plain(word: str) -> str:
    """A word as it is compared."""
    return " ".join(word.lower().replace("-", " ").replace("_", " ").split())


def standing_of(word: str) -> Standing:
    """Where a job stands; a word that nobody knows means that it runs."""
    return _STANDINGS.get(plain(word), "running")


def goes_on(word: str | None) -> bool:
    """Whether a word is known to mean that a job is not done yet."""
    return word is not None and _STANDINGS.get(plain(word)) in ("waiting", "running")


def status_word(answer: Json) -> str | None:
    """The word for where a job stands, of its JSON; None where it has none."""
    if not isinstance(answer, dict):
        return None
    for place in (answer, answer.get("data"), answer.get("task")):
        if isinstance(place, dict):
            for name in ("status", "state", "task_status"):
                if isinstance(place.get(name), str) and place[name].strip():
                    return str(place[name])[:100]
    done = answer.get("done")
    return ("done" if done else "running") if isinstance(done, bool) else None


def fraction_of(answer: Json, whole: float) -> float | None:
    """How much of a job is done, from 0 to 1, of its `progress`.

    Args:
        answer: the job.
        whole: what the provider says at the end, 100 or 1: a 1 alone does not tell which.
    """
    progress = answer.get("progress") if isinstance(answer, dict) else None
    if isinstance(progress, str):
        progress = progress.strip().removesuffix("%")
    if isinstance(progress, bool) or not isinstance(progress, (int, float, str)):
        return None
    try:
        fraction = float(progress) / whole
    except (ValueError, OverflowError):
        return None
    return min(1.0, fraction) if fraction >= 0 else None  # NaN is neither
