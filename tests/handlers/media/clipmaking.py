"""Clips for tests, small, in every container and codec that is read."""

from __future__ import annotations

import functools
import io
from fractions import Fraction
from types import MappingProxyType
from typing import Any

import av
import numpy as np

SIZE = (64, 48)
FPS = 10

CODECS: dict[str, dict[str, str]] = {
    "libx264": {"preset": "ultrafast", "g": "6", "bf": "2"},
    "libx265": {"preset": "ultrafast", "x265-params": "log-level=none:pools=1"},
    "libvpx": {"cpu-used": "8", "deadline": "realtime"},
    "libvpx-vp9": {"cpu-used": "8", "deadline": "realtime"},
    "mpeg4": {"g": "6"},
}
FRAGMENTS = "+frag_keyframe+empty_moov"
KINDS = {
    "mp4": ("mp4", "libx264", ()),
    "mp4, index in front": ("mp4", "libx264", (("movflags", "+faststart"),)),
    "mp4 in fragments": ("mp4", "libx264", (("movflags", FRAGMENTS),)),
    "mp4 of hevc": ("mp4", "libx265", ()),
    "mov": ("mov", "mpeg4", ()),
    "webm of vp8": ("webm", "libvpx", ()),
    "webm of vp9": ("webm", "libvpx-vp9", ()),
    "webm as a stream": ("webm", "libvpx", (("live", "1"),)),
    "mkv": ("matroska", "libx264", ()),
}
"""By name: muxer, encoder, and options of the muxer."""


@functools.cache
def clip(kind: str = "mp4", frames: int = 12, sound: bool = False, shift: int = 0) -> bytes:
    """A clip of noise that moves to the right.

    Args:
        kind: a key of `KINDS`.
        frames: how many.
        sound: whether there is some.
        shift: frames at its beginning that an edit list hides.
    """
    muxer, encoder, options = KINDS[kind]
    options = (*options, ("avoid_negative_ts", "disabled"))
    made = io.BytesIO()
    with muxing(made, muxer, options) as container:
        stream: Any = container.add_stream(encoder, rate=Fraction(FPS), options=CODECS[encoder])
        stream.width, stream.height = SIZE
        stream.pix_fmt = "yuv420p"
        audio = container.add_stream("aac", rate=44100) if sound else None
        for number in range(frames):
            frame = noise(number)
            frame.pts = number - shift
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if audio:
            mux_silence(container, audio, frames / FPS)
    return made.getvalue()


def muxing(made: io.BytesIO, muxer: str, options: Any = ()) -> Any:
    again = lambda *_: io.BytesIO(made.getvalue())  # noqa: E731 -- to put the index in front
    return av.open(made, "w", format=muxer, options=dict(options), io_open=again)


def noise(number: int) -> av.VideoFrame:
    width, height = SIZE
    pixels = np.random.default_rng(1).integers(60, 255, (height, width, 3), dtype=np.uint8)
    return av.VideoFrame.from_ndarray(np.roll(pixels, number, 1)).reformat(format="yuv420p")


def mux_silence(container: Any, stream: Any, seconds: float) -> None:
    for number in range(int(seconds * 44100 / 1024) + 1):
        frame = av.AudioFrame(format="fltp", layout="mono", samples=1024)
        frame.planes[0].update(bytes(4096))
        frame.sample_rate, frame.pts = 44100, number * 1024
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


@functools.cache
def brightening(levels: tuple[int, ...]) -> bytes:
    """A clip of one grey after the other, each for a frame; none of them needs another one."""
    made = io.BytesIO()
    with muxing(made, "mp4") as container:
        options = {"preset": "ultrafast", "g": "1", "crf": "10"}
        stream: Any = container.add_stream("libx264", rate=FPS, options=options)
        stream.width, stream.height = SIZE
        for number, level in enumerate(levels):
            pixels = np.full((SIZE[1], SIZE[0], 3), level, np.uint8)
            frame = av.VideoFrame.from_ndarray(pixels).reformat(format="yuv420p")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return made.getvalue()


def turned(data: bytes, matrix: tuple[int, int, int, int]) -> bytes:
    """The same MP4 with another matrix in the header of its track: a, b, c and d."""
    at = data.index(b"tkhd") + 4 + 40
    a, b, c, d = (value << 16 for value in matrix)
    rows = (a, b, 0, c, d, 0, 0, 0, 1 << 30)
    packed = b"".join(value.to_bytes(4, "big", signed=True) for value in rows)
    return data[:at] + packed + data[at + 36 :]


TURNS = MappingProxyType(
    {"clockwise": (0, 1, -1, 0), "against it": (0, -1, 1, 0), "head down": (-1, 0, 0, -1)}
)


def decoded(data: bytes) -> int:
    """How many frames a player shows, by decoding them all without any care."""
    name = "matroska" if data[:1] == b"\x1a" else "mp4"
    with av.open(io.BytesIO(data), format=name) as container:
        return sum(1 for _ in container.decode(video=0))
