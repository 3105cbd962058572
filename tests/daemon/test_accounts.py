"""The books: what was spent and is set aside, folded from paid calls."""

from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.accounts import Accounts, Purse
from daemon.events import (
    BudgetFreed,
    BudgetReached,
    Event,
    JobFailed,
    JobSucceeded,
    ProviderAccepted,
    Recorded,
)
from tests.builders import answered, ended, problem, requested
from tests.examples import examples

TODAY, TOMORROW = "2026-11-25T10:00:00.000Z", "2026-11-26T01:00:00.000Z"


def cost(amount: str, currency: str = "USD") -> dict[str, str]:
    return {"amount": amount, "currency": currency, "source": "prices"}


def accepted(step: str = "generate", **fields: Any) -> ProviderAccepted:
    given = {"ticket": {"id": "t"}, "media": [], "references": [], "model": None, "usage": None}
    return ProviderAccepted(step, 1, **{**given, "warnings": [], **fields})


def booked(*events: tuple[str, Event], time: str = TODAY, batch: str | None = None) -> Accounts:
    accounts = Accounts()
    book(accounts, *events, time=time, batch=batch)
    return accounts


def book(
    accounts: Accounts, *events: tuple[str, Event], time: str = TODAY, batch: str | None = None
) -> None:
    for job, event in events:
        accounts.apply(Recorded(1, "", time, "a.json", job, event), batch)


def figures(purse: Purse) -> tuple[dict[str, str], int]:
    found = purse.to_json()
    return found["spent"], found["unknown"]


def test_a_call_is_set_aside_for_until_it_is_known_what_it_cost() -> None:
    accounts = booked(("J", requested(estimate=cost("0.04"))))
    assert figures(accounts.reserved()) == ({"USD": "0.04"}, 0)
    assert figures(accounts.day("2026-11-25")) == ({}, 0)
    book(accounts, ("J", answered(cost=cost("0.03"))))
    assert figures(accounts.reserved()) == ({}, 0)
    assert figures(accounts.day("2026-11-25")) == ({"USD": "0.03"}, 0)
    assert list(accounts.by_provider("2026-11")) == ["scripted"]


def test_a_cost_that_nobody_knows_is_counted_and_adds_nothing() -> None:
    accounts = booked(("J", requested()), ("J", answered()))
    assert figures(accounts.day("2026-11-25")) == ({}, 1)


def test_a_refusal_costs_nothing_and_is_no_unknown() -> None:
    accounts = booked(("J", requested()), ("J", answered(cost=cost("0"), error=problem())))
    assert figures(accounts.day("2026-11-25")) == ({"USD": "0"}, 0)


def test_free_calls_are_in_no_book() -> None:
    assert booked(("J", requested(paid=False)), ("J", answered())) == Accounts()


def test_what_was_taken_stays_set_aside_while_it_is_asked_for_and_after_it_timed_out() -> None:
    timeout = answered(error=problem("provider_timeout"))
    accounts = booked(("J", requested(estimate=cost("1"))), ("J", accepted()), ("J", timeout))
    assert figures(accounts.reserved()) == ({"USD": "1"}, 0)


def test_a_cost_that_was_told_when_the_call_was_taken_is_counted_once() -> None:
    taken = accepted(ticket=None, cost=cost("0.5"))
    accounts = booked(("J", requested()), ("J", taken), ("J", answered(cost=cost("0.5"))))
    assert figures(accounts.day("2026-11")) == ({"USD": "0.5"}, 0)


def test_the_end_of_a_job_leaves_nothing_set_aside_and_a_retry_mends_what_was_unknown() -> None:
    accounts = booked(("J", requested(estimate=cost("1"))), ("J", accepted()))
    book(accounts, ("J", ended(JobFailed)))
    assert figures(accounts.reserved()) == ({}, 0)
    assert figures(accounts.day("2026-11-25")) == ({}, 1)
    book(accounts, ("J", answered(cost=cost("0.7"))), time=TOMORROW)
    assert figures(accounts.day("2026-11-25")) == ({}, 0)
    assert figures(accounts.day("2026-11-26")) == ({"USD": "0.7"}, 0)


def test_a_call_that_was_lost_and_is_sent_again_counts_as_unknown() -> None:
    accounts = booked(("J", requested(estimate=cost("1"))), ("J", requested(estimate=cost("1"))))
    assert figures(accounts.day("2026-11-25")) == ({}, 1)
    assert figures(accounts.reserved()) == ({"USD": "1"}, 0)


def test_one_that_is_sent_again_with_its_key_is_the_same_call() -> None:
    call = requested(estimate=cost("1"), idempotency_key="k")
    accounts = booked(("J", call), ("J", call), ("J", answered(cost=cost("1"))))
    assert figures(accounts.day("2026-11-25")) == ({"USD": "1"}, 0)


