"""Whether a call is still within what may be spent."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from daemon.accounts import Accounts, Purse
from daemon.budgets import Budget, Money, Wish, reached, span, told
from daemon.prices import Cost, Prices

NOW = datetime(2026, 12, 31, 23, 30, tzinfo=UTC)


def books(spent: str, day: str = "2026-12-31", currency: str = "USD") -> Accounts:
    accounts = Accounts()
    accounts.days = {day: {"p": Purse({currency: Decimal(spent)})}}
    return accounts


def wish(amount: str | None, currency: str = "USD") -> Wish:
    cost = Cost(Decimal(amount), currency, "prices") if amount is not None else None
    return Wish("p", cost, None)


def judged(accounts: Accounts, one: Wish, *pending: Wish, **budget: Any) -> str | None:
    limits = {name: Decimal(v) if name != "unknown" else v for name, v in budget.items()}
    event = reached(Money(Prices(), Budget(**limits)), accounts, pending, NOW, one, ["p"])
    return event.name if event is not None else None


@pytest.mark.parametrize(
    ("spent", "needed", "budget", "held"),
    [
        ("0.04", "0.04", {"day": "0.08"}, None),
        ("0.08", "0.04", {"day": "0.08"}, "day"),
        ("0.05", "0.04", {"day": "0.08"}, "day"),
        ("0.05", "0", {"day": "0.05"}, None),
        ("0.04", None, {"day": "0.08"}, None),
        ("0.08", None, {"day": "0.08"}, "day"),
        ("0", "0.01", {"day": "0"}, "day"),
        ("0", None, {"day": "0"}, "day"),
        ("9", "1", {"month": "9"}, "month"),
        ("9", "1", {"day": "9", "month": "9"}, "day"),
        ("9", "1", {}, None),
        ("0", None, {"unknown": "hold"}, "unknown p"),
        ("0", "1", {"unknown": "hold"}, None),
    ],
)
def test_a_call_leaves_as_long_as_no_budget_is_overspent(
    spent: str, needed: str | None, budget: dict[str, Any], held: str | None
) -> None:
    assert judged(books(spent), wish(needed), **budget) == held


def test_calls_that_are_about_to_leave_count_as_well() -> None:
    assert judged(books("0"), wish("1"), wish("1"), wish("1"), day="3") is None
    assert judged(books("0"), wish("1"), wish("1"), wish("1"), day="2.99") == "day"


def test_yesterday_counts_for_the_month_alone() -> None:
    assert judged(books("5", "2026-12-30"), wish("1"), day="5") is None
    assert judged(books("5", "2026-12-30"), wish("1"), month="5") == "month"
    assert judged(books("5", "2026-11-30"), wish("1"), month="5") is None


def test_another_currency_counts_for_no_budget() -> None:
    assert judged(books("5", currency="EUR"), wish("1"), day="5") is None
    assert judged(books("4"), wish("2", "EUR"), day="5") is None


def test_days_and_months_end_at_midnight_in_utc_also_in_december() -> None:
    assert span("day", NOW) == ("2026-12-31", datetime(2027, 1, 1, tzinfo=UTC))
    assert span("month", NOW) == ("2026-12", datetime(2027, 1, 1, tzinfo=UTC))
    february = datetime(2028, 1, 31, 12, tzinfo=UTC)
    assert span("month", february) == ("2028-01", datetime(2028, 2, 1, tzinfo=UTC))


def test_what_is_held_is_told_with_its_amount_and_its_end() -> None:
    money = Money(Prices(), Budget(day=Decimal("0.50")))
    event = reached(money, books("0.5"), [], NOW, wish("1"), ["p"])
    assert event is not None
    assert told(event) == (
        "the budget of the day, 0.5 USD, which is used up, until 2027-01-01T00:00:00.000Z"
    )
