"""The `Context` a handler gets: every step it asks for is answered by the log, or journaled.

This is why a handler survives a crash without knowing it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Any

from daemon.asking import Asker, Polled
from daemon.decisions import Run
from daemon.envelope import Envelope
from daemon.errors import Conflict, Problem
from daemon.events import ArtifactSaved, InputRead
from daemon.gallery import Origin
from daemon.inputs import Found
from daemon.journal import MAY_BE_BILLED, Journal, Taken
from daemon.recording import unbroken
from daemon.redaction import SIEVE
from daemon.requests import Request
from daemon.services import Services
from daemon.streams import Over, Stream
from handlers.contract import Artifact, Call, HandlerError, Input, Made, Medium, Outcome, Role

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
        self.max_pixels = services.settings.max_pixels
        self.saving: set[asyncio.Task[Any]] = set()
        """What is being made: whatever happens, each is recorded or removed again."""
        self._asker = Asker(request, journal, self._live, self.saving, services, found)
        self._over = False

    # ------------------------------------------------------------ what handlers call

    async def read(self, step: str, source: Input) -> Medium:
        self._enter(step)
        self._stream.flush()
        known = self._journal.read(step, self._stream.job)
        if known is None or not self._with.blobs.path(known.sha256).exists():
            known = await unbroken(self._read(step, source), self.saving)
        self._warnings += known.warnings
        return Medium(sha256=known.sha256, media_type=known.media_type)

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
        return await self._asker.ask(step, (call, *otherwise))

    async def keep(
        self, step: str, medium: Medium, *, prefix: str, role: Role = "output"
    ) -> Artifact:
        self._enter(step)
        self._stream.flush()
        self._kept[step] = None
        artifact: Artifact | None = self._journal.saved.get(step)
        if artifact is None and self._dry:
            return await self._would_keep(medium, role)
        if artifact is None:
            artifact = await unbroken(self._save(step, medium, prefix, role), self.saving)
        self._kept[step] = artifact
        return artifact

    async def progress(self, message: str, fraction: float | None = None) -> None:
        await self._asker.progress(message, fraction)

    def warn(self, message: str) -> None:
        self._warnings.append(message)

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
        usages = [outcome.usage for outcome in outcomes if outcome.usage is not None]
        return Run(
            provider=self._asker.provider,
            model=self._asker.model,
            artifacts=[asdict(kept) for kept in self._kept.values() if kept is not None],
            references=[reference for outcome in outcomes for reference in outcome.references],
            warnings=[
                *self._journal.told(self._stream.job),
                *dict.fromkeys(warning for outcome in outcomes for warning in outcome.warnings),
                *self._asker.warnings,
                *self._warnings,
            ],
            usage={"calls": usages} if len(usages) > 1 else usages[0] if usages else None,
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

    async def _read(self, step: str, source: Input) -> InputRead:
        """Find an input, and have it lie durable before anybody works with it."""
        envelope, blobs = self._request.envelope, self._with.blobs
        timeout = envelope.timeout or self._with.settings.call_timeout
        found: Found = await self._with.inputs.find(source, self._live().job, timeout)
        digest = await self._with.disk.patiently(partial(blobs.put, found.data))
        event = InputRead(
            step,
            SIEVE.text(found.source),
            digest,
            len(found.data),
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

    # ------------------------------------------------------------ keeping

    async def _would_keep(self, medium: Medium, role: Role) -> Artifact:
        """What a dry run comes to instead of a file."""
        gallery = self._with.gallery
        described = await self._with.workbench.run(lambda: gallery.describe(medium))
        what, digest, size, _ = described
        self.warn(
            f"dry run: a picture of {what.width} x {what.height} would have been saved, as {role}"
        )
        return Artifact("", role, what.kind, what.media_type, size, digest, what.width, what.height)

    async def _save(self, step: str, medium: Medium, prefix: str, role: Role) -> Artifact:
        envelope, gallery = self._request.envelope, self._with.gallery
        chosen = envelope.prefix
        if chosen is not None and role != "output":
            chosen = f"{chosen}-{role.partition('_')[0]}"
        stem, number = self._stem(chosen or prefix)
        origin = self._origin(role) if self._with.settings.provenance else None
        described = await self._with.workbench.run(lambda: gallery.describe(medium, origin))
        artifact = await self._with.disk.patiently(
            lambda: gallery.save(medium, described, self._request.folder, stem, role)
        )
        try:
            await self._stream.write(ArtifactSaved(step, number, asdict(artifact)))
        except (Conflict, HandlerError, Over):  # the log will never know of it
            await asyncio.to_thread(gallery.remove, artifact)
            raise
        return artifact

    def _origin(self, role: Role) -> Origin:
        """How a file of this job came to be, for the file itself to tell."""
        raw = self._request.raw
        made = self._asker.provider if role == "output" else None
        return {
            "task": self._request.task,
            "job": self._stream.job.id,
            "role": role,
            "provider": made,
            "model": self._asker.model if made is not None else None,
            "prompt": raw.get("prompt") if role == "output" else None,
            "seed": raw.get("seed") if made is not None else None,
        }

    def _stem(self, prefix: str) -> tuple[str, int]:
        """A name that no artifact of this job has or had, and its number: the first free one from
        where a fresh start began."""
        job = self._live().job
        number = job.number_before + 1
        while (stem := f"{prefix}-{job.id}-{number}") in self._stems:
            number += 1
        self._stems.add(stem)
        return stem, number
