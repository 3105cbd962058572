"""What a call costs: the provider's word, the price table, and what nobody knows."""

from decimal import Decimal
from typing import Any

import pytest

from daemon.costs import Counter
from daemon.prices import (
    Cost,
    Made,
    Price,
    Prices,
    amount_of,
    cost_of,
    told_by_provider,
    usage_of,
    with_cost,
    written,
)
from daemon.testing import ScriptedProvider
from handlers.contract import Call, HandlerError, Medium, Outcome

PICTURE = Made("image", pictures=2)
CLIP = Made("video", seconds=5)
TOKENS = {"input_tokens": 1_000_000, "output_tokens": 500_000}


def price(**terms: str) -> Price:
    return Price(**{name: Decimal(amount) for name, amount in terms.items()})


@pytest.mark.parametrize(
    ("terms", "usage", "made", "amount"),
    [
        ({"image": "0.04"}, None, PICTURE, "0.08"),
        ({"image": "0.04", "call": "0.01"}, None, PICTURE, "0.09"),
        ({"second": "0.10"}, None, CLIP, "0.5"),
        ({"second": "0.10"}, None, Made("video", seconds=2.5), "0.25"),
        ({"input_token": "5", "output_token": "40"}, TOKENS, PICTURE, "25"),
        ({"input_token": "5"}, {"prompt_tokens": 200}, PICTURE, "0.001"),
        ({"image": "0"}, None, PICTURE, "0"),
        ({"call": "0.02", "second": "9"}, None, PICTURE, "0.02"),
    ],
)
def test_a_price_counts_what_was_made(
    terms: dict[str, str], usage: Any, made: Made, amount: str
) -> None:
    cost = cost_of(price(**terms), usage, made)
    assert cost is not None
    assert written(cost) == amount


@pytest.mark.parametrize(
    ("terms", "usage", "made"),
    [
        (None, TOKENS, PICTURE),
        ({"second": "0.10"}, None, Made("video")),
        ({"second": "0.10"}, None, PICTURE),
        ({"image": "0.04"}, None, CLIP),
        ({"image": "0.04", "input_token": "5"}, None, PICTURE),
        ({"input_token": "5", "output_token": "5"}, {"input_tokens": 7}, PICTURE),
        ({"output_token": "5"}, {"output_tokens": True}, PICTURE),
        ({"output_token": "5"}, {"output_tokens": -1}, PICTURE),
        ({"estimate": "1"}, None, PICTURE),
    ],
)
def test_what_nobody_counted_is_unknown_and_never_zero(
    terms: dict[str, str] | None, usage: Any, made: Made
) -> None:
    assert cost_of(None if terms is None else price(**terms), usage, made) is None


def test_a_free_call_costs_exactly_nothing() -> None:
    assert cost_of(None, None, PICTURE, paid=False) == 0


@pytest.mark.parametrize(
    ("usage", "amount"),
    [
        ({"cost": 0.04}, "0.04"),
        ({"cost": 0}, "0"),
        ({"cost_in_usd_ticks": 200_000_000}, "0.02"),
        ({"cost_in_usd_ticks": 37_756_000, "cost": 9}, "0.0037756"),
        ({"cost": 1e-7}, "0.0000001"),
    ],
)
def test_a_provider_that_tells_its_cost_is_believed(usage: Any, amount: str) -> None:
    told = told_by_provider(usage)
    assert told is not None
    assert written(told) == amount


@pytest.mark.parametrize(
    "usage",
    [None, {}, {"cost": None}, {"cost": "0.04"}, {"cost": True}, {"cost": -1}, {"cost": 1e30}],
)
def test_what_is_no_cost_is_none(usage: Any) -> None:
    assert told_by_provider(usage) is None


def test_the_providers_word_goes_before_the_table_and_a_model_before_its_provider() -> None:
    prices = Prices("EUR", {"p/m": price(image="1"), "p": price(image="2")})
    assert prices.cost("p", ["m"], {"cost": 0.5}, PICTURE) == Cost(
        Decimal("0.5"), "USD", "provider"
    )
    assert prices.cost("p", [None, "m"], None, PICTURE) == Cost(Decimal(2), "EUR", "prices")
    assert prices.cost("p", ["other"], None, PICTURE) == Cost(Decimal(4), "EUR", "prices")
    assert prices.cost("q", ["m"], None, PICTURE) is None


