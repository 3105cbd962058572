"""What the tests' provider received: requests, read strictly."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote


class Part(NamedTuple):
    """One part of a multipart form."""

    name: str
    filename: str | None
    media_type: str | None
    data: bytes


@dataclass(frozen=True)
class Received:
    """One request.

    Args:
        path: without the query, percent-decoded.
        query: the last value of each name.
        headers: by their names in lower case; a name that came twice has both, after a comma.
        connection: which of the server's connections it came on, from 1.
        whole: whether the body was read to its end.
    """

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    connection: int
    whole: bool = True

    @cached_property
    def json(self) -> Any:
        """The body as JSON; None where it is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        """The parts of a multipart body, in order; none of another body."""
        content_type = self.headers.get("content-type", "")
        if not content_type.lower().startswith("multipart/form-data"):
            return ()
        return read_multipart(self.body, content_type)

    @cached_property
    def fields(self) -> dict[str, Any]:
        """The values of a JSON object, or of those parts of a form that are no files."""
        if isinstance(self.json, dict):
            return self.json
        return {part.name: part.data.decode() for part in self.parts if part.filename is None}

    @property
    def key(self) -> str | None:
        """The key it came with, wherever that is put."""
        bearer = self.headers.get("authorization")
        if bearer is not None:
            return bearer.partition(" ")[2] or bearer
        return self.headers.get("api-key") or self.headers.get("x-api-key")

    @property
    def digest(self) -> str:
        """SHA-256 of what the body says. The boundary of a form is chance, and left out."""
        said = repr([*self.parts]).encode() if self.parts else self.body
        return hashlib.sha256(said).hexdigest()


def read_head(head: bytes, connection: int) -> Received:
    """A request without its body.

    Raises:
        ValueError: this is no head of a request.
    """
    first, *lines = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    method, target, version = first.split(" ")
    if version != "HTTP/1.1":
        raise ValueError(f"not HTTP/1.1: {first!r}")
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or name != name.strip():
            raise ValueError(f"no header: {line!r}")
        name, value = name.lower(), value.strip()
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    path, _, query = target.partition("?")
    values = parse_qs(query, keep_blank_values=True)
    last = {name: found[-1] for name, found in values.items()}
    return Received(method, unquote(path), last, headers, b"", connection)


def read_multipart(body: bytes, content_type: str) -> tuple[Part, ...]:
    """The parts of a form (RFC 7578).

    Raises:
        ValueError: it is not well formed.
    """
    found = re.search(r'boundary="?([^";]+)"?', content_type)
    if found is None:
        raise ValueError(f"no boundary: {content_type!r}")
    mark = b"\r\n--" + found[1].encode()
    before, *pieces, end = (b"\r\n" + body).split(mark)
    if before or end not in (b"--\r\n", b"--"):
        raise ValueError("a form that does not begin and end with its boundary")
    return tuple(read_part(piece) for piece in pieces)


def read_part(piece: bytes) -> Part:
    head, blank, data = piece.removeprefix(b"\r\n").partition(b"\r\n\r\n")
    if not blank:
        raise ValueError(f"a part without a blank line: {piece[:80]!r}")
    headers = {}
    for line in head.decode().split("\r\n"):
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    disposition = headers["content-disposition"]
    given = dict(re.findall(r'; ?(\w+)="([^"]*)"', disposition))
    if not disposition.startswith("form-data;") or "name" not in given:
        raise ValueError(f"no part of a form: {disposition!r}")
    return Part(given["name"], given.get("filename"), headers.get("content-type"), data)
