"""Prices and budgets out of `darkroom.toml`: read strictly, as they guard money."""

from __future__ import annotations

import tomllib
from decimal import Decimal
from pathlib import Path

import pytest

from daemon.budgets import Budget, Money
from daemon.entries import load_configuration
from daemon.moneytoml import read_money
from daemon.prices import Price, Prices
from daemon.roster import Roster
from daemon.settings import Settings
from daemon.testing import FrozenClock
from handlers.contract import HandlerError

WHOLE = """
currency = "EUR"
[prices."openai/gpt-image-2"]
image = 0.04
[prices.studio]
call = "0.000001"
input_token = 5
estimate = 0
[budget]
day = 0.1
month = 60
unknown = "hold"
"""


def read(text: str) -> Money:
    return read_money(tomllib.loads(text), "darkroom.toml")


def test_prices_and_budgets_are_read_to_the_last_digit() -> None:
    table = {
        "openai/gpt-image-2": Price(image=Decimal("0.04")),
        "studio": Price(call=Decimal("0.000001"), input_token=Decimal(5), estimate=Decimal(0)),
    }
    budget = Budget(day=Decimal("0.1"), month=Decimal(60), unknown="hold")
    assert read(WHOLE) == Money(Prices("EUR", table), budget)


def test_where_nothing_is_said_nothing_is_limited() -> None:
    assert read("") == Money()
    assert not read("").budget.is_set


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[budget]\ndya = 1", "budget.'dya' is not known"),
        ("[budget]\nday = -1", "budget.day is no amount"),
        ("[budget]\nday = nan", "budget.day is no amount"),
        ("[budget]\nday = inf", "budget.day is no amount"),
        ("[budget]\nday = true", "budget.day is no amount"),
        ("[budget]\nday = 'ten'", "budget.day is no amount"),
        ("[budget]\nunknown = 'deny'", "budget.unknown is neither"),
        ("budget = 5", "budget is no table"),
        ("prices = []", "prices is no table"),
        ("[prices]\nopenai = 0.04", 'prices."openai" is no table'),
        ("[prices.openai]", 'prices."openai" says no price'),
        ("[prices.openai]\nimages = 1", "'images' is not known"),
        ("[prices.openai.gpt-image-2]\nimage = 1", "'gpt-image-2' is not known"),
        ("currency = 'dollars'", "currency is no code"),
        ("currency = 1", "currency is no code"),
    ],
)
def test_what_cannot_be_meant_is_refused_and_named(text: str, told: str) -> None:
    with pytest.raises(HandlerError) as error:
        read(text)
    assert error.value.code == "config_invalid"
    assert told in error.value.message


def roster(root: Path, clock: FrozenClock) -> Roster:
    return Roster(Settings(root=root), {}, {}, lambda: load_configuration(root, {}), clock)


def test_a_budget_that_cannot_be_read_any_more_stays_as_it_was(tmp_path: Path) -> None:
    clock, file = FrozenClock(), tmp_path / "darkroom.toml"
    file.write_text("[budget]\nday = 1")
    known = roster(tmp_path, clock)
    assert known.money().budget.day == 1
    file.write_text("[budget]\nday = oops")
    clock.advance(2)
    assert known.money().budget.day == 1
    file.write_text("")
    clock.advance(2)
    assert known.money() == Money()


def test_one_that_never_could_be_read_is_no_leave_to_spend(tmp_path: Path) -> None:
    (tmp_path / "darkroom.toml").write_text("[budget]\nday = oops")
    known = roster(tmp_path, FrozenClock())
    with pytest.raises(HandlerError, match="not TOML"):
        known.money()
    assert known.prices() == Prices()
