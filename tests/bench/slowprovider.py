"""A provider that takes every call and is never done: a small asyncio server in a process of its own.

python -m tests.bench.slowprovider    prints its port, and serves until it is ended
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
def slow_provider() -> Iterator[SlowProvider]:
    """One that serves for as long as the block."""
    command = [sys.executable, "-m", "tests.bench.slowprovider"]
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
    def __init__(self) -> None:
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
            return {"id": self._taken, "status": "queued", "poll_url": f"{JOBS}/{self._taken}"}
        self._polls += 1
        return {"id": path.rpartition("/")[2], "status": "in_progress", "progress": 40}


if __name__ == "__main__":
    asyncio.run(_Server().serve())
