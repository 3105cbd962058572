"""Providers out of darkroom's own `darkroom.toml`, for people who have no OpenClaw.

Strict, as nobody else writes this file: a key that is not known is a fault, which names the
nearest that is. What is wrong with one provider fails that provider alone.
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from daemon.configfiles import Gathered, decoded, invalid, judge_status, read_file
from daemon.drafts import (
    Sheet,
    Value,
    Values,
    clean_header_value,
    clean_line,
    clean_proxy,
    clean_url,
    is_header_name,
    is_name,
    warn_of_readers,
)
from daemon.errors import problem_of
from daemon.moneytoml import KEYS, read_money, refuse_unknown
from daemon.secretrefs import Vault
from handlers.contract import HandlerError, Json

NAME = "darkroom.toml"
_WHERE = re.compile(r"\(at line (\d+), column (\d+)\)")


def read_darkroom_toml(root: Path, environment: Mapping[str, str], gathered: Gathered) -> Sheet:
    """What the root's `darkroom.toml` says of providers; nothing, where there is none.

    Args:
        root: the folder in which it lies.
        environment: where variables are looked up.
        gathered: where files, secrets and notes are told.
    """
    path = root / NAME
    gathered.looked(path)
    try:
        data, status = read_file(path)
        judge_status(path, status, gathered)
        document = _parsed(decoded(data, NAME))
    except FileNotFoundError:
        return Sheet()
    except HandlerError as error:
        return Sheet(problem=problem_of(error), money=None)
    home = Path(environment["HOME"]) if environment.get("HOME") else None
    vault = Vault(environment, gathered, home)
    return _sheet(path, document, _Tables(root, home, vault, gathered))


def _parsed(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = _WHERE.search(str(error))  # the message itself may repeat what is secret
        where = f"line {found[1]}, column {found[2]}" if found else "at its end"
        raise invalid(f"{NAME}: {where}: not TOML", "Mend it there, or just before.") from None
    except (ValueError, RecursionError):
        raise invalid(f"{NAME}: holds a number or a nesting that cannot be read") from None


def _sheet(path: Path, document: Mapping[str, Any], tables: _Tables) -> Sheet:
    try:
        refuse_unknown(document, ("provider", "providers", *KEYS), f"{NAME}: ")
        wanted = document.get("provider")
        if wanted is not None and not (isinstance(wanted, str) and is_name(wanted)):
            raise invalid(f"{NAME}: provider is no name of a provider")
        problem, money = None, read_money(document, NAME)
    except HandlerError as error:
        wanted, problem, money = None, problem_of(error), None
    entries = document.get("providers", {})
    if not isinstance(entries, dict):
        problem = problem or problem_of(invalid(f"{NAME}: providers is no table"))
        return Sheet(problem=problem, money=money)
    providers = {name: tables.values(name, entry) for name, entry in entries.items()}
    named = {name: values for name, values in providers.items() if values is not None}
    warn_of_readers(path, named, tables.gathered)
    preferred = {"image": wanted, "video": wanted} if wanted else {}
    return Sheet(named, {}, preferred, problem, money)


# ---------------------------------------------------------------- one provider


class _Tables:
    """Reads the tables of providers.

    Args:
        root: what paths are relative to.
        home: what `~` is in a path.
        vault: reads secrets.
        gathered: where notes are told.
    """

    def __init__(self, root: Path, home: Path | None, vault: Vault, gathered: Gathered) -> None:
        self._root = root
        self._home = home
        self._vault = vault
        self.gathered = gathered

    def values(self, name: str, entry: Json) -> Values | None:
        """What is said of one provider; None where no provider can be called so."""
        if not is_name(name):
            self.gathered.note(f"{NAME}: no provider can be called {name[:100]!r}")
            return None
        path = f"providers.{name}"
        if not isinstance(entry, dict):
            problem = problem_of(invalid(f"{NAME}: {path} is no table"))
            return {"base_url": Value("", problem=problem)}
        return dict(self._named(path, entry))

    def _named(self, path: str, entry: Mapping[str, Json]) -> Iterator[tuple[str, Value]]:
        try:
            refuse_unknown(entry, (*_FIELDS, *_OWN_WAY), f"{NAME}: {path}.")
        except HandlerError as error:
            yield path, Value("", problem=problem_of(error))
        for key, found in entry.items():
            place = f"{NAME}: {path}.{key}"
            if key in _FIELDS:
                name, judge = _FIELDS[key]
                yield name, _judged(place, found, judge)
            elif key == "api_key":
                yield "key", self._key(place, found)
            elif key == "headers":
                yield from self._headers(place, found)
            elif key == "proxy":
                yield "proxy", self._vault.read(found, place, is_key=False, judge=clean_proxy)
            elif key == "ca_file":
                yield key, _judged(place, found, self._path)

    def _key(self, place: str, found: Json) -> Value:
        if not isinstance(found, dict):
            return self._vault.read(found, place)
        if len(found) == 1:
            ((way, text),) = found.items()
            if way == "env" and isinstance(text, str):
                return self._vault.variable(text, place)
            if way == "file" and isinstance(text, str):
                path = _judged(place, text, self._path)
                return path if path.problem else self._vault.file(path.value, place)
        problem = invalid(f'{place} is neither a text nor {{env = "NAME"}} nor {{file = "path"}}')
        return Value(place, problem=problem_of(problem))

    def _headers(self, place: str, found: Json) -> Iterator[tuple[str, Value]]:
        if not isinstance(found, dict):
            yield place, Value("", problem=problem_of(invalid(f"{place} is no table")))
            return
        for name, value in found.items():
            if is_header_name(name):
                read = self._vault.read(value, f"{place}.{name}", is_key=False)
                yield f"headers.{name.lower()}", read
            else:
                problem = problem_of(invalid(f"{place}: {name[:100]!r} is no name of a header"))
                yield place, Value("", problem=problem)

    def _path(self, value: Json) -> Path:
        text = _line(value)
        if text.startswith("~/") and self._home is not None:
            return self._home / text[2:]
        return self._root / text


def _judged(place: str, found: Json, judge: Callable[[Json], Any]) -> Value:
    try:
        return Value(place, judge(found))
    except ValueError as error:
        return Value(place, problem=problem_of(invalid(f"{place} {error}")))


def _demand(good: bool, otherwise: str) -> None:
    if not good:
        raise ValueError(otherwise)


def _text(value: Json) -> str:
    _demand(isinstance(value, str), "is no text")
    text: str = value
    return text


def _line(value: Json) -> str:
    text = _text(value).strip()
    _demand(bool(text), "is empty")
    return clean_line(text)


def _url(value: Json) -> str:
    return clean_url(_line(value))


def _header(value: Json) -> str:
    _demand(is_header_name(_text(value)), "is no name of a header")
    return _text(value).lower()


def _prefix(value: Json) -> str:
    return clean_header_value(_text(value))


def _truth(value: Json) -> bool:
    _demand(isinstance(value, bool), "is neither true nor false")
    return bool(value)


def _places(value: Json) -> int:
    _demand(type(value) is int and 1 <= value <= 1024, "is no whole number from 1 to 1024")
    return int(value)


def _rate(value: Json) -> float:
    good = type(value) in (int, float) and 0 < value <= 1_000_000
    _demand(good, "is no number above 0, up to a million")
    return float(value)


def _ambiguous(value: Json) -> str:
    _demand(value in ("fail", "retry"), 'is neither "fail" nor "retry"')
    return _text(value)


def _options(value: Json) -> Json:
    good = isinstance(value, dict) and _is_json(value)
    _demand(good, "is no table of texts, finite numbers, truths, lists and tables")
    return value


def _is_json(value: Any) -> bool:
    if isinstance(value, dict):
        return all(map(_is_json, value.values()))
    if isinstance(value, list):
        return all(map(_is_json, value))
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, str | int)


_FIELDS: Mapping[str, tuple[str, Callable[[Json], Any]]] = {
    "base_url": ("base_url", _url),
    "api": ("api", _line),
    "key_header": ("key_header", _header),
    "key_prefix": ("key_prefix", _prefix),
    "dialect": ("dialect", _line),
    "paid": ("paid", _truth),
    "idempotency_header": ("idempotency_header", _header),
    "on_ambiguous": ("on_ambiguous", _ambiguous),
    "concurrency": ("concurrency", _places),
    "requests_per_minute": ("requests_per_minute", _rate),
    "image_model": ("models.image", _line),
    "edit_model": ("models.edit", _line),
    "video_model": ("models.video", _line),
    "options": ("options", _options),
}
"""Keys of a provider: the value that each is, and what judges it."""

_OWN_WAY = ("api_key", "headers", "ca_file", "proxy")
"""Keys that take more than a look at them."""
