"""A real daemon that kills itself with SIGKILL at a chosen boundary.

A boundary is a moment before or after something becomes durable or visible: a write to the log,
a blob, an artifact, a result, a removed control file, and a paid call on its way out and back.
Nothing of this is in the product: the functions are wrapped here, in the victim's own process.
"""

from __future__ import annotations

import asyncio
import functools
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Generator
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field

import daemon.app
import daemon.blobs
import daemon.controls
import daemon.files
import daemon.gallery
import daemon.results
import daemon.rows
import daemon.segments
import handlers.media.decoding
import handlers.media.rendering  # noqa: F401  imported before the fork, to save the time after it
from daemon.app import App
from daemon.logs import configure_logs
from daemon.plugins import Plugins, find_plugins
from daemon.settings import load_settings
from daemon.testing import tiny_image
from handlers.contract import (
    Call,
    Context,
    Handler,
    HandlerError,
    Medium,
    Outcome,
    TaskRequest,
)
from handlers.wire import AnswersAtOnce, Compute, Effect
from tests.support import REPOSITORY, environment, wait_until


class Boundaries:
    """Counts boundaries, and dies at the chosen one.

    Args:
        kill_at: which, from 1; 0 for never.
        tally: where every boundary's name is written, so that they can be counted.
        only: the name of the boundaries that count; all do, if it is empty.
    """

    def __init__(self, kill_at: int, tally: Path, only: str = "") -> None:
        self._kill_at = kill_at
        self._only = only
        self._tally = os.open(tally, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        self._passed = 0

    def pass_by(self, name: str) -> None:
        self._passed += self._only in ("", name)
        os.write(self._tally, f"{name}\n".encode())
        if self._passed == self._kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(self, where: Any, name: str) -> None:
        """Put a boundary before and after a function."""
        real = getattr(where, name)
        spoken = f"{getattr(where, '__name__', where)}.{name}"

        @functools.wraps(real)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            self.pass_by(f"before {spoken}")
            value = real(*args, **kwargs)
            self.pass_by(f"after {spoken}")
            return value

        setattr(where, name, wrapped)

    def inside_writes(self, where: Any, name: str, then: str) -> None:
        """Die with half of what is appended to a file written: a torn tail."""
        real = where.write_all

        def torn(file: int, data: bytes) -> None:
            half = len(data) // 2
            real(file, data[:half])
            self.pass_by(f"inside a write to {name}")
            real(file, data[half:])
            self.pass_by(then)

        where.write_all = torn


# ---------------------------------------------------------------- who does the work


SHOWN = 100
"""Characters of a prompt that a call is written down with."""


class Counting(AnswersAtOnce):
    """A paid provider that writes down every call that reaches it.

    `prompt` says what it does: "flaky" fails the first time in a way that is known to have failed,
    "large" answers with some megabytes, "slow" waits for a file `go` beside the calls.
    """

    name = "counting"
    paid = True
    operations = frozenset({"generate_image"})

    def __init__(self, calls: Path, boundaries: Boundaries) -> None:
        self._calls = calls
        self._boundaries = boundaries

    def submit(self, call: Call) -> Generator[Effect, Any, Outcome]:
        outcome: Outcome = yield Compute(lambda: self._answer(call))
        return outcome

    def _answer(self, call: Call) -> Outcome:
        self._boundaries.pass_by("before the paid call")
        prompt = call.fields["prompt"][:SHOWN]
        before = self._calls.read_text().splitlines() if self._calls.exists() else []
        # One short write, so that a kill from another thread leaves no half line.
        file = os.open(self._calls, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(file, json.dumps(prompt).encode() + b"\n")
        os.close(file)
        self._boundaries.pass_by("after the paid call")
        if "flaky" in prompt and json.dumps(prompt) not in before:
            raise HandlerError("provider_unavailable", "try again")
        if "slow" in prompt:
            wait_until((self._calls.parent / "go").exists, "a sign to go on")
        picture = noise() if "large" in prompt else tiny_image(size=(9, 7))
        return Outcome(
            (Medium(picture, media_type="image/png"),), model="counting-1", usage={"pictures": 1}
        )


@functools.cache
def noise() -> bytes:
    """A picture of a good megabyte that decodes."""
    import io

    from PIL import Image

    pixels = np.random.default_rng(1).integers(0, 256, (640, 640, 3), np.uint8)
    encoded = io.BytesIO()
    Image.fromarray(pixels).save(encoded, "PNG", compress_level=1)
    return encoded.getvalue()


class StoryRequest(TaskRequest):
    task: Literal["story"] = "story"
    prompt: str = Field(description="The beginning of each call's prompt.")


async def run_story(request: StoryRequest, context: Context) -> None:
    """Several asks side by side, one after the other, keeps in between, one that fails at first."""

    async def one(name: str) -> None:
        outcome = await context.ask(
            name, Call("generate_image", {"prompt": f"{request.prompt} {name}"})
        )
        await context.keep(f"keep {name}", outcome.media[0], prefix=name.partition(" ")[0])

    await context.progress("began", 0.0)
    async with asyncio.TaskGroup() as group:
        for name in ("left", "right large"):
            group.create_task(one(name))
    await context.progress("half way", 0.5)
    await one("flaky last")
    await context.keep("own", Medium(tiny_image("red")), prefix="mask", role="mask")


STORY = Handler("story", StoryRequest, run_story, "Tell a story.")


# ---------------------------------------------------------------- the process


def begin(root: Path, kill_at: int, only: str = "") -> Boundaries:
    """Have this process know nothing of the tester's own settings and providers, write its
    diagnostics to the root, and pass by boundaries."""
    os.environ.clear()
    os.environ.update(environment())
    log = os.open(root / "stderr.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 2)
    configure_logs("info")
    boundaries = Boundaries(kill_at, root / "tally", only)
    boundaries.around(daemon.segments.Segments, "write")
    boundaries.inside_writes(daemon.segments, "the log", "before the log's fsync")
    boundaries.around(daemon.rows.Rows, "_do")
    boundaries.inside_writes(daemon.rows, "a queue's rows", "after a queue's rows")
    boundaries.around(daemon.gallery, "publish")
    boundaries.around(daemon.results, "publish_at")
    boundaries.around(daemon.blobs, "write_durable")
    boundaries.around(daemon.gallery, "write_durable")
    boundaries.around(daemon.controls, "remove_beneath")
    boundaries.around(daemon.blobs.BlobStore, "drop")
    return boundaries


def live(root: Path, plugins: Plugins, **arguments: Any) -> None:
    """Answer all that lies there, and end this process."""
    code = 70
    try:
        quick = {"root": root, "settle": 0.05, "retry_seconds": 0.01}
        settings = load_settings({**quick, **arguments}, {})
        code = asyncio.run(App(settings, plugins).serve(drain=True, max_wait=50))
    except BaseException:
        traceback.print_exc()
        raise
    finally:
        os._exit(code)  # as the command does


def serve(root: str, kill_at: int, arguments: dict[str, Any]) -> None:
    """The victim's whole life; the target of a process."""
    path = Path(root)
    boundaries = begin(path, kill_at)
    plugins = Plugins(
        {**FOUND.handlers, "story": STORY},
        {**FOUND.providers, "counting": Counting(path / "calls", boundaries)},
    )
    live(path, plugins, **arguments)


FOUND = find_plugins()
"""Every plug-in there is; imported before the fork, to save the time after it."""


class Zygote:
    """The process of `tests.story.zygote`, which forks a victim for each root it is told."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.story.zygote"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=REPOSITORY,
        )

    def run(self, whose: str, root: Path, kill_at: int, arguments: dict[str, Any]) -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        wanted = [whose, str(root), kill_at, arguments]
        print(json.dumps(wanted), file=self._process.stdin, flush=True)
        return int(self._process.stdout.readline())


@functools.cache
def forkserver() -> ForkServerContext:
    """What starts processes with everything imported, for those that a test holds itself."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.story.victim"])
    return context


@functools.cache
def zygote() -> Zygote:
    """The one of this process."""
    return Zygote()


def spawn(
    root: Path, kill_at: int = 0, module: str = "tests.story.victim", **arguments: Any
) -> int:
    """Run a victim to its end; its exit code, -9 if it was killed."""
    code = zygote().run(module, root, kill_at, arguments)
    assert code != -signal.SIGALRM, "it hangs: " + (root / "stderr.log").read_text()[-4000:]
    return code
