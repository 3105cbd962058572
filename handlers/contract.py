"""What the two packages agree on: the whole of what a handler may know of darkroom.

A *handler* does one task. It is handed a `Context` and asks it for what it needs; the daemon
journals each ask, so a handler that is run again after a crash gets its recorded outcomes back.
What a *provider* is, who answers those asks, stands in `handlers.wire`.

Nothing here imports the daemon, and nothing here has a side effect.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from mmap import mmap
from types import MappingProxyType
from typing import Any, ClassVar, Literal, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, Field

Json = Any
"""A parsed JSON value: None, bool, int, float, str, list or dict."""

Held = bytes | mmap
"""Bytes in memory, or in a file that is looked into as if they were: sliced, sought in, counted."""

ErrorCode = Literal[
    # the request itself
    "invalid_json",
    "invalid_request",
    "unknown_task",
    "unreadable_request",
    "limit_exceeded",
    "duplicate_id",
    # its inputs and outputs
    "file_not_found",
    "forbidden_path",
    "forbidden_address",
    "too_large",
    "unreadable_media",
    # configuration and providers
    "config_missing",
    "config_invalid",
    "provider_not_found",
    "not_supported",
    "provider_auth",
    "provider_quota",
    "provider_rejected",
    "content_refused",
    "provider_rate_limited",
    "provider_unavailable",
    "provider_timeout",
    "provider_failed",
    "ambiguous_submit",
    "no_media",
    "download_failed",
    # the job
    "dependency_failed",
    "deadline_exceeded",
    "cancelled",
    "disk_full",
    "internal",
]
"""The closed set of error codes; `docs/protocol.md` says what each means."""

Role = Literal["output", "mask", "prepared_input", "poster"]
Kind = Literal["image", "video"]

Made = TypeVar("Made")


class HandlerError(Exception):
    """A failure that a handler or a provider can name. It becomes the `error` of the result.

    Args:
        code: one of the protocol's error codes.
        message: what happened, for a person.
        hints: what to do next, one sentence each.
        retryable: whether trying again may help; None means the code's own default.
        faults: what the provider complained about: a JSON pointer into the request, as "/size",
            and what is wrong there.
        http: status and request id of the provider's answer, where there was one.
        wait: seconds after which the provider wants to be asked again, where it said so.
    """

    def __init__(
        self,
        code: ErrorCode,
        message: str,
        *,
        hints: Sequence[str] = (),
        retryable: bool | None = None,
        faults: Sequence[tuple[str, str]] = (),
        http: Mapping[str, Json] | None = None,
        wait: float | None = None,
    ) -> None:
        super().__init__(message)
        self.code: ErrorCode = code
        self.message = message
        self.hints = tuple(hints)
        self.retryable = retryable
        self.faults = tuple(faults)
        self.http = http
        self.wait = wait


# ---------------------------------------------------------------- values


class Earlier(BaseModel):
    """An artifact of another request, named as an input: `{"from": "cat.json", "artifact": 0}`."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    request: str = Field(alias="from", min_length=1, max_length=1000)
    """The other request's name, in the same folder of the inbox."""
    artifact: int = Field(0, ge=0)
    """Which of its artifacts of that role, from 0."""
    role: Role = "output"


Input = str | Earlier
"""What a request may name as an input: a path under an allowed root, an https address, a data URL,
or an artifact of another request."""


@dataclass(frozen=True, slots=True)
class Medium:
    """One picture or clip on its way: its bytes, the digest under which they already lie, or the
    address at which a provider has them.

    A handler makes one from bytes, a provider from bytes or an address. What `Context.ask` and
    `Context.read` give back holds a digest only: the bytes are durable by then, and `Context.keep`
    and `Context.work` take them from there.
    """

    data: bytes | None = None
    sha256: str | None = None
    media_type: str | None = None
    """What the sender calls it. A hint: the bytes decide."""
    url: str | None = None
    """Where it is to be fetched: an address, or a path of the provider's own. The key goes along
    to the provider's own origin, and nowhere else."""
    recipe: str | None = None
    """Of what it was made here, and how: this tells one call from another, and not the bytes,
    which the next version of an encoder may write otherwise for the same picture."""


@dataclass(frozen=True, slots=True)
class Description:
    """What a decoder found in some bytes."""

    kind: Kind
    media_type: str
    extension: str
    """With the dot, lower case."""
    width: int
    """In pixels, as is `height`."""
    height: int


@dataclass(frozen=True, slots=True)
class ClipDescription(Description):
    """What a decoder found in a clip. Its sides are those of what is shown, after any rotation."""

    seconds: float
    """How long its pictures last, which may be less than its sound."""
    fps: float
    """Frames a second, on average."""
    frames: int
    codec: str
    """Of its pictures, as FFmpeg calls it: "h264"."""
    has_audio: bool


@dataclass(frozen=True, slots=True)
class Artifact:
    """One saved file of a job; a row of the result's `artifacts`."""

    path: str
    """Relative to the root; absolute where the output root lies outside of it."""
    role: Role
    kind: Kind
    media_type: str
    bytes: int
    sha256: str
    width: int
    height: int
    # Of a clip only:
    seconds: float | None = None
    fps: float | None = None
    frames: int | None = None
    codec: str | None = None
    has_audio: bool | None = None
    verified: bool | None = None
    """Whether it was decoded here; else all of this is what the file says of itself."""

    def to_json(self) -> dict[str, Json]:
        """The row as it stands in events and results: what a picture does not have is left out."""
        return {name: value for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True, slots=True)
