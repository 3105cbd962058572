"""What one call of a provider costs, before and after: the price table, applied to it. Pure."""

from __future__ import annotations

from typing import NamedTuple

from daemon.prices import Cost, Prices, kind_of, made_by
from daemon.sending import is_known_failure
from handlers.contract import Call, HandlerError, Outcome
from handlers.wire import Provider


class Counter(NamedTuple):
    """Counts what one call costs; nothing is said of a call that is free."""

    provider: Provider
    prices: Prices
    call: Call

    def estimate(self) -> Cost | None:
        """What it will cost, as far as anybody can say."""
        if not self.provider.paid:
            return None
        return self.prices.estimate(self.provider.name, [self.call.model], made_by(self.call))

    def cost(self, outcome: Outcome) -> Cost | None:
        """What it cost that came to this."""
        if not self.provider.paid:
            return None
        models = [self.call.model, outcome.model]
        made = made_by(self.call, outcome)
        return self.prices.cost(self.provider.name, models, outcome.usage, made)

    def cost_of_failure(self, error: HandlerError) -> Cost | None:
        """What it cost that failed when it was sent. With an idempotency key nobody tells a call
        that was lost from one that never left."""
        if not self.provider.paid or error.code == "ambiguous_submit":
            return None
        status = (error.http or {}).get("status")
        known = isinstance(status, int) and is_known_failure(status, kind_of(self.call.operation))
        if not known and self.provider.idempotent:
            return None
        return self.prices.cost_of_failure(error, known=known)
