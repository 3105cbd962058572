"""Clips from a request to files: what arrived at a server of every kind is decoded and compared
with what was meant, and what came home is decoded frame by frame.
"""

from __future__ import annotations

import asyncio
import base64
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import av
import pytest
from PIL import Image

from daemon.events import JobRetrying, ProviderAccepted, ProviderRequested
from handlers.openai_shape.table import DIALECTS
from handlers.providers.local import Local
from tests.builders import Bench
from tests.handlers.scenes import opened, png, source
from tests.story.stage import Cast, Played, play_all
from tests.support import PATIENCE, Root, drain
from tests.wire.jobs import Style, job
from tests.wire.pictures import CLIP_FPS, USUAL_SIZE, clip
from tests.wire.received import Received
from tests.wire.server import ProviderServer

PHOTO = source(USUAL_SIZE)
OTHER = PHOTO.transpose(Image.Transpose.ROTATE_180)


def frames(data: bytes) -> list[Image.Image]:
    """Every frame of a clip, decoded without any of our own code."""
    with av.open(io.BytesIO(data)) as opened_clip:
        return [frame.to_image() for frame in opened_clip.decode(video=0)]


def like(one: Image.Image, other: Image.Image) -> bool:
    """Whether two pictures look about the same: one of them was in a clip."""
    small = [
        picture.convert("RGB").resize((4, 3), Image.Resampling.BOX) for picture in (one, other)
    ]
    pairs = zip(small[0].tobytes(), small[1].tobytes(), strict=True)
    return max(abs(a - b) for a, b in pairs) < 24


def same(one: Image.Image, other: Image.Image) -> bool:
    return one.size == other.size and one.convert("RGB").tobytes() == other.tobytes()


# ---------------------------------------------------------------- every server

WAYS = {
    "compatible": ("form", True),
    "vllm-omni": ("form", False),
    "sglang": ("form", False),
    "xai": ("json", True),
    "openrouter": ("json", True),
    "together": (None, False),
}
"""By dialect: where its papers say that a picture goes, and whether it takes several references."""


STYLES: dict[str, Style] = {"xai": "xai", "openrouter": "openrouter"}
"""Those whose jobs look otherwise than OpenAI's."""


def test_every_server_is_tried_that_makes_clips() -> None:
    assert {name for name, one in DIALECTS.items() if one.videos} == set(WAYS)


def arrived(received: Received) -> list[Image.Image]:
    """The pictures of a call, out of whichever form it has."""
    if received.parts:
        files = [part for part in received.parts if part.filename is not None]
        assert all((part.filename or "").endswith(".png") for part in files)
        return [opened(part.data) for part in files]
    return list(_in_json(received.json))


def _in_json(value: Any) -> Iterator[Image.Image]:
    if isinstance(value, (dict, list)):
        for below in value.values() if isinstance(value, dict) else value:
            yield from _in_json(below)
    elif isinstance(value, str) and value.startswith("data:image/"):
        yield opened(base64.b64decode(value.partition(",")[2]))


def played(
    folder: Path, dialect: str, requests: Sequence[Mapping[str, Any]], **options: Any
) -> tuple[list[Played], dict[str, Received]]:
    """What became of some requests, and what arrived of each, by its prompt."""
    inbox = folder / "inbox"
    inbox.mkdir(parents=True)
    for name, picture in {"photo": PHOTO, "other": OTHER}.items():
        (inbox / f"{name}.png").write_bytes(png(picture))
    with ProviderServer() as running:
        style = STYLES.get(dialect, "openai")
        for _ in requests:
            running.script(job("queued", "in_progress", "completed", style=style))
        ends = play_all(folder, running, requests, Cast(dialect=dialect, options=options))
        asked = {str(one.fields["prompt"]): one for one in running.creates}
        assert len(running.creates) == len(asked)
    return ends, asked


FILM = {"task": "generate_video", "seconds": 4}
REQUESTS: list[dict[str, Any]] = [
    {**FILM, "prompt": "text", "size": "64x48", "seed": 7, "fps": 8, "duration": "9s"},
    {**FILM, "prompt": "begin", "image": "inbox/photo.png"},
    {**FILM, "prompt": "animate", "image": "inbox/photo.png", "mode": "animate"},
    {
        "task": "reference_media",
        "mode": "video",
        "prompt": "references",
        "reference_images": ["inbox/photo.png", "inbox/other.png"],
        "duration": 4,
    },
]


def test_what_a_provider_says_that_a_clip_cost_stands_in_its_result(
    tmp_path: Path,
) -> None:
    (end,), _ = played(tmp_path, "openrouter", REQUESTS[:1])
    assert end.answers[0].cost == {"amount": "0.25", "currency": "USD", "source": "provider"}
    assert end.end.usage is not None
    assert end.end.usage["cost"] == end.answers[0].cost


