"""`make run`: drops the examples into a scratch root, has the daemon answer them, shows a table.

With the name of a file as its argument it also draws the table there, as SVG, for the README.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

EXAMPLES = Path(__file__).parent
SCRATCH = EXAMPLES.parent.parent / ".scratch"


def drop(root: Path) -> list[str]:
    """Copy every example into the inbox, and the pictures that they name; the names of the
    requests."""
    names = []
    kinds = ("*.json", "*.jsonl", "*.jpg")
    for example in sorted(file for kind in kinds for file in EXAMPLES.rglob(kind)):
        name = example.relative_to(EXAMPLES)
        target = root / "inbox" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(example, target)
        names += [name.as_posix()] if example.suffix != ".jpg" else []
    return names


def rows(root: Path, name: str) -> Iterator[tuple[str, str, str, str]]:
    """A request as the table shows it; behind a queue each of its items, in their order."""
    file = root / "inbox" / f"{name.removesuffix('.json')}.result.json"
    yield row(json.loads(file.read_text("utf-8")))
    if name.endswith(".jsonl"):
        lines = file.with_suffix(".jsonl").read_text("utf-8").splitlines()
        yield from map(row, sorted(map(json.loads, lines), key=lambda item: int(item["index"])))


def row(result: dict[str, Any]) -> tuple[str, str, str, str]:
    """A request, its status, its media or why there are none, and the seconds it took."""
    media = [f"{artifact['path']} ({measures(artifact)})" for artifact in result["artifacts"]]
    faults = [
        f"{fault['pointer']} {fault['message']}"
        for fault in (result["error"] or {}).get("faults", ())
    ]
    failed = [result["error"]["message"]] if result["error"] else []
    shown = media or faults or failed or result["warnings"][-1:]
    times = [result[key] and datetime.fromisoformat(result[key]) for key in _TIMES]
    took = f"{(times[1] - times[0]).total_seconds():.2f} s" if all(times) else ""
    return result["request"], result["status"], "\n".join(shown), took


def measures(artifact: dict[str, Any]) -> str:
    """How large an artifact is, and how long."""
    size = f"{artifact['width']} x {artifact['height']}"
    return f"{size}, {artifact['seconds']:g} s" if artifact["kind"] == "video" else size


_TIMES = ("accepted_at", "finished_at")


def main() -> None:
    """Show it."""
    shutil.rmtree(SCRATCH, ignore_errors=True)
    names = drop(SCRATCH)
    command = [sys.executable, "-m", "daemon", "run", "--drain", "--root", str(SCRATCH)]
    # Without the settings of whoever calls: the examples need no account and no key.
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DARKROOM_")}
    kept.pop("MEDIA_GENERATION_OUTPUT_ROOT", None)
    subprocess.run([*command, "--log-level", "warning"], env=kept, check=True)
    table = Table("request", "status", show_lines=True)
    table.add_column("media, or why not", overflow="fold")
    table.add_column("time", no_wrap=True)
    for name in names:
        for one in rows(SCRATCH, name):
            table.add_row(*one)
    width = max(116, Console().width)
    console = Console(markup=False, highlight=False, width=width, record=True)
    console.print(table)
    if sys.argv[1:]:
        console.save_svg(sys.argv[1], title="make run")
    print("All of it is by the embedded stand-in `local`, which is no AI model.")
    print(f"requests and results: {SCRATCH}/inbox   pictures and clips: {SCRATCH}/tmp")
    print(f"every event:          {SCRATCH}/events/current.jsonl")


if __name__ == "__main__":
    main()
