"""Reading what providers answer: the time that it takes, by size, for each kind of answer.

Linear is the goal: four times the size takes four times as long.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping

from handlers.answers.media import read_anything
from tests.bench.place import Place, Scale
from tests.bench.rows import Row, seconds

SIZES = (1 << 18, 1 << 20, 1 << 22)
STEEPEST = 1.5
"""How much longer a byte may take in the largest answer than in the one before."""

_NOTHING = "Nothing is written: an answer is read in memory."
_ADDRESS = "https://store.example/{}.png?signature=0123456789abcdef"


def measure(_: Place, scale: Scale) -> list[Row]:
    """One row for each kind of answer."""
    return [_row(kind, make, scale.rounds) for kind, make in KINDS.items()]


def _row(kind: str, make: Callable[[int], str], rounds: int) -> Row:
    took = [min(_seconds(make(size)) for _ in range(rounds)) for size in SIZES]
    ratio = took[-1] / took[-2] / (SIZES[-1] / SIZES[-2])
    sizes = ", ".join(f"{size / (1 << 20):g}" for size in SIZES)
    return Row(
        f"Reading {kind} of {sizes} MiB",
        ", ".join(map(seconds, took)),
        _NOTHING,
        "the size before, for each byte",
        f"{ratio:.2f}",
        f"at most {STEEPEST:g}",
        ratio <= STEEPEST,
    )


def _seconds(body: str) -> float:
    began = time.process_time()
    read_anything(body, base_url="https://provider.example/v1", kind="image")
    return time.process_time() - began


def _json(size: int) -> str:
    item = len(json.dumps({"url": _ADDRESS.format(0), "revised_prompt": "a cup"}))
    rows = [
        {"url": _ADDRESS.format(number), "revised_prompt": "a cup"}
        for number in range(size // item)
    ]
    return json.dumps({"data": rows})


def _html(size: int) -> str:
    row = f"<div class=card><p>a cup</p><img src='{_ADDRESS.format(0)}'></div>\n"
    return "<html><body>" + row * (size // len(row)) + "</body></html>"


def _markdown(size: int) -> str:
    row = f"Here is *your* picture: ![a cup]({_ADDRESS.format(0)})\n\n"
    return row * (size // len(row))


KINDS: Mapping[str, Callable[[int], str]] = {"JSON": _json, "HTML": _html, "markdown": _markdown}
