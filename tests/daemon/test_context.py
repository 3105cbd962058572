"""A run of a handler: every step journaled, nothing repeated that was paid, nothing lost."""

import asyncio
import errno
import math
import threading
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from daemon import segments
from daemon.asking import PROGRESS_SECONDS
from daemon.context import JournaledContext
from daemon.decisions import Run
from daemon.disk import Disk
from daemon.errors import Conflict, LogFull
from daemon.eventlog import FileEventLog
from daemon.events import (
    JobAccepted,
    JobCancelRequested,
    JobFailed,
    JobSucceeded,
    ProviderAnswered,
    ProviderProgressed,
    ProviderRequested,
)
from daemon.journal import lost_answer
from daemon.state import State
from daemon.streams import Stream
from daemon.testing import FrozenClock, ScriptedProvider, answer_with, fail_with, tiny_image
from handlers.contract import Call, Handler, HandlerError, Medium, Outcome
from handlers.generate_image import Request
from handlers.wire import AnswersAtOnce
from tests.builders import Bench, accepted, scripted

PICTURES = [tiny_image(color) for color in ("red", "green", "blue")]
Scene = Callable[[], Awaitable[Any]]


def run(scene: Awaitable[Any]) -> Any:
    async def bounded() -> Any:
        return await asyncio.wait_for(scene, 20)

    return asyncio.run(bounded())


def call(prompt: str = "x") -> Call:
    return Call("generate_image", {"prompt": prompt})


async def once(context: JournaledContext) -> None:
    outcome = await context.ask("generate", call())
    for number, medium in enumerate(outcome.media, start=1):
        await context.keep(f"picture {number}", medium, prefix="generated")


async def failing(scene: Awaitable[Any]) -> HandlerError:
    with pytest.raises(HandlerError) as caught:
        await scene
    return caught.value


# ---------------------------------------------------------------- inputs and calls


def test_the_first_call_is_asked_that_the_provider_can_do(tmp_path: Path) -> None:
    async def main() -> None:
        provider = scripted()
        provider.operations = frozenset({"edit_image", "outpaint_image"})
        bench = Bench(tmp_path, provider)

        async def either(context: JournaledContext) -> None:
            await context.ask("e", call(), Call("outpaint_image"), Call("edit_image"))

        job = await bench.accept()
        await bench.run(job, either)
        provider.operations = frozenset({"edit_image"})
        await bench.run(job, either)  # answered by the log, although it can no more do that
        assert [one.operation for one in provider.calls] == ["outpaint_image"]

    run(main())


def test_what_the_provider_can_do_none_of_is_refused_by_the_last(tmp_path: Path) -> None:
    async def main() -> None:
        bench = Bench(tmp_path, scripted())
        context, _ = await bench.context(await bench.accept())
        error = await failing(context.ask("e", Call("outpaint_image"), Call("edit_image")))
        assert (error.code, error.message) == ("not_supported", "scripted cannot edit_image")

    run(main())


def test_what_a_provider_left_out_is_recorded(tmp_path: Path) -> None:
    async def main() -> None:
        left = Outcome((Medium(PICTURES[0]),), left_out=("mask",))
        bench = Bench(tmp_path, scripted(lambda _: left))
        job = await bench.accept()
        for _ in range(2):  # the second one is answered by the log
            context, _ = await bench.context(job)
            assert (await context.ask("e", call())).left_out == ("mask",)

    run(main())


def test_a_medium_with_a_recipe_is_known_by_it_and_not_by_its_bytes(tmp_path: Path) -> None:
    async def main() -> None:
        provider = scripted()
        bench = Bench(tmp_path, provider)
        job = await bench.accept()
        for data in PICTURES[:2]:  # as if an encoder had a new version
            context, _ = await bench.context(job)
            medium = Medium(data, recipe="a picture of ab12")
            await context.ask("e", Call("generate_image", {}, {"image": [medium]}))
        assert len(provider.calls) == 1

    run(main())


def test_fields_of_a_file_go_over_all_others_and_are_read_once(tmp_path: Path) -> None:
    async def main() -> None:
        file = tmp_path / "inbox" / "extra.json"
        file.parent.mkdir(exist_ok=True)
        file.write_text('{"a": 3, "c": [1]}')
        provider = scripted()
        bench = Bench(tmp_path, provider)
        job = await bench.accept(
            extra={"a": 1, "b": 1}, extra_json={"a": 2}, extra_json_file="inbox/extra.json"
        )

        async def twice(context: JournaledContext) -> None:
            await asyncio.gather(context.ask("one", call()), context.ask("two", call()))

        await bench.run(job, twice)
        assert [one.extra for one in provider.calls] == [{"a": 3, "b": 1, "c": [1]}] * 2
        assert bench.types().count("input.read") == 1

    run(main())


