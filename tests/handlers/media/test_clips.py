"""What a clip is: told exactly where it is whole, refused by name where it is not."""

from __future__ import annotations

import dataclasses
import io
from typing import Any

import av
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handlers.contract import ClipDescription, HandlerError
from handlers.media import clips
from handlers.media.clips import Limits, describe_clip
from tests.examples import examples
from tests.handlers.media.clipmaking import (
    FPS,
    KINDS,
    SIZE,
    TURNS,
    clip,
    decoded,
    mux_silence,
    muxing,
    noise,
    turned,
)

LIMITS = Limits(pixels=1_000_000, seconds=30, frames=300)
USUAL = ClipDescription("video", "video/mp4", ".mp4", *SIZE, 1.2, 10.0, 12, "h264", False)
SAID = {
    "mp4": USUAL,
    "mp4, index in front": USUAL,
    "mp4 in fragments": USUAL,
    "mp4 of hevc": dataclasses.replace(USUAL, codec="hevc"),
    "mov": dataclasses.replace(
        USUAL, media_type="video/quicktime", extension=".mov", codec="mpeg4"
    ),
    "webm of vp8": dataclasses.replace(
        USUAL, media_type="video/webm", extension=".webm", codec="vp8"
    ),
    "webm of vp9": dataclasses.replace(
        USUAL, media_type="video/webm", extension=".webm", codec="vp9"
    ),
    "webm as a stream": dataclasses.replace(
        USUAL, media_type="video/webm", extension=".webm", codec="vp8"
    ),
    "mkv": dataclasses.replace(USUAL, media_type="video/x-matroska", extension=".mkv"),
}


def refused(data: bytes, code: str, said: str, limits: Limits = LIMITS) -> None:
    with pytest.raises(HandlerError, match=said) as caught:
        describe_clip(data, limits)
    assert caught.value.code == code


# ---------------------------------------------------------------- what it is


@pytest.mark.parametrize("kind", KINDS)
def test_a_clip_is_described_in_every_container_and_codec(kind: str) -> None:
    assert describe_clip(clip(kind), LIMITS) == SAID[kind]


def test_it_is_told_whether_there_is_sound() -> None:
    assert describe_clip(clip(sound=True), LIMITS) == dataclasses.replace(USUAL, has_audio=True)


@pytest.mark.parametrize("turn", TURNS)
def test_the_sides_are_those_of_what_is_shown(turn: str) -> None:
    told = describe_clip(turned(clip(), TURNS[turn]), LIMITS)
    assert (told.width, told.height) == (SIZE if turn == "head down" else SIZE[::-1])


def test_frames_that_an_edit_list_hides_are_not_counted() -> None:
    data = clip(shift=5)
    told = describe_clip(data, LIMITS)
    assert told.frames == decoded(data) == 7
    assert told.seconds == 0.7


def test_frames_of_vp8_that_are_never_shown_are_not_counted() -> None:
    data = with_hidden_frames(clip("webm of vp8"))
    assert describe_clip(data, LIMITS).frames == decoded(data) == 12


def with_hidden_frames(data: bytes) -> bytes:
    """The same WebM with a frame that is not shown before each that refers to an earlier one."""
    made = io.BytesIO()
    with av.open(io.BytesIO(data), format="matroska") as source, muxing(made, "webm") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux():
            shown, at = bytes(packet), packet.pts
            hidden = bytes([shown[0] & ~0x10]) + shown[1:] if shown else b""
            for content, time in ((hidden, (at or 0) - 50), (shown, at or 0)):
                if content and not (packet.is_keyframe and content is hidden):
                    again: Any = av.Packet(content)
                    again.stream, again.time_base = stream, packet.time_base
                    again.pts = again.dts = time
                    again.is_keyframe = packet.is_keyframe
                    target.mux(again)
    return made.getvalue()


