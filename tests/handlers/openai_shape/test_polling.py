"""A job, asked for once: it goes on, it is done, or it failed."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handlers.contract import HandlerError, Medium, Outcome
from handlers.wire import HttpReply, Pending, Ticket
from tests.handlers.answers.test_media import ANSWERS
from tests.handlers.answers.test_waits import JSON
from tests.handlers.driving import B64, PNG, drive, polled, provider, reply

PICTURES = Ticket("j", "https://relay.example/v1/jobs/j", {"kind": "image", "wanted": 1}, "m")
CLIP = Ticket("v/1", None, {"kind": "video", "wanted": 1, "warnings": ["told before"]}, "m")


def failed(ticket: Ticket, answer: HttpReply) -> HandlerError:
    with pytest.raises(HandlerError) as caught:
        polled(provider(), ticket, answer)
    return caught.value


# ---------------------------------------------------------------- where it is asked for


@pytest.mark.parametrize(
    ("base", "ticket", "url"),
    [
        ("https://relay.example/v1", PICTURES, "https://relay.example/v1/jobs/j"),
        ("https://relay.example/v1", CLIP, "https://relay.example/v1/videos/v%2F1"),
        ("https://api.together.xyz/v1", CLIP, "https://api.together.xyz/v2/videos/v%2F1"),
        ("https://relay.example", Ticket("j"), "https://relay.example/v1/images/generations/j"),
    ],
)
def test_a_job_is_asked_for_where_its_ticket_says_or_where_its_server_has_jobs(
    base: str, ticket: Ticket, url: str
) -> None:
    _, (sent,) = drive(provider(base).resume(ticket), [reply({"status": "queued"})])
    assert (sent.method, sent.url, sent.creates, sent.json) == ("GET", url, None, None)


# ---------------------------------------------------------------- it goes on


@pytest.mark.parametrize(
    ("answer", "pending"),
    [
        (reply({"status": "queued", "queue_position": 3}), Pending("queued, at place 3 of the queue")),
        (reply({"status": "in_progress", "progress": 40}), Pending("in_progress", 0.4)),
        (reply({"status": "percolating"}), Pending("percolating")),
        (reply({"id": "j"}), Pending("running")),
        (reply({"done": False}), Pending("running")),
        (reply({"status": "processing", "output": ["https://x.example/a"]}), Pending("processing")),
        (reply({"status": "processing", "error": {"message": "retrying"}}), Pending("processing")),
        (reply({"status": "queued"}, 202, {"retry-after": "4"}), Pending("queued", wait=4.0)),
        (reply(b"", 202), Pending("running")),
        (
            reply({"status": "queued"}, 200, {"openai-poll-after-ms": "500"}),
            Pending("queued", wait=0.5),
        ),
    ],
)  # fmt: skip
def test_what_is_not_known_to_be_an_end_goes_on(answer: HttpReply, pending: Pending) -> None:
    assert polled(provider(), PICTURES, answer) == pending


# ---------------------------------------------------------------- it is done


@pytest.mark.parametrize(
    "answer",
    [
        reply({"status": "completed", "result": {"images": [{"index": 0, "b64_json": B64}]}}),
        reply({"status": "succeeded", "output": f"data:image/png;base64,{B64}"}),
        reply({"data": [{"b64_json": B64}]}),
        reply({"data": {"task_status": "succeed", "images": [B64]}}),
        reply(PNG, 200, {"content-type": "image/png"}),
    ],
)
def test_pictures_of_a_job_come_in_the_shapes_that_pictures_come_in(answer: HttpReply) -> None:
    outcome = polled(provider(), PICTURES, answer)
    assert isinstance(outcome, Outcome)
    assert [medium.data for medium in outcome.media] == [PNG]
    assert outcome.model == "m"


def test_a_clip_lies_where_clips_lie_if_nothing_names_another_place() -> None:
    outcome = polled(provider(), CLIP, reply({"id": "v/1", "status": "completed"}))
    assert isinstance(outcome, Outcome)
    assert outcome.media == (Medium(url="https://relay.example/v1/videos/v%2F1/content"),)
    assert outcome.warnings == ("told before",)


@pytest.mark.parametrize(
    ("answer", "url"),
    [
        ({"status": "completed", "url": "https://cdn.example/v.mp4"}, "https://cdn.example/v.mp4"),
        ({"video": {"url": "https://cdn.example/v"}, "model": "x"}, "https://cdn.example/v"),
        (
            {"status": "completed", "unsigned_urls": ["/v1/videos/j/content"]},
            "https://relay.example/v1/videos/j/content",
        ),
    ],
)
def test_a_clip_lies_where_its_answer_says(answer: Any, url: str) -> None:
    outcome = polled(provider(), CLIP, reply(answer))
    assert isinstance(outcome, Outcome)
    assert [medium.url for medium in outcome.media] == [url]


# ---------------------------------------------------------------- it failed


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ({"status": "failed", "error": {"code": "x", "message": "boom"}}, "provider_failed"),
        ({"status": "failed", "error": "boom"}, "provider_failed"),
        ({"status": "expired"}, "provider_failed"),
        (
            {
                "code": 0,
                "message": "ok",
                "data": {"task_status": "failed", "task_status_msg": "boom"},
            },
            "provider_failed",
        ),
        ({"status": "cancelled"}, "provider_failed"),
        ({"status": "completed", "error": {"message": "boom"}}, "provider_failed"),
        ({"status": "failed", "error": {"code": "moderation_blocked"}}, "content_refused"),
        ({"status": "done", "video": {"url": "", "respect_moderation": False}}, "content_refused"),
    ],
)
def test_a_job_that_failed_says_why_and_is_not_asked_for_again(answer: Any, code: str) -> None:
    error = failed(CLIP, reply(answer))
    assert (error.code, error.retryable) == (code, False)
    assert ("boom" in error.message) == ("boom" in str(answer))


def test_a_job_that_is_done_and_has_no_picture_has_no_media() -> None:
    assert failed(PICTURES, reply({"status": "completed"})).code == "no_media"


@pytest.mark.parametrize(
    ("status", "code", "retryable"),
    [
        (404, "provider_unavailable", True),
        (410, "provider_failed", False),
        (401, "provider_auth", None),
        (429, "provider_rate_limited", None),
        (503, "provider_unavailable", None),
    ],
)
def test_a_poll_that_is_refused_is_judged_by_its_status(
    status: int, code: str, retryable: bool | None
) -> None:
    error = failed(PICTURES, reply({"error": {"message": "no"}}, status))
    assert (error.code, error.retryable) == (code, retryable)


@settings(deadline=None)
@given(st.sampled_from([200, 202]), ANSWERS | JSON, st.sampled_from([PICTURES, CLIP]))
def test_any_answer_to_a_poll_is_an_outcome_or_goes_on_or_is_a_failure_that_has_a_name(
    status: int, body: Any, ticket: Ticket
) -> None:
    try:
        assert polled(provider(), ticket, reply(body, status))
    except HandlerError as error:
        assert error.retryable is False
