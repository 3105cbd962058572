"""Short clips out of still pictures, for the embedded provider `local`: a camera that moves slowly.

The clip begins with the whole picture and drifts towards a part of it, as Ken Burns did with
photographs; where there is a last picture too, it ends with the whole of that one.

A picture is taken apart into its planes of luma and chroma once, and the camera looks at these:
that halves the work for each frame, as chroma has a quarter of the pixels (YUV 4:2:0, BT.709).
The same call gives the same bytes on one machine: one thread, and no time in the file.
"""

from __future__ import annotations

import hashlib
import io
import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import av
from av.container import OutputContainer
from av.video.frame import VideoFrame
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc
from av.video.stream import VideoStream
from PIL import Image

from handlers.contract import HandlerError

SIDES = range(16, 4097)
"""Of a clip, in pixels."""
MOST_FRAMES = 3600
"""A minute at 60 a second."""

_WHITE = (255, 255, 255)
_FINEST = 2.0  # pixels of the picture to one of the clip: more would never be seen
_MIXING = (0.25, 0.75)  # of the clip's time: where one picture turns into the other
_ENCODERS = {
    "libx264": {"preset": "veryfast", "crf": "18", "bf": "0"},
    "mpeg4": {"qmin": "2", "qmax": "5"},
}
"""The first that FFmpeg was built with is taken. Without frames that refer to later ones (`bf`) a
clip begins at its time nought, in players that read no edit lists too."""

Box = tuple[float, float, float, float]
"""What the camera sees: left, top, right, bottom, in pixels of the picture."""


def film(
    image: Image.Image,
    *,
    size: tuple[int, int],
    seconds: float,
    fps: int,
    seed: int,
    last: Image.Image | None = None,
    title: Image.Image | None = None,
    progress: Callable[[float], None] = lambda _: None,
) -> bytes:
    """A silent MP4 of a slow move over a picture, with its index in front.

    Args:
        image: what the clip begins with, cut to the clip's shape around its middle. What is
            transparent lies on white.
        size: width and height in pixels, both even.
        seconds: how long, rounded to whole frames.
        fps: frames a second.
        seed: where the camera goes.
        last: what the clip ends with.
        title: what stays where it is, over everything: RGBA, of the clip's size.
        progress: told after each frame how much is done, from 0 to 1; what it raises ends the
            filming.

    Raises:
        HandlerError: `not_supported`: such a clip is not made here.
    """
    frames = frames_of(size, seconds, fps)
    scenes = [Scene.of(image, size, f"{seed}:first")]
    if last is not None:
        scenes.append(Scene.of(last, size, f"{seed}:last"))
    lay = Title.of(title).laid if title is not None else lambda planes: planes
    made = io.BytesIO()
    with _container(made) as container:
        stream = _stream(container, size, fps)
        for number in range(frames):
            moment = number / max(1, frames - 1)
            frame = _frame(lay(_planes_at(scenes, moment, size)), size)
            frame.pts = number
            container.mux(stream.encode(frame))
            progress((number + 1) / (frames + 1))
        container.mux(stream.encode(None))
    progress(1.0)
    return made.getvalue()


def frames_of(size: tuple[int, int], seconds: float, fps: int) -> int:
    """How many frames a clip will have.

    Raises:
        HandlerError: `not_supported`: such a clip is not made here.
    """
    width, height = size
    if width not in SIDES or height not in SIDES or width % 2 or height % 2:
        raise HandlerError(
            "not_supported",
            f"local films in even sides from {SIDES[0]} to {SIDES[-1]} pixels, not in {width} x"
            f" {height}",
            hints=["Ask for another size: 1280x720 is one."],
        )
    if not (fps >= 1 and seconds > 0 and seconds * fps < MOST_FRAMES + 0.5):
        raise HandlerError(
            "not_supported",
            f"local films up to {MOST_FRAMES} frames, not {seconds:g} s at {fps} a second",
            hints=["Ask for fewer seconds, or for fewer frames a second."],
        )
    return max(1, round(seconds * fps))


# ---------------------------------------------------------------- the camera


