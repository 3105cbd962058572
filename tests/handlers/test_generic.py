"""A service that nobody listed, spoken to as its entry says: what is sent, and replies read."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handlers.contract import HandlerError, Outcome
from handlers.generic_shape.plan import OPTIONS
from handlers.providers.generic import Generic, adapter
from handlers.wire import Cancels, FilePart, HttpCall, HttpReply, Pending, Ticket
from tests.examples import examples
from tests.handlers.driving import B64, GOOD, PNG, call, drive, entry, reply
from tests.handlers.openai_shape.looking import changed, mask, of_url, photo, png, same

BASE = "https://studio.example/api"
PICTURE = png(photo((4, 2)))
MASK = mask((4, 2), [0, 255, 255, 0, 0, 0, 255, 0])
MASKED = {"endpoint": "/make", "image_field": "init", "mask_field": "hole"}
JOBS = {
    "endpoint": "/make",
    "id_path": "job.key",
    "status_path": "/jobs/{id}",
    "state_path": "job.phase",
    "result_path": "job.files[*].href",
    "error_path": "job.why",
}


def of(options: Any = None, base_url: str = BASE, **more: Any) -> Generic:
    return adapter().provider(
        entry(base_url, name="studio", api="generic", options=options or {}, **more)
    )


def sent(options: Any, *calling: Any, **more: Any) -> HttpCall:
    """What goes out for a call."""
    _, (first,) = drive(of(options).submit(call(*calling, **more)), [reply(GOOD)])
    return first


def answered(options: Any, body: Any, status: int = 200, *calling: Any, **more: Any) -> Any:
    """What a reply to a call that creates comes to."""
    headers = more.pop("headers", None)
    got, _ = drive(of(options).submit(call(*calling, **more)), [reply(body, status, headers)])
    return got


def failed(options: Any, body: Any, status: int = 200, **more: Any) -> HandlerError:
    with pytest.raises(HandlerError) as caught:
        answered(options, body, status, **more)
    return caught.value


def polled(
    options: Any, *replies: HttpReply, ticket: Ticket | None = None
) -> tuple[Outcome | Pending, list[str]]:
    """What one poll comes to, and whom it asked."""
    ticket = ticket or Ticket("j-1", f"{BASE}/jobs/j-1", {"kind": "image"})
    got, calls = drive(of(options).resume(ticket), replies)
    assert {(one.method, one.creates) for one in calls} == {("GET", None)}
    return got, [one.url for one in calls]


def urls(outcome: Any) -> list[str | None]:
    assert isinstance(outcome, Outcome)
    return [medium.url for medium in outcome.media]


# ---------------------------------------------------------------- what it can


@pytest.mark.parametrize(
    ("options", "operations"),
    [
        ({}, {"generate_image"}),
        ({"endpoint": "/make"}, {"generate_image"}),
        ({"endpoint": "/make", "image_field": "init"}, {"generate_image", "edit_image"}),
        ({"edit_endpoint": "/edit"}, {"edit_image"}),
        ({"video_endpoint": "/film"}, {"generate_video"}),
        (
            {"endpoint": "/make", "edit_endpoint": "/edit", "video_endpoint": "/film"},
            {"generate_image", "edit_image", "generate_video"},
        ),
    ],
)
def test_it_can_what_has_an_endpoint(options: Any, operations: set[str]) -> None:
    assert of(options).operations == operations


WRONG: dict[str, tuple[Any, str]] = {
    "an option that is not known": ({"endpont": "/make"}, "Options are: endpoint, "),
    "no text": ({"endpoint": 3}, "endpoint is where pictures are asked for"),
    "an empty text": ({"endpoint": ""}, "endpoint is where pictures are asked for"),
    "an endpoint that is no path": ({"endpoint": "make"}, 'as "/generate"'),
    "an endpoint that is an address": ({"endpoint": "//evil.example"}, "/images/generations"),
    "an endpoint that leads upwards": ({"video_endpoint": "/a/../b"}, "/images/generations"),
    "a field with a blank": ({"image_field": "my image"}, "the field that holds a picture"),
    "a way that is none": ({"pictures": "pigeon"}, '"data-url", "base64" or "multipart"'),
    "a rule that is none": ({"mask_field": "m", "mask_rule": "black"}, '"white" or "alpha"'),
    "a mask without its rule": ({"mask_field": "m"}, "mask_rule is "),
    "a rule without a mask": ({"mask_rule": "white"}, "mask_field is "),
    "a path that cannot be read": ({"id_path": "a..b"}, "data.items[*].href"),
    "a template without an id": ({"status_path": "/jobs"}, "/jobs/{id}"),
    "a result that leads upwards": ({"result_path": "/../{id}"}, "/images/generations"),
}


@pytest.mark.parametrize("name", WRONG)
def test_an_option_that_cannot_be_meant_so_is_refused_with_a_hint(name: str) -> None:
    options, hint = WRONG[name]
    with pytest.raises(HandlerError) as caught:
        of(options)
    assert caught.value.code == "config_invalid"
    assert "of the provider studio cannot be meant so" in caught.value.message
    assert hint in " ".join(caught.value.hints)


def test_an_address_with_a_query_and_a_dialect_are_refused() -> None:
    for more in ({"base_url": f"{BASE}?key=1"}, {"dialect": "openai"}):
        with pytest.raises(HandlerError) as caught:
            of(**more)  # type: ignore[arg-type]
        assert caught.value.code == "config_invalid"


@given(st.sampled_from(sorted(OPTIONS)), st.text(max_size=20) | st.integers() | st.lists(st.text()))
@settings(max_examples=examples(200), deadline=None)
def test_whatever_an_option_holds_it_is_taken_or_refused_by_name(name: str, value: Any) -> None:
    try:
        of({name: value})
    except HandlerError as error:
        assert error.code == "config_invalid"


# ---------------------------------------------------------------- what is sent


def test_all_fields_go_along_as_they_are_with_the_model_and_extra_last() -> None:
    one = sent(
        {"endpoint": "/make"}, model="m-1", size="64x64", seed=7, extra={"seed": 8, "loud": True}
    )
    assert (one.method, one.url, one.creates) == ("POST", f"{BASE}/make", "image")
    assert one.json == {
        "model": "m-1",
        "prompt": "a lighthouse",
        "size": "64x64",
        "seed": 8,
        "loud": True,
    }


@pytest.mark.parametrize(
    ("base", "options", "more", "url"),
    [
        ("https://one.example", {}, {}, "https://one.example"),
        ("https://one.example", {"endpoint": "/make"}, {}, "https://one.example/make"),
        ("https://one.example/v1", {"endpoint": "/v2/make"}, {}, "https://one.example/v1/v2/make"),
        (BASE, {"endpoint": "/{model}/run"}, {"model": "a/b c"}, f"{BASE}/a/b%20c/run"),
        (BASE, {"endpoint": "/make"}, {"endpoint": "other"}, f"{BASE}/other"),
    ],
)
def test_an_endpoint_stands_right_behind_the_base_url(
    base: str, options: Any, more: Any, url: str
) -> None:
    _, (one,) = drive(of(options, base).submit(call(**more)), [reply(GOOD)])
    assert one.url == url
    assert "model" not in one.json


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"model": "../admin"}, "forbidden_address"),
        ({}, "config_missing"),
        ({"endpoint": "https://evil.example/x"}, "forbidden_address"),
    ],
)
def test_no_model_and_no_request_leads_elsewhere(more: Any, code: str) -> None:
    with pytest.raises(HandlerError) as caught:
        drive(of({"endpoint": "/run/{model}"}).submit(call(**more)))
    assert caught.value.code == code


def test_each_operation_goes_to_its_own_endpoint() -> None:
    options = {"endpoint": "/make", "edit_endpoint": "/edit", "video_endpoint": "/film"}
    assert sent(options, "edit_image", inputs={"image": PICTURE}).url == f"{BASE}/edit"
    film = answered({**options, "result_path": "clip"}, {"clip": "/c.mp4"}, 200, "generate_video")
    assert urls(film) == ["https://studio.example/c.mp4"]


@pytest.mark.parametrize(
    ("operation", "inputs", "options"),
    [
        ("generate_video", {}, {"endpoint": "/make"}),
        ("edit_image", {}, {"endpoint": "/make", "image_field": "init"}),
        ("generate_video", {"last_frame": PICTURE}, {"video_endpoint": "/film"}),
    ],
)
def test_what_an_entry_does_not_describe_is_refused_before_anything_is_sent(
    operation: str, inputs: Any, options: Any
) -> None:
    with pytest.raises(HandlerError) as caught:
        drive(of(options).submit(call(operation, inputs=inputs)))
    assert caught.value.code == "not_supported"


def test_an_idempotency_key_goes_where_the_entry_says() -> None:
    made = of({}, idempotency_header="x-once")
    assert made.idempotent
    _, (one,) = drive(made.submit(call(idempotency_key="k")), [reply(GOOD)])
    assert one.headers == {"x-once": "k"}


# ---------------------------------------------------------------- pictures and masks


@pytest.mark.parametrize(
    ("field", "count", "shape"),
    [("init", 1, str), ("init", 2, list), ("init[]", 1, list), ("init[]", 2, list)],
)
@pytest.mark.parametrize("form", ["data-url", "base64"])
def test_one_picture_is_a_text_and_several_are_a_list(
    form: str, field: str, count: int, shape: type
) -> None:
    options = {"endpoint": "/make", "image_field": field, "pictures": form}
    one = sent(options, "edit_image", inputs={"image": [PICTURE] * count})
    assert set(one.json) == {"prompt", "init"}
    held = one.json["init"]
    assert type(held) is shape
    decode = of_url if form == "data-url" else base64.b64decode
    held = held if isinstance(held, list) else [held]
    assert [decode(text) for text in held] == [PICTURE] * count


def test_files_of_a_form_stand_under_the_name_of_the_field() -> None:
    options = {"endpoint": "/make", "image_field": "init[]", "pictures": "multipart"}
    one = sent(options, "edit_image", inputs={"image": [PICTURE] * 2}, n=2, extra={"loud": True})
    assert one.json is None
    assert one.form == (("prompt", "a lighthouse"), ("n", "2"), ("loud", "true"))
    assert [(part.name, part.media_type) for part in one.files] == [("init[]", "image/png")] * 2
    assert all(same(part.data, photo((4, 2))) for part in one.files)


@pytest.mark.parametrize(("rule", "told"), [("white", "white, L"), ("alpha", "transparent")])
@pytest.mark.parametrize("form", ["data-url", "base64", "multipart"])
def test_a_mask_goes_along_by_the_rule_of_the_service(form: str, rule: str, told: str) -> None:
    options = {**MASKED, "mask_rule": rule, "pictures": form}
    one = sent(options, "edit_image", inputs={"image": PICTURE, "mask": MASK})
    if form == "multipart":
        assert [part.name for part in one.files] == ["init", "hole"]
        part = one.files[1]
    else:
        decode = of_url if form == "data-url" else base64.b64decode
        part = _part(decode(one.json["hole"]))
        assert decode(one.json["init"]) == PICTURE
    assert changed(part) == (told, [0, 255, 255, 0, 0, 0, 255, 0])


def test_a_mask_that_no_field_is_for_stays_here_and_the_answer_says_so() -> None:
    options = {"endpoint": "/make", "image_field": "init"}
    inputs = {"image": PICTURE, "mask": MASK}
    assert set(sent(options, "edit_image", inputs=inputs).json) == {"prompt", "init"}
    assert answered(options, GOOD, 200, "edit_image", inputs=inputs).left_out == ("mask",)
    ticket = answered({**options, **JOBS}, {"job": {"key": "j"}}, 200, "edit_image", inputs=inputs)
    done, _ = polled(
        {**options, **JOBS}, reply({"job": {"files": [{"href": "/a"}]}}), ticket=ticket
    )
    assert isinstance(done, Outcome)
    assert done.left_out == ("mask",)


def test_a_call_may_say_itself_how_its_picture_goes_along() -> None:
    options = {"endpoint": "/make", "video_endpoint": "/film", "image_field": "init"}
    held = sent(options, inputs={"reference_images": PICTURE}, reference_key="style")
    assert set(held.json) == {"prompt", "style"}
    more: dict[str, Any] = {"image_field": "input_image", "image_transport": "multipart"}
    effects = of(options).submit(call("generate_video", inputs={"image": PICTURE}, **more))
    _, (film,) = drive(effects, [reply({"video": {"url": "https://x.example/c.mp4"}})])
    assert ([part.name for part in film.files], film.creates) == (["input_image"], "video")
    with pytest.raises(HandlerError) as caught:
        sent(options, inputs={"image": PICTURE}, image_transport="path", image_path="/etc/passwd")
    assert caught.value.code == "forbidden_path"


def _part(data: bytes) -> FilePart:
    return FilePart("hole", "mask.png", "image/png", data)


# ---------------------------------------------------------------- answers at once

HREF = "https://cdn.example/f/abc"
AT_ONCE: dict[str, tuple[Any, Any, list[Any]]] = {
    "base64 as OpenAI has it": ({}, GOOD, [PNG]),
    "an address as OpenAI has it": ({}, {"data": [{"url": HREF}]}, [HREF]),
    "keys that nobody uses": ({}, {"artwork": {"link": f"{HREF}.png"}}, [f"{HREF}.png"]),
    "an address that says nothing": ({}, {"artwork": {"link": HREF}}, [HREF]),
    "a list": ({}, [{"artwork": f"{HREF}.png"}], [f"{HREF}.png"]),
    "a sentence": ({}, f"Here you are: ![it]({HREF}.png)".encode(), [f"{HREF}.png"]),
    "the picture itself": ({}, PNG, [PNG]),
    "a path to base64": ({"result_path": "out[0].raw"}, {"out": [{"raw": B64}]}, [PNG]),
    "a path to addresses": (
        {"result_path": "out[*].at"},
        {"out": [{"at": HREF}, {"at": "/f/2"}], "preview": {"url": f"{HREF}.png"}},
        [HREF, "https://studio.example/f/2"],
    ),
    "done, with a name and no word of where": (
        {},
        {"id": "r-1", "status": "succeeded", "artwork": f"{HREF}.png"},
        [f"{HREF}.png"],
    ),
    "a path for jobs, and media at once": (JOBS, {"job": {"files": [{"href": HREF}]}}, [HREF]),
}


@pytest.mark.parametrize("name", AT_ONCE)
def test_media_of_an_answer_are_found(name: str) -> None:
    options, body, media = AT_ONCE[name]
    outcome = answered({"endpoint": "/make", **options}, body, model="m-1")
    assert isinstance(outcome, Outcome)
    assert [one.data or one.url for one in outcome.media] == media
    assert outcome.model == "m-1"


FAILURES: dict[str, tuple[Any, Any, int, str, str]] = {
    "a status": ({}, {"error": {"message": "bad size"}}, 400, "provider_rejected", "bad size"),
    "a key": ({}, {"detail": "no"}, 401, "provider_auth", "no"),
    "a status with its words at a path": (
        {"error_path": "meta.why"},
        {"meta": {"why": "too many cooks"}},
        400,
        "provider_rejected",
        "too many cooks",
    ),
    "a refusal at a path": (
        {"error_path": "meta.why"},
        {"meta": {"why": "Rejected by our safety system"}},
        400,
        "content_refused",
        "safety",
    ),
    "a failure that calls itself a success": (
        {"error_path": "meta.why"},
        {"meta": {"why": "too many cooks"}, "url": HREF},
        200,
        "provider_failed",
        "too many cooks",
    ),
    "a failed job at once": (
        JOBS,
        {"job": {"key": "j", "phase": "failed", "why": "out of paint"}},
        200,
        "provider_failed",
        "out of paint",
    ),
    "nothing": ({}, {"ok": True}, 200, "no_media", "no picture"),
    "nothing at the path": (
        {"result_path": "out.files[*]"},
        {"out": {"images": ["x"]}},
        200,
        "provider_failed",
        "nothing at 'out.files[*]': out is an object with images",
    ),
    "a page": ({}, b"<!doctype html><html>log in</html>", 200, "provider_failed", "web page"),
    "a job that nobody can ask for": (
        {},
        {"id": "j-1", "status": "queued"},
        200,
        "provider_failed",
        "does not say where to ask for it",
    ),
}


@pytest.mark.parametrize("name", FAILURES)
def test_an_answer_that_is_a_failure_is_told_with_its_own_words(name: str) -> None:
    options, body, status, code, words = FAILURES[name]
    error = failed({"endpoint": "/make", **options}, body, status)
    assert error.code == code
    assert words in error.message
    assert error.hints
    if status == 200:
        assert error.retryable is False


def test_a_status_that_says_when_to_come_back_is_heeded() -> None:
    error = failed(JOBS, {"job": {"why": "slow down"}}, 429, headers={"retry-after": "7"})
    assert (error.code, error.wait) == ("provider_rate_limited", 7)
    assert "slow down" in error.message


# ---------------------------------------------------------------- jobs

TICKETS: dict[str, tuple[Any, Any, int, str, str]] = {
    "by shape": (
        {},
        {"request_id": "j-1", "status": "IN_QUEUE", "status_url": f"{BASE}/q/j-1"},
        200,
        "j-1",
        f"{BASE}/q/j-1",
    ),
    "by a relative address": (
        {},
        {"id": "j", "poll_url": "/q/j"},
        202,
        "j",
        "https://studio.example/q/j",
    ),
    "with its paths": (
        JOBS,
        {"job": {"key": 17, "phase": "cooking"}},
        200,
        "17",
        f"{BASE}/jobs/17",
    ),
    "its name quoted": (JOBS, {"job": {"key": "a/../b"}}, 200, "a/../b", f"{BASE}/jobs/a%2F..%2Fb"),
    "a template alone": ({"status_path": "/q/{id}"}, {"id": "j"}, 200, "j", f"{BASE}/q/j"),
    "an address at a path": (
        {"status_path": "links.self"},
        {"id": "j", "links": {"self": f"{BASE}/q/9"}},
        200,
        "j",
        f"{BASE}/q/9",
    ),
    "not done, whatever else it shows": (
        {**JOBS, "result_path": "data[*].url"},
        {"job": {"key": "j", "phase": "running"}, "data": [{"url": HREF}]},
        200,
        "j",
        f"{BASE}/jobs/j",
    ),
}


@pytest.mark.parametrize("name", TICKETS)
def test_a_job_is_known_by_its_shape_or_by_what_the_entry_says(name: str) -> None:
    options, body, status, known_as, where = TICKETS[name]
    ticket = answered({"endpoint": "/make", **options}, body, status, model="m-1", n=2)
    assert isinstance(ticket, Ticket)
    assert (ticket.id, ticket.status_url) == (known_as, where)
    assert ticket.model == "m-1"
    assert ticket.state == {"kind": "image", "wanted": 2, "warnings": [], "left_out": []}


def test_a_request_may_say_where_its_clip_is_asked_for() -> None:
    options = {"video_endpoint": "/film", "status_path": "/jobs/{id}"}
    more = {"status_endpoint_template": "/films/{id}/state"}
    ticket = answered(options, {"id": "j"}, 200, "generate_video", **more)
    assert ticket.status_url == f"{BASE}/films/j/state"
    assert ticket.state["kind"] == "video"


def test_a_job_is_polled_until_what_it_made_stands_where_the_entry_says() -> None:
    ticket = answered(JOBS, {"job": {"key": "j-1", "phase": "cooking"}})
    goes_on = {"status": "success", "job": {"phase": "cooking"}, "progress": 25}
    pending, asked = polled(JOBS, reply(goes_on, headers={"retry-after": "3"}), ticket=ticket)
    assert asked == [f"{BASE}/jobs/j-1"]
    assert pending == Pending("cooking", 0.25, 3)
    done = {"job": {"phase": "Done", "files": [{"href": "/f/1"}, {"href": HREF}]}}
    outcome, _ = polled(JOBS, reply(done), ticket=ticket)
    assert urls(outcome) == ["https://studio.example/f/1", HREF]


POLLS: dict[str, tuple[Any, Any, str]] = {
    "a word for waiting": ({}, {"status": "queued"}, "queued"),
    "a word that nobody knows": ({}, {"status": "cooking"}, "cooking"),
    "no word": ({}, {}, "running"),
    "a truth at a path": ({"state_path": "ready"}, {"ready": False}, "running"),
    "a number at a path": ({"state_path": "phase"}, {"phase": 1}, "1"),
    "a preview on the way": ({}, {"status": "running", "url": HREF}, "running"),
    "an address on the way": ({}, {"links": {"self": f"{BASE}/jobs/j-1"}}, "running"),
    "done by a truth": ({"state_path": "ready"}, {"ready": True, "art": f"{HREF}.png"}, HREF),
    "done, in keys that nobody uses": ({}, {"state": "done", "art": f"{HREF}.png"}, HREF),
    "done by what there is": ({"result_path": "art"}, {"phase": 2, "art": f"{HREF}.png"}, HREF),
}


@pytest.mark.parametrize("name", POLLS)
def test_a_poll_is_over_when_the_answer_says_so_or_holds_what_was_made(name: str) -> None:
    options, body, expected = POLLS[name]
    got, _ = polled({"endpoint": "/make", **options}, reply(body))
    if expected == HREF:
        assert urls(got) == [f"{HREF}.png"]
    else:
        assert isinstance(got, Pending)
        assert got.message == expected


def test_a_poll_that_is_accepted_goes_on_whatever_it_shows() -> None:
    got, _ = polled({"endpoint": "/make"}, reply({"data": [{"url": HREF}]}, 202))
    assert isinstance(got, Pending)


RESULT = {"endpoint": "/make", "status_path": "/jobs/{id}", "result_path": "/jobs/{id}/result"}


@pytest.mark.parametrize("body", [PNG, GOOD, {"artwork": f"{HREF}.png"}])
def test_a_result_that_lies_by_itself_is_asked_for_once_the_job_is_done(body: Any) -> None:
    pending, asked = polled(RESULT, reply({"status": "running"}))
    assert isinstance(pending, Pending)
    outcome, then = polled(RESULT, reply({"status": "COMPLETED"}), reply(body))
    assert isinstance(outcome, Outcome)
    assert (asked, then) == ([f"{BASE}/jobs/j-1"], [f"{BASE}/jobs/j-1", f"{BASE}/jobs/j-1/result"])
    assert [one.data or one.url for one in outcome.media] in ([PNG], [f"{HREF}.png"])


def test_a_job_without_a_name_has_its_media_in_its_own_answer() -> None:
    ticket = answered(RESULT, {"status_url": f"{BASE}/q/9"})
    assert ticket.id == ticket.status_url == f"{BASE}/q/9"
    outcome, asked = polled(RESULT, reply({"status": "done", "url": HREF}), ticket=ticket)
    assert (urls(outcome), asked) == ([HREF], [f"{BASE}/q/9"])


POLL_FAILURES: dict[str, tuple[Any, list[HttpReply], str, bool | None]] = {
    "failed": (
        JOBS,
        [reply({"job": {"phase": "failed", "why": "out of paint"}})],
        "provider_failed",
        False,
    ),
    "not known yet": (JOBS, [reply({}, 404)], "provider_unavailable", True),
    "gone": (JOBS, [reply({}, 410)], "provider_failed", False),
    "overloaded": (JOBS, [reply({"job": {"why": "busy"}}, 503)], "provider_unavailable", None),
    "done, with nothing": (JOBS, [reply({"job": {"phase": "done"}})], "provider_failed", False),
    "its result not there yet": (
        RESULT,
        [reply({"status": "done"}), reply({}, 404)],
        "provider_unavailable",
        True,
    ),
    "its result empty": (
        RESULT,
        [reply({"status": "done"}), reply({"ok": 1})],
        "no_media",
        False,
    ),
}


@pytest.mark.parametrize("name", POLL_FAILURES)
def test_a_poll_that_fails_says_whether_asking_again_helps(name: str) -> None:
    options, replies, code, retryable = POLL_FAILURES[name]
    with pytest.raises(HandlerError) as caught:
        polled(options, *replies)
    assert (caught.value.code, caught.value.retryable) == (code, retryable)


def test_a_job_is_cancelled_where_its_answer_said_how() -> None:
    made = of(JOBS)
    assert isinstance(made, Cancels)
    body = {"job": {"key": "j"}, "cancel_url": f"{BASE}/jobs/j/cancel"}
    ticket = answered(JOBS, body)
    done, (one,) = drive(made.cancel(ticket), [reply({})])
    assert (done, one.method, one.url) == (True, "PUT", f"{BASE}/jobs/j/cancel")
    assert drive(made.cancel(Ticket("j"))) == (False, [])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["job", "key", "phase", "files", "href", "why", "id", "status", "url"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(body=JSON, status=st.sampled_from([200, 201, 202, 302, 400, 404, 500]))
@settings(max_examples=examples(200), deadline=None)
def test_any_answer_is_an_outcome_or_a_ticket_or_a_failure_that_has_a_name(
    body: Any, status: int
) -> None:
    for options in (JOBS, RESULT):
        try:
            got = answered(options, body, status)
            assert isinstance(got, (Outcome, Ticket))
            if isinstance(got, Ticket):
                json.dumps(got.state)
        except HandlerError as error:
            assert error.message
        try:
            polled(options, reply(body, status), reply(body, status))
        except HandlerError as error:
            assert error.message