class Call:
    """What a handler wants of a provider.

    A handler fills the upper part; the daemon adds the lower part from the request's envelope,
    so that a handler knows nothing of configuration.
    """

    operation: str
    """What is to be done, by the name of a task that does just that: "generate_image"."""
    fields: Mapping[str, Json] = field(default_factory=dict)
    """What is for the provider of the task's fields, and only what the caller gave. All of it is
    sent, but for what says to whoever phrases the call how: "reference_key", "image_field". So
    nothing stands here that speaks to darkroom."""
    inputs: Mapping[str, Sequence[Medium]] = field(default_factory=dict)
    """The pictures that go along, by the name of their field: "image", "mask",
    "reference_images"; of a clip "image" is the first frame, and "last_frame" the last. A mask is
    of 8 bits, 255 where the picture is to be changed; each provider converts it to its own
    rule."""

    model: str | None = None
    endpoint: str | None = None
    extra: Mapping[str, Json] = field(default_factory=dict)
    """Merged last into the provider's body, untouched."""
    idempotency_key: str | None = None
    """The same one each time this call is sent; for a provider that is `idempotent`."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a provider answered."""

    media: tuple[Medium, ...] = ()
    """There may be none where the request has `download: false`: then the references tell where
    they are."""
    model: str | None = None
    """The model that answered, where the provider says it or it was chosen for the call."""
    usage: Mapping[str, Json] | None = None
    warnings: tuple[str, ...] = ()
    references: tuple[Mapping[str, Json], ...] = ()
    """Media that could not be brought home, or were not to be, each with its reference and the
    reason."""
    left_out: tuple[str, ...] = ()
    """Inputs of the call, as "mask", that the provider does not take and that did not go along. A
    provider only leaves out what a handler can make up for."""
    cost: Mapping[str, Json] | None = None
    """What it cost, as the daemon wrote it down; a provider tells of that in `usage`."""


# ---------------------------------------------------------------- handlers


class TaskRequest(BaseModel):
    """The fields of one task. Each handler file has one, called `Request`.

    Strict: no text for a number, and no field that is not named. What every task shares
    (provider, out_dir, ...) is the daemon's envelope and never stands here.
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    ALIASES: ClassVar[Mapping[str, str]] = MappingProxyType({})
    """Other spellings of a field: alias -> name."""
    EXAMPLE: ClassVar[Mapping[str, Json]] = MappingProxyType({})
    """A request that works, for the schema and the documentation."""

    @property
    def makes(self) -> Kind:
        """What is wanted: this chooses the provider where the request names none."""
        return "image"

    @property
    def needs_download(self) -> str | None:
        """Why what a provider made has to come home, as a sentence's end; None where it may stay
        there. A handler that works on what comes back says so: then `download: false` is
        refused."""
        return None

    def faults(self) -> Iterable[tuple[str, str]]:
        """What is wrong with the fields as they stand together: each time the name of a field, and
        what about it."""
        return ()


class Context(Protocol):
    """What a handler may ask the daemon for.

    Each step has a name that the handler chooses, the same at every run and used once: the log
    answers by that name when the handler is run again. The order of steps does not matter, and
    several may be under way at once.
    """

    max_pixels: int
    """Width times height of the largest picture that may be decoded."""

    async def read(self, step: str, source: Input, *, text: bool = False) -> Medium:
        """Have an input at hand: a file, an address, or an artifact of another request.

        It is read once: what is given back is the same at every run of this job, whatever becomes
        of the file meanwhile. Its bytes are as they were found, and nobody looked into them. (A
        data URL is in the request already; `handlers.media.inputs` takes it from there.)

        Args:
            step: the name of this step.
            source: what the request names.
            text: whether a page or another text is of use as well: else an address that answers
                with one has failed.

        Raises:
            HandlerError: `file_not_found`, `forbidden_path`, `forbidden_address`, `too_large`,
                `download_failed`, `dependency_failed`.
        """
        ...

    async def head(self, medium: Medium) -> bytes:
        """The first bytes of a medium, as many as tell what it is: 64, or all where there are
        fewer."""
        ...

    async def work(self, function: Callable[..., Made], *media: Medium) -> Made:
        """Run a function in a worker thread, with the bytes of some media as its arguments.

        It is no step: it is run again whenever the handler is, so it has no effects and always
        gives the same.
        """
        ...

    async def ask(self, step: str, call: Call, *otherwise: Call) -> Outcome:
        """Have the provider answer a call, once.

        Args:
            step: the name of this step.
            call: what is wanted.
            otherwise: the same by other operations: the first that the provider can do is asked
                for.

        Raises:
            HandlerError: the provider refused or failed, in this run or in a recorded one.
        """
        ...

    async def keep(
        self, step: str, medium: Medium, *, prefix: str, role: Role = "output"
    ) -> Artifact:
        """Decode a medium under limits, save it whole, and count it among the job's artifacts. A
        clip gets a second one beside it, a picture that stands for it: the `poster`, by a step of
        its own that is called "<step> poster".

        Args:
            step: the name of this step.
            medium: what to save.
            prefix: how the file's name begins where the request does not say.
            role: what the file is to the user.

        Raises:
            HandlerError: `unreadable_media` where it is neither a picture nor a clip.
        """
        ...

    async def progress(self, message: str, fraction: float | None = None) -> None:
        """Tell those who watch how far it is; `fraction` is from 0 to 1. At most one every few
        seconds is written, so call it as often as you like."""
        ...

    def warn(self, message: str) -> None:
        """Add a sentence to the result's `warnings`."""
        ...

    def refer(self, reference: Mapping[str, Json]) -> None:
        """Add a medium that could not be brought home to the result's `references`: its reference
        as it was given, and the reason."""
        ...


@dataclass(frozen=True, slots=True)
class Handler:
    """One task: its fields and what it does. Made from a module by `find_handlers`."""

    task: str
    request: type[TaskRequest]
    run: Callable[[Any, Context], Awaitable[None]]
    summary: str
    """The first paragraph of the module's docstring."""
