"""One request beside thousands of somebody else's."""

from __future__ import annotations

import json

from tests.support import Root, daemon, wait_until

DRY = {"task": "generate_image", "prompt": "x", "dry_run": True}
BULK = 3000


def passed_over(root: Root, name: str) -> int:
    """How many others ended between a request's acceptance and its end."""
    types = [(line["type"], line.get("subject")) for line in root.lines()]
    accepted = types.index(("darkroom.job.accepted.v1", name))
    ended = types.index(("darkroom.job.succeeded.v1", name))
    return sum(kind == "darkroom.job.succeeded.v1" for kind, _ in types[accepted:ended])


def test_alice_is_answered_long_before_three_thousand_of_bulk_are(root: Root) -> None:
    aside = root.path / "bulk"
    aside.mkdir()
    for number in range(BULK):
        (aside / f"{number}.json").write_text(json.dumps(DRY))
    with daemon(root.path):
        aside.rename(root.inbox / "bulk")
        root.drop("alice/one.json", DRY)
        assert root.wait_result("alice/one.json")["ok"]
        wait_until(lambda: root.types().count("job.succeeded") == BULK + 1, "all are done")
    # What runs when she comes, and what is on its way to the disk.
    assert passed_over(root, "alice/one.json") < BULK // 10
