"""Blobs: durable, named by content, and gone when nobody needs them."""

import hashlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.blobs import BlobStore
from daemon.longstrings import LONG, with_long_strings, without_long_strings
from tests.builders import OBJECTS
from tests.examples import examples

DATA = b"some bytes"
SHA = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def needed() -> set[str]:
    return set()


@pytest.fixture
def make(tmp_path: Path, needed: set[str]) -> Callable[[], BlobStore]:
    for name in ("blobs", "staging"):
        (tmp_path / name).mkdir()
    return lambda: BlobStore(tmp_path / "blobs", tmp_path / "staging", needed.__contains__)


@pytest.fixture
def store(make: Callable[[], BlobStore]) -> BlobStore:
    return make()


def test_bytes_are_found_under_their_digest(store: BlobStore) -> None:
    assert store.put(DATA) == SHA
    assert store.get(SHA) == DATA
    assert store.path(SHA).name == SHA


def test_no_bytes_are_bytes_too(store: BlobStore) -> None:
    assert store.get(store.put(b"")) == b""


def test_nothing_stays_in_staging(store: BlobStore, tmp_path: Path) -> None:
    store.put(DATA)
    assert os.listdir(tmp_path / "staging") == []


def test_the_same_bytes_are_written_once(store: BlobStore) -> None:
    store.put(DATA)
    inode = store.path(SHA).stat().st_ino
    store.put(DATA)
    assert store.path(SHA).stat().st_ino == inode


def test_a_blob_that_nobody_put_is_missing(store: BlobStore) -> None:
    with pytest.raises(FileNotFoundError):
        store.get("0" * 64)


def test_a_leased_blob_is_not_dropped(store: BlobStore) -> None:
    store.put(DATA)
    store.drop([SHA])
    assert store.get(SHA) == DATA


def test_a_blob_that_an_event_names_outlives_its_lease(store: BlobStore, needed: set[str]) -> None:
    store.put(DATA)
    needed.add(SHA)
    store.release(SHA)
    assert store.get(SHA) == DATA
    store.drop([SHA])
    assert store.get(SHA) == DATA


def test_a_blob_that_no_event_names_goes_when_it_is_dropped_after_its_last_lease(
    store: BlobStore,
) -> None:
    store.put(DATA)
    store.put(DATA)
    store.release(SHA)
    store.drop([SHA])
    assert store.get(SHA) == DATA
    store.release(SHA)
    store.drop([SHA])
    assert not store.path(SHA).exists()


def test_what_nobody_needs_any_more_is_dropped(store: BlobStore, needed: set[str]) -> None:
    needed.add(SHA)
    store.put(DATA)
    store.release(SHA)
    needed.clear()
    store.drop([SHA, "0" * 64])
    assert not store.path(SHA).exists()


def test_a_sweep_removes_what_a_crash_left_and_nothing_else(
    make: Callable[[], BlobStore], needed: set[str], tmp_path: Path
) -> None:
    before = make()
    kept, stray = before.put(b"kept"), before.put(b"stray")
    needed.add(kept)
    foreign = tmp_path / "blobs" / "README"
    foreign.write_text("not ours")
    make().sweep()
    assert sorted(os.listdir(tmp_path / "blobs")) == sorted([kept, "README"])
    assert not before.path(stray).exists()


def test_a_blob_that_cannot_be_written_is_not_leased(
    make: Callable[[], BlobStore], tmp_path: Path
) -> None:
    store = make()
    (tmp_path / "staging").rmdir()
    with pytest.raises(OSError):
        store.put(DATA)
    (tmp_path / "staging").mkdir()
    store.put(DATA)
    store.release(SHA)
    store.drop([SHA])
    assert not store.path(SHA).exists()


def test_many_threads_may_put_the_same_bytes(store: BlobStore, tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        digests = list(pool.map(store.put, [DATA] * 64))
    assert set(digests) == {SHA}
    assert store.get(SHA) == DATA
    assert os.listdir(tmp_path / "staging") == []


# ---------------------------------------------------------------- long strings


def test_a_long_string_is_taken_out_with_its_pointer() -> None:
    long = "x" * LONG
    request = {"prompt": long, "extra": {"a/b": [1, long, "short"]}, "n": 1}
    thin, taken = without_long_strings(request)
    assert thin == {"prompt": "", "extra": {"a/b": [1, "", "short"]}, "n": 1}
    assert taken == {"/prompt": long, "/extra/a~1b/1": long}
    assert with_long_strings(thin, taken) == request


def test_the_limit_is_the_limit() -> None:
    assert without_long_strings({"a": "x" * (LONG - 1)})[1] == {}
    assert without_long_strings({"a": "x" * LONG})[1] == {"/a": "x" * LONG}


def test_a_request_is_not_changed_by_being_thinned() -> None:
    request: dict[str, Any] = {"a": ["x" * LONG]}
    without_long_strings(request)
    assert request == {"a": ["x" * LONG]}


def test_an_empty_string_of_the_request_stays_empty() -> None:
    request = {"a": "", "b": "y" * LONG}
    thin, taken = without_long_strings(request)
    assert with_long_strings(thin, taken) == request


@settings(max_examples=examples(100), deadline=None)
@given(OBJECTS, st.data())
def test_filling_is_the_inverse_of_thinning(request: dict[str, Any], data: st.DataObject) -> None:
    for name in list(request):
        if data.draw(st.booleans()):
            request[name] = {"deep~/": [request[name], "z" * LONG, ""]}
    thin, taken = without_long_strings(request)
    assert with_long_strings(thin, taken) == request
    assert "zzz" not in str(thin)