@pytest.mark.parametrize("text", ["[1]", '{"a": NaN}', "", "no JSON"])
def test_a_file_of_fields_that_holds_no_object_is_told_so(tmp_path: Path, text: str) -> None:
    async def main() -> None:
        (tmp_path / "inbox").mkdir(exist_ok=True)
        (tmp_path / "inbox" / "extra.json").write_text(text)
        bench = Bench(tmp_path, scripted())
        context, _ = await bench.context(await bench.accept(extra_json_file="inbox/extra.json"))
        error = await failing(context.ask("e", call()))
        assert error.code == "invalid_request"
        assert error.faults[0][0] == "/extra_json_file"

    run(main())


def test_a_dry_run_saves_nothing_and_says_what_it_would_have_saved(tmp_path: Path) -> None:
    async def main() -> None:
        bench = Bench(tmp_path, scripted())
        job = await bench.accept(dry_run=True)

        async def mask(context: JournaledContext) -> None:
            await context.keep("mask", Medium(PICTURES[0]), prefix="mask", role="mask")

        come_to = await bench.run(job, mask)
        assert come_to.artifacts == []
        assert "8 x 8 would have been saved, as mask" in come_to.warnings[0]
        assert bench.types() == ["job.accepted"]

    run(main())


def test_what_is_no_output_has_a_folder_and_a_name_of_its_own(tmp_path: Path) -> None:
    async def main() -> None:
        bench = Bench(tmp_path, scripted())
        job = await bench.accept(prefix="hero")
        context, _ = await bench.context(job)
        mask = await context.keep("m", Medium(PICTURES[0]), prefix="mask", role="mask")
        canvas = await context.keep("c", Medium(PICTURES[0]), prefix="x", role="prepared_input")
        output = await context.keep("o", Medium(PICTURES[0]), prefix="y")
        assert mask.path == f"tmp/images/masks/hero-mask-{job}-1.png"
        assert canvas.path == f"tmp/images/outpaint_inputs/hero-prepared-{job}-1.png"
        assert output.path == f"tmp/images/hero-{job}-1.png"

    run(main())


def test_work_is_done_in_a_thread_with_the_bytes_of_media(tmp_path: Path) -> None:
    async def main() -> None:
        bench = Bench(tmp_path, scripted(answer_with(PICTURES[1])))
        context, _ = await bench.context(await bench.accept())
        outcome = await context.ask("e", call())
        here = threading.get_ident()
        found = await context.work(
            lambda *data: (data, threading.get_ident() != here),
            Medium(PICTURES[0]),
            *outcome.media,
        )
        assert found == ((PICTURES[0], PICTURES[1]), True)

    run(main())


# ---------------------------------------------------------------- a run


def test_each_step_is_in_the_log_before_anything_is_done_with_it(tmp_path: Path) -> None:
    async def main() -> None:
        provider = scripted(answer_with(*PICTURES[:2]))
        bench = Bench(tmp_path, provider)
        job_id = await bench.accept()
        come_to = await bench.run(job_id, once)
        assert bench.types() == [
            "job.accepted",
            "provider.requested",
            "provider.answered",
            "artifact.saved",
            "artifact.saved",
        ]
        assert [kept["path"] for kept in come_to.artifacts] == [
            f"tmp/images/generated-{job_id}-1.png",
            f"tmp/images/generated-{job_id}-2.png",
        ]
        assert (come_to.provider, come_to.model) == ("scripted", "scripted-1")
        assert (tmp_path / come_to.artifacts[0]["path"]).read_bytes() == PICTURES[0]
        assert len(provider.calls) == 1

    run(main())


def test_a_paid_call_is_durable_in_the_log_before_it_leaves(tmp_path: Path) -> None:
    async def main() -> None:
        seen: list[list[str]] = []
        provider = scripted(paid=True)
        bench = Bench(tmp_path, provider)

        def look(_: Call) -> Outcome:
            seen.append(bench.types())
            return Outcome((Medium(PICTURES[0]),))

        provider.scripts.append(look)
        await bench.run(await bench.accept(), once)
        assert seen == [["job.accepted", "provider.requested"]]

    run(main())


def test_media_are_durable_before_the_answer_is_in_the_log(tmp_path: Path) -> None:
    async def main() -> None:
        bench = Bench(tmp_path, scripted(answer_with(PICTURES[0])))
        there: list[bool] = []

        def look(batch: Any) -> None:
            for recorded in batch:
                if isinstance(recorded.event, ProviderAnswered):
                    digest = recorded.event.media[0]["sha256"]
                    there.append(bench.blobs.path(digest).read_bytes() == PICTURES[0])

        bench.log.subscribe(look)
        await bench.run(await bench.accept(), once)
        assert there == [True]

    run(main())


