"""What the looking commands print: tables and short lines for people, JSON for programs."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING

from daemon.archive import Drop
from daemon.checkups import Finding
from daemon.events import ProviderProgressed, Recorded
from daemon.jobs import Job, parent_of
from daemon.reading import Reading, check_root, concerns, lines, load, look, parse
from daemon.results import build, render
from daemon.results import row as result_row
from daemon.settings import Settings
from daemon.state import State
from daemon.tally import numbers
from handlers.contract import Json

if TYPE_CHECKING:
    from rich.console import Console

FAILED = 10
"""Items of a batch that failed, of which is told why."""


def plain(text: str) -> str:
    """Text as a terminal may have it: what moves the cursor or turns the line is spelled out."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def console() -> Console:
    from rich.console import Console

    # Nothing that a caller chose is markup; and into a pipe nothing is cut off.
    width = None if sys.stdout.isatty() else 10_000
    return Console(markup=False, highlight=False, width=width)


# ---------------------------------------------------------------- one request


def status(state: State, drop: Drop) -> str:
    return state.jobs[drop.job].status if drop.job is not None else "rejected"


def row(reading: Reading, name: str, drop: Drop) -> dict[str, Json]:
    state = reading.state
    job = state.jobs.get(drop.job or "")
    batch = reading.batch(job)
    return {
        "request": name,
        "status": status(state, drop),
        "job": drop.job,
        "task": job.task if job is not None else None,
        "provider": job.provider if job is not None else None,
        "attempt": job.attempt if job is not None else 0,
        "due": job.due if job is not None else None,
        "error": job.error if job is not None else None,
        "progress": _progress(reading.progress(job)),
        "items": numbers(batch) if batch is not None else None,
        "batch": parent_of(name)[0] if job is not None and job.batch is not None else None,
        "accepted_at": job.accepted_at if job is not None else None,
        "request_sha256": drop.request_sha256,
    }


def _progress(told: Recorded | None) -> Json:
    if told is None or not isinstance(told.event, ProviderProgressed):
        return None
    return {"at": told.time, **asdict(told.event)}


def show_one(settings: Settings, wanted: str, *, as_json: bool) -> None:
    """One request: its result if it has one, else where it stands."""
    reading = look(settings)
    state = reading.state
    name, drop = reading.find(wanted)
    ending = reading.answer(drop)
    job = state.jobs.get(drop.job or "")
    if as_json:
        shown = _answered(reading, name, drop, ending) if ending else row(reading, name, drop)
        print(render(shown).decode(), end="")
        return
    print(f"{plain(name)}: {plain(reading.standing(job))}")
    if job is not None:
        _show_job(reading, job)
    if ending is not None:
        _show_result(build(name, drop, ending, reading.segments.get))
    if job is not None and job.is_batch:
        _show_failed(reading, job)


def _answered(reading: Reading, name: str, drop: Drop, ending: Recorded) -> dict[str, Json]:
    """The result of what has ended; of an item its row."""
    job, get = reading.state.jobs.get(drop.job or ""), reading.segments.get
    if job is not None and job.batch is not None:
        return result_row(ending, get)
    return build(name, drop, ending, get)


def _show_job(reading: Reading, job: Job) -> None:
    """Which job it is, by whom; which batch it is of."""
    by = f" by {job.provider}" if job.provider else ""
    print(f"  job       {job.id} ({job.task}{by}), accepted {job.accepted_at}")
    batch = reading.state.jobs.get(job.batch) if job.batch is not None else None
    if batch is not None:
        item = f"item {job.item}" + (f" ({plain(job.item_id)})" if job.item_id else "")
        print(f"  batch     {plain(batch.name)}, {item}, job {batch.id}")


