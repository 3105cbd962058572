"""A provider as the daemon knows it: where it answers, what it is shown there, how hard it may be
asked. Values only; `daemon.net` alone looks at the secrets."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from daemon.redaction import Secret

_PORTS = {"http": 80, "https": 443}
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")


@dataclass(frozen=True, slots=True)
class Site:
    """Where a provider answers, and what it is shown there."""

    base_url: str
    """Without a slash at the end."""
    headers: Mapping[str, Secret] = field(default_factory=dict)
    """What goes along to its own origin and nowhere else, the key among them; names in lower
    case."""
    ca_file: Path | None = None
    """Whom to trust besides the usual, for a certificate of one's own."""
    proxy: Secret | None = None
    """The address of a proxy for calls to it; it may hold a password."""

    @property
    def origin(self) -> str:
        """Its scheme, host and port."""
        return origin_of(self.base_url)


def origin_of(url: str) -> str:
    """The scheme, host and port of an address, in one spelling: "https://api.openai.com:443".

    Raises:
        ValueError: it is no address of that kind.
    """
    parts = urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname:
        raise ValueError("not an http or https address")
    return f"{parts.scheme}://{parts.hostname}:{parts.port or _PORTS[parts.scheme]}"


def absolute(site: Site, reference: str) -> str:
    """The whole address of what a provider's adapter names.

    A whole address stays as it is. "//host/x" gets the site's scheme. Anything else is a path below
    the base URL and is appended to it, whether it begins with a slash or not: an adapter that means
    a path of the origin hands over a whole address.
    """
    if _SCHEME.match(reference):
        return reference
    if reference.startswith("//"):
        return f"{site.base_url.partition(':')[0]}:{reference}"
    return f"{site.base_url}/{reference.removeprefix('/')}"


@dataclass(frozen=True, slots=True)
class Limits:
    """How hard a provider may be asked."""

    concurrency: int | None = None
    """Jobs at once; None for the setting that holds for all."""
    requests_per_minute: float | None = None
    on_ambiguous: Literal["fail", "retry"] | None = None
    """What to do with a paid call whose answer was lost; None for the setting."""
