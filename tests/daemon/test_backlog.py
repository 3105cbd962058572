"""Names that wait to be looked at: those just told of first, then the folders in turns."""

from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.backlog import Backlog
from tests.examples import examples


def test_nothing_waits_at_first() -> None:
    backlog = Backlog()
    assert not backlog
    assert (len(backlog), backlog.take(9), "a.json" in backlog) == (0, [], False)


def test_a_folder_hands_out_its_names_in_their_order() -> None:
    backlog = Backlog()
    backlog.add(["b.json", "a.json", "c.json"])
    assert backlog.take(2) == ["b.json", "a.json"]
    assert "c.json" in backlog
    assert "a.json" not in backlog
    assert backlog.take(2) == ["c.json"]


def test_what_was_told_of_goes_before_everything_else() -> None:
    backlog = Backlog()
    backlog.add(f"bulk/{number}.json" for number in range(1000))
    backlog.put_first(["new.json"])
    assert backlog.take(1) == ["new.json"]


def test_one_name_of_another_folder_is_in_the_next_batch_although_a_thousand_wait() -> None:
    backlog = Backlog()
    backlog.add(f"bulk/{number}.json" for number in range(1000))
    backlog.take(10)
    backlog.add(["alice/one.json"])
    assert "alice/one.json" in backlog.take(10)


def test_a_name_that_is_told_twice_waits_once() -> None:
    backlog = Backlog()
    backlog.add(["a.json", "a.json"])
    backlog.put_first(["b.json", "b.json"])
    assert len(backlog) == 2
    assert sorted(backlog.take(9)) == ["a.json", "b.json"]


NAMES = st.lists(
    st.sampled_from([f"{folder}{n}.json" for folder in ("", "a/", "b/c/") for n in "1234"])
)


@settings(max_examples=examples(100), deadline=None)
@given(NAMES, NAMES, st.integers(1, 5))
def test_every_name_is_handed_out_and_no_batch_is_larger_than_asked(
    told: list[str], found: list[str], most: int
) -> None:
    backlog = Backlog()
    backlog.add(found)
    backlog.put_first(told)
    taken: list[str] = []
    while backlog:
        batch = backlog.take(most)
        assert 0 < len(batch) <= most
        assert len(set(batch)) == len(batch)
        taken += batch
    assert set(taken) == {*told, *found}
