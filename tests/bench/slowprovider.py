"""A slow provider: a small asyncio server in a process of its own.

It takes every call and is never done with it; or it takes some seconds for each, and answers with
a picture.

python -m tests.bench.slowprovider [SECONDS]    prints its port, and serves until it is ended
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests.support import REPOSITORY, environment

JOBS = "/v1/images/jobs"
COUNT = "/count"
_PICTURE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
"""One pixel, as PNG."""


@dataclass(frozen=True, slots=True)
class SlowProvider:
    """Where it answers."""

    origin: str

    @property
    def base_url(self) -> str:
        return f"{self.origin}/v1"

    def job(self, number: int) -> str:
        """The address at which some job is asked for."""
        return f"{self.origin}{JOBS}/{number}"

    def polls(self) -> int:
        """How often it was asked for jobs."""
        with urllib.request.urlopen(self.origin + COUNT) as answer:
            return int(json.loads(answer.read()))


@contextmanager
def slow_provider(seconds: float | None = None) -> Iterator[SlowProvider]:
    """One that serves for as long as the block.

    Args:
        seconds: how long it takes for each call; if left out, it is never done.
    """
    command = [sys.executable, "-m", "tests.bench.slowprovider"]
    command += [f"{seconds}"] if seconds is not None else []
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, cwd=REPOSITORY, env=environment(), text=True
    )
    try:
        assert process.stdout is not None
        yield SlowProvider(f"http://127.0.0.1:{int(process.stdout.readline())}")
    finally:
        process.terminate()
        process.wait()


class _Server:
    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds
        self._taken = self._polls = 0

    async def serve(self) -> None:
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0, backlog=1024)
        print(server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                method, path, _ = head.split(" ", 2)
                _, named, rest = head.partition("content-length:")
                await reader.readexactly(int(rest.split("\r\n", 1)[0]) if named else 0)
                if method == "post" and self._seconds is not None:
                    await asyncio.sleep(self._seconds)
                body = json.dumps(self._answer(method, path)).encode()
                writer.write(
                    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
                    b"content-length: %d\r\n\r\n" % len(body) + body
                )
                await writer.drain()
        writer.close()

    def _answer(self, method: str, path: str) -> Any:
        if path == COUNT:
            return self._polls
        if method == "post":
            self._taken += 1
            if self._seconds is not None:
                return {"data": [{"b64_json": _PICTURE}]}
            return {"id": self._taken, "status": "queued", "poll_url": f"{JOBS}/{self._taken}"}
        self._polls += 1
        return {"id": path.rpartition("/")[2], "status": "in_progress", "progress": 40}


if __name__ == "__main__":
    asyncio.run(_Server(float(sys.argv[1]) if sys.argv[1:] else None).serve())
