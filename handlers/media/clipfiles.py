"""What holds a clip, told by its first bytes and its outermost parts alone. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from handlers.answers.encoded import sniff
from handlers.contract import ClipDescription, HandlerError, Held
from handlers.media import boxes, ebml

_BOXES = ("video/mp4", "video/quicktime")
_EBML = "video/webm"


@dataclass(frozen=True, slots=True)
class Container:
    """A format of files that hold clips."""

    media_type: str
    extension: str
    demuxer: str
    """FFmpeg's name for what reads it."""


def container_of(data: Held) -> Container:
    """What holds a clip.

    Raises:
        HandlerError: `unreadable_media`: it is no MP4, QuickTime, WebM or Matroska.
    """
    media_type = sniff(data)
    match media_type, ebml.doctype(data) if media_type == _EBML else None:
        case "video/mp4", _:
            return Container("video/mp4", ".mp4", "mp4")
        case "video/quicktime", _:
            return Container("video/quicktime", ".mov", "mov")
        case _, "webm":
            return Container("video/webm", ".webm", "matroska")
        case _, "matroska":
            return Container("video/x-matroska", ".mkv", "matroska")
    what = f"it is {media_type}" if media_type else "it begins as nothing that is known"
    raise unreadable(f"{what}, and no MP4, MOV, WebM or MKV")


def is_clip(head: bytes) -> bool:
    """Whether a file holds a clip, by how it begins."""
    return (sniff(head) or "").startswith("video/")


def looks_cut(data: Held) -> bool:
    """Whether a clip ends before its end; False for what is no clip."""
    media_type = sniff(data)
    if media_type in _BOXES:
        return not boxes.is_whole(data)
    return media_type == _EBML and not ebml.is_whole(data)


def described_by_container(data: Held) -> ClipDescription:
    """What a clip says of itself, for where nothing that decodes clips is installed. Nobody looked
    whether it is true, and frames that an edit list hides are counted too.

    Raises:
        HandlerError: `unreadable_media`: it is no clip, or is cut short; `not_supported`: it does
            not say everything in a way that can be read here.
    """
    container = container_of(data)
    if looks_cut(data):
        raise unreadable("it is cut short")
    found = None
    if container.media_type in _BOXES:
        found = boxes.described(data, container.media_type, container.extension)
    if found is None:
        raise HandlerError(
            "not_supported",
            f"this {container.extension} cannot be looked into here",
            hints=['Install what reads clips: pip install "darkroomd[video]"; then use retry.'],
        )
    return found


def unreadable(why: str) -> HandlerError:
    """What is no good clip, and why."""
    return HandlerError(
        "unreadable_media",
        f"what the provider sent is no clip that can be used: {why}",
        hints=["Retry asks the provider for another one."],
    )
