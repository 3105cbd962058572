"""Doubles that are shipped, for the tests of darkroom and of whoever extends it.

`MemoryEventLog` passes the same contract suite as the log on disk. `ScriptedProvider` answers from
a list and counts what it was asked, `ScriptedContext` does so for a handler. `FrozenClock` moves
only when told.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from daemon.clock import Clock, rfc3339
from daemon.eventlog import Append, LogFront
from daemon.events import Event, LogOpened, Recorded
from daemon.lines import NO_HASH, decode, draft, encode
from handlers.contract import (
    Artifact,
    Call,
    Earlier,
    HandlerError,
    Input,
    Json,
    Made,
    Medium,
    Outcome,
    Role,
)
from handlers.wire import AnswersAtOnce, Compute, Effect


class FrozenClock:
    """A clock that moves only when told, and ids that count.

    Args:
        now: where the wall clock begins.
    """

    def __init__(self, now: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._now = now
        self._monotonic = 0.0
        self._ids = 0

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    def stamp(self) -> str:
        return rfc3339(self._now)

    def new_id(self) -> str:
        self._ids += 1
        return f"{self._ids:026d}"

    async def sleep(self, seconds: float) -> None:
        """Nobody waits: the time has passed."""
        self.advance(seconds)
        await asyncio.sleep(0)

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._now += timedelta(seconds=seconds)
        self._monotonic += seconds


class MemoryEventLog(LogFront):
    """An event log in a list of lines; durable for as long as the process.

    Args:
        clock: for the time and id of each event.
        replay: called with every event that is there already.
        lines: a log to go on with.
    """

    def __init__(
        self,
        clock: Clock,
        replay: Callable[[Recorded], None] = lambda _: None,
        lines: Sequence[bytes] = (),
    ) -> None:
        super().__init__()
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._hash = NO_HASH
        self.lines: list[bytes] = []
        for line in lines:
            recorded, self._hash = decode(line, "memory", self._hash)
            self.lines.append(line)
            self._count(recorded)
            replay(recorded)
        if not lines:
            opened = LogOpened("memory", 1, 1, NO_HASH)
            self._write(Recorded(1, clock.new_id(), clock.stamp(), None, None, opened))
            self._last = 1

    def append_all(self, appends: Sequence[Append]) -> asyncio.Future[tuple[Recorded, ...]]:
        appends = [
            append._replace(events=[draft(event).event for event in append.events])
            for append in appends
        ]
        self._claim(appends)
        future: asyncio.Future[tuple[Recorded, ...]] = self._loop.create_future()
        # As on a disk, nothing is durable before the caller has had its turn.
        self._loop.call_soon(self._commit, appends, future)
        return future

    def _commit(
        self, appends: Sequence[Append], future: asyncio.Future[tuple[Recorded, ...]]
    ) -> None:
        first, now = self._last + 1, self._clock.stamp()
        events = [(append, event) for append in appends for event in append.events]
        recorded = tuple(
            self._write(
                Recorded(number, self._clock.new_id(), now, append.subject, append.job, event)
            )
            for number, (append, event) in enumerate(events, start=first)
        )
        self._release(appends)
        self._tell(recorded)
        if not future.cancelled():
            future.set_result(recorded)

    def _write(self, recorded: Recorded) -> Recorded:
        """Through a line and back, so that nothing but JSON survives here either."""
        line, self._hash = encode(recorded, "/darkroom/memory", self._hash)
        self.lines.append(line)
        return decode(line, "memory")[0]

    def get(self, sequence: int) -> Recorded:
        if not 0 < sequence <= len(self.lines):
            raise KeyError(sequence)
        return decode(self.lines[sequence - 1], "memory")[0]

    def read(self, after: int = 0, kind: type[Event] | None = None) -> Iterator[Recorded]:
        for line in self.lines[after : self._last]:
            recorded = decode(line, "memory")[0]
            if kind is None or isinstance(recorded.event, kind):
                yield recorded

    async def close(self) -> None:
        await self.append(None, None, ())


def tiny_image(color: str = "teal", size: tuple[int, int] = (8, 8), form: str = "PNG") -> bytes:
    """The bytes of a small plain picture that decodes.

    Args:
        color: as Pillow names it.
        size: width and height in pixels.
        form: "PNG", "JPEG" or "WEBP".
    """
    from PIL import Image

    encoded = io.BytesIO()
    Image.new("RGB", size, color).save(encoded, form)
    return encoded.getvalue()


Script = Callable[[Call], Outcome]


@dataclass
class ScriptedProvider(AnswersAtOnce):
    """A provider that answers from a script, and remembers what it was asked.

    A script is called in a worker thread; it returns an outcome, or raises what a provider raises.
    After the last one, each call gets a tiny picture.
    """

    name: str = "scripted"
    paid: bool = True
    operations: frozenset[str] = frozenset({"generate_image"})
    scripts: list[Script] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)

    def submit(self, call: Call) -> Generator[Effect, Json, Outcome]:
        self.calls.append(call)
        script = self.scripts.pop(0) if self.scripts else answer_with(tiny_image())
        outcome: Outcome = yield Compute(lambda: script(call))
        return outcome


def answer_with(*pictures: bytes) -> Script:
    """A script that answers with these media."""
    return lambda _: Outcome(tuple(Medium(data) for data in pictures), model="scripted-1")


def fail_with(error: HandlerError) -> Script:
    """A script that fails."""

    def script(_: Call) -> Outcome:
        raise error

    return script


@dataclass
class ScriptedContext:
    """A context without a daemon: it answers from a script, and remembers what it was asked.

    Args:
        files: what there is to be read, by path or address; by its name of an earlier request.
        scripts: what asks come to, one after the other; after the last one each gets a tiny
            picture.
        can: the operations of the provider that is asked.
    """

    files: Mapping[str, bytes] = field(default_factory=dict)
    scripts: list[Script] = field(default_factory=list)
    can: frozenset[str] = frozenset({"generate_image", "edit_image", "generate_video"})
    max_pixels: int = 40_000_000
    calls: list[Call] = field(default_factory=list)
    kept: list[tuple[str, Role, bytes]] = field(default_factory=list)
    """Of each artifact how its name begins, its role, and its bytes."""
    warnings: list[str] = field(default_factory=list)
    references: list[Mapping[str, Json]] = field(default_factory=list)
    steps: list[str] = field(default_factory=list)

    async def read(self, step: str, source: Input, *, text: bool = False) -> Medium:
        del text
        self._enter(step)
        name = source.request if isinstance(source, Earlier) else source
        if name not in self.files:
            raise HandlerError("file_not_found", f"{name} cannot be read: there is no such file")
        return Medium(self.files[name])

    async def head(self, medium: Medium) -> bytes:
        return (medium.data or b"")[:64]

    async def work(self, function: Callable[..., Made], *media: Medium) -> Made:
        return function(*(medium.data for medium in media))

    async def ask(self, step: str, call: Call, *otherwise: Call) -> Outcome:
        self._enter(step)
        calls = (call, *otherwise)
        chosen = next((one for one in calls if one.operation in self.can), calls[-1])
        self.calls.append(chosen)
        script = self.scripts.pop(0) if self.scripts else answer_with(tiny_image())
        return script(chosen)

    async def keep(
        self, step: str, medium: Medium, *, prefix: str, role: Role = "output"
    ) -> Artifact:
        self._enter(step)
        data = medium.data or b""
        self.kept.append((prefix, role, data))
        if data[4:8] == b"ftyp":  # an MP4
            return Artifact(f"{prefix}.mp4", role, "video", "video/mp4", len(data), "", 1, 1)
        return Artifact(f"{prefix}.png", role, "image", "image/png", len(data), "", 1, 1)

    async def progress(self, message: str, fraction: float | None = None) -> None:
        """Nobody watches."""

    def warn(self, message: str) -> None:
        self.warnings.append(message)

    def refer(self, reference: Mapping[str, Json]) -> None:
        self.references.append(reference)

    def _enter(self, step: str) -> None:
        if step in self.steps:
            raise ValueError(f"the handler used the step {step!r} twice")
        self.steps.append(step)