def test_what_the_envelope_says_goes_with_the_call(tmp_path: Path) -> None:
    async def main() -> Call:
        provider = scripted()
        bench = Bench(tmp_path, provider)
        job_id = await bench.accept(model="m-9", endpoint="/odd", extra={"cfg": 1})
        await bench.run(job_id, once)
        return provider.calls[0]

    sent = run(main())
    assert (sent.model, sent.endpoint, sent.extra) == ("m-9", "/odd", {"cfg": 1})


def test_what_the_handler_chose_goes_before_the_envelope_but_not_before_extra(
    tmp_path: Path,
) -> None:
    async def handle(context: JournaledContext) -> None:
        await context.ask("s", Call("generate_image", {}, model="mine", extra={"a": 1, "b": 1}))

    async def main() -> Call:
        provider = scripted()
        bench = Bench(tmp_path, provider)
        await bench.run(await bench.accept(model="theirs", extra={"b": 2}), handle)
        return provider.calls[0]

    sent = run(main())
    assert (sent.model, sent.extra) == ("mine", {"a": 1, "b": 2})


def test_usage_warnings_and_references_are_gathered(tmp_path: Path) -> None:
    def answer(usage: dict[str, int]) -> Callable[[Call], Outcome]:
        return lambda _: Outcome((), "m", usage, ("same", "own"), ({"url": "u"},))

    async def handle(context: JournaledContext) -> None:
        context.warn("mine")
        await context.ask("one", call())
        await context.ask("two", call("y"))

    async def main() -> Run:
        bench = Bench(tmp_path, scripted(answer({"t": 1}), answer({"t": 2})))
        return await bench.run(await bench.accept(), handle)

    come_to = run(main())
    assert come_to.usage == {"calls": [{"t": 1}, {"t": 2}]}
    assert come_to.warnings == ["same", "own", "mine"]
    assert come_to.references == [{"url": "u"}, {"url": "u"}]


# ---------------------------------------------------------------- run again


@pytest.mark.parametrize("paid", [True, False])
def test_a_second_run_on_the_same_log_repeats_nothing(tmp_path: Path, paid: bool) -> None:
    async def main() -> None:
        provider = scripted(answer_with(*PICTURES), paid=paid)
        first = Bench(tmp_path, provider)
        job_id = await first.accept()
        one = await first.run(job_id, once)
        second = Bench(tmp_path, provider, lines=first.log.lines, clock=first.clock)
        other = await second.run(job_id, once)
        assert other == one
        assert second.types() == first.types()
        assert len(provider.calls) == 1

    run(main())


@pytest.mark.parametrize("lines", [3, 4, 5])
@pytest.mark.parametrize("paid", [True, False])
def test_a_run_goes_on_wherever_a_crash_cut_it_after_the_answer(
    tmp_path: Path, lines: int, paid: bool
) -> None:
    async def main() -> None:
        provider = scripted(answer_with(*PICTURES[:2]), paid=paid)
        first = Bench(tmp_path, provider)
        job_id = await first.accept()
        one = await first.run(job_id, once)
        cut = first.log.lines[: lines + 1]
        second = Bench(tmp_path, provider, lines=cut, clock=first.clock)
        other = await second.run(job_id, once)
        assert [kept["path"] for kept in other.artifacts] == [k["path"] for k in one.artifacts]
        assert [kept["sha256"] for kept in other.artifacts] == [k["sha256"] for k in one.artifacts]
        assert len(provider.calls) == 1

    run(main())


def test_a_paid_call_whose_answer_was_lost_is_not_sent_again(tmp_path: Path) -> None:
    async def main() -> None:
        provider = scripted()
        first = Bench(tmp_path, provider)
        job_id = await first.accept()
        await first.run(job_id, once)
        cut = first.log.lines[:3]  # log.opened, job.accepted, provider.requested
        second = Bench(tmp_path, provider, lines=cut)
        error = await failing(second.run(job_id, once))
        assert error.code == "ambiguous_submit"
        assert len(provider.calls) == 1
        third = Bench(tmp_path, provider, lines=cut, on_ambiguous="retry")
        assert len((await third.run(job_id, once)).artifacts) == 1
        assert len(provider.calls) == 2

    run(main())