def test_a_title_in_another_encoding_is_no_fault() -> None:
    made = io.BytesIO()
    with muxing(made, "matroska") as container:
        container.metadata["title"] = "a title!"
        stream = container.add_stream("mpeg4", rate=FPS)
        stream.width, stream.height = SIZE
        frame = noise(0)
        frame.pts = 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    data = made.getvalue().replace(b"a title!", b"\xe4 title\xff")
    assert describe_clip(data, LIMITS).frames == 1


# ---------------------------------------------------------------- cut short, damaged


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "webm as a stream"])
def test_a_clip_that_ends_early_is_refused_wherever_it_was_cut(kind: str) -> None:
    data = clip(kind)
    for end in {*range(0, len(data), len(data) // 60), len(data) - 1}:
        refused(data[:end], "unreadable_media", "no clip that can be used")


def test_a_stream_says_how_long_it_is_and_is_refused_if_it_is_not() -> None:
    data = clip("webm as a stream", frames=60)
    whole = data.rindex(b"\xa3")  # where its last block begins
    for end in range(data.index(b"\x1f\x43\xb6\x75") + 20, whole, len(data) // 60):
        refused(data[:end], "unreadable_media", "cut short")


def test_an_index_that_names_bytes_that_are_not_there_is_refused() -> None:
    data = clip("mp4, index in front", frames=30)
    at = data.index(b"mdat") - 4  # said to go on to the end of the file, wherever that is
    refused(data[:at] + bytes(4) + data[at + 4 : -400], "unreadable_media", "no clip")


def test_a_clip_whose_end_cannot_be_decoded_is_refused() -> None:
    data = clip("mp4, index in front", frames=30)
    refused(data[:-2000] + b"\xff" * 2000, "unreadable_media", "no clip that can be used")


@settings(max_examples=examples(40), deadline=None)
@given(
    kind=st.sampled_from(sorted(KINDS)),
    damage=st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 255)), min_size=1, max_size=6),
)
def test_a_damaged_clip_is_described_or_refused_and_nothing_else(
    kind: str, damage: list[tuple[int, int]]
) -> None:
    data = bytearray(clip(kind))
    for at, value in damage:
        data[at % len(data)] = value
    try:
        assert describe_clip(bytes(data), LIMITS).frames > 0
    except HandlerError as error:
        assert error.code in ("unreadable_media", "too_large")


# ---------------------------------------------------------------- what is no clip, or too much


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "nothing that is known"),
        (b"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/x.ts\n", "nothing that is known"),
        (b"ffconcat version 1.0\nfile /etc/passwd\n", "nothing that is known"),
        (b"\x89PNG\r\n\x1a\n", "it is image/png"),
        (b"\0\0\0\x18ftypavif" + bytes(12), "it is image/avif"),
        (b"\0\0\0\x18ftypisom" + bytes(12), "cut short"),
        (b"\x1a\x45\xdf\xa3\x88\x42\x82\x85other", "it is video/webm, and no"),
    ],
)
def test_what_is_no_clip_is_refused_by_name(data: bytes, said: str) -> None:
    refused(data, "unreadable_media", said)


def test_a_playlist_with_the_head_of_a_clip_is_refused() -> None:
    head = b"\0\0\0\x14ftypisom\0\0\0\0isom" + b"\0\0\0\x08moov"
    text = b"#EXTM3U\nhttp://127.0.0.1:9/x.ts\n"
    mdat = (8 + len(text)).to_bytes(4, "big") + b"mdat" + text
    refused(head + mdat, "unreadable_media", "no moving pictures|Invalid data")


def test_a_clip_of_sound_alone_is_refused() -> None:
    made = io.BytesIO()
    with muxing(made, "mp4") as container:
        mux_silence(container, container.add_stream("aac", rate=44100), 0.5)
    refused(made.getvalue(), "unreadable_media", "no moving pictures")


