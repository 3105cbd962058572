"""Flags and environment -> one frozen `Settings`, made once and handed down.

Every setting is also an environment variable: `DARKROOM_` and its name in capitals. A flag wins.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from daemon.errors import UsageError


def _paths(value: object) -> object:
    """Several paths as one variable has them, with colons between them, as in $PATH."""
    return tuple(filter(None, value.split(os.pathsep))) if isinstance(value, str) else value


class Settings(BaseModel):
    """Everything that can be set."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    root: Path = Field(Path(), description="The folder everything lives under.")
    output_root: Path | None = Field(None, description="Where media go, if not to tmp/.")
    input_roots: Annotated[tuple[Path, ...], BeforeValidator(_paths)] = Field(
        (),
        description="Folders, besides inbox/ and the output root, whose files requests may name as "
        "inputs; with colons between them.",
    )
    provenance: bool = Field(
        True, description="Whether saved pictures say in themselves how they were made."
    )
    provider: str | None = Field(
        None, description="Who serves a request that names no provider; chosen, if not set."
    )
    image_model: str | None = Field(None, description="The model for pictures.")
    edit_model: str | None = Field(None, description="The model for edits of pictures.")
    video_model: str | None = Field(None, description="The model for videos.")
    concurrency: int = Field(16, ge=1, le=1024, description="Jobs that run at once.")
    provider_concurrency: int = Field(4, ge=1, le=1024, description="The same, for each provider.")
    max_waiting_jobs: int = Field(
        250_000, ge=1, description="Jobs that may wait or run; what is dropped beyond is refused."
    )
    max_jobs_per_hour: int = Field(
        0, ge=0, description="Jobs accepted in an hour of the clock, at the most; 0 for any."
    )
    max_attempts: int = Field(3, ge=1, le=100, description="Attempts before a job fails.")
    retry_seconds: float = Field(2.0, ge=0, description="The first wait before another attempt.")
    retry_seconds_max: float = Field(300.0, ge=0, description="The longest such wait.")
    max_crashes: int = Field(
        20, ge=1, description="Starts of one attempt, before it is blamed for the crashes."
    )
    on_ambiguous: Literal["fail", "retry"] = Field(
        "fail", description="What to do with a paid call whose answer was lost."
    )
    call_timeout: float = Field(300.0, gt=0, description="Seconds one call may take.")
    poll_seconds: float = Field(
        2.0, gt=0, description="The first wait before asking for what a provider works on."
    )
    poll_seconds_max: float = Field(15.0, gt=0, description="The longest such wait.")
    poll_timeout: float = Field(
        1800.0, gt=0, description="Seconds to wait for what a provider works on."
    )
    dependency_wait: float = Field(
        60.0,
        ge=0,
        description="Seconds to wait for a request that another names and that is not there yet.",
    )
    trust_env: bool = Field(
        False, description="Whether calls to providers use the proxies of the environment."
    )
    settle: float = Field(1.0, ge=0, description="Seconds a file that does not parse must rest.")
    scan_interval: float = Field(5.0, gt=0, description="Seconds between two looks at the inbox.")
    watch: bool = Field(True, description="Whether to be told of new files, besides looking.")
    stop_timeout: float = Field(
        300.0, ge=0, description="Seconds to wait for paid calls at a stop."
    )
    max_request_bytes: int = Field(32 << 20, ge=1, description="The largest request.")
    max_queue_bytes: int = Field(1 << 30, ge=1, description="The largest queue.")
    max_line_bytes: int = Field(1 << 20, ge=1, description="The longest line of a queue.")
    max_batch_items: int = Field(
        10_000, ge=1, description="Items of the largest batch; a queue may have more."
    )
    max_pixels: int = Field(
        40_000_000, ge=1, description="The largest picture, or frame of a clip, that is decoded."
    )
    max_clip_seconds: float = Field(600.0, gt=0, description="The longest clip that is decoded.")
    max_clip_frames: int = Field(36_000, ge=1, description="The same, in frames.")
    probe_memory_bytes: int = Field(
        1 << 30,
        ge=256 << 20,
        description="Memory of a process that decodes a clip, besides twice the clip's size.",
    )
    probe_cpu_seconds: int = Field(60, ge=1, description="Seconds that such a process may compute.")
    probe_timeout: float = Field(
        180.0, gt=0, description="Seconds that all of it may take, while the machine is busy too."
    )
    probe_concurrency: int = Field(2, ge=1, le=1024, description="Clips that are decoded at once.")
    max_media_bytes: int = Field(512 << 20, ge=1, description="The largest file of media.")
    max_answer_bytes: int = Field(
        256 << 20, ge=1, description="The largest answer of a provider, with pictures in it."
    )
    segment_bytes: int = Field(64 << 20, ge=1024, description="Where a segment of the log ends.")
    free_floor: int = Field(64 << 20, ge=0, description="Bytes that stay free on the disk.")

    @property
    def readable(self) -> tuple[Path, ...]:
        """The folders whose files requests may name as inputs."""
        return (self.inbox, self.output, *self.input_roots)

    @property
    def inbox(self) -> Path:
        return self.root / "inbox"

    @property
    def events(self) -> Path:
        return self.root / "events"

    @property
    def blobs(self) -> Path:
        return self.events / "blobs"

    @property
    def private(self) -> Path:
        """What the log could rebuild: the lock, staging."""
        return self.root / ".darkroom"

    @property
    def index(self) -> Path:
        return self.private / "index.sqlite"

    @property
    def lock(self) -> Path:
        return self.private / "lock"

    @property
    def output(self) -> Path:
        return self.output_root if self.output_root is not None else self.root / "tmp"


