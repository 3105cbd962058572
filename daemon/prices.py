"""What a call costs: as its provider says, or else by the user's price table. Pure.

What nobody knows is None, and never zero. Amounts are exact decimals, in events and results texts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Literal

from handlers.contract import Call, HandlerError, Json, Kind, Outcome

Source = Literal["provider", "prices", "unbilled"]

DOLLARS = "USD"
"""What every provider counts in that says what a call cost."""

MOST = Decimal(10**9)
"""A larger amount is no cost of anything."""

_TICKS = Decimal(10**10)
"""Of xAI's, in a dollar (https://docs.x.ai/developers/cost-tracking)."""

_MILLION = Decimal(10**6)
_NEVER_SENT = frozenset(
    {
        "provider_unavailable",
        "provider_timeout",
        "provider_not_found",
        "not_supported",
        "config_missing",
        "config_invalid",
        "invalid_request",
        "too_large",
        "unreadable_media",
    }
)
"""Codes of failures that say, where no reply came, that nothing was sent: what was sent and lost
has a code of its own."""


@dataclass(frozen=True, slots=True)
class Price:
    """What a model costs, in the currency of the table. What is None is not charged for."""

    image: Decimal | None = None
    """Each picture."""
    second: Decimal | None = None
    """Each second of a clip."""
    call: Decimal | None = None
    """Each call."""
    input_token: Decimal | None = None
    """A million of tokens that went in, as the provider counts them; `output_token` likewise."""
    output_token: Decimal | None = None
    estimate: Decimal | None = None
    """What to set aside for a call of which nobody can say before what it costs."""


@dataclass(frozen=True, slots=True)
class Made:
    """What a call makes, or made."""

    kind: Kind
    pictures: int | None = None
    seconds: float | None = None
    """Of its clip; None where nobody knows."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What one call cost."""

    amount: Decimal
    currency: str
    source: Source
    """Who says so: the provider, or the price table; or "unbilled" where it is known that nothing
    was done."""

    def to_json(self) -> dict[str, Json]:
        """As it stands in events and results."""
        return {
            "amount": written(self.amount),
            "currency": self.currency,
            "source": self.source,
        }

    @classmethod
    def of(cls, found: Mapping[str, Json] | None) -> Cost | None:
        """The inverse of `to_json`; None for none."""
        if found is None:
            return None
        return cls(amount_of(found["amount"]), found["currency"], found["source"])


@dataclass(frozen=True, slots=True)
class Prices:
    """The price table.

    Args:
        currency: what its prices are in.
        table: by "PROVIDER/MODEL", or by "PROVIDER" for all models that have none of their own.
    """

    currency: str = DOLLARS
    table: Mapping[str, Price] = field(default_factory=dict)

    def price(self, provider: str, models: Sequence[str | None]) -> Price | None:
        """The price of the first of these models that has one, or else that of its provider."""
        names = [f"{provider}/{model}" for model in models if model]
        return next((self.table[name] for name in (*names, provider) if name in self.table), None)

    def estimate(self, provider: str, models: Sequence[str | None], made: Made) -> Cost | None:
        """What a call will cost, as far as that can be said before; None where it cannot."""
        price = self.price(provider, models)
        amount = cost_of(price, None, made)
        if amount is None and price is not None:
            amount = price.estimate
        return Cost(amount, self.currency, "prices") if amount is not None else None

    def cost(
        self,
        provider: str,
        models: Sequence[str | None],
        usage: Mapping[str, Json] | None,
        made: Made,
    ) -> Cost | None:
        """What a call cost that was answered: as the provider says, if it does; None where nobody
        knows."""
        told = told_by_provider(usage)
        if told is not None:
            return Cost(told, DOLLARS, "provider")
        amount = cost_of(self.price(provider, models), usage, made)
        return Cost(amount, self.currency, "prices") if amount is not None else None

    def cost_of_failure(self, error: HandlerError, *, known: bool) -> Cost | None:
        """What a call cost that failed: nothing where it is known that nothing was done.

        Args:
            error: how it failed.
            known: whether the reply's status says that nothing was done.
        """
        silent = (error.http or {}).get("status") is None and error.code in _NEVER_SENT
        return Cost(Decimal(0), self.currency, "unbilled") if known or silent else None