@pytest.mark.parametrize("dialect", sorted(WAYS))
def test_what_arrives_is_what_was_meant_and_what_comes_home_is_decoded(
    dialect: str, tmp_path: Path
) -> None:
    way, several = WAYS[dialect]
    ends, asked = played(tmp_path, dialect, REQUESTS)
    by_prompt = {one["prompt"]: end for one, end in zip(REQUESTS, ends, strict=True)}
    text = asked["text"]
    assert str(text.fields[DIALECTS[dialect].videos.length]) == "4"  # type: ignore[union-attr]
    assert bool(text.parts) == (dialect == "vllm-omni")
    if way is None:
        assert {end.code for end in ends[1:]} == {"not_supported"}
        assert set(asked) == {"text"}
        return
    for end in ends:
        assert end.ok, end.end.error
        film, poster = end.end.artifacts
        data = (end.root / film["path"]).read_bytes()
        number = next(number for number in range(1, 9) if clip(number) == data)
        assert len(frames(data)) == film["frames"] == 4
        assert (film["width"], film["height"]) == frames(data)[0].size == USUAL_SIZE
        assert (film["seconds"], film["fps"], film["verified"]) == (0.5, CLIP_FPS, True)
        assert like(opened((end.root / poster["path"]).read_bytes()), frames(clip(number))[0])
    for prompt in ("begin", "animate"):
        assert [same(one, PHOTO) for one in arrived(asked[prompt])] == [True]
        as_form = way == "form" and not (dialect == "compatible" and prompt == "animate")
        assert bool(asked[prompt].parts) == as_form
    references = arrived(asked["references"])
    wanted = [PHOTO, OTHER] if several and dialect != "compatible" else [PHOTO]
    assert [same(one, two) for one, two in zip(references, wanted, strict=True)] == [True] * len(
        wanted
    )
    told = by_prompt["references"].end.warnings
    assert any("the first was sent" in one for one in told) == (len(wanted) == 1)


def test_first_and_last_frame_arrive_by_their_role(tmp_path: Path) -> None:
    wanted = {**FILM, "prompt": "x", "image": "inbox/photo.png", "last_frame": "inbox/other.png"}
    (end,), asked = played(tmp_path, "openrouter", [wanted])
    assert end.ok, end.end.error
    shown = {
        frame["frame_type"]: next(_in_json(frame)) for frame in asked["x"].json["frame_images"]
    }
    assert same(shown["first_frame"], PHOTO)
    assert same(shown["last_frame"], OTHER)


def test_a_path_goes_only_to_whoever_may_have_one(tmp_path: Path) -> None:
    wanted = {**FILM, "prompt": "x", "image": "inbox/photo.png", "image_transport": "path"}
    (end,), asked = played(tmp_path / "no", "compatible", [wanted])
    assert (end.code, asked) == ("forbidden_path", {})
    (end,), asked = played(tmp_path / "yes", "compatible", [wanted], allow_paths=True)
    assert end.ok, end.end.error
    assert asked["x"].json["input_reference"] == "inbox/photo.png"


# ---------------------------------------------------------------- the stand-in


def test_a_clip_through_a_real_daemon_is_an_mp4_of_just_what_was_asked_for(tmp_path: Path) -> None:
    root = Root(tmp_path)
    (root.inbox / "photo.png").write_bytes(png(PHOTO))
    wanted = {
        "task": "generate_video",
        "provider": "local",
        "prompt": "a slow move",
        "image": "inbox/photo.png",
        "size": "96x64",
        "duration": "2s",
        "fps": 8,
    }
    root.drop("film.json", wanted)
    drain(tmp_path)
    result = root.result("film.json")
    assert result is not None
    assert (result["status"], result["error"]) == ("succeeded", None)
    film, poster = result["artifacts"]
    assert film["path"] == f"tmp/videos/generated-video-{result['job']}-1.mp4"
    assert poster["path"] == f"tmp/images/posters/generated-video-poster-{result['job']}-1.jpg"
    assert {name: film[name] for name in ("seconds", "fps", "frames", "codec", "verified")} == {
        "seconds": 2.0,
        "fps": 8.0,
        "frames": 16,
        "codec": "h264",
        "verified": True,
    }
    shown = frames((tmp_path / film["path"]).read_bytes())
    assert (len(shown), shown[0].size) == (16, (96, 64))
    assert like(opened((tmp_path / poster["path"]).read_bytes()), shown[2])
    assert root.types("film.json")[-4:] == [
        "artifact.saved",
        "artifact.saved",
        "job.succeeded",
        "result.emitted",
    ]
    assert "provider.accepted" in root.types("film.json")


LOCAL = {"provider": "local", "size": "64x48", "seconds": 1, "fps": 8}


async def _at_work(bench: Bench, job: str) -> None:
    runner = bench.runner()
    running = asyncio.create_task(runner.run())
    try:
        async with asyncio.timeout(PATIENCE):
            while not bench.state.jobs[job].ended:
                bench.clock.advance(2.0)
                runner.wake()
                await asyncio.sleep(0.0005)
    finally:
        await runner.stop(5)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        bench.close()


@pytest.mark.parametrize("pictured", [False, True])
def test_a_clip_that_was_taken_before_a_crash_is_there_after_it(
    pictured: bool, tmp_path: Path
) -> None:
    """Without a picture the job is gone on with; with one it is asked for again, for it was
    forgotten, and that is free."""
    (tmp_path / "inbox").mkdir()
    (tmp_path / "inbox" / "photo.png").write_bytes(png(PHOTO))
    image = {"image": "inbox/photo.png"} if pictured else {}

    async def main() -> None:
        before = Bench(tmp_path, Local())
        job = await before.accept(**{**FILM, **LOCAL, **image})
        await _at_work(before, job)
        whole = before.state.jobs[job]
        assert whole.status == "succeeded"
        taken = next(
            number
            for number, line in enumerate(before.log.read(), start=1)
            if isinstance(line.event, ProviderAccepted)
        )
        after = Bench(tmp_path, Local(), lines=before.log.lines[:taken])
        await _at_work(after, job)
        assert after.state.jobs[job].status == "succeeded"
        events = [line.event for line in after.log.read()]
        calls = sum(isinstance(event, ProviderRequested) for event in events)
        failed = [event.error["code"] for event in events if isinstance(event, JobRetrying)]
        assert (calls, failed) == ((2, ["provider_failed"]) if pictured else (1, []))
        rows = [
            [row["sha256"] for row in bench.log.get(bench.state.jobs[job].last).event.artifacts]  # type: ignore[union-attr]
            for bench in (before, after)
        ]
        assert rows[0] == rows[1]

    asyncio.run(main())
