"""Looking into clips in a process apart: what it finds, and what it cannot do to the daemon."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from daemon import probing
from daemon.probing import ClipLimits, Prober
from handlers.contract import ClipDescription, HandlerError
from tests.handlers.media.clipmaking import SIZE, clip

REAL, SCRIPTED = "handlers.media.inspecting", "tests.daemon.scripted"
FOUND = ClipDescription("video", "video/mp4", ".mp4", *SIZE, 1.2, 10.0, 12, "h264", False)
ANSWER: dict[str, Any] = {
    "description": {
        "kind": "video",
        "media_type": "video/mp4",
        "extension": ".mp4",
        "width": 64,
        "height": 48,
        "seconds": 1.2,
        "fps": 10.0,
        "frames": 12,
        "codec": "h264",
        "has_audio": False,
    },
    "poster": 6,
}
# What goes wrong in the real process: one of its functions is another one.
INSTEAD = """
import os, sys, time
from handlers.media import inspecting, clips
def instead(data, limits):
    {}
clips.describe_clip = instead
sys.stdin.buffer.read = lambda: b''
"""


def run(main: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(main)


async def probe(
    clip: bytes | Path, module: str = SCRIPTED, cpu: int = 60, **changes: Any
) -> tuple[ClipDescription, bytes]:
    return await Prober(module, ClipLimits(cpu=cpu), **changes).probe(clip)


def refused(clip: bytes | str, code: str, said: str, **changes: Any) -> None:
    data = clip.encode() if isinstance(clip, str) else clip
    with pytest.raises(HandlerError, match=said) as caught:
        run(probe(data, **changes))
    assert caught.value.code == code


def saying(answer: dict[str, Any], poster: bytes = b"poster") -> str:
    said = json.dumps(answer).encode() + b"\n" + poster
    return f"sys.stdout.buffer.write({said!r})"


# ---------------------------------------------------------------- what it finds


def test_a_clip_is_described_and_has_a_poster_and_one_that_is_cut_is_refused(
    tmp_path: Path,
) -> None:
    (tmp_path / "clip").write_bytes(clip())
    read, found, cut = several(
        probe(clip(), REAL), probe(tmp_path / "clip", REAL), probe(clip()[:-40], REAL)
    )
    assert read == found
    description, poster = found
    assert description == FOUND
    assert poster[:3] == b"\xff\xd8\xff"
    said = "what the provider sent is no clip that can be used: it is cut short"
    assert (cut.code, cut.message) == ("unreadable_media", said)


def several(*probes: Coroutine[Any, Any, Any]) -> list[Any]:
    """What each finds, or how it fails; they go on side by side."""

    async def main() -> list[Any]:
        return await asyncio.gather(*probes, return_exceptions=True)

    return run(main())


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/dev/zero")
    with pytest.raises(OSError, match="symbolic link"):
        run(probe(tmp_path / "link"))


# ---------------------------------------------------------------- what may go wrong


def test_what_eats_memory_or_computes_without_end_is_ended() -> None:
    eats = INSTEAD.format("eaten = bytearray(3 << 30)") + "inspecting.main()"
    loops = INSTEAD.format("while True: pass") + "inspecting.main()"
    eaten, looped = several(probe(eats.encode()), probe(loops.encode(), cpu=1))
    assert (eaten.code, looped.code) == ("too_large", "too_large")
    assert "more memory than it may have" in eaten.message
    assert "its time of computing" in looped.message


def test_what_crashes_is_no_good_clip() -> None:
    crashes = "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"
    refused(crashes, "unreadable_media", "crashes: SIGSEGV")


def test_what_is_killed_by_somebody_else_was_too_large() -> None:
    refused("import os; os.kill(os.getpid(), 9)", "too_large", "was killed")


def test_what_waits_without_end_is_killed_with_all_that_it_started(tmp_path: Path) -> None:
    script = f"""
import os, time
child = os.fork()
if child:
    open({str(tmp_path / "child")!r}, "w").write(str(child))
time.sleep(60)
"""
    began = time.monotonic()
    refused(script, "too_large", "within 0.6 s", timeout=0.6)
    assert time.monotonic() - began < 30
    assert is_gone(int((tmp_path / "child").read_text()))


def test_a_process_that_left_the_group_and_holds_the_pipe_keeps_nobody_waiting() -> None:
    script = f"""
import os, time
if os.fork() == 0:
    os.setsid()
    time.sleep(3)
    os._exit(0)
{saying(ANSWER)}
"""
    began = time.monotonic()
    refused(script, "too_large", "within 0.4 s", timeout=0.4)
    assert time.monotonic() - began < 3


def is_gone(pid: int) -> bool:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    return True


def test_a_probe_that_is_cancelled_leaves_no_process(tmp_path: Path) -> None:
    script = f"""
