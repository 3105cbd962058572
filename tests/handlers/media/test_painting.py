"""The stand-in picture: the same everywhere, different where it should be, legible always."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from handlers.media import lettering
from handlers.media.motifs import MOTIFS, PALETTES, Stage
from handlers.media.painting import paint, scene

PROMPT = "An old lighthouse keeper reads letters from the sea"
AWKWARD = {
    "empty": "",
    "blank": " \n\t ",
    "one letter": "I",
    "one long word": "Donaudampfschifffahrt" * 40,
    "five thousand characters": ("so much wind over the dunes " * 200)[:5000],
    "newlines": "first\nsecond\r\n\nthird",
    "emoji": "🦊 in the snow 🏔️ 👩‍👩‍👧 🇩🇪",
    "chinese": "雪地里的狐狸",
    "right to left": "שלום עולם مرحبا",
    "control characters": "nul \x00 bell \x07 escape \x1b[31m",
    "lone surrogates": "\ud800 alone \udfff",
    "marks without letters": "\u0301\u0301\u20dd",
    "invisible": "\u200b\u200d\ufeff\u202e",
    "private use": "\ue000\U0010ffff\ufffd",
}


def pixels(picture: Image.Image) -> NDArray[np.float64]:
    """Levels from 0 to 255."""
    return np.asarray(picture, np.float64)


def fingerprint(picture: Image.Image) -> str:
    """Equal for equal pixels."""
    return hashlib.sha256(picture.mode.encode() + picture.tobytes()).hexdigest()


def luminance(levels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Relative luminance as WCAG 2 defines it, of levels (..., 3)."""
    ratio = levels / 255
    linear = np.where(ratio <= 0.04045, ratio / 12.92, ((ratio + 0.055) / 1.055) ** 2.4)
    return np.asarray(linear @ np.array([0.2126, 0.7152, 0.0722]))


def worst_contrast(lettered: Image.Image, bare: Image.Image) -> float:
    """The contrast between the ink and the least favourable ground near any letter."""
    change = np.abs(pixels(lettered) - pixels(bare)).sum(axis=2)
    rows, columns = np.nonzero(change)
    ink = luminance(np.median(pixels(lettered)[change > 0.9 * change.max()], axis=0))
    box = slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1)
    grounds = luminance(pixels(bare)[box])
    ground = np.percentile(grounds, 99 if ink > 0.5 else 1)
    dark, light = sorted((float(ink), float(ground)))
    return (light + 0.05) / (dark + 0.05)


def without_lettering(monkeypatch: pytest.MonkeyPatch, **request: Any) -> Image.Image:
    """The same picture before any letter is drawn."""
    with monkeypatch.context() as patched:
        patched.setattr(lettering, "_draw", lambda *_: None)
        return paint(**request)


def test_the_same_request_gives_the_same_pixels_in_another_process() -> None:
    """Neither the process nor its hash seed has a say."""
    code = (
        "import hashlib; from handlers.media.painting import paint\n"
        "for cut in (False, True):\n"
        "    p = paint('a fox', seed=7, index=2, width=120, height=90, transparent=cut)\n"
        "    print(hashlib.sha256(p.mode.encode() + p.tobytes()).hexdigest())"
    )
    expected = [
        fingerprint(paint("a fox", seed=7, index=2, width=120, height=90, transparent=cut))
        for cut in (False, True)
    ]
    for hash_seed in ("1", "4242"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        command = [sys.executable, "-c", code]
        output = subprocess.check_output(command, env=environment, text=True)
        assert output.split() == expected


def test_threads_do_not_disturb_one_another() -> None:
    """Pictures painted at once equal those painted one after the other."""
    indexes = range(8)

    def one(index: int) -> str:
        return fingerprint(paint(PROMPT, seed=1, index=index, width=160, height=120))

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(one, indexes)) == [one(index) for index in indexes]


def test_ten_pictures_of_one_job_are_all_clearly_different() -> None:
    """Every index brings its own motif or palette."""
    series = [pixels(paint(PROMPT, seed=5, index=i, width=96, height=96)) for i in range(10)]
    assert min(np.abs(one - other).mean() for one, other in combinations(series, 2)) > 15


def test_a_motif_comes_back_in_another_palette_and_at_last_in_another_arrangement() -> None:
    """No index repeats an earlier one, although motifs and palettes do."""
    again, at_last = len(MOTIFS), len(MOTIFS) * len(PALETTES)
    for index in range(again):
        first, second, last = (
            pixels(paint(PROMPT, seed=5, index=number, width=96, height=96))
            for number in (index, index + again, index + at_last)
        )
        assert np.abs(first.mean(axis=(0, 1)) - second.mean(axis=(0, 1))).max() > 10
        assert np.abs(first - last).mean() > 4


