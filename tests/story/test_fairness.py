"""One request beside thousands of somebody else's."""

from __future__ import annotations

import json

from tests.support import Root, daemon, wait_until

DRY = {"task": "generate_image", "prompt": "x", "dry_run": True}
BULK = 3000


def ends(root: Root) -> list[str]:
    """The names whose jobs succeeded, in the order of the log."""
    return [line["subject"] for line in root.lines() if line["type"].endswith("succeeded.v1")]


def test_alice_is_answered_long_before_three_thousand_of_bulk_are(root: Root) -> None:
    aside = root.path / "bulk"
    aside.mkdir()
    for number in range(BULK):
        (aside / f"{number}.json").write_text(json.dumps(DRY))
    with daemon(root.path):
        aside.rename(root.inbox / "bulk")
        root.drop("alice/one.json", DRY)
        assert root.wait_result("alice/one.json")["ok"]
        wait_until(lambda: len(ends(root)) == BULK + 1, "all are done")
    assert ends(root).index("alice/one.json") < BULK - 2000
