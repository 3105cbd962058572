"""Time as text, and ids."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.clock import SystemClock, normal_rfc3339, parse_rfc3339, rfc3339
from daemon.testing import FrozenClock
from tests.examples import examples

MOMENTS = st.datetimes(timezones=st.just(UTC))


def test_a_moment_is_told_to_the_millisecond_with_a_z() -> None:
    moment = datetime(2026, 11, 22, 15, 30, 0, 123999, tzinfo=UTC)
    assert rfc3339(moment) == "2026-11-22T15:30:00.123Z"


def test_a_whole_second_still_has_its_milliseconds() -> None:
    assert rfc3339(datetime(2026, 1, 2, tzinfo=UTC)) == "2026-01-02T00:00:00.000Z"


@settings(max_examples=examples(100), deadline=None)
@given(MOMENTS)
def test_reading_back_loses_less_than_a_millisecond(moment: datetime) -> None:
    lost = moment - parse_rfc3339(rfc3339(moment))
    assert timedelta(0) <= lost < timedelta(milliseconds=1)


@settings(max_examples=examples(100), deadline=None)
@given(MOMENTS, MOMENTS)
def test_moments_compare_as_their_texts(one: datetime, other: datetime) -> None:
    assert (rfc3339(one) < rfc3339(other)) == (
        parse_rfc3339(rfc3339(one)) < parse_rfc3339(rfc3339(other))
    )


def test_another_offset_is_read_as_utc() -> None:
    assert parse_rfc3339("2026-01-01T02:00:00+02:00") == datetime(2026, 1, 1, tzinfo=UTC)
    assert parse_rfc3339("2026-01-01T02:00:00+02:00").tzinfo == UTC


@pytest.mark.parametrize("text", ["2026-01-01T00:00:00", "yesterday", "", "2026-13-01T00:00:00Z"])
def test_what_is_no_moment_with_an_offset_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_rfc3339(text)


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("2026-11-22T10:00:00Z", "2026-11-22T10:00:00.000Z"),
        ("2026-11-22t10:00:00z", "2026-11-22T10:00:00.000Z"),
        ("2026-11-22 10:00:00+00:00", "2026-11-22T10:00:00.000Z"),
        ("2026-11-22T10:00Z", "2026-11-22T10:00:00.000Z"),
        ("2026-11-22T10:00:00.5+01:00", "2026-11-22T09:00:00.500Z"),
        ("2026-11-22T10:00:00.123456789123-05:30", "2026-11-22T15:30:00.123Z"),
        ("2026-12-31T23:30:00-01:00", "2027-01-01T00:30:00.000Z"),
        ("2024-02-29T00:00:00-00:00", "2024-02-29T00:00:00.000Z"),
    ],
)
def test_a_moment_that_somebody_wrote_is_brought_into_our_form(text: str, normal: str) -> None:
    assert normal_rfc3339(text) == normal
    assert normal_rfc3339(normal) == normal


@settings(max_examples=examples(100), deadline=None)
@given(MOMENTS, st.integers(-23 * 60, 23 * 60))
def test_any_moment_is_the_same_in_every_offset(moment: datetime, minutes: int) -> None:
    try:
        shifted = moment.astimezone(timezone(timedelta(minutes=minutes)))
    except OverflowError:
        return
    assert normal_rfc3339(shifted.isoformat()) == rfc3339(moment)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("2026-11-22 10:00", "has no offset from UTC: write 2026-11-22T10:00Z for UTC, or"),
        ("2026-11-22T10:00:00", "or your own, as in 2026-11-22T10:00:00+01:00"),
        ("", "is no moment like 2026-11-22T10:00:00+01:00"),
        ("tomorrow", "is no moment like"),
        ("2026-11-22", "is no moment like"),
        ("20261122T100000Z", "is no moment like"),
        ("2026-11-22T10:00:00Z\n", "is no moment like"),
        ("2026-11-22T10:00:00,5Z", "is no moment like"),
        ("٢٠٢٦-11-22T10:00:00Z", "is no moment like"),
        ("2026-11-31T10:00:00Z", "no calendar has"),
        ("2026-11-22T24:00:00Z", "no calendar has"),
        ("2026-11-22T10:00:00+24:00", "no calendar has"),
        ("9999-12-31T23:59:59-01:00", "no calendar has"),
        ("0001-01-01T00:00:00+01:00", "no calendar has"),
    ],
)
def test_what_is_no_moment_is_refused_with_how_one_looks(text: str, said: str) -> None:
    with pytest.raises(ValueError) as caught:
        normal_rfc3339(text)
    assert said in str(caught.value)


def test_the_system_clock_is_in_utc_and_never_jumps_back() -> None:
    clock = SystemClock()
    assert clock.now().tzinfo is UTC
    first, second = clock.monotonic(), clock.monotonic()
    assert second >= first


def test_ids_are_ulids_and_all_different() -> None:
    ids = {SystemClock().new_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert all(len(one) == 26 and one.isalnum() and one.isupper() for one in ids)


def test_the_frozen_clock_moves_only_when_told() -> None:
    clock = FrozenClock(datetime(2026, 1, 1, tzinfo=timezone.utc))  # noqa: UP017
    before = clock.now(), clock.monotonic()
    assert (clock.now(), clock.monotonic()) == before
    clock.advance(1.5)
    assert clock.now() == before[0] + timedelta(seconds=1.5)
    assert clock.monotonic() == before[1] + 1.5


def test_the_frozen_clocks_ids_count_and_sort() -> None:
    clock = FrozenClock()
    ids = [clock.new_id() for _ in range(12)]
    assert ids == sorted(set(ids))
    assert ids[0] == "00000000000000000000000001"
