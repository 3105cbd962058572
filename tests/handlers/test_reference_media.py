"""reference_media: references go along, or stay here, or are dropped after a refusal of them."""

from typing import Any

import pytest

from handlers import reference_media
from handlers.contract import Call, HandlerError, Medium, Outcome
from tests.builders import door
from tests.handlers.scenes import faults, opened, plain, png, ran, refused, source
from tests.wire.pictures import clip

FILES = {"a.png": png(source()), "b.png": png(plain())}
ASKED: dict[str, Any] = {"reference_images": ["a.png", "b.png"], "prompt": "x"}


def refusing(*faults: tuple[str, str], code: Any = "provider_rejected", message: str = "no") -> Any:
    def script(_: Call) -> Outcome:
        raise HandlerError(code, message, faults=faults)

    return script


def test_references_go_along_encoded_anew_in_their_order() -> None:
    (call,) = ran(reference_media, FILES, **ASKED, size="auto").calls
    assert (call.operation, call.fields) == ("generate_image", {"prompt": "x", "size": "auto"})
    pictures = [opened(medium.data or b"") for medium in call.inputs["reference_images"]]
    assert [one.tobytes() for one in pictures] == [source().tobytes(), plain().tobytes()]


def test_the_providers_field_for_them_can_be_named() -> None:
    (call,) = ran(reference_media, FILES, **ASKED, reference_key="style_refs").calls
    assert call.fields["reference_key"] == "style_refs"


def test_none_keeps_them_here_and_does_not_even_read_them() -> None:
    context = ran(reference_media, {}, **ASKED, transport="none")
    assert context.calls[0].inputs == {}
    assert context.steps == ["without references", "picture 1"]


@pytest.mark.parametrize(
    "pointer", ["/reference_images", "/reference_images/0", "/image", "/input_references/1/url"]
)
def test_auto_asks_once_more_without_where_just_they_are_refused(pointer: str) -> None:
    context = ran(reference_media, FILES, refusing((pointer, "unknown parameter")), **ASKED)
    assert [bool(call.inputs) for call in context.calls] == [True, False]
    assert len(context.kept) == 1
    (told,) = context.warnings
    assert "without the references" in told


def test_auto_knows_the_key_that_was_named() -> None:
    refusal = refusing(("/style_refs", "extra fields not permitted"))
    context = ran(reference_media, FILES, refusal, **ASKED, reference_key="style_refs")
    assert len(context.calls) == 2


@pytest.mark.parametrize(
    "script",
    [
        refusing(("/prompt", "too long")),
        refusing(),
        refusing(("/reference_images", "x"), code="content_refused"),
        refusing(("/reference_images", "x"), code="ambiguous_submit"),
        refusing(("/reference_images", "x"), code="provider_unavailable"),
    ],
)
def test_every_other_failure_is_one(script: Any) -> None:
    refused(reference_media, FILES, script, **ASKED)


def test_provider_json_is_not_dropped() -> None:
    refusal = refusing(("/reference_images", "unknown"))
    error = refused(reference_media, FILES, refusal, **ASKED, transport="provider-json")
    assert error.code == "provider_rejected"


def test_what_is_no_picture_is_refused_by_name() -> None:
    files = {**FILES, "b.png": b"no picture"}
    error = refused(reference_media, files, **ASKED)
    assert error.code == "unreadable_media"
    assert "reference_images 2" in error.message


def test_one_reference_needs_no_list() -> None:
    request = reference_media.Request.model_validate({"reference_images": "a.png", "prompt": "x"})
    assert request.reference_images == ["a.png"]


# ---------------------------------------------------------------- clips


def filmed(**request: Any) -> Any:
    script = lambda _: Outcome((Medium(clip(1)),))  # noqa: E731
    return ran(reference_media, FILES, script, **{**ASKED, "mode": "video", **request})


def test_a_clip_is_asked_for_with_all_references_and_the_fields_of_clips() -> None:
    context = filmed(duration="5s", fps=12, resolution="480p", size="64x48", seed=3)
    (call,) = context.calls
    assert call.operation == "generate_video"
    assert call.fields == {
        "prompt": "x",
        "seconds": 5,
        "fps": 12,
        "resolution": "480p",
        "size": "64x48",
        "seed": 3,
    }
    pictures = [opened(medium.data or b"") for medium in call.inputs["reference_images"]]
    assert [one.tobytes() for one in pictures] == [source().tobytes(), plain().tobytes()]
    assert [(prefix, role) for prefix, role, _ in context.kept] == [("reference-video", "output")]


def test_roles_say_what_each_picture_is_to_the_clip() -> None:
    (call,) = filmed(roles=["last_frame", "first_frame"]).calls
    shown = {role: opened(media[0].data or b"").tobytes() for role, media in call.inputs.items()}
    assert shown == {"last_frame": source().tobytes(), "image": plain().tobytes()}
    request = {"task": "reference_media", **ASKED, "mode": "video", "imageRoles": ["reference"] * 2}
    assert door().validate(request).fields.roles == ["reference", "reference"]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"roles": ["first_frame"]}, ["roles"]),
        ({"roles": ["first_frame", "first_frame"]}, ["roles"]),
        ({"n": 2, "quality": "high"}, ["n", "quality"]),
        ({"mode": "image", "fps": 12, "roles": ["reference"] * 2}, ["fps", "roles"]),
        ({"mode": "image", "seconds": 4, "duration": 4}, ["duration", "seconds"]),
    ],
)
def test_fields_of_the_other_kind_and_roles_that_do_not_fit_are_faults(
    wrong: Any, told: list[str]
) -> None:
    assert faults(reference_media, **{**ASKED, "mode": "video", **wrong}) == told


def test_transport_and_key_do_not_apply_to_a_clip_and_the_result_says_so() -> None:
    context = filmed(transport="none", reference_key="refs")
    assert len(context.calls[0].inputs["reference_images"]) == 2
    assert context.warnings == ["made no use of, as a clip was asked for: reference_key, transport"]
    assert filmed().warnings == []


def test_a_clip_is_never_asked_for_again_without_its_references() -> None:
    refusal = refusing(("/reference_images", "unknown"))
    error = refused(reference_media, FILES, refusal, **ASKED, mode="video")
    assert error.code == "provider_rejected"
