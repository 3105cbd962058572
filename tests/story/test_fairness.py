"""One request beside thousands of somebody else's."""

from __future__ import annotations

import json

import pytest

from tests.support import Root, daemon, wait_until

DRY = {"task": "generate_image", "prompt": "x", "dry_run": True}


def passed_over(root: Root, name: str) -> int:
    """How many others ended between a request's acceptance and its end."""
    types = [(line["type"], line.get("subject")) for line in root.lines()]
    accepted = types.index(("darkroom.job.accepted.v1", name))
    ended = types.index(("darkroom.job.succeeded.v1", name))
    return sum(kind == "darkroom.job.succeeded.v1" for kind, _ in types[accepted:ended])


@pytest.mark.timeout(120)
@pytest.mark.parametrize("bulk", [1000, pytest.param(3000, marks=pytest.mark.slow)])
def test_alice_is_answered_long_before_thousands_of_bulk_are(root: Root, bulk: int) -> None:
    aside = root.path / "bulk"
    aside.mkdir()
    for number in range(bulk):
        (aside / f"{number}.json").write_text(json.dumps(DRY))
    with daemon(root.path):
        aside.rename(root.inbox / "bulk")
        root.drop("alice/one.json", DRY)
        assert root.wait_result("alice/one.json")["ok"]
        wait_until(lambda: root.types().count("job.succeeded") == bulk + 1, "all are done")
    # What runs when she comes, and what is on its way to the disk.
    assert passed_over(root, "alice/one.json") < bulk // 10
