"""Values that many tests need, and a bench on which a handler runs without files and processes."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from hypothesis import strategies as st

from daemon.asking import DryRun
from daemon.blobs import BlobStore
from daemon.context import JournaledContext
from daemon.deadlines import deadline_of, start_of
from daemon.decisions import Run
from daemon.disk import Disk
from daemon.entries import Configuration
from daemon.errors import Problem
from daemon.events import (
    BY_TYPE,
    Event,
    ItemRejected,
    JobAccepted,
    JobEnded,
    JobFailed,
    JobRetrying,
    ProviderAnswered,
    ProviderRequested,
    Recorded,
)
from daemon.exchange import Workbench
from daemon.gallery import Gallery
from daemon.gates import Gates
from daemon.inputs import Inputs
from daemon.jobs import Job
from daemon.journal import Journal
from daemon.lines import compact
from daemon.net import Network
from daemon.recall import Recall
from daemon.references import references_of
from daemon.requests import Door
from daemon.roster import Roster
from daemon.runner import Runner
from daemon.services import Services
from daemon.settings import Settings
from daemon.state import State
from daemon.streams import Stream
from daemon.testing import FrozenClock, MemoryEventLog, ScriptedProvider
from daemon.treasury import Treasury
from daemon.viewing import ClipSense, Viewer
from handlers import find_handlers
from handlers.contract import ClipDescription, ErrorCode, Handler
from handlers.media import clipfiles
from handlers.media.decoding import describe
from handlers.wire import Adapter, Provider

EPOCH = "2026-01-01T00:00:00.000Z"

# ---------------------------------------------------------------- requests


def door(root: str = "/root", output: str = "/root/tmp") -> Door:
    """The strict door with every handler there is."""
    return Door(_handlers(), PurePosixPath(root), PurePosixPath(output))


@functools.cache
def _handlers() -> Mapping[str, Handler]:
    """Found once: that takes longer than most of what is done with a bench."""
    return find_handlers()


def as_bytes(value: Any) -> bytes:
    return json.dumps(value).encode()


# ---------------------------------------------------------------- events


def problem(code: ErrorCode = "provider_failed", **fields: Any) -> dict[str, Any]:
    """The `error` of an event."""
    return Problem(code, f"it is {code}", **fields).to_json()


def accepted(content: str = "c1", **fields: Any) -> JobAccepted:
    """A `job.accepted`; the content digest tells one request from another."""
    given = {
        "request_sha256": f"sha of {content}",
        "content_sha256": content,
        "task": "generate_image",
        "provider": "local",
        "request_id": None,
        "body_sha256": None,
        "request": {"prompt": "x"},
        "blobs": {},
        "labels": {},
    }
    return JobAccepted(**{**given, **fields})


def ended(kind: type[JobEnded], **fields: Any) -> JobEnded:
    """The end of a job."""
    given = {
        "provider": "local",
        "model": "stand-in",
        "artifacts": [],
        "references": [],
        "warnings": [],
        "error": problem() if kind is JobFailed else None,
        "usage": None,
        "attempts": 1,
        "task": "generate_image",
        "labels": {},
        "accepted_at": EPOCH,
        "first": 2,
    }
    return kind(**{**given, **fields})


def requested(step: str = "generate", **fields: Any) -> ProviderRequested:
    given = {
        "operation": "generate_image",
        "provider": "scripted",
        "model": None,
        "paid": True,
        "digest": "d1",
        "attempt": 1,
    }
    return ProviderRequested(step, **{**given, **fields})


def answered(step: str = "generate", **fields: Any) -> ProviderAnswered:
    given = {
        "attempt": 1,
        "seconds": 0.5,
        "model": "m-1",
        "media": [],
        "references": [],
        "warnings": [],
        "usage": None,
        "error": None,
    }
    return ProviderAnswered(step, **{**given, **fields})


class History:
    """A log being made up, event by event."""

    def __init__(self) -> None:
        self.recorded: list[Recorded] = []

    def add(self, event: Event | None, job: str | None = None, name: str | None = None) -> Recorded:
        number = len(self.recorded) + 1
        recorded = Recorded(number, f"id{number}", EPOCH, name, job, event)
        self.recorded.append(recorded)
        return recorded

    def state(self) -> State:
        state = State()
        for recorded in self.recorded:
            state.apply(recorded)
        return state


def job(**fields: Any) -> Job:
    """A job as the state has it."""
    given = {
        "id": "J1",
        "name": "a.json",
        "task": "generate_image",
        "provider": "local",
        "status": "waiting",
        "version": 1,
        "first": 2,
        "accepted_at": EPOCH,
    }
    return Job(**{**given, **fields})


# ---------------------------------------------------------------- strategies

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda below: st.lists(below, max_size=4) | st.dictionaries(TEXTS, below, max_size=4),
    max_leaves=12,
)  # fmt: skip
OBJECTS = st.dictionaries(TEXTS, JSON, max_size=4)
SHAS = st.sampled_from(["a" * 64, "b" * 64, "c" * 64])
ERRORS = st.sampled_from(["provider_failed", "unreadable_media", "ambiguous_submit"]).map(problem)
MEDIA = st.lists(
    st.fixed_dictionaries({"sha256": SHAS, "media_type": st.none() | TEXTS}), max_size=3
)
COSTS = st.fixed_dictionaries(
    {
        "amount": st.sampled_from(["0", "0.04", "1.5"]),
        "currency": st.sampled_from(["USD", "EUR"]),
        "source": st.sampled_from(["provider", "prices"]),
    }
)
ARTIFACT = {
    "path": "tmp/images/x.png",
    "role": "output",
    "kind": "image",
    "media_type": "image/png",
    "bytes": 3,
    "sha256": "a" * 64,
    "width": 8,
    "height": 8,
}

_BY_FIELD: Mapping[str, st.SearchStrategy[Any]] = {
    "error": st.none() | ERRORS,
    "media": MEDIA,
    "step": st.sampled_from(["one", "two"]),
    "key": st.sampled_from(["c1", "c2", "c3"]),
    "content_sha256": st.sampled_from(["c1", "c2", "c3"]),
    "answered_by": st.sampled_from(["J1", "J2", "J3"]),
    "request_id": st.none() | st.sampled_from(["id1", "id2"]),
    "answers": st.integers(0, 20),
    "status": st.sampled_from(["succeeded", "partial", "failed", "cancelled"]),
    "batch": st.none() | st.sampled_from(["J1", "J2", "J3"]),
    "item": st.integers(1, 3),
    "item_id": st.none() | st.sampled_from(["cat", "dog"]),
    "attempt": st.integers(1, 3),
    "number": st.integers(1, 9),
    "artifact": st.just(ARTIFACT),
    "blobs": st.dictionaries(TEXTS, SHAS, max_size=2),
    "cost": st.none() | COSTS,
    "estimate": st.none() | COSTS,
}
_BY_KIND: Mapping[str, st.SearchStrategy[Any]] = {
    "str": TEXTS,
    "str | None": st.none() | TEXTS,
    "int": st.integers(0, 2**63),
    "bool": st.booleans(),
    "float": st.floats(0, 1e6),
    "float | None": st.none() | st.floats(0, 1),
    "Mapping[str, Json]": OBJECTS,
    "Mapping[str, Json] | None": st.none() | OBJECTS,
    "Mapping[str, str]": st.dictionaries(TEXTS, TEXTS, max_size=3),
    "Sequence[int]": st.lists(st.integers(0, 2**40), max_size=3),
    "Json": JSON,
    "int | None": st.none() | st.integers(0, 9),
    "Sequence[str]": st.lists(TEXTS, max_size=3),
    "Sequence[Mapping[str, Json]]": st.lists(OBJECTS, max_size=3),
}


def events_of(kind: type[Event]) -> st.SearchStrategy[Event]:
    """Any event of a type, by the annotations of its fields."""
    strategies = {
        field.name: _BY_FIELD[field.name] if field.name in _BY_FIELD else _BY_KIND[str(field.type)]
        for field in dataclasses.fields(kind)
    }
    if kind in (JobRetrying, ItemRejected):
        strategies["error"] = ERRORS
    return st.builds(kind, **strategies)


ANY_EVENT = st.sampled_from(sorted(BY_TYPE)).flatmap(lambda name: events_of(BY_TYPE[name]))

# ---------------------------------------------------------------- a bench


async def decoded_here(clip: bytes | Path) -> tuple[ClipDescription, bytes]:
    """What a clip is, and its poster: as the process apart says it, but without one."""
    from handlers.media.clips import Limits, describe_clip
    from handlers.media.posters import poster_of

    data = clip if isinstance(clip, bytes) else await asyncio.to_thread(clip.read_bytes)
    return describe_clip(data, Limits()), poster_of(data, Limits())


CLIP_SENSE = ClipSense(
    clipfiles.is_clip, decoded_here, clipfiles.described_by_container, max_bytes=10**7
)


class Bench:
    """A root in memory, but for blobs and media: everything that a job's context needs.

    Make it inside a running loop. With the lines of another bench it goes on where that ended,
    as after a crash.
    """

    def __init__(
        self,
        folder: Path,
        *providers: Provider,
        lines: Sequence[bytes] = (),
        clock: FrozenClock | None = None,
        configuration: Configuration | None = None,
        adapters: Mapping[str, Adapter] | None = None,
        kind: type[MemoryEventLog] = MemoryEventLog,
        **settings: Any,
    ) -> None:
        self.settings = Settings(root=folder, free_floor=0, **settings)
        private = self.settings.private / "staging"
        images = self.settings.output / "images"
        for needed in (self.settings.blobs, images, folder / "staging", private):
            needed.mkdir(parents=True, exist_ok=True)
        self.state = State()
        self.clock = clock or FrozenClock()
        self.log = kind(self.clock, self.state.apply, lines)
        self.log.subscribe(lambda batch: [self.state.apply(recorded) for recorded in batch])
        self.blobs = BlobStore(self.settings.blobs, folder / "staging", self.state.needs)
        self.disk = Disk([folder], 0, folder / "reserve", self.log, paused=False, resumed=_nothing)
        self.door = door(str(folder), str(self.settings.output))
        self.gallery = Gallery(
            folder,
            self.settings.output,
            folder / "staging",
            self.blobs,
            lambda data: describe(data, 10**6, 10**7),
        )
        self.workbench = Workbench(4)
        self.viewer = Viewer(self.gallery, self.blobs, self.workbench, CLIP_SENSE)
        self.network = Network(max_answer_bytes=1 << 24, max_media_bytes=1 << 24)
        self.roster = Roster(
            self.settings,
            {provider.name: provider for provider in providers},
            adapters or {},
            lambda: configuration or Configuration(),
            self.clock,
        )
        self.services = Services(
            settings=self.settings,
            clock=self.clock,
            log=self.log,
            blobs=self.blobs,
            disk=self.disk,
            gallery=self.gallery,
            viewer=self.viewer,
            workbench=self.workbench,
            gates=Gates(self.settings.provider_concurrency, self.clock),
            network=self.network,
            inputs=Inputs(self.settings, self.state, self.log.get, self.blobs, self.network),
            roster=self.roster,
            treasury=Treasury(self.roster, self.state, self.log, self.clock),
            stopping=asyncio.Event(),
        )

    async def accept(
        self, name: str = "a.json", *, batch: str | None = None, item: int = 0, **request: Any
    ) -> str:
        """Put a job in the log, maybe one that is an item of a batch; returns its id."""
        request = {"prompt": "x", "provider": "scripted", **request}
        job_id = self.clock.new_id()
        validated = self.door.validate(request)
        envelope = validated.envelope
        event = accepted(
            name,
            provider=envelope.providers[0],
            request=request,
            priority=envelope.priority,
            not_before=start_of(envelope, self.clock.stamp()),
            deadline=deadline_of(envelope, self.clock.now()),
            after=references_of(envelope, validated.fields),
            batch=batch,
            item=item,
        )
        await self.log.append(job_id, 0, [event], subject=name)
        return job_id

    async def context(self, job_id: str) -> tuple[JournaledContext, Stream]:
        """The context of a fresh run of a job, by what the log holds of it now."""
        await self.log.append(None, None, ())
        job = self.state.jobs[job_id]
        accepted = self.log.get(job.first).event
        assert isinstance(accepted, JobAccepted)
        stream = Stream(self.log, self.disk, job)
        journal = Journal.of(self.log.get(number) for number in job.journal)
        return JournaledContext(
            self.door.validate(accepted.request), journal, stream, self.services
        ), stream

    async def run(self, job_id: str, handle: Callable[[JournaledContext], Awaitable[Any]]) -> Run:
        """Run a handler's function once, to its end; what the run came to."""
        context, _ = await self.context(job_id)
        try:
            await handle(context)
        except DryRun:
            pass
        finally:
            await self.log.append(None, None, ())
        return context.run()

    def runner(self, handlers: Mapping[str, Handler] | None = None, **more: Any) -> Runner:
        """A runner that follows this bench's log."""
        recall = Recall(self.log, self.blobs, self.door)
        runner = Runner(self.services, self.state, recall, handlers or self.door.handlers, **more)
        self.log.subscribe(runner.committed)
        runner.begin()
        return runner

    def types(self) -> list[str]:
        """The types of the log's events but its first, without prefix and version."""
        return [
            recorded.event.TYPE.removeprefix("darkroom.").removesuffix(".v1")
            for recorded in self.log.read(1)
            if recorded.event is not None
        ]

    def close(self) -> None:
        self.workbench.close()


def _nothing() -> None:
    pass


def scripted(*scripts: Any, paid: bool = True, name: str = "scripted") -> ScriptedProvider:
    return ScriptedProvider(name=name, paid=paid, scripts=list(scripts))


def same_json(left: Any, right: Any) -> bool:
    """Whether two values are one as JSON."""
    return compact(left) == compact(right)
