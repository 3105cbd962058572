"""Calls for clips: each server's own fields, and the ways in which pictures go along."""

import base64
import json
from typing import Any

import pytest

from handlers.contract import HandlerError, Outcome
from handlers.openai_shape.table import DIALECTS
from handlers.wire import HttpCall, Ticket
from tests.handlers.driving import PNG, call, drive, provider, reply
from tests.handlers.openai_shape.looking import of, photo, png
from tests.wire.pictures import clip

FIRST, LAST, OTHER = (png(photo((16, height))) for height in (9, 10, 11))
FILMING = [name for name, one in DIALECTS.items() if one.videos]
WITH_PICTURES = [name for name in FILMING if DIALECTS[name].videos.pictures]  # type: ignore[union-attr]
TAKEN = {"id": "v-1", "status": "queued"}


def url(data: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(data).decode()}"


def sent(dialect: str, inputs: Any = None, options: Any = None, **fields: Any) -> HttpCall:
    """What goes out."""
    made = of(dialect, options=options or {})
    _, (one,) = drive(made.submit(call("generate_video", inputs=inputs, **fields)), [reply(TAKEN)])
    return one


def warned(dialect: str, inputs: Any = None, **fields: Any) -> list[str]:
    """What the caller is told beside the clip."""
    made = of(dialect)
    ticket, _ = drive(made.submit(call("generate_video", inputs=inputs, **fields)), [reply(TAKEN)])
    assert isinstance(ticket, Ticket)
    return list(ticket.state["warnings"])


def refused(dialect: str, inputs: Any, options: Any = None, **fields: Any) -> HandlerError:
    """Why nothing goes out."""
    made = of(dialect, options=options or {})
    with pytest.raises(HandlerError) as caught:
        drive(made.submit(call("generate_video", inputs=inputs, **fields)))
    return caught.value


# ---------------------------------------------------------------- fields


@pytest.mark.parametrize(
    ("dialect", "url", "body"),
    [
        (
            "compatible",
            "http://127.0.0.1:4000/v1/videos",
            {"size": "720x1280", "seconds": "8", "fps": 24, "resolution": "720p"},
        ),
        (
            "sglang",
            "http://127.0.0.1:30000/v1/videos",
            {"size": "720x1280", "seconds": 8, "fps": 24},
        ),
        (
            "together",
            "https://api.together.xyz/v2/videos",
            {"width": 720, "height": 1280, "seconds": "8", "fps": 24, "resolution": "720p"},
        ),
        (
            "xai",
            "https://api.x.ai/v1/videos/generations",
            {"duration": 8, "aspect_ratio": "9:16", "resolution": "720p"},
        ),
        (
            "openrouter",
            "https://openrouter.ai/api/v1/videos",
            {"size": "720x1280", "duration": 8, "resolution": "720p"},
        ),
    ],
)
def test_a_clip_is_phrased_as_its_server_knows_it(dialect: str, url: str, body: Any) -> None:
    one = sent(dialect, size="720x1280", seconds=8, duration=9, fps=24, resolution="720p")
    assert one == HttpCall("POST", url, json={"prompt": "a lighthouse", **body}, creates="video")


def test_one_server_wants_a_form_also_without_a_picture() -> None:
    one = sent("vllm-omni", size="64x48", seconds=4, fps=16, seed=7, model="wan")
    assert one.json is None
    assert dict(one.form) == {
        "model": "wan",
        "prompt": "a lighthouse",
        "size": "64x48",
        "seconds": "4",
        "fps": "16",
        "seed": "7",
    }
    assert one.files == ()
    assert one.form


def test_what_a_server_does_not_take_is_told_of() -> None:
    assert warned("openrouter", fps=24) == ["not sent, because OpenRouter does not take it: fps"]
    (size, fps) = warned("xai", size="100x37", fps=24)
    assert "size 100x37" in size
    assert "fps" in fps


@pytest.mark.parametrize("dialect", FILMING)
def test_nothing_that_speaks_to_darkroom_goes_out(dialect: str) -> None:
    inputs = {"image": FIRST} if dialect in WITH_PICTURES else None
    ours = {
        "mode": "animate",
        "image_field": "image",
        "image_transport": "multipart",
        "image_path": "inbox/secret-name.png",
        "status_endpoint_template": "/other/{id}",
    }
    one = sent(dialect, inputs, **ours)
    names = {*dict(one.form), *(one.json or {})}
    assert not names & {*ours}
    assert "secret-name" not in repr(one)


