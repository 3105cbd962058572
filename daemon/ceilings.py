"""How many jobs may be taken in: over that, a drop is refused, and nothing else. Pure.

Such a refusal says nothing of the request, so it binds nobody: the same bytes, dropped again or
touched, are judged anew, and so they are by `NAME.retry`. But for a file that lies there unchanged
it holds, also through restarts, so that nothing is run that somebody gave up.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from daemon.decisions import NOTHING, Accept, Decision, Reject, decide
from daemon.errors import Problem
from daemon.state import State


class Ceilings(NamedTuple):
    """The limits."""

    waiting: int
    """Jobs that have not ended."""
    hourly: int
    """Jobs accepted in an hour of the clock; 0 for as many as come."""


def decide_within(
    ceilings: Ceilings,
    state: State,
    wishes: Sequence[Accept | Reject],
    sights: Sequence[object],
    now: str,
) -> list[Decision]:
    """What some wishes come to together, within the limits.

    Args:
        ceilings: the limits.
        state: where all jobs stand; the wishes before each are counted besides.
        wishes: what is asked.
        sights: of each wish, what its file looked like.
        now: the wall clock (RFC 3339, in UTC).
    """
    decisions: list[Decision] = []
    taken = 0
    for wish, sight in zip(wishes, sights, strict=True):
        decision = decide(state, wish)
        if isinstance(wish, Accept) and decision.job is not None:
            decision = _judged(ceilings, state, wish, f"{sight}", (taken, now), decision)
            taken += decision.job is not None
        decisions.append(decision)
    return decisions


def _judged(
    ceilings: Ceilings,
    state: State,
    wish: Accept,
    sight: str,
    at: tuple[int, str],
    decision: Decision,
) -> Decision:
    """A new job, if there is room for it and its file was not refused as it is now."""
    key = f"over a limit: {wish.key} {sight}"
    newest = state.newest(wish.name)
    if newest is not None and newest.key == key and not wish.again:
        return NOTHING
    problem = over(ceilings, state, *at)
    if problem is None:
        return decision
    event = wish.event
    refusal = Reject(
        wish.name, key, event.request_sha256, event.task, event.labels, problem, wish.again
    )
    return decide(state, refusal)


def over(ceilings: Ceilings, state: State, taken: int, now: str) -> Problem | None:
    """Why no more can be taken in; None where one can.

    Args:
        ceilings: the limits.
        state: where all jobs stand.
        taken: how many are taken in besides.
        now: the wall clock (RFC 3339, in UTC).
    """
    again = "Then touch the file, drop it again, or use retry: it is judged anew."
    if len(state.open_jobs) + taken >= ceilings.waiting:
        return Problem(
            "limit_exceeded",
            f"{ceilings.waiting} jobs wait or run already, and no more may "
            "($DARKROOM_MAX_WAITING_JOBS)",
            hints=("Wait until some have ended, or raise that setting.", again),
        )
    hour, accepted = state.hour
    so_far = (accepted if now.startswith(hour) and hour else 0) + taken
    if ceilings.hourly and so_far >= ceilings.hourly:
        return Problem(
            "limit_exceeded",
            f"{ceilings.hourly} jobs were accepted since {now[:13]}:00Z, and no more may be in an "
            "hour ($DARKROOM_MAX_JOBS_PER_HOUR)",
            hints=("Wait for the next hour, or raise that setting.", again),
        )
    return None
