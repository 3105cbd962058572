"""One dropped array whose items build on each other by their ids, in whatever order they stand: a
picture, an object cut out of it, the canvas around that, and a clip of it all."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.story.boundaries import one_of_each
from tests.story.checks import check
from tests.story.victim import spawn
from tests.support import Root, drain

LOCAL = {"provider": "local"}
CAT = {**LOCAL, "id": "cat", "prompt": "a cat", "size": "48x32"}
MASK = {
    "id": "mask", "task": "prepare_object_mask", "image": {"from": "cat"}, "threshold": 24,
}  # fmt: skip
CUT = {
    **LOCAL, "id": "cut", "task": "object_select_edit", "image": {"from": "cat"}, "threshold": 24,
    "edit_target": "background", "prompt": "a beach",
}  # fmt: skip
WIDE = {
    **LOCAL, "id": "wide", "task": "outpaint_image", "image": {"from": "cut"}, "left": 16,
    "right": 16, "mode": "edge", "prompt": "the rest of the room",
}  # fmt: skip
FILM = {
    **LOCAL, "id": "film", "task": "generate_video", "mode": "animate", "seconds": 1,
    "image": {"from": "wide", "artifact": 0, "role": "output"}, "prompt": "it moves",
}  # fmt: skip
ITEMS = [CAT, MASK, CUT, WIDE, FILM]
NAME = "all.json"


def as_file(items: list[dict[str, Any]]) -> bytes:
    return json.dumps(items).encode()


def judge(root: Path, items: list[dict[str, Any]]) -> None:
    result = check(root, {NAME: as_file(items)})[NAME]
    assert result["status"] == "succeeded", result["results"]
    rows = {row["item"]["id"]: row for row in result["results"]}
    assert [row["item"]["id"] for row in result["results"]] == [one["id"] for one in items]
    sizes = {
        name: (one["width"], one["height"])
        for name, row in rows.items()
        for one in row["artifacts"]
        if one["role"] == "output" or name == "mask"
    }
    assert sizes["cat"] == sizes["mask"] == sizes["cut"] == (48, 32)
    assert sizes["wide"] == (80, 32)
    ends = [line["subject"] for line in Root(root).lines() if line["type"] == ENDED]
    places = {one["id"]: ends.index(f"{NAME}#{n}") for n, one in enumerate(items, 1)}
    assert places["cat"] < places["cut"] < places["wide"] < places["film"]
    assert places["cat"] < places["mask"]
    (film,) = [one for one in rows["film"]["artifacts"] if one["kind"] == "video"]
    assert film["frames"] > 1


ENDED = "darkroom.job.succeeded.v1"


@pytest.mark.parametrize(
    "items",
    [pytest.param(ITEMS, marks=pytest.mark.slow), ITEMS[::-1]],
    ids=["in order", "in reverse order"],
)
def test_an_array_is_a_pipeline_from_a_prompt_to_a_clip(
    items: list[dict[str, Any]], root: Root
) -> None:
    root.drop(NAME, as_file(items))
    drain(root.path)
    judge(root.path, items)


def errors(root: Root, *items: dict[str, Any]) -> dict[str, str]:
    """How items ended, by their ids: their errors' codes and messages."""
    root.drop("a.json", as_file(list(items)))
    drain(root.path, DARKROOM_DEPENDENCY_WAIT="0.2")
    result = root.result("a.json")
    assert result is not None
    told = {row["item"]["id"]: row["error"] for row in result["results"]}
    return {name: f"{one['code']}: {one['message']}" if one else "" for name, one in told.items()}


def test_a_cycle_an_unknown_name_and_a_failed_parent_are_told_with_the_chain(root: Root) -> None:
    made = errors(
        root,
        {**LOCAL, "id": "hen", "prompt": "x", "after": ["egg"]},
        {**LOCAL, "id": "egg", "prompt": "x", "after": ["chick"]},
        {**LOCAL, "id": "chick", "prompt": "x", "after": ["hen"]},
        {**CUT, "id": "lost", "image": {"from": "nobody"}},
        {**CAT, "id": "bad", "provider": "nobody"},
        {**CUT, "id": "cut", "image": {"from": "bad"}},
        {**WIDE, "id": "wide", "image": {"from": "cut"}},
        {**CAT, "id": "good"},
    )
    failed = "dependency_failed"
    nobody = "provider_not_found: there is no provider 'nobody'"
    circle = ["a.json#1", "a.json#2", "a.json#3"]
    assert made == {
        **{
            name: f"{failed}: {one} waits for itself: {' → '.join([*circle[n:], *circle[:n], one])}"
            for n, (name, one) in enumerate(zip(("hen", "egg", "chick"), circle, strict=True))
        },
        "lost": f"{failed}: a.json#4 needs nobody.json, which did not come within 0.2 s",
        "bad": nobody,
        "cut": f"{failed}: a.json#6 needs a.json#5, which failed: {nobody}",
        "wide": f"{failed}: a.json#7 needs a.json#6, which failed ({failed}): "
        f"a.json#6 needs a.json#5, which failed: {nobody}",
        "good": "",
    }


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("items", [ITEMS, ITEMS[::-1]], ids=["in order", "in reverse order"])
def test_kills_in_the_middle_break_no_chain(items: list[dict[str, Any]], tmp_path: Path) -> None:
    def drop(root: Path) -> None:
        Root(root).drop(NAME, as_file(items))

    drop(tmp_path / "0")
    assert spawn(tmp_path / "0") == 0
    judge(tmp_path / "0", items)
    passed = (tmp_path / "0" / "tally").read_text().splitlines()
    for kill_at in sorted({*one_of_each(passed), *range(1, len(passed), 5)}):
        root = tmp_path / str(kill_at)
        drop(root)
        assert spawn(root, kill_at) in (-9, 0)
        assert spawn(root) == 0, (kill_at, (root / "stderr.log").read_text()[-4000:])
        judge(root, items)
        shutil.rmtree(root)