def test_another_seed_or_prompt_gives_a_clearly_different_picture() -> None:
    """Also when motif and palette happen to be the same, the arrangement differs."""
    base = pixels(paint(PROMPT, seed=0, width=96, height=96))
    others = [paint(PROMPT, seed=seed, width=96, height=96) for seed in range(1, 9)]
    others += [paint(f"{PROMPT}{tail}", seed=0, width=96, height=96) for tail in ".!? "]
    assert min(np.abs(base - pixels(other)).mean() for other in others) > 6


def test_one_motif_is_arranged_anew_by_chance() -> None:
    """With one palette, two sources of chance still give two compositions."""
    for motif, _ in MOTIFS:
        one, other = (
            motif(Stage(96, 96, PALETTES[0], np.random.Generator(np.random.PCG64(chance))))
            for chance in (1, 2)
        )
        assert np.abs(one - other).mean() > 0.02, motif.__name__


def test_a_larger_picture_is_the_same_composition() -> None:
    """Shrunk again, it is the small picture but for details."""
    small, large = (paint("", seed=3, index=1, width=side, height=side) for side in (300, 600))
    shrunk = large.resize((300, 300), Image.Resampling.BOX)
    assert np.abs(pixels(small) - pixels(shrunk)).mean() < 15


@pytest.mark.parametrize("transparent", [False, True])
@pytest.mark.parametrize(
    ("width", "height"),
    [(16, 16), (17, 23), (47, 95), (96, 96), (4096, 64), (64, 4096), (4096, 16), (640, 360)],
)
def test_every_size_gives_a_picture_of_that_size(
    width: int, height: int, transparent: bool
) -> None:
    """RGB, or RGBA on request, in any aspect and with any motif."""
    for index in range(len(MOTIFS) if width * height < 10_000 else 1):
        picture = paint(
            PROMPT, seed=1, index=index, width=width, height=height, transparent=transparent
        )
        assert picture.size == (width, height)
        assert picture.mode == ("RGBA" if transparent else "RGB")


@pytest.mark.parametrize(("width", "height"), [(15, 64), (64, 15), (4097, 64), (64, 4097), (0, -1)])
def test_a_side_out_of_range_is_refused(width: int, height: int) -> None:
    """ValueError, and it says which sizes there are."""
    with pytest.raises(ValueError, match=r"16\.\.4096"):
        paint(PROMPT, seed=1, width=width, height=height)


@pytest.mark.parametrize("size", [(40, 40), (128, 128), (300, 200), (200, 300)])
def test_a_transparent_picture_stands_free(size: tuple[int, int]) -> None:
    """Alpha 0 in every corner and without hidden colour, opaque where the subject is."""
    for index in range(3):
        picture = paint(
            PROMPT, seed=2, index=index, width=size[0], height=size[1], transparent=True
        )
        levels = np.asarray(picture)
        alpha = levels[..., 3]
        assert not alpha[[0, 0, -1, -1], [0, -1, 0, -1]].any()
        assert not levels[alpha == 0].any()
        assert 0.2 < (alpha == 255).mean() < 0.9


@pytest.mark.parametrize("size", [(96, 96), (256, 256), (400, 120), (200, 400)])
@pytest.mark.parametrize("transparent", [False, True])
@pytest.mark.parametrize(
    "indexes", [range(2), pytest.param(range(2, 5), marks=pytest.mark.slow)], ids=str
)
def test_the_prompt_is_lettered_and_legible(
    monkeypatch: pytest.MonkeyPatch, size: tuple[int, int], transparent: bool, indexes: range
) -> None:
    """There is lettering, and it has the contrast of WCAG level AA on any backdrop."""
    for index in indexes:
        request: dict[str, Any] = {"seed": 9, "index": index, "transparent": transparent}
        request |= {"prompt": PROMPT, "width": size[0], "height": size[1]}
        lettered, bare = paint(**request), without_lettering(monkeypatch, **request)
        for backdrop in ("white", "black"):
            shown = [Image.new("RGBA", size, backdrop) for _ in range(2)]
            for canvas, picture in zip(shown, (lettered, bare), strict=True):
                canvas.alpha_composite(picture.convert("RGBA"))
            changed = np.abs(pixels(shown[0]) - pixels(shown[1])).max(axis=2) > 60
            assert changed.mean() > 0.005
            assert worst_contrast(*(canvas.convert("RGB") for canvas in shown)) > 4.5


