"""Masks and edits of large pictures, beside the loop over pixels that does the same.

The loop is the old skill's way: one pixel after the other, in Python. It is measured on a small
piece and counted up by pixels, for on the whole picture nobody would wait for it.
"""

from __future__ import annotations

import io
import json
import math
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from handlers.media.choices import Selection
from handlers.media.masks import drawn, refined
from handlers.media.regions import parse_region
from handlers.media.selection import selected
from tests.bench.dropping import PATIENCE, Inbox
from tests.bench.place import Place, Scale
from tests.bench.processes import peak
from tests.bench.rows import Row, megabytes, seconds
from tests.bench.serving import serving_idle
from tests.support import wait_until

EXPAND, FEATHER = 32, 16
GOAL = 1.0
"""Seconds, at the most: somebody who draws a mask waits for it."""

_NOTHING = "Nothing is written: a mask is made in memory."
_EDIT = "The input lies as a blob before it is worked on, mask and answer are durable before the result."


def measure(place: Place, scale: Scale) -> list[Row]:
    """Both masks, then an edit of a photograph."""
    side, piece = scale.side, scale.piece
    photo, small = _photo(side), _photo(piece)
    times = (side / piece) ** 2
    return [
        _row(
            f"A mask for {side} x {side}: drawn, grown by {EXPAND}, made soft by {FEATHER}",
            _best(partial(_mask, side), 5),
            _best(partial(_mask_by_loop, piece), 1) * times,
        ),
        _row(
            f"`corner-bg` on {side} x {side}",
            _best(partial(selected, photo, Selection("corner-bg")), 5),
            _best(partial(_corners_by_loop, small), 1) * times,
        ),
        _edit(place, scale),
    ]


def _row(what: str, ours: float, loop: float) -> Row:
    return Row(
        what,
        seconds(ours),
        _NOTHING,
        f"loop over pixels: {seconds(loop)}",
        f"{ours / loop:.4f}",
        f"under {seconds(GOAL)}",
        ours < GOAL,
    )


def _best(function: Callable[[], None], rounds: int) -> float:
    took = []
    for _ in range(rounds):
        began = time.perf_counter()
        function()
        took.append(time.perf_counter() - began)
    return min(took)


# ---------------------------------------------------------------- masks


def _mask(side: int) -> None:
    regions = [parse_region("ellipse-pct:20:20:50:50"), parse_region("rect-pct:60:60:30:30")]
    refined(drawn(regions, (side, side)), expand=EXPAND, feather=FEATHER)


def _mask_by_loop(side: int) -> None:
    """The same with a window that is looked through for each pixel."""
    mask = Image.new("L", (side, side))
    ImageDraw.Draw(mask).ellipse((side // 5, side // 5, side * 7 // 10, side * 7 // 10), fill=255)
    before, grown = mask.load(), Image.new("L", mask.size)
    after = grown.load()
    assert before is not None
    assert after is not None
    for y in range(side):
        for x in range(side):
            around = (
                before[column, row]
                for row in range(max(0, y - EXPAND), min(side, y + EXPAND + 1))
                for column in range(max(0, x - EXPAND), min(side, x + EXPAND + 1))
            )
            after[x, y] = 255 if any(around) else 0
    grown.filter(ImageFilter.GaussianBlur(FEATHER))


def _photo(side: int) -> Image.Image:
    """A disc before a backdrop that is not quite even."""
    rng = np.random.default_rng(1)
    levels = rng.integers(225, 245, (side, side, 3), np.uint8)
    photo = Image.fromarray(levels)
    ImageDraw.Draw(photo).ellipse((side // 4, side // 4, side * 3 // 4, side * 3 // 4), "navy")
    return photo


def _corners_by_loop(photo: Image.Image) -> None:
    side = photo.width
    pixels, mask = photo.load(), Image.new("L", photo.size)
    after = mask.load()
    assert pixels is not None
    assert after is not None
    corner = [pixels[x, y] for x in range(8) for y in range(8)]
    mean = [sum(one[channel] for one in corner) / len(corner) for channel in range(3)]  # type: ignore[index]
    for y in range(side):
        for x in range(side):
            away = math.dist(pixels[x, y], mean)  # type: ignore[arg-type]
            after[x, y] = 255 if away >= 40 else 0


# ---------------------------------------------------------------- an edit


def _edit(place: Place, scale: Scale) -> Row:
    """The daemon's most memory while it edits a photograph, with everything that goes with it."""
    inbox = Inbox(place.fresh("edit")).make()
    width, height = scale.photo
    _write_photo(inbox.folder / "photo.jpg", (width, height))
    with serving_idle(inbox) as daemon:
        before = peak(daemon.process.pid)
        began = time.time()
        _drop(inbox)
        answer = inbox.answer("edit")
        wait_until(answer.exists, "the edit", PATIENCE)
        took = time.time() - began
        most = peak(daemon.process.pid)
    result = json.loads(answer.read_text())
    assert result["status"] == "succeeded", result["error"]
    raw = width * height * 3
    return Row(
        f"An edit of {width * height / 1e6:.0f} megapixels ({width} x {height}, JPEG) with a mask "
        "and `keep_outside`: most memory",
        f"{megabytes(most)}, of which {megabytes(before)} idle; {took:.1f} s",
        _EDIT,
        f"its pixels: {megabytes(raw)}",
        f"{(most - before) / raw:.1f}",
    )


def _drop(inbox: Inbox) -> None:
    request = {
        "task": "mask_inpaint",
        "image": "inbox/photo.jpg",
        "regions": ["ellipse-pct:30:30:40:40"],
        "keep_outside": True,
        "prompt": "a lighthouse",
    }
    aside = inbox.aside / "edit.json"
    aside.write_text(json.dumps(request))
    aside.rename(inbox.folder / "edit.json")


def _write_photo(path: Path, size: tuple[int, int]) -> None:
    small = Image.fromarray(np.random.default_rng(2).integers(0, 255, (60, 80, 3), np.uint8))
    encoded = io.BytesIO()
    small.resize(size, Image.Resampling.BICUBIC).save(encoded, "JPEG", quality=90)
    path.write_bytes(encoded.getvalue())