@dataclass(frozen=True, slots=True)
class Scene:
    """A picture, and where a camera goes on it."""

    planes: tuple[Image.Image, ...]
    """Luma, and two of chroma at half its width and height."""
    whole: Box
    goal: Box

    @classmethod
    def of(cls, image: Image.Image, size: tuple[int, int], chance: str) -> Scene:
        """Prepare a picture for clips of a size; the same `chance` leads to the same goal."""
        picture = _prepared(image, size)
        whole = _widest(picture.size, size)
        return cls(_planes(picture), whole, _goal(whole, picture.size, chance))

    def seen(self, near: float, size: tuple[int, int]) -> list[Image.Image]:
        """The planes as the camera sees them: the whole at 0, its goal at 1."""
        left, top, right, bottom = (
            a + (b - a) * near for a, b in zip(self.whole, self.goal, strict=True)
        )
        width, height = size
        luma, *chroma = self.planes
        full, half = (left, top, right, bottom), (left / 2, top / 2, right / 2, bottom / 2)
        return [
            luma.resize((width, height), Image.Resampling.BICUBIC, full),
            *(c.resize((width // 2, height // 2), Image.Resampling.BICUBIC, half) for c in chroma),
        ]


@dataclass(frozen=True, slots=True)
class Title:
    """What stays where it is."""

    planes: tuple[Image.Image, ...]
    """As those of a scene."""
    covers: tuple[Image.Image, ...]
    """How much each of these hides: in full for luma, at half the width and height for chroma."""

    @classmethod
    def of(cls, title: Image.Image) -> Title:
        cover = title.getchannel("A")
        half = cover.resize((cover.width // 2, cover.height // 2), Image.Resampling.BOX)
        return cls(_planes(title.convert("RGB")), (cover, half, half))

    def laid(self, planes: list[Image.Image]) -> list[Image.Image]:
        """Planes of a frame with the title over them."""
        for plane, own, cover in zip(planes, self.planes, self.covers, strict=True):
            plane.paste(own, mask=cover)
        return planes


def _planes_at(scenes: list[Scene], moment: float, size: tuple[int, int]) -> list[Image.Image]:
    """The planes of a frame; `moment` is from 0 to 1."""
    begins, ends = _MIXING
    first, last = scenes[0], scenes[-1]
    mixed = _eased((moment - begins) / (ends - begins)) if last is not first else 0.0
    before = first.seen(_eased(moment), size) if mixed < 1 else []
    after = last.seen(1 - _eased(moment), size) if mixed > 0 else []
    if not (before and after):
        return before or after
    return [Image.blend(a, b, mixed) for a, b in zip(before, after, strict=True)]


def _eased(moment: float) -> float:
    """From 0 to 1, slowly at both ends."""
    return 0.5 - 0.5 * math.cos(math.pi * min(1.0, max(0.0, moment)))


def _widest(picture: tuple[int, int], size: tuple[int, int]) -> Box:
    """The largest part of a picture that has the shape of the clip, around the middle."""
    scale = min(picture[0] / size[0], picture[1] / size[1])
    return _box(picture[0] / 2, picture[1] / 2, size[0] * scale, size[1] * scale)


def _goal(whole: Box, picture: tuple[int, int], chance: str) -> Box:
    """Where the camera ends: nearer, and off to one side, but never beyond the picture."""
    nearness, across, down = (
        int.from_bytes(hashlib.sha256(f"{chance}:{name}".encode()).digest()[:4], "big") / 2**32
        for name in ("near", "across", "down")
    )
    zoom = 1.16 + 0.16 * nearness
    width, height = (whole[2] - whole[0]) / zoom, (whole[3] - whole[1]) / zoom
    x = width / 2 + (picture[0] - width) * _aside(across)
    y = height / 2 + (picture[1] - height) * _aside(down)
    return _box(x, y, width, height)


def _aside(chance: float) -> float:
    """A place from 0 to 1 that is not the middle: between 0.1 and 0.35, or as far from 1."""
    return 0.1 + 0.5 * chance if chance < 0.5 else 0.9 - 0.5 * (1 - chance)


def _box(x: float, y: float, width: float, height: float) -> Box:
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2


# ---------------------------------------------------------------- pixels


def _prepared(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """A picture in RGB with even sides, and no finer than the clip can show."""
    if image.has_transparency_data:
        opaque = Image.new("RGBA", image.size, (*_WHITE, 255))
        opaque.alpha_composite(image.convert("RGBA"))
        image = opaque
    picture = image.convert("RGB")
    width, height = picture.size
    scale = min(1.0, _FINEST * max(size[0] / width, size[1] / height))
    even = tuple(max(2, 2 * round(side * scale / 2)) for side in (width, height))
    if even == picture.size:
        return picture
    return picture.resize((even[0], even[1]), Image.Resampling.LANCZOS)


def _planes(picture: Image.Image) -> tuple[Image.Image, ...]:
    """Luma and chroma of a picture in RGB."""
    frame = _frame([picture], picture.size, "rgb24").reformat(
        format="yuv420p",
        dst_colorspace=Colorspace.ITU709,
        dst_color_range=ColorRange.MPEG,
        threads=1,
    )
    return tuple(
        Image.frombytes("L", (p.width, p.height), bytes(p), "raw", "L", p.line_size, 1)
        for p in frame.planes
    )


def _frame(planes: list[Image.Image], size: tuple[int, int], form: str = "yuv420p") -> VideoFrame:
    """A frame of these planes; its lines are padded as FFmpeg likes them."""
    frame = VideoFrame(*size, form)
    for plane, pixels in zip(frame.planes, planes, strict=True):
        plane.update(pixels.tobytes("raw", pixels.mode, plane.line_size, 1))
    return frame


# ---------------------------------------------------------------- the file


def _container(made: io.BytesIO) -> OutputContainer:
    """An MP4 that is written to memory. To have its index in front (`faststart`) it is written
    once, and then read again from where it was written to."""
    return av.open(
        made,
        "w",
        format="mp4",
        options={"movflags": "+faststart", "fflags": "+bitexact"},
        io_open=lambda *_: io.BytesIO(made.getvalue()),
    )


def _stream(container: OutputContainer, size: tuple[int, int], fps: int) -> VideoStream:
    name = next(name for name in _ENCODERS if name in av.codecs_available)
    options = {"flags": "+bitexact", **_ENCODERS[name]}
    stream = container.add_stream(name, rate=Fraction(fps), options=options)
    if not isinstance(stream, VideoStream):
        raise TypeError(f"{name} encodes no pictures")
    stream.width, stream.height = size
    stream.pix_fmt = "yuv420p"
    context = stream.codec_context
    context.thread_count = 1
    context.gop_size = 2 * fps
    context.colorspace = Colorspace.ITU709
    context.color_range = ColorRange.MPEG
    context.color_primaries, context.color_trc = ColorPrimaries.BT709, ColorTrc.BT709
    return stream
