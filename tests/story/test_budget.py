"""A budget with a real daemon and a provider over HTTP: what it allows is paid for once, the rest
waits, and goes on when there is more."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.story.paid_victim import KEY
from tests.support import Root, daemon, darkroom, wait_until
from tests.wire.server import ProviderServer

NAMES = [f"{number}.json" for number in range(5)]


@pytest.fixture
def server() -> Iterator[ProviderServer]:
    with ProviderServer(key=KEY) as running:
        yield running


def configure(root: Path, server: ProviderServer, **budget: str) -> None:
    limits = "".join(f"{name} = {value}\n" for name, value in budget.items())
    text = (
        f'[providers.paper]\nbase_url = "{server.base_url}"\napi_key = "$PAPER_KEY"\n'
        f'[prices."paper/paper-1"]\nimage = 0.04\n[budget]\n{limits}'
    )
    aside = root / "aside.toml"
    aside.write_text(text)
    aside.rename(root / "darkroom.toml")


def drop_five(root: Root) -> None:
    for name in NAMES:
        root.drop(name, {"prompt": name, "provider": "paper", "model": "paper-1"})


def paid(server: ProviderServer) -> list[str]:
    return sorted(one.fields["prompt"] for one in server.creates)


def money(root: Root) -> dict[str, Any]:
    done = darkroom(root.path, "status", "--json")
    told: dict[str, Any] = json.loads(done.stdout)["money"]
    return told


def test_a_budget_for_two_pictures_pays_for_two_through_restarts_and_then_for_the_rest(
    root: Root, server: ProviderServer
) -> None:
    configure(root.path, server, day="0.08")
    drop_five(root)
    for _ in range(2):  # the second daemon knows what the first one spent
        done = darkroom(root.path, "run", "--drain", PAPER_KEY=KEY)
        assert done.returncode == 3, done.stderr
        assert "the budget of the day, 0.08 USD, which is used up, until" in done.stderr
        assert len(paid(server)) == 2
    assert root.types().count("budget.reached") == 1
    told = money(root)
    assert told["today"] == told["this_month"] == {"spent": {"USD": "0.08"}, "unknown": 0}
    assert [one["budget"] for one in told["held_by"]] == ["day"]
    text = darkroom(root.path, "status").stdout
    assert "spent 0.08 USD today, 0.08 USD this month; nothing reserved" in text
    assert "waits for the budget" in " ".join(text.split())
    configure(root.path, server, day="0.20")
    done = darkroom(root.path, "run", "--drain", PAPER_KEY=KEY)
    assert done.returncode == 0, done.stderr
    assert paid(server) == NAMES
    assert root.types().count("budget.freed") == 1
    cost = {"amount": "0.04", "currency": "USD", "source": "prices"}
    for name in NAMES:
        result = root.result(name)
        assert result is not None
        assert (result["status"], result["usage"]["cost"]) == ("succeeded", cost)


def test_a_daemon_that_runs_goes_on_by_itself_when_the_budget_is_raised_and_free_work_never_waits(
    root: Root, server: ProviderServer
) -> None:
    configure(root.path, server, month="0.08")
    drop_five(root)
    with daemon(root.path, PAPER_KEY=KEY):
        wait_until(lambda: "budget.reached" in root.types(), "the budget is reached")
        wait_until(lambda: root.types().count("job.succeeded") == 2, "two are paid for")
        root.drop("free.json", {"prompt": "x", "size": "64x64", "provider": "local"})
        assert root.wait_result("free.json")["ok"]
        assert len(paid(server)) == 2
        configure(root.path, server, month="0.20")
        for name in NAMES:
            assert root.wait_result(name)["ok"]
    assert paid(server) == NAMES


def test_a_budget_that_is_mistyped_is_no_leave_to_spend(root: Root, server: ProviderServer) -> None:
    configure(root.path, server, dya="0.08")
    root.drop("0.json", {"prompt": "x", "provider": "paper", "model": "paper-1"})
    darkroom(root.path, "run", "--drain", PAPER_KEY=KEY)
    error = (root.result("0.json") or {})["error"]
    assert error["code"] == "config_invalid"
    assert "'dya' is not known" in error["message"]
    assert "Did you mean day?" in error["hints"]
    assert paid(server) == []
