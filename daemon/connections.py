"""Connections: to a judged address, with verified TLS, and nothing but what was asked for.

The name is resolved here, once; every answer of the resolver is judged, and the socket goes to one
of those that were. The certificate is still checked against the name. httpx's transports are used
without its client, which would follow redirects, keep cookies, unpack bodies and read the
environment.

httpx takes a quarter of a second to import, so it is imported when the first call goes out.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from daemon.answers import Answer, Journey, NotAnswered
from daemon.messages import Message
from daemon.redaction import Secret
from daemon.targets import Target
from daemon.trust import context_of, proxy_at, proxy_of_environment
from handlers.contract import HandlerError, Json

if TYPE_CHECKING:
    import httpx

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""A name and a port -> the addresses; an OSError where there are none."""

Judge = Callable[[str], str | None]
"""An address -> why it may not be called, or None."""

MOST_ADDRESSES = 4
"""Addresses of one name that are tried, one after the other."""

KEEPALIVE = 15.0
"""Seconds for which a connection that may be used again is kept."""


@dataclass(frozen=True, slots=True)
class Way:
    """How a request gets to its target."""

    target: Target
    judge: Judge
    ca_file: Path | None = None
    proxy: Secret | None = None
    pooled: bool = False
    """Whether the connection may be an old one, and is kept for the next."""


class Connections:
    """Opens connections; keeps those that may be used again.

    Args:
        trust_env: whether proxies and certificate authorities are taken from the environment.
        resolve: asks for a name's addresses; the system's way, if left out.
        connect_timeout: seconds that making a connection may take.
    """

    def __init__(
        self,
        *,
        trust_env: bool = False,
        resolve: Resolve | None = None,
        connect_timeout: float = 10.0,
    ) -> None:
        self._trust_env = trust_env
        self._resolve = resolve or resolve_by_system
        self._connect_timeout = connect_timeout
        self._contexts: dict[Path | None, ssl.SSLContext] = {}
        self._pools: dict[object, httpx.AsyncHTTPTransport] = {}

    async def close(self) -> None:
        """Close what was kept."""
        pools = [*self._pools.values()]
        self._pools.clear()
        for pool in pools:
            await pool.aclose()

    @contextlib.asynccontextmanager
    async def send(self, message: Message, way: Way, journey: Journey) -> AsyncIterator[Answer]:
        """Send a message; its answer is there to be read until the block ends.

        Raises:
            HandlerError: `forbidden_address`: it may not go there; `config_invalid`: the
                certificates or the proxy that are configured are no good.
            NotAnswered: no answer came, or its body broke off.
        """
        import httpx

        try:
            async with contextlib.AsyncExitStack() as stack:
                response = await self._answered(message, way, journey, stack)
                headers = {name.lower(): value for name, value in response.headers.items()}
                yield Answer(response.status_code, headers, response.aiter_raw)
        except httpx.HTTPError as error:
            raise _not_answered(error, journey) from None

    async def _answered(
        self, message: Message, way: Way, journey: Journey, stack: contextlib.AsyncExitStack
    ) -> httpx.Response:
        """The answer of the first of the target's addresses to which a connection can be made."""
        import httpx

        proxy = way.proxy or (proxy_of_environment(way.target) if self._trust_env else None)
        places = await self._places(way.target, way.judge, proxied=proxy is not None)
        transport = self._transport(way, proxy, stack)
        patience = self._connect_timeout / len(places)
        for place in places:
            request = _request(message, way.target, place, patience, journey)
            try:
                response = await transport.handle_async_request(request)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                if journey.sent or place == places[-1]:
                    raise
            except asyncio.CancelledError:
                await journey.give_up()
                raise
            else:
                stack.push_async_callback(response.aclose)
                return response
        raise AssertionError("a name without an address is a failure of its own")

    async def _places(self, target: Target, judge: Judge, *, proxied: bool) -> list[str]:
        """The judged addresses of a target; its name, where a proxy is to resolve it.

        Raises:
            HandlerError: `forbidden_address`: one of them is forbidden.
            NotAnswered: it has none.
        """
        try:
            async with asyncio.timeout(self._connect_timeout):
                found = await self._resolve(target.host, target.port)
        except TimeoutError:
            raise NotAnswered(
                f"the name {target.host} was not resolved in time", sent=False, timed_out=True
            ) from None
        except (OSError, UnicodeError):
            found = ()
        for address in found:
            if (kind := judge(address)) is not None:
                raise _forbidden(target, kind)
        if proxied:  # it may know names that this machine does not
            return [target.host]
        if not found:
            raise NotAnswered(f"the name {target.host} cannot be resolved", sent=False)
        return list(dict.fromkeys(found))[:MOST_ADDRESSES]

    def _transport(
        self, way: Way, proxy: Secret | None, stack: contextlib.AsyncExitStack
    ) -> httpx.AsyncHTTPTransport:
        """Where its connection comes from: for a name a pool of its own, since what shares an
        address need not share a certificate."""
        key = (way.target.origin, way.ca_file, proxy)
        if way.pooled and key in self._pools:
            return self._pools[key]
        transport = _new_transport(self._context(way.ca_file), proxy)
        if way.pooled:
            self._pools[key] = transport
        else:
            stack.push_async_callback(transport.aclose)
        return transport

    def _context(self, ca_file: Path | None) -> ssl.SSLContext:
        """Whom to trust: the usual authorities, and those of a file; read once."""
        if ca_file not in self._contexts:
            self._contexts[ca_file] = context_of(ca_file, trust_env=self._trust_env)
        return self._contexts[ca_file]


