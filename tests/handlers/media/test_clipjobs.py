"""The stand-in's clips as jobs: a ticket, progress, a clip; and what a restart forgets."""

import json
from collections.abc import Generator
from typing import Any

import pytest

from daemon.errors import RESUMES, may_pass
from handlers.contract import Call, HandlerError, Outcome
from handlers.media import clipjobs
from handlers.media.clipjobs import POLLS, ClipJobs
from handlers.media.clips import Limits, describe_clip
from handlers.media.shots import Pictures
from handlers.wire import Compute, Pending, Ticket
from tests.handlers.scenes import plain, png

FIELDS = {"prompt": "a lighthouse", "size": "64x48", "seconds": 1, "fps": 8}
PICTURE = png(plain())


def drive(effects: Generator[Any, Any, Any]) -> Any:
    answer: Any = None
    while True:
        try:
            effect = effects.send(answer)
        except StopIteration as end:
            return end.value
        assert isinstance(effect, Compute)
        answer = effect.function()


def take(jobs: ClipJobs, pictures: Pictures = Pictures(), **fields: Any) -> Ticket:  # noqa: B008
    call = Call("generate_video", {**FIELDS, **fields})
    ticket = drive(jobs.take(call, pictures, ["a notice"]))
    assert isinstance(ticket, Ticket)
    return ticket


def finished(jobs: ClipJobs, ticket: Ticket) -> Outcome:
    """The outcome, asked for until it is there."""
    for _ in range(POLLS + 1):
        answer = drive(jobs.look(ticket))
        if isinstance(answer, Outcome):
            return answer
    raise AssertionError("it does not come to an end")


def from_the_log(ticket: Ticket) -> Ticket:
    """A ticket as it comes out of the log again."""
    state = json.loads(json.dumps(dict(ticket.state)))
    return Ticket(ticket.id, state=state, model=ticket.model, wait=ticket.wait)


def test_a_clip_takes_a_few_times_of_asking_and_says_how_far_it_is() -> None:
    jobs = ClipJobs("stand-in")
    ticket = take(jobs)
    assert ticket.wait == clipjobs.WAIT
    pending = [drive(jobs.look(ticket)) for _ in range(POLLS)]
    assert all(isinstance(one, Pending) for one in pending)
    assert [one.fraction for one in pending] == [0.25, 0.5, 0.75]
    outcome = drive(jobs.look(ticket))
    assert (outcome.model, outcome.warnings) == ("stand-in", ("a notice",))
    (medium,) = outcome.media
    assert medium.media_type == "video/mp4"
    assert describe_clip(medium.data, Limits()).frames == 8


def test_a_ticket_is_json_and_small_whatever_is_asked_for() -> None:
    ticket = take(ClipJobs("m"), Pictures(PICTURE, PICTURE, [PICTURE] * 32), prompt="ü" * 100_000)
    assert len(json.dumps(dict(ticket.state))) < 20_000
    assert from_the_log(ticket) == ticket


def test_after_a_restart_a_clip_of_a_prompt_is_gone_on_with() -> None:
    before = ClipJobs("m")
    ticket = take(before)
    assert finished(ClipJobs("m"), from_the_log(ticket)) == finished(before, ticket)


@pytest.mark.parametrize(
    "pictures", [Pictures(PICTURE), Pictures(last=PICTURE), Pictures(references=[PICTURE])]
)
def test_after_a_restart_the_pictures_are_gone_and_the_call_is_sent_again(
    pictures: Pictures,
) -> None:
    ticket = take(ClipJobs("m"), pictures)
    with pytest.raises(HandlerError) as caught:
        drive(ClipJobs("m").look(from_the_log(ticket)))
    error = caught.value
    assert may_pass(error)
    assert error.code not in RESUMES


def test_what_was_taken_before_a_restart_is_never_taken_for_another() -> None:
    before, after = ClipJobs("m"), ClipJobs("m")
    ids = {
        take(before, Pictures(PICTURE)).id,
        take(after, Pictures(png(plain(color="blue")))).id,
        take(ClipJobs("m"), seed=4).id,
        take(ClipJobs("m"), seed=5).id,
    }
    assert len(ids) == 4


def test_two_calls_alike_are_two_jobs() -> None:
    jobs = ClipJobs("m")
    one, other = take(jobs, Pictures(PICTURE)), take(jobs, Pictures(PICTURE))
    assert one.id != other.id
    assert finished(jobs, one) == finished(jobs, other)


def test_pictures_are_let_go_of_when_their_clip_is_there() -> None:
    jobs = ClipJobs("m")
    finished(jobs, take(jobs, Pictures(PICTURE)))
    assert (jobs._jobs, jobs._bytes) == ({}, 0)


def test_no_more_is_kept_than_there_is_room_for_and_the_newest_always(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(clipjobs, "MOST_BYTES", 2 * len(PICTURE))
    jobs = ClipJobs("m")
    tickets = [take(jobs, Pictures(PICTURE)) for _ in range(3)]
    assert list(jobs._jobs) == [ticket.id for ticket in tickets[1:]]
    with pytest.raises(HandlerError):
        drive(jobs.look(tickets[0]))
    monkeypatch.setattr(clipjobs, "MOST_BYTES", 0)
    newest = take(jobs, Pictures(PICTURE))
    assert list(jobs._jobs) == [newest.id]


def test_what_cannot_be_filmed_is_not_taken() -> None:
    jobs = ClipJobs("m")
    with pytest.raises(HandlerError) as caught:
        take(jobs, size="9000x9000")
    assert caught.value.code == "not_supported"
    assert jobs._jobs == {}
