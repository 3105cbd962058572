"""How much may be spent, and whether a call is still within that. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Literal, NamedTuple

from daemon.accounts import Accounts, Purse
from daemon.clock import rfc3339
from daemon.events import BudgetReached
from daemon.prices import Cost, Prices, in_words, written

_SPANS: tuple[Literal["day", "month"], ...] = ("day", "month")


@dataclass(frozen=True, slots=True)
class Budget:
    """What may be spent on paid calls, in the currency of the prices; None for as much as it is."""

    day: Decimal | None = None
    """Of the clock, in UTC; `month` likewise."""
    month: Decimal | None = None
    batch: Decimal | None = None
    """Each batch."""
    unknown: Literal["allow", "hold"] = "allow"
    """What to do with a call of which nobody can say what it costs."""

    @property
    def is_set(self) -> bool:
        """Whether there is any."""
        limits = (self.day, self.month, self.batch)
        return any(limit is not None for limit in limits) or self.unknown == "hold"


@dataclass(frozen=True, slots=True)
class Money:
    """What the configuration says of money."""

    prices: Prices = field(default_factory=Prices)
    budget: Budget = field(default_factory=Budget)


class Wish(NamedTuple):
    """A paid call that is about to leave."""

    provider: str
    estimate: Cost | None
    batch: str | None


class Line(NamedTuple):
    """One budget, and how much of it is used."""

    name: str
    budget: Literal["day", "month", "batch"]
    limit: Decimal
    spent: Decimal
    reserved: Decimal
    until: str | None
    """When it begins anew (RFC 3339)."""


def span(kind: str, now: datetime) -> tuple[str, datetime]:
    """A day or a month of the clock: how its moments begin ("2026-11-25"), and when it is over."""
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    if kind == "day":
        return f"{now:%Y-%m-%d}", midnight + timedelta(days=1)
    return f"{now:%Y-%m}", (midnight.replace(day=1) + timedelta(days=32)).replace(day=1)


def lines(
    money: Money, accounts: Accounts, pending: Sequence[Wish], now: datetime, batch: str | None
) -> Iterator[Line]:
    """The budgets that a call has to be within.

    Args:
        money: what is configured.
        accounts: what was spent, and is set aside.
        pending: calls that may leave, and are not in the accounts yet.
        now: the wall clock.
        batch: the account of the call's job, if it has one.
    """
    currency = money.prices.currency
    aside = _aside(accounts.reserved(), pending, currency)
    for kind in _SPANS:
        limit: Decimal | None = getattr(money.budget, kind)
        if limit is not None:
            begins, ends = span(kind, now)
            spent = accounts.day(begins).spent.get(currency, Decimal(0))
            yield Line(kind, kind, limit, spent, aside, rfc3339(ends))
    if money.budget.batch is not None and batch is not None:
        spent = accounts.batch(batch).spent.get(currency, Decimal(0))
        beside = [wish for wish in pending if wish.batch == batch]
        mine = _aside(accounts.reserved_for(batch), beside, currency)
        yield Line(name_of("batch", batch), "batch", money.budget.batch, spent, mine, None)


def _aside(reserved: Purse, pending: Sequence[Wish], currency: str) -> Decimal:
    estimates = [wish.estimate for wish in pending if wish.estimate is not None]
    amounts = [one.amount for one in estimates if one.currency == currency]
    return sum(amounts, reserved.spent.get(currency, Decimal(0)))


def name_of(budget: str, key: str) -> str:
    """The name of a budget of which there are several."""
    return f"{budget} {key}"


def fits(line: Line, needed: Decimal | None) -> bool:
    """Whether a call is within a budget; one of which nobody can say what it costs is, as long as
    anything is left."""
    left = line.limit - line.spent - line.reserved
    return left > 0 if needed is None else needed <= left


def reached(
    money: Money,
    accounts: Accounts,
    pending: Sequence[Wish],
    now: datetime,
    wish: Wish,
    providers: Sequence[str],
) -> BudgetReached | None:
    """The budget beyond which a call would go, as the event that says so; None where it may leave.

    Args:
        money: what is configured.
        accounts: what was spent, and is set aside.
        pending: calls that may leave, and are not in the accounts yet.
        now: the wall clock.
        wish: the call.
        providers: those whose calls cost money.
    """
    if not money.budget.is_set:
        return None
    currency, estimate = money.prices.currency, wish.estimate
    same = estimate is not None and estimate.currency == currency
    needed = estimate.amount if estimate is not None and same else None
    for line in lines(money, accounts, pending, now, wish.batch):
        if not fits(line, needed):
            return BudgetReached(
                line.name,
                line.budget,
                wish.batch if line.budget == "batch" else None,
                [] if line.budget == "batch" else list(providers),
                currency,
                written(line.limit),
                written(line.spent),
                written(line.reserved),
                written(needed) if needed is not None else None,
                line.until,
            )
    if needed is None and money.budget.unknown == "hold":
        name, held = name_of("unknown", wish.provider), [wish.provider]
        return BudgetReached(name, "unknown", None, held, currency, None, "0", "0", None, None)
    return None


def told(event: BudgetReached) -> str:
    """A budget that holds calls, in a few words for people."""
    if event.budget == "unknown":
        return "a price: nobody can say what the call costs, and [budget] holds such"
    amount = in_words(Decimal(event.limit or "0"), event.currency)
    until = f", until {event.until}" if event.until is not None else ""
    return f"the budget of the {event.budget}, {amount}, which is used up{until}"
