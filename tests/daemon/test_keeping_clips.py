"""Clips are kept with a picture that stands for each, whatever happens in between."""

import asyncio
from collections.abc import Awaitable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from daemon.context import JournaledContext
from daemon.decisions import Run
from daemon.errors import FRESH_ON_RETRY
from daemon.journal import Journal
from daemon.testing import answer_with, tiny_image
from daemon.viewing import Viewer
from handlers.contract import Artifact, Call, HandlerError, Medium
from handlers.media.provenance import provenance_of, signed
from tests.builders import CLIP_SENSE, Bench, scripted
from tests.handlers.media.clipmaking import SIZE, clip
from tests.handlers.scenes import opened

FIRST, SECOND = clip(), clip("webm of vp9")


def run(scene: Awaitable[Any]) -> Any:
    async def bounded() -> Any:
        return await asyncio.wait_for(scene, 20)

    return asyncio.run(bounded())


async def handle(context: JournaledContext) -> None:
    outcome = await context.ask("generate", Call("generate_image", {"prompt": "x"}))
    for number, medium in enumerate(outcome.media, start=1):
        await context.keep(f"clip {number}", medium, prefix="film")


def rows(come_to: Run) -> list[tuple[str, str]]:
    return [(row["role"], row["path"].rpartition("/")[2]) for row in come_to.artifacts]


def kept(folder: Path, *clips: bytes, **request: Any) -> tuple[Run, str]:
    """What a job comes to that keeps these clips, and its id."""

    async def main() -> tuple[Run, str]:
        bench = Bench(folder, scripted(answer_with(*clips)))
        job_id = await bench.accept(**request)
        return await bench.run(job_id, handle), job_id

    result: tuple[Run, str] = run(main())
    return result


def test_a_clip_is_saved_with_what_it_is_and_a_poster_beside_it(tmp_path: Path) -> None:
    come_to, job = kept(tmp_path, FIRST)
    film, poster = come_to.artifacts
    assert film == {
        "path": f"tmp/videos/film-{job}-1.mp4",
        "role": "output",
        "kind": "video",
        "media_type": "video/mp4",
        "bytes": len(FIRST),
        "sha256": film["sha256"],
        "width": SIZE[0],
        "height": SIZE[1],
        "seconds": 1.2,
        "fps": 10.0,
        "frames": 12,
        "codec": "h264",
        "has_audio": False,
        "verified": True,
    }
    assert (tmp_path / film["path"]).read_bytes() == FIRST
    assert poster["path"] == f"tmp/images/posters/film-poster-{job}-1.jpg"
    assert (poster["role"], poster["kind"], poster["media_type"]) == (
        "poster",
        "image",
        "image/jpeg",
    )
    assert opened((tmp_path / poster["path"]).read_bytes()).size == SIZE
    assert come_to.warnings == []


def test_a_picture_has_no_row_of_a_clip(tmp_path: Path) -> None:
    come_to, _ = kept(tmp_path, tiny_image())
    (row,) = come_to.artifacts
    assert list(row) == [
        *("path", "role", "kind", "media_type", "bytes", "sha256", "width", "height"),
    ]


def test_a_row_of_before_clips_is_read_back(tmp_path: Path) -> None:
    row = {**kept(tmp_path, tiny_image())[0].artifacts[0]}
    assert Artifact(**row).to_json() == row


def test_the_bytes_tell_the_ending(tmp_path: Path) -> None:
    come_to, job = kept(tmp_path, SECOND)
    assert come_to.artifacts[0]["path"].endswith(f"film-{job}-1.webm")
    assert (come_to.artifacts[0]["codec"], come_to.artifacts[0]["media_type"]) == (
        "vp9",
        "video/webm",
    )


def test_each_poster_has_the_number_of_its_clip(tmp_path: Path) -> None:
    come_to, job = kept(tmp_path, FIRST, tiny_image(), SECOND)
    assert rows(come_to) == [
        ("output", f"film-{job}-1.mp4"),
        ("poster", f"film-poster-{job}-1.jpg"),
        ("output", f"film-{job}-2.png"),
        ("output", f"film-{job}-3.webm"),
        ("poster", f"film-poster-{job}-3.jpg"),
    ]


def test_prefix_and_folder_are_the_posters_too(tmp_path: Path) -> None:
    come_to, job = kept(tmp_path, FIRST, prefix="hero shot.mp4", out_dir="tmp/shoes")
    assert [row["path"] for row in come_to.artifacts] == [
        f"tmp/shoes/hero-shot-{job}-1.mp4",
        f"tmp/shoes/hero-shot-poster-{job}-1.jpg",
    ]


