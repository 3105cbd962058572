"""Masks: by the rule of a server, and left out where it has none."""

import json
from dataclasses import asdict, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from daemon.testing import tiny_image
from handlers.contract import HandlerError
from handlers.media.masks import FAINTEST as TOUCHED
from handlers.openai_shape.masks import by_rule, opened
from handlers.openai_shape.table import DIALECTS
from handlers.wire import Ticket
from tests.handlers.driving import GOOD, PNG, call, drive, provider, reply
from tests.handlers.openai_shape.looking import changed, edit, mask, of
from tests.handlers.openai_shape.looking import opened as decoded

# ---------------------------------------------------------------- by rule


def grey(*rows: str) -> Image.Image:
    """A mask drawn with a digit for each pixel: 9 is to be changed, 0 is not."""
    values = [255 * int(sign) // 9 for row in rows for sign in row]
    return opened(mask((len(rows[0]), len(rows)), values))


def drawn(data: bytes) -> list[str]:
    """A mask that a server got: # is changed, . is not, and of grey the digit."""
    picture = decoded(data)
    if picture.mode == "RGBA":
        alphas = picture.getchannel("A")
        return rows(alphas, {0: "#", 255: "."})
    return rows(picture, {255 * digit // 9: str(digit) for digit in range(10)})


def rows(picture: Image.Image, signs: dict[int, str]) -> list[str]:
    text = "".join(signs.get(value, "?") for value in picture.tobytes())
    return [text[at : at + picture.width] for at in range(0, len(text), picture.width)]


SOFT = grey(
    "00000000",
    "01355310",
    "03799730",
    "01355310",
    "00000000",
)


def test_all_of_a_soft_edge_is_transparent_where_a_mask_has_two_values() -> None:
    assert drawn(by_rule(SOFT, "alpha", SOFT.size)) == [
        "........",
        ".######.",
        ".######.",
        ".######.",
        "........",
    ]


def test_a_soft_edge_stays_soft_where_white_is_changed() -> None:
    assert drawn(by_rule(SOFT, "white", SOFT.size)) == [
        "00000000",
        "01355310",
        "03799730",
        "01355310",
        "00000000",
    ]


def test_what_is_too_faint_to_be_seen_is_kept() -> None:
    faint = opened(mask((3, 1), [TOUCHED - 1, TOUCHED, TOUCHED + 1]))
    assert drawn(by_rule(faint, "alpha", (3, 1))) == [".##"]


def test_a_smaller_mask_with_two_values_still_has_two_and_loses_no_thin_stroke() -> None:
    strokes = grey(
        "00000000",
        "00000000",
        "09999999",
        "00000000",
        "00000000",
        "00000090",
    )
    assert drawn(by_rule(strokes, "alpha", (4, 3))) == ["....", "####", "...#"]


def test_a_smaller_mask_of_greys_stays_soft() -> None:
    small = decoded(by_rule(grey("0000999999990000"), "white", (8, 1)))
    values = small.tobytes()
    assert (small.size, small.mode) == ((8, 1), "L")
    assert (values[0], values[3], values[4], values[7]) == (0, 255, 255, 0)


def test_a_mask_that_came_as_a_jpeg_is_read_too() -> None:
    picture = opened(tiny_image("white", (8, 8), "JPEG"))
    assert drawn(by_rule(picture, "alpha", (8, 8))) == ["########"] * 8


@pytest.mark.parametrize("data", [b"", b"no picture", PNG[:40], tiny_image(form="GIF")])
def test_what_is_no_mask_is_unreadable(data: bytes) -> None:
    with pytest.raises(HandlerError) as caught:
        opened(data)
    assert caught.value.code == "unreadable_media"


FORMS = [name for name, dialect in DIALECTS.items() if dialect.edits and dialect.mask]


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 255), st.sampled_from(FORMS))
def test_a_mask_is_never_turned_around(width: int, height: int, value: int, dialect: str) -> None:
    size = (width, height)
    inputs = {"image": tiny_image(size=size), "mask": mask(size, [value] * width * height)}
    form, values = changed(edit(dialect, inputs).files[-1])
    read_as = value if form.startswith("white") else 255 * (value >= TOUCHED)
    assert set(values) == {read_as}


# ---------------------------------------------------------------- masks that are left out

WITHOUT: dict[str, dict[str, Any]] = {
    "xai": {"dialect": "xai"},
    "openrouter": {"dialect": "openrouter"},
    "sglang": {"dialect": "sglang"},
    "a chat": {"dialect": "openai", "options": {"images": "chat"}},
}


def masked(name: str) -> tuple[Any, Any]:
    """A provider that reads no mask, and a call with one."""
    made = provider(DIALECTS[WITHOUT[name]["dialect"]].example, **WITHOUT[name])
    return made, call("edit_image", inputs={"image": PNG, "mask": mask((8, 8), [255] * 64)})


@pytest.mark.parametrize("name", WITHOUT)
def test_a_mask_that_a_server_does_not_read_is_left_out_and_the_outcome_says_so(name: str) -> None:
    made, asked = masked(name)
    outcome, (sent,) = drive(made.submit(asked), [reply(GOOD)])
    assert outcome.left_out == ("mask",)
    assert "mask" not in " ".join(outcome.warnings)
    assert "mask" not in f"{sent.json} {sent.form} {[part.name for part in sent.files]}"
    unmasked = replace(asked, inputs={"image": asked.inputs["image"]})
    assert drive(made.submit(unmasked), [reply(GOOD)]) == (replace(outcome, left_out=()), [sent])


@pytest.mark.parametrize("name", WITHOUT)
def test_a_job_still_knows_what_was_left_out_after_a_restart(name: str) -> None:
    made, asked = masked(name)
    ticket, _ = drive(made.submit(asked), [reply({"id": "j", "status": "queued"})])
    assert isinstance(ticket, Ticket)
    kept = Ticket(**json.loads(json.dumps(asdict(ticket))))
    again, _ = masked(name)
    outcome, _ = drive(again.resume(kept), [reply({"status": "completed", **GOOD})])
    assert outcome.left_out == ("mask",)


def test_nothing_is_left_out_where_a_mask_goes_along_or_none_was_given() -> None:
    inputs = {"image": PNG, "mask": mask((8, 8), [255] * 64)}
    outcome, _ = drive(of("openai").submit(call("edit_image", inputs=inputs)), [reply(GOOD)])
    assert outcome.left_out == ()
    asked = call("edit_image", inputs={"image": PNG})
    outcome, _ = drive(of("xai").submit(asked), [reply(GOOD)])
    assert outcome.left_out == ()


def test_localai_leaves_out_the_mask_of_several_pictures() -> None:
    inputs = {"image": [PNG, PNG], "mask": mask((8, 8), [255] * 64)}
    asked = call("edit_image", inputs=inputs)
    outcome, (sent,) = drive(of("localai").submit(asked), [reply(GOOD)])
    assert sent.url.endswith("/images/generations")
    assert outcome.left_out == ("mask",)
