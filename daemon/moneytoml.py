"""What `darkroom.toml` says of money: the price table, the budget, and their currency.

Strict, as the rest of that file is: who mistypes a budget must not spend without one.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Mapping
from contextlib import suppress
from decimal import Decimal, InvalidOperation
from typing import Any

from daemon.budgets import Budget, Money
from daemon.configfiles import invalid
from daemon.prices import DOLLARS, MOST, Price, Prices
from handlers.contract import Json

KEYS = ("currency", "prices", "budget")
"""The keys of the file that are read here."""

_CURRENCY = re.compile(r"[A-Z]{3}")
_PRICES = ("image", "second", "call", "input_token", "output_token", "estimate")
_BUDGETS = ("day", "month", "batch")


def read_money(document: Mapping[str, Any], file: str) -> Money:
    """The money of a document.

    Args:
        document: the whole of it; other keys are none of ours.
        file: what to call it in a message.

    Raises:
        HandlerError: `config_invalid`.
    """
    currency = document.get("currency", DOLLARS)
    if not (isinstance(currency, str) and _CURRENCY.fullmatch(currency)):
        raise invalid(f'{file}: currency is no code of three capitals, as "USD"')
    table = {
        name: _price(f"{file}: prices.{_quoted(name)}", found)
        for name, found in _table(document, "prices", file).items()
    }
    return Money(Prices(currency, table), _budget(_table(document, "budget", file), file))


def refuse_unknown(table: Mapping[str, Any], known: Collection[str], path: str) -> None:
    """Refuse keys that nobody knows, with the nearest that is.

    Raises:
        HandlerError: `config_invalid`.
    """
    for name in table:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"Did you mean {near[0]}?" if near else f"Known are {', '.join(known)}."
            raise invalid(f"{path}{name[:100]!r} is not known", hint)


def _price(place: str, found: Json) -> Price:
    if not isinstance(found, dict):
        raise invalid(f"{place} is no table", 'Write `image = 0.04` below [prices."NAME/MODEL"].')
    refuse_unknown(found, _PRICES, f"{place}.")
    if not found:
        raise invalid(f"{place} says no price", f"It may say {', '.join(_PRICES)}.")
    return Price(**{name: _amount(f"{place}.{name}", value) for name, value in found.items()})


def _budget(found: Mapping[str, Json], file: str) -> Budget:
    refuse_unknown(found, (*_BUDGETS, "unknown"), f"{file}: budget.")
    unknown = found.get("unknown", "allow")
    if unknown not in ("allow", "hold"):
        raise invalid(f'{file}: budget.unknown is neither "allow" nor "hold"')
    amounts = {name: found[name] for name in _BUDGETS if name in found}
    given = {name: _amount(f"{file}: budget.{name}", value) for name, value in amounts.items()}
    return Budget(**given, unknown=unknown)


def _table(document: Mapping[str, Any], name: str, file: str) -> Mapping[str, Json]:
    found = document.get(name, {})
    if not isinstance(found, dict):
        raise invalid(f"{file}: {name} is no table", f"Write [{name}] above what belongs to it.")
    return found


def _amount(place: str, value: Json) -> Decimal:
    """A number, or the text of one: "0.04"."""
    amount = None
    if isinstance(value, (int, float, str)) and not isinstance(value, bool):
        with suppress(InvalidOperation):
            amount = Decimal(value if isinstance(value, str) else repr(value))
    if amount is None or not (amount.is_finite() and 0 <= amount <= MOST):
        raise invalid(f"{place} is no amount from 0 to a billion, as 0.04")
    return amount


def _quoted(name: str) -> str:
    return f'"{name[:100]}"'
