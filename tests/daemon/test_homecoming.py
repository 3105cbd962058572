"""What is brought home, and what is told of what could not be."""

import asyncio

import pytest

from daemon.homecoming import bring_home, left_there
from handlers.contract import ErrorCode, HandlerError, Medium, Outcome


def gone(code: ErrorCode = "download_failed", **fields: bool) -> HandlerError:
    return HandlerError(code, f"{code} it is", **fields)


def home(outcome: Outcome, **lost: HandlerError) -> Outcome:
    async def fetch(medium: Medium) -> Medium:
        name = (medium.url or "").rpartition("/")[2]
        if name in lost:
            raise lost[name]
        return Medium(name.encode(), media_type="image/png")

    return asyncio.run(bring_home(outcome, fetch))


def at(*names: str) -> Outcome:
    return Outcome(tuple(Medium(url=f"https://x.test/{name}") for name in names), model="m")


def test_all_of_it_comes_home_in_order() -> None:
    assert [medium.data for medium in home(at("a", "b", "c")).media] == [b"a", b"b", b"c"]


def test_what_is_here_already_is_left_alone() -> None:
    outcome = Outcome((Medium(b"here"), Medium(url="https://x.test/a"), Medium(sha256="f" * 64)))
    media = home(outcome).media
    assert (media[0].data, media[1].data, media[2].sha256) == (b"here", b"a", "f" * 64)


def test_what_could_not_come_is_listed_with_its_reason() -> None:
    outcome = home(at("a", "b", "c"), b=gone())
    assert [medium.data for medium in outcome.media] == [b"a", b"c"]
    assert outcome.references == (
        {"reference": "https://x.test/b", "reason": "download_failed: download_failed it is"},
    )
    assert outcome.warnings == ("1 of 3 media could not be brought home",)
    assert outcome.model == "m"


def test_where_nothing_came_home_that_is_the_failure() -> None:
    with pytest.raises(HandlerError) as caught:
        home(at("a", "b"), a=gone("forbidden_address", retryable=False), b=gone())
    error = caught.value
    assert error.code == "download_failed"
    assert "forbidden_address it is" in error.message
    assert "download_failed it is" in error.hints
    assert error.retryable


@pytest.mark.parametrize("lost", [gone(retryable=False), gone("forbidden_address")])
def test_what_no_further_try_brings_home_is_not_tried_again(lost: HandlerError) -> None:
    with pytest.raises(HandlerError) as caught:
        home(at("a"), a=lost)
    assert caught.value.retryable is False


def test_one_for_which_there_is_no_room_is_not_left_out() -> None:
    with pytest.raises(HandlerError) as caught:
        home(at("a", "b"), b=gone("disk_full"))
    assert caught.value.code == "disk_full"


def test_an_answer_without_media_has_nothing_to_bring() -> None:
    assert home(Outcome(model="m")) == Outcome(model="m")


def test_one_that_could_not_be_written_is_a_failure_when_no_other_is_on_its_way() -> None:
    begun, ended = [], []

    async def fetch(medium: Medium) -> Medium:
        begun.append(medium.url)
        if len(begun) == 1:
            raise OSError("full")
        await asyncio.sleep(0)
        ended.append(medium.url)
        return Medium(b"x")

    with pytest.raises(OSError, match="full"):
        asyncio.run(bring_home(at("a", "b", "c"), fetch))
    assert (len(begun), len(ended)) == (3, 2)


def test_what_is_left_there_is_listed_as_it_was_given() -> None:
    path = Medium(url="/videos/1/content")
    given = Outcome((path, Medium(b"here"), Medium(sha256="f" * 64)), model="m")
    outcome = left_there(given)
    assert outcome.media == given.media[1:]
    assert outcome.references == (
        {"reference": "/videos/1/content", "reason": "download is false"},
    )
    assert len(outcome.warnings) == 1
    assert left_there(at("a")).warnings == ()
    assert left_there(Outcome(model="m")) == Outcome(model="m")
