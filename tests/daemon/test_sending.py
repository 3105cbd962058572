"""Promise 2: what may be sent again, whatever a provider makes of the reply."""

import pytest

from daemon.sending import Sent, is_known_failure, lost_answer
from handlers.contract import ErrorCode, HandlerError, Kind

SAYS_NOTHING_WAS_DONE = [301, 400, 401, 402, 403, 404, 408, 409, 422, 425, 429, 499]


@pytest.mark.parametrize("kind", ["image", "video"])
@pytest.mark.parametrize("status", SAYS_NOTHING_WAS_DONE)
def test_a_refusal_is_known_to_have_done_nothing(kind: Kind, status: int) -> None:
    assert is_known_failure(status, kind)


@pytest.mark.parametrize(
    ("status", "kind", "known"),
    [
        (500, "image", True),
        (503, "image", True),
        (502, "image", False),
        (504, "image", False),
        (524, "image", False),
        (529, "image", False),
        (500, "video", False),
        (502, "video", False),
        (503, "video", False),
        (504, "video", False),
        (200, "image", False),
        (202, "video", False),
    ],
)
def test_the_line_is_where_the_protocol_draws_it(status: int, kind: Kind, *, known: bool) -> None:
    assert is_known_failure(status, kind) is known


def failure(code: ErrorCode = "provider_unavailable", **fields: object) -> HandlerError:
    return HandlerError(code, "it said so", hints=["wait"], **fields)  # type: ignore[arg-type]


def judged(status: int | None, kind: Kind = "image", *, idempotent: bool = False) -> HandlerError:
    sent = Sent()
    if status is None:
        sent.lost()
    else:
        sent.replied(status, kind)
    error = failure(http={"status": status})
    return sent.judge(error, "paper", idempotent=idempotent)


@pytest.mark.parametrize("status", [None, 502, 504, 599])
def test_where_nobody_knows_nothing_is_sent_again_and_the_cause_is_told(status: int | None) -> None:
    error = judged(status)
    assert error.code == "ambiguous_submit"
    assert error.retryable is None
    assert "paper" in error.message
    assert "it said so" in error.message
    assert error.http == {"status": status}


@pytest.mark.parametrize("status", [None, 500, 502, 503, 504])
def test_with_an_idempotency_key_it_is_sent_again(status: int | None) -> None:
    error = judged(status, "video", idempotent=True)
    assert (error.code, error.retryable) == ("provider_unavailable", True)


@pytest.mark.parametrize("status", [500, 503, 429])
def test_a_known_failure_stays_what_it_is(status: int) -> None:
    error = judged(status)
    assert (error.code, error.retryable) == ("provider_unavailable", None)


@pytest.mark.parametrize("status", [200, 202])
def test_what_was_done_is_never_sent_again_whatever_is_wrong_with_the_answer(status: int) -> None:
    error = judged(status)
    assert (error.code, error.retryable) == ("provider_unavailable", False)


def test_where_nothing_left_a_failure_stays_what_it_is() -> None:
    error = failure()
    assert Sent().judge(error, "paper", idempotent=False) is error
    assert error.retryable is None


def test_of_several_calls_the_one_that_nobody_knows_of_counts() -> None:
    sent = Sent()
    sent.replied(400, "image")
    sent.lost()
    assert sent.judge(failure(), "paper", idempotent=False).code == "ambiguous_submit"


def test_a_lost_answer_says_what_to_do() -> None:
    error = lost_answer("paper")
    assert "retry" in " ".join(error.hints)
    assert "billed" in error.message