def test_the_callers_template_says_where_the_job_is_asked_for() -> None:
    made = of("compatible")
    asked = call("generate_video", status_endpoint_template="/jobs/{id}/state")
    ticket, _ = drive(made.submit(asked), [reply(TAKEN)])
    assert isinstance(ticket, Ticket)
    assert ticket.status_url == "http://127.0.0.1:4000/v1/jobs/v-1/state"


def test_a_clip_that_comes_at_once_needs_no_ticket() -> None:
    answer, _ = drive(
        of("compatible").submit(call("generate_video")),
        [reply(clip(1), headers={"content-type": "video/mp4"})],
    )
    assert isinstance(answer, Outcome)
    assert answer.media[0].data == clip(1)


# ---------------------------------------------------------------- pictures, each server's way


@pytest.mark.parametrize("dialect", ["compatible", "vllm-omni", "sglang"])
@pytest.mark.parametrize("role", ["image", "reference_images", "input_reference"])
def test_a_picture_is_one_file_of_a_form(dialect: str, role: str) -> None:
    one = sent(dialect, {role: PNG}, seconds=4)
    (part,) = one.files
    assert (part.name, part.filename, part.media_type, part.data) == (
        "input_reference",
        "input_reference.png",
        "image/png",
        PNG,
    )
    assert dict(one.form) == {"prompt": "a lighthouse", "seconds": "4"}
    assert one.json is None


@pytest.mark.parametrize("dialect", ["compatible", "vllm-omni", "sglang"])
def test_of_several_references_a_form_has_the_first_and_the_result_says_so(dialect: str) -> None:
    inputs = {"reference_images": [FIRST, OTHER]}
    assert [part.data for part in sent(dialect, inputs).files] == [FIRST]
    assert any("of 2 the first was sent" in told for told in warned(dialect, inputs))


def test_frames_and_references_go_to_openrouter_by_their_role() -> None:
    inputs = {"image": FIRST, "last_frame": LAST, "reference_images": [OTHER, PNG]}
    body = sent("openrouter", inputs).json
    assert body["frame_images"] == [
        {"type": "image_url", "image_url": {"url": url(data)}, "frame_type": kind}
        for data, kind in ((FIRST, "first_frame"), (LAST, "last_frame"))
    ]
    assert body["input_references"] == [
        {"type": "image_url", "image_url": {"url": url(data)}} for data in (OTHER, PNG)
    ]


def test_xai_has_objects_for_a_first_frame_or_for_references() -> None:
    assert sent("xai", {"image": FIRST}).json["image"] == {"url": url(FIRST)}
    body = sent("xai", {"reference_images": [FIRST, OTHER]}).json
    assert body["reference_images"] == [{"url": url(FIRST)}, {"url": url(OTHER)}]
    assert "image" not in body


@pytest.mark.parametrize(
    ("dialect", "inputs", "said"),
    [
        ("together", {"image": PNG}, "pictures for a clip"),
        ("xai", {"last_frame": PNG}, "last frame"),
        ("sglang", {"last_frame": PNG}, "last frame"),
        ("compatible", {"image": FIRST, "last_frame": PNG}, "last frame"),
        ("sglang", {"image": [PNG, PNG]}, "more than one first frame"),
        ("openrouter", {"image": [PNG, PNG]}, "more than one first frame"),
        ("xai", {"image": PNG, "reference_images": PNG}, "references beside a first frame"),
        ("vllm-omni", {"image": PNG, "reference_images": PNG}, "references beside a first frame"),
        ("xai", {"reference_images": [PNG] * 8}, "more than 7 references"),
    ],
)
def test_pictures_that_a_clip_cannot_have_are_refused_before_anything_is_sent(
    dialect: str, inputs: Any, said: str
) -> None:
    error = refused(dialect, inputs)
    assert error.code == "not_supported"
    assert said in error.message