def _show_result(result: Mapping[str, Json]) -> None:
    """What came of it."""
    for artifact in result["artifacts"]:
        print(f"  artifact  {artifact['path']} ({_measures(artifact)})")
    for warning in result["warnings"]:
        print(f"  warning   {plain(warning)}")
    error = result["error"]
    if error is not None:
        print(f"  error     {error['code']}: {plain(error['message'])}")
        for fault in error["faults"]:
            print(f"  fault     {plain(fault['pointer'])} {plain(fault['message'])}")
        for hint in error["hints"]:
            print(f"  hint      {hint}")


def _show_failed(reading: Reading, job: Job) -> None:
    """The first items of a batch that failed, and why."""
    tally = reading.tally(job)
    for item in reading.failed(job, FAILED):
        error = getattr(reading.segments.get(item.last).event, "error", None) or {}
        why = f"{error.get('code')}: {error.get('message')}"
        print(f"  {item.status:<9} #{item.item} {plain(why)}")
    more = tally.failed + tally.rejected - FAILED if tally is not None else 0
    if more > 0:
        print(f"            and {more} more")


def _measures(artifact: Mapping[str, Json]) -> str:
    """How large a medium is, and how long."""
    size = f"{artifact['width']} x {artifact['height']}"
    return f"{size}, {artifact['seconds']:g} s" if "seconds" in artifact else size


# ---------------------------------------------------------------- doctor

_COLOURS = {"ok": "green", "warning": "yellow", "fault": "red"}


def show_findings(findings: Mapping[str, Finding], *, as_json: bool) -> None:
    """What each check found, and how many of each kind."""
    if as_json:
        listed = [{"check": name, **asdict(finding)} for name, finding in findings.items()]
        print(json.dumps(listed, indent=2))  # in ASCII: a path need not be text
        return
    if sys.stdout.isatty():
        _print_findings(findings)
    else:
        for name, finding in findings.items():
            print(f"{finding.state:<8} {name:<13} {plain(finding.found)}")
            if finding.hint is not None:
                print(f"{'hint':>8} {name:<13} {plain(finding.hint)}")
    counts = Counter(finding.state for finding in findings.values())
    print(", ".join(f"{count} {state}" for state, count in counts.items()))


def _print_findings(findings: Mapping[str, Finding]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table("check", "", "found", box=None, header_style="bold")
    for name, finding in findings.items():
        hint = f"\n→ {plain(finding.hint)}" if finding.hint is not None else ""
        state = Text(finding.state, _COLOURS[finding.state])
        table.add_row(name, state, Text(plain(finding.found)).append(hint, "bold"))
    console().print(table)


# ---------------------------------------------------------------- the log


def print_events(settings: Settings, wanted: str | None, *, follow: bool) -> None:
    """The lines of the log; on a terminal shortened, one a line."""
    short = sys.stdout.isatty()
    check_root(settings)
    for line in lines(settings.events, follow=follow):
        value = parse(line) if short or wanted is not None else {}
        if wanted is not None and not concerns(value, wanted):
            continue
        if short:
            print(_shortened(value))
        else:
            sys.stdout.buffer.write(line)
            sys.stdout.buffer.flush()


def _shortened(event: Json) -> str:
    kind = event.get("type", "?").removeprefix("darkroom.").removesuffix(".v1")
    data = json.dumps(event.get("data", {}), ensure_ascii=False)
    data = data if len(data) <= 160 else data[:159] + "…"
    subject = json.dumps(event["subject"], ensure_ascii=False) if "subject" in event else ""
    sequence = event.get("sequence", "").lstrip("0")
    return f"{sequence:>8}  {event.get('time', '')}  {kind:<22} {subject}  {data}"


def verify(settings: Settings) -> None:
    """Check the whole log; the first fault is raised.

    Raises:
        LogCorrupt: a line is not what was once written.
    """
    state, segments = load(settings)
    torn = segments.torn
    print(f"{state.sequence} events are whole, in order and chained; head {segments.head}")
    if torn:
        print(
            f"and {torn} bytes behind them that a crash cut short; the next start moves them away"
        )
