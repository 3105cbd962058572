"""Time as text, and ids."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.clock import SystemClock, parse_rfc3339, rfc3339
from daemon.testing import FrozenClock

MOMENTS = st.datetimes(timezones=st.just(UTC))


def test_a_moment_is_told_to_the_millisecond_with_a_z() -> None:
    moment = datetime(2026, 11, 22, 15, 30, 0, 123999, tzinfo=UTC)
    assert rfc3339(moment) == "2026-11-22T15:30:00.123Z"


def test_a_whole_second_still_has_its_milliseconds() -> None:
    assert rfc3339(datetime(2026, 1, 2, tzinfo=UTC)) == "2026-01-02T00:00:00.000Z"


@settings(max_examples=100, deadline=None)
@given(MOMENTS)
def test_reading_back_loses_less_than_a_millisecond(moment: datetime) -> None:
    lost = moment - parse_rfc3339(rfc3339(moment))
    assert timedelta(0) <= lost < timedelta(milliseconds=1)


@settings(max_examples=100, deadline=None)
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
