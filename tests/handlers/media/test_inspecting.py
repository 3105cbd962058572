"""The process that looks into a clip gives up what it may do, and tells what it found."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from handlers.contract import HandlerError
from handlers.media import inspecting
from handlers.media.clips import Limits, describe_clip
from handlers.media.inspecting import looked_into
from handlers.media.posters import poster_of
from tests.handlers.media.clipmaking import clip

LIMITS = {"pixels": 1_000_000, "seconds": 60, "frames": 1000, "memory": 1 << 30, "cpu": 20}


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """The test's own process keeps what it may do; what would have been left is noted."""
    left: list[tuple[int, int]] = []
    monkeypatch.setattr(inspecting, "_give_up", lambda memory, cpu: left.append((memory, cpu)))
    return left


def test_what_it_finds_is_told_with_the_poster(kept: list[tuple[int, int]]) -> None:
    answer, poster = looked_into(clip(), LIMITS)
    allowed = Limits(1_000_000, 60, 1000)
    assert poster == poster_of(clip(), allowed)
    assert answer["poster"] == len(poster)
    description = describe_clip(clip(), allowed)
    assert all(
        answer["description"][name] == getattr(description, name)
        for name in ("codec", "frames", "width")
    )
    assert json.loads(json.dumps(answer)) == answer
    assert kept == [((1 << 30) + 2 * len(clip()), 20)]


def test_the_limits_are_those_that_were_given(kept: Any) -> None:
    answer, poster = looked_into(clip(), {**LIMITS, "frames": 3})
    assert answer["error"]["code"] == "too_large"
    assert poster == b""


@pytest.mark.parametrize(
    ("raised", "code", "said"),
    [
        (HandlerError("unreadable_media", "cut", hints=["again"]), "unreadable_media", "cut"),
        (MemoryError(), "too_large", "more memory"),
        (RuntimeError("odd"), "unreadable_media", "failed at it: RuntimeError"),
        (OSError(24, "Too many open files"), "internal", "lacks a file"),
    ],
)
def test_whatever_goes_wrong_is_told(
    kept: Any, monkeypatch: pytest.MonkeyPatch, raised: Exception, code: str, said: str
) -> None:
    def fails(*_: object) -> None:
        raise raised

    monkeypatch.setattr("handlers.media.clips.describe_clip", fails)
    answer, poster = looked_into(clip(), LIMITS)
    assert answer["error"]["code"] == code
    assert said in answer["error"]["message"]
    assert answer["error"]["hints"] == (
        ["again"] if code == "unreadable_media" and said == "cut" else []
    )
    assert poster == b""


def test_without_pyav_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    monkeypatch.delitem(sys.modules, "handlers.media.clips")
    answer, _ = looked_into(clip(), LIMITS)
    assert answer["error"]["code"] == "not_supported"
    assert 'pip install "darkroomd[video]"' in answer["error"]["hints"][0]


def test_it_gives_up_files_sockets_and_memory() -> None:
    script = """
import socket
from handlers.media import inspecting
inspecting._give_up(1 << 29, 5)
def tried(what):
    try:
        what()
    except Exception as error:
        return type(error).__name__
    return "done"
print(tried(lambda: open("/etc/hostname")), tried(socket.socket), tried(lambda: bytearray(1 << 30)))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.split() == ["OSError", "OSError", "MemoryError"]
