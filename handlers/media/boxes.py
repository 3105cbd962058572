"""MP4 and QuickTime files, read box by box without decoding anything. Pure.

Sources: ISO/IEC 14496-12 (the ISO base media file format: boxes, sample tables) and Apple's
QuickTime File Format Specification, which it comes from.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from handlers.contract import ClipDescription, Held

MOST_BOXES = 100_000
"""On one level. A clip in fragments has two for each; more are there to waste time."""
MOST_ROWS = 100_000
"""Of a table. A clip with an even pace has one."""

_CODECS = {
    b"avc1": "h264",
    b"avc3": "h264",
    b"hvc1": "hevc",
    b"hev1": "hevc",
    b"av01": "av1",
    b"vp08": "vp8",
    b"vp09": "vp9",
    b"mp4v": "mpeg4",
}


@dataclass(frozen=True, slots=True)
class Box:
    """Some bytes that have a name: where its content starts, and where it says that it ends."""

    kind: bytes
    start: int
    end: int


def boxes(data: Held, start: int, end: int) -> Iterator[Box]:
    """The boxes from `start` to `end`, one after the other, until one makes no sense."""
    for _ in range(MOST_BOXES):
        if start + 8 > end:
            return
        size, kind, head = _number(data, start, 4), data[start + 4 : start + 8], 8
        if size == 1:  # it is too large for four bytes
            size, head = _number(data, start + 8, 8), 16
        elif size == 0:  # it goes on to the end
            size = end - start
        if size < head:
            return
        yield Box(kind, start + head, start + size)
        start += size


def is_whole(data: Held) -> bool:
    """Whether each box of a file is all there, and both the index and the media are.

    A file in fragments that was cut between two of them looks whole.
    """
    kinds = []
    for box in boxes(data, 0, len(data)):
        if box.end > len(data):
            return False
        kinds.append(box.kind)
    media = [kind for kind in kinds if kind in (b"mdat", b"moof")]
    return b"moov" in kinds and media[-1:] == [b"mdat"]


def described(data: Held, media_type: str, extension: str) -> ClipDescription | None:
    """What a file says of itself: nobody looked whether it is true. None where it does not say
    everything, as one in fragments does not.

    Args:
        data: the whole file.
        media_type: of the file, as is `extension`.
        extension: with the dot.
    """
    try:
        moov = _inside(data, Box(b"", 0, len(data)), b"moov")
        tracks = [box for box in boxes(data, moov.start, moov.end) if box.kind == b"trak"]
        handlers = [_handler(data, track) for track in tracks]
        track = tracks[handlers.index(b"vide")]
        codec, width, height = _pictures(data, track)
        frames, seconds = _times(data, track)
        if not (width and height and frames and seconds):
            return None
    except (ValueError, IndexError, struct.error, ZeroDivisionError):
        return None
    return ClipDescription(
        kind="video",
        media_type=media_type,
        extension=extension,
        width=width,
        height=height,
        seconds=round(seconds, 3),
        fps=round(frames / seconds, 3),
        frames=frames,
        codec=codec,
        has_audio=b"soun" in handlers,
    )


def _handler(data: Held, track: Box) -> bytes:
    """What a track is: "vide", "soun" or something else."""
    at = _inside(data, track, b"mdia", b"hdlr").start + 8
    return data[at : at + 4]


def _pictures(data: Held, track: Box) -> tuple[str, int, int]:
    """Codec, width and height; where the matrix of the track turns it on its side, turned."""
    entry = _inside(data, track, b"mdia", b"minf", b"stbl", b"stsd").start + 8
    name = data[entry + 4 : entry + 8]
    width, height = struct.unpack_from(">HH", data, entry + 32)
    header = _inside(data, track, b"tkhd").start
    upright = struct.unpack_from(">i", data, header + (52 if data[header] == 1 else 40))[0]
    codec = _CODECS.get(name, name.decode("latin-1").strip())
    return (codec, width, height) if upright else (codec, height, width)


def _times(data: Held, track: Box) -> tuple[int, float]:
    """How many frames, and how many seconds they last."""
    header = _inside(data, track, b"mdia", b"mdhd").start
    scale = _number(data, header + (20 if data[header] == 1 else 12), 4)
    table = _inside(data, track, b"mdia", b"minf", b"stbl", b"stts")
    rows = _number(data, table.start + 4, 4)
    if rows > MOST_ROWS:
        raise ValueError(f"{rows} rows for one table")
    frames = ticks = 0
    for count, delta in struct.iter_unpack(
        ">II", data[table.start + 8 : table.start + 8 + 8 * rows]
    ):
        frames, ticks = frames + count, ticks + count * delta
    return frames, ticks / scale


def _inside(data: Held, box: Box, *path: bytes) -> Box:
    """The first box by each name, one inside of the other."""
    for kind in path:
        found = (one for one in boxes(data, box.start, box.end) if one.kind == kind)
        inner = next(found, None)
        if inner is None or inner.end > box.end:
            raise ValueError(f"there is no whole {kind!r}")
        box = inner
    return box


def _number(data: Held, at: int, size: int) -> int:
    return int.from_bytes(data[at : at + size], "big")
