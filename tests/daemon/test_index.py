"""The index: a cache of the state that a start may trust, and that may be deleted at any time."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.archive import Drop
from daemon.errors import IndexFailed
from daemon.events import IntakePaused, JobFailed, JobSucceeded, RequestMatched, ResultEmitted
from daemon.index import Index
from daemon.jobs import Job
from daemon.segments import Position
from daemon.state import State
from tests.builders import ANY_EVENT, History, accepted, answered, ended
from tests.examples import examples


def position(sequence: int) -> Position:
    return Position(sequence, "a" * 64, 1, 10, 20)


@pytest.fixture
def index(tmp_path: Path) -> Any:
    made = Index(tmp_path / "index.sqlite")
    yield made
    made.close()


def write(index: Index, state: State, seen: Any = None) -> None:
    changes = state.take_changes()
    index.write(changes, position(changes.sequence), seen or {})
    state.let_go(changes)


def restored(index: Index) -> State:
    state = State()
    index.restore(state)
    state.use(index)
    return state


def history() -> History:
    history = History()
    history.add(
        accepted("c1", request_id="mine", body_sha256="b1", blobs={"/x": "f" * 64}), "J1", "a.json"
    )
    history.add(answered(media=[{"sha256": "e" * 64, "media_type": None}]), "J1", "a.json")
    history.add(ended(JobFailed), "J1", "a.json")
    history.add(ResultEmitted("J1", 3, "a.result.json"), None, "a.json")
    history.add(accepted("c2", labels={"who": "é"}), "J2", "alice/b.json")
    return history


def test_an_empty_index_knows_nothing(index: Index) -> None:
    assert index.position() is None
    assert (index.job("J1"), index.drops("a.json"), index.sender_id("mine")) == (None, None, None)
    assert not index.is_request_blob("f" * 64)
    assert restored(index) == State()


def test_what_was_written_is_found_again(index: Index) -> None:
    state = history().state()
    whole = history().state()
    write(index, state)
    assert index.job("J1") == whole.jobs["J1"]
    assert type(index.job("J1")) is Job
    assert index.drops("a.json") == whole.drops["a.json"]
    assert index.sender_id("mine") == ("b1", "J1")
    assert index.is_request_blob("f" * 64)
    assert index.position() == position(5)


def test_a_start_has_what_is_open_at_hand_and_looks_up_the_rest(index: Index) -> None:
    whole = history().state()
    write(index, history().state())
    state = restored(index)
    assert dict(state.jobs) == {"J2": whole.jobs["J2"]}
    assert list(state.open_jobs) == ["J2"]
    assert (state.held, state.counts, state.sequence) == (whole.held, whole.counts, 5)
    assert state.jobs["J1"] == state.jobs.get("J1") == whole.jobs["J1"]
    assert state.newest("a.json") == whole.newest("a.json")
    assert state.needs("f" * 64)
    assert state.needs("e" * 64)
    assert state.ids.get("mine") == ("b1", "J1")
    assert state.newest("nobody.json") is None


def test_what_is_quiet_is_let_go_and_what_is_open_is_kept(index: Index) -> None:
    state = history().state()
    state.use(index)
    write(index, state)
    assert set(state.jobs) == {"J2"}
    assert set(state.drops) == {"alice/b.json"}
    assert state.jobs["J1"].status == "failed"


def test_what_changed_while_it_was_written_is_not_let_go(index: Index) -> None:
    known = history()
    state = known.state()
    state.use(index)
    changes = state.take_changes()
    index.write(changes, position(5), {})
    state.apply(known.add(RequestMatched("c9", "c9", "J1", "why"), None, "a.json"))
    assert "J1" not in state.let_go(changes) or state.jobs["J1"].status == "failed"
    assert state.known("a.json", "c9") is not None
    assert state.owed == {"a.json": 3}


def test_an_answer_that_is_owed_is_owed_after_a_start(index: Index) -> None:
    known = history()
    known.add(ended(JobSucceeded), "J2", "alice/b.json")
    write(index, known.state())
    assert restored(index).owed == {"alice/b.json": 6}


def test_a_pause_outlives_a_start(index: Index) -> None:
    known = history()
    known.add(IntakePaused("disk space", 1, 2))
    write(index, known.state())
    assert restored(index).paused


def test_names_are_fetched_together_and_those_it_lacks_are_known_to_be_lacking(
    index: Index,
) -> None:
    write(index, history().state())
    state = restored(index)
    state.fetch(["a.json", "nobody.json", "alice/b.json"])
    assert dict(state.drops)["nobody.json"] == {}
    assert state.newest("nobody.json") is None
    assert state.newest("a.json") == Drop("c1", "sha of c1", "J1", 1)
    write(index, state)
    assert set(state.drops) == {"alice/b.json"} & set(state.drops)


def test_files_that_were_seen_and_those_that_are_gone(index: Index) -> None:
    state = history().state()
    write(index, state, {"a.json": 5, "b.json": -(2**63)})
    write(index, state, {"a.json": None, "c.json": 2**63 - 1})
    assert index.seen() == {"b.json": -(2**63), "c.json": 2**63 - 1}


def test_the_newest_requests_and_similar_names(index: Index) -> None:
    write(index, history().state())
    assert [name for name, _ in index.newest(1)] == ["alice/b.json"]
    assert [name for name, _ in index.newest(9)] == ["alice/b.json", "a.json"]
    assert index.similar("ALICE", 5) == ["alice/b.json"]


def test_an_index_is_there_after_it_was_closed(tmp_path: Path) -> None:
    first = Index(tmp_path / "index.sqlite")
    write(first, history().state())
    first.close()
    again = Index(tmp_path / "index.sqlite", read_only=True)
    assert again.job("J1") == history().state().jobs["J1"]
    with pytest.raises(IndexFailed, match="reading only"):
        again.write(history().state().take_changes(), position(5), {})
    again.close()


@pytest.mark.parametrize("content", [b"", b"no database at all " * 100])
def test_what_is_no_index_is_made_anew(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "index.sqlite").write_bytes(content)
    index = Index(tmp_path / "index.sqlite")
    assert index.position() is None
    write(index, history().state())
    assert index.job("J2") is not None
    index.close()


def test_tables_of_another_version_are_made_anew(tmp_path: Path) -> None:
    first = Index(tmp_path / "index.sqlite")
    write(first, history().state())
    first.close()
    with sqlite3.connect(tmp_path / "index.sqlite") as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    again = Index(tmp_path / "index.sqlite")
    assert again.position() is None
    again.close()


def test_an_index_that_broke_says_so_and_is_gone_for_the_next_start(tmp_path: Path) -> None:
    index = Index(tmp_path / "index.sqlite")
    write(index, history().state())
    index.close()
    data = bytearray((tmp_path / "index.sqlite").read_bytes())
    data[4096:] = b"\x55" * (len(data) - 4096)
    (tmp_path / "index.sqlite").write_bytes(data)
    with pytest.raises(IndexFailed, match="start again"):
        Index(tmp_path / "index.sqlite")
    assert not (tmp_path / "index.sqlite").exists()


def test_to_look_at_one_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(IndexFailed):
        Index(tmp_path / "index.sqlite", read_only=True)
    assert list(tmp_path.iterdir()) == []


STEPS = st.lists(
    st.tuples(
        ANY_EVENT,
        st.sampled_from([None, "J1", "J2", "J3"]),
        st.sampled_from(["a.json", "b/c.json"]),
    ),
    max_size=25,
)


@settings(max_examples=examples(60), deadline=None)
@given(STEPS, st.sets(st.integers(0, 25)))
def test_a_state_with_an_index_is_the_state_without_one(
    tmp_path_factory: pytest.TempPathFactory, steps: Any, cuts: set[int]
) -> None:
    index = Index(tmp_path_factory.mktemp("index") / "index.sqlite")
    known, whole, state = History(), State(), State()
    state.use(index)
    for number, (event, job, name) in enumerate(steps):
        recorded = known.add(event, job, name)
        whole.apply(recorded)
        state.apply(recorded)
        if number in cuts:
            write(index, state)
        if number in cuts and number % 2:
            state = restored(index)
    for job_id in ("J1", "J2", "J3"):
        assert state.jobs.get(job_id) == whole.jobs.get(job_id)
    for name in ("a.json", "b/c.json"):
        assert state.newest(name) == whole.newest(name)
        assert (state.drops.get(name) or {}) == (whole.drops.get(name) or {})
    for attribute in ("owed", "open_jobs", "held", "paused"):
        assert getattr(state, attribute) == getattr(whole, attribute)
    assert +state.counts == +whole.counts
    assert list(state.open_jobs) == list(whole.open_jobs)
    assert all(state.needs(sha) == whole.needs(sha) for sha in ("a" * 64, "b" * 64, "c" * 64))
    index.close()
