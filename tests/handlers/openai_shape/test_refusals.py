"""A server that refuses a field: the failure points at it as it was sent."""

from typing import Any

import pytest

from handlers.answers.blame import PICTURE_FIELDS, names_field
from handlers.contract import HandlerError
from tests.handlers.driving import PNG, call, drive, provider, reply
from tests.handlers.openai_shape.looking import of

WAYS: dict[str, tuple[Any, dict[str, Any], str]] = {
    "openai": (of("openai"), {}, "image"),
    "azure": (of("azure"), {}, "image"),
    "compatible": (of("compatible"), {}, "reference_images"),
    "a key": (of("openai"), {"reference_key": "refs"}, "refs"),
    "sdcpp": (of("sdcpp"), {}, "image[]"),
    "vllm-omni": (of("vllm-omni"), {}, "image"),
    "sglang": (of("sglang"), {}, "image"),
    "localai": (of("localai"), {}, "ref_images"),
    "xai": (of("xai"), {}, "image"),
    "openrouter": (of("openrouter"), {}, "input_references"),
    "a chat": (of("openrouter", options={"images": "chat"}), {}, "image_url"),
}
"""How references go along with a generation: the field that holds them."""


def refused(name: str, body: Any, status: int = 400) -> HandlerError:
    made, fields, _ = WAYS[name]
    asked = call(model="m", inputs={"reference_images": PNG}, **fields)
    with pytest.raises(HandlerError) as caught:
        drive(made.submit(asked), [reply(body, status)])
    return caught.value


@pytest.mark.parametrize("name", WAYS)
@pytest.mark.parametrize("status", [400, 404, 422, 200])
def test_a_refusal_of_the_references_points_at_the_field_that_held_them(
    name: str, status: int
) -> None:
    field = WAYS[name][2]
    error = refused(
        name, {"error": {"message": f"Unknown parameter: '{field}'", "code": 400}}, status
    )
    assert [pointer for pointer, _ in error.faults] == [f"/{field.removesuffix('[]')}"]
    assert names_field(error, {*PICTURE_FIELDS, "refs"})


@pytest.mark.parametrize("name", WAYS)
def test_so_does_one_that_names_no_field(name: str) -> None:
    error = refused(name, {"error": "this model does not support reference images"})
    assert names_field(error, {*PICTURE_FIELDS, "refs"})


@pytest.mark.parametrize("name", WAYS)
def test_a_refusal_of_another_field_does_not(name: str) -> None:
    error = refused(name, {"error": "Unknown parameter: 'prompt'"})
    assert names_field(error, {"prompt"}) == (name != "a chat")
    assert not names_field(error, {*PICTURE_FIELDS, "refs"})


def test_what_the_caller_added_is_a_field_as_well() -> None:
    asked = call(extra={"steps": 4})
    with pytest.raises(HandlerError) as caught:
        drive(provider().submit(asked), [reply({"detail": "unknown field steps"}, 422)])
    assert names_field(caught.value, {"steps"})
