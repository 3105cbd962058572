"""Errors, as each family of servers phrases them: answers for `ProviderServer.script`.

What they mean (class and retry) stands in the reference, chapter 13; here is how they look.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

from tests.wire.talking import Reply, json_reply

TEXT = "The server said no"

# ---------------------------------------------------------------- bodies


def openai(
    status: int,
    message: str = TEXT,
    *,
    kind: str = "invalid_request_error",
    code: str | None = None,
    param: str | None = None,
    **headers: str,
) -> Reply:
    """OpenAI's error object. `headers` with `_` for `-`."""
    error = {"message": message, "type": kind, "param": param, "code": code}
    return json_reply({"error": error}, status, **{"x_request_id": "req-paper-9"} | headers)


def xai_code(status: int, message: str = TEXT) -> Reply:
    """xAI's second shape: a code beside a text."""
    return json_reply({"code": "The caller did something wrong", "error": message}, status)


def error_text(status: int, message: str = TEXT, **headers: str) -> Reply:
    """The error as a plain string: stable-diffusion.cpp, and xAI's third shape."""
    return json_reply({"error": message}, status, **headers)


def openrouter(status: int, message: str = TEXT, sent: int | None = None, **metadata: Any) -> Reply:
    """OpenRouter's: the code is a number. `sent` is the HTTP status, where that differs."""
    error = {"code": status, "message": message, "metadata": metadata}
    return json_reply({"error": error, "user_id": "user-1"}, sent or status)


def fastapi(message: str = "Input should be a valid integer", *where: str) -> Reply:
    """A list of `detail`, as FastAPI answers 422 (vLLM-omni, SGLang)."""
    fault = {"type": "int_parsing", "loc": ["body", *where], "msg": message, "input": "x"}
    return json_reply({"detail": [fault]}, 422)


def detail(status: int, message: str = TEXT) -> Reply:
    """`detail` as a text: FastAPI's other errors, Replicate."""
    return json_reply({"title": "Wrong", "detail": message, "status": status}, status)


def google(status: int, word: str, message: str = TEXT, *details: Any) -> Reply:
    """Google's, as relays pass it on."""
    error = {"code": status, "message": message, "status": word, "details": list(details)}
    return json_reply({"error": error}, status)


def plain(status: int, text: str = TEXT, **headers: str) -> Reply:
    """A text and no JSON, as gateways answer."""
    return Reply(status, text.encode(), {"content-type": "text/plain"}).but(**headers)


def page(status: int) -> Reply:
    """HTML, as proxies answer."""
    body = f"<html><head><title>{status}</title></head><body><h1>{status}</h1></body></html>"
    return Reply(status, body.encode(), {"content-type": "text/html"})


def empty(status: int, **headers: str) -> Reply:
    """No body."""
    return Reply(status).but(**headers)


# ---------------------------------------------------------------- those with a meaning


def wrong_key() -> Reply:
    return openai(401, "Incorrect API key provided", code="invalid_api_key")


def asks_for_key() -> Reply:
    """A foreign host that would like to have the key."""
    return plain(401, "who are you?", www_authenticate='Basic realm="media"')


def forbidden() -> Reply:
    return openai(403, "Your organization must be verified", kind="permission_error")


def azure_block() -> Reply:
    return json_reply({"error": {"code": "Forbidden", "message": "temporarily blocked"}}, 403)


def not_found() -> Reply:
    return openai(404, "The model does not exist", code="model_not_found", param="model")


def wrong_field(param: str = "size") -> Reply:
    return openai(400, f"Invalid value for {param!r}", code="invalid_value", param=param)


def moderation() -> Reply:
    text = "Your request was rejected by the safety system. safety_violations=[violence]."
    return openai(400, text, kind="image_generation_user_error", code="moderation_blocked")


def content_policy() -> Reply:
    """As in the days of DALL-E."""
    return openai(400, "Your request was rejected.", code="content_policy_violation")


def azure_filter() -> Reply:
    error = {
        "code": "content_filter",
        "message": "The response was filtered",
        "param": "prompt",
        "status": 400,
        "innererror": {
            "code": "ResponsibleAIPolicyViolation",
            "content_filter_result": {"violence": {"filtered": True, "severity": "high"}},
        },
    }
    return json_reply({"error": error}, 400)


def openrouter_flagged() -> Reply:
    return openrouter(
        403, "Your input was flagged", reasons=["violence"], flagged_input="a fox",
        provider_name="paper", model_slug="paper/paper-1",
    )  # fmt: skip


BILLING_CODES = (
    "credit_balance_exhausted",
    "organization_spend_limit_exceeded",
    "project_spend_limit_exceeded",
    "organization_usage_limit_exceeded",
)