def test_a_free_call_whose_answer_was_lost_is_simply_repeated(tmp_path: Path) -> None:
    async def main() -> None:
        provider = scripted(paid=False)
        first = Bench(tmp_path, provider)
        job_id = await first.accept()
        await first.run(job_id, once)
        second = Bench(tmp_path, provider, lines=first.log.lines[:3])
        assert len((await second.run(job_id, once)).artifacts) == 1
        assert len(provider.calls) == 2

    run(main())


def test_a_handler_that_would_now_send_something_else_sends_nothing(tmp_path: Path) -> None:
    async def changed(context: JournaledContext) -> None:
        await context.ask("generate", call("another prompt"))

    async def main() -> None:
        provider = scripted()
        bench = Bench(tmp_path, provider)
        job_id = await bench.accept()
        await bench.run(job_id, once)
        error = await failing(bench.run(job_id, changed))
        assert error.code == "internal"
        assert len(provider.calls) == 1

    run(main())


def test_steps_are_told_apart_by_name_and_not_by_order(tmp_path: Path) -> None:
    async def forwards(context: JournaledContext) -> list[str | None]:
        return [(await context.ask(step, call(step))).media[0].sha256 for step in ("a", "b")]

    async def backwards(context: JournaledContext) -> list[str | None]:
        return [(await context.ask(step, call(step))).media[0].sha256 for step in ("b", "a")]

    async def main() -> None:
        provider = scripted(*[answer_with(picture) for picture in PICTURES])
        bench = Bench(tmp_path, provider)
        job_id = await bench.accept()
        context, _ = await bench.context(job_id)
        first = await forwards(context)
        context, _ = await bench.context(job_id)
        assert await backwards(context) == first[::-1]
        assert len(provider.calls) == 2

    run(main())


def test_a_step_is_used_once(tmp_path: Path) -> None:
    async def twice(context: JournaledContext) -> None:
        await context.ask("s", call())
        await context.ask("s", call())

    async def both(context: JournaledContext) -> None:
        await context.ask("s", call())
        await context.keep("s", Medium(PICTURES[0]), prefix="p")

    async def main() -> None:
        provider = scripted()
        for handle in (twice, both):
            bench = Bench(tmp_path, provider)
            with pytest.raises(ValueError, match="'s' twice"):
                await bench.run(await bench.accept(), handle)
        assert len(provider.calls) == 2

    run(main())


# ---------------------------------------------------------------- side by side


def test_several_asks_side_by_side_have_one_answer_each(tmp_path: Path) -> None:
    async def handle(context: JournaledContext) -> list[Outcome]:
        asks = [context.ask(f"s{n}", call(f"p{n}")) for n in range(3)]
        outcomes = await asyncio.gather(*asks)
        for number, outcome in enumerate(outcomes):
            await context.keep(f"k{number}", outcome.media[0], prefix="p")
        return list(outcomes)

    async def main() -> None:
        def answer(one: Call) -> Outcome:
            return Outcome((Medium(PICTURES[int(one.fields["prompt"][1])]),))

        provider = scripted(answer, answer, answer)
        bench = Bench(tmp_path, provider)
        job_id = await bench.accept()
        one = await bench.run(job_id, handle)
        files = [(tmp_path / kept["path"]).read_bytes() for kept in one.artifacts]
        assert files == PICTURES
        assert await bench.run(job_id, handle) == one
        assert len(provider.calls) == 3
        assert bench.types().count("provider.answered") == 3

    run(main())


def test_no_more_calls_leave_at_once_than_the_lane_holds(tmp_path: Path) -> None:
    async def handle(context: JournaledContext) -> None:
        await asyncio.gather(*[context.ask(f"s{n}", call(f"p{n}")) for n in range(6)])

    async def main() -> int:
        lock, now, most = threading.Lock(), [0], [0]

        def answer(_: Call) -> Outcome:
            with lock:
                now[0] += 1
                most[0] = max(most[0], now[0])
            threading.Event().wait(0.005)
            with lock:
                now[0] -= 1
            return Outcome((Medium(PICTURES[0]),))

        bench = Bench(tmp_path, scripted(*[answer] * 6), provider_concurrency=2)
        await bench.run(await bench.accept(), handle)
        return most[0]

    assert run(main()) <= 2


# ---------------------------------------------------------------- failures


def test_a_failure_is_recorded_and_fails_again_without_a_call(tmp_path: Path) -> None:
    async def main() -> None:
        provider = scripted(fail_with(HandlerError("content_refused", "no", hints=["hint"])))
        bench = Bench(tmp_path, provider)
        job_id = await bench.accept()
        one = await failing(bench.run(job_id, once))
        other = await failing(bench.run(job_id, once))
        assert (one.code, other.code, other.hints) == (
            "content_refused",
            "content_refused",
            ("hint",),
        )
        assert len(provider.calls) == 1
        assert bench.types()[-1] == "provider.answered"

    run(main())


