"""What an answer to a creating call comes to: an outcome, a ticket, or a failure for good."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handlers.contract import HandlerError, Medium, Outcome
from handlers.wire import Ticket
from tests.examples import examples
from tests.handlers.answers.test_media import ANSWERS
from tests.handlers.answers.test_waits import JSON
from tests.handlers.driving import (
    B64,
    GOOD,
    PNG,
    call,
    drive,
    failure_of,
    outcome_of,
    provider,
    reply,
)

SSE = {"content-type": "text/event-stream"}


def stream(*values: Any) -> bytes:
    return "".join(f"data: {json.dumps(value)}\n\n" for value in values).encode()


def taken(
    body: Any, status: int = 200, operation: str = "generate_image", **headers: str
) -> Ticket:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    made = provider("https://relay.example/v1")
    ticket, _ = drive(made.submit(call(operation, n=2, model="m")), [reply(body, status, named)])
    assert isinstance(ticket, Ticket)
    return ticket


# ---------------------------------------------------------------- pictures


def test_pictures_come_with_all_that_is_said_beside_them() -> None:
    answer = {
        **GOOD,
        "data": [{"b64_json": B64, "revised_prompt": "a tall lighthouse"}],
        "output_format": "webp",
        "model": "m-2026",
        "usage": {"total_tokens": 5},
    }
    outcome = outcome_of(answer, headers={"x-request-id": "req_9"}, n=2, model="m")
    assert outcome == Outcome(
        (Medium(PNG, media_type="image/webp"),),
        model="m-2026",
        usage={"total_tokens": 5, "request_id": "req_9"},
        warnings=(
            "the provider changed the prompt to: a tall lighthouse",
            "asked for 2, but the provider made 1",
        ),
    )


def test_the_model_that_was_asked_for_stands_where_none_is_told() -> None:
    assert outcome_of(GOOD, model="m").model == "m"
    assert outcome_of(GOOD).model is None
    assert outcome_of(GOOD).usage is None


@pytest.mark.parametrize(
    ("more", "usage"),
    [
        ({"outputs": {"cost": 0.4}}, {"cost": 0.4}),
        ({"outputs": {"cost": 0.4}, "usage": {"n": 1, "cost": 0.5}}, {"n": 1, "cost": 0.5}),
        ({"outputs": {"cost": True}}, None),
        ({"outputs": [0.4]}, None),
    ],
)
def test_what_a_clip_cost_stands_in_usage_wherever_the_provider_says_it(
    more: Any, usage: Any
) -> None:
    assert outcome_of({**GOOD, **more}).usage == usage


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (PNG, {"content-type": "image/png"}),
        (PNG, {"content-type": "application/octet-stream"}),
        (PNG, {}),
        (PNG, {"content-type": "application/json"}),
        (stream({"type": "image_generation.completed", "b64_json": B64}), SSE),
        (stream({"type": "image_generation.completed", "b64_json": B64}), {}),
        (json.dumps(GOOD).encode(), {"content-type": "application/json; type=image/png"}),
        (b"\n " + json.dumps(GOOD).encode(), {"content-type": "text/plain"}),
        (f"data:image/png;base64,{B64}".encode(), {"content-type": "text/plain"}),
    ],
)
def test_the_bytes_decide_what_an_answer_is(body: bytes, headers: Any) -> None:
    made = provider()
    outcome, _ = drive(made.submit(call()), [reply(body, 200, headers)])
    assert [medium.data for medium in outcome.media] == [PNG]


def test_what_is_no_count_of_anything_is_no_usage() -> None:
    deep: Any = {}
    for _ in range(700):
        deep = {"a": deep}
    for usage in (deep, {"a": "b" * 9000}, [1], "many"):
        assert outcome_of({**GOOD, "usage": usage}).usage is None


def test_some_that_were_withheld_are_told_and_the_rest_is_kept() -> None:
    items = [{"b64_json": B64}, {"b64_json": B64, "respect_moderation": False}]
    outcome = outcome_of({"data": items}, n=2)
    assert len(outcome.media) == 1
    assert "withheld 1" in outcome.warnings[0]


def test_some_that_cannot_be_decoded_are_told_and_the_rest_is_kept() -> None:
    outcome = outcome_of({"data": [{"b64_json": B64}, {"b64_json": "!!!"}]}, n=2)
    assert len(outcome.media) == 1
    assert outcome.warnings == ("1 of what the provider answered with is no base64",)


def test_what_lies_where_nobody_gets_at_it_is_a_reference() -> None:
    items = [{"url": "gs://bucket/a.png"}, {"b64_json": B64}]
    outcome = outcome_of({"data": items}, n=2)
    assert [medium.data for medium in outcome.media] == [PNG]
    assert [held["reference"] for held in outcome.references] == ["gs://bucket/a.png"]
    assert outcome.warnings == ()


def test_where_nothing_at_all_can_be_had_it_is_a_failed_download() -> None:
    error = failure_of({"data": [{"file_path": "/srv/a.png"}]})
    assert (error.code, error.retryable) == ("download_failed", False)
    assert "/srv/a.png" in error.message


def test_a_prompt_that_comes_back_as_it_was_is_no_news() -> None:
    assert (
        outcome_of({"data": [{"b64_json": B64, "revised_prompt": "a lighthouse"}]}).warnings == ()
    )


def test_the_model_that_extra_names_is_the_model() -> None:
    outcome = outcome_of(GOOD, model="m", extra={"model": "other"})
    assert outcome.model == "other"


# ---------------------------------------------------------------- failures in a 200

NOT_FOR_GOOD = [
    ({"error": {"message": "boom"}}, "provider_failed"),
    ({"error": "boom", "data": [{"b64_json": B64}]}, "provider_failed"),
    ({"detail": "boom"}, "provider_failed"),
    ({"message": "boom"}, "provider_failed"),
    ({"code": 1001, "msg": "boom"}, "provider_failed"),
    ({"id": "j", "status": "failed"}, "provider_failed"),
    ({"id": "j", "status": "failed", "error": {"code": "moderation_blocked"}}, "content_refused"),
    ({"id": "j", "status": "Content Moderated"}, "content_refused"),
    ({"data": [{"b64_json": B64, "respect_moderation": False}]}, "content_refused"),
    ({"choices": [{"finish_reason": "content_filter", "message": {}}]}, "content_refused"),
    ({"choices": [{"message": {"refusal": "I will not."}}]}, "content_refused"),
    ({"choices": [{"message": {"content": "Against our content policy."}}]}, "content_refused"),
    ({"choices": [{"message": {"content": "What would you like?"}}]}, "no_media"),
    ({"data": [{"b64_json": "!!!"}]}, "unreadable_media"),
    (b'{"data": [{"b64_', "provider_failed"),
    ({"base_resp": {"status_code": 1026, "status_msg": "sensitive"}}, "content_refused"),
    ({"code": 0, "message": "ok", "data": []}, "no_media"),
    ({"data": []}, "no_media"),
    ({"created": 1}, "no_media"),
    ([], "no_media"),
    (None, "no_media"),
    (b"", "no_media"),
    (b"hello", "no_media"),
    (b"<!doctype html><html><body>Sign in</body></html>", "provider_failed"),
    (b"data: [DONE]\n\n", "no_media"),
    (stream({"type": "error", "error": {"message": "boom"}}), "provider_failed"),
    (stream({"type": "image_generation.partial_image", "b64_json": B64}), "no_media"),
]


@pytest.mark.parametrize(("body", "code"), NOT_FOR_GOOD)
def test_a_success_without_a_picture_is_a_failure_that_is_never_sent_again(
    body: Any, code: str
) -> None:
    headers = SSE if isinstance(body, bytes) and body.startswith(b"data") else {}
    error = failure_of(body, headers={**headers, "x-request-id": "r"})
    assert (error.code, error.retryable) == (code, False)
    assert error.http == {"status": 200, "request_id": "r"}
    assert error.hints
    assert "relay" in error.message


def test_what_a_chat_said_instead_is_the_reason() -> None:
    answer = {"choices": [{"message": {"content": "What would\nyou like?"}}]}
    assert "What would you like?" in failure_of(answer).message
    assert (
        "I will not." in failure_of({"choices": [{"message": {"refusal": "I will not."}}]}).message
    )


def test_a_refusal_by_status_is_told_with_what_it_complains_about() -> None:
    body = {"error": {"message": "bad size", "param": "size", "type": "x", "code": None}}
    error = failure_of(body, status=400)
    assert (error.code, error.faults) == ("provider_rejected", (("/size", "bad size"),))


def test_what_was_thrown_in_because_no_reply_came_passes_through() -> None:
    effects = provider().submit(call())
    effects.send(None)
    with pytest.raises(HandlerError, match="nobody there"):
        effects.throw(HandlerError("provider_unavailable", "nobody there"))


# ---------------------------------------------------------------- jobs


@pytest.mark.parametrize(
    ("body", "status", "name", "url"),
    [
        (
            {"id": "j 1", "status": "queued"},
            200,
            "j 1",
            "https://relay.example/v1/images/generations/j%201",
        ),
        ({"id": "j", "poll_url": "/sdcpp/v1/jobs/j"}, 202, "j", "https://relay.example/sdcpp/v1/jobs/j"),
        ({"id": "j", "polling_url": "jobs/j"}, 200, "j", "https://relay.example/v1/jobs/j"),
        ({"id": "j", "urls": {"get": "https://api.example/j"}}, 201, "j", "https://api.example/j"),
        ({"data": {"task_id": 7, "task_status": "submitted"}}, 200, "7", None),
        ({"request_id": "r"}, 202, "r", None),
        ({"id": "j", "status": "percolating"}, 200, "j", None),
        ({"id": "j", "status": "completed"}, 200, "j", None),
        ({"id": "j", "status": "processing", "output": ["https://x.example/preview.png"]}, 200, "j", None),
    ],
)  # fmt: skip
def test_a_job_where_a_picture_was_expected_gets_a_ticket(
    body: Any, status: int, name: str, url: str | None
) -> None:
    ticket = taken(body, status)
    assert ticket.id == name
    assert ticket.status_url == (url or f"https://relay.example/v1/images/generations/{name}")
    assert ticket.state == {"kind": "image", "wanted": 2, "warnings": [], "left_out": []}
    assert ticket.model == "m"


def test_a_job_may_be_named_by_a_header_alone() -> None:
    ticket = taken(b"", 202, operation_location="https://relay.example/operations/7")
    assert ticket.status_url == ticket.id == "https://relay.example/operations/7"


def test_a_ticket_says_when_to_ask_and_where_if_the_entry_knows() -> None:
    assert taken({"id": "j", "status": "queued"}, openai_poll_after_ms="1500").wait == 1.5
    made = provider(options={"status_path": "/tasks/{id}"})
    ticket, _ = drive(made.submit(call()), [reply({"id": "j", "status": "queued"})])
    assert ticket.status_url == "https://relay.example/v1/tasks/j"


def test_a_clip_is_a_job_even_where_no_word_says_so() -> None:
    made = provider("https://api.x.ai/v1")
    ticket, _ = drive(made.submit(call("generate_video")), [reply({"request_id": "r"})])
    assert ticket.status_url == "https://api.x.ai/v1/videos/r"
    own = call("generate_video", status_endpoint_template="/clips/{id}/state")
    ticket, (sent,) = drive(made.submit(own), [reply({"request_id": "r"})])
    assert ticket.status_url == "https://api.x.ai/v1/clips/r/state"
    assert "status_endpoint_template" not in sent.json


def test_a_job_without_a_name_is_nothing_to_ask_for() -> None:
    assert failure_of({"status": "queued"}, status=202).code == "no_media"


def test_an_answer_that_is_done_at_once_is_no_job() -> None:
    assert outcome_of({"id": "j", "status": "completed", "output": ["https://x.example/a"]}).media
    assert outcome_of({"id": "chat-1", "data": [{"b64_json": B64}]}).media


# ---------------------------------------------------------------- whatever comes


@settings(max_examples=examples(200))
@given(st.sampled_from([200, 201, 202]), ANSWERS | JSON)
def test_any_answer_is_an_outcome_a_ticket_or_a_failure_that_has_a_name(
    status: int, body: Any
) -> None:
    try:
        answer, _ = drive(provider().submit(call()), [reply(body, status)])
    except HandlerError as error:
        assert error.retryable is False
    else:
        assert isinstance(answer, (Outcome, Ticket))


@given(
    st.binary(max_size=100), st.sampled_from(["", "text/event-stream", "image/png", "text/html"])
)
def test_any_body_is_an_outcome_or_a_failure_that_has_a_name(body: bytes, media_type: str) -> None:
    try:
        outcome, _ = drive(
            provider().submit(call()), [reply(body, 200, {"content-type": media_type})]
        )
    except HandlerError as error:
        assert error.retryable is False
    else:
        assert isinstance(outcome, Outcome)
