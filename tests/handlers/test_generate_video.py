"""generate_video: what was given and nothing else, pictures by what they are to the clip."""

from typing import Any

import pytest
from pydantic import ValidationError

from daemon.requests import Door
from handlers import generate_video
from handlers.contract import Call, Medium, Outcome
from handlers.generate_video import Request
from tests.builders import door
from tests.handlers.scenes import answering, faults, opened, plain, png, ran, refused, source
from tests.wire.pictures import clip

FILES = {"a.png": png(source()), "b.png": png(plain())}
DOOR: Door = door()


def filming(*clips: bytes) -> Any:
    """The script of a provider that answers with these clips."""
    return lambda _: Outcome(tuple(Medium(data) for data in clips or (clip(1),)))


def asked(**request: Any) -> Call:
    """What a provider is asked for."""
    (call,) = ran(generate_video, FILES, filming(), **{"prompt": "x", **request}).calls
    return call


def told(**request: Any) -> Request:
    """A request that came through the door, by any of its spellings."""
    fields = DOOR.validate({"task": "generate_video", "prompt": "x", **request}).fields
    assert isinstance(fields, Request)
    return fields


# ---------------------------------------------------------------- fields


def test_the_provider_is_asked_once_for_what_was_given_and_nothing_else() -> None:
    call = asked(
        prompt="  a {boat} ü ",
        size="1280x720",
        aspect_ratio="16:9",
        resolution="720p",
        seconds=4,
        fps=24,
        seed=0,
        preset=False,
        negative_prompt="",
        status_endpoint_template="/jobs/{id}/state",
    )
    assert call == Call(
        "generate_video",
        {
            "prompt": "  a {boat} ü ",
            "size": "1280x720",
            "aspect_ratio": "16:9",
            "resolution": "720p",
            "seconds": 4,
            "fps": 24,
            "seed": 0,
            "preset": False,
            "negative_prompt": "",
            "status_endpoint_template": "/jobs/{id}/state",
        },
    )


def test_a_prompt_alone_is_sent_alone() -> None:
    assert asked() == Call("generate_video", {"prompt": "x"})


@pytest.mark.parametrize("mode", ["text", "video"])
def test_these_modes_say_nothing_to_the_provider(mode: str) -> None:
    assert asked(mode=mode).fields == {"prompt": "x"}


@pytest.mark.parametrize(
    "duration", [6, "6", "6s", " 6 s ", "6S", "6sec", "6 seconds", "6 second", 6.0, "6.0", "6.s"]
)
def test_a_duration_becomes_whole_seconds(duration: Any) -> None:
    assert asked(duration=duration).fields == {"prompt": "x", "seconds": 6}


def test_seconds_win_over_a_duration() -> None:
    assert asked(duration="5s", seconds=9).fields["seconds"] == 9


@pytest.mark.parametrize(
    "duration",
    [0, -1, "0", "-3s", "0s", 5.5, "5.5s", "five", "", "5m", "1e3", True, [5], 3601, "9" * 40],
)
def test_every_other_duration_is_an_error(duration: Any) -> None:
    with pytest.raises(ValidationError):
        Request.model_validate({"prompt": "x", "duration": duration})


@pytest.mark.parametrize("seconds", [0, -4, 3601, 4.5, "4", True])
def test_seconds_are_a_whole_number_above_nought(seconds: Any) -> None:
    with pytest.raises(ValidationError):
        Request.model_validate({"prompt": "x", "seconds": seconds})


def test_the_other_spellings_are_taken() -> None:
    request = told(durationSeconds=7, aspectRatio="9:16")
    assert (request.seconds, request.aspect_ratio) == (7, "9:16")


def test_old_manifests_come_here_by_their_mode() -> None:
    assert (
        DOOR.validate({"prompt": "x", "mode": "video", "duration": "5s"}).task == "generate_video"
    )


@pytest.mark.parametrize(
    "template", ["/videos", "videos/{id}", "https://x.test/{id}", "//x.test/{id}", "/a b/{id}"]
)
def test_a_template_is_a_path_with_an_id_in_it(template: str) -> None:
    with pytest.raises(ValidationError):
        Request.model_validate({"prompt": "x", "status_endpoint_template": template})


