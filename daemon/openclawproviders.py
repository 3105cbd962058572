"""One provider of an OpenClaw configuration: what stands under `models.providers.<name>`.

Source: `ModelProviderConfig` and `ConfiguredModelProviderRequest` in openclaw/openclaw,
`src/config/types.models.ts`. Values of the wrong kind fail their provider alone; keys that are not
known are ignored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from daemon.configfiles import Gathered, invalid
from daemon.drafts import (
    Value,
    Values,
    clean_header_value,
    clean_line,
    clean_proxy,
    clean_url,
    is_header_name,
    judged,
)
from daemon.errors import problem_of
from daemon.secretrefs import Vault
from daemon.variables import expand, origin_of, unset
from handlers.contract import HandlerError, Json

_ELSEWHERE = ("oauth", "aws-sdk")
"""Ways to identify oneself whose keys do not stand in the configuration."""


@dataclass(frozen=True, slots=True)
class Reader:
    """What reading a value takes."""

    label: str
    """What to call the file."""
    folder: Path
    """Where the file lies."""
    environment: Mapping[str, str]
    gathered: Gathered
    vault: Vault

    def place(self, path: str) -> str:
        """How a place in the file is told: "openclaw.json: models.providers.openai.baseUrl"."""
        return f"{self.label}: {path}"


Named = Iterator[tuple[str, Value]]


def text_value(
    reader: Reader, path: str, found: Json, judge: Callable[[str], str] = clean_line
) -> Value | None:
    """A text with its variables put in, as its judge lets it pass; None where there is none."""
    if found is None:
        return None
    place = reader.place(path)

    try:
        if not isinstance(found, str) or not found.strip():
            raise invalid(f"{place} is no text")
        expanded = expand(found.strip(), reader.environment)
        if expanded.missing:
            raise unset(place, expanded.missing)
        text = judged(place, expanded.text, judge)
    except HandlerError as error:
        return Value(place, problem=problem_of(error))
    return Value(place + origin_of(expanded.used), text)


def provider_values(reader: Reader, name: str, entry: Json) -> Values:
    """What is said of one provider, by the names of the values."""
    path = f"models.providers.{name}"
    if not isinstance(entry, dict):
        place = reader.place(path)
        return {"base_url": Value(place, problem=problem_of(invalid(f"{place} is no object")))}
    values = dict(_address(reader, path, entry))
    values |= _key(reader, path, entry)
    values |= _headers(reader, f"{path}.headers", entry.get("headers"))
    request = entry.get("request")
    if isinstance(request, dict):
        values |= _headers(reader, f"{path}.request.headers", request.get("headers"))
        values |= _auth(reader, f"{path}.request.auth", request.get("auth"))
        values |= _proxy(reader, f"{path}.request.proxy", request.get("proxy"))
        values |= _tls(reader, f"{path}.request.tls", request.get("tls"))
    return values


def _address(reader: Reader, path: str, entry: Mapping[str, Json]) -> Named:
    base_url = text_value(reader, f"{path}.baseUrl", entry.get("baseUrl"), clean_url)
    if base_url is not None:
        yield "base_url", base_url
    api = text_value(reader, f"{path}.api", entry.get("api"))
    if api is not None:
        yield "api", api


# ---------------------------------------------------------------- keys and headers


def _key(reader: Reader, path: str, entry: Mapping[str, Json]) -> Named:
    place = reader.place(f"{path}.apiKey")
    way = entry.get("auth")
    if way in _ELSEWHERE:
        reader.gathered.note(f"{reader.place(path)}.auth is {way}: such keys cannot be read here")
        if entry.get("apiKey") is not None:
            yield "key", Value(place)
    elif entry.get("apiKey") is not None:
        yield "key", reader.vault.read(entry["apiKey"], place)
    if entry.get("authHeader") is True:
        yield from _where(reader.place(f"{path}.authHeader"), "authorization", "Bearer ")


def _where(place: str, header: str, prefix: str) -> Named:
    """Where the key goes."""
    yield "key_header", Value(place, header)
    yield "key_prefix", Value(place, prefix)


def _headers(reader: Reader, path: str, found: Json) -> Named:
    if not isinstance(found, dict):
        if found is not None:
            reader.gathered.note(f"{reader.place(path)} is no object; ignored")
        return
    for name, value in found.items():
        if is_header_name(name):
            place = reader.place(f"{path}.{name}")
            yield f"headers.{name.lower()}", reader.vault.read(value, place, is_key=False)
        else:
            reader.gathered.note(f"{reader.place(path)}: no header can be called so; ignored")


def _auth(reader: Reader, path: str, found: Json) -> Named:
    mode = found.get("mode") if isinstance(found, dict) else None
    if mode == "authorization-bearer":
        place = reader.place(f"{path}.token")
        yield "key", reader.vault.read(found.get("token"), place)
        yield from _where(reader.place(path), "authorization", "Bearer ")
    elif mode == "header":
        place = reader.place(f"{path}.headerName")
        name, prefix = found.get("headerName"), found.get("prefix", "")
        if not (isinstance(name, str) and is_header_name(name)):
            problem = invalid(f"{place} is no name of a header")
            yield "key_header", Value(place, problem=problem_of(problem))
            return
        yield "key", reader.vault.read(found.get("value"), reader.place(f"{path}.value"))
        yield "key_header", Value(place, name.lower())
        before = Value(reader.place(f"{path}.prefix"), "")
        if prefix:  # empty is no text, and no prefix
            before = text_value(reader, f"{path}.prefix", prefix, clean_header_value) or before
        yield "key_prefix", _with_blank(before)


def _with_blank(prefix: Value) -> Value:
    """A scheme and the key after it have one blank between them, however it was spelled."""
    if not prefix.value or not prefix.value.isalpha():
        return prefix
    return Value(prefix.source, f"{prefix.value} ")


# ---------------------------------------------------------------- the way there


def _proxy(reader: Reader, path: str, found: Json) -> Named:
    mode = found.get("mode") if isinstance(found, dict) else None
    if mode == "env-proxy":
        reader.gathered.note(
            f"{reader.place(path)} is env-proxy, which is ignored: name the proxy itself"
        )
    if mode != "explicit-proxy":
        return
    place = reader.place(f"{path}.url")
    yield "proxy", reader.vault.read(found.get("url"), place, is_key=False, judge=clean_proxy)


def _tls(reader: Reader, path: str, found: Json) -> Named:
    if not isinstance(found, dict):
        return
    ignored = [name for name in ("cert", "key", "serverName") if found.get(name) is not None]
    if found.get("insecureSkipVerify") is True:
        ignored.append("insecureSkipVerify")
    for name in ignored:
        reader.gathered.note(f"{reader.place(path)}.{name} is ignored")
    authority = found.get("ca")
    if isinstance(authority, str) and "-----BEGIN" in authority:
        reader.gathered.note(
            f"{reader.place(path)}.ca is ignored: write it to a file and name that"
        )
        return
    value = text_value(reader, f"{path}.ca", authority)
    if value is not None and value.problem is None:
        home = reader.environment.get("HOME", "")
        named = value.value.removeprefix("~/")
        below = Path(home) if home and named != value.value else reader.folder
        yield "ca_file", Value(value.source, below / named)
    elif value is not None:
        yield "ca_file", value
