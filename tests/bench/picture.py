"""Three small panels: how cost grows."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from tests.bench.growth import Growth, Points

_COLOUR = "#b5651d"


def draw(growth: Growth, path: Path) -> None:
    """Write the picture, as SVG."""
    # Text stays text, and the same figures make the same file.
    style = {"svg.fonttype": "none", "svg.hashsalt": "darkroom", "font.size": 9}
    with mpl.rc_context(style):
        figure = Figure(figsize=(10, 2.9), layout="constrained")
        job, start, scan = figure.subplots(1, 3)
        _panel(job, growth.job, 1e3, "ms a job", "requests lying there")
        _panel(start, growth.start, 1, "s to start", "events in the log")
        _panel(scan, growth.scan, 1e3, "ms a scan", "files in the inbox")
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, format="svg", metadata={"Date": None})


def _panel(axes: Axes, points: Points, factor: float, what: str, of: str) -> None:
    counts = [count for count, _ in points]
    values = [seconds * factor for _, seconds in points]
    axes.plot(counts, values, marker="o", color=_COLOUR)
    axes.set_xlim(0, max(counts) * 1.06)
    axes.set_ylim(0, max(values) * 1.2 or 1)
    axes.set_title(what)
    axes.set_xlabel(of)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.xaxis.set_major_formatter(_short)
    axes.grid(axis="y", alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)


def _short(count: float, _position: int | None = None) -> str:
    """A count in few letters: "20k"."""
    for unit, letter in ((1_000_000, "M"), (1_000, "k")):
        if count >= unit:
            return f"{count / unit:g}{letter}"
    return f"{count:g}"
