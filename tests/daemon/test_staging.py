"""Bytes on their way into staging: few stay in memory, many lie in a file that goes or is taken."""

from __future__ import annotations

import asyncio
import hashlib
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.blobs import BlobStore
from daemon.staging import SMALL, Staged
from tests.support import wait_until


async def begun(folder: Path | None, parts: Sequence[bytes]) -> Staged:
    staged = Staged(folder)
    for part in parts:
        if (taking := staged.take(part)) is not None:
            await taking
    return staged


async def filled(folder: Path | None, parts: Sequence[bytes]) -> Staged:
    staged = await begun(folder, parts)
    await staged.finish()
    return staged


def coming(folder: Path | None, *parts: bytes) -> Staged:
    return asyncio.run(filled(folder, parts))


def test_few_bytes_stay_in_memory(tmp_path: Path) -> None:
    staged = coming(tmp_path, b"a", b"b")
    assert (staged.data, staged.size, staged.in_memory) == (b"ab", 2, True)
    assert os.listdir(tmp_path) == []


def test_many_stay_there_too_where_there_is_no_folder() -> None:
    data = bytes(2 * SMALL)
    staged = coming(None, data)
    assert (staged.data, staged.sha256) == (data, hashlib.sha256(data).hexdigest())


@settings(max_examples=25, deadline=None)
@given(sizes=st.lists(st.integers(0, SMALL + 7), max_size=5))
def test_whatever_the_parts_all_of_it_is_there_with_its_digest(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int]
) -> None:
    folder = tmp_path_factory.mktemp("staging")
    parts = [os.urandom(size) for size in sizes]
    whole = b"".join(parts)
    in_a_thread = Staged(folder)
    in_a_thread.take_all(iter(parts))
    for staged in (coming(folder, *parts), in_a_thread):
        data = staged.data if staged.in_memory else staged.path.read_bytes()
        assert (data, staged.size) == (whole, len(whole))
        assert staged.sha256 == hashlib.sha256(whole).hexdigest()
        staged.close()
    assert os.listdir(folder) == []


@pytest.mark.parametrize("size", [0, 1, SMALL - 1, SMALL, SMALL + 1, 3 * SMALL])
def test_who_looks_into_it_sees_all_that_came(tmp_path: Path, size: int) -> None:
    data = os.urandom(size)

    async def main() -> bytes:
        staged = await begun(tmp_path, [data])
        seen = await staged.looked_into(lambda held: held[:])
        await staged.finish()
        assert staged.sha256 == hashlib.sha256(data).hexdigest()
        staged.close()
        return seen

    assert asyncio.run(main()) == data


def test_what_is_closed_while_a_thread_is_at_it_goes_when_that_is_done(tmp_path: Path) -> None:
    at_it, may_go_on = threading.Event(), threading.Event()

    def look(_held: Any) -> None:
        at_it.set()
        may_go_on.wait(10)

    async def main() -> None:
        staged = await begun(tmp_path, [bytes(SMALL)])
        looking = asyncio.create_task(staged.looked_into(look))
        assert await asyncio.to_thread(at_it.wait, 10)
        looking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await looking
        staged.close()
        assert len(os.listdir(tmp_path)) == 1
        may_go_on.set()

    asyncio.run(main())
    wait_until(lambda: os.listdir(tmp_path) == [], "it is gone")


def test_nothing_is_written_any_more_once_it_is_closed(tmp_path: Path) -> None:
    staged = coming(tmp_path)
    staged.close()
    with pytest.raises(ValueError):
        staged.take_all(iter([bytes(SMALL)]))
    assert os.listdir(tmp_path) == []


# ---------------------------------------------------------------- becoming a blob


def store(tmp_path: Path) -> BlobStore:
    for name in ("blobs", "staging"):
        (tmp_path / name).mkdir()
    return BlobStore(tmp_path / "blobs", tmp_path / "staging", lambda _: False)


def test_a_file_becomes_a_blob_that_is_leased_and_stays_when_it_is_closed(tmp_path: Path) -> None:
    blobs, data = store(tmp_path), os.urandom(2 * SMALL)
    staged = coming(tmp_path / "staging", data)
    inode = staged.path.stat().st_ino
    digest = blobs.adopt(staged)
    staged.close()
    assert digest == hashlib.sha256(data).hexdigest()
    assert (blobs.get(digest), blobs.path(digest).stat().st_ino) == (data, inode)
    assert os.listdir(tmp_path / "staging") == []
    blobs.drop([digest])
    assert blobs.path(digest).exists()
    blobs.release(digest)
    blobs.drop([digest])
    assert not blobs.path(digest).exists()


def test_a_file_of_bytes_that_are_a_blob_already_goes(tmp_path: Path) -> None:
    blobs, data = store(tmp_path), os.urandom(2 * SMALL)
    digest = blobs.put(data)
    inode = blobs.path(digest).stat().st_ino
    staged = coming(tmp_path / "staging", data)
    assert blobs.adopt(staged) == digest
    staged.close()
    assert blobs.path(digest).stat().st_ino == inode
    assert os.listdir(tmp_path / "staging") == []


def test_a_file_that_could_not_become_a_blob_can_be_one_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blobs, staged = store(tmp_path), coming(tmp_path / "staging", bytes(2 * SMALL))
    with monkeypatch.context() as patch:

        def full(*_: Any) -> None:
            raise OSError(28, "full")

        patch.setattr("daemon.blobs.publish", full)
        with pytest.raises(OSError):
            blobs.adopt(staged)
    digest = blobs.adopt(staged)
    blobs.release(digest)
    blobs.drop([digest])
    assert not blobs.path(digest).exists()