def test_a_codec_that_no_clip_is_made_with_is_never_run() -> None:
    made = io.BytesIO()
    with muxing(made, "matroska") as container:
        stream: Any = container.add_stream("ffv1", rate=FPS)
        stream.width, stream.height = SIZE
        for number in range(3):
            frame = av.VideoFrame(*SIZE, "yuv420p")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    refused(made.getvalue(), "unreadable_media", "codec is ffv1, and none of h264")


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        (dataclasses.replace(LIMITS, pixels=SIZE[0] * SIZE[1] - 1), "64 x 48 pixels"),
        (dataclasses.replace(LIMITS, frames=11), "12 frames are more than 11"),
        (dataclasses.replace(LIMITS, seconds=1.1), "1.2 s are more than 1.1"),
    ],
)
@pytest.mark.parametrize("kind", ["mp4", "webm of vp9"])
def test_what_is_beyond_a_limit_is_too_large(kind: str, limits: Limits, said: str) -> None:
    refused(clip(kind), "too_large", said, limits)
    describe_clip(clip(kind), Limits(SIZE[0] * SIZE[1], 1.2, 12))


def test_what_is_said_to_be_too_large_is_refused_before_anything_is_decoded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(clips, "_read_through", lambda *_: pytest.fail("it was read"))
    refused(clip(), "too_large", "12 frames", dataclasses.replace(LIMITS, frames=11))
    refused(clip(), "too_large", "1.2 s", dataclasses.replace(LIMITS, seconds=1.1))
    refused(clip(), "too_large", "pixels", dataclasses.replace(LIMITS, pixels=100))


@pytest.mark.parametrize("muxer", ["matroska", "mov"])
def test_more_streams_than_any_clip_has_are_too_many(muxer: str) -> None:
    made = io.BytesIO()
    with muxing(made, muxer) as container:
        streams: list[Any] = [container.add_stream("mpeg4", rate=FPS) for _ in range(17)]
        for stream in streams:
            stream.width, stream.height = SIZE
        for stream in streams:
            frame = noise(0)
            frame.pts = 0
            container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    refused(made.getvalue(), "too_large", "more than 16 streams")


# ---------------------------------------------------------------- other files


def test_a_clip_that_names_another_file_gets_nothing_of_it() -> None:
    data = with_alias(clip("mov"), b"/etc/hostname")
    opened: list[str] = []

    def note(url: str, *_: object) -> None:
        opened.append(url)
        raise PermissionError

    careless = {"enable_drefs": "1"}
    with pytest.raises(PermissionError):
        av.open(io.BytesIO(data), format="mov", options=careless, io_open=note)
    assert opened == ["hostname"]
    with av.open(io.BytesIO(data), format="mov", options=clips._STRICT, io_open=note):
        assert opened == ["hostname"]


def with_alias(data: bytes, path: bytes) -> bytes:
    """A QuickTime file, its index at the end, whose media lie in another file: an alias as Apple
    has them, of the kind that FFmpeg reads, with an absolute path (type 2)."""
    record = b"".join(
        [
            bytes(10),
            b"\0" + bytes(27),  # no volume
            bytes(12),
            b"\x01x" + bytes(62),  # a name
            bytes(16),
            b"\0\x01\0\x01",  # levels up and down
            bytes(16),
            b"\0\x02" + len(path).to_bytes(2, "big") + path + bytes(len(path) % 2),
            b"\xff\xff\0\0",
        ]
    )
    entry = box(b"alis", bytes(4) + record)
    content = bytes(4) + b"\0\0\0\x01" + entry
    at = data.index(b"dref") - 4
    was = int.from_bytes(data[at : at + 4], "big")
    grown = 8 + len(content) - was
    changed = bytearray(data[:at] + box(b"dref", content) + data[at + was :])
    for outer in (b"moov", b"trak", b"mdia", b"minf", b"dinf"):
        where = data.rindex(outer, 0, at) - 4
        size = int.from_bytes(data[where : where + 4], "big") + grown
        changed[where : where + 4] = size.to_bytes(4, "big")
    return bytes(changed)


def box(kind: bytes, content: bytes) -> bytes:
    return (8 + len(content)).to_bytes(4, "big") + kind + content
