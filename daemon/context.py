"""The `Context` a handler gets: every step it asks for is answered by the log, or journaled.

This is why a handler survives a crash without knowing it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Any

from daemon.asking import Asker, Polled
from daemon.decisions import Run
from daemon.envelope import Envelope
from daemon.errors import BadRequest, Conflict, Problem
from daemon.events import ArtifactSaved, InputRead
from daemon.gallery import Described, Origin
from daemon.inputs import Found
from daemon.journal import MAY_BE_BILLED, Journal, Taken
from daemon.prices import usage_of
from daemon.recording import unbroken
from daemon.redaction import SIEVE
from daemon.requests import Request
from daemon.services import Services
from daemon.streams import Over, Stream
from daemon.strictjson import parse_json
from handlers.contract import (
    Artifact,
    Call,
    HandlerError,
    Input,
    Json,
    Made,
    Medium,
    Outcome,
    Role,
)

_EXTRA = "read extra_json_file"
"""The step by which the file of that field is read."""


def _no_object(path: str, why: str) -> HandlerError:
    return HandlerError(
        "invalid_request",
        f"extra_json_file {path} cannot be read: {why}",
        hints=["Write one JSON object into it, then use retry."],
        faults=[("/extra_json_file", why)],
    )


UNVERIFIED = (
    "nobody decoded {path}, so what is told of it is what the file says of itself, and it has no "
    'poster: install what reads clips (pip install "darkroomd[video]")'
)

_NOTHING: Mapping[str, Polled] = MappingProxyType({})


class JournaledContext:
    """One run of one job, as its handler sees it.

    Args:
        request: what was asked for.
        journal: what the log already answers.
        stream: where new steps are journaled.
        services: everything shared.
        found: by step, what providers made of calls that they took.
    """

    def __init__(
        self,
        request: Request,
        journal: Journal,
        stream: Stream,
        services: Services,
        found: Mapping[str, Polled] = _NOTHING,
    ) -> None:
        self._request = request
        self._journal = journal
        self._stream = stream
        self._with = services
        self._steps: set[str] = set()
        self._kept: dict[str, Artifact | None] = {}
        self._stems = {PurePosixPath(artifact.path).stem for artifact in journal.saved.values()}
        self._warnings: list[str] = []
        self._dry = request.envelope.dry_run
        self._reading = asyncio.Lock()
        self._references: list[Mapping[str, Json]] = []
        self.max_pixels = services.settings.max_pixels
        self.saving: set[asyncio.Task[Any]] = set()
        """What is being made: whatever happens, each is recorded or removed again."""
        self._asker = Asker(request, journal, self._live, self.saving, services, found)
        self._over = False

    # ------------------------------------------------------------ what handlers call

    async def read(self, step: str, source: Input, *, text: bool = False) -> Medium:
        self._enter(step)
        return await self._at_hand(step, source, text=text)

    async def head(self, medium: Medium) -> bytes:
        return await self._with.workbench.run(lambda: self._with.viewer.head(medium))

    async def work(self, function: Callable[..., Made], *media: Medium) -> Made:
        blobs = self._with.blobs

        def work() -> Made:
            held = (
                medium.data if medium.data is not None else blobs.get(medium.sha256 or "")
                for medium in media
            )
            return function(*held)

        return await self._with.workbench.run(work)

    async def ask(self, step: str, call: Call, *otherwise: Call) -> Outcome:
        self._enter(step)
        async with self._reading:  # once, whoever asks first
            path = self._request.envelope.extra_json_file
            if path is not None and self._asker.last_word is None:
                self._asker.last_word = await self._fields_in(path)
        return await self._asker.ask(step, (call, *otherwise))

    async def keep(
        self, step: str, medium: Medium, *, prefix: str, role: Role = "output"
    ) -> Artifact:
        self._enter(step)
        self._stream.flush()
        self._kept[step] = None
        self._kept.setdefault(_poster_of(step), self._journal.saved.get(_poster_of(step)))
        artifact: Artifact | None = self._journal.saved.get(step)
        if artifact is None and self._dry:
            return await self._would_keep(medium, role)
        if artifact is None:
            artifact = await unbroken(self._save(step, medium, prefix, role), self.saving)
        self._kept[step] = artifact
        if artifact.verified is False:
            self.warn(UNVERIFIED.format(path=artifact.path))
        return artifact

    async def progress(self, message: str, fraction: float | None = None) -> None:
        await self._asker.progress(message, fraction)

    def warn(self, message: str) -> None:
        self._warnings.append(message)

    def refer(self, reference: Mapping[str, Json]) -> None:
        self._references.append(SIEVE.json(dict(reference)))

    # ------------------------------------------------------------ what the runner calls

    @property
    def paid(self) -> set[asyncio.Task[Any]]:
        """Paid calls under way: a stop waits for them."""
        return self._asker.paid

    def stopped(self) -> None:
        """The job ends before its handler did: say what may still be billed, and let go of it."""
        if self.paid:
            self.warn(MAY_BE_BILLED)
        for call in self.paid:
            call.cancel()

    @property
    def under_way(self) -> Mapping[str, Taken]:
        """By step, the calls of this run that a provider took and works on."""
        taken = self._asker.taken.items()
        return {step: one for step, one in taken if one.ticket is not None}

    @property
    def envelope(self) -> Envelope:
        """What the request says for every task."""
        return self._request.envelope

    async def settle(self) -> None:
        """After the handler's end: wait for the paid calls and the files that it left under way
        (of several steps side by side one failed), so that the next attempt knows of them; of
        whatever else it left nothing reaches the log any more."""
        while under_way := {*self.paid, *self.saving}:
            await asyncio.wait(under_way)
        self._over = True

    @property
    def max_attempts(self) -> int:
        """How many attempts this job may have."""
        return self._request.envelope.max_attempts or self._with.settings.max_attempts

    @property
    def provider(self) -> str | None:
        """Who was asked last, if anybody was."""
        return self._asker.provider

    @property
    def alternatives(self) -> tuple[str, ...]:
        """All providers that may be asked, in order; none while one of them works on it."""
        return () if self._asker.taken else self._request.envelope.providers

    @property
    def tried(self) -> list[Problem]:
        """Why the providers failed that were asked before, of those that may be asked."""
        providers = self._request.envelope.providers
        return self._journal.round(self._stream.job, providers[0]) if providers else []

    def run(self) -> Run:
        """What the run came to, for the event that ends the job."""
        outcomes = [one for one in self._asker.outcomes.values() if one is not None]
        return Run(
            provider=self._asker.provider,
            model=self._asker.model,
            artifacts=[kept.to_json() for kept in self._kept.values() if kept is not None],
            references=[
                *(reference for outcome in outcomes for reference in outcome.references),
                *self._references,
            ],
            warnings=[
                *self._journal.told(self._stream.job),
                *dict.fromkeys(warning for outcome in outcomes for warning in outcome.warnings),
                *self._asker.warnings,
                *self._warnings,
            ],
            usage=usage_of([(outcome.usage, outcome.cost) for outcome in outcomes]),
        )

    def _live(self) -> Stream:
        if self._over:
            raise Over
        return self._stream

    def _enter(self, step: str) -> None:
        if step in self._steps:
            raise ValueError(f"the handler used the step {step!r} twice")
        self._steps.add(step)

    # ------------------------------------------------------------ reading

    async def _at_hand(self, step: str, source: Input, *, text: bool = False) -> Medium:
        """An input as the log has it, or as it is found now."""
        self._stream.flush()
        known = self._journal.read(step, self._stream.job)
        if known is None or not self._with.blobs.path(known.sha256).exists():
            known = await unbroken(self._read(step, source, text=text), self.saving)
        self._warnings += known.warnings
        return Medium(sha256=known.sha256, media_type=known.media_type)

    async def _fields_in(self, path: str) -> dict[str, Json]:
        """The object in a file of the request's own."""
        medium = await self._at_hand(_EXTRA, path)
        data = await asyncio.to_thread(self._with.blobs.get, medium.sha256 or "")
        try:
            fields = parse_json(data)
        except BadRequest as error:
            raise _no_object(path, error.problem.message) from None
        if not isinstance(fields, dict):
            raise _no_object(path, "it holds no object")
        return fields

    async def _read(self, step: str, source: Input, *, text: bool) -> InputRead:
        """Find an input, and have it lie durable before anybody works with it."""
        envelope, blobs = self._request.envelope, self._with.blobs
        timeout, job = envelope.timeout or self._with.settings.call_timeout, self._live().job
        find = partial(self._with.inputs.find, source, job, timeout, text=text)
        found: Found = await self._with.disk.through(find)
        digest, size = await self._put(found)
        event = InputRead(
            step,
            SIEVE.text(found.source),
            digest,
            size,
            found.media_type,
            found.warnings,
        )
        try:
            await self._live().write(event)
        except (Conflict, HandlerError, Over):  # no event will ever name it
            blobs.release(digest)
            await asyncio.to_thread(blobs.drop, [digest])
            raise
        blobs.release(digest)
        return event

    async def _put(self, found: Found) -> tuple[str, int]:
        """Digest and size of what was found, as a blob that is leased."""
        blobs, disk, data = self._with.blobs, self._with.disk, found.data or b""
        if found.staged is None:
            return await disk.patiently(partial(blobs.put, data)), len(data)
        try:
            digest = await disk.patiently(partial(blobs.adopt, found.staged))
        finally:
            found.staged.close()
        return digest, found.staged.size

    # ------------------------------------------------------------ keeping

    async def _would_keep(self, medium: Medium, role: Role) -> Artifact:
        """What a dry run comes to instead of a file."""
        what, digest, size, *_ = (await self._with.viewer.view(medium)).described
        self.warn(
            f"dry run: a {what.kind} of {what.width} x {what.height} would have been saved, "
            f"as {role}"
        )
        return Artifact("", role, what.kind, what.media_type, size, digest, what.width, what.height)

    async def _save(self, step: str, medium: Medium, prefix: str, role: Role) -> Artifact:
        stem, number = self._stem(self._beginning(prefix, role))
        viewed = await self._with.viewer.view(medium, self._origin(role))
        if viewed.poster is not None:
            await self._save_poster(step, Medium(viewed.poster), prefix, number)
        return await self._publish(step, medium, viewed.described, (stem, number), role)

    async def _save_poster(self, step: str, poster: Medium, prefix: str, number: int) -> None:
        """Save the picture that stands for a clip. It is recorded before the clip is, so that none
        is forgotten; but no clip is lost for want of one."""
        name = _poster_of(step)
        self._enter(name)
        if self._kept[name] is not None:  # from before a crash
            return
        named = self._stem(self._beginning(f"{prefix}-poster", "poster"), number)
        try:
            described = (await self._with.viewer.view(poster, self._origin("poster"))).described
            self._kept[name] = await self._publish(name, poster, described, named, "poster")
        except HandlerError as error:
            self.warn(f"a clip has no poster: {error.message}")

    async def _publish(
        self,
        step: str,
        medium: Medium,
        described: Described,
        named: tuple[str, int],
        role: Role,
    ) -> Artifact:
        """Put a medium in its place, and record it."""
        gallery, (stem, number) = self._with.gallery, named
        artifact = await self._with.disk.patiently(
            lambda: gallery.save(medium, described, self._request.folder, stem, role)
        )
        try:
            await self._stream.write(ArtifactSaved(step, number, artifact.to_json()))
        except (Conflict, HandlerError, Over):  # the log will never know of it
            await asyncio.to_thread(gallery.remove, artifact)
            raise
        return artifact

    def _origin(self, role: Role) -> Origin | None:
        """How a file of this job came to be, for the file itself to tell, if it is to."""
        if not self._with.settings.provenance:
            return None
        raw = self._request.raw
        made_there = role in ("output", "poster")
        made = self._asker.provider if made_there else None
        return {
            "task": self._request.task,
            "job": self._stream.job.id,
            "role": role,
            "provider": made,
            "model": self._asker.model if made is not None else None,
            "prompt": raw.get("prompt") if made_there else None,
            "seed": raw.get("seed") if made is not None else None,
        }

    def _beginning(self, prefix: str, role: Role) -> str:
        """How the name of a file begins."""
        chosen = self._request.envelope.prefix
        if chosen is None or role == "output":
            return chosen or prefix
        return f"{chosen}-{role.partition('_')[0]}"

    def _stem(self, prefix: str, first: int = 1) -> tuple[str, int]:
        """A name that no artifact of this job has or had, and its number: the first free one from
        `first`, and from where a fresh start began."""
        job = self._live().job
        number = max(first, job.number_before + 1)
        while (stem := f"{prefix}-{job.id}-{number}") in self._stems:
            number += 1
        self._stems.add(stem)
        return stem, number


def _poster_of(step: str) -> str:
    """The step that keeps the poster, where another one keeps a clip."""
    return f"{step} poster"
