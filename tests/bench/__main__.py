"""`make bench`: measure everything in one run, print the table, write docs/performance.md.

python -m tests.bench [--quick] [--only PART] [--folder FOLDER]
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from tests.bench import (
    flood,
    growth,
    idle,
    latency,
    pictures,
    polling,
    reading,
    starting,
    throughput,
)
from tests.bench.page import PICTURE, page, table
from tests.bench.picture import draw
from tests.bench.place import QUICK, Others, Place, Scale, look_at
from tests.bench.rows import Row
from tests.support import REPOSITORY

PARTS: Mapping[str, Callable[[Place, Scale], Sequence[Row]]] = {
    "throughput": throughput.measure,
    "latency": latency.measure,
    "flood": flood.measure,
    "starting": starting.measure,
    "idle": idle.measure,
    "pictures": pictures.measure,
    "polling": polling.measure,
    "reading": reading.measure,
}


def main() -> None:
    """Measure what is asked for."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # ends its daemons
    arguments = _arguments()
    scale = QUICK if arguments.quick else Scale()
    place = Place(arguments.folder)
    try:
        _measure(arguments, place, scale)
    finally:
        place.clear()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="see that it works; no real figures")
    parser.add_argument("--only", choices=[*PARTS, "growth"], help="one part; writes no page")
    parser.add_argument(
        "--folder", type=Path, default=REPOSITORY / ".scratch" / "bench", help="on which disk"
    )
    return parser.parse_args()


def _measure(arguments: argparse.Namespace, place: Place, scale: Scale) -> None:
    machine, others = look_at(place), Others()
    for warning in machine.warnings():
        print(warning, file=sys.stderr)
    rows: list[Row] = []
    for name, part in PARTS.items():
        if arguments.only in (None, name):
            print(f"measuring: {name}", file=sys.stderr)
            rows += part(place, scale)
    if rows:
        Console(width=max(120, Console().width)).print(table(rows))
    # A quick page is none: it goes beside the scratch, where nobody takes it for real.
    docs = arguments.folder if arguments.quick else REPOSITORY / "docs"
    if arguments.only in (None, "growth"):
        print("measuring: growth", file=sys.stderr)
        draw(growth.measure(place, scale), docs / PICTURE)
    if arguments.only is None:
        machine = replace(machine, others=others.share())
        (docs / "performance.md").write_text(page(rows, machine, scale))
        print(f"written: {docs / 'performance.md'}", file=sys.stderr)


if __name__ == "__main__":
    main()