def billing(code: str | None = "insufficient_quota") -> Reply:
    """A 429 that no waiting helps."""
    text = "You exceeded your current quota, please check your plan and billing details."
    return openai(429, text, kind="insufficient_quota", code=code)


def payment_required() -> Reply:
    return openrouter(402, "Insufficient credits")


def rate_limited(**headers: str) -> Reply:
    """A 429 that passes. `headers` with `_` for `-`: `retry_after="7"`."""
    text = "Rate limit reached for paper-1"
    return openai(429, text, kind="requests", code="rate_limit_exceeded", **headers)


def slow_down(status: int = 429) -> Reply:
    return openai(status, "Slow down", kind="rate_limit_error", code="slow_down")


def overloaded() -> Reply:
    return openai(503, "Overloaded", kind="server_error", code="server_is_overloaded")


# ---------------------------------------------------------------- Retry-After, in all its forms


def retry_after_date(seconds: float, now: datetime | None = None) -> str:
    """`Retry-After` as a date (RFC 9110), so many seconds from now; negative for the past."""
    then = (now or datetime.now(UTC)) + timedelta(seconds=seconds)
    return format_datetime(then.astimezone(UTC), usegmt=True)


WAITS: Mapping[str, tuple[Reply, float | None]] = {
    "whole seconds": (rate_limited(retry_after="7"), 7.0),
    "part of a second": (rate_limited(retry_after="0.5"), 0.5),
    "milliseconds": (rate_limited(retry_after_ms="1500"), 1.5),
    "both": (rate_limited(retry_after_ms="1500", retry_after="2"), 1.5),
    "a date long past": (rate_limited(retry_after="Wed, 21 Oct 2015 07:28:00 GMT"), 0.0),
    "in the body": (json_reply({"detail": "slow down", "retry_after": 7}, 429), 7.0),
    "Google's": (
        google(
            429, "RESOURCE_EXHAUSTED", TEXT,
            {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34s"},
        ),
        34.0,
    ),
    "nothing": (rate_limited(), None),
    "below zero": (rate_limited(retry_after="-5"), None),
    "no number": (rate_limited(retry_after="soon"), None),
    "not finite": (rate_limited(retry_after="nan"), None),
}  # fmt: skip
"""Each form of a wait, and the seconds it means; None where it says nothing that can be used. A
date to come depends on the clock: `retry_after_date`."""

# ---------------------------------------------------------------- all of them

REFUSED: Mapping[str, Reply] = {
    "bad request, OpenAI": wrong_field(),
    "bad request, xAI's code": xai_code(400),
    "bad request, text": error_text(400),
    "bad request, OpenRouter": openrouter(400),
    "bad request, plain": plain(400),
    "wrong key": wrong_key(),
    "no key, empty": empty(401),
    "no funds": payment_required(),
    "no funds, 429": billing(),
    "forbidden": forbidden(),
    "forbidden, Azure": azure_block(),
    "not found": not_found(),
    "no such path, plain": plain(404, "404 page not found"),
    "wrong method": plain(405, "Method Not Allowed"),
    "too large": openai(413, "Payload too large"),
    "wrong type": openai(415, "Unsupported media type"),
    "invalid, FastAPI": fastapi("Input should be a valid integer", "n"),
    "invalid, detail": detail(422),
    "moderated": moderation(),
    "moderated, DALL-E": content_policy(),
    "moderated, Azure": azure_filter(),
    "moderated, OpenRouter": openrouter_flagged(),
}
"""Each refusal that no waiting helps, by name."""

PASSING: Mapping[str, Reply] = {
    "timeout": plain(408),
    "conflict": openai(409, "Conflict"),
    "too early": plain(425),
    "rate limit": rate_limited(),
    "slow down": slow_down(),
    "error": openai(500, "The server had an error", kind="server_error"),
    "error, text": error_text(500, "generate_image failed"),
    "error, empty": empty(500),
    "bad gateway": page(502),
    "unavailable": overloaded(),
    "gateway timeout": page(504),
    "web server is down": page(521),
    "proxy timeout": page(524),
    "site is overloaded": openrouter(529, "Provider returned error"),
}
"""Each failure that may pass, by name."""

INSIDE_200: Mapping[str, Reply] = {
    "OpenRouter": openrouter(502, "Provider returned error", sent=200),
    "OpenAI": openai(200, "The server had an error", kind="server_error"),
    "text": error_text(200),
    "MiniMax": json_reply({"base_resp": {"status_code": 1026, "status_msg": "sensitive"}}),
    "Kling": json_reply({"code": 1301, "message": "risk control", "data": None}),
    "success is false": json_reply({"success": False, "message": TEXT}),
    "detail": json_reply({"detail": TEXT}),
}
"""Each error that comes with 200 (row 27), by family."""
