"""reference_media: references go along, or stay here, or are dropped after a refusal of them."""

from typing import Any

import pytest

from handlers import reference_media
from handlers.contract import Call, HandlerError, Outcome
from tests.handlers.scenes import opened, plain, png, ran, refused, source

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
