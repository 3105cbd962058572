"""Requests that build on each other, run by a real runner with a clock that the test moves."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.decisions import Cancel, Retry
from daemon.errors import BadRequest
from daemon.events import JobFailed, JobStarted, RequestRejected
from daemon.testing import tiny_image
from handlers.contract import Context, Handler, HandlerError, Medium
from handlers.generate_image import Request
from tests.builders import Bench, door, problem, scripted
from tests.working import Work, run

AT_TEN = "2026-01-01T10:00:00.000Z"


async def do_as_told(request: Request, context: Context) -> None:
    """Fail where the prompt says so; else save a picture."""
    await asyncio.sleep(0)
    if request.prompt == "fail":
        raise HandlerError("provider_rejected", "no")
    await context.keep("keep", Medium(tiny_image()), prefix="x")


HANDLERS = {"generate_image": Handler("generate_image", Request, do_as_told, "As told.")}


class Line(Work):
    """A runner at work for the time of a block."""

    def __init__(self, folder: Path | Bench, **more: Any) -> None:
        bench = folder if isinstance(folder, Bench) else Bench(folder, scripted())
        super().__init__(bench, HANDLERS, **more)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def look(self) -> None:
        """Until the runner did what it can, and that is durable."""
        for _ in range(20):
            self.runner.wake()
            await asyncio.sleep(0)
        await self.bench.log.append(None, None, ())

    async def error(self, job_id: str) -> Mapping[str, Any]:
        end = await self.end(job_id)
        assert isinstance(end, JobFailed)
        assert end.error is not None
        return end.error

    def status(self, job_id: str) -> str:
        return self.bench.state.jobs[job_id].status


def started(bench: Bench) -> list[str]:
    """The names of jobs in the order in which they were started."""
    events = bench.log.read(1)
    return [one.subject or "" for one in events if isinstance(one.event, JobStarted)]


def test_a_job_that_waits_for_others_holds_no_place(tmp_path: Path) -> None:
    async def main() -> None:
        async with Line(Bench(tmp_path, scripted(), concurrency=1)) as line:
            cut = await line.bench.accept("cut.json", after="cat")
            await line.look()
            await line.end(await line.bench.accept("cat.json"))
            await line.end(cut)
            assert started(line.bench) == ["cat.json", "cut.json"]

    run(main())


def test_what_a_field_takes_from_another_request_is_waited_for(tmp_path: Path) -> None:
    async def main() -> None:
        bench = Bench(tmp_path)
        fields = {"task": "edit_image", "image": {"from": "cat"}}
        edit = await bench.accept("edit.json", **fields, after=["dog.json", "cat"])
        references = {"reference_images": [{"from": "cat"}, "a.png", {"from": "owl"}]}
        sheet = await bench.accept("sheet.json", task="reference_media", **references)
        await bench.log.append(None, None, ())
        assert bench.state.jobs[edit].after == ("dog.json", "cat")
        assert bench.state.jobs[sheet].after == ("cat", "owl")
        bench.close()

    run(main())


def test_who_waits_in_vain_fails_with_the_chain_and_a_retry_judges_anew(tmp_path: Path) -> None:
    async def main() -> None:
        async with Line(tmp_path) as line:
            cut = await line.bench.accept("cut.json", after=["cat.json"])
            cat = await line.bench.accept("cat.json", prompt="fail")
            error = await line.error(cut)
            assert error["code"] == "dependency_failed"
            assert error["message"] == (
                "cut.json needs cat.json, which failed: provider_rejected: no"
            )
            assert started(line.bench) == ["cat.json"]
            await line.command(Retry(cut, "k1"))
            assert (await line.error(cut))["code"] == "dependency_failed"
            mended = await line.bench.accept("cat.json", prompt="a cat")
            await line.command(Retry(cut, "k2"))
            await line.end(cut)
            assert [line.status(one) for one in (cat, mended, cut)] == [
                "failed", "succeeded", "succeeded",
            ]  # fmt: skip

    run(main())


def test_one_that_runs_again_is_waited_for_again(tmp_path: Path) -> None:
    async def main() -> None:
        async with Line(tmp_path) as line:
            both = await line.bench.accept("both.json", provider="other", after=["cat", "dog"])
            cat = await line.bench.accept("cat.json")
            await line.end(cat)
            line.runner.pause(frozenset({"scripted"}))
            await line.command(Retry(cat, "k"))
            await line.end(await line.bench.accept("dog.json", provider="other"))
            await line.look()
            assert line.status(both) == "waiting"
            line.runner.pause(frozenset())
            await line.end(both)
            assert started(line.bench) == ["cat.json", "dog.json", "cat.json", "both.json"]

    run(main())


def test_one_that_was_rejected_fails_those_who_wait(tmp_path: Path) -> None:
    async def main() -> None:
        async with Line(tmp_path) as line:
            cut = await line.bench.accept("cut.json", after="cat")
            rejected = RequestRejected("k", None, None, {}, problem("invalid_json"))
            await line.bench.log.append(None, None, [rejected], subject="cat.json")
            assert "which was rejected: invalid_json" in (await line.error(cut))["message"]

    run(main())


def test_what_is_not_there_is_given_up_in_time(tmp_path: Path) -> None:
    async def main() -> None:
        async with Line(tmp_path) as line:
            cut = await line.bench.accept("cut.json", after="cat")
            await line.look()
            line.bench.clock.advance(59.9)
            await line.look()
            assert line.status(cut) == "waiting"
            line.bench.clock.advance(0.1)
            assert "did not come within 60 s" in (await line.error(cut))["message"]

    run(main())


def test_nothing_is_given_up_before_the_inbox_was_looked_at_once_more(tmp_path: Path) -> None:
    async def main() -> None:
        first = Bench(tmp_path)
        cut = await first.accept("cut.json", after="cat")
        first.close()
        bench = Bench(tmp_path, scripted(), lines=first.log.lines, clock=first.clock)
        bench.clock.advance(3600)  # so long no daemon ran
        looks = 0

        async def look_around() -> None:
            nonlocal looks
            looks += 1
            await bench.accept("cat.json")

        async with Line(bench, look_around=look_around) as line:
            await line.end(cut)
        assert (line.status(cut), looks) == ("succeeded", 1)

    run(main())


def test_nothing_is_given_up_while_the_disk_is_full_and_nothing_is_taken_in(
    tmp_path: Path,
) -> None:
    async def main() -> None:
        async with Line(tmp_path) as line:
            cut = await line.bench.accept("cut.json", after="cat")
            await line.look()
            line.bench.disk._room.clear()
            line.bench.clock.advance(3600)
            await line.look()
            line.bench.disk._room.set()
            assert line.status(cut) == "waiting"
            await line.bench.accept("cat.json")
            await line.end(cut)
            assert line.status(cut) == "succeeded"

    run(main())


def test_a_restart_changes_nothing_about_who_waits_for_whom(tmp_path: Path) -> None:
    async def main() -> None:
        first = Bench(tmp_path)
        names = {"out.json": "cut", "cut.json": "cat", "bad.json": "no.json", "cat.json": None}
        jobs = {name: await first.accept(name, after=after) for name, after in names.items()}
        jobs["no.json"] = await first.accept("no.json", prompt="fail")
        await first.log.append(None, None, ())
        async with Line(Bench(tmp_path, scripted(), lines=first.log.lines)) as line:
            for job_id in jobs.values():
                await line.end(job_id)
            assert [one for one in started(line.bench) if one != "no.json"] == [
                "cat.json", "cut.json", "out.json",
            ]  # fmt: skip
            assert line.status(jobs["bad.json"]) == "failed"

    run(main())


def test_a_job_that_waits_for_others_can_be_cancelled(tmp_path: Path) -> None:
    async def main() -> None:
        async with Line(tmp_path) as line:
            cut, out = [
                await line.bench.accept("cut.json", after="cat"),
                await line.bench.accept("out.json", after="cut"),
            ]
            await line.look()
            await line.command(Cancel(cut))
            assert "which was cancelled" in (await line.error(out))["message"]
            assert line.status(cut) == "cancelled"
            assert line.runner.held() == []

    run(main())


def test_its_deadline_ends_a_job_that_waits_for_others(tmp_path: Path) -> None:
    async def main() -> None:
        async with Line(tmp_path) as line:
            cat = await line.bench.accept("cat.json", not_before=AT_TEN)
            cut = await line.bench.accept("cut.json", after="cat", deadline_seconds=5)
            assert (await line.error(cut))["code"] == "deadline_exceeded"
            assert line.status(cat) == "waiting"

    run(main())


def test_who_waits_for_one_that_is_held_is_held_as_well(tmp_path: Path) -> None:
    async def main() -> None:
        async with Line(tmp_path) as line:
            await line.bench.accept("cat.json", not_before=AT_TEN)
            cut = await line.bench.accept("cut.json", after="cat")
            await line.look()
            held = line.runner.held()
            assert held is not None
            assert len(held) == 2
            await line.bench.accept("out.json", after=["cat", "nobody"])
            await line.look()
            assert line.runner.held() is None
            await line.command(Cancel(cut))

    run(main())


def test_a_circle_ends_everybody_in_it(tmp_path: Path) -> None:
    async def main() -> None:
        async with Line(tmp_path) as line:
            jobs = [
                await line.bench.accept(f"{name}.json", after=after)
                for name, after in ("ab", "bc", "ca")
            ]
            errors = [await line.error(job_id) for job_id in jobs]
            assert {error["code"] for error in errors} == {"dependency_failed"}
            assert errors[0]["message"].endswith("a.json → b.json → c.json → a.json")

    run(main())


# ---------------------------------------------------------------- any graph


@st.composite
def graphs(draw: st.DrawFn) -> tuple[dict[int, list[int]], list[int], set[int], int]:
    """Who names whom (always one with a smaller number), in which order they are dropped, who
    fails, and after how many of them the daemon starts anew."""
    size = draw(st.integers(1, 8))
    numbers = list(range(size))
    after = {
        one: draw(st.lists(st.sampled_from(numbers[:one]), unique=True)) if one else []
        for one in numbers
    }
    order = draw(st.permutations(numbers))
    fails = draw(st.sets(st.sampled_from(numbers), max_size=2))
    return after, list(order), fails, draw(st.integers(0, size))


@settings(max_examples=30, deadline=None)
@given(graphs())
def test_any_graph_in_any_order_runs_in_its_own(
    graph: tuple[dict[int, list[int]], list[int], set[int], int],
) -> None:
    after, order, fails, restart = graph
    doomed: set[int] = set()
    for one in sorted(after):
        if any(other in doomed | fails for other in after[one]):
            doomed.add(one)

    async def drop(bench: Bench, one: int) -> str:
        prompt = "fail" if one in fails else "x"
        return await bench.accept(f"{one}.json", prompt=prompt, after=[str(n) for n in after[one]])

    async def main(folder: Path) -> None:
        bench = Bench(folder, scripted(), dependency_wait=1e6)
        jobs = {}
        async with Line(bench) as line:
            for one in order[:restart]:
                jobs[one] = await drop(bench, one)
            await line.look()
        again = Bench(folder, scripted(), lines=bench.log.lines, clock=bench.clock)
        async with Line(again) as line:
            for one in order[restart:]:
                jobs[one] = await drop(again, one)
            for job_id in jobs.values():
                await line.end(job_id)
        judge(again, jobs)

    def judge(bench: Bench, jobs: Mapping[int, str]) -> None:
        for one, job_id in jobs.items():
            job = bench.state.jobs[job_id]
            own = "provider_rejected" if one in fails else None
            assert job.error == ("dependency_failed" if one in doomed else own)
            begun = [
                recorded.sequence
                for recorded in bench.log.read(1)
                if recorded.job == job_id and isinstance(recorded.event, JobStarted)
            ]
            assert bool(begun) == (one not in doomed)
            for other in after[one]:
                assert not begun or begun[0] > bench.state.jobs[jobs[other]].last

    with tempfile.TemporaryDirectory() as folder:
        run(main(Path(folder)))


@pytest.mark.parametrize("after", [7, [7], "", [""], ["a"] * 101, {"a": 1}, ["a", None]])
def test_what_is_no_list_of_names_is_refused(tmp_path: Path, after: Any) -> None:
    with pytest.raises(BadRequest) as caught:
        door().validate({"prompt": "x", "after": after})
    (fault,) = caught.value.problem.faults
    assert fault.pointer == "/after"


@pytest.mark.parametrize(
    ("after", "names"), [(None, ()), ([], ()), ("a", ("a",)), (["a", "b.json"], ("a", "b.json"))]
)
def test_a_name_or_a_list_of_them_is_taken(after: Any, names: tuple[str, ...]) -> None:
    assert door().validate({"prompt": "x", "after": after}).envelope.after == names
