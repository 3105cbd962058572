"""To come."""

from typing import NamedTuple

from daemon.sites import Site
from handlers.wire import HttpCall, HttpReply


class NotAnswered(Exception):
    def __init__(self, message: str, *, sent: bool, timed_out: bool = False) -> None:
        super().__init__(message)
        self.sent = sent
        self.timed_out = timed_out


class Fetched(NamedTuple):
    data: bytes
    media_type: str | None
    url: str


class Network:
    def __init__(
        self, *, max_answer_bytes: int, max_media_bytes: int, trust_env: bool = False
    ) -> None: ...
    async def call(self, site: Site, call: HttpCall, timeout: float) -> HttpReply:
        raise NotImplementedError

    async def fetch(self, site: Site | None, url: str, timeout: float) -> Fetched:
        raise NotImplementedError

    async def close(self) -> None: ...
