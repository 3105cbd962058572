"""Pictures that go along: as files, as data URLs, and masks by the rule of each server."""

import io
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from daemon.testing import tiny_image
from handlers.contract import Call, HandlerError, Medium
from handlers.openai_shape.pictures import mask_part
from handlers.openai_shape.table import DIALECTS
from handlers.wire import HttpCall
from tests.handlers.driving import B64, GOOD, PNG, call, drive, provider, reply, sent_by

JPEG = tiny_image("red", (8, 8), "JPEG")
WEBP = tiny_image("red", (8, 8), "WEBP")


def of(dialect: str) -> Any:
    return provider(DIALECTS[dialect].example, dialect=dialect)


def mask(size: tuple[int, int], values: list[int]) -> bytes:
    picture = Image.new("L", size)
    picture.putdata(values)
    encoded = io.BytesIO()
    picture.save(encoded, "PNG")
    return encoded.getvalue()


def edit(dialect: str, inputs: Any, **fields: Any) -> HttpCall:
    return sent_by(of(dialect), call("edit_image", model="m", inputs=inputs, **fields))


def refused(dialect: str, inputs: Any) -> HandlerError:
    with pytest.raises(HandlerError) as caught:
        drive(of(dialect).submit(call("edit_image", inputs=inputs)))
    return caught.value


# ---------------------------------------------------------------- files


def test_one_picture_is_called_image_and_has_the_name_and_type_of_its_content() -> None:
    sent = edit("openai", {"image": JPEG}, n=2, size="1024x1024", image="ignored.png")
    assert sent.url == "https://api.openai.com/v1/images/edits"
    assert (sent.json, sent.creates) == (None, "image")
    assert dict(sent.form) == {
        "model": "m",
        "prompt": "a lighthouse",
        "n": "2",
        "size": "1024x1024",
    }
    (part,) = sent.files
    assert (part.name, part.filename, part.media_type) == ("image", "image-1.jpg", "image/jpeg")
    assert part.data == JPEG


def test_several_pictures_keep_their_order_in_one_field_with_brackets() -> None:
    sent = edit("openai", {"image": [PNG], "reference_images": [WEBP, JPEG]})
    assert [(part.name, part.filename) for part in sent.files] == [
        ("image[]", "image-1.png"),
        ("image[]", "image-2.webp"),
        ("image[]", "image-3.jpg"),
    ]


def test_values_that_are_no_text_go_into_a_form_as_json() -> None:
    sent = edit("openai", {"image": PNG}, extra={"stream": True, "x": {"y": [1]}})
    assert dict(sent.form)["stream"] == "true"
    assert dict(sent.form)["x"] == '{"y": [1]}'


def test_stable_diffusion_cpp_gets_brackets_for_a_single_picture_too() -> None:
    assert edit("sdcpp", {"image": PNG}).files[0].name == "image[]"


# ---------------------------------------------------------------- JSON


def test_xai_gets_its_pictures_in_json() -> None:
    url = f"data:image/png;base64,{B64}"
    assert edit("xai", {"image": PNG}).json["image"] == {"url": url, "type": "image_url"}
    several = edit("xai", {"image": [PNG, PNG]})
    assert (len(several.json["images"]), "image" in several.json) == (2, False)
    assert several.url == "https://api.x.ai/v1/images/edits"


