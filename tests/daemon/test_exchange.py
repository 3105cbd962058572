"""One exchange with a provider: its effects performed, its failures told apart."""

import asyncio
import threading
from collections.abc import Callable, Generator
from typing import Any

import pytest

from daemon.exchange import Means, Workbench, exchange
from daemon.net import Network
from daemon.sites import Site
from daemon.testing import FrozenClock, answer_with, fail_with, tiny_image
from handlers.contract import Call, HandlerError, Json, Medium, Outcome
from handlers.wire import AnswersAtOnce, Compute, Effect, HttpCall, Pending, Ticket
from tests.builders import scripted
from tests.wire.server import ProviderServer

CALL = Call("generate_image", {"prompt": "x"})
Submit = Callable[[Call], Generator[Effect, Json, Outcome]]


def means(workbench: Workbench, **fields: Any) -> Means:
    network = Network(max_answer_bytes=1 << 20, max_media_bytes=1 << 20)
    return Means(workbench, network, FrozenClock(), **fields)


class Made(AnswersAtOnce):
    """A provider made of one generator function."""

    name = "made"
    operations = frozenset({"generate_image"})

    def __init__(self, submit: Submit, *, paid: bool = True) -> None:
        self.submit = submit
        self.paid = paid


def ask(provider: Any, timeout: float = 10) -> Outcome:
    async def main() -> Outcome:
        workbench = Workbench(2)
        try:
            return await exchange(provider, provider.submit(CALL), means(workbench), timeout)
        finally:
            workbench.close()

    return asyncio.run(main())


def failure(provider: Any, timeout: float = 10) -> HandlerError:
    with pytest.raises(HandlerError) as caught:
        ask(provider, timeout)
    return caught.value


# ---------------------------------------------------------------- driving


def test_a_provider_is_sent_what_its_effects_came_to() -> None:
    def submit(call: Call) -> Generator[Effect, Json, Outcome]:
        first = yield Compute(lambda: [1])
        second = yield Compute(lambda: [*first, 2])
        return Outcome(usage={"replies": second, "prompt": call.fields["prompt"]})

    assert ask(Made(submit)).usage == {"replies": [1, 2], "prompt": "x"}


def test_an_answer_comes_back_as_the_provider_gave_it() -> None:
    picture = tiny_image()
    assert ask(scripted(answer_with(picture))).media == (Medium(picture),)


def test_computing_happens_in_another_thread() -> None:
    def submit(_: Call) -> Generator[Effect, Json, Outcome]:
        thread = yield Compute(threading.get_ident)
        return Outcome(usage={"thread": thread})

    usage = ask(Made(submit)).usage
    assert usage is not None
    assert usage["thread"] != threading.get_ident()


def test_a_provider_may_know_what_a_failure_means() -> None:
    def broken() -> None:
        raise ConnectionRefusedError

    def submit(_: Call) -> Generator[Effect, Json, Outcome]:
        try:
            yield Compute(broken)
        except ConnectionRefusedError:
            reply = yield Compute(lambda: "second try")
        return Outcome(model=reply)

    assert ask(Made(submit)).model == "second try"


def test_a_provider_without_effects_answers_at_once() -> None:
    def submit(_: Call) -> Generator[Effect, Json, Outcome]:
        return Outcome(model="m")
        yield

    assert ask(Made(submit)).model == "m"


# ---------------------------------------------------------------- failing


def test_what_a_provider_refuses_is_told_as_it_is() -> None:
    refusal = HandlerError("content_refused", "no", hints=["ask otherwise"])
    assert failure(scripted(fail_with(refusal))) is refusal


BREAKS: list[Submit] = []


def breaks(function: Submit) -> Submit:
    BREAKS.append(function)
    return function


