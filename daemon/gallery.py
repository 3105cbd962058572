"""Artifacts: media saved whole under the output root, durable before anybody is told.

A file's name holds its job's id, so what already has that name is what a crash left of the same
job before the log knew of it, and may be replaced. Nothing else is ever overwritten.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import sys
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from daemon.blobs import BlobStore
from daemon.files import folder_beneath, publish, write_durable
from handlers.contract import (
    Artifact,
    ClipDescription,
    Description,
    HandlerError,
    Held,
    Json,
    Medium,
    Role,
)

Describe = Callable[[Held], Description]

Origin = Mapping[str, Json]
"""How a file came to be: task, job, provider, model, prompt, seed; None where it does not apply."""

Sign = Callable[[bytes, Description, Origin], bytes]
"""A file that tells its origin itself, with the same picture; or as it was, where it cannot."""

_NAME = re.compile(r"-(?P<job>[0-9A-Z]{26})-(?P<number>\d+)\.[a-z0-9]+$")

FOLDERS = {"image": "images", "video": "videos"}
ROLE_FOLDERS: Mapping[Role, str] = {
    "mask": "images/masks",
    "prepared_input": "images/outpaint_inputs",
    "poster": "images/posters",
}
"""Where what is no output goes."""


class Described(NamedTuple):
    """A medium that was looked at, and is ready to be saved."""

    description: Description
    sha256: str
    size: int
    """In bytes."""
    data: bytes | None = None
    """What to save instead of the medium itself."""
    verified: bool = True
    """Whether it was decoded; else the description is what a clip says of itself."""


class Gallery:
    """The output root. Its methods read and write the disk, and any thread may call them.

    Args:
        root: what paths are told relative to.
        output: the output root; must exist.
        staging: where files are made, on the output root's filesystem.
        blobs: where media lie that a provider answered with.
        describe: the decoder: what some bytes are, under limits.
        sign: has a file tell its origin; none does, if left out.
    """

    def __init__(
        self,
        root: Path,
        output: Path,
        staging: Path,
        blobs: BlobStore,
        describe: Describe,
        sign: Sign | None = None,
    ) -> None:
        self._root = root
        self._output = output
        self._staging = staging
        self._blobs = blobs
        self._describe = describe
        self._sign = sign

    def describe(self, medium: Medium, origin: Origin | None = None) -> Described:
        """Decode a picture: what it is, and what of it is to be saved.

        Args:
            medium: with its bytes, or the digest under which they lie.
            origin: what the file is to tell of how it came to be, if anything.

        Raises:
            HandlerError: `unreadable_media`.
        """
        with self._blobs.held(medium) as held:
            description = self._describe(held)
            data = held[:]  # only now: what is no picture is never read to its end
        signed = data
        if self._sign is not None and origin is not None:
            signed = self._sign(data, description, origin)
        if signed != data:
            digest = hashlib.sha256(signed).hexdigest()
            return Described(description, digest, len(signed), signed)
        digest = medium.sha256 or hashlib.sha256(data).hexdigest()
        return Described(description, digest, len(data))

    def save(
        self,
        medium: Medium,
        described: Described,
        folder: str | None,
        stem: str,
        role: Role,
    ) -> Artifact:
        """Put a medium in its place, durable.

        Args:
            medium: what to save.
            described: what `describe` said of it.
            folder: inside the output root, or None for the one of its kind.
            stem: the file's name without its extension.
            role: what it is to the user.

        Raises:
            HandlerError: `forbidden_path`: the way there is no folder, or a link.
            OSError: it could not be written.
        """
        description, digest, size, data, _ = described
        usual = ROLE_FOLDERS.get(role, FOLDERS[description.kind])
        folders = tuple((usual if folder is None else folder).split("/"))
        parts = tuple(part for part in (*folders, stem + description.extension) if part)
        staged = self._stage(medium if data is None else Medium(data), stem)
        try:
            self._output.mkdir(parents=True, exist_ok=True)  # somebody may have removed it
            publish(staged, self._output, parts, make=True)
            with folder_beneath(self._output, parts[:-1]) as descriptor:
                os.fsync(descriptor)
        except NotADirectoryError as error:
            raise _forbidden("/".join(folders)) from error
        finally:
            staged.unlink(missing_ok=True)
        return Artifact(
            path=self._told(self._output.joinpath(*parts)),
            role=role,
            kind=description.kind,
            media_type=description.media_type,
            bytes=size,
            sha256=digest,
            width=description.width,
            height=description.height,
            **_of_clip(described),
        )

    def remove(self, artifact: Artifact) -> None:
        """Take away a file that the log will never know of."""
        (self._root / artifact.path).unlink(missing_ok=True)

    def sweep(self, started: Mapping[str, int], recorded: Collection[str]) -> int:
        """Remove what a crash left: files of jobs that are run again, saved but not recorded.

        Args:
            started: jobs that are run again, and the highest number of their earlier rounds.
            recorded: the paths that the log knows of them.

        Returns:
            How many were removed.
        """
        removed = 0
        for folder, _, files in os.walk(self._output) if started else ():
            for file in files:
                name, path = _NAME.search(file), Path(folder, file)
                if name is None or self._told(path) in recorded:
                    continue
                if int(name["number"]) > started.get(name["job"], sys.maxsize):
                    path.unlink(missing_ok=True)
                    removed += 1
        return removed

    def _stage(self, medium: Medium, stem: str) -> Path:
        staged = self._staging / f"{stem}-{os.urandom(4).hex()}"
        if medium.data is not None:
            write_durable(staged, medium.data)
            return staged
        blob = self._blobs.path(medium.sha256 or "")
        try:
            os.link(blob, staged)  # the bytes are durable already: no second write
        except OSError:
            with blob.open("rb") as source, staged.open("xb") as target:
                shutil.copyfileobj(source, target, 1 << 20)
                target.flush()
                os.fsync(target.fileno())
        return staged

    def _told(self, path: Path) -> str:
        try:
            return path.relative_to(self._root).as_posix()
        except ValueError:
            return path.as_posix()


def _of_clip(described: Described) -> dict[str, Any]:
    """What an artifact says besides, if it is a clip."""
    clip = described.description
    if not isinstance(clip, ClipDescription):
        return {}
    return {
        "seconds": clip.seconds,
        "fps": clip.fps,
        "frames": clip.frames,
        "codec": clip.codec,
        "has_audio": clip.has_audio,
        "verified": described.verified,
    }


def _forbidden(folder: str) -> HandlerError:
    return HandlerError(
        "forbidden_path",
        f"{folder} cannot be saved to: a link or a file is on the way",
        hints=["Choose another out_dir, or make it a real folder."],
    )
