"""What the figures are written as: a table for the terminal, and docs/performance.md."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from rich.table import Table

from tests.bench.place import Machine, Scale
from tests.bench.rows import Row

PICTURE = "pictures/performance.svg"
HEADINGS = ("", "What", "darkroom", "Beside it", "Ratio", "Goal", "Met")


def cells(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    """The table's rows as text, numbered."""
    met = {None: "", True: "yes", False: "**no**"}
    return [
        (str(number), row.what, row.darkroom, row.anchor, row.ratio, row.goal, met[row.met])
        for number, row in enumerate(rows, start=1)
    ]


def table(rows: Sequence[Row]) -> Table:
    """The table for the terminal."""
    shown = Table(*HEADINGS, show_lines=True)
    for line in cells(rows):
        shown.add_row(*(cell.replace("*", "") for cell in line))
    return shown


def page(rows: Sequence[Row], machine: Machine, scale: Scale) -> str:
    """docs/performance.md, whole."""
    lines = [HEADINGS, ["---"] * len(HEADINGS), *cells(rows)]
    return _PAGE.format(
        date=f"{datetime.now(UTC):%d %B %Y}",
        warnings="".join(f"\n**{warning}**\n" for warning in machine.warnings()),
        rounds=scale.rounds,
        by_process=scale.by_process,
        table="\n".join(f"| {' | '.join(line)} |" for line in lines),
        durable=_durable(rows),
        picture=PICTURE,
        processor=machine.processor,
        cores=machine.cores,
        python=machine.python,
        system=machine.system,
        filesystem=machine.filesystem,
        fsync=machine.fsync * 1e3,
        create=machine.create * 1e3,
        load=machine.load,
        others=machine.others,
    )


def _durable(rows: Sequence[Row]) -> str:
    """What is on the disk when, said once for rows that have it in common."""
    numbers: dict[str, list[str]] = {}
    for number, row in enumerate(rows, start=1):
        numbers.setdefault(row.durable, []).append(str(number))
    return "\n".join(
        "\n  ".join([f"- **{', '.join(of)}:**", *sentences.splitlines()])
        for sentences, of in numbers.items()
    )


_PAGE = """\
# How fast it is

Written by `make bench` on {date}; every figure and the picture are of that one run.
{warnings}
Ratios are what to look at: the absolute figures are of one machine, and say little about yours.
So everything is measured beside something simple that does the same work, on the same filesystem, within the same minutes.
Where there are rounds ({rounds} of them, taking turns), the figures are medians, and the ratio is the median of the rounds' own ratios.

| | |
|---|---|
| **bare loop** | one Python process that lists, reads, parses, appends four lines a job to a log and renames the answer in; it checks nothing, chains nothing and survives nothing; of a queue it reads one line after the other, and appends a row for each instead |
| **huey** | the fastest durable queue of ten that were measured in Python: SQLite with a write-ahead log and `synchronous=FULL`, tasks that do nothing, one worker that looks every millisecond |
| **bare poll loop** | one Python process with one httpx client and a task for each address, which looks at the status word in each answer and keeps nothing |
| **loop over pixels** | the old skill's way: one pixel after the other in Python, each with the window around it; measured on a small piece, and counted up by pixels |
| **a process for each item** | the old skill's way: one Python process after the other, each of which imports httpx, posts and writes the picture down; measured with {by_process} of them, and counted up |
| **plain read and parse** | a process that parses every line of the same log as JSON, and forgets it |

The requests and the lines of the queue are dry runs of `generate_image`: everything is checked, logged and answered, and nobody is called.
The rows behind those of the queue say themselves what they are of.

## The figures

{table}

Requests that lie there are counted from the daemon's own `daemon.started` event to the last result, those that are dropped meanwhile from the first rename to the last result.
The ratio of polling is that of the processor time for one poll; the provider is a small server on the same machine that is never done.
The lines of a queue are counted from its rename to the summary that has all of them, the items of a batch from its rename to its result.
Starting is counted from the start of the process until it serves, less the same for an empty root, which is Python's own start.

## What is on the disk, and when

{durable}

## How cost grows

![Three panels: milliseconds for each job by the number of requests lying there, seconds of a start by the number of events in the log, milliseconds of one scan by the number of files in the inbox]({picture})

## The machine

| | |
|---|---|
| Processor | {cores} × {processor} |
| System | {system}, {python} |
| Filesystem | {filesystem} |
| A line appended and synced | {fsync:.2f} ms |
| An empty file made | {create:.3f} ms |
| Load before | {load:.2f} |
| Other processes meanwhile | {others:.1%} of the processor |

## Measure it yourself

```make
make bench    # writes this page
make soak     # an hour of steady load with flat memory, and a minute of 2,000 drops a second
```

Measure on a machine that does nothing else.
Where something big was deleted in the last six minutes, making files is slow on ext4 without a journal; this page begins with a warning then.
"""