# ---------------------------------------------------------------- pictures


@pytest.mark.parametrize(
    ("mode", "role", "spoken"),
    [
        ("text", "image", None),
        ("video", "image", None),
        ("animate", "image", "animate"),
        ("reference", "reference_images", "reference"),
    ],
)
def test_a_picture_goes_along_as_the_mode_says(mode: str, role: str, spoken: str | None) -> None:
    call = asked(image="a.png", mode=mode)
    assert list(call.inputs) == [role]
    (medium,) = call.inputs[role]
    assert opened(medium.data or b"").tobytes() == source().tobytes()
    assert call.fields.get("mode") == spoken


def test_a_last_frame_goes_along_beside_the_first() -> None:
    call = asked(image="a.png", last_frame="b.png")
    shown = {role: opened(media[0].data or b"").tobytes() for role, media in call.inputs.items()}
    assert shown == {"image": source().tobytes(), "last_frame": plain().tobytes()}


def test_how_the_picture_goes_along_is_said_only_where_it_was_asked_for() -> None:
    call = asked(image="a.png", image_field="input_image", image_transport="data-url")
    assert call.fields == {
        "prompt": "x",
        "image_field": "input_image",
        "image_transport": "data-url",
    }
    assert asked(image="a.png", image_transport="auto").fields == {"prompt": "x"}
    assert asked(image_field="image", image_transport="multipart").fields == {"prompt": "x"}


def test_a_path_is_read_all_the_same_and_its_text_goes_along() -> None:
    call = asked(image="a.png", image_transport="path")
    assert call.fields["image_path"] == "a.png"
    assert opened(call.inputs["image"][0].data or b"").tobytes() == source().tobytes()
    error = refused(generate_video, {}, prompt="x", image="a.png", image_transport="path")
    assert error.code == "file_not_found"


@pytest.mark.parametrize(
    "image",
    ["data:image/png;base64,AAAA", "https://x.test/a.png", "HTTP://x.test/a.png", {"from": "a"}],
)
def test_only_a_path_can_be_sent_as_one(image: Any) -> None:
    assert faults(generate_video, prompt="x", image=image, image_transport="path") == ["image"]


def test_a_mode_that_needs_a_picture_says_so() -> None:
    assert faults(generate_video, prompt="x", mode="animate") == ["image"]
    assert faults(generate_video, prompt="x", mode="reference") == ["image"]
    wrong = {"mode": "reference", "image": "a.png", "last_frame": "b.png"}
    assert faults(generate_video, prompt="x", **wrong) == ["last_frame"]


def test_what_is_no_picture_is_refused_by_the_name_of_its_field() -> None:
    files = {**FILES, "b.png": b"no picture"}
    error = refused(generate_video, files, prompt="x", image="a.png", last_frame="b.png")
    assert error.code == "unreadable_media"
    assert "last_frame" in error.message


# ---------------------------------------------------------------- what comes of it


def test_every_clip_is_kept_in_the_providers_order() -> None:
    context = ran(generate_video, FILES, filming(clip(1), clip(2)), prompt="x")
    assert context.kept == [
        ("generated-video", "output", clip(1)),
        ("generated-video", "output", clip(2)),
    ]
    assert context.steps == ["generate", "clip 1", "clip 2"]


def test_an_answer_without_anything_is_a_failure() -> None:
    error = refused(generate_video, FILES, lambda _: Outcome(), prompt="x")
    assert error.code == "no_media"
    assert "no clip" in error.message


def test_a_picture_beside_a_clip_is_kept_and_one_alone_is_no_success() -> None:
    both = lambda _: Outcome((Medium(png(plain())), Medium(clip(1))))  # noqa: E731
    assert len(ran(generate_video, FILES, both, prompt="x").kept) == 2
    error = refused(generate_video, FILES, answering(plain()), prompt="x")
    assert (error.code, "saved" in error.message) == ("no_media", True)