@pytest.mark.parametrize(("on_ambiguous", "retryable"), [("fail", False), ("retry", True)])
def test_an_unknown_end_is_retried_only_where_the_settings_say_so(
    tmp_path: Path, on_ambiguous: str, retryable: bool
) -> None:
    def broken(_: Call) -> Outcome:
        raise ConnectionResetError

    async def main() -> None:
        bench = Bench(tmp_path, scripted(broken), on_ambiguous=on_ambiguous)
        await failing(bench.run(await bench.accept(), once))
        (event,) = [r.event for r in bench.log.read() if isinstance(r.event, ProviderAnswered)]
        assert event.error is not None
        assert event.error["code"] == "ambiguous_submit"
        assert event.error["retryable"] is retryable

    run(main())


def test_a_provider_that_nobody_has_is_told_with_those_that_there_are(tmp_path: Path) -> None:
    async def main() -> HandlerError:
        bench = Bench(tmp_path, scripted(name="one"), scripted(name="two"))
        return await failing(bench.run(await bench.accept(provider="zzz"), once))

    error = run(main())
    assert error.code == "provider_not_found"
    assert error.hints == ("The providers here are: one, two.",)


def test_what_a_provider_cannot_do_is_not_asked_of_it(tmp_path: Path) -> None:
    async def handle(context: JournaledContext) -> None:
        await context.ask("s", Call("generate_video"))

    async def main() -> None:
        able = ScriptedProvider(name="able", operations=frozenset({"generate_video"}))
        provider = scripted()
        bench = Bench(tmp_path, provider, able)
        error = await failing(bench.run(await bench.accept(), handle))
        assert (error.code, error.hints) == ("not_supported", ("These can: able.",))
        assert provider.calls == []

    run(main())


def test_what_a_provider_answers_with_can_always_be_recorded(tmp_path: Path) -> None:
    """JSON of a server may hold NaN and half characters; the answer was paid all the same."""

    def odd(_: Call) -> Outcome:
        return Outcome(
            (Medium(PICTURES[0], media_type="\ud800"),),
            model="\udfff",
            usage={"cost": math.nan, "\ud800": math.inf},
            warnings=("half \ud800",),
            references=({"url": "\ud800", "object": object()},),
        )

    async def main() -> None:
        provider = scripted(odd)
        bench = Bench(tmp_path, provider)
        job_id = await bench.accept()
        come_to = await bench.run(job_id, once)
        assert len(come_to.artifacts) == 1
        context, _ = await bench.context(job_id)
        again = await context.ask("generate", call())
        assert again.usage == {"cost": None, "\\ud800": None}
        assert again.model == "\\udfff"
        assert len(provider.calls) == 1

    run(main())


@pytest.mark.parametrize("message", ["half \ud800", "plain"])
def test_whatever_a_provider_fails_with_can_be_recorded(tmp_path: Path, message: str) -> None:
    error = HandlerError("provider_failed", message, hints=[message], http={"status": math.nan})

    async def main() -> None:
        bench = Bench(tmp_path, scripted(fail_with(error)))
        job_id = await bench.accept()
        await failing(bench.run(job_id, once))
        again = await failing(bench.run(job_id, once))
        assert again.code == "provider_failed"
        assert again.message == message.replace("\ud800", "\\ud800")

    run(main())


# ---------------------------------------------------------------- dry runs, progress, cancelling


def test_a_dry_run_calls_nobody_and_says_so(tmp_path: Path) -> None:
    async def main() -> None:
        provider = scripted()
        bench = Bench(tmp_path, provider)
        come_to = await bench.run(await bench.accept(dry_run=True), once)
        assert come_to.warnings == ["dry run: scripted would have been asked to generate_image"]
        assert (come_to.artifacts, provider.calls) == ([], [])
        assert bench.types() == ["job.accepted"]

    run(main())


def test_a_dry_run_still_finds_that_there_is_no_such_provider(tmp_path: Path) -> None:
    async def main() -> str:
        bench = Bench(tmp_path)
        return (await failing(bench.run(await bench.accept(dry_run=True), once))).code

    assert run(main()) == "provider_not_found"


def test_progress_is_told_at_most_every_few_seconds(tmp_path: Path) -> None:
    async def main() -> list[Any]:
        bench = Bench(tmp_path)

        async def handle(context: JournaledContext) -> None:
            for number in range(10):
                await context.progress(f"step {number}", number / 10)
                bench.clock.advance(PROGRESS_SECONDS / 2)

        await bench.run(await bench.accept(), handle)
        return [r.event for r in bench.log.read() if isinstance(r.event, ProviderProgressed)]

    assert run(main()) == [
        ProviderProgressed(f"step {number}", number / 10) for number in (0, 2, 4, 6, 8)
    ]


