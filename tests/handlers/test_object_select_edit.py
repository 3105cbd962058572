"""object_select_edit and prepare_object_mask: an object is told from its background, and edited."""

from typing import Any

import pytest
from PIL import Image

from handlers import object_select_edit, prepare_object_mask
from handlers.media.compositing import differing
from tests.handlers.scenes import answering, faults, opened, plain, png, ran, refused, sketch

SIZE = (12, 8)
SQUARE = [
    "............",
    "............",
    "....####....",
    "....####....",
    "....####....",
    "....####....",
    "............",
    "............",
]
OTHERS = [row.translate(str.maketrans(".#", "#.")) for row in SQUARE]


def product() -> Image.Image:
    """A blue square on white."""
    picture = Image.new("RGB", SIZE, "white")
    picture.paste((20, 40, 200), (4, 2, 8, 6))
    return picture


def cut_out() -> Image.Image:
    """The same without its background."""
    picture = Image.new("RGBA", SIZE)
    picture.paste((20, 40, 200, 255), (4, 2, 8, 6))
    return picture


FILES = {"photo.png": png(product()), "cut.png": png(cut_out())}


def prepared(**request: Any) -> list[str]:
    context = ran(prepare_object_mask, FILES, **{"sample_size": 2, "feather": 0, **request})
    assert context.calls == []
    ((prefix, role, data),) = context.kept
    assert (prefix, role) == ("mask", "mask")
    return sketch(opened(data))


def test_what_differs_from_the_corners_is_the_object() -> None:
    assert prepared(image="photo.png") == SQUARE
    assert prepared(image="photo.png", mode="corner-bg", invert=True) == OTHERS


def test_what_is_opaque_is_the_object() -> None:
    assert prepared(image="cut.png", mode="alpha") == SQUARE


def test_a_picture_without_transparency_cannot_be_selected_by_it() -> None:
    error = refused(prepare_object_mask, FILES, image="photo.png", mode="alpha")
    assert error.code == "invalid_request"
    assert any("corner-bg" in hint for hint in error.hints)


@pytest.mark.parametrize("threshold", [0, 442])
def test_a_selection_of_everything_or_nothing_is_an_error(threshold: int) -> None:
    error = refused(prepare_object_mask, FILES, image="photo.png", threshold=threshold)
    assert error.code == "invalid_request"


def test_holes_and_specks_can_be_removed() -> None:
    picture = product()
    picture.putpixel((5, 3), (255, 255, 255))
    picture.putpixel((10, 1), (0, 0, 0))
    files = {"p.png": png(picture)}
    request: dict[str, Any] = {"image": "p.png", "sample_size": 1, "feather": 0}
    rough = sketch(opened(ran(prepare_object_mask, files, **request).kept[0][2]))
    assert rough != SQUARE
    clean = ran(prepare_object_mask, files, **request, fill_holes=1, remove_specks=1)
    assert sketch(opened(clean.kept[0][2])) == SQUARE


EDIT: dict[str, Any] = {"image": "photo.png", "sample_size": 2, "feather": 0, "prompt": "x"}


@pytest.mark.parametrize(("target", "mask"), [("object", SQUARE), ("background", OTHERS)])
def test_the_target_is_the_object_or_everything_else(target: str, mask: list[str]) -> None:
    context = ran(object_select_edit, FILES, **EDIT, edit_target=target)
    assert sketch(opened(context.kept[0][2])) == mask
    assert context.calls[0].operation == "edit_image"
    assert context.calls[0].fields == {"prompt": "x"}
    assert context.calls[0].inputs["mask"][0].data == context.kept[0][2]


def test_prepare_only_asks_nobody() -> None:
    request = {**EDIT, "prompt": None, "prepare_only": True}
    context = ran(object_select_edit, FILES, **request)
    assert context.calls == []
    assert [role for _, role, _ in context.kept] == ["mask"]


def test_the_object_stays_as_it_was_when_its_background_is_replaced() -> None:
    request = {**EDIT, "edit_target": "background", "keep_outside": True, "feather": 1}
    context = ran(object_select_edit, FILES, answering(plain(SIZE)), **request)
    mask, made = opened(context.kept[0][2]), opened(context.kept[1][2])
    assert differing(made, product(), mask) == 0
    assert made.getpixel((0, 0)) == (255, 0, 0)


@pytest.mark.parametrize(
    ("request_", "where"),
    [
        ({"selection_mode": "grabcut"}, ["box"]),
        ({"box": "1:1:4:4"}, ["box"]),
        ({"selection_mode": "alpha", "threshold": 300}, ["threshold"]),
        ({"prompt": None}, ["prompt"]),
        ({"prompt": None, "prepare_only": True}, []),
        ({"selection_mode": "grabcut", "box": "1:1:4:4"}, []),
    ],
)
def test_what_a_mode_needs_is_asked_for_at_the_door(
    request_: dict[str, Any], where: list[str]
) -> None:
    assert faults(object_select_edit, **{"image": "a", "prompt": "x", **request_}) == where


def test_a_selection_with_a_box() -> None:
    pytest.importorskip("cv2")
    picture = Image.new("RGB", (64, 48), (200, 190, 180))
    picture.paste((20, 40, 200), (20, 14, 44, 34))
    context = ran(
        prepare_object_mask,
        {"p.png": png(picture)},
        image="p.png",
        mode="grabcut",
        box="12:8:40:32",
        feather=0,
    )
    mask = opened(context.kept[0][2])
    assert mask.getpixel((32, 24)) == 255
    assert mask.getpixel((2, 2)) == 0
