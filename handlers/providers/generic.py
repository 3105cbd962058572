"""A service that nobody listed, by what its entry in the configuration says of it.

Calls are JSON with the fields as they were given; `handlers.generic_shape.plan` has the options of
an entry, and docs/configuring.md tells them to users. Media, jobs and failures are found in answers
by the same code that reads those of every other provider.
"""

from __future__ import annotations

from collections.abc import Collection, Generator
from functools import partial

from handlers.contract import Call, Json, Outcome
from handlers.generic_shape.phrasing import phrased
from handlers.generic_shape.plan import Plan, plan_of
from handlers.generic_shape.reading import read, read_poll, read_result
from handlers.openai_shape.asking import Asked
from handlers.openai_shape.cancelling import cancel_call, read_cancel
from handlers.openai_shape.polling import asked_by
from handlers.wire import Compute, Effect, Entry, HttpCall, Pending, Ticket


class Generic:
    """One configured service.

    Args:
        plan: how it is spoken to.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self.name = plan.entry.name
        self.paid = plan.entry.paid
        self.idempotent = plan.entry.idempotency_header is not None
        self.operations: Collection[str] = frozenset(plan.endpoints)

    def submit(self, call: Call) -> Generator[Effect, Json, Outcome | Ticket]:
        """Send the call, and read what comes back."""
        phrase = partial(phrased, self._plan, call)
        sent: HttpCall
        asked: Asked
        # Pictures are converted and encoded, which takes its time; without any it takes none.
        sent, asked = (yield Compute(phrase)) if any(call.inputs.values()) else phrase()
        reply = yield sent
        answer: Outcome | Ticket = yield Compute(partial(read, reply, self._plan, asked))
        return answer

    def resume(self, ticket: Ticket) -> Generator[Effect, Json, Outcome | Pending]:
        """Ask for a job once, and for its result where that lies by itself."""
        asked = asked_by(ticket, self._plan.entry, self._plan.dialect)
        reply = yield HttpCall("GET", ticket.status_url or "")
        answer: Outcome | Pending | str
        answer = yield Compute(partial(read_poll, reply, ticket, self._plan, asked))
        if not isinstance(answer, str):
            return answer
        reply = yield HttpCall("GET", answer)
        outcome: Outcome = yield Compute(partial(read_result, reply, ticket, self._plan, asked))
        return outcome

    def cancel(self, ticket: Ticket) -> Generator[Effect, Json, bool]:
        """Have a job left, where the answer that took it said how."""
        call = cancel_call(ticket)
        if call is None:
            return False
        reply = yield call
        return read_cancel(reply, self.name)


class GenericAdapter:
    """The adapter: makes a provider of each entry that describes its own service."""

    apis = frozenset({"generic"})
    key_header = "authorization"
    key_prefix = "Bearer "

    def provider(self, entry: Entry) -> Generic:
        """The provider of an entry.

        Raises:
            HandlerError: `config_invalid`: its address or its options cannot be meant so.
        """
        return Generic(plan_of(entry))


def adapter() -> GenericAdapter:
    """The adapter of this module."""
    return GenericAdapter()