def test_who_was_cancelled_meanwhile_writes_nothing_more(tmp_path: Path) -> None:
    async def main() -> None:
        bench = Bench(tmp_path, scripted())
        job_id = await bench.accept()
        context, _ = await bench.context(job_id)
        await bench.log.append(job_id, 1, [JobCancelRequested()], subject="a.json")
        with pytest.raises(Conflict):
            await context.ask("generate", call())
        assert bench.types() == ["job.accepted", "job.cancel_requested"]

    run(main())


def test_after_a_stop_was_asked_for_nothing_new_is_sent(tmp_path: Path) -> None:
    async def main() -> None:
        provider = scripted()
        bench = Bench(tmp_path, provider)
        context, _ = await bench.context(await bench.accept())
        bench.services.stopping.set()
        with pytest.raises(asyncio.CancelledError):
            await context.ask("generate", call())
        assert provider.calls == []
        assert bench.types() == ["job.accepted"]

    run(main())


def test_a_paid_call_goes_on_when_whoever_waits_is_cancelled(tmp_path: Path) -> None:
    async def main() -> None:
        began, go_on = threading.Event(), threading.Event()

        def slow(_: Call) -> Outcome:
            began.set()
            assert go_on.wait(10)
            return Outcome((Medium(PICTURES[0]),))

        bench = Bench(tmp_path, scripted(slow))
        job_id = await bench.accept()
        context, _ = await bench.context(job_id)
        waiting = asyncio.create_task(context.ask("generate", call()))
        await asyncio.to_thread(began.wait, 10)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        (paid,) = context.paid
        go_on.set()
        await paid
        assert bench.types()[-1] == "provider.answered"
        assert context.paid == set()

    run(main())


# ---------------------------------------------------------------- files


def test_a_fresh_retry_replaces_no_file_of_an_earlier_answer(tmp_path: Path) -> None:
    from daemon.events import JobRetryRequested
    from tests.builders import ended

    async def main() -> None:
        bench = Bench(tmp_path, scripted(*[answer_with(picture) for picture in PICTURES]))
        job_id = await bench.accept()
        first = await bench.run(job_id, once)
        version = bench.log.version(job_id)
        again = [ended(JobSucceeded), JobRetryRequested(True, "k")]
        await bench.log.append(job_id, version, again, subject="a.json")
        second = await bench.run(job_id, once)
        paths = [run.artifacts[0]["path"] for run in (first, second)]
        assert paths == [f"tmp/images/generated-{job_id}-{number}.png" for number in (1, 2)]
        assert [(tmp_path / path).read_bytes() for path in paths] == PICTURES[:2]

    run(main())


def test_files_kept_side_by_side_have_names_of_their_own(tmp_path: Path) -> None:
    async def handle(context: JournaledContext) -> None:
        keeps = [context.keep(f"k{n}", Medium(PICTURES[n]), prefix="p") for n in range(3)]
        await asyncio.gather(*keeps)

    async def main() -> None:
        bench = Bench(tmp_path)
        come_to = await bench.run(await bench.accept(), handle)
        assert [(tmp_path / kept["path"]).read_bytes() for kept in come_to.artifacts] == PICTURES

    run(main())


def test_the_requests_prefix_and_folder_go_before_the_handlers(tmp_path: Path) -> None:
    async def main() -> str:
        bench = Bench(tmp_path, scripted())
        job_id = await bench.accept(prefix="hero", out_dir="tmp/images/shoes")
        come_to = await bench.run(job_id, once)
        return str(come_to.artifacts[0]["path"]).replace(job_id, "JOB")

    assert run(main()) == "tmp/images/shoes/hero-JOB-1.png"


def test_the_longest_prefix_still_makes_a_name(tmp_path: Path) -> None:
    async def main() -> Run:
        bench = Bench(tmp_path, scripted())
        return await bench.run(await bench.accept(prefix="漢" * 80), once)

    assert len(run(main()).artifacts) == 1


# ---------------------------------------------------------------- whole jobs, by the runner


async def finished(bench: Bench, job_id: str, handlers: Mapping[str, Handler]) -> Any:
    """Run a job to its end with a real runner; the event that ended it."""
    runner = bench.runner(handlers)
    task = asyncio.create_task(runner.run())
    try:
        while not bench.state.jobs[job_id].ended:
            bench.clock.advance(1)
            runner.wake()
            await asyncio.sleep(0.001)
    finally:
        await runner.stop(5)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    return bench.log.get(bench.state.jobs[job_id].last).event