def cost_of(
    price: Price | None, usage: Mapping[str, Json] | None, made: Made, *, paid: bool = True
) -> Decimal | None:
    """What a call costs by its price; None where something is charged for that nobody counted.

    Args:
        price: None where there is none.
        usage: what the provider counted; None before it answered.
        made: what it makes or made.
        paid: whether it costs anything at all.
    """
    if not paid:
        return Decimal(0)
    if price is None:
        return None
    counts: list[tuple[Decimal | None, Decimal | None]] = [
        (price.call, Decimal(1)),
        (price.input_token, _tokens(usage, "input_tokens", "prompt_tokens")),
        (price.output_token, _tokens(usage, "output_tokens", "completion_tokens")),
    ]
    if made.kind == "image":
        counts.append((price.image, _count(made.pictures)))
    else:
        counts.append((price.second, _count(made.seconds)))
    charged = [(each, count) for each, count in counts if each is not None]
    if not charged:
        return None
    total = Decimal(0)
    for each, count in charged:
        if count is None:
            return None
        total += each * count
    return total


def made_by(call: Call, outcome: Outcome | None = None) -> Made:
    """What a call makes; or made, where its outcome is known."""
    wanted, seconds = call.fields.get("n", 1), call.fields.get("seconds")
    pictures = len(outcome.media) if outcome is not None else wanted
    return Made(kind_of(call.operation), pictures, seconds)


def kind_of(operation: str) -> Kind:
    """What an operation makes."""
    return "video" if "video" in operation else "image"


def told_by_provider(usage: Mapping[str, Json] | None) -> Decimal | None:
    """What a provider says that a call cost, in dollars: `cost` (OpenRouter, and Together's clips)
    or `cost_in_usd_ticks` (xAI)."""
    ticks = _count((usage or {}).get("cost_in_usd_ticks"))
    if ticks is not None:
        return ticks / _TICKS
    return _count((usage or {}).get("cost"))


def amount_of(text: Json) -> Decimal:
    """An amount as events and the index have it; one that cannot be read is a programming error of
    whoever wrote it, and counts as nothing."""
    try:
        amount = Decimal(text)
    except (InvalidOperation, TypeError, ValueError):
        return Decimal(0)
    return amount if amount.is_finite() else Decimal(0)


def written(amount: Decimal) -> str:
    """An amount as text: "0.04", without an exponent or superfluous zeros."""
    return format(amount.normalize() if amount else Decimal(0), "f")


def in_words(amount: Decimal, currency: str) -> str:
    """An amount for people: "0.04 USD"."""
    return f"{written(amount)} {currency}"


def with_cost(
    usage: Mapping[str, Json] | None, cost: Mapping[str, Json] | None
) -> Mapping[str, Json] | None:
    """The usage of one call as results show it: `cost` in it is ours, in one form for all, and is
    only there where it is known."""
    if cost is None:
        own = {name: value for name, value in (usage or {}).items() if name != "cost"}
        return own or None
    return {**(usage or {}), "cost": dict(cost)}


def usage_of(
    calls: Sequence[tuple[Mapping[str, Json] | None, Mapping[str, Json] | None]],
) -> Mapping[str, Json] | None:
    """The usage of a job, of that and the cost of each of its calls. Of several `cost` is the sum,
    if all of them are known and in one currency."""
    told = [with_cost(usage, cost) for usage, cost in calls]
    usages = [usage for usage in told if usage is not None]
    if len(usages) < 2:
        return usages[0] if usages else None
    costs = [cost for _, cost in calls if cost is not None]
    currencies, sources = ({cost[name] for cost in costs} for name in ("currency", "source"))
    if len(costs) < len(calls) or len(currencies) != 1:
        return {"calls": usages}
    total = sum((amount_of(cost["amount"]) for cost in costs), Decimal(0))
    source = sources.pop() if len(sources) == 1 else "prices"
    return {
        "calls": usages,
        "cost": {"amount": written(total), "currency": currencies.pop(), "source": source},
    }


def _count(value: Json) -> Decimal | None:
    """A number that counts something; None where it is none."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    count = Decimal(repr(value))
    return count if count.is_finite() and 0 <= count <= MOST * _TICKS else None


def _tokens(usage: Mapping[str, Json] | None, *names: str) -> Decimal | None:
    """Millions of tokens, by the first name under which they are counted."""
    counts = (_count((usage or {}).get(name)) for name in names)
    found = next((count for count in counts if count is not None), None)
    return found / _MILLION if found is not None else None
