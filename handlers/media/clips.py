"""What a clip is: read and decoded under limits by PyAV, from bytes alone.

FFmpeg reads some hundred formats, and some of them fetch what they name. So the container is told
by its head, and FFmpeg is told which one it is: nothing is guessed, nothing else is opened, and
only codecs that clips are made with are ever run. That still is a lot of C on hostile bytes: call
these functions in a process that has little to lose (`handlers.media.inspecting`).
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from handlers.contract import ClipDescription, HandlerError, Held
from handlers.media.clipfiles import container_of, looks_cut, unreadable

CODECS = ("h264", "hevc", "av1", "vp8", "vp9", "mpeg4", "prores")
"""Of pictures, as FFmpeg calls them."""

MOST_STREAMS = 16

_DECODERS = (*CODECS, "libdav1d", "aac", "mp3", "mp3float", "opus", "vorbis", "flac", "alac", "ac3")
_STRICT = {
    "codec_whitelist": ",".join(_DECODERS),
    "protocol_whitelist": "none",
    "enable_drefs": "0",  # a QuickTime file may name others
    "max_streams": str(MOST_STREAMS + 1),
    "threads": "1",
}
_TITLES: dict[str, Any] = (
    {"metadata_errors": "replace"} if int(av.__version__.partition(".")[0]) < 19 else {}
)
"""A title may be in any encoding; from PyAV 19 on it may be so without being told."""
_ROUGH_END = 0.5, 0.02
"""Seconds, and part of the length, by which a stream may end before it said it would."""

_NEVER = 1 << 62  # ticks


@dataclass(frozen=True, slots=True)
class Limits:
    """Beyond these a clip is `too_large`."""

    pixels: int = 40_000_000
    """Width times height of one frame."""
    seconds: float = 600.0
    frames: int = 36_000


def describe_clip(data: Held, limits: Limits) -> ClipDescription:
    """Read a clip from its first to its last packet, decode its end, and say what it is.

    Args:
        data: its bytes.
        limits: judged by what it says of itself before, and by what is there after.

    Raises:
        HandlerError: `too_large`, or `unreadable_media` where it is no clip, is cut short or
            damaged, or its codec is none of `CODECS`.
    """
    container = container_of(data)
    with opened(data) as clip:
        stream = pictures_of(clip, limits)
        reading = _read_through(clip, stream, limits)
        if _ends_early(clip, reading.seconds, len(data)):
            raise unreadable("it is cut short")
        last = _last_frame(stream, reading, limits)
        turned = last.rotation % 180 != 0
        seconds = float(reading.span * (stream.time_base or 0))
        seconds = seconds or reading.frames / float(stream.average_rate or 1)
        return ClipDescription(
            kind="video",
            media_type=container.media_type,
            extension=container.extension,
            width=last.height if turned else last.width,
            height=last.width if turned else last.height,
            seconds=round(seconds, 3),
            fps=round(float(stream.average_rate or reading.frames / seconds), 3),
            frames=reading.frames,
            codec=_codec_of(stream),
            has_audio=bool(clip.streams.audio),
        )


# ---------------------------------------------------------------- opening


def _refuse(url: str, _flags: int, _options: Any) -> Any:
    raise PermissionError(f"a clip names another file, {url!r}")


class _File:
    """Bytes as FFmpeg reads a file, without a copy of all of them."""

    def __init__(self, data: Held) -> None:
        self._data = data
        self._at = 0

    def read(self, size: int) -> bytes:
        part = self._data[self._at : self._at + size]
        self._at += len(part)
        return part

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        begins = {io.SEEK_CUR: self._at, io.SEEK_END: len(self._data)}.get(whence, 0)
        self._at = max(0, begins + offset)
        return self._at

    def tell(self) -> int:
        return self._at


@contextmanager
def opened(data: Held) -> Iterator[InputContainer]:
    """A clip that FFmpeg reads; what goes wrong with it meanwhile is told in words."""
    demuxer = container_of(data).demuxer
    if looks_cut(data):
        raise unreadable("it is cut short")
    try:
        with av.open(
            _File(data),
            "r",
            format=demuxer,
            options=_STRICT,
            io_open=_refuse,
            **_TITLES,
        ) as clip:
            yield clip
    except MemoryError:
        raise HandlerError("too_large", "the clip needs more memory than it may have") from None
    except (av.FFmpegError, ValueError, ArithmeticError, PermissionError) as error:
        raise unreadable(str(getattr(error, "strerror", None) or error)) from None


def pictures_of(clip: InputContainer, limits: Limits) -> VideoStream:
    """The stream with the pictures; a cover, which is a still picture, is none."""
    if len(clip.streams) > MOST_STREAMS:
        raise HandlerError("too_large", f"there are more than {MOST_STREAMS} streams in it")
    found = [one for one in clip.streams.video if not one.disposition & Disposition.attached_pic]
    if not found:
        raise unreadable("there are no moving pictures in it")
    stream = found[0]
    codec = _codec_of(stream)
    if codec not in CODECS:
        raise unreadable(f"its codec is {codec}, and none of {', '.join(CODECS)}")
    context = stream.codec_context
    judge_size(context.width, context.height, limits)
    seconds = max(
        float((stream.duration or 0) * (stream.time_base or 0)),
        (clip.duration or 0) / av.time_base,
    )
    _judge_length(stream.frames, seconds, limits)
    context.thread_count = 1
    context.options = {"max_pixels": str(limits.pixels)}
    return stream


def _codec_of(stream: VideoStream) -> str:
    context: Any = stream.codec_context  # there is none for what FFmpeg cannot decode
    return context.codec.canonical_name if context else "unknown"


def judge_size(width: int, height: int, limits: Limits) -> None:
    if width * height > limits.pixels:
        raise HandlerError(
            "too_large", f"frames of {width} x {height} pixels are more than {limits.pixels} in all"
        )


def _judge_length(frames: int, seconds: float, limits: Limits) -> None:
    if frames > limits.frames:
        raise HandlerError("too_large", f"{frames} frames are more than {limits.frames}")
    if seconds > limits.seconds:
        raise HandlerError("too_large", f"{seconds:g} s are more than {limits.seconds:g}")


# ---------------------------------------------------------------- reading


@dataclass(slots=True)
class _Reading:
    """What all packets of a clip told."""

    frames: int = 0
    """That are shown."""
    begins: int = _NEVER
    """In ticks of the stream, as are `ends` and `last`."""
    ends: int = -_NEVER
    last: int = -_NEVER
    """When the last frame is shown."""
    seconds: float = 0.0
    """Until the last packet of any stream ends."""
    tail: list[Packet[Any]] = field(default_factory=list)
    """From the last frame that needs no other one."""

    @property
    def span(self) -> int:
        return self.ends - self.begins

    def count(self, packet: Packet[Any], codec: str) -> None:
        """Take in a packet of pictures."""
        if packet.is_keyframe:
            self.tail = []
        self.tail.append(packet)
        at = packet.pts if packet.pts is not None else packet.dts
        if packet.is_discard or at is None or _is_hidden(packet, codec):
            return
        self.frames += 1
        self.begins = min(self.begins, at)
        self.ends = max(self.ends, at + (packet.duration or 0))
        self.last = max(self.last, at)


def _read_through(clip: InputContainer, stream: VideoStream, limits: Limits) -> _Reading:
    """Every packet there is."""
    reading, codec = _Reading(), _codec_of(stream)
    for packet in clip.demux():
        if packet.size == 0:  # the sign of an end
            continue
        if packet.is_corrupt:
            raise unreadable("it is cut short")
        ends = (packet.pts or packet.dts or 0) + (packet.duration or 0)
        reading.seconds = max(reading.seconds, float(ends * packet.time_base))
        if packet.stream_index == stream.index:
            reading.count(packet, codec)
            _judge_length(reading.frames, float(reading.span * (stream.time_base or 0)), limits)
    if not reading.frames:
        raise unreadable("there is no frame in it")
    return reading


def _is_hidden(packet: Packet[Any], codec: str) -> bool:
    """Whether a frame is there for others to refer to and is never shown, as VP8 has them (RFC
    6386, section 9.1); newer codecs have them in one packet with one that is shown."""
    return codec == "vp8" and not memoryview(packet)[0] & 0x10


def _ends_early(clip: InputContainer, seconds: float, size: int) -> bool:
    """Whether the index names bytes that are not there, or the last packet is far from the end."""
    for stream in clip.streams:
        if any(entry.pos + entry.size > size for entry in stream.index_entries):
            return True
    rough, part = _ROUGH_END
    promised = (clip.duration or 0) / av.time_base
    return "matroska" in clip.format.name and seconds < promised * (1 - part) - rough


def _last_frame(stream: VideoStream, reading: _Reading, limits: Limits) -> VideoFrame:
    """Decode the end of a clip."""
    last: VideoFrame | None = None
    for packet in (*reading.tail, None):
        for frame in stream.codec_context.decode(packet):
            judge_size(frame.width, frame.height, limits)
            if last is None or (frame.pts or 0) >= (last.pts or 0):
                last = frame
    if last is None or last.is_corrupt or (last.pts is not None and last.pts < reading.last):
        raise unreadable("its last frames cannot be decoded")
    return last
