"""Answers that are lost on the way, from the socket to the job's end: a call that may have been done
is never sent again, unless the provider knows it by its key or somebody said so.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.story.stage import (
    CLIP,
    IDEMPOTENCY,
    KEY,
    PLAIN,
    Cast,
    asked,
    play,
    play_all,
)
from tests.wire import failures, faults
from tests.wire.jobs import job
from tests.wire.server import ProviderServer
from tests.wire.talking import Step

MEBIBYTE = 1 << 20
SHORT = 0.5
"""Seconds of patience with whoever hangs."""


@pytest.fixture
def server() -> Iterator[ProviderServer]:
    with ProviderServer(key=KEY, idempotency_header=IDEMPOTENCY) as running:
        yield running


class Lost(NamedTuple):
    """One way in which an answer is lost.

    Args:
        fault: makes what goes wrong.
        at: what it happens to.
        whole: whether the call had arrived whole, so that it was done.
        said: of the message.
        timeout: seconds that the call may take; None for the usual.
    """

    fault: Callable[[], Step]
    at: str = "create"
    whole: bool = True
    said: str = "broke off before its answer was whole"
    timeout: float | None = None

    @property
    def seen(self) -> int:
        """How many calls the server took notice of."""
        return int(self.at == "create")


LOST = {
    "reset before reading": Lost(faults.reset_before_reading, "connect", whole=False),
    "reset after the head": Lost(faults.reset_after_head, whole=False),
    "reset after the request": Lost(faults.reset_after_request),
    "closed after the request": Lost(faults.close_after_request),
    "reset in the answer's head": Lost(faults.reset_in_head),
    "reset in the answer's body": Lost(faults.reset_in_body),
    "a body shorter than it says": Lost(lambda: faults.wrong_length(7)),
    "chunks cut short": Lost(lambda: faults.chunked(cut=True)),
    "chunks without end": Lost(faults.endless, said="is larger than"),
    "a head without end": Lost(faults.endless_head),
    "no HTTP": Lost(faults.no_http),
    "a gzip bomb": Lost(lambda: faults.bomb(8 * MEBIBYTE), said="unpacks to more than"),
    "packed as nobody asked": Lost(faults.odd_encoding, said="was not asked for"),
    "a reset error page": Lost(lambda: faults.reset_in_body(failures.overloaded())),
    "no answer": Lost(faults.hang, said="did not answer within", timeout=SHORT),
    "half an answer": Lost(faults.hang_in_body, said="did not answer within", timeout=SHORT),
}


def request_for(lost: Lost) -> dict[str, float]:
    return {} if lost.timeout is None else {"timeout": lost.timeout}


# ---------------------------------------------------------------- lost, and maybe done


@pytest.mark.parametrize("name", LOST)
def test_a_paid_call_whose_answer_is_lost_is_not_sent_again(
    tmp_path: Path, server: ProviderServer, name: str
) -> None:
    lost = LOST[name]
    server.script(lost.fault(), at=lost.at)
    one = play(tmp_path, server, **request_for(lost))
    assert (one.code, one.end.attempts) == ("ambiguous_submit", 1)
    assert (len(server.creates), server.made) == (lost.seen, int(lost.whole))
    assert lost.said in one.first_error["message"]
    assert any("retry" in hint for hint in one.first_error["hints"])
    assert one.first_error["http"] is None


@pytest.mark.parametrize("name", LOST)
def test_with_an_idempotency_key_it_is_sent_again_and_done_once(
    tmp_path: Path, server: ProviderServer, name: str
) -> None:
    lost = LOST[name]
    server.script(lost.fault(), at=lost.at)
    one = play(tmp_path, server, Cast(idempotent=True), **request_for(lost))
    assert (one.ok, one.end.attempts) == (True, 2)
    assert (len(server.creates), server.made) == (lost.seen + 1, 1)
    keys = {call.headers[IDEMPOTENCY] for call in server.creates}
    assert len(keys) == 1
    timed_out = lost.timeout is not None
    assert one.first_error["code"] == ("provider_timeout" if timed_out else "provider_unavailable")


@pytest.mark.parametrize("name", LOST)
def test_where_somebody_said_so_it_is_paid_for_again(
    tmp_path: Path, server: ProviderServer, name: str
) -> None:
    lost = LOST[name]
    server.script(lost.fault(), at=lost.at)
    one = play(tmp_path, server, Cast(on_ambiguous="retry"), **request_for(lost))
    assert (one.ok, one.end.attempts) == (True, 2)
    assert (len(server.creates), server.made) == (lost.seen + 1, lost.whole + 1)
    assert one.first_error["code"] == "ambiguous_submit"


@pytest.mark.parametrize("name", LOST)
def test_a_free_call_is_simply_repeated(tmp_path: Path, server: ProviderServer, name: str) -> None:
    lost = LOST[name]
    server.script(lost.fault(), at=lost.at)
    one = play(tmp_path, server, Cast(paid=False), **request_for(lost))
    assert (one.ok, one.end.attempts) == (True, 2)
    assert len(server.creates) == lost.seen + 1


@pytest.mark.parametrize("name", ["reset after the head", "reset after the request", "a gzip bomb"])
def test_a_clip_is_not_paid_for_twice_either(
    tmp_path: Path, server: ProviderServer, name: str
) -> None:
    lost = LOST[name]
    server.script(lost.fault(), at=lost.at)
    one = play(tmp_path, server, **CLIP)
    assert (one.code, one.end.attempts, len(server.creates)) == ("ambiguous_submit", 1, lost.seen)


def test_an_answer_that_keeps_getting_lost_is_made_once_and_given_up_at_last(
    tmp_path: Path, server: ProviderServer
) -> None:
    server.script(*[faults.reset_after_request() for _ in range(9)])
    one = play(tmp_path, server, Cast(idempotent=True))
    assert (one.code, one.end.attempts) == ("provider_unavailable", 3)
    assert (len(server.creates), server.made) == (3, 1)


def test_after_a_known_failure_the_key_is_a_new_one(tmp_path: Path, server: ProviderServer) -> None:
    server.script(failures.overloaded())
    one = play(tmp_path, server, Cast(idempotent=True))
    assert (one.ok, one.end.attempts) == (True, 2)
    assert len({call.headers[IDEMPOTENCY] for call in server.creates}) == 2


# ---------------------------------------------------------------- known


def test_where_no_connection_can_be_made_nothing_was_paid_for(tmp_path: Path) -> None:
    with ProviderServer() as gone:
        pass
    one = play(tmp_path, gone)
    assert (one.code, one.end.attempts) == ("provider_unavailable", 3)
    assert "no connection to 127.0.0.1 could be made" in one.first_error["message"]
    assert one.first_error["hints"]


def test_a_server_that_comes_back_is_asked_within_the_same_attempt(
    tmp_path: Path, server: ProviderServer
) -> None:
    places = ["127.0.0.2", "127.0.0.2", "127.0.0.1"]  # at the first one nobody listens

    async def resolve(host: str, port: int) -> list[str]:
        return [places.pop(0)]

    one = play(tmp_path, server, Cast(network={"resolve": resolve}))
    assert (one.ok, one.end.attempts, len(server.creates), places) == (True, 1, 1, [])


def test_a_body_longer_than_it_says_is_an_answer_that_cannot_be_read(
    tmp_path: Path, server: ProviderServer
) -> None:
    server.script(faults.wrong_length(-7))
    one = play(tmp_path, server, Cast(idempotent=True, on_ambiguous="retry"))
    assert (one.code, one.end.attempts) == ("provider_failed", 1)
    assert (len(server.creates), server.made) == (1, 1)
    assert "cut short" in one.first_error["message"]


@pytest.mark.parametrize(
    "step",
    [
        faults.until_close(),
        faults.chunked(),
        faults.zipped(),
        faults.too_much(),
        faults.drip(every=0.001, size=50),
        faults.then_close(),
        faults.then_reset_next(),
    ],
)
def test_what_is_odd_but_whole_is_an_answer(
    tmp_path: Path, server: ProviderServer, step: Step
) -> None:
    server.script(step)
    one = play(tmp_path, server)
    assert (one.ok, one.end.attempts, len(server.creates)) == (True, 1, 1)


@pytest.mark.parametrize("stale", [faults.then_close, faults.then_reset_next])
def test_a_connection_that_went_stale_is_never_taken_for_a_lost_answer(
    tmp_path: Path, server: ProviderServer, stale: Callable[..., Step]
) -> None:
    """Polls leave connections behind that are kept; the next call that costs money uses none."""
    server.script(job("queued", "completed"), job("queued", "completed"))
    server.script(*[stale() for _ in range(6)], at="poll")
    cast = Cast(settings={"provider_concurrency": 1})
    played = play_all(tmp_path, server, [{"prompt": "first"}, {"prompt": "then"}], cast)
    assert asked(server) == {"first": 1, "then": 1}
    assert all(one.ok and one.end.attempts == 1 for one in played)
    assert len({call.connection for call in server.creates}) == 2


def test_nobody_hears_a_port_that_only_listens(tmp_path: Path) -> None:
    """A listener that never accepts: the connection is made, and then there is silence."""
    with socket.create_server(("127.0.0.1", 0), backlog=8) as silent, ProviderServer() as server:
        server.port = silent.getsockname()[1]
        one = play(tmp_path, server, PLAIN, timeout=0.2)
    assert (one.code, one.end.attempts) == ("ambiguous_submit", 1)
