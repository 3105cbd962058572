"""Manifests of the old skill, dropped unchanged: a provider is asked what the skill asked it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from daemon.testing import tiny_image
from tests.story.paid_victim import KEY, configure
from tests.support import Root, drain
from tests.wire import answers
from tests.wire.pictures import clip
from tests.wire.received import Received
from tests.wire.server import ProviderServer

SEED = Path(__file__).parents[1] / "fixtures" / "seed"
CALL = json.loads((SEED / "batch.json").read_text())
PICTURES = ("item-reference", "item-1", "item-2", "item", "bowl")
SENT = ("prompt", "size", "quality", "style", "background", "n", "seed", "fps", "preset", "model")
"""Fields that go to the provider as they stand in an item."""


@pytest.fixture
def server() -> Iterator[ProviderServer]:
    with ProviderServer(key=KEY) as running:
        film = running.media("/media/clip.mp4", clip(1))
        running.always(answers.url_to(film), "/v1/videos")  # it is ready at once
        yield running


@pytest.fixture
def old(root: Root, server: ProviderServer) -> Root:
    """A root as the skill left it."""
    configure(root.path, server.base_url)
    images = root.path / "tmp" / "images"
    images.mkdir(parents=True)
    for name in ("media-batch.jsonl", "array.json"):
        (images / name).write_bytes((SEED / name).read_bytes())
    (images / "item.json").write_text('{"user": "me"}')
    for name in PICTURES:
        (images / f"{name}.png").write_bytes(tiny_image("navy", (64, 48)))
    return root


def expected_of(manifest: str) -> list[dict[str, Any]]:
    read: list[dict[str, Any]] = json.loads(
        (SEED / manifest).with_suffix(".expected.json").read_text()
    )
    return read


def judge(result: Mapping[str, Any], manifest: str, server: ProviderServer) -> None:
    expected = expected_of(manifest)
    assert [row["task"] for row in result["results"]] == [one["task"] for one in expected]
    assert [row["item"] for row in result["results"]] == [one["item"] for one in expected]
    assert [row["error"] for row in result["results"]] == [None] * len(expected)
    asked = {one.fields["prompt"]: one for one in server.creates}
    assert len(server.creates) == len(asked) == len(expected)
    for one in expected:
        judge_call(asked[one["item"]["prompt"]], one["task"], one["item"])


def judge_call(call: Received, task: str, item: Mapping[str, Any]) -> None:
    is_video = task == "generate_video" or item.get("mode") == "video"
    assert call.path == ("/v1/videos" if is_video else "/v1/images/generations")
    for field in SENT:
        if field in item:
            assert str(call.fields[field]) == str(item[field]), field
    for unknown in ("prefix", "out_dir", "mode", "vars", "index", "download", "timeout"):
        assert unknown not in call.fields


def test_the_manifest_of_its_public_page_is_asked_item_by_item_and_summed_up(
    old: Root, server: ProviderServer
) -> None:
    old.drop("batch.json", (SEED / "batch.json").read_bytes())
    drain(old.path, PAPER_KEY=KEY)
    result = old.result("batch.json")
    assert result is not None
    judge(result, "media-batch.jsonl", server)
    assert (result["ok"], result["count"], result["succeeded"]) == (True, 6, 6)
    # The old summary: ok, count, and of each item its index, the item itself, and its outcome.
    summary = json.loads((old.path / CALL["summary_out"]).read_text())
    assert summary == result
    assert [row["index"] for row in summary["results"]] == [1, 2, 3, 4, 5, 6]
    assert all(row["artifacts"] for row in summary["results"] if row["item"].get("download", True))
    first = summary["results"][0]["artifacts"][0]["path"]
    assert first.startswith("tmp/images/item/item-image-1-")
    by_prompt = {one.fields["prompt"]: one.fields for one in server.creates}
    assert by_prompt["item in teal, {untouched}, {unknown}"]["user"] == "me"
    assert by_prompt["the item turns slowly"]["seconds"] in (6, "6")


@pytest.mark.slow
def test_an_array_as_manifest_is_so_as_well(old: Root, server: ProviderServer) -> None:
    old.drop("b.json", {**CALL, "manifest": "tmp/images/array.json", "summary_out": "tmp/s.json"})
    drain(old.path, PAPER_KEY=KEY)
    result = old.result("b.json")
    assert result is not None
    judge(result, "array.json", server)
    assert json.loads((old.path / "tmp" / "s.json").read_text()) == result
