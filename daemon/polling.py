"""When a provider is asked for what it works on, and when that is given up. Pure.

The provider's own hints decide when to ask again; without them the waits grow from the first to
the longest. What fails on the way and may pass is waited out; the call itself is never sent again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from daemon.envelope import Envelope
from daemon.errors import may_pass
from daemon.settings import Settings
from handlers.contract import HandlerError
from handlers.wire import Pending, Ticket

GROWTH = 1.5
FAILURES = 5
"""How often in a row asking may fail before the attempt does."""
LEAST = 0.25
"""Seconds between two questions, at the least, whatever the provider says; fewer only where the
first wait is shorter."""
_STEEP = 64
"""Growth beyond so many questions comes to the longest wait anyway."""


@dataclass(frozen=True, slots=True)
class Cadence:
    """When to ask."""

    first: float
    """Seconds until the first question."""
    longest: float
    """Seconds between two of them, at the most, where the provider does not say."""
    until: float
    """When to give up, on the monotonic clock."""
    most: int | None = None
    """Questions, at the most."""


@dataclass(frozen=True, slots=True)
class Watch:
    """A call that a provider took, and how often it was asked for."""

    provider: str
    ticket: Ticket
    cadence: Cadence
    timeout: float
    """Seconds that one question may take."""
    polls: int = 0
    failures: int = 0
    """In a row."""

    def first_due(self, now: float) -> float:
        """When to ask first; or, where it was asked for before, when to go on asking."""
        return self.due(now, self.ticket.wait if self.polls == 0 else None)

    def due(self, now: float, wait: float | None) -> float:
        """When to ask next.

        Args:
            now: the monotonic clock.
            wait: seconds that the provider wants us to wait, where it said so.
        """
        cadence = self.cadence
        grown = min(cadence.first * GROWTH ** min(self.polls, _STEEP), cadence.longest)
        if wait is not None:
            grown = max(wait, min(cadence.first, LEAST))
        return max(now, self.in_time(now + grown))

    def in_time(self, moment: float) -> float:
        """A moment, or that at which it is given up."""
        return min(moment, self.cadence.until)

    def after(self, answer: Pending | HandlerError, now: float) -> Watch | HandlerError:
        """What an answer comes to that is no outcome: to ask again, or why not."""
        failures = self.failures + 1 if isinstance(answer, HandlerError) else 0
        asked = replace(self, polls=self.polls + 1, failures=failures)
        if isinstance(answer, HandlerError) and (not may_pass(answer) or failures >= FAILURES):
            return answer
        most = self.cadence.most
        if most is not None and asked.polls >= most:
            return _given_up(f"was not done with it after {asked.polls} polls")
        return asked if now < self.cadence.until else _given_up("was not done with it in time")


def cadence_of(envelope: Envelope, settings: Settings, until: float) -> Cadence:
    """When to ask for the calls of a request.

    Args:
        envelope: what the request says.
        settings: what counts where it says nothing.
        until: when to give up, on the monotonic clock.
    """
    first = envelope.poll_interval or settings.poll_seconds
    return Cadence(first, max(first, settings.poll_seconds_max), until, envelope.max_polls)


def _given_up(why: str) -> HandlerError:
    return HandlerError(
        "provider_timeout",
        f"the provider took the call, and {why}",
        hints=["Use retry: it asks for the same one again, and pays for no other."],
        retryable=False,
    )
