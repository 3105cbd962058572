"""What is made and swept before a daemon serves a root."""

from __future__ import annotations

from pathlib import Path

from daemon.blobs import BlobStore
from daemon.errors import UsageError
from daemon.eventlog import EventLog
from daemon.events import ArtifactSaved
from daemon.gallery import Gallery
from daemon.settings import Settings
from daemon.state import State


def sweep(state: State, log: EventLog, blobs: BlobStore, gallery: Gallery) -> None:
    """Remove what a crash left between a file and the event that was to tell of it."""
    blobs.sweep()
    jobs = [state.jobs[job] for job in state.open_jobs]
    steps = [log.get(sequence).event for job in jobs for sequence in job.journal]
    recorded = {step.artifact["path"] for step in steps if isinstance(step, ArtifactSaved)}
    gallery.sweep({job.id: job.number_before for job in jobs}, recorded)


def make_folders(settings: Settings) -> None:
    """Make what a root needs and does not have.

    Raises:
        UsageError: it cannot be made there.
    """
    for folder in (
        settings.inbox,
        settings.blobs,
        settings.private / "staging",
        settings.output / "images",
        settings.output / "videos",
    ):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"{folder} cannot be made: {(error.strerror or '').lower()}") from None


def clean_staging(settings: Settings) -> tuple[Path, Path]:
    """Empty the folders where files are made before they are put in place.

    Returns:
        The one on the inbox's filesystem, and the one on the output root's.
    """
    staging = settings.private / "staging"
    for_results = _staging_for(settings.inbox, staging)
    for_media = _staging_for(settings.output, staging)
    for folder in {staging, for_results, for_media}:
        folder.mkdir(exist_ok=True)
        for left in folder.iterdir():
            left.unlink()
    return for_results, for_media


def _staging_for(target: Path, staging: Path) -> Path:
    """A file can only be renamed within its filesystem."""
    return staging if staging.stat().st_dev == target.stat().st_dev else target / ".darkroom"