import os, time
open({str(tmp_path / "pid")!r}, "w").write(f"{{os.getpid()}}.")
time.sleep(60)
"""

    async def main() -> None:
        task = asyncio.create_task(probe(script.encode()))
        while not ((tmp_path / "pid").exists() and (tmp_path / "pid").read_text()):
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(main())
    assert is_gone(int(float((tmp_path / "pid").read_text())))


def test_what_says_too_much_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probing, "MOST_SAID", 100_000)
    script = "while True: sys.stdout.buffer.write(bytes(1 << 16))"
    refused(script, "unreadable_media", "says more than it may")


def test_what_cannot_be_run_is_no_fault_of_the_clip(monkeypatch: pytest.MonkeyPatch) -> None:
    refused(b"", "internal", "cannot be run: code 1", module="tests.daemon.absent")
    refused("sys.exit(3)", "internal", "code 3")
    monkeypatch.setattr(sys, "executable", "/nonexistent/python")
    refused(b"", "internal", "no process for the clip")


# ---------------------------------------------------------------- what it gets


def test_it_gets_no_variable_no_descriptor_and_no_folder_of_ours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary")
    script = """
import json, os
descriptors = [name for name in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{name}")]
told = json.dumps([sorted(os.environ), descriptors, os.getcwd()])
print(json.dumps({"error": {"code": "internal", "message": told, "hints": []}}))
"""
    held = os.open("/dev/null", os.O_RDONLY)
    os.set_inheritable(held, True)
    try:
        with pytest.raises(HandlerError) as caught:
            run(probe(script.encode()))
    finally:
        os.close(held)
    variables, descriptors, folder = json.loads(caught.value.message)
    assert set(variables) <= {"LC_ALL", "LC_CTYPE"}
    assert descriptors == ["0", "1", "2"]
    assert folder == "/"


def test_no_more_clips_are_looked_into_at_once_than_may_be(tmp_path: Path) -> None:
    script = f"""
import os, time
os.mkdir({str(tmp_path / "alone")!r})
time.sleep(0.05)
os.rmdir({str(tmp_path / "alone")!r})
{saying(ANSWER)}
"""

    prober = Prober(SCRIPTED, ClipLimits(), at_once=1)
    found = several(*(prober.probe(script.encode()) for _ in range(3)))
    assert found == [(FOUND, b"poster")] * 3


# ---------------------------------------------------------------- what it says


def answered(**changes: Any) -> bytes:
    """The usual answer with a few fields of the description changed."""
    answer = {**ANSWER, "description": {**ANSWER["description"], **changes}}
    return json.dumps(answer).encode() + b"\nposter"


def test_an_answer_that_makes_sense_is_taken() -> None:
    assert probing._read(answered()) == (FOUND, b"poster")


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"\n",
        b"no JSON\n",
        b"[" * 100_000,
        b"[]\n",
        b"{}\n",
        b"7\n",
        b'{"error": 1}\n',
        b'{"error": {"code": "no_such", "message": "", "hints": []}}\n',
        b'{"error": {"code": "internal", "message": 1, "hints": []}}\n',
        b'{"error": {"code": "internal", "message": "", "hints": [1]}}\n',
        b'{"error": {"code": [], "message": "", "hints": []}}\n',
        b'{"description": [], "poster": 6}\nposter',
        answered() + b"more",
        answered()[:-6],
        answered().replace(b'"poster": 6', b'"poster": "6"'),
        answered(kind="image"),
        answered(extension="/../../x"),
        answered(extension=".mp4/"),
        answered(media_type="text/html"),
        answered(media_type="video/mp4\r\nx: y"),
        answered(width="64"),
        answered(width=0),
        answered(frames=-1),
        answered(frames=1.5),
        answered(seconds=0),
        answered(seconds=float("inf")),
        answered(fps=float("nan")),
        answered(has_audio=1),
        answered().replace(b'"codec"', b'"kodec"'),
    ],
)
def test_an_answer_that_makes_none_is_refused(said: bytes) -> None:
    with pytest.raises(HandlerError, match="makes no sense") as caught:
        probing._read(said)
    assert caught.value.code == "unreadable_media"


def test_its_refusal_is_passed_on() -> None:
    error = {"code": "not_supported", "message": "no decoder", "hints": ["install one"]}
    with pytest.raises(HandlerError, match="no decoder") as caught:
        probing._read(json.dumps({"error": error}).encode())
    assert (caught.value.code, caught.value.hints) == ("not_supported", ("install one",))
