"""What was spent, and what is set aside: a fold over the paid calls in the log. Pure.

Few numbers: the days of this month and the last, by provider and currency, the calls under way,
and the batches of that time. A call is set aside for from `provider.requested` until an event says
what it cost; one whose job ends before counts as unknown, until it is answered after all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from decimal import Decimal

from daemon.errors import RESUMES
from daemon.events import (
    BudgetFreed,
    BudgetReached,
    JobEnded,
    ProviderAccepted,
    ProviderAnswered,
    ProviderRequested,
    Recorded,
)
from daemon.prices import amount_of, written
from handlers.contract import Json


@dataclass(frozen=True, slots=True)
class Claim:
    """A paid call of which nobody knows yet what it cost."""

    provider: str
    estimate: Decimal | None
    currency: str
    batch: str | None
    key: str | None
    """Its idempotency key: sent again with the same one, it is the same call."""
    taken: bool = False
    """Whether the provider took it and works on it."""
    lost: str | None = None
    """The day on which it was counted as unknown, as its job ended."""


@dataclass(slots=True)
class Purse:
    """What was spent, in one currency each, and how many calls cost nobody knows what."""

    spent: dict[str, Decimal] = field(default_factory=dict)
    unknown: int = 0

    def add(self, amount: Decimal, currency: str) -> None:
        """Something was paid."""
        self.spent[currency] = self.spent.get(currency, Decimal(0)) + amount

    def take_in(self, other: Purse) -> None:
        """Add what another one holds."""
        for currency, amount in other.spent.items():
            self.add(amount, currency)
        self.unknown += other.unknown

    def to_json(self) -> dict[str, Json]:
        """As the index and `darkroom status --json` have it."""
        spent = {currency: written(amount) for currency, amount in sorted(self.spent.items())}
        return {"spent": spent, "unknown": self.unknown}

    @classmethod
    def of(cls, found: Mapping[str, Json]) -> Purse:
        """The inverse of `to_json`."""
        spent = {currency: amount_of(amount) for currency, amount in found["spent"].items()}
        return cls(spent, found["unknown"])


class Accounts:
    """The books. `apply` takes in one event, in place."""

    def __init__(self) -> None:
        self.days: dict[str, dict[str, Purse]] = {}
        """By day (UTC, "2026-11-25") and provider."""
        self.batches: dict[str, tuple[str, Purse]] = {}
        """By batch: the day of its last call, and what all of them cost."""
        self.claims: dict[str, dict[str, Claim]] = {}
        """By job and step."""
        self.reached: dict[str, BudgetReached] = {}
        """The budgets that hold calls, by name."""
        self._today = ""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Accounts) and self.to_json() == other.to_json()

    __hash__ = None  # type: ignore[assignment]

    # ------------------------------------------------------------ taking in

    def apply(self, recorded: Recorded, batch: str | None) -> None:
        """Take in an event.

        Args:
            recorded: of whatever type.
            batch: the account of its job besides days and months, if it has one.
        """
        event = recorded.event
        match event:
            case BudgetReached():
                self.reached[event.name] = event
            case BudgetFreed():
                self.reached.pop(event.name, None)
            case ProviderRequested() if event.paid:
                self._begin(_day(recorded))
                self._requested(recorded, event, batch)
            case _ if recorded.job in self.claims:
                self._begin(_day(recorded))
                self._apply_to_claims(recorded)

    def _apply_to_claims(self, recorded: Recorded) -> None:
        match recorded.event:
            case ProviderAccepted() as event:
                self._accepted(recorded, event)
            case ProviderAnswered() as event:
                self._answered(recorded, event)
            case JobEnded():
                self._ended(recorded)

    def _requested(self, recorded: Recorded, event: ProviderRequested, batch: str | None) -> None:
        calls = self.claims.setdefault(recorded.job or "", {})
        before = calls.get(event.step)
        if before is not None and before.lost is None:
            same = before.key is not None and before.key == event.idempotency_key
            if not same:  # nobody will ever say what that one cost
                self._count_unknown(recorded, before)
        estimate = event.estimate or {}
        amount = amount_of(estimate["amount"]) if estimate else None
        currency = estimate.get("currency", "")
        calls[event.step] = Claim(event.provider, amount, currency, batch, event.idempotency_key)

    def _accepted(self, recorded: Recorded, event: ProviderAccepted) -> None:
        claim = self._claim(recorded, event.step)
        if claim is None:
            return
        if event.cost is None and event.ticket is not None:
            self.claims[recorded.job or ""][event.step] = replace(claim, taken=True)
        else:  # it was answered, even if it did not say
            self._settle(recorded, event.step, claim, event.cost)

    def _answered(self, recorded: Recorded, event: ProviderAnswered) -> None:
        claim = self._claim(recorded, event.step)
        if claim is None:
            return
        code = event.error["code"] if event.error is not None else None
        if claim.taken and event.cost is None and code in RESUMES:
            return  # it is asked for again
        self._settle(recorded, event.step, claim, event.cost)

    def _claim(self, recorded: Recorded, step: str) -> Claim | None:
        return self.claims.get(recorded.job or "", {}).get(step)

    def _settle(
        self, recorded: Recorded, step: str, claim: Claim, cost: Mapping[str, Json] | None
    ) -> None:
        """A call is over: it cost something, or nobody knows what."""
        job = recorded.job or ""
        del self.claims[job][step]
        if not self.claims[job]:
            del self.claims[job]
        if cost is None:
            if claim.lost is None:
                self._count_unknown(recorded, claim)
            return
        if claim.lost is not None:
            self._uncount(claim)
        for purse in self._purses(recorded, claim):
            purse.add(amount_of(cost["amount"]), cost["currency"])

    def _ended(self, recorded: Recorded) -> None:
        """What its calls cost that are not answered nobody knows; unless a retry answers them."""
        calls = self.claims.get(recorded.job or "", {})
        for step, claim in calls.items():
            if claim.lost is None:
                self._count_unknown(recorded, claim)
                calls[step] = replace(claim, lost=_day(recorded))

    def _count_unknown(self, recorded: Recorded, claim: Claim) -> None:
        for purse in self._purses(recorded, claim):
            purse.unknown += 1

    def _uncount(self, claim: Claim) -> None:
        """It is known after all what a call cost that was counted as unknown."""
        purse = self.days.get(claim.lost or "", {}).get(claim.provider)
        if purse is not None:
            purse.unknown = max(0, purse.unknown - 1)
        if claim.batch in self.batches:
            purse = self.batches[claim.batch][1]
            purse.unknown = max(0, purse.unknown - 1)

    def _purses(self, recorded: Recorded, claim: Claim) -> Iterator[Purse]:
        """Where a call is to be booked."""
        day = _day(recorded)
        yield self.days.setdefault(day, {}).setdefault(claim.provider, Purse())
        if claim.batch is not None:
            last, purse = self.batches.get(claim.batch, ("", Purse()))
            self.batches[claim.batch] = max(last, day), purse
            yield purse

    def _begin(self, today: str) -> None:
        """With a new day, forget what is older than the last month."""
        if today <= self._today:
            return
        self._today = today
        first = f"{_month_before(today)}-01"
        self.days = {day: purses for day, purses in self.days.items() if day >= first}
        self.batches = {key: one for key, one in self.batches.items() if one[0] >= first}
        for job, calls in list(self.claims.items()):
            kept = {step: one for step, one in calls.items() if (one.lost or today) >= first}
            self.claims[job] = kept
            if not kept:
                del self.claims[job]

    # ------------------------------------------------------------ asking

    def day(self, day: str) -> Purse:
        """What a day cost (UTC, "2026-11-25"); a month is all days that begin so ("2026-11")."""
        total = Purse()
        for one, purses in self.days.items():
            if one.startswith(day):
                for purse in purses.values():
                    total.take_in(purse)
        return total

    def by_provider(self, day: str) -> dict[str, Purse]:
        """The same, of each provider."""
        found: dict[str, Purse] = {}
        for one, purses in self.days.items():
            if one.startswith(day):
                for provider, purse in purses.items():
                    found.setdefault(provider, Purse()).take_in(purse)
        return dict(sorted(found.items()))

    def batch(self, key: str) -> Purse:
        """What a batch cost."""
        return self.batches.get(key, ("", Purse()))[1]

    def under_way(self) -> Iterator[tuple[str, str, Claim]]:
        """The paid calls that are not answered: job, step, and what is set aside for each."""
        for job, calls in self.claims.items():
            for step, claim in calls.items():
                if claim.lost is None:
                    yield job, step, claim

    def reserved(self) -> Purse:
        """What is set aside; `unknown` counts calls of which nobody can say before."""
        return _set_aside(claim for _, _, claim in self.under_way())

    def reserved_for(self, batch: str) -> Purse:
        """The same, for one batch."""
        return _set_aside(claim for _, _, claim in self.under_way() if claim.batch == batch)

    # ------------------------------------------------------------ keeping

    def to_json(self) -> dict[str, Json]:
        """All of it, for the index."""
        return {
            "days": {
                day: {name: purse.to_json() for name, purse in sorted(purses.items())}
                for day, purses in sorted(self.days.items())
            },
            "batches": {
                key: [last, purse.to_json()] for key, (last, purse) in self.batches.items()
            },
            "claims": [[job, step, *_row(one)] for job, step, one in self._all()],
            "reached": [asdict(event) for event in self.reached.values()],
            "today": self._today,
        }

    @classmethod
    def of(cls, found: Mapping[str, Json]) -> Accounts:
        """The inverse of `to_json`."""
        accounts = cls()
        accounts.days = {
            day: {name: Purse.of(purse) for name, purse in purses.items()}
            for day, purses in found["days"].items()
        }
        accounts.batches = {
            key: (last, Purse.of(purse)) for key, (last, purse) in found["batches"].items()
        }
        for job, step, provider, estimate, *rest in found["claims"]:
            amount = amount_of(estimate) if estimate is not None else None
            accounts.claims.setdefault(job, {})[step] = Claim(provider, amount, *rest)
        accounts.reached = {
            event.name: event for event in (BudgetReached(**one) for one in found["reached"])
        }
        accounts._today = found["today"]
        return accounts

    def _all(self) -> Iterable[tuple[str, str, Claim]]:
        return (
            (job, step, claim)
            for job, calls in sorted(self.claims.items())
            for step, claim in sorted(calls.items())
        )


def _set_aside(claims: Iterable[Claim]) -> Purse:
    total = Purse()
    for claim in claims:
        if claim.estimate is None:
            total.unknown += 1
        else:
            total.add(claim.estimate, claim.currency)
    return total


def _row(claim: Claim) -> list[Json]:
    estimate = written(claim.estimate) if claim.estimate is not None else None
    return [
        claim.provider, estimate, claim.currency, claim.batch, claim.key, claim.taken, claim.lost,
    ]  # fmt: skip


def _day(recorded: Recorded) -> str:
    return recorded.time[:10]


def _month_before(day: str) -> str:
    year, month = int(day[:4]), int(day[5:7])
    return f"{year - 1:04}-12" if month == 1 else f"{year:04}-{month - 1:02}"
