"""Batches and queues in a whole daemon: their items are jobs, answered by rows."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

import pytest

import handlers.generate_batch_media
from daemon import batches
from daemon import rows as writing
from daemon.app import App
from daemon.closing import Closing
from daemon.events import Recorded
from daemon.gallery import Gallery
from daemon.inbox import CONTROLS
from daemon.plugins import Plugins
from daemon.results import Get
from daemon.settings import load_settings
from handlers import handler_of
from handlers.contract import Context, Handler, HandlerError, TaskRequest
from tests.support import Root


class Request(TaskRequest):
    """Says what it is told, or fails as it is told."""

    task: Literal["say"] = "say"
    text: str
    fails: bool = False
    waits: bool = False


class Stage:
    """A root, and a daemon on it that does one task, which needs neither media nor a provider."""

    def __init__(self, path: Path, **settings: Any) -> None:
        self.root = Root(path)
        self.said: list[str] = []
        self.under_way = 0
        self.most_under_way = 0
        self.go = asyncio.Event()
        flags = {"root": path, "settle": 0.05, "retry_seconds": 0, "scan_interval": 0.1, **settings}
        self.settings = load_settings(flags, {"HOME": "/nonexistent"})

    async def _run(self, request: Request, context: Context) -> None:
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            self.said.append(request.text)
            if request.waits:
                await self.go.wait()
            await asyncio.sleep(0)
            if request.fails:
                raise HandlerError("provider_rejected", f"no {request.text}")
            context.warn(request.text)
        finally:
            self.under_way -= 1

    def plugins(self) -> Plugins:
        handlers_ = {
            "say": Handler("say", Request, self._run, "Say."),
            "generate_batch_media": handler_of(handlers.generate_batch_media),
        }
        return Plugins(handlers_, {})

    def drop(self, name: str, value: Any) -> None:
        self.root.drop(name, value)

    def queue(self, name: str, *lines: Any, end: str = "\n") -> None:
        """Drop a queue of these lines."""
        texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
        self.root.drop(name, ("\n".join(texts) + end).encode())

    def drain(self) -> int:
        """Have everything done that was dropped."""
        self.said.clear()
        return asyncio.run(self._served(drain=True))

    async def _served(self, *, drain: bool) -> int:
        self.go = asyncio.Event()
        async with asyncio.timeout(50):
            return await App(self.settings, self.plugins()).serve(drain=drain)

    async def during(self, scene: Callable[[], Any]) -> int:
        """Play a scene while the daemon runs, and then have the rest done."""
        serving = asyncio.create_task(self._served(drain=True))
        await scene()
        return await serving

    def result(self, name: str) -> dict[str, Any]:
        found = self.root.result(name)
        assert found is not None, name
        return found

    def rows(self, name: str) -> list[dict[str, Any]]:
        text = (self.root.inbox / f"{name}.result.jsonl").read_text()
        return [json.loads(line) for line in text.splitlines()]


def say(text: str, **more: Any) -> dict[str, Any]:
    return {"task": "say", "text": text, **more}


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.002)


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def statuses(rows: list[dict[str, Any]]) -> dict[int, str]:
    return {row["index"]: row["status"] for row in rows}


# ---------------------------------------------------------------- arrays and manifests


def test_an_array_is_answered_by_one_result_with_a_row_an_item(stage: Stage) -> None:
    stage.drop("a.json", [say("one {index}"), say("two"), {"task": "say"}, 7, say("x", fails=True)])
    assert stage.drain() == 0
    result = stage.result("a.json")
    assert (result["status"], result["ok"], result["task"]) == (
        "partial", False, "generate_batch_media",
    )  # fmt: skip
    assert [result[name] for name in ("count", "succeeded", "failed", "rejected")] == [5, 2, 1, 2]
    rows = result["results"]
    assert [row["index"] for row in rows] == [1, 2, 3, 4, 5]
    assert [row["status"] for row in rows] == [
        "succeeded", "succeeded", "rejected", "rejected", "failed",
    ]  # fmt: skip
    assert rows[0]["item"] == say("one 1")
    assert rows[0]["warnings"] == ["one 1"]
    assert rows[2]["error"]["faults"] == [{"pointer": "/text", "message": "is missing"}]
    assert rows[4]["error"]["message"] == "no x"
    assert "5 items" in result["error"]["message"]


def test_what_a_batch_says_for_all_holds_where_an_item_says_nothing(stage: Stage) -> None:
    stage.drop(
        "a.json",
        {
            "task": "generate_batch_media",
            "items": [say("one", labels={"own": 1}), say("two", priority=3)],
            "priority": 7,
            "labels": {"run": "x", "own": 0},
        },
    )
    stage.drain()
    one, two = (row["item"] for row in stage.result("a.json")["results"])
    assert (one["priority"], two["priority"]) == (7, 3)
    assert (one["labels"], two["labels"]) == ({"run": "x", "own": 1}, {"run": "x", "own": 0})
    assert stage.result("a.json")["labels"] == {"run": "x", "own": 0}


@pytest.mark.parametrize("spelled", ["vars", "vars_json"])
def test_what_was_filled_in_is_not_filled_in_again(stage: Stage, spelled: str) -> None:
    names: Any = {"who": "{{me}}", "me": "wrong"}
    stage.drop(
        "a.json",
        {
            "task": "generate_batch_media",
            "items": [say("{who} {{me}}")],
            spelled: names if spelled == "vars" else json.dumps(names),
        },
    )
    stage.drain()
    assert stage.said == ["{{me}} {me}"]


def test_a_sheet_that_cannot_be_saved_is_told_of_and_holds_nobody_up(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def save(*_: Any) -> None:
        raise OSError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Gallery, "save", save)
    items = {"task": "generate_batch_media", "items": [say("one")], "contact_sheet": True}
    stage.drop("a.json", items)
    assert stage.drain() == 0
    result = stage.result("a.json")
    assert (result["status"], result["artifacts"]) == ("succeeded", [])
    assert result["warnings"] == ["the contact sheet cannot be saved: permission denied"]


def test_a_summary_replaces_no_picture(stage: Stage) -> None:
    items = {"task": "generate_batch_media", "items": [say("one")]}
    stage.drop("a.json", {**items, "summary_out": "tmp/images/mine.png"})
    stage.drop("b.json", {**items, "summary_out": "tmp/sums/b.json"})
    stage.drain()
    (fault,) = stage.result("a.json")["error"]["faults"]
    assert fault == {"pointer": "/summary_out", "message": "must end in .json"}
    assert json.loads((stage.root.path / "tmp/sums/b.json").read_text()) == stage.result("b.json")


def test_a_manifest_is_read_once_and_may_go_while_its_items_run(stage: Stage) -> None:
    manifest = stage.root.inbox / "list.jsonl.txt"
    manifest.write_text("\n".join(json.dumps(say(str(number), waits=True)) for number in range(3)))
    stage.drop("a.json", {"task": "generate_batch_media", "manifest": "inbox/list.jsonl.txt"})

    async def scene() -> None:
        await until(lambda: len(stage.said) == 3)
        manifest.unlink()
        stage.go.set()

    asyncio.run(stage.during(scene))
    assert stage.result("a.json")["succeeded"] == 3


def test_a_manifest_that_is_not_there_fails_the_batch_and_retry_looks_again(stage: Stage) -> None:
    stage.drop("a.json", {"task": "generate_batch_media", "manifest": "inbox/list.txt"})
    stage.drain()
    assert stage.result("a.json")["error"]["code"] == "file_not_found"
    (stage.root.inbox / "list.txt").write_text(json.dumps([say("one")]))
    stage.drop("a.retry", b"")
    stage.drain()
    assert stage.result("a.json")["status"] == "succeeded"


def test_too_many_items_are_refused_as_a_whole(tmp_path: Path) -> None:
    stage = Stage(tmp_path, max_batch_items=3)
    stage.drop("a.json", [say(str(number)) for number in range(4)])
    stage.drop("b.json", [say("three"), say("are"), say("few")])
    stage.drain()
    assert stage.result("a.json")["error"]["code"] == "limit_exceeded"
    assert stage.result("b.json")["ok"]
    assert sorted(stage.said) == ["are", "few", "three"]


def test_the_first_failure_lets_running_items_end_and_cancels_the_rest(tmp_path: Path) -> None:
    stage = Stage(tmp_path, provider_concurrency=2)
    items = [say("bad", fails=True), say("slow", waits=True), *(say(str(n)) for n in range(600))]
    stage.drop("a.json", {"task": "generate_batch_media", "items": items})

    async def scene() -> None:
        await until(
            lambda: "slow" in stage.said and stage.root.types().count("job.cancelled") > 500
        )
        stage.go.set()

    asyncio.run(stage.during(scene))
    result = stage.result("a.json")
    assert statuses(result["results"])[2] == "succeeded"
    counts = Counter(statuses(result["results"]).values())
    assert counts["failed"] == 1
    assert counts["cancelled"] > 500
    assert sum(counts.values()) == result["count"] == 602
    assert result["status"] == "partial"


def test_retry_runs_again_what_did_not_succeed_and_nothing_else(stage: Stage) -> None:
    stage.drop("a.json", [say("good"), say("bad", fails=True), {"task": "say"}])
    stage.drain()
    stage.drop("a.retry", b"")
    stage.drain()
    assert stage.said == ["bad"]
    assert statuses(stage.result("a.json")["results"]) == {
        1: "succeeded", 2: "failed", 3: "rejected",
    }  # fmt: skip


def test_retry_runs_nothing_where_all_that_did_not_succeed_was_rejected(stage: Stage) -> None:
    stage.drop("a.json", [say("good"), {"task": "say"}])
    stage.drain()
    stage.drop("a.retry", b"")
    stage.drain()
    assert stage.said == []
    assert statuses(stage.result("a.json")["results"]) == {1: "succeeded", 2: "rejected"}


def test_retry_of_a_batch_that_succeeded_runs_all_of_it_again(stage: Stage) -> None:
    stage.drop("a.json", [say("one"), say("two")])
    stage.drain()
    stage.drop("a.retry", b"")
    stage.drain()
    assert sorted(stage.said) == ["one", "two"]
    assert stage.result("a.json")["ok"]


def test_one_item_can_be_run_again_by_its_name(stage: Stage) -> None:
    stage.drop("a.json", [say("one"), say("bad", fails=True)])
    stage.drain()
    before = stage.result("a.json")["events"]["last"]
    stage.drop("a.json#2.retry", b"")
    stage.drain()
    assert stage.said == ["bad"]
    assert stage.result("a.json")["events"]["last"] > before


def test_a_cancelled_batch_tells_of_every_item(tmp_path: Path) -> None:
    stage = Stage(tmp_path, provider_concurrency=2)
    stage.drop("a.json", [say(str(number), waits=True) for number in range(700)])

    async def scene() -> None:
        await until(lambda: stage.said)
        stage.drop("a.cancel", b"")

    asyncio.run(stage.during(scene))
    result = stage.result("a.json")
    assert result["status"] == "cancelled"
    assert Counter(statuses(result["results"]).values()) == {"cancelled": 700}


def test_items_run_side_by_side_up_to_the_limit(tmp_path: Path) -> None:
    stage = Stage(tmp_path, provider_concurrency=3)
    stage.drop("a.json", [say(str(number), waits=True) for number in range(9)])

    async def scene() -> None:
        await until(lambda: stage.under_way == 3)
        stage.go.set()

    asyncio.run(stage.during(scene))
    assert stage.most_under_way == 3
    assert stage.result("a.json")["ok"]


def test_an_id_names_one_item_of_its_batch_and_none_of_another(stage: Stage) -> None:
    stage.drop("a.json", [say("one", id="x"), say("two", id="x")])
    stage.drop("b.json", [say("three", id="x")])
    stage.drop("c.json", say("four", id="x"))
    stage.drain()
    first, second = stage.result("a.json")["results"]
    assert (first["status"], second["error"]["code"]) == ("succeeded", "duplicate_id")
    assert stage.result("b.json")["ok"]
    assert stage.result("c.json")["ok"]


def test_a_changed_batch_waits_for_the_one_before(stage: Stage) -> None:
    stage.drop("a.json", [say("old", waits=True)])

    async def scene() -> None:
        await until(lambda: stage.said == ["old"])
        stage.drop("a.json", [say("new")])
        await until(lambda: stage.root.types("a.json").count("job.accepted") == 2)
        stage.go.set()

    asyncio.run(stage.during(scene))
    assert stage.said == ["old", "new"]
    assert [row["item"]["text"] for row in stage.result("a.json")["results"]] == ["new"]


def test_a_batch_is_no_item_of_a_batch(stage: Stage) -> None:
    stage.drop("a.json", [{"task": "generate_batch_media", "items": [say("x")]}])
    stage.drain()
    assert stage.result("a.json")["results"][0]["error"]["code"] == "invalid_request"


def test_an_empty_batch_is_answered_and_says_so(stage: Stage) -> None:
    stage.drop("a.json", [])
    stage.drain()
    result = stage.result("a.json")
    assert (result["ok"], result["count"], result["results"]) == (True, 0, [])
    assert result["warnings"] == ["there was no item in it"]


def test_long_texts_of_items_are_told_by_their_digest(stage: Stage) -> None:
    stage.drop("a.json", [say("x" * 10_000)])
    stage.drain()
    assert stage.said == ["x" * 10_000]
    text = stage.result("a.json")["results"][0]["item"]["text"]
    assert text.startswith("sha256:")


# ---------------------------------------------------------------- queues


def test_a_queue_is_answered_by_a_row_a_line_and_a_summary(stage: Stage) -> None:
    stage.queue("q.jsonl", say("one {index}"), say("two"), "{no json", "", say("two"))
    stage.drain()
    rows = stage.rows("q.jsonl")
    assert statuses(rows) == {1: "succeeded", 2: "succeeded", 3: "rejected", 4: "succeeded"}
    assert {row["index"]: row["item"] for row in rows}[1] == say("one 1")
    bad = next(row for row in rows if row["index"] == 3)
    assert bad["error"]["message"].startswith("line 3 of q.jsonl: not JSON")
    summary = stage.result("q.jsonl")
    assert (summary["count"], summary["succeeded"], summary["rejected"]) == (4, 3, 1)
    assert (summary["known"], summary["complete"], summary["missing"]) == (0, False, None)
    assert summary["results"] == []


def test_only_appended_lines_run_and_the_summary_says_how_many_were_known(stage: Stage) -> None:
    stage.queue("q.jsonl", say("one"), say("two"))
    stage.drain()
    stage.queue("q.jsonl", say("one"), say("two"), say("three"), {"end": True, "count": 3})
    stage.drain()
    assert stage.said == ["three"]
    summary = stage.result("q.jsonl")
    assert (summary["count"], summary["known"], summary["complete"]) == (3, 2, True)
    assert [row["index"] for row in stage.rows("q.jsonl")] == [1, 2, 3]


def test_the_same_queue_dropped_again_runs_nothing(stage: Stage) -> None:
    stage.queue("q.jsonl", say("one"), say("two"))
    stage.drain()
    summary, rows = stage.result("q.jsonl"), stage.rows("q.jsonl")
    (stage.root.inbox / "q.jsonl").unlink()
    (stage.root.inbox / "q.jsonl.result.json").unlink()
    (stage.root.inbox / "q.jsonl.result.jsonl").unlink()
    stage.drain()
    stage.queue("q.jsonl", say("one"), say("two"))
    stage.drain()
    assert stage.said == []
    assert stage.result("q.jsonl") == summary
    assert sorted(row["index"] for row in stage.rows("q.jsonl")) == [1, 2]
    assert stage.rows("q.jsonl") == rows


def test_a_rewritten_queue_runs_only_what_is_new(stage: Stage) -> None:
    stage.queue("q.jsonl", say("one"), say("two"))
    stage.drain()
    stage.queue("q.jsonl", say("two"), say("three"), say("one"))
    stage.drain()
    assert stage.said == ["three"]
    assert stage.result("q.jsonl")["known"] == 2


def test_an_end_says_how_many_lines_are_missing(stage: Stage) -> None:
    stage.queue("q.jsonl", say("one"), {"end": True, "count": 5})
    stage.drain()
    summary = stage.result("q.jsonl")
    assert (summary["complete"], summary["missing"]) == (False, 4)


def test_an_end_counts_without_a_newline_behind_it(stage: Stage) -> None:
    stage.queue("q.jsonl", say("one"), {"end": True, "count": 1}, end="")
    stage.drain()
    summary = stage.result("q.jsonl")
    assert (summary["complete"], summary["missing"], summary["warnings"]) == (True, 0, [])


def test_an_unfinished_last_line_is_told_and_runs_once_it_is_whole(stage: Stage) -> None:
    stage.queue("q.jsonl", say("one"), '{"task": "sa', end="")
    stage.drain()
    assert stage.said == ["one"]
    assert "last line has no end" in stage.result("q.jsonl")["warnings"][0]
    stage.queue("q.jsonl", say("one"), say("two"), end="")
    stage.drain()
    assert stage.said == ["two"]
    assert stage.result("q.jsonl")["warnings"] == []


def test_lines_that_are_too_long_or_no_text_are_rows_as_well(tmp_path: Path) -> None:
    stage = Stage(tmp_path, max_line_bytes=100)
    data = json.dumps(say("x" * 200)).encode() + b'\n{"task": "say", "text": "\xff"}\n'
    stage.root.drop("q.jsonl", data + json.dumps(say("fine")).encode() + b"\n")
    stage.drain()
    assert {row["index"]: row["error"] and row["error"]["code"] for row in stage.rows("q.jsonl")} == {
        1: "limit_exceeded", 2: "invalid_json", 3: None,
    }  # fmt: skip


def test_a_queue_that_is_too_large_is_refused_and_runs_once_it_is_not(tmp_path: Path) -> None:
    stage = Stage(tmp_path, max_queue_bytes=100)
    stage.queue("q.jsonl", say("one"))
    stage.drain()
    stage.queue("q.jsonl", say("one"), *(say(str(number)) for number in range(10)))
    stage.drain()
    assert stage.result("q.jsonl")["error"]["code"] == "limit_exceeded"
    stage.queue("q.jsonl", say("one"), say("two"))
    stage.drain()
    assert stage.said == ["two"]


def test_a_queue_may_be_deleted_once_it_was_read(tmp_path: Path) -> None:
    stage = Stage(tmp_path, provider_concurrency=2)
    stage.queue("q.jsonl", *(say(str(number), waits=True) for number in range(1500)))

    async def scene() -> None:
        await until(lambda: stage.said)
        (stage.root.inbox / "q.jsonl").unlink()
        stage.go.set()

    asyncio.run(stage.during(scene))
    assert len(stage.said) == len(set(stage.said)) == 1500
    assert len(stage.rows("q.jsonl")) == 1500


def test_a_queue_has_no_more_items_open_than_memory_should_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "WINDOW", 20)
    monkeypatch.setattr(batches, "TURN", 10)
    stage = Stage(tmp_path)
    stage.queue("q.jsonl", *(say(str(number), waits=True) for number in range(100)))

    async def scene() -> None:
        await until(lambda: stage.root.types().count("job.accepted") >= 21)
        await asyncio.sleep(0.05)
        assert stage.root.types().count("job.accepted") <= 1 + 30
        stage.go.set()

    asyncio.run(stage.during(scene))
    assert sorted(map(int, stage.said)) == list(range(100))


def test_a_queue_waits_where_its_rows_cannot_be_written_as_fast(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module, name, value in (
        (batches, "WINDOW", 10),
        (batches, "TURN", 5),
        (writing, "MOST", 5),
    ):
        monkeypatch.setattr(module, name, value)
    disk, add = threading.Event(), writing.Rows._add

    def slowly(self: writing.Rows, descriptor: int, endings: Iterable[Recorded], get: Get) -> None:
        disk.wait(20)
        add(self, descriptor, endings, get)

    monkeypatch.setattr(writing.Rows, "_add", slowly)
    stage = Stage(tmp_path)
    stage.queue("q.jsonl", *(say(str(number)) for number in range(100)))

    async def scene() -> None:
        await until(lambda: len(stage.said) >= 6)
        await asyncio.sleep(0.05)
        assert stage.root.types().count("job.accepted") <= 1 + 5 + 10 + 5
        disk.set()

    asyncio.run(stage.during(scene))
    assert sorted(row["index"] for row in stage.rows("q.jsonl")) == list(range(1, 101))


def test_cancelling_a_queue_ends_what_it_holds_and_later_lines_run(stage: Stage) -> None:
    stage.queue("q.jsonl", *(say(str(number), waits=True) for number in range(30)))

    async def scene() -> None:
        await until(lambda: stage.said)
        stage.drop("q.jsonl.cancel", b"")
        await until(lambda: stage.root.result("q.jsonl"))
        assert stage.result("q.jsonl")["status"] == "cancelled"
        with (stage.root.inbox / "q.jsonl").open("a") as file:
            file.write(json.dumps(say("later")) + "\n")
        stage.go.set()

    asyncio.run(stage.during(scene))
    assert stage.said[-1] == "later"
    assert stage.result("q.jsonl")["succeeded"] == 1


def test_half_a_row_that_a_crash_left_is_cut_off(stage: Stage) -> None:
    stage.queue("q.jsonl", say("one"))
    stage.drain()
    rows = stage.root.inbox / "q.jsonl.result.jsonl"
    stage.queue("q.jsonl", say("one"), say("two", waits=True))

    async def begun() -> None:
        serving = asyncio.create_task(stage._served(drain=True))
        await until(lambda: "two" in stage.said)
        serving.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await serving

    asyncio.run(begun())
    with rows.open("a") as file:
        file.write('{"index": 1, "it')

    async def scene() -> None:
        await until(lambda: stage.said.count("two") == 2)
        stage.go.set()

    asyncio.run(stage.during(scene))
    assert [row["index"] for row in stage.rows("q.jsonl")] == [1, 2]


def test_a_line_that_comes_while_the_end_is_prepared_is_run_before_it(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Closing.command

    async def slow(self: Closing, job: Any, batch: Any) -> Any:
        command = await real(self, job, batch)
        if batch.total == 1:
            stage.queue("q.jsonl", say("one"), say("two"))
            await until(lambda: stage.root.types("q.jsonl").count("queue.extended") == 2)
            await asyncio.sleep(0)  # until the state knows
        return command

    monkeypatch.setattr(Closing, "command", slow)
    stage.queue("q.jsonl", say("one"))
    stage.drain()
    assert stage.said == ["one", "two"]
    assert stage.result("q.jsonl")["succeeded"] == 2
    assert stage.root.types("q.jsonl").count("batch.ended") == 1


def cut_off_behind_acceptance(stage: Stage) -> None:
    """As a crash leaves it that tears a write: a queue is accepted, and none of its lines are."""
    (segment,) = (stage.root.path / "events").glob("0*.jsonl")
    lines = segment.read_bytes().splitlines(keepends=True)
    accepted = next(n for n, line in enumerate(lines) if b"darkroom.job.accepted.v1" in line)
    segment.write_bytes(b"".join(lines[: accepted + 1]))
    for path in [*stage.root.inbox.glob("*.result.*"), *stage.root.path.glob(".darkroom/index*")]:
        path.unlink()


def test_a_queue_that_a_crash_left_accepted_without_its_lines_is_read_again(stage: Stage) -> None:
    stage.queue("q.jsonl", say("one"), say("two"))
    stage.drain()
    cut_off_behind_acceptance(stage)
    assert stage.drain() == 0
    assert stage.said == ["one", "two"]
    assert stage.result("q.jsonl")["ok"]
    assert stage.root.types().count("batch.ended") == 1


def test_one_whose_file_is_gone_as_well_ends_and_says_that_it_was_empty(stage: Stage) -> None:
    stage.queue("q.jsonl", say("one"), say("two"))
    stage.drain()
    cut_off_behind_acceptance(stage)
    (stage.root.inbox / "q.jsonl").unlink()
    assert stage.drain() == 0
    assert stage.said == []
    assert stage.result("q.jsonl")["warnings"] == ["there was no item in it"]


def test_one_that_is_cancelled_then_ends_as_well(stage: Stage) -> None:
    stage.queue("q.jsonl", say("one"))
    stage.drain()
    cut_off_behind_acceptance(stage)
    (stage.root.inbox / "q.jsonl").rename(stage.root.inbox / "q.jsonl.cancel")
    assert stage.drain() == 0
    assert stage.said == []


def test_rows_that_were_taken_away_while_the_daemon_was_down_are_written_again(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "_PIECE", 2)
    stage.queue("q.jsonl", *map(say, ("one", "two", "three", "four", "five")))
    stage.drain()
    before = stage.rows("q.jsonl")
    (stage.root.inbox / "q.jsonl.result.jsonl").unlink()
    (stage.root.inbox / "q.jsonl.result.json").unlink()
    stage.drain()
    assert stage.rows("q.jsonl") == before
    assert len(before) == 5


@pytest.mark.parametrize("kind", ["link", "second name"])
def test_rows_are_never_written_through_a_link(stage: Stage, kind: str) -> None:
    precious = stage.root.path / "precious"
    precious.write_text("precious")
    rows = stage.root.inbox / "q.jsonl.result.jsonl"
    if kind == "link":
        rows.symlink_to(precious)
    else:
        rows.hardlink_to(precious)
    stage.queue("q.jsonl", say("one"))
    stage.drain()
    assert precious.read_text() == "precious"
    assert not rows.is_symlink()
    assert [row["index"] for row in stage.rows("q.jsonl")] == [1]


def test_a_folder_where_rows_belong_is_told_of_and_holds_nobody_up(stage: Stage) -> None:
    (stage.root.inbox / "q.jsonl.result.jsonl").mkdir()
    stage.queue("q.jsonl", say("one"))
    assert stage.drain() == 0
    assert stage.result("q.jsonl")["warnings"] == ["its rows cannot be written: is a directory"]


def test_rows_that_could_not_be_written_are_made_up_for(stage: Stage) -> None:
    rows = stage.root.inbox / "q.jsonl.result.jsonl"
    rows.mkdir()
    stage.queue("q.jsonl", say("one"), say("two", waits=True))

    async def scene() -> None:
        await until(lambda: "job.succeeded" in stage.root.types())
        rows.rmdir()
        stage.go.set()

    asyncio.run(stage.during(scene))
    assert sorted(row["index"] for row in stage.rows("q.jsonl")) == [1, 2]


def test_a_retry_of_a_refused_queue_reads_it_as_a_queue(tmp_path: Path) -> None:
    stage = Stage(tmp_path, max_queue_bytes=10)
    stage.queue("q.jsonl", say("one"))
    stage.drain()
    assert stage.result("q.jsonl")["status"] == "rejected"
    stage.settings = stage.settings.model_copy(update={"max_queue_bytes": 1000})
    stage.drop("q.jsonl.retry", b"")
    stage.drain()
    assert stage.said == ["one"]
    assert stage.result("q.jsonl")["count"] == 1
    stage.queue("q.jsonl", say("one"), say("two"))
    stage.drain()
    assert stage.said == ["two"]


# ---------------------------------------------------------------- one request


def test_names_of_a_single_request_are_filled_in_only_where_it_gives_some(stage: Stage) -> None:
    stage.drop("a.json", say("{{plain}} {index}"))
    stage.drop("b.json", say("{{literal}} {who} {index} {x}", vars={"who": "me"}))
    stage.drain()
    assert sorted(stage.said) == ["{literal} me 1 {x}", "{{plain}} {index}"]


@pytest.fixture(autouse=True)
def _no_control_file_is_left(tmp_path: Path) -> Iterator[None]:
    yield
    inbox = tmp_path / "inbox"
    assert not [one for one in inbox.glob("*") if one.name.endswith(CONTROLS)]
