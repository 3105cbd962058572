"""Every failure of §13: its code, the provider's own words, hints, faults, and how long to wait."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.answers.complaints import LONGEST, complaint_in, error_within, pointer_of
from handlers.answers.failures import failure_of, failure_within
from handlers.contract import HandlerError
from handlers.wire import HttpReply
from tests.handlers.answers.test_waits import JSON


def failed(status: int, body: Any = None, **headers: str) -> HandlerError:
    """The failure that a reply is; `headers` with `_` for `-`."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode() if body else b""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return failure_of(HttpReply(status, named, data), "paper")


def openai(message: str, **more: Any) -> dict[str, Any]:
    return {"error": {"message": message, "type": None, "param": None, "code": None, **more}}


# ---------------------------------------------------------------- by status

BY_STATUS = [
    (301, "provider_rejected"),
    (307, "provider_rejected"),
    (400, "provider_rejected"),
    (401, "provider_auth"),
    (402, "provider_quota"),
    (403, "provider_auth"),
    (404, "provider_rejected"),
    (405, "provider_rejected"),
    (408, "provider_timeout"),
    (409, "provider_unavailable"),
    (410, "provider_rejected"),
    (413, "provider_rejected"),
    (415, "provider_rejected"),
    (418, "provider_rejected"),
    (422, "provider_rejected"),
    (425, "provider_unavailable"),
    (429, "provider_rate_limited"),
    (500, "provider_unavailable"),
    (502, "provider_unavailable"),
    (503, "provider_unavailable"),
    (504, "provider_unavailable"),
    (520, "provider_unavailable"),
    (524, "provider_unavailable"),
    (529, "provider_unavailable"),
    (599, "provider_unavailable"),
    (777, "provider_unavailable"),
]


@pytest.mark.parametrize(("status", "code"), BY_STATUS)
def test_a_status_has_a_code_and_a_hint(status: int, code: str) -> None:
    error = failed(status, openai("no luck"), x_request_id="req_1")
    assert error.code == code
    assert error.hints
    assert error.http == {"status": status, "request_id": "req_1"}
    assert error.retryable is None
    assert "paper" in error.message
    assert ("no luck" in error.message) == (status >= 400)


# ---------------------------------------------------------------- by what it says

BY_WORDS = [
    (429, openai("x", type="insufficient_quota"), "provider_quota"),
    (429, openai("x", code="credit_balance_exhausted"), "provider_quota"),
    (429, openai("x", code="organization_spend_limit_exceeded"), "provider_quota"),
    (429, openai("x", code="project_spend_limit_exceeded"), "provider_quota"),
    (429, openai("x", code="organization_usage_limit_exceeded"), "provider_quota"),
    (400, openai("x", code="billing_hard_limit_reached"), "provider_quota"),
    (429, openai("x", code="rate_limit_exceeded"), "provider_rate_limited"),
    (429, openai("x", code="slow_down", type="rate_limit_error"), "provider_rate_limited"),
    (503, openai("x", code="server_is_overloaded"), "provider_unavailable"),
    (
        400,
        openai("rejected", type="image_generation_user_error", code="moderation_blocked"),
        "content_refused",
    ),
    (400, openai("x", code="content_policy_violation"), "content_refused"),
    (400, openai("Rejected by the safety system. safety_violations=[sexual]"), "content_refused"),
    (
        400,
        openai("x", code="content_filter", innererror={"code": "ResponsibleAIPolicyViolation"}),
        "content_refused",
    ),
    (
        400,
        openai("x", code="contentFilter", innererror={"code": "ResponsibleAIPolicyViolation"}),
        "content_refused",
    ),
    (403, {"error": {"code": 403, "message": "x", "metadata": {"reasons": ["v"]}}}, "content_refused"),
    (403, {"error": {"code": "Forbidden", "message": "blocked for now"}}, "provider_auth"),
    (400, openai("Unknown parameter: 'moderation'.", param="moderation"), "provider_rejected"),
    (401, openai("content policy", code="invalid_api_key"), "provider_auth"),
    (500, openai("x", code="moderation_blocked"), "provider_unavailable"),
]  # fmt: skip


@pytest.mark.parametrize(("status", "body", "code"), BY_WORDS)
def test_what_a_provider_says_counts_more_than_its_status(
    status: int, body: Any, code: str
) -> None:
    assert failed(status, body).code == code


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (openai("bad size"), "bad size"),
        ({"error": "bad size"}, "bad size"),
        ({"code": "invalid", "error": "bad size"}, "bad size"),
        ({"error": {"code": 400, "message": "bad size", "metadata": None}}, "bad size"),
        ({"message": "bad size"}, "bad size"),
        ({"detail": "bad size"}, "bad size"),
        ({"errors": ["bad size"]}, "bad size"),
        ({"errors": [{"message": "bad size"}]}, "bad size"),
        ({"detail": [{"loc": ["body", "size"], "msg": "bad"}]}, "size: bad"),
        ({"error": ["bad", "size"]}, '["bad", "size"]'),
        (b"bad size", "bad size"),
        (b'"bad size"', "bad size"),
        (b"<html><title>bad &amp; size</title></html>", "with a web page: bad & size"),
        (b"<html><style>p{}</style><p>bad</p> size</html>", "with a web page: bad size"),
    ],
)
def test_the_providers_own_words_are_found(body: Any, message: str) -> None:
    said = failed(400, body).message
    assert said == f"paper answered 400 (bad request){'' if 'web' in message else ':'} {message}"