def test_a_server_with_a_way_of_its_own_does_not_heed_field_and_transport() -> None:
    said = {"image_field": "image", "image_transport": "path", "image_path": "x"}
    assert sent("xai", {"image": FIRST}, **said).json["image"] == {"url": url(FIRST)}
    (told,) = warned("xai", {"image": FIRST}, **said)
    assert "xAI takes pictures its own way: image_field, image_transport" in told
    assert warned("openrouter", {"image": FIRST}, mode="animate") == []


def test_openai_makes_no_clips_any_more() -> None:
    assert "generate_video" not in of("openai").operations
    assert "clips" in refused("openai", None).message


# ---------------------------------------------------------------- as the caller says

FIELDS = ["image", "input_image", "first_frame_image", "reference_images", "input_reference"]


@pytest.mark.parametrize("field", FIELDS)
def test_a_form_has_the_picture_under_any_name(field: str) -> None:
    one = sent("compatible", {"image": FIRST}, image_field=field, image_transport="multipart")
    assert [(part.name, part.data) for part in one.files] == [(field, FIRST)]


@pytest.mark.parametrize("field", FIELDS[:3])
@pytest.mark.parametrize("transport", ["auto", "data-url"])
def test_json_has_it_as_text(field: str, transport: str) -> None:
    one = sent("compatible", {"image": FIRST}, image_field=field, image_transport=transport)
    assert one.json == {"prompt": "a lighthouse", field: url(FIRST)}


def test_json_has_references_as_a_list_and_openais_own_field_as_an_object() -> None:
    inputs = {"reference_images": [FIRST, OTHER]}
    body = sent("compatible", inputs, image_field="reference_images").json
    assert body["reference_images"] == [url(FIRST), url(OTHER)]
    body = sent("compatible", {"image": FIRST}, image_transport="data-url").json
    assert body["input_reference"] == {"image_url": url(FIRST)}


@pytest.mark.parametrize(
    ("mode", "role", "body"),
    [
        ("animate", "image", {"first_frame_image": url(FIRST)}),
        ("reference", "reference_images", {"reference_images": [url(FIRST)]}),
    ],
)
def test_the_old_modes_have_their_fields(mode: str, role: str, body: Any) -> None:
    one = sent("compatible", {role: FIRST}, mode=mode)
    assert one.json == {"prompt": "a lighthouse", **body}
    named = sent("compatible", {role: FIRST}, mode=mode, image_field="input_image")
    assert named.json == {"prompt": "a lighthouse", "input_image": url(FIRST)}


@pytest.mark.parametrize("options", [{}, {"allow_paths": False}])
def test_a_path_is_sent_to_nobody_who_may_not_have_it(options: Any) -> None:
    said = {"image_transport": "path", "image_path": "inbox/a.png"}
    error = refused("compatible", {"image": FIRST}, options, **said)
    assert error.code == "forbidden_path"
    assert any("allow_paths" in hint for hint in error.hints)


@pytest.mark.parametrize(
    ("fields", "body"),
    [
        ({}, {"input_reference": "inbox/a.png"}),
        ({"image_field": "image"}, {"image": "inbox/a.png"}),
        ({"mode": "reference"}, {"reference_images": ["inbox/a.png"]}),
    ],
)
def test_whoever_may_have_it_gets_the_text_of_the_path(fields: Any, body: Any) -> None:
    role = "reference_images" if fields.get("mode") == "reference" else "image"
    said = {"image_transport": "path", "image_path": "inbox/a.png", **fields}
    one = sent("compatible", {role: FIRST}, {"allow_paths": True}, **said)
    assert one.json == {"prompt": "a lighthouse", **body}


@pytest.mark.parametrize("value", ["true", 1, None])
def test_whether_it_may_have_paths_is_true_or_false(value: Any) -> None:
    with pytest.raises(HandlerError) as caught:
        provider(options={"allow_paths": value})
    assert caught.value.code == "config_invalid"


@pytest.mark.parametrize("dialect", WITH_PICTURES)
def test_a_refusal_of_the_picture_names_its_field(dialect: str) -> None:
    complaint = {"error": {"message": "pictures: this model does not support image input"}}
    asked = call("generate_video", inputs={"image": FIRST})
    with pytest.raises(HandlerError) as caught:
        drive(of(dialect).submit(asked), [reply(complaint, 400)])
    assert [pointer for pointer, _ in caught.value.faults]
    assert "image input" in json.dumps(caught.value.faults)