def handler(handle: Callable[[Any, Any], Awaitable[None]]) -> Mapping[str, Handler]:
    return {"generate_image": Handler("generate_image", Request, handle, "")}


def test_a_paid_answer_that_comes_after_its_sibling_failed_is_not_lost_or_paid_again(
    tmp_path: Path,
) -> None:
    slow_may_answer = threading.Event()

    def slow(_: Call) -> Outcome:
        assert slow_may_answer.wait(10)
        return Outcome((Medium(PICTURES[0]),), model="slow")

    def quick(_: Call) -> Outcome:
        raise HandlerError("provider_unavailable", "busy")

    async def handle(_: Any, context: JournaledContext) -> None:
        slow_ask = asyncio.create_task(context.ask("slow", call("slow")))
        try:
            await context.ask("quick", call("quick"))
        finally:
            asyncio.get_running_loop().call_later(0.02, slow_may_answer.set)
        await context.keep("k", (await slow_ask).media[0], prefix="p")

    async def main() -> None:
        provider = ByPrompt({"slow": [slow, slow], "quick": [quick, answer_with(PICTURES[1])]})
        bench = Bench(tmp_path, provider, retry_seconds=0.001)
        end = await finished(bench, await bench.accept(), handler(handle))
        assert isinstance(end, JobSucceeded), end
        assert provider.asked == {"slow": 1, "quick": 2}
        assert bench.types().count("provider.answered") == 3

    run(main())


def test_a_free_answer_that_comes_after_its_sibling_failed_does_not_disturb_the_next_attempt(
    tmp_path: Path,
) -> None:
    go_on, slow_is_back = threading.Event(), threading.Event()

    def slow(_: Call) -> Outcome:
        assert go_on.wait(10)
        slow_is_back.set()
        return Outcome((Medium(PICTURES[0]),), model="late")

    def quick(_: Call) -> Outcome:
        raise HandlerError("provider_unavailable", "busy")

    def quick_again(_: Call) -> Outcome:
        go_on.set()
        assert slow_is_back.wait(10)
        return Outcome((Medium(PICTURES[1]),))

    async def handle(_: Any, context: JournaledContext) -> None:
        slow_ask = asyncio.create_task(context.ask("slow", call("slow")))
        await context.ask("quick", call("quick"))
        await slow_ask

    async def main() -> None:
        scripts = {"slow": [slow, answer_with(PICTURES[2])], "quick": [quick, quick_again]}
        provider = ByPrompt(scripts, paid=False)
        bench = Bench(tmp_path, provider, retry_seconds=0.001)
        end = await finished(bench, await bench.accept(), handler(handle))
        assert isinstance(end, JobSucceeded), end
        assert provider.asked == {"slow": 2, "quick": 2}
        assert bench.types().count("job.started") == 2

    run(main())


def test_what_a_handler_leaves_behind_sends_nothing_after_its_end(tmp_path: Path) -> None:
    async def main() -> None:
        ended, left = asyncio.Event(), []

        async def late(context: JournaledContext) -> None:
            await ended.wait()
            await context.ask("late", call("late"))

        async def handle(_: Any, context: JournaledContext) -> None:
            left.append(asyncio.create_task(late(context)))
            raise HandlerError("provider_rejected", "no")

        provider = ByPrompt({"late": []})
        bench = Bench(tmp_path, provider)
        end = await finished(bench, await bench.accept(), handler(handle))
        assert isinstance(end, JobFailed)
        bench.services.stopping.clear()
        ended.set()
        await asyncio.wait(left)
        assert left[0].cancelled()
        assert provider.asked == {"late": 0}
        assert bench.types()[-1] == "job.failed"

    run(main())


class ByPrompt(AnswersAtOnce):
    """A provider whose scripts are told apart by the prompt."""

    name, operations = "scripted", frozenset({"generate_image"})

    def __init__(
        self, scripts: Mapping[str, list[Callable[[Call], Outcome]]], *, paid: bool = True
    ) -> None:
        self.paid = paid
        self._by_prompt = {name: scripted(*own) for name, own in scripts.items()}

    @property
    def asked(self) -> dict[str, int]:
        return {name: len(one.calls) for name, one in self._by_prompt.items()}

    def submit(self, one: Call) -> Any:
        return self._by_prompt[one.fields["prompt"]].submit(one)