def test_an_estimate_stands_in_for_what_is_only_counted_afterwards() -> None:
    prices = Prices("USD", {"p": price(output_token="40", estimate="0.05")})
    assert prices.estimate("p", [None], PICTURE) == Cost(Decimal("0.05"), "USD", "prices")
    assert prices.cost("p", [None], None, PICTURE) is None


def counter(*, paid: bool = True, idempotent: bool = False, operation: str = "x") -> Counter:
    provider = ScriptedProvider(name="p", paid=paid, scripts=[])
    provider.idempotent = idempotent
    call = Call(operation, {"n": 3}, model="m")
    return Counter(provider, Prices("USD", {"p/m": price(image="0.04")}), call)


def test_a_call_is_estimated_by_what_it_asks_for_and_billed_by_what_came() -> None:
    estimate, cost = counter().estimate(), counter().cost(Outcome((Medium(b"1"), Medium(b"2"))))
    assert estimate is not None
    assert cost is not None
    assert (estimate.amount, cost.amount) == (Decimal("0.12"), Decimal("0.08"))


def test_of_a_free_call_nothing_is_said() -> None:
    free = counter(paid=False)
    assert free.estimate() is None
    assert free.cost(Outcome()) is None
    assert free.cost_of_failure(HandlerError("provider_unavailable", "x")) is None


@pytest.mark.parametrize(
    ("code", "status", "operation", "amount"),
    [
        ("provider_rejected", 400, "generate_image", Decimal(0)),
        ("provider_rate_limited", 429, "generate_image", Decimal(0)),
        ("provider_unavailable", 503, "generate_image", Decimal(0)),
        ("provider_unavailable", None, "generate_image", Decimal(0)),
        ("provider_unavailable", 503, "generate_video", None),
        ("no_media", 200, "generate_image", None),
        ("content_refused", 200, "generate_image", None),
        ("no_media", None, "generate_image", None),
        ("ambiguous_submit", None, "generate_image", None),
        ("ambiguous_submit", 502, "generate_image", None),
    ],
)
def test_a_failure_costs_nothing_only_where_it_is_known_that_nothing_was_done(
    code: Any, status: int | None, operation: str, amount: Decimal | None
) -> None:
    error = HandlerError(code, "x", http={"status": status} if status is not None else None)
    cost = counter(operation=operation).cost_of_failure(error)
    assert (cost.amount if cost is not None else None) == amount


def test_with_an_idempotency_key_silence_may_be_a_call_that_was_lost() -> None:
    error = HandlerError("provider_timeout", "x")
    assert counter(idempotent=True).cost_of_failure(error) is None


def test_the_cost_of_a_call_stands_in_its_usage_in_one_form() -> None:
    cost = Cost(Decimal("0.0400"), "USD", "provider").to_json()
    assert cost == {"amount": "0.04", "currency": "USD", "source": "provider"}
    assert with_cost({"cost": 0.04, "input_tokens": 3}, cost) == {"cost": cost, "input_tokens": 3}
    assert with_cost(None, cost) == {"cost": cost}
    assert with_cost({"cost": "free!", "n": 1}, None) == {"n": 1}
    assert with_cost(None, None) is None


def test_the_cost_of_several_calls_is_a_sum_only_where_all_are_known() -> None:
    one, two = (Cost(Decimal(a), "USD", "prices").to_json() for a in ("0.1", "0.2"))
    euro = {**two, "currency": "EUR"}
    assert usage_of([({"n": 1}, one), (None, two)]) == {
        "calls": [{"n": 1, "cost": one}, {"cost": two}],
        "cost": {"amount": "0.3", "currency": "USD", "source": "prices"},
    }
    assert "cost" not in (usage_of([({"n": 1}, one), ({"n": 2}, None)]) or {})
    assert "cost" not in (usage_of([(None, one), (None, euro)]) or {})
    assert usage_of([(None, None)]) is None
    assert usage_of([]) is None


@pytest.mark.parametrize("text", ["0", "0.04", "1000000", "0.0000001"])
def test_amounts_are_written_as_they_are_read(text: str) -> None:
    assert written(amount_of(text)) == text


def test_an_amount_that_is_none_counts_as_nothing() -> None:
    assert [amount_of(text) for text in ("x", "NaN", None)] == [0, 0, 0]