def test_a_batch_has_an_account_of_its_own() -> None:
    call = requested(estimate=cost("1"))
    accounts = booked(("J", call), ("K", call), ("J", answered(cost=cost("1"))), batch="B")
    book(accounts, ("L", call))
    assert figures(accounts.batch("B")) == ({"USD": "1"}, 0)
    assert figures(accounts.reserved_for("B")) == ({"USD": "1"}, 0)
    assert figures(accounts.reserved()) == ({"USD": "2"}, 0)


def test_currencies_are_never_added_up() -> None:
    accounts = booked(("J", requested("a")), ("J", requested("b")))
    book(
        accounts, ("J", answered("a", cost=cost("1"))), ("J", answered("b", cost=cost("2", "EUR")))
    )
    assert figures(accounts.day("2026-11")) == ({"EUR": "2", "USD": "1"}, 0)


def test_what_is_older_than_last_month_is_forgotten() -> None:
    accounts = Accounts()
    for month in ("09", "10", "11", "12"):
        time = f"2026-{month}-03T00:00:00.000Z"
        book(accounts, ("J", requested()), ("J", answered(cost=cost("1"))), time=time, batch=month)
    assert list(accounts.days) == ["2026-11-03", "2026-12-03"]
    assert list(accounts.batches) == ["11", "12"]
    book(accounts, ("J", requested()), time="2027-01-01T00:00:00.000Z")
    assert list(accounts.days) == ["2026-12-03"]


def test_a_budget_that_was_reached_is_known_until_it_is_freed() -> None:
    reached = BudgetReached("day", "day", None, ["p"], "USD", "1", "1", "0", "0.1", None)
    accounts = booked(("", reached))
    assert accounts.reached == {"day": reached}
    book(accounts, ("", BudgetFreed("day", "day", None, "period")))
    assert accounts.reached == {}


# ---------------------------------------------------------------- any order, any restart

_AMOUNTS = st.sampled_from(["0", "0.01", "0.04", "12.5"])
_COSTS = st.builds(cost, _AMOUNTS, st.sampled_from(["USD", "EUR"]))
_TIMES = st.sampled_from(["2026-10-31", "2026-11-01", "2026-11-25", "2026-12-01", "2027-01-02"])
_EVENTS = st.one_of(
    st.builds(
        requested,
        st.sampled_from(["one", "two"]),
        estimate=st.none() | _COSTS,
        paid=st.booleans(),
        idempotency_key=st.sampled_from([None, "k"]),
    ),
    st.builds(accepted, st.sampled_from(["one", "two"]), cost=st.none() | _COSTS),
    st.builds(
        answered,
        st.sampled_from(["one", "two"]),
        cost=st.none() | _COSTS,
        error=st.sampled_from([None, problem("provider_timeout"), problem("provider_rejected")]),
    ),
    st.builds(ended, st.sampled_from([JobFailed, JobSucceeded])),
    st.just(BudgetReached("day", "day", None, ["p"], "USD", "1", "1", "0", "0.1", None)),
    st.just(BudgetFreed("day", "day", None, "period")),
)
_HISTORY = st.lists(st.tuples(st.sampled_from(["J", "K"]), _EVENTS, _TIMES), max_size=30)


def _apply(accounts: Accounts, history: Any) -> Accounts:
    for number, (job, event, day) in enumerate(history):
        recorded = Recorded(number, "", f"{day}T12:00:00.000Z", "a.json", job, event)
        accounts.apply(recorded, "B" if job == "K" else None)
    return accounts


@settings(max_examples=examples(150), deadline=None)
@given(_HISTORY, st.integers(0, 30))
def test_a_restart_anywhere_changes_nothing(history: Any, cut: int) -> None:
    whole = _apply(Accounts(), history)
    kept = Accounts.of(_apply(Accounts(), history[:cut]).to_json())
    assert _apply(kept, history[cut:]) == whole


@settings(max_examples=examples(100), deadline=None)
@given(_HISTORY, st.randoms(use_true_random=False))
def test_in_whatever_order_the_events_of_different_jobs_come_the_sums_are_the_same(
    history: Any, chance: Any
) -> None:
    history = [(job, event, "2026-11-25") for job, event, _ in history]
    by_job = {job: [one for one in history if one[0] == job] for job in ("J", "K")}
    turns = [one[0] for one in history]
    chance.shuffle(turns)
    shuffled = [by_job[job].pop(0) for job in turns]
    one, other = _apply(Accounts(), history), _apply(Accounts(), shuffled)
    assert one.day("2026-11-25") == other.day("2026-11-25")
    assert one.reserved() == other.reserved()
    assert one.batches == other.batches


@settings(max_examples=examples(100), deadline=None)
@given(_HISTORY)
def test_nothing_is_ever_below_nothing(history: Any) -> None:
    accounts = _apply(Accounts(), history)
    purses = [*accounts.by_provider("").values(), accounts.reserved(), accounts.batch("B")]
    assert all(purse.unknown >= 0 for purse in purses)
    assert all(amount >= Decimal(0) for purse in purses for amount in purse.spent.values())
