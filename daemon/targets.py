"""The address of a request, read strictly. Pure.

One parser for judging and for connecting: what two of them read differently is how a key comes to
a stranger. What is odd is refused, not repaired; the name is judged again when it is resolved.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from urllib.parse import quote, urlsplit

from daemon.sites import Site, absolute
from handlers.contract import HandlerError

PORTS = {"http": 80, "https": 443}

LONGEST = 16_384
"""Characters of the longest address. Signed ones have some two thousand."""

_ODD = re.compile(r"[\x00-\x1f\x7f\\]")
_PRINTABLE = "".join(map(chr, range(0x21, 0x7F)))
_NAME = re.compile(r"[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)*")
_PLACE = re.compile(r"(?:\[[^\[\]]*\]|[^\[\]:]*)(?::[0-9]{1,5})?")
_NUMERIC = re.compile(r"(?:0x[0-9a-f]*|[0-9]+)")


@dataclass(frozen=True, slots=True)
class Target:
    """Where a request goes."""

    scheme: str
    """"http" or "https"."""
    host: str
    """A name in ASCII and lower case without a dot at its end, or an address without brackets."""
    port: int
    path: str
    """With the query, in ASCII; begins with a slash."""

    @property
    def origin(self) -> tuple[str, str, int]:
        """Scheme, host and port."""
        return self.scheme, self.host, self.port

    @property
    def authority(self) -> str:
        """Host and port as the Host header has them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """All of it."""
        return f"{self.scheme}://{self.authority}{self.path}"

    @property
    def shown(self) -> str:
        """For people: without the query, which may be as good as a key."""
        return f"{self.scheme}://{self.authority}{self.path.partition('?')[0]}"


def target_of(url: str) -> Target:
    """Read an http or https address.

    Args:
        url: as somebody wrote it; what follows a "#" is left out, as it is never sent.

    Raises:
        ValueError: it is none, or one that two readers may take for two things. The text repeats
            nothing of it.
    """
    if len(url) > LONGEST or _ODD.search(url) or url != url.strip():
        raise ValueError("it is too long, or holds characters that no address has")
    parts = urlsplit(url)
    if parts.scheme not in PORTS:
        raise ValueError("it does not begin with https:// or http://")
    if "@" in parts.netloc:
        raise ValueError("it holds a name or a password")
    port = PORTS[parts.scheme] if parts.port is None else parts.port
    if port == 0 or not _PLACE.fullmatch(parts.netloc):
        raise ValueError("it has no proper port")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(parts.scheme, _host(parts.hostname or ""), port, quote(path, safe=_PRINTABLE))


def aim(site: Site | None, reference: str) -> tuple[Target, bool]:
    """Where a reference leads, and whether that is the site's own origin.

    Raises:
        HandlerError: `forbidden_address`: nowhere; `config_invalid`: the site's own address is no
            good.
    """
    try:
        own = target_of(site.base_url).origin if site else None
    except ValueError as error:
        raise HandlerError(
            "config_invalid",
            f"the base URL of the provider is no good: {error}",
            hints=["Write it as https://host/path, and a password as a header."],
        ) from None
    try:
        target = target_of(absolute(site, reference) if site else reference)
    except ValueError as error:
        raise HandlerError("forbidden_address", f"an address is not called: {error}") from None
    return target, target.origin == own


def check_outside(site: Site | None, target: Target) -> None:
    """Whether a request may leave for a target that is not the site's own origin. Its address is
    judged besides.

    Raises:
        HandlerError: `forbidden_address`: it is not https, or the port is an odd one.
    """
    ports = {PORTS["https"]} | ({target_of(site.base_url).port} if site else set())
    if target.scheme != "https":
        raise HandlerError(
            "forbidden_address",
            f"{target.shown} is not called: outside of a provider's own origin only https is",
        )
    if target.port not in ports:
        raise HandlerError(
            "forbidden_address", f"{target.shown} is not called: its port is an odd one"
        )


def _host(host: str) -> str:
    """A host in its one spelling.

    Raises:
        ValueError: it is no name and no address. Numbers are read as other programs read them, in
            four decimal parts, or not at all: "127.1" and "0x7f000001" are no names.
    """
    if ":" in host:
        return str(IPv6Address(host)) if "%" not in host else _refuse()
    name = host if host.isascii() else host.encode("idna").decode()
    name = name.lower().removesuffix(".")
    if len(name) > 253 or len(max(name.split("."), key=len)) > 63 or not _NAME.fullmatch(name):
        _refuse()
    if _NUMERIC.fullmatch(name.rpartition(".")[2]):
        return str(IPv4Address(name))
    return name


def _refuse() -> str:
    raise ValueError("it names no proper host")
