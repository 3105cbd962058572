"""Which field a provider refuses, by the sentence that it says so in."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.answers.blame import NOTHING, PICTURE_FIELDS, Sent, blamed, names_field
from handlers.answers.complaints import Complaint
from handlers.answers.failures import failure_of
from handlers.contract import HandlerError
from handlers.wire import HttpReply

REFERENCES = Sent(
    frozenset({"model", "prompt", "size", "n", "reference_images"}), ("reference_images",)
)
IMAGE = Sent(frozenset({"model", "prompt", "size", "image", "mask"}), ("image",))
FORM = Sent(frozenset({"model", "prompt", "image[]"}), ("image[]",))
IMAGES = Sent(frozenset({"model", "prompt", "images"}), ("images",))
ROUTED = Sent(frozenset({"model", "prompt", "input_references"}), ("input_references",))
LOCAL = Sent(frozenset({"model", "prompt", "file", "ref_images"}), ("file", "ref_images"))
CHAT = Sent(frozenset({"model", "messages", "modalities", "image_url"}), ("image_url",))
OWN = Sent(frozenset({"model", "prompt", "refs"}), ("refs",))


def failed(body: Any, sent: Sent = NOTHING, status: int = 400) -> HandlerError:
    data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    return failure_of(HttpReply(status, {}, data), "paper", sent)


def pointers(error: HandlerError) -> list[str]:
    return [pointer for pointer, _ in error.faults]


def openai(message: str, **more: Any) -> dict[str, Any]:
    return {"error": {"message": message, "type": None, "param": None, "code": None, **more}}


def fastapi(*loc: str | int, msg: str = "Extra inputs are not permitted") -> dict[str, Any]:
    return {"detail": [{"loc": ["body", *loc], "msg": msg, "type": "extra_forbidden"}]}


# ---------------------------------------------------------------- refused

REFUSED: list[tuple[Any, Sent, list[str]]] = [
    # OpenAI, with a param
    (openai("Unknown parameter: 'reference_images'.", param="reference_images"), REFERENCES, ["/reference_images"]),
    (openai("Invalid image.", param="image[0]"), FORM, ["/image/0"]),
    (openai("Invalid image.", param="images[0].image_url"), IMAGES, ["/images/0/image_url"]),
    # and without one
    (openai("Unknown parameter: 'reference_images'."), REFERENCES, ["/reference_images"]),
    (openai("Unrecognized request argument supplied: reference_images"), REFERENCES, ["/reference_images"]),
    (openai("Unrecognized request arguments supplied: steps, image"), IMAGE, ["/image"]),
    (openai("Unsupported parameter: 'image[0]'."), FORM, ["/image"]),
    (openai("Invalid type for 'image': expected a file."), FORM, ["/image"]),
    # FastAPI, with a place
    (fastapi("reference_images"), REFERENCES, ["/reference_images"]),
    (fastapi("images", 0, "url"), IMAGES, ["/images/0/url"]),
    (fastapi("reference_images", msg="extra fields not permitted"), REFERENCES, ["/reference_images"]),
    # pydantic, in a sentence
    ({"detail": "1 validation error for ImageRequest\nreference_images\n  Extra inputs are not permitted"}, REFERENCES, ["/reference_images"]),
    ({"detail": "1 validation error for Request\nbody -> image\n  extra fields not permitted (type=value_error.extra)"}, IMAGE, ["/image"]),
    ({"message": "[{'type': 'extra_forbidden', 'loc': ('body', 'image'), 'msg': 'Extra inputs'}]"}, IMAGE, ["/image"]),
    ({"detail": "Field 'image' or 'url' is required"}, IMAGE, ["/image"]),
    # xAI, in each of its shapes
    ({"code": "400", "error": "Argument not supported: image"}, IMAGE, ["/image"]),
    ({"code": "invalid-argument", "error": "Argument not supported: reference_images"}, REFERENCES, ["/reference_images"]),
    ({"error": "Argument not supported: images"}, IMAGES, ["/images"]),
    (openai("Argument not supported: image"), IMAGE, ["/image"]),
    ({"error": "Failed to deserialize the JSON body into the target type: images[0]: missing field `url` at line 1"}, IMAGES, []),
    ({"error": "Failed to deserialize the JSON body into the target type: unknown field `images`, expected one of `model`"}, IMAGES, ["/images"]),
    # OpenRouter
    ({"error": {"code": 400, "message": 'Unrecognized key: "input_references"'}}, ROUTED, ["/input_references"]),
    ({"error": {"code": 404, "message": "No endpoints found that support image input"}}, CHAT, ["/image_url"]),
    # Go, plain text, and whatever else
    ({"error": {"message": 'json: unknown field "file"'}}, LOCAL, ["/file"]),
    ({"error": {"message": "json: cannot unmarshal array into Go struct field OpenAIRequest.ref_images of type string"}}, LOCAL, ["/ref_images"]),
    ("Unknown parameter: 'reference_images'", REFERENCES, ["/reference_images"]),
    ("unknown field image", IMAGE, ["/image"]),
    ("reference_images is not supported by this model", REFERENCES, ["/reference_images"]),
    ("image: extra fields not permitted", IMAGE, ["/image"]),
    ("The parameter(s) not allowed: refs", OWN, ["/refs"]),
    ("This model does not support image inputs.", IMAGE, ["/image"]),
    ("Image input is not supported by this model", OWN, ["/refs"]),
    ("reference images aren't supported", REFERENCES, ["/reference_images"]),
]  # fmt: skip


@pytest.mark.parametrize(("body", "sent", "faults"), REFUSED)
def test_the_field_that_a_sentence_refuses_is_named_as_it_was_sent(
    body: Any, sent: Sent, faults: list[str]
) -> None:
    assert pointers(failed(body, sent)) == faults


@pytest.mark.parametrize(
    ("body", "sent"), [(body, sent) for body, sent, faults in REFUSED if faults]
)
def test_a_refusal_of_pictures_can_be_told(body: Any, sent: Sent) -> None:
    error = failed(body, sent)
    assert names_field(error, {*PICTURE_FIELDS, "refs"})
    assert not names_field(error, {"size", "mask", "imagery"})


# ---------------------------------------------------------------- not refused

OTHERS: list[tuple[Any, Sent]] = [
    (openai("Your image is too dark."), IMAGE),
    (openai("You uploaded an unsupported image."), IMAGE),
    (openai("This model does not support image generation."), IMAGE),
    (openai("The model `m` does not exist or you do not have access to it."), IMAGE),
    (openai("Unknown parameter: 'style'."), REFERENCES),
    (openai("Unknown parameter: 'images'."), IMAGE),
    (openai("reference_images_v2 is not supported"), REFERENCES),
    (openai("The mask must have the size of the picture."), IMAGE),
    ({"error": "Argument not supported: quality"}, IMAGE),
    ("No endpoints found that support tool use", CHAT),
    ("", IMAGE),
]


@pytest.mark.parametrize(("body", "sent"), OTHERS)
def test_what_is_about_something_else_names_no_field(body: Any, sent: Sent) -> None:
    error = failed(body, sent)
    assert error.faults == ()
    assert not names_field(error, PICTURE_FIELDS)


@pytest.mark.parametrize("status", [401, 402, 403, 408, 429, 500, 503])
def test_only_what_was_rejected_is_a_refusal_of_a_field(status: int) -> None:
    error = failed(openai("Unknown parameter: 'image'", param="image"), IMAGE, status)
    assert not names_field(error, PICTURE_FIELDS)


def test_refused_content_is_no_refusal_of_the_field_that_holds_it() -> None:
    body = openai("no", param="image", code="moderation_blocked")
    assert failed(body, IMAGE).code == "content_refused"
    assert not names_field(failed(body, IMAGE), PICTURE_FIELDS)


def test_a_name_that_the_provider_gave_itself_is_not_doubted() -> None:
    error = failed(openai("'image' is odd", param="size"), IMAGE)
    assert pointers(error) == ["/size"]


def test_without_knowing_what_was_sent_no_sentence_names_a_field() -> None:
    assert failed("Unknown parameter: 'image'").faults == ()


# ---------------------------------------------------------------- whatever comes


@given(
    st.text(max_size=80),
    st.frozensets(st.text(max_size=12), max_size=4),
    st.lists(st.text(max_size=12), max_size=2),
)
def test_any_sentence_and_any_names_can_be_read(
    message: str, names: frozenset[str], pictured: list[str]
) -> None:
    complaint = blamed(Complaint(message), Sent(names, tuple(pictured)))
    assert all(pointer.startswith("/") for pointer, _ in complaint.faults)


@pytest.mark.timeout(5)
@pytest.mark.parametrize("piece", ["parameter ", "a, ", "not ", "image ", "support ", "[0]", "'"])
def test_a_sentence_that_is_made_to_be_slow_is_read_fast(piece: str) -> None:
    names = frozenset(f"image{number}" for number in range(500)) | {"x" * 10_000}
    assert blamed(Complaint((piece * 500)[:500]), Sent(names, ("image",))).message
