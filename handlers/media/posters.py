"""A picture that stands for a clip, where clips cannot be played: in a list, on a sheet."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterable

import av
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation
from av.video.stream import VideoStream
from PIL import Image

from handlers.contract import Held
from handlers.media.clipfiles import unreadable
from handlers.media.clips import Limits, judge_size, opened, pictures_of

_AT = 0.1  # of the length: many clips begin dark, or fade in
_MOST_LOOKED_AT = 300  # frames, for one that is not black
_SMALL = 64, 36  # pixels, in which blackness is judged
_BRIGHTEST = 0.02  # of these pixels: stars make no black night
_BLACK = 40  # of 255
_QUALITY = 90
_TURNS = {
    90: Image.Transpose.ROTATE_90,
    180: Image.Transpose.ROTATE_180,
    270: Image.Transpose.ROTATE_270,
}
"""By degrees against the clock."""


def poster_of(data: Held, limits: Limits) -> bytes:
    """A frame of a clip, as a JPEG, upright: the first that is not black from a tenth of its length
    on, or the one at a tenth where all are.

    Args:
        data: the clip's bytes.
        limits: as for `describe_clip`.

    Raises:
        HandlerError: as `describe_clip` does.
    """
    with opened(data) as clip:
        stream = pictures_of(clip, limits)
        begins = _sought(clip, stream)
        chosen = _chosen(clip.decode(stream), begins, limits)
        if chosen is None:
            raise unreadable("none of its frames can be decoded")
        return _as_jpeg(chosen)


def _sought(clip: InputContainer, stream: VideoStream) -> int:
    """Go to where the poster is to be found, and say where that is, in ticks of the stream. Where
    one cannot go there at once it is read from its beginning."""
    length = (clip.duration or 0) / av.time_base / float(stream.time_base or 1)
    begins = (stream.start_time or 0) + int(_AT * length)
    with contextlib.suppress(av.FFmpegError):
        clip.seek(begins, stream=stream)
    return begins


def _chosen(frames: Iterable[VideoFrame], begins: int, limits: Limits) -> VideoFrame | None:
    chosen, looked_at = None, 0
    for frame in frames:
        judge_size(frame.width, frame.height, limits)
        early = frame.pts is not None and frame.pts < begins
        if not early and not _is_black(frame):
            return frame
        if early or not looked_at:
            chosen = frame
        looked_at += not early
        if looked_at == _MOST_LOOKED_AT:
            break
    return chosen


def _is_black(frame: VideoFrame) -> bool:
    """Whether nothing could be seen on it."""
    width, height = _SMALL
    small = frame.reformat(width, height, "gray", interpolation=Interpolation.AREA, threads=1)
    pixels = sorted(_pixels(small, "L").tobytes())
    return pixels[-round(_BRIGHTEST * len(pixels))] < _BLACK


def _as_jpeg(frame: VideoFrame) -> bytes:
    picture = _pixels(frame.reformat(format="rgb24", threads=1), "RGB")
    turn = _TURNS.get(frame.rotation % 360)
    made = io.BytesIO()
    (picture if turn is None else picture.transpose(turn)).save(made, "JPEG", quality=_QUALITY)
    return made.getvalue()


def _pixels(frame: VideoFrame, mode: str) -> Image.Image:
    """A frame of one plane as a picture; the lines of a plane may be longer than those of it."""
    plane = frame.planes[0]
    size = frame.width, frame.height
    return Image.frombytes(mode, size, bytes(plane), "raw", mode, plane.line_size, 1)