def test_an_unknown_end_beside_a_retryable_failure_is_not_paid_twice(tmp_path: Path) -> None:
    async def handle(_: Any, context: JournaledContext) -> None:
        lost = asyncio.create_task(context.ask("lost", call("lost")))
        await asyncio.wait([lost])
        await context.ask("quick", call("quick"))
        await lost

    def quick(_: Call) -> Outcome:
        raise HandlerError("provider_unavailable", "busy")

    async def main() -> None:
        provider = ByPrompt(
            {
                "lost": [fail_with(lost_answer("scripted")), answer_with(PICTURES[0])],
                "quick": [quick, answer_with(PICTURES[0])],
            }
        )
        bench = Bench(tmp_path, provider, retry_seconds=0.001)
        end = await finished(bench, await bench.accept(), handler(handle))
        assert isinstance(end, JobFailed)
        assert end.error is not None
        assert end.error["code"] == "ambiguous_submit"
        assert provider.asked["lost"] == 1

    run(main())


def test_a_retryable_failure_is_tried_again_and_its_attempts_are_counted(tmp_path: Path) -> None:
    busy = fail_with(HandlerError("provider_unavailable", "slow down"))

    async def main() -> None:
        provider = scripted(busy, busy, answer_with(PICTURES[0]))
        bench = Bench(tmp_path, provider, retry_seconds=0.001)
        end = await finished(bench, await bench.accept(), bench.door.handlers)
        assert isinstance(end, JobSucceeded)
        assert (end.attempts, len(provider.calls)) == (3, 3)
        requests = [r.event for r in bench.log.read() if isinstance(r.event, ProviderRequested)]
        assert [request.attempt for request in requests] == [1, 2, 3]

    run(main())


def test_a_job_has_no_more_attempts_than_its_request_allows(tmp_path: Path) -> None:
    busy = fail_with(HandlerError("provider_unavailable", "slow down"))

    async def main() -> None:
        provider = scripted(busy, busy, busy)
        bench = Bench(tmp_path, provider, retry_seconds=0.001)
        end = await finished(bench, await bench.accept(max_attempts=2), bench.door.handlers)
        assert isinstance(end, JobFailed)
        assert (end.attempts, len(provider.calls)) == (2, 2)

    run(main())


@pytest.mark.parametrize("fraction", [math.nan, object()])
def test_a_handler_that_reports_nonsense_does_not_stop_the_log(
    tmp_path: Path, fraction: Any
) -> None:
    async def handle(_: Any, context: JournaledContext) -> None:
        await context.progress("\ud800", fraction)
        context.warn("\ud800")

    async def main() -> None:
        bench = Bench(tmp_path, scripted())
        end = await finished(bench, await bench.accept(), handler(handle))
        assert isinstance(end, JobSucceeded)
        assert end.warnings == ["\\ud800"]
        other = await bench.accept("b.json")
        accepted = bench.log.get(bench.state.jobs[other].first).event
        assert isinstance(accepted, JobAccepted)

    run(main())


def test_a_handler_that_breaks_fails_its_job_and_tells_no_secret(tmp_path: Path) -> None:
    async def handle(_: Any, context: JournaledContext) -> None:
        raise RuntimeError("sk-1234")

    async def main() -> None:
        bench = Bench(tmp_path, scripted())
        end = await finished(bench, await bench.accept(), handler(handle))
        assert isinstance(end, JobFailed)
        assert end.error is not None
        assert end.error["code"] == "internal"
        assert "sk-1234" not in str(end.error)

    run(main())


def test_a_lost_answer_is_told_even_where_its_provider_is_gone(tmp_path: Path) -> None:
    async def main() -> HandlerError:
        first = Bench(tmp_path, scripted())
        job_id = await first.accept()
        await first.run(job_id, once)
        second = Bench(tmp_path, scripted(name="other"), lines=first.log.lines[:3])
        return await failing(second.run(job_id, once))

    assert run(main()).code == "ambiguous_submit"


def test_what_nobody_waited_for_and_found_no_room_does_not_disturb_what_follows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> int:
        raise OSError(errno.ENOSPC, "full")

    async def main() -> list[str]:
        log = FileEventLog(tmp_path, FrozenClock())
        log.open(lambda _: None)
        state = State()
        log.subscribe(lambda batch: [state.apply(recorded) for recorded in batch])
        await log.append("j", 0, [accepted("a.json")], subject="a.json")
        disk = Disk([tmp_path], 0, tmp_path / "reserve", log, paused=False, resumed=lambda: None)
        stream = Stream(log, disk, state.jobs["j"])
        with monkeypatch.context() as patch:
            patch.setattr(segments.os, "write", full)
            with pytest.raises(LogFull):
                await stream.append(ProviderProgressed("lost", None))
        await stream.write(ProviderProgressed("kept", None))
        await log.close()
        events = [recorded.event for recorded in log.read()]
        return [event.message for event in events if isinstance(event, ProviderProgressed)]

    assert run(main()) == ["kept"]
