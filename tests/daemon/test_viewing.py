"""Media are looked at before they are saved: who decodes what, and what is said where nobody can."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from daemon.blobs import BlobStore
from daemon.exchange import Workbench
from daemon.gallery import Gallery
from daemon.testing import tiny_image
from daemon.viewing import ClipSense, Viewed, Viewer
from handlers.contract import ClipDescription, HandlerError, Medium
from handlers.media.clipfiles import described_by_container, is_clip
from handlers.media.decoding import describe
from tests.handlers.media.clipmaking import SIZE, clip

FOUND = ClipDescription("video", "video/mp4", ".mp4", *SIZE, 1.2, 10.0, 12, "h264", False)
POSTER = b"poster"


class Place:
    """A viewer, and what it handed to whoever decodes clips."""

    def __init__(self, folder: Path, answer: Any = (FOUND, POSTER), max_bytes: int = 10**6) -> None:
        for name in ("blobs", "staging", "tmp"):
            (folder / name).mkdir(exist_ok=True)
        self.given: list[bytes | Path] = []
        self.answer = answer
        self.blobs = BlobStore(folder / "blobs", folder / "staging", lambda _: True)
        self.gallery = Gallery(
            folder,
            folder / "tmp",
            folder / "staging",
            self.blobs,
            lambda data: describe(data, 10**6, 10**6),
        )
        self.sense = ClipSense(is_clip, self._decoded, described_by_container, max_bytes)

    async def _decoded(self, clip: bytes | Path) -> tuple[ClipDescription, bytes]:
        self.given.append(clip)
        if isinstance(self.answer, HandlerError):
            raise self.answer
        found: tuple[ClipDescription, bytes] = self.answer
        return found

    def view(self, medium: Medium) -> Viewed:
        workbench = Workbench(1)
        viewer = Viewer(self.gallery, self.blobs, workbench, self.sense)
        try:
            return asyncio.run(viewer.view(medium))
        finally:
            workbench.close()

    def failed(self, medium: Medium) -> HandlerError:
        with pytest.raises(HandlerError) as caught:
            self.view(medium)
        return caught.value

    def stored(self, data: bytes) -> Medium:
        return Medium(sha256=self.blobs.put(data), media_type="image/png")


NOTHING_HERE = HandlerError("not_supported", "no PyAV", hints=["install it"])


def test_a_clip_that_lies_as_a_blob_is_decoded_from_there_and_never_loaded(tmp_path: Path) -> None:
    place = Place(tmp_path)
    medium = place.stored(clip())
    viewed = place.view(medium)
    assert place.given == [place.blobs.path(medium.sha256 or "")]
    assert (viewed.described.description, viewed.poster) == (FOUND, POSTER)
    assert (viewed.described.sha256, viewed.described.size) == (medium.sha256, len(clip()))
    assert viewed.described.verified
    assert viewed.described.data is None


def test_one_in_memory_is_handed_over_as_it_is(tmp_path: Path) -> None:
    place = Place(tmp_path)
    viewed = place.view(Medium(clip()))
    assert place.given == [clip()]
    assert viewed.described.sha256 == place.stored(clip()).sha256


def test_its_head_tells_a_clip_and_not_what_its_sender_calls_it(tmp_path: Path) -> None:
    place = Place(tmp_path)
    viewed = place.view(Medium(tiny_image(), media_type="video/mp4"))
    assert (viewed.described.description.kind, viewed.poster, place.given) == ("image", None, [])
    assert place.view(Medium(clip("mkv"), media_type="image/png")).described.description == FOUND


def test_without_a_decoder_a_clip_is_what_it_says_of_itself_and_not_verified(
    tmp_path: Path,
) -> None:
    viewed = Place(tmp_path, NOTHING_HERE).view(Medium(clip()))
    assert viewed.described.description == FOUND
    assert (viewed.described.verified, viewed.poster) == (False, None)


def test_one_that_does_not_say_it_stays_here_and_a_retry_looks_again(tmp_path: Path) -> None:
    place = Place(tmp_path, NOTHING_HERE)
    medium = place.stored(clip("mkv"))
    error = place.failed(medium)
    assert error.code == "not_supported"
    assert any("darkroomd[video]" in hint for hint in error.hints)
    assert any(f"blobs/{medium.sha256}" in hint for hint in error.hints)
    assert any("asks nobody for another" in hint for hint in error.hints)


def test_what_is_cut_is_refused_without_a_decoder_too(tmp_path: Path) -> None:
    error = Place(tmp_path, NOTHING_HERE).failed(Medium(clip()[:-9]))
    assert error.code == "unreadable_media"


def test_what_is_no_good_says_where_it_lies_and_not_that_a_retry_looks_at_it_again(
    tmp_path: Path,
) -> None:
    refusal = HandlerError("unreadable_media", "no good", hints=["asks for another"])
    place = Place(tmp_path, refusal)
    medium = place.stored(clip())
    error = place.failed(medium)
    assert (error.code, error.message) == ("unreadable_media", "no good")
    first, place_of_it = error.hints
    assert first == "asks for another"
    assert f"blobs/{medium.sha256}" in place_of_it


def test_one_that_is_too_large_is_not_even_decoded(tmp_path: Path) -> None:
    place = Place(tmp_path, max_bytes=len(clip()) - 1)
    error = place.failed(place.stored(clip()))
    assert (error.code, place.given) == ("too_large", [])
    assert any("raise one, and use retry" in hint for hint in error.hints)
    assert Place(tmp_path, max_bytes=len(clip())).view(Medium(clip())).poster == POSTER
