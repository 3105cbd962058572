"""The error tree, and failures as problems."""

from typing import get_args

import pytest

from daemon.errors import (
    FRESH_ON_RETRY,
    RETRYABLE,
    BadRequest,
    Conflict,
    DarkroomError,
    Fault,
    LogCorrupt,
    LogError,
    LogFailed,
    LogFull,
    Problem,
    RootBusy,
    UsageError,
    error_of,
    problem_of,
)
from handlers.contract import ErrorCode, HandlerError

CODES = get_args(ErrorCode)


@pytest.mark.parametrize("kind", [BadRequest, UsageError, RootBusy, LogError])
def test_everything_darkroom_raises_is_a_darkroom_error(kind: type[Exception]) -> None:
    assert issubclass(kind, DarkroomError)


@pytest.mark.parametrize("kind", [Conflict, LogFull, LogCorrupt, LogFailed])
def test_errors_of_the_log_are_log_errors(kind: type[Exception]) -> None:
    assert issubclass(kind, LogError)


def test_a_failure_of_a_job_is_no_darkroom_error() -> None:
    assert not issubclass(HandlerError, DarkroomError)


@pytest.mark.parametrize("code", CODES)
def test_every_code_becomes_a_problem_and_back(code: ErrorCode) -> None:
    error = HandlerError(code, "it broke", hints=["try"], http={"status": 500, "request_id": "r"})
    back = error_of(problem_of(error).to_json())
    assert (back.code, back.message, back.hints, back.http) == (
        code,
        "it broke",
        ("try",),
        {"status": 500, "request_id": "r"},
    )
    assert back.retryable is (code in RETRYABLE)


@pytest.mark.parametrize("said", [True, False])
def test_what_a_failure_says_of_a_retry_goes_before_its_codes_default(said: bool) -> None:
    assert problem_of(HandlerError("provider_unavailable", "x", retryable=said)).retryable is said
    assert problem_of(HandlerError("internal", "x", retryable=said)).retryable is said


def test_an_unknown_end_of_a_paid_call_is_never_retried_by_itself() -> None:
    assert "ambiguous_submit" not in RETRYABLE
    assert "ambiguous_submit" not in FRESH_ON_RETRY


def test_codes_of_the_sets_are_codes() -> None:
    assert set(CODES) >= RETRYABLE
    assert set(CODES) >= FRESH_ON_RETRY


def test_a_problem_as_json_has_every_field_of_the_protocol() -> None:
    fault = Fault("/n", "too many")
    assert Problem("invalid_request", "no", ("hint",), False, (fault,)).to_json() == {
        "code": "invalid_request",
        "message": "no",
        "hints": ["hint"],
        "retryable": False,
        "faults": [{"pointer": "/n", "message": "too many"}],
        "http": None,
    }


def test_a_bad_request_holds_every_fault() -> None:
    faults = [Fault("/a", "x"), Fault("/b", "y")]
    error = BadRequest("invalid_request", "two faults", faults, ["mend them"])
    assert error.problem == Problem(
        "invalid_request", "two faults", ("mend them",), False, tuple(faults)
    )
    assert str(error) == "two faults"


def test_a_corrupt_line_says_where() -> None:
    error = LogCorrupt("00000001.jsonl:17", "the hash is wrong")
    assert error.where == "00000001.jsonl:17"
    assert str(error) == "00000001.jsonl:17: the hash is wrong"