async def resolve_by_system(host: str, port: int) -> list[str]:
    """The addresses of a name, as this machine is set up to find them.

    Raises:
        OSError: there are none.
    """
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


def _request(
    message: Message, target: Target, place: str, patience: float, journey: Journey
) -> httpx.Request:
    """A request to one address of its target, which is told and checked for the name all the
    same."""
    import httpx

    host = f"[{place}]" if ":" in place else place
    extensions: dict[str, Json] = {
        "trace": journey.trace,
        "timeout": {"connect": patience},  # there is a deadline over everything besides
    }
    if place != target.host:
        extensions["sni_hostname"] = target.host
    return httpx.Request(
        message.method,
        f"{target.scheme}://{host}:{target.port}{target.path}",
        headers={**message.headers, "host": target.authority},
        content=message.content,
        extensions=extensions,
    )


def _new_transport(context: ssl.SSLContext, proxy: Secret | None) -> httpx.AsyncHTTPTransport:
    import httpx

    # They write whole addresses.
    for name in ("httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)
    return httpx.AsyncHTTPTransport(
        verify=context,
        trust_env=False,
        proxy=proxy_at(proxy) if proxy else None,
        limits=httpx.Limits(keepalive_expiry=KEEPALIVE),
    )


def _forbidden(target: Target, kind: str) -> HandlerError:
    return HandlerError(
        "forbidden_address",
        f"{target.host} is not called: its address is {kind}",
        hints=["Only the configured origin of a provider may lie in a private network."],
    )


def _not_answered(error: httpx.HTTPError, journey: Journey) -> NotAnswered:
    """In our own words: those of the libraries may repeat an address or a header."""
    import httpx

    host, timed_out = journey.host, isinstance(error, httpx.TimeoutException)
    if isinstance(error, httpx.ProxyError):
        return NotAnswered(f"the proxy does not connect to {host}", sent=journey.sent)
    if journey.sent:
        return NotAnswered(f"{host} broke off before its answer was whole", sent=True)
    if (reason := _mistrust(error)) is not None:
        return NotAnswered(f"{host} shows no certificate to trust: {reason}", sent=False)
    return NotAnswered(f"no connection to {host} could be made", sent=False, timed_out=timed_out)


def _mistrust(error: BaseException) -> str | None:
    """Why a certificate was not trusted, if that is what happened."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return cause.verify_message
        cause = cause.__cause__ or cause.__context__
    return None
