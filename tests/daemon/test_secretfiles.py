"""Files that hold secrets."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from daemon.configfiles import Gathered
from daemon.secretfiles import at_pointer, read_secret_file
from handlers.contract import HandlerError


def write(path: Path, text: str, mode: int = 0o600) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


def refused(path: Path, code: str, said: str, limit: int = 100) -> HandlerError:
    with pytest.raises(HandlerError, match=said) as error:
        read_secret_file(path, "the.place", Gathered(), limit)
    assert error.value.code == code
    assert "the.place" in error.value.message
    assert str(path) in error.value.message
    return error.value


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o700])
def test_a_file_of_ones_own_is_read_and_told(tmp_path: Path, mode: int) -> None:
    path, gathered = write(tmp_path / "key", "abc\n", mode), Gathered()
    assert read_secret_file(path, "x", gathered) == "abc\n"
    assert gathered.files == [path]


def test_a_link_to_a_file_of_ones_own_is_followed(tmp_path: Path) -> None:
    write(tmp_path / "key", "abc")
    (tmp_path / "link").symlink_to("key")
    assert read_secret_file(tmp_path / "link", "x", Gathered()) == "abc"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o644])
def test_a_file_that_others_can_read_or_change_is_refused(tmp_path: Path, mode: int) -> None:
    path = write(tmp_path / "key", "canary-secret", mode)
    error = refused(path, "config_invalid", "read or changed by others")
    assert error.hints == (f"Run `chmod 600 {path}`.",)
    assert "canary" not in error.message


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_file_of_somebody_else_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "key", "abc")
    os.chown(path, 12345, -1)
    refused(path, "config_invalid", "belongs to somebody else")


def test_a_file_that_is_not_there_is_missing(tmp_path: Path) -> None:
    gathered = Gathered()
    with pytest.raises(HandlerError, match="not there") as error:
        read_secret_file(tmp_path / "key", "x", gathered)
    assert error.value.code == "config_missing"
    assert gathered.files == [tmp_path / "key"]


def test_what_is_no_file_or_too_large_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo", 0o600)
    refused(tmp_path / "fifo", "config_invalid", "no regular file")
    refused(write(tmp_path / "key", "x" * 101), "config_invalid", "larger than 100 bytes")
    assert read_secret_file(write(tmp_path / "key", "x" * 100), "x", Gathered(), 100) == "x" * 100


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"\xff\xfe")
    (tmp_path / "key").chmod(0o600)
    refused(tmp_path / "key", "config_invalid", "not UTF-8")


DOCUMENT = {"a": {"b": ["x", {"c": "y"}]}, "": "empty", "a/b": "slash", "m~n": "tilde", "~1": "z"}


@pytest.mark.parametrize(
    ("pointer", "found"),
    [
        ("", DOCUMENT),
        ("/a/b/0", "x"),
        ("/a/b/1/c", "y"),
        ("/", "empty"),
        ("/a~1b", "slash"),
        ("/m~0n", "tilde"),
        ("/~01", "z"),
        ("/a/b/2", None),
        ("/a/b/-1", None),
        ("/a/b/99999999999999999999", None),
        ("/a/x/y", None),
        ("/a/b/0/0", None),
        ("a", None),
    ],
)
def test_a_pointer_leads_into_a_document(pointer: str, found: Any) -> None:
    assert at_pointer(DOCUMENT, pointer) == found
