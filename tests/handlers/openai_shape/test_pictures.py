"""Pictures that go along: as files, as data URLs, and masks by the rule of each server."""

import base64
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from daemon.testing import tiny_image
from handlers.contract import Call, HandlerError, Medium
from handlers.openai_shape.table import DIALECTS
from tests.handlers.driving import B64, GOOD, PNG, call, drive, provider, reply, sent_by
from tests.handlers.openai_shape.looking import (
    SIZE,
    changed,
    edit,
    mask,
    of,
    of_url,
    opened,
    photo,
    png,
    same,
)

JPEG = tiny_image("red", (8, 8), "JPEG")
WEBP = tiny_image("red", (8, 8), "WEBP")


def refused(dialect: str, inputs: Any) -> HandlerError:
    with pytest.raises(HandlerError) as caught:
        drive(of(dialect).submit(call("edit_image", inputs=inputs)))
    return caught.value


# ---------------------------------------------------------------- files


def test_one_picture_is_called_image_and_has_the_name_and_type_of_its_content() -> None:
    sent = edit("openai", {"image": JPEG}, n=2, size="1024x1024")
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
    sent = edit("localai", {"image": PNG})
    assert sent.url == "http://127.0.0.1:8080/v1/images/generations"
    assert (sent.json["file"], "ref_images" in sent.json) == (B64, False)


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


# ---------------------------------------------------------------- what arrives, pixel by pixel

VALUES = [0, 1, 15, 16, 127, 128, 254, 255, *range(0, 240, 6)]
HARD = [255 if value >= 16 else 0 for value in VALUES]
"""A mask's values, and as a server of two values has to read them: 255 is changed."""


FORMS: dict[str, tuple[str, str, str, list[int]]] = {
    "openai": ("image", "mask", "transparent", HARD),
    "azure": ("image", "mask", "transparent", HARD),
    "compatible": ("image", "mask", "transparent", HARD),
    "localai": ("image", "mask", "white, L", VALUES),
    "sdcpp": ("image[]", "mask", "white, L", VALUES),
    "vllm-omni": ("image", "mask_image", "white, L", VALUES),
}
"""Of servers that take a picture and its mask in a form: the names of both, and the mask."""
JSON: dict[str, Callable[[Any], str]] = {
    "xai": lambda body: body["image"]["url"],
    "openrouter": lambda body: body["input_references"][0]["image_url"]["url"],
    "a chat": lambda body: body["messages"][0]["content"][1]["image_url"]["url"],
}
"""Of servers that take it in JSON: where."""


@pytest.mark.parametrize("dialect", FORMS)
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_a_picture_and_its_mask_arrive_in_a_form_as_the_server_reads_them(
    dialect: str, mode: str
) -> None:
    name, mask_name, form, values = FORMS[dialect]
    sent = edit(dialect, {"image": png(photo(mode=mode)), "mask": mask(SIZE, VALUES)})
    picture, its_mask = sent.files
    assert (picture.name, picture.filename, picture.media_type) == (
        name,
        "image-1.png",
        "image/png",
    )
    assert same(picture.data, photo(mode=mode))
    assert its_mask.name == mask_name
    assert changed(its_mask) == (form, values)


def test_every_server_that_edits_is_looked_at() -> None:
    editing = {name for name, dialect in DIALECTS.items() if dialect.edits}
    assert editing == {*FORMS, *JSON, "sglang"} - {"a chat"}


@pytest.mark.parametrize("name", JSON)
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_a_picture_arrives_in_json_as_it_was(name: str, mode: str) -> None:
    made = of("openrouter", options={"images": "chat"}) if name == "a chat" else of(name)
    sent = sent_by(made, call("edit_image", inputs={"image": png(photo(mode=mode))}))
    assert same(of_url(JSON[name](sent.json)), photo(mode=mode))