def test_a_crash_after_any_event_costs_neither_and_doubles_none(tmp_path: Path) -> None:
    async def main() -> None:
        whole = Bench(tmp_path / "whole", scripted(answer_with(FIRST, SECOND)))
        job = await whole.accept()
        come_to = await whole.run(job, handle)
        lines = whole.log.lines
        steps = [one.event.step for one in whole.log.read() if hasattr(one.event, "number")]
        assert steps == ["clip 1 poster", "clip 1", "clip 2 poster", "clip 2"]
        for cut in range(len(lines) - len(steps), len(lines) + 1):
            provider = scripted(paid=True)
            again = Bench(tmp_path / "whole", provider, lines=lines[:cut])
            assert await again.run(job, handle) == come_to
            saved = [one.event.step for one in again.log.read() if hasattr(one.event, "number")]
            assert saved == steps
            assert provider.calls == []
        files = [file for file in (tmp_path / "whole" / "tmp").rglob("*") if file.is_file()]
        assert len(files) == len(come_to.artifacts) == 4

    run(main())


def test_a_file_that_the_log_does_not_know_is_swept(tmp_path: Path) -> None:
    async def main() -> None:
        bench = Bench(tmp_path, scripted(answer_with(FIRST)))
        job = await bench.accept()
        come_to = await bench.run(job, handle)
        film, poster = (row["path"] for row in come_to.artifacts)
        assert bench.gallery.sweep({job: 0}, {film}) == 1
        assert ((tmp_path / film).exists(), (tmp_path / poster).exists()) == (True, False)

    run(main())


def test_a_cancelled_job_tells_of_both(tmp_path: Path) -> None:
    async def main() -> None:
        bench = Bench(tmp_path, scripted(answer_with(FIRST)))
        job = await bench.accept()
        come_to = await bench.run(job, handle)
        journal = Journal.of(bench.log.get(one) for one in bench.state.jobs[job].journal)
        assert journal.run(bench.state.jobs[job]).artifacts == come_to.artifacts[::-1]

    run(main())


def test_no_clip_is_lost_for_want_of_a_poster(tmp_path: Path) -> None:
    (tmp_path / "tmp" / "images").mkdir(parents=True)
    (tmp_path / "tmp" / "images" / "posters").write_text("in the way")
    come_to, job = kept(tmp_path, FIRST)
    assert rows(come_to) == [("output", f"film-{job}-1.mp4")]
    (told,) = come_to.warnings
    assert told.startswith("a clip has no poster: ")


async def _nobody(_: Any) -> Any:
    raise HandlerError("not_supported", "nothing reads clips here")


def test_what_nobody_decoded_is_never_called_verified_also_after_a_crash(tmp_path: Path) -> None:
    async def main() -> None:
        sense = replace(CLIP_SENSE, decoded=_nobody)

        def bench(**more: Any) -> Bench:
            made = Bench(tmp_path, scripted(answer_with(FIRST)), **more)
            viewer = Viewer(made.gallery, made.blobs, made.workbench, sense)
            made.services = replace(made.services, viewer=viewer)
            return made

        before = bench()
        job = await before.accept()
        come_to = await before.run(job, handle)
        assert rows(come_to) == [("output", f"film-{job}-1.mp4")]
        assert come_to.artifacts[0]["verified"] is False
        (told,) = come_to.warnings
        assert told.startswith(f"nobody decoded tmp/videos/film-{job}-1.mp4")
        assert await bench(lines=before.log.lines).run(job, handle) == come_to

    run(main())


@pytest.mark.parametrize("data", [FIRST[:-50], FIRST[:40] + bytes(len(FIRST) - 40), b"no medium"])
def test_what_is_cut_or_damaged_or_no_medium_ends_the_job_and_a_retry_asks_for_another(
    tmp_path: Path, data: bytes
) -> None:
    with pytest.raises(HandlerError) as caught:
        kept(tmp_path, data)
    assert caught.value.code == "unreadable_media"
    assert caught.value.code in FRESH_ON_RETRY
    assert not list((tmp_path / "tmp").rglob("*.*"))


def test_a_poster_tells_its_origin_as_the_clip_would(tmp_path: Path) -> None:
    async def main() -> None:
        bench = Bench(tmp_path, scripted(answer_with(FIRST)))
        bench.gallery._sign = lambda data, what, origin: signed(data, what, origin, by="test")
        come_to = await bench.run(await bench.accept(prompt="a boat"), handle)
        film, poster = ((tmp_path / row["path"]).read_bytes() for row in come_to.artifacts)
        assert film == FIRST
        told = provenance_of(poster) or {}
        assert (told["prompt"], told["provider"], told["role"]) == ("a boat", "scripted", "poster")

    run(main())


def test_a_step_of_a_posters_name_cannot_be_used(tmp_path: Path) -> None:
    async def twice(context: JournaledContext) -> None:
        await context.keep("a poster", Medium(tiny_image()), prefix="p")
        await context.keep("a", Medium(FIRST), prefix="p")

    async def main() -> None:
        bench = Bench(tmp_path)
        with pytest.raises(ValueError, match="'a poster' twice"):
            await bench.run(await bench.accept(), twice)

    run(main())
