"""Contact sheets: a picture of all that a batch made, labelled by prompt."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from daemon.eventlog import EventLog
from daemon.events import ItemRejected, JobAccepted, JobEnded
from daemon.exchange import Workbench
from daemon.gallery import Gallery
from daemon.jobs import Job
from handlers.contract import Artifact, Json, Medium

PREFIX = "summary"

_SHOWN = ("output", "poster", "mask", "prepared_input")
"""Which of an item's artifacts stands for it: the first of these roles that is a picture."""


class Cell(NamedTuple):
    """What a sheet shows of one item."""

    picture: bytes | None
    label: str
    status: str


Draw = Callable[[Iterable[Cell], int], bytes]
"""Cells, and how many there are -> a PNG."""


class Sheets:
    """Makes contact sheets.

    Args:
        root: what the paths of artifacts are relative to.
        log: what became of items.
        gallery: where they are saved.
        workbench: where they are drawn.
        draw: how.
    """

    def __init__(
        self, root: Path, log: EventLog, gallery: Gallery, workbench: Workbench, draw: Draw
    ) -> None:
        self._root = root
        self._log = log
        self._gallery = gallery
        self._workbench = workbench
        self._draw = draw

    async def saved(
        self, job: Job, items: Sequence[Job], folder: str | None, prefix: str | None
    ) -> Artifact:
        """Draw a sheet and save it.

        Args:
            job: the batch's.
            items: all of which have ended.
            folder: where, as for every artifact.
            prefix: how its name begins.

        Raises:
            HandlerError, OSError: as for `Gallery.save`.
        """
        stem = f"{prefix or PREFIX}-{job.id}-{job.number + 1}"

        def make() -> Artifact:
            medium = Medium(self._draw(self._cells(items), len(items)))
            described = self._gallery.describe(medium)
            return self._gallery.save(medium, described, folder, stem, "output")

        return await self._workbench.run(make)

    def _cells(self, items: Sequence[Job]) -> Iterator[Cell]:
        for item in items:
            ending = self._log.get(item.last).event
            accepted = self._log.get(item.first).event
            artifacts = ending.artifacts if isinstance(ending, JobEnded) else ()
            yield Cell(self._picture(artifacts), f"{item.item} {_label(accepted)}", item.status)

    def _picture(self, artifacts: Sequence[Mapping[str, Json]]) -> bytes | None:
        pictures = [one for one in artifacts if one["kind"] == "image"]
        if not pictures:
            return None
        first = min(pictures, key=lambda one: _SHOWN.index(one["role"]))
        try:
            return Path(self._root, first["path"]).read_bytes()
        except OSError:  # somebody took it away
            return None


def _label(accepted: object) -> str:
    """What an item is known by: its prompt, its id or its task."""
    if not isinstance(accepted, JobAccepted | ItemRejected) or not isinstance(
        accepted.request, Mapping
    ):
        return ""
    request = accepted.request
    return str(request.get("prompt") or request.get("id") or accepted.task or "")
