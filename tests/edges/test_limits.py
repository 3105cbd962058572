"""Limits of the settings, with a real daemon."""

from __future__ import annotations

from tests.support import Root, daemon, wait_until

SMALL = {"prompt": "x", "size": "16x16"}


def test_a_drop_over_the_limit_is_refused_alone_and_taken_when_it_is_touched_later(
    root: Root,
) -> None:
    pause = root.inbox / "PAUSE"
    pause.touch()
    with daemon(root.path, DARKROOM_MAX_WAITING_JOBS="1"):
        root.drop("first.json", SMALL)
        wait_until(lambda: "job.accepted" in root.types("first.json"), "the first is accepted")
        second = root.drop("second.json", SMALL)
        refused = root.wait_result("second.json")
        assert (refused["status"], refused["error"]["code"]) == ("rejected", "limit_exceeded")
        pause.unlink()
        assert root.wait_result("first.json")["ok"]
        second.touch()
        wait_until(lambda: (root.result("second.json") or {}).get("ok"), "the second is answered")
    assert root.types("second.json").count("request.rejected") == 1
