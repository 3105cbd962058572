"""`download: false`: the job is paid for and answered, and its media stay where they are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from handlers.providers.local import Local
from tests.builders import Bench
from tests.handlers.scenes import png, source
from tests.story.stage import Cast, play, play_all
from tests.wire import answers
from tests.wire.jobs import job
from tests.wire.pictures import USUAL_SIZE
from tests.wire.server import ProviderServer
from tests.working import finished, run

PHOTO = {"image": "inbox/photo.png"}
REGIONS = {"regions": ["rect:10:10:20:20"]}
TASKS: dict[str, dict[str, Any]] = {
    "generate_image": {},
    "edit_image": PHOTO,
    "mask_inpaint": {**PHOTO, **REGIONS},
    "outpaint_image": {**PHOTO, "expand": 8},
    "object_select_edit": PHOTO,
    "reference_media": {"reference_images": ["inbox/photo.png"]},
}
"""Every task that asks for pictures, and what it needs."""
MADE_HERE = {
    "mask_inpaint": ["mask"],
    "outpaint_image": ["prepared_input", "mask"],
    "object_select_edit": ["mask"],
}


@pytest.fixture
def server() -> Iterator[ProviderServer]:
    with ProviderServer() as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "inbox").mkdir()
    (tmp_path / "inbox" / "photo.png").write_bytes(png(source(USUAL_SIZE)))
    return tmp_path


def left(*addresses: str) -> list[dict[str, str]]:
    return [{"reference": address, "reason": "download is false"} for address in addresses]


def test_no_task_fetches_and_each_tells_where_its_picture_is(
    folder: Path, server: ProviderServer
) -> None:
    address = "https://media.example.test/signed.png?expires=1&signature=abc"
    for _ in TASKS:
        server.script(answers.url_to(address))
    wanted = [{"task": task, **more, "download": False} for task, more in TASKS.items()]
    ends = play_all(folder, server, wanted, Cast(dialect="compatible"))
    assert (len(server.creates), len(server.downloads)) == (len(TASKS), 0)
    for task, end in zip(TASKS, ends, strict=True):
        assert end.ok, (task, end.end.error)
        assert end.end.references == left(address)
        assert [one["role"] for one in end.end.artifacts] == MADE_HERE.get(task, [])
        assert not any("brought home" in one for one in end.end.warnings)
    assert [*(folder / "events" / "blobs").iterdir()] == []


@pytest.mark.parametrize("style", ["openai", "xai", "openrouter"])
def test_of_a_clip_that_takes_long_only_the_end_is_waited_for(
    style: Any, folder: Path, server: ProviderServer
) -> None:
    server.script(job("queued", "in_progress", "completed", style=style))
    dialect = "compatible" if style == "openai" else style
    wanted = {"task": "generate_video", "prompt": "x", "download": False}
    end = play(folder, server, Cast(dialect=dialect), **wanted)
    assert end.ok, end.end.error
    assert (len(server.creates), len(server.downloads), end.end.artifacts) == (1, 0, [])
    (reference,) = end.end.references
    where = str(reference["reference"])
    assert reference == left(where)[0]
    path = {"openai": "/content", "openrouter": "/content?index=0", "xai": ".mp4"}[style]
    assert where.endswith(path)


def test_what_came_inside_the_answer_lies_nowhere_else_and_is_saved(
    folder: Path, server: ProviderServer
) -> None:
    server.script(answers.b64())
    end = play(folder, server, task="generate_image", download=False)
    assert end.ok
    assert ([one["role"] for one in end.end.artifacts], end.end.references) == (["output"], [])
    (warning,) = [one for one in end.end.warnings if "download is false" in one]
    assert warning.endswith("those are saved")


def test_a_job_of_the_stand_in_has_its_clip_saved_too(tmp_path: Path) -> None:
    async def main() -> None:
        bench = Bench(tmp_path, Local())
        film = {"task": "generate_video", "size": "64x48", "seconds": 1, "fps": 8}
        end = await finished(bench, **film, provider="local", download=False)
        assert [one["role"] for one in end.artifacts] == ["output", "poster"]
        assert any("download is false" in one for one in end.warnings)

    run(main())


def test_a_provider_that_takes_no_mask_is_not_said_to_be_mended(
    folder: Path, server: ProviderServer
) -> None:
    server.script(answers.url_to("https://media.example.test/a.png"))
    wanted = {"task": "mask_inpaint", **PHOTO, **REGIONS, "download": False}
    end = play(folder, server, Cast(dialect="xai"), **wanted)
    assert end.ok, end.end.error
    (warning,) = [one for one in end.end.warnings if "takes no mask" in one]
    assert "was not put back" in warning