def test_openrouter_gets_its_pictures_as_references() -> None:
    sent = edit("openrouter", {"image": PNG})
    assert sent.url == "https://openrouter.ai/api/v1/images"
    (held,) = sent.json["input_references"]
    assert held == {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{B64}"}}


def test_localai_gets_a_picture_without_a_mask_along_with_a_generation() -> None:
    sent = edit("localai", {"image": PNG, "reference_images": [PNG]})
    assert sent.url == "http://127.0.0.1:8080/v1/images/generations"
    assert (sent.json["file"], sent.json["ref_images"]) == (B64, [B64])


def test_reference_pictures_of_an_unknown_server_go_under_the_key_that_was_chosen() -> None:
    inputs = {"reference_images": [PNG]}
    sent = sent_by(provider(), call(inputs=inputs))
    assert sent.json["reference_images"] == [f"data:image/png;base64,{B64}"]
    sent = sent_by(provider(), call(inputs=inputs, reference_key="refs"))
    assert (len(sent.json["refs"]), "reference_key" in sent.json) == (1, False)


def test_reference_pictures_make_a_generation_of_openai_an_edit() -> None:
    sent = sent_by(of("openai"), call(inputs={"reference_images": [PNG]}))
    assert sent.url.endswith("/images/edits")
    assert sent.files[0].name == "image"


# ---------------------------------------------------------------- masks

VALUES = [0, 1, 127, 128, 254, 255]


@pytest.mark.parametrize("dialect", ["openai", "azure", "compatible", "vllm-omni", "sglang"])
def test_what_is_to_be_changed_is_transparent_and_the_rest_is_opaque(dialect: str) -> None:
    sent = edit(dialect, {"image": tiny_image(size=(3, 2)), "mask": mask((3, 2), VALUES)})
    part = sent.files[-1]
    assert (part.name, part.filename, part.media_type) == ("mask", "mask.png", "image/png")
    picture = Image.open(io.BytesIO(part.data))
    assert (picture.format, picture.mode, picture.size) == ("PNG", "RGBA", (3, 2))
    assert list(picture.getchannel("A").tobytes()) == [255 - value for value in VALUES]


@pytest.mark.parametrize("dialect", ["localai", "sdcpp"])
def test_what_is_to_be_changed_is_white(dialect: str) -> None:
    sent = edit(dialect, {"image": tiny_image(size=(3, 2)), "mask": mask((3, 2), VALUES)})
    picture = Image.open(io.BytesIO(sent.files[-1].data))
    assert (picture.mode, list(picture.tobytes())) == ("L", VALUES)


def test_a_mask_for_localai_goes_to_its_inpainting() -> None:
    sent = edit("localai", {"image": PNG, "mask": mask((8, 8), [255] * 64)})
    assert sent.url == "http://127.0.0.1:8080/v1/images/inpainting"
    assert [part.name for part in sent.files] == ["image", "mask"]


def test_a_mask_of_another_size_gets_the_size_of_the_first_picture_and_a_warning() -> None:
    inputs = {"image": [tiny_image(size=(4, 2)), PNG], "mask": mask((2, 1), [255, 0])}
    asked = call("edit_image", inputs=inputs)
    outcome, (sent,) = drive(of("openai").submit(asked), [reply(GOOD)])
    alpha = Image.open(io.BytesIO(sent.files[-1].data)).getchannel("A")
    assert list(alpha.tobytes()) == [0, 0, 255, 255] * 2
    assert "2 x 1 was resized to the picture's 4 x 2" in outcome.warnings[0]


@settings(max_examples=30, deadline=None)
@given(
    st.integers(1, 9), st.integers(1, 9), st.integers(0, 255), st.sampled_from(["alpha", "white"])
)
def test_a_mask_is_never_turned_around(width: int, height: int, value: int, rule: Any) -> None:
    picture = tiny_image(size=(width, height))
    part, warnings = mask_part(mask((width, height), [value] * width * height), picture, rule)
    made = Image.open(io.BytesIO(part.data))
    changed = made.getchannel("A").point(lambda alpha: 255 - alpha) if rule == "alpha" else made
    assert set(changed.tobytes()) == {value}
    assert warnings == []


# ---------------------------------------------------------------- refused


@pytest.mark.parametrize("dialect", ["xai", "openrouter"])
def test_a_mask_that_a_server_cannot_read_is_refused_before_anything_is_sent(dialect: str) -> None:
    error = refused(dialect, {"image": PNG, "mask": mask((8, 8), [255] * 64)})
    assert (error.code, "masks" in error.message) == ("not_supported", True)
    assert error.hints


def test_more_pictures_than_a_server_takes_are_refused() -> None:
    assert refused("xai", {"image": [PNG] * 6}).code == "not_supported"
    assert refused("openai", {"image": [PNG] * 17}).code == "not_supported"


def test_pictures_for_a_server_without_edits_are_refused() -> None:
    assert refused("together", {"image": PNG}).code == "not_supported"
    assert "edit_image" not in of("together").operations


def test_an_edit_without_a_picture_is_refused() -> None:
    assert refused("openai", {}).code == "not_supported"


def test_a_mask_that_is_no_picture_is_unreadable() -> None:
    assert refused("openai", {"image": PNG, "mask": b"no"}).code == "unreadable_media"


def test_a_picture_that_came_without_its_bytes_is_a_fault_of_ours() -> None:
    asked = Call("edit_image", {"prompt": "x"}, {"image": [Medium(sha256="0" * 64)]})
    with pytest.raises(HandlerError) as caught:
        drive(of("openai").submit(asked))
    assert caught.value.code == "internal"
