"""Promise 2, in one place: may a call that can cost money be sent again? Pure.

Whatever a provider makes of a reply, the daemon knows what left and what came back. The first is
known to have failed where no connection was made, or where the reply says that nothing was done;
it is known to have been done with a 2xx; in between nobody knows.
"""

from __future__ import annotations

from dataclasses import dataclass

from handlers.contract import HandlerError, Kind

_SAYS_NO = {"image": frozenset({500, 501, 503}), "video": frozenset({501})}
"""Statuses of the server's side that say that nothing was made. A gateway's 502 and 504 do not, and
a video may have been begun before its server failed."""


def is_known_failure(status: int, creates: Kind) -> bool:
    """Whether a reply says that a call did not do what it was to do."""
    return 300 <= status < 500 or status in _SAYS_NO[creates]


@dataclass(slots=True)
class Sent:
    """What left of one exchange that could cost money."""

    unknown: bool = False
    """Something may have been done, and nobody knows."""
    done: bool = False
    """Something was done."""

    def lost(self) -> None:
        """A call left, and no whole reply came."""
        self.unknown = True

    def replied(self, status: int, creates: Kind) -> None:
        """A reply came."""
        if 200 <= status < 300:
            self.done = True
        elif not is_known_failure(status, creates):
            self.unknown = True

    def judge(self, error: HandlerError, provider: str, *, idempotent: bool) -> HandlerError:
        """What a failure of the exchange comes to.

        Args:
            error: as the provider told it.
            provider: its name.
            idempotent: whether the same call may be sent again all the same.
        """
        if self.unknown and idempotent:
            return _told_again(error)
        if self.unknown:
            return lost_answer(provider, error)
        if self.done:
            error.retryable = False  # what was done is never paid for again
        return error


def lost_answer(provider: str, cause: HandlerError | None = None) -> HandlerError:
    """The failure of a paid call of which nobody knows whether it was done.

    Args:
        provider: its name.
        cause: what is known of how it failed.
    """
    how = "" if cause is None or cause.code == "ambiguous_submit" else f" ({cause.message})"
    return HandlerError(
        "ambiguous_submit",
        f"a paid call to {provider} was sent and its answer was lost; "
        f"it may have been done and billed{how}",
        hints=[
            "Look at the provider's own list of jobs before you pay again.",
            "To send it again all the same, use retry.",
        ],
        faults=cause.faults if cause is not None else (),
        http=cause.http if cause is not None else None,
    )


def _told_again(error: HandlerError) -> HandlerError:
    """A call with an idempotency key whose answer was lost: it is sent again."""
    if error.code not in ("provider_timeout", "provider_unavailable"):
        error = HandlerError(
            "provider_unavailable", error.message, hints=error.hints, http=error.http
        )
    error.retryable = True
    return error