@breaks
def raises_in_the_thread(_: Call) -> Generator[Effect, Json, Outcome]:
    yield Compute(lambda: 1 // 0)
    return Outcome()


@breaks
def raises_itself(_: Call) -> Generator[Effect, Json, Outcome]:
    yield Compute(lambda: 1)
    raise KeyError("images")


@breaks
def raises_at_once(_: Call) -> Generator[Effect, Json, Outcome]:
    raise RuntimeError
    yield


@breaks
def returns_nothing(_: Call) -> Generator[Effect, Json, Outcome]:
    yield Compute(lambda: 1)
    return None  # type: ignore[return-value]


@breaks
def times_out_itself(_: Call) -> Generator[Effect, Json, Outcome]:
    def late() -> None:
        raise TimeoutError

    yield Compute(late)
    return Outcome()


@pytest.mark.parametrize("submit", BREAKS)
def test_a_paid_provider_that_breaks_leaves_an_unknown_end_once_it_did_something(
    submit: Submit,
) -> None:
    error = failure(Made(submit))
    assert error.code == ("internal" if submit is raises_at_once else "ambiguous_submit")
    assert "made" in error.message


@pytest.mark.parametrize("submit", BREAKS)
def test_a_free_provider_that_breaks_has_failed(submit: Submit) -> None:
    code = "provider_timeout" if submit is times_out_itself else "internal"
    assert failure(Made(submit, paid=False)).code == code


def test_a_break_tells_nothing_of_what_was_in_it() -> None:
    def submit(_: Call) -> Generator[Effect, Json, Outcome]:
        raise RuntimeError("Authorization: Bearer sk-1234")
        yield

    for paid in (True, False):
        error = failure(Made(submit, paid=paid))
        assert "sk-1234" not in error.message + "".join(error.hints)


@pytest.mark.parametrize(
    ("paid", "code"), [(True, "ambiguous_submit"), (False, "provider_timeout")]
)
def test_an_answer_that_does_not_come_in_time(paid: bool, code: str) -> None:
    release = threading.Event()

    def submit(_: Call) -> Generator[Effect, Json, Outcome]:
        yield Compute(lambda: release.wait(20))
        return Outcome()

    async def main() -> HandlerError:
        workbench = Workbench(1)
        try:
            with pytest.raises(HandlerError) as caught:
                made = Made(submit, paid=paid)
                await exchange(made, made.submit(CALL), means(workbench), 0.01)
            return caught.value
        finally:
            release.set()
            workbench.close()

    assert asyncio.run(main()).code == code


# ---------------------------------------------------------------- the workbench


def test_a_workbench_that_closes_begins_nothing_more() -> None:
    async def main() -> None:
        workbench = Workbench(1)
        assert await workbench.run(lambda: 7) == 7
        workbench.close()
        with pytest.raises(RuntimeError):
            await workbench.run(lambda: 8)

    asyncio.run(main())


def test_a_function_that_raises_stop_iteration_breaks_at_once() -> None:
    def submit(call: Call) -> Generator[Effect, Json, Outcome]:
        yield Compute(lambda: next(iter(())))
        return Outcome()

    assert failure(Made(submit, paid=False)).code == "internal"


def test_an_effect_that_nobody_can_perform_breaks_the_provider() -> None:
    def submit(call: Call) -> Generator[Effect, Json, Outcome]:
        yield "an effect of a later version"  # type: ignore[misc]
        return Outcome()

    assert failure(Made(submit, paid=False)).code == "internal"


# ---------------------------------------------------------------- providers with an address


class Posting(AnswersAtOnce):
    """A paid provider that posts to a server, and breaks where it is told to."""

    name = "posting"
    paid = True
    operations = frozenset({"generate_image"})

    def __init__(self, breaks: str) -> None:
        self._breaks = breaks

    def submit(self, _: Call) -> Generator[Effect, Json, Outcome]:
        yield Compute(lambda: self._maybe("phrasing"))
        reply = yield HttpCall("POST", "/images/generations", json={}, creates="image")
        yield Compute(lambda: self._maybe("reading"))
        return Outcome(usage={"status": reply.status})

    def resume(self, _: Ticket) -> Generator[Effect, Json, Outcome | Pending]:
        yield HttpCall("GET", "/images/jobs/1")
        yield Compute(lambda: self._maybe("asking"))
        return Pending("running")

    def _maybe(self, where: str) -> None:
        if where == self._breaks:
            raise KeyError(where)


def post(server: ProviderServer, breaks: str, *, submits: bool = True) -> HandlerError:
    async def main() -> HandlerError:
        workbench, provider = Workbench(1), Posting(breaks)
        given = means(workbench, site=Site(server.base_url))
        effects: Any = provider.submit(CALL) if submits else provider.resume(Ticket("1"))
        try:
            with pytest.raises(HandlerError) as caught:
                await exchange(provider, effects, given, 10, submits=submits)
            return caught.value
        finally:
            workbench.close()
            await given.network.close()

    return asyncio.run(main())


@pytest.mark.parametrize(
    ("breaks", "code", "creates"),
    [("phrasing", "internal", 0), ("reading", "ambiguous_submit", 1)],
)
def test_what_breaks_before_anything_left_cost_nothing_and_after_it_nobody_knows(
    breaks: str, code: str, creates: int
) -> None:
    with ProviderServer() as server:
        assert post(server, breaks).code == code
        assert len(server.creates) == creates


def test_what_breaks_while_a_taken_call_is_asked_for_loses_nothing() -> None:
    with ProviderServer() as server:
        assert post(server, "asking", submits=False).code == "internal"


def test_neither_does_one_that_has_no_address() -> None:
    class Alone(Posting):
        def resume(self, _: Ticket) -> Generator[Effect, Json, Outcome | Pending]:
            yield Compute(lambda: self._maybe("asking"))
            return Pending("running")

    async def main() -> str:
        workbench, provider = Workbench(1), Alone("asking")
        try:
            with pytest.raises(HandlerError) as caught:
                ticket = provider.resume(Ticket("1"))
                await exchange(provider, ticket, means(workbench), 10, submits=False)
            return caught.value.code
        finally:
            workbench.close()

    assert asyncio.run(main()) == "internal"