_SEEDS = {
    "output_root": "MEDIA_GENERATION_OUTPUT_ROOT",
    "provider": "OPENCLAW_MEDIA_PROVIDER",
    "image_model": "OPENCLAW_MEDIA_IMAGE_MODEL",
    "edit_model": "OPENCLAW_MEDIA_EDIT_MODEL",
    "video_model": "OPENCLAW_MEDIA_VIDEO_MODEL",
}


def load_settings(
    flags: Mapping[str, object], environment: Mapping[str, str] | None = None
) -> Settings:
    """Settings of flags over environment over defaults.

    Args:
        flags: by name; those that are None were not given.
        environment: `os.environ`, if left out.

    Raises:
        UsageError: a value is no good; the message names the flag or the variable.
    """
    environment = os.environ if environment is None else environment
    values: dict[str, object] = {
        name: environment[variable_of(name)]
        for name in Settings.model_fields
        if environment.get(variable_of(name))
    }
    values |= {name: value for name, value in flags.items() if value is not None}
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        raise UsageError(_faults(error, flags)) from None
    try:
        root = settings.root.expanduser().resolve()
        output = settings.output_root
        if output is not None:  # relative to the root, as every path of ours
            output = (root / output.expanduser()).resolve()
        roots = tuple((root / one.expanduser()).resolve() for one in settings.input_roots)
    except RuntimeError as error:  # no such user as in ~somebody
        raise UsageError(str(error).lower()) from None
    update = {"root": root, "output_root": output, "input_roots": roots}
    return settings.model_copy(update=update)


def variable_of(name: str) -> str:
    """The environment variable of a setting: those that the scripts had before keep their names."""
    return _SEEDS.get(name, f"DARKROOM_{name.upper()}")


def _faults(error: ValidationError, flags: Mapping[str, object]) -> str:
    lines = []
    for one in error.errors(include_url=False):
        name = str(one["loc"][0])
        given = flags.get(name) is not None
        source = f"--{name.replace('_', '-')}" if given else f"${variable_of(name)}"
        lines.append(f"{source}: {one['msg'].lower()}, got {one['input']!r}")
    return "; ".join(lines)
