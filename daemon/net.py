"""Every socket that darkroom opens for providers and media: calls with a key, downloads without.

A call goes to the provider's own origin, which the configuration chose and which may lie in a
private network, and shows the key there; a whole address elsewhere is called as a stranger's:
without a key, over https, and only where the judged address is a public one. Redirects are never
followed: the provider sees the answer as it is. How media come home tells `daemon.downloads`.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from daemon.addresses import why_never, why_not_outside
from daemon.answers import Answer, Journey, NotAnswered, TooMuch
from daemon.bodies import decoded
from daemon.connections import Connections, Judge, Resolve, Way
from daemon.downloads import Downloads, Effort, Fetched, Look
from daemon.messages import message_of
from daemon.sites import Site
from daemon.targets import aim, check_outside
from handlers.wire import HttpCall, HttpReply

__all__ = ["Effort", "Fetched", "Network", "NotAnswered"]


class Network:
    """Calls providers and fetches media. Of one event loop.

    Args:
        max_answer_bytes: of one answer to a call, packed and unpacked.
        max_media_bytes: of one medium.
        trust_env: whether proxies and certificate authorities are taken from the environment.
        resolve: asks for a name's addresses; the system's way, if left out.
        judge: of addresses that are no provider's own; only public ones, if left out.
        effort: how hard a medium is tried for.
        connect_timeout: seconds that making a connection may take.
        looks_cut: whether a medium ends before its end; nobody can tell, if left out.
        is_medium: whether some bytes are a medium that is known; all are, if left out.
        staging: where the files of large media lie; they stay in memory, if left out.
    """

    def __init__(
        self,
        *,
        max_answer_bytes: int,
        max_media_bytes: int,
        trust_env: bool = False,
        resolve: Resolve | None = None,
        judge: Judge = why_not_outside,
        effort: Effort = Effort(),  # noqa: B008 - frozen
        connect_timeout: float = 10.0,
        looks_cut: Look = lambda _: False,
        is_medium: Look = lambda _: True,
        staging: Path | None = None,
    ) -> None:
        self._max_answer_bytes = max_answer_bytes
        self._judge = judge
        self._connections = Connections(
            trust_env=trust_env, resolve=resolve, connect_timeout=connect_timeout
        )
        self._downloads = Downloads(
            self._connections, judge, max_media_bytes, effort, looks_cut, is_medium, staging
        )

    async def call(self, site: Site, call: HttpCall, timeout: float) -> HttpReply:
        """Send a call, and give back its reply, whatever the status.

        One that creates something goes out on a connection of its own: an old one that turns out
        to be dead would look like an answer that was lost.

        Args:
            site: where the provider answers.
            call: what; a path is appended to the site's base URL.
            timeout: seconds that all of it may take.

        Raises:
            NotAnswered: no whole reply came, or none that can be read.
            HandlerError: `forbidden_address`: it may not go there; `config_invalid`: a header, a
                certificate file or a proxy of the site is no good.
        """
        target, own = aim(site, call.url)
        message = message_of(call, site if own else None)
        if own:
            pooled = call.creates is None
            way = Way(target, why_never, ca_file=site.ca_file, proxy=site.proxy, pooled=pooled)
        else:
            check_outside(site, target)
            way = Way(target, self._judge)
        journey = Journey(target.host)
        try:
            async with (
                asyncio.timeout(timeout),
                self._connections.send(message, way, journey) as answer,
            ):
                return await self._reply(answer, target.host)
        except TimeoutError:
            raise NotAnswered(
                f"{target.host} did not answer within {timeout:g} s",
                sent=journey.sent,
                timed_out=True,
            ) from None

    async def _reply(self, answer: Answer, host: str) -> HttpReply:
        """The whole of an answer.

        Raises:
            NotAnswered: nobody can read it, though what was asked for may have been done.
        """
        cap, headers = self._max_answer_bytes, dict(answer.headers)
        coding = headers.pop("content-encoding", "")
        try:
            body = await answer.read(cap)
            if coding:  # unpacking takes its time
                body = await asyncio.to_thread(decoded, body, coding, cap)
        except TooMuch:
            raise NotAnswered(
                f"the answer of {host} is larger than {cap} bytes", sent=True
            ) from None
        except ValueError as error:
            raise NotAnswered(f"the answer of {host} {error}", sent=True) from None
        return HttpReply(answer.status, headers, body)

    async def fetch(
        self, site: Site | None, url: str, timeout: float, *, text: bool = False
    ) -> Fetched:
        """Bring a medium home: a large one into a file, which belongs to the caller.

        Args:
            site: the provider who named it.
            url: where it is: a whole address, or a path below the provider's base URL.
            timeout: seconds that all of it may take, redirects and further tries included.
            text: whether a page or another text is wanted as well.

        Raises:
            HandlerError: `forbidden_address`, `too_large`, or `download_failed`, whose `retryable`
                says whether it may pass, with the status where there was one.
            OSError: it could not be written.
        """
        return await self._downloads.fetch(site, url, timeout, text=text)

    async def close(self) -> None:
        """Close the connections that were kept."""
        await self._connections.close()