def test_an_empty_body_says_nothing() -> None:
    assert failed(500).message == "paper answered 500 (internal server error)"


@pytest.mark.timeout(5)
@pytest.mark.parametrize("piece", [b"<script ", b"<title>", b"<", b"flagged by ", b"{"])
def test_a_page_that_is_made_to_be_slow_is_read_fast(piece: bytes) -> None:
    assert failed(500, b"<html>" + piece * 200_000).code == "provider_unavailable"


def test_a_long_message_is_cut_and_control_characters_are_taken_out() -> None:
    said = failed(400, openai("a\x1b[31m\r\nb" + "c" * 9000)).message
    assert "a [31m b" in said
    assert said.isprintable()
    assert len(said) < LONGEST + 100


# ---------------------------------------------------------------- faults


@pytest.mark.parametrize(
    ("body", "faults"),
    [
        (openai("bad", param="size"), (("/size", "bad"),)),
        (openai("bad", param="image[0].url"), (("/image/0/url", "bad"),)),
        (openai("none", code="model_not_found"), (("/model", "none"),)),
        (
            {"detail": [{"loc": ["body", "n"], "msg": "many"}, {"loc": ["size"], "msg": "odd"}]},
            (("/n", "many"), ("/size", "odd")),
        ),
        ({"detail": [{"loc": "n"}, 3]}, ()),
        (openai("bad"), ()),
    ],
)
def test_the_field_that_a_provider_complains_about_is_named(body: Any, faults: Any) -> None:
    assert failed(422, body).faults == faults


@given(st.text(max_size=40))
def test_a_pointer_is_a_pointer(name: str) -> None:
    pointer = pointer_of(name)
    assert pointer == "" or pointer.startswith("/")


# ---------------------------------------------------------------- waits, redirects


def test_a_wait_goes_along_and_a_no_to_retrying_is_heard() -> None:
    error = failed(429, openai("slow"), retry_after="7", x_should_retry="false")
    assert (error.wait, error.retryable) == (7.0, False)
    assert failed(503, {"retry_after": 3}).wait == 3.0


def test_a_redirect_names_the_host_and_nothing_more() -> None:
    error = failed(302, location="https://user:pw@login.example/sso?token=abc")
    assert error.message == "paper answers with a redirect to login.example"
    assert "base URL" in error.hints[0]
    assert failed(302, location="http://[::1").message == "paper answers with a redirect"


@pytest.mark.parametrize("name", ["x-request-id", "apim-request-id", "x-ms-request-id", "cf-ray"])
def test_the_request_id_is_found_under_its_names(name: str) -> None:
    error = failure_of(HttpReply(500, {name: "r1"}, b""), "paper")
    assert error.http == {"status": 500, "request_id": "r1"}


# ---------------------------------------------------------------- inside of a success


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (openai("out of memory"), "provider_failed"),
        ({"error": "x"}, "provider_failed"),
        ({"success": False, "message": "x"}, "provider_failed"),
        ({"base_resp": {"status_code": 1004, "status_msg": "x"}}, "provider_failed"),
        ({"error": {"code": 400, "message": "x"}}, "provider_rejected"),
        ({"error": {"code": 429, "message": "x"}}, "provider_failed"),
        (openai("x", code="moderation_blocked"), "content_refused"),
        (openai("x", type="insufficient_quota"), "provider_quota"),
    ],
)
def test_a_success_that_holds_an_error_is_a_failure_for_good(answer: Any, code: str) -> None:
    complaint = error_within(answer)
    assert complaint is not None
    error = failure_within(HttpReply(200, {}, b""), complaint, "paper")
    assert (error.code, error.retryable) == (code, False)
    assert error.hints


@pytest.mark.parametrize(
    "answer",
    [{"error": None, "data": []}, {"error": {}}, {"base_resp": {"status_code": 0}}, [], ""],
)
def test_a_success_that_holds_none_is_none(answer: Any) -> None:
    assert error_within(answer) is None


# ---------------------------------------------------------------- whatever comes

ERRORS = st.dictionaries(
    st.sampled_from(
        ["error", "detail", "message", "code", "type", "param", "metadata", "innererror", "errors",
         "loc", "msg", "base_resp", "status_code", "success", "details"]
    ),
    JSON | st.dictionaries(st.sampled_from(["message", "code", "param", "loc", "msg"]), JSON),
)  # fmt: skip


@given(st.integers(300, 599), st.one_of(ERRORS, JSON))
def test_no_refusal_breaks_the_reading(status: int, body: Any) -> None:
    error = failed(status, json.dumps(body).encode())
    assert error.message.isprintable()
    assert all(pointer == "" or pointer[0] == "/" for pointer, _ in error.faults)


@given(st.binary(max_size=200))
def test_no_body_breaks_the_reading(body: bytes) -> None:
    assert len(complaint_in(body).message) <= LONGEST