@pytest.mark.parametrize("style", ["bleed", "print"])
def test_no_art_and_no_palette_can_drown_the_lettering(style: str) -> None:
    """Contrast holds on the brightest and on the darkest art there could be."""
    page = lettering.arrange(PROMPT, ("stand-in",), (200, 200), style)
    box = page.art[2] - page.art[0], page.art[3] - page.art[1]
    assert page.style == style
    for palette in PALETTES:
        dark, light = f"#{palette[:6]}", f"#{palette[35:41]}"
        for colour in ("white", "black", "gray"):
            art = Image.new("RGB", box, colour)
            lettered = lettering.printed(page, art.copy(), dark, light)
            with pytest.MonkeyPatch.context() as patched:
                patched.setattr(lettering, "_draw", lambda *_: None)
                bare = lettering.printed(page, art, dark, light)
            assert worst_contrast(lettered, bare) > 6, (palette, colour)


def test_a_picture_says_that_it_is_a_stand_in() -> None:
    """The quiet line names the stand-in, the missing model and the seed."""
    noted: list[tuple[str, ...]] = []

    def arrange(text: str, notes: tuple[str, ...], *rest: Any) -> lettering.Page:
        noted.append(notes)
        return page(text, notes, *rest)

    page = lettering.arrange
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(lettering, "arrange", arrange)
        paint(PROMPT, seed=77, index=2, width=64, height=64)
    assert noted[0][0] == "darkroom local stand-in · no model · seed 77 · image 3"
    setting = page(PROMPT, noted[0], (1024, 1024), "print").setting
    assert setting.note == noted[0][0]
    assert setting.note_size < setting.size / 2


@pytest.mark.parametrize("prompt", AWKWARD.values(), ids=AWKWARD.keys())
def test_any_prompt_gives_a_lettered_picture(monkeypatch: pytest.MonkeyPatch, prompt: str) -> None:
    """Nothing raises, and something readable stands on the picture."""
    for transparent in (False, True):
        request: dict[str, Any] = {"prompt": prompt, "seed": 4, "transparent": transparent}
        request |= {"width": 180, "height": 140}
        lettered, bare = paint(**request), without_lettering(monkeypatch, **request)
        assert np.abs(pixels(lettered) - pixels(bare)).max() > 60


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    prompt=st.text(st.characters(), max_size=60),
    seed=st.integers(-(2**63), 2**64),
    index=st.integers(0, 99),
    width=st.integers(16, 110),
    height=st.integers(16, 110),
    transparent=st.booleans(),
)
def test_no_request_in_range_fails(
    prompt: str, seed: int, index: int, width: int, height: int, transparent: bool
) -> None:
    """Whatever is asked for comes out in its size, and comes out the same twice."""
    request: dict[str, Any] = {"seed": seed, "index": index, "transparent": transparent}
    one, two = (paint(prompt, width=width, height=height, **request) for _ in range(2))
    assert one.size == (width, height)
    assert fingerprint(one) == fingerprint(two)


# ---------------------------------------------------------------- in layers, to be filmed


@pytest.mark.parametrize("seed", range(6))
def test_a_scene_is_art_and_a_title_of_the_clips_size(seed: int) -> None:
    art, title = scene("a lighthouse", seed=seed, size=(480, 320), near=1.0)
    assert title is not None
    assert (art.mode, art.size, title.mode, title.size) == ("RGB", (480, 320), "RGBA", (480, 320))
    covers = pixels(title)[..., 3]
    assert covers.max() == 255
    assert (covers == 0).mean() > 0.3
    again = scene("a lighthouse", seed=seed, size=(480, 320), near=1.0)
    assert (again.art.tobytes(), again.title.tobytes()) == (art.tobytes(), title.tobytes())  # type: ignore[union-attr]


def test_the_art_is_larger_as_the_camera_goes_nearer_and_never_larger_than_may_be() -> None:
    assert scene("x", seed=0, size=(300, 200), near=4 / 3).art.size == (400, 267)
    assert scene("x", seed=0, size=(4096, 16), near=4 / 3).art.size == (4096, 22)


def test_what_would_be_too_small_to_read_has_no_title() -> None:
    assert scene("a lighthouse", seed=0, size=(32, 24), near=1.0).title is None
