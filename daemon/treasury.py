"""Lets paid calls leave while the budgets last; on the event loop.

A call is set aside for before it leaves, so that calls side by side do not overspend together. One
that would go beyond a budget is held, and with it all that it would hold: `budget.reached` says so
once, and `budget.freed` when paid calls may leave again, as the time is over, somebody raised the
budget, or what was set aside was not needed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal

import structlog

from daemon.accounts import Accounts
from daemon.budgets import Line, Money, Wish, fits, lines, reached, told
from daemon.clock import Clock
from daemon.eventlog import EventLog
from daemon.events import BudgetFreed, BudgetReached, Event, Recorded
from daemon.jobs import Job, account_of
from daemon.prices import Cost
from daemon.roster import Roster
from daemon.state import State
from handlers.contract import HandlerError

EVERY = 1.0
"""Seconds between two looks at budgets that hold calls."""

_log = structlog.get_logger(__name__)


class OverBudget(Exception):
    """A budget has nothing left for a call, so the run is unwound; the job waits.

    Args:
        name: of the budget.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class Treasury:
    """Knows which budgets hold calls.

    Args:
        roster: what may be spent, and who is paid.
        state: what was spent.
        log: where it is said that a budget is reached or freed.
        clock: for days and months.
    """

    def __init__(self, roster: Roster, state: State, log: EventLog, clock: Clock) -> None:
        self._roster = roster
        self._state = state
        self._log = log
        self._clock = clock
        self._pending: dict[tuple[str, str], Wish] = {}
        """By job and step, calls whose `provider.requested` is on its way."""
        self._said: dict[str, BudgetReached | None] = {}
        """What was said and is not durable yet: by name, that it was reached, or None."""
        self._unpriced: dict[str, Money] = {}
        """What was configured when a call was held for want of a price."""

    @property
    def reached(self) -> Mapping[str, BudgetReached]:
        """The budgets that hold calls, by name."""
        durable = self._accounts.reached
        if not self._said:
            return durable
        known = {**durable, **self._said}
        return {name: event for name, event in known.items() if event is not None}

    @property
    def _accounts(self) -> Accounts:
        return self._state.accounts

    # ------------------------------------------------------------ one call

    @contextmanager
    def claim(self, job: Job, step: str, provider: str, estimate: Cost | None) -> Iterator[None]:
        """Set aside what a paid call may cost, until its `provider.requested` does so.

        Args:
            job: whose call.
            step: which.
            provider: who is paid.
            estimate: what it may cost; None where nobody can say.

        Raises:
            OverBudget: there is not enough left.
            HandlerError: nobody knows what may be spent, as the configuration cannot be read.
        """
        money = self._roster.money()
        wish = Wish(provider, estimate, account_of(job))
        if money.budget.is_set:
            self._admit(money, wish)
        key = job.id, step
        self._pending[key] = wish
        try:
            yield
        finally:
            del self._pending[key]

    def _admit(self, money: Money, wish: Wish) -> None:
        self.look()
        for known in self.reached.values():
            if _holds(known, wish.provider, wish.batch):
                raise OverBudget(known.name)
        event = reached(
            money,
            self._accounts,
            self._not_booked(),
            self._clock.now(),
            wish,
            self._roster.paying(),
        )
        if event is not None:
            _log.warning("paid calls are held", waiting_for=told(event), spent=event.spent)
            self._unpriced[event.name] = money
            self._say(event.name, event, event)
            raise OverBudget(event.name)

    def warnings(self, provider: str, model: str | None, cost: Cost | None) -> tuple[str, ...]:
        """What a result says of a paid call that no budget counts."""
        if cost is not None or not self._roster.has_budget():
            return ()
        name = f"{provider}/{model}" if model else provider
        told = (
            f"nobody knows what a call to {provider} cost, so no budget counts it: write a price "
            f'below [prices."{name}"] in darkroom.toml'
        )
        return (told,)

    def _not_booked(self) -> list[Wish]:
        """The calls that may leave, and are not in the accounts yet."""
        claims = self._accounts.claims
        return [
            wish
            for (job, step), wish in self._pending.items()
            if (claim := claims.get(job, {}).get(step)) is None or claim.lost is not None
        ]

    # ------------------------------------------------------------ all of them

    def held(self) -> frozenset[str | None]:
        """The providers for which nothing that would pay may start; "" for jobs whose provider is
        not chosen yet."""
        spans = [event for event in self.reached.values() if event.budget in ("day", "month")]
        unpriced = {name for one in self.reached.values() for name in one.providers}
        if not spans:
            return frozenset(unpriced)
        return frozenset({"", *self._roster.paying()})

    def holds(self, job: Job) -> bool:
        """Whether a job waits for the budget of its batch, and has nothing to finish."""
        batch = account_of(job)
        if batch is None or job.status != "waiting" or not self.reached:
            return False
        return any(event.batch == batch for event in self.reached.values())

    def look(self) -> None:
        """See whether a budget that holds calls is free again, and say so."""
        if not self.reached:
            return
        now = self._clock.now()
        try:
            money = self._roster.money()
        except HandlerError:  # somebody may be writing the configuration just now
            return
        for event in list(self.reached.values()):
            reason = self._freed_by(event, money, now)
            if reason is not None:
                _log.info("paid calls go on", budget=event.name, reason=reason)
                freed = BudgetFreed(event.name, event.budget, event.batch, reason)
                self._say(event.name, None, freed)

    def _freed_by(self, event: BudgetReached, money: Money, now: datetime) -> str | None:
        """Why a budget holds calls no more; None while it does."""
        if event.until is not None and event.until <= self._clock.stamp():
            return "a new period began"
        needed = Decimal(event.needed) if event.needed is not None else None
        if event.budget == "unknown":
            same = self._unpriced.get(event.name) == money
            return None if same else "prices or budgets changed"
        line = self._line(event, money, now)
        if line is None:
            return "the budget was taken away"
        if not fits(line, needed):
            return None
        raised = event.limit is not None and line.limit > Decimal(event.limit)
        return "the budget was raised" if raised else "what was set aside was not needed"

    def _line(self, event: BudgetReached, money: Money, now: datetime) -> Line | None:
        found = lines(money, self._accounts, self._not_booked(), now, event.batch)
        return next((line for line in found if line.name == event.name), None)

    def in_words(self) -> list[str]:
        """The budgets that hold calls, for people."""
        return [f"paid calls wait for {told(event)}" for event in self.reached.values()]

    def _say(self, name: str, now: BudgetReached | None, event: Event) -> None:
        """Put it in the log; it holds from now on."""
        self._said[name] = now
        appended = self._log.append(None, None, [event])
        appended.add_done_callback(lambda done: self._written(name, now, done))

    def _written(
        self, name: str, said: BudgetReached | None, done: asyncio.Future[tuple[Recorded, ...]]
    ) -> None:
        failed = not done.cancelled() and done.exception() is not None
        if not failed and self._said.get(name, ...) is said:
            del self._said[name]


def _holds(event: BudgetReached, provider: str, batch: str | None) -> bool:
    if event.budget == "batch":
        return event.batch == batch
    return event.budget != "unknown" or provider in event.providers