def test_localai_gets_pictures_without_a_mask_as_bare_base64_in_their_order() -> None:
    first, second = photo(), photo((2, 2))
    sent = edit("localai", {"image": [png(first)], "reference_images": [png(second)]})
    assert same(base64.b64decode(sent.json["file"]), first)
    assert same(base64.b64decode(sent.json["ref_images"][0]), second)


def test_a_mask_is_that_of_the_first_picture_of_several() -> None:
    inputs = {"image": [png(photo()), PNG, JPEG], "mask": mask(SIZE, VALUES)}
    sent = edit("openai", inputs)
    assert [part.name for part in sent.files] == ["image[]"] * 3 + ["mask"]
    assert same(sent.files[0].data, photo())
    assert opened(sent.files[-1].data).size == SIZE


def test_inpainting_of_localai_takes_its_prompt_as_it_is_and_no_other_field() -> None:
    inputs = {"image": PNG, "mask": mask((8, 8), [255] * 64)}
    asked = call("edit_image", model="m", inputs=inputs, prompt="a|b", seed=3, size="8x8")
    outcome, (sent,) = drive(of("localai").submit(asked), [reply(GOOD)])
    assert sent.url == "http://127.0.0.1:8080/v1/images/inpainting"
    assert dict(sent.form) == {"model": "m", "prompt": "a|b"}
    assert [told.partition(": ")[2] for told in outcome.warnings] == ["seed, size"]


# ---------------------------------------------------------------- references under a key


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_key_that_the_caller_names_holds_the_references_of_a_generation(dialect: str) -> None:
    inputs = {"reference_images": [png(photo()), PNG]}
    made = of(dialect)
    asked = call(model="m", inputs=inputs, reference_key="refs")
    sent = sent_by(made, asked)
    plain = sent_by(made, call(model="m"))
    assert same(of_url(sent.json["refs"][0]), photo())
    assert sent == replace(plain, json={**plain.json, "refs": sent.json["refs"]})


def test_a_key_holds_them_in_a_chat_too() -> None:
    asked = call(inputs={"reference_images": PNG}, reference_key="refs")
    sent = sent_by(of("openrouter", options={"images": "chat"}), asked)
    assert sent.json["refs"] == [f"data:image/png;base64,{B64}"]
    assert sent.json["messages"] == [{"role": "user", "content": "a lighthouse"}]


def test_a_key_is_of_no_matter_to_an_edit() -> None:
    sent = edit("openai", {"image": PNG}, reference_key="refs")
    assert (sent.files[0].name, dict(sent.form)) == (
        "image",
        {"model": "m", "prompt": "a lighthouse"},
    )


# ---------------------------------------------------------------- refused


def test_more_pictures_than_a_server_takes_are_refused() -> None:
    assert refused("xai", {"image": [PNG] * 6}).code == "not_supported"
    assert refused("openai", {"image": [PNG] * 17}).code == "not_supported"


def test_pictures_for_a_server_without_edits_are_refused() -> None:
    assert refused("together", {"image": PNG}).code == "not_supported"
    masked = {"image": PNG, "mask": mask((8, 8), [255] * 64)}
    assert refused("together", masked).code == "not_supported"
    assert "edit_image" not in of("together").operations


def test_an_edit_without_a_picture_is_refused() -> None:
    assert refused("openai", {}).code == "not_supported"


def test_a_mask_that_is_no_picture_is_unreadable() -> None:
    assert refused("openai", {"image": PNG, "mask": b"no"}).code == "unreadable_media"


def test_a_mask_of_another_size_than_its_picture_is_a_fault_of_ours() -> None:
    error = refused("openai", {"image": PNG, "mask": mask((2, 1), [255, 0])})
    assert (error.code, "2 x 1" in error.message) == ("internal", True)


def test_a_picture_that_came_without_its_bytes_is_a_fault_of_ours() -> None:
    asked = Call("edit_image", {"prompt": "x"}, {"image": [Medium(sha256="0" * 64)]})
    with pytest.raises(HandlerError) as caught:
        drive(of("openai").submit(asked))
    assert caught.value.code == "internal"
