"""Every failure that a provider can answer with, from the socket to the job's end: its code, how
often it was asked, and what the user is told.

The lists below say what the protocol promises (`docs/protocol.md` §6, promise 2); they are written
down here once more, so that no change of the code changes them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from daemon.clock import parse_rfc3339
from tests.story.stage import (
    CLIP,
    IDEMPOTENCY,
    KEY,
    PLAIN,
    Cast,
    Once,
    Played,
    asked,
    play,
    play_all,
)
from tests.wire import answers, failures, faults
from tests.wire.server import ProviderServer
from tests.wire.talking import Reply


@pytest.fixture
def server() -> Iterator[ProviderServer]:
    with ProviderServer(key=KEY) as running:
        yield running


# ---------------------------------------------------------------- each status there is

STATUSES = [*range(300, 309), *range(400, 530), 530, 599, 999]
FEW = [302, 400, 401, 402, 403, 404, 408, 409, 425, 429, *range(500, 506), 520, 524, 529, 999]
CODES = {
    **dict.fromkeys((401, 403), "provider_auth"),
    402: "provider_quota",
    408: "provider_timeout",
    429: "provider_rate_limited",
    **dict.fromkeys((409, 425), "provider_unavailable"),
}
"""Codes of the statuses below 500; of any other it is `provider_rejected`."""
PASSING = {408, 409, 425, 429}
"""Those of them that are tried again."""
SAY_NO = {"image": {500, 501, 503}, "video": {501}}
"""Those from 500 on that say that nothing was made."""

CASTS = {
    "paid": PLAIN,
    "free": Cast(paid=False),
    "with a key of its own": Cast(idempotent=True),
    "told to pay twice": Cast(on_ambiguous="retry"),
}


@pytest.mark.parametrize("name", CASTS)
@pytest.mark.parametrize("kind", ["image", "video"])
def test_each_status_is_what_the_protocol_says(tmp_path: Path, kind: str, name: str) -> None:
    judge_statuses(tmp_path, kind, name, STATUSES if (kind, name) == ("image", "paid") else FEW)


@pytest.mark.slow
def test_each_status_of_a_clip_is_what_the_protocol_says(tmp_path: Path) -> None:
    judge_statuses(tmp_path, "video", "paid", STATUSES)


def judge_statuses(tmp_path: Path, kind: str, name: str, statuses: list[int]) -> None:
    cast = CASTS[name]
    prompts = {f"status {status}": status for status in statuses}
    wrong = Once({prompt: failures.openai(status) for prompt, status in prompts.items()})
    header = IDEMPOTENCY if cast.idempotent else None
    with ProviderServer(key=KEY, idempotency_header=header) as server:
        server.script(*[wrong] * 2 * len(statuses))
        task = CLIP if kind == "video" else {}
        played = play_all(tmp_path, server, [{"prompt": one, **task} for one in prompts], cast)
        counted = asked(server)
        # A call whose answer was lost is the same call when it comes again, where it has a key.
        lost = [one for one in statuses if one >= 500 and one not in SAY_NO[kind]]
        again = len(lost) if cast.idempotent else 0
        assert server.made == len(server.creates) - again
    for prompt, one in zip(prompts, played, strict=True):
        judge(one, prompts[prompt], counted[prompt], SAY_NO[kind], cast)


def judge(one: Played, status: int, creates: int, say_no: set[int], cast: Cast) -> None:
    """Whether a job ended as it should, whose first call was answered with this status."""
    lost = status >= 500 and status not in say_no and cast.paid and not cast.idempotent
    tried_again = (
        status in PASSING or (status >= 500 and not lost) or bool(cast.on_ambiguous and lost)
    )
    code = CODES.get(status, "provider_rejected" if status < 500 else "provider_unavailable")
    error = one.first_error
    assert error["code"] == ("ambiguous_submit" if lost else code), status
    assert (one.ok, creates) == (tried_again, 1 + tried_again), status
    assert one.end.attempts == 1 + (tried_again and status != 429), status
    assert error["hints"], status
    assert error["http"] == {"status": status, "request_id": "req-paper-9"}
    assert status < 400 or failures.TEXT in error["message"], status


@pytest.mark.parametrize("status", [200, 201, 202, 203, 204, 206, 226])
def test_a_success_without_a_picture_is_never_sent_again(
    tmp_path: Path, server: ProviderServer, status: int
) -> None:
    server.script(Reply(status, b"" if status == 204 else b"{}"))
    one = play(tmp_path, server, Cast(on_ambiguous="retry"))
    assert (one.code, one.end.attempts, len(server.creates)) == ("no_media", 1, 1)
    assert one.first_error["hints"]
    assert one.first_error["http"]["status"] == status


# ---------------------------------------------------------------- what the provider says


class Row(NamedTuple):
    """How one failure is told.

    Args:
        code: of the job's first error.
        said: of the provider's own words.
        pointer: the field that it complained about.
        creates: calls that came; with a second one the job succeeded.
    """

    code: str
    said: str = failures.TEXT
    pointer: str | None = None
    creates: int = 1


REFUSED = {
    "bad request, OpenAI": Row("provider_rejected", "Invalid value for 'size'", "/size"),
    "bad request, xAI's code": Row("provider_rejected"),
    "bad request, text": Row("provider_rejected"),
    "bad request, OpenRouter": Row("provider_rejected"),
    "bad request, plain": Row("provider_rejected"),
    "wrong key": Row("provider_auth", "Incorrect API key provided"),
    "no key, empty": Row("provider_auth", "401"),
    "no funds": Row("provider_quota", "Insufficient credits"),
    "no funds, 429": Row("provider_quota", "exceeded your current quota"),
    "forbidden": Row("provider_auth", "organization must be verified"),
    "forbidden, Azure": Row("provider_auth", "temporarily blocked"),
    "not found": Row("provider_rejected", "The model does not exist", "/model"),
    "no such path, plain": Row("provider_rejected", "404 page not found"),
    "wrong method": Row("provider_rejected", "Method Not Allowed"),
    "too large": Row("provider_rejected", "Payload too large"),
    "wrong type": Row("provider_rejected", "Unsupported media type"),
    "invalid, FastAPI": Row("provider_rejected", "should be a valid integer", "/n"),
    "invalid, detail": Row("provider_rejected"),
    "moderated": Row("content_refused", "rejected by the safety system"),
    "moderated, DALL-E": Row("content_refused", "Your request was rejected"),
    "moderated, Azure": Row("content_refused", "The response was filtered", "/prompt"),
    "moderated, OpenRouter": Row("content_refused", "Your input was flagged"),
}
PASSES = {
    "timeout": Row("provider_timeout", creates=2),
    "conflict": Row("provider_unavailable", "Conflict", creates=2),
    "too early": Row("provider_unavailable", creates=2),
    "rate limit": Row("provider_rate_limited", "Rate limit reached", creates=2),
    "slow down": Row("provider_rate_limited", "Slow down", creates=2),
    "error": Row("provider_unavailable", "The server had an error", creates=2),
    "error, text": Row("provider_unavailable", "generate_image failed", creates=2),
    "error, empty": Row("provider_unavailable", "500", creates=2),
    "bad gateway": Row("ambiguous_submit", "502"),
    "unavailable": Row("provider_unavailable", "Overloaded", creates=2),
    "gateway timeout": Row("ambiguous_submit", "504"),
    "web server is down": Row("ambiguous_submit", "521"),
    "proxy timeout": Row("ambiguous_submit", "524"),
    "site is overloaded": Row("ambiguous_submit", "Provider returned error"),
}
INSIDE_200 = {
    "OpenRouter": Row("provider_failed", "Provider returned error"),
    "OpenAI": Row("provider_failed", "The server had an error"),
    "text": Row("provider_failed"),
    "MiniMax": Row("content_refused", "sensitive"),
    "Kling": Row("content_refused", "risk control"),
    "success is false": Row("provider_failed"),
    "detail": Row("provider_failed"),
}
BILLING = {code: Row("provider_quota", "current quota") for code in failures.BILLING_CODES}
REPLIES: Mapping[str, tuple[Reply, Row]] = {
    **{name: (failures.REFUSED[name], row) for name, row in REFUSED.items()},
    **{name: (failures.PASSING[name], row) for name, row in PASSES.items()},
    **{f"200, {name}": (failures.INSIDE_200[name], row) for name, row in INSIDE_200.items()},
    **{name: (failures.billing(name), row) for name, row in BILLING.items()},
    "no funds, by its type alone": (failures.billing(None), Row("provider_quota", "current quota")),
    "redirect": (
        faults.redirect("https://else.test/v2?key=1"),
        Row("provider_rejected", "else.test"),
    ),
}


def test_no_family_of_failures_is_left_out() -> None:
    assert (REFUSED.keys(), PASSES.keys()) == (failures.REFUSED.keys(), failures.PASSING.keys())
    assert INSIDE_200.keys() == failures.INSIDE_200.keys()


def test_each_way_of_saying_no_is_understood_and_told(
    tmp_path: Path, server: ProviderServer
) -> None:
    server.script(*[Once({name: reply for name, (reply, _) in REPLIES.items()})] * 2 * len(REPLIES))
    played = play_all(tmp_path, server, [{"prompt": name} for name in REPLIES])
    for (name, (reply, row)), one in zip(REPLIES.items(), played, strict=True):
        error = one.first_error
        assert error["code"] == row.code, name
        assert (asked(server)[name], one.ok) == (row.creates, row.creates == 2), name
        assert row.said in error["message"], name
        assert error["hints"], name
        assert error["http"] == {
            "status": reply.status, "request_id": reply.headers.get("x-request-id")
        }, name  # fmt: skip
        assert {fault["pointer"] for fault in error["faults"]} == {row.pointer} - {None}, name


BAD: dict[str, tuple[str, str]] = {
    "empty_data": ("no_media", "no picture"),
    "no_data": ("no_media", "no picture"),
    "filtered": ("content_refused", "moderation"),
    "no_picture": ("unreadable_media", "picture"),
    "no_base64": ("unreadable_media", "no base64"),
    "local_path": ("download_failed", "/srv/outputs/1.png"),
    "bucket": ("download_failed", "gs://bucket/1.png"),
    "html": ("provider_failed", "web page"),
    "chat_refusal": ("no_media", "I can't make that picture."),
    "torn_json": ("provider_failed", "cut short"),
    "nothing": ("no_media", "nothing"),
    "sse_error": ("provider_failed", "The server had an error"),
}
"""Each 200 that holds no picture: its code, and what the message says."""


@pytest.mark.parametrize(
    "cast", [PLAIN, Cast(on_ambiguous="retry"), Cast(idempotent=True), Cast(paid=False)]
)
def test_a_success_that_is_none_was_paid_for_and_is_never_sent_again(
    tmp_path: Path, server: ProviderServer, cast: Cast
) -> None:
    assert BAD.keys() == answers.BAD.keys()
    server.script(*[Once(answers.BAD)] * 2 * len(BAD))
    played = play_all(tmp_path, server, [{"prompt": name} for name in BAD], cast)
    for (name, (code, said)), one in zip(BAD.items(), played, strict=True):
        assert (one.code, asked(server)[name], one.end.attempts) == (code, 1, 1), name
        assert said in one.first_error["message"], name
        assert one.first_error["hints"], name


# ---------------------------------------------------------------- how often, and when


def test_what_never_passes_is_tried_as_often_as_the_settings_say(
    tmp_path: Path, server: ProviderServer
) -> None:
    server.script(*[failures.overloaded()] * 9)
    one = play(tmp_path, server, Cast(settings={"max_attempts": 4}))
    assert (one.code, one.end.attempts, len(server.creates)) == ("provider_unavailable", 4, 4)
    assert one.end.error is not None
    assert one.end.error["retryable"]


def test_a_provider_that_asks_for_patience_gets_it_for_as_long_as_it_likes(
    tmp_path: Path, server: ProviderServer
) -> None:
    server.script(*[failures.rate_limited(retry_after="30")] * 9)
    one = play(tmp_path, server, Cast(settings={"max_attempts": 1}))
    assert (one.ok, one.end.attempts, len(server.creates)) == (True, 1, 10)


def test_the_waits_that_a_provider_asks_for_are_kept(
    tmp_path: Path, server: ProviderServer
) -> None:
    waits = {**failures.WAITS, "a day": (failures.rate_limited(retry_after="86400"), 300.0)}
    server.script(*[Once({name: reply for name, (reply, _) in waits.items()})] * 2 * len(waits))
    played = play_all(
        tmp_path,
        server,
        [{"prompt": name} for name in waits],
        Cast(settings={"retry_seconds": 0.1}),
    )
    for (name, (_, seconds)), one in zip(waits.items(), played, strict=True):
        (retrying,) = one.retries
        wait = parse_rfc3339(retrying.due) - parse_rfc3339(one.refused_at)
        assert (seconds or 0.1) - 0.001 <= wait.total_seconds() <= 310, name
        assert one.ok, name


def test_a_request_for_no_further_tries_is_heeded(tmp_path: Path, server: ProviderServer) -> None:
    server.script(failures.overloaded().but(x_should_retry="false"))
    one = play(tmp_path, server)
    assert (one.code, len(server.creates)) == ("provider_unavailable", 1)


@pytest.mark.parametrize(
    "reply", [failures.wrong_key(), failures.forbidden(), failures.billing(), failures.moderation()]
)
def test_what_concerns_one_job_keeps_nobody_else_waiting(
    tmp_path: Path, server: ProviderServer, reply: Any
) -> None:
    server.script(Once({"first": reply}), *[Once({})] * 3)
    cast = Cast(settings={"provider_concurrency": 1})
    first, *others = play_all(
        tmp_path, server, [{"prompt": one} for one in ("first", "a", "b", "c")], cast
    )
    assert not first.ok
    assert all(other.ok for other in others)
    assert len(server.creates) == 4
