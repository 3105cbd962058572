"""What is sent: headers and body of a request, before it is known by which connection.

Here a site's secrets are revealed, and nowhere else but for a proxy's address.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version

from daemon.sites import Site
from handlers.contract import HandlerError
from handlers.wire import FilePart, HttpCall

_FRAMING = {
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "transfer-encoding",
    "upgrade",
}
"""Headers that say how a message travels and what its body is: they follow from the message, so
those of a configuration or a call are left out."""

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]+")
_VALUE = re.compile(r"(?:[!-~](?:[ -~\t]*[!-~])?)?")
_MEDIA_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+")


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent, wherever it goes."""

    method: str
    headers: Mapping[str, str] = field(repr=False)
    """By their names in lower case; the keys stand here as they are."""
    content: bytes | None = field(default=None, repr=False)


def message_of(call: HttpCall, site: Site | None) -> Message:
    """A call as it is sent.

    Args:
        call: what.
        site: whose headers go along; None for nobody's.

    Raises:
        HandlerError: `config_invalid`: a header holds what no header may.
    """
    content_type, content = _body(call)
    own = {"content-type": content_type} if content_type else {}
    return Message(call.method, {**headers_of(site, call.headers), **own}, content)


def headers_of(site: Site | None, more: Mapping[str, str]) -> dict[str, str]:
    """The headers of a request: darkroom's own, then `more`, then the site's.

    Raises:
        HandlerError: `config_invalid`: one holds what no header may. Which one is said, and not
            what it holds.
    """
    theirs = {name: secret.reveal() for name, secret in site.headers.items()} if site else {}
    chosen = {name.lower(): value for name, value in (*more.items(), *theirs.items())}
    for name, value in chosen.items():
        if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
            raise HandlerError(
                "config_invalid",
                f"the header {name!r} holds characters that no header may",
                hints=["Often a key was copied with a line break or a typographic sign."],
            )
    return {
        "user-agent": _user_agent(),
        "accept": "*/*",
        **{name: value for name, value in chosen.items() if name not in _FRAMING},
        "accept-encoding": "identity",
    }


@cache
def _user_agent() -> str:
    return f"darkroom/{version('darkroomd')}"


def _body(call: HttpCall) -> tuple[str | None, bytes | None]:
    """The body of a call, and its type."""
    if call.form or call.files:
        return _multipart(call)
    if call.json is None:
        return None, None
    text = json.dumps(call.json, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return "application/json", text.encode()


def _multipart(call: HttpCall) -> tuple[str, bytes]:
    import httpx

    fields = [(name, (None, value.encode())) for name, value in call.form]
    files = [(part.name, (part.filename, part.data, _media_type(part))) for part in call.files]
    request = httpx.Request("POST", "http://body.invalid", files=[*fields, *files])
    return request.headers["content-type"], request.read()


def _media_type(part: FilePart) -> str:
    """A type that cannot break out of its line."""
    known = _MEDIA_TYPE.fullmatch(part.media_type)
    return part.media_type if known else "application/octet-stream"
