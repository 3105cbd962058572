"""OpenClaw's `$include`: a file that is put together of several.

As upstream does it: a text or a list of texts, anywhere an object may stand. Paths are relative to
the file that they stand in. What is included is merged in order, and what stands beside the
`$include` is merged over it: objects key by key, lists one after the other, of all else the later
one counts. Nothing outside of the main file's folder is read (CVE-2026-32061 was just that), but
for folders that the user names in $OPENCLAW_INCLUDE_ROOTS.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from daemon.configfiles import (
    MAX_BYTES,
    Gathered,
    decoded,
    invalid,
    judge_status,
    parse_json5,
    read_beneath,
    real_path,
)
from handlers.contract import Json

KEY = "$include"
MAX_INCLUDES = 10
"""How deeply included files may include."""
MAX_FILES = 200
"""How many times a file is read at most, so that a few small ones do not multiply."""

_PROTOTYPES = frozenset({"__proto__", "constructor", "prototype"})
"""Keys that mean something else to OpenClaw's language, and are never merged."""


def load_included(path: Path, roots: Sequence[Path], gathered: Gathered) -> Json:
    """What stands in a file, all that it includes put in.

    Args:
        path: the main file; it may be a link.
        roots: folders besides its own from which it may include.
        gathered: where each file that is read is told.

    Raises:
        FileNotFoundError: the main file is not there.
        HandlerError: `config_invalid`, naming the file that cannot be taken.
    """
    real = real_path(path)
    allowed = (real.parent, *(root.resolve() for root in roots))
    return _Loader(allowed, gathered).load(real, real.parent, ())


class _Loader:
    def __init__(self, roots: tuple[Path, ...], gathered: Gathered) -> None:
        self._roots = roots
        self._gathered = gathered
        self._left = MAX_FILES

    def load(self, real: Path, root: Path, chain: tuple[Path, ...]) -> Json:
        """A file that lies beneath a root, included by the others of the chain."""
        if len(chain) > MAX_INCLUDES:
            raise invalid(f"{chain[0].name}: {KEY} goes more than {MAX_INCLUDES} files deep")
        self._left -= 1
        if self._left < 0:
            raise invalid(f"{chain[0].name}: {KEY} reads more than {MAX_FILES} files")
        self._gathered.looked(real)
        data, status = read_beneath(root, real, MAX_BYTES)
        judge_status(real, status, self._gathered)
        if chain and status.st_nlink > 1:  # it may be a file of another folder
            raise invalid(f"{real} has a second name (a hard link), so it is not included")
        value = parse_json5(decoded(data, real.name), real.name)
        return self._resolved(value, (*chain, real))

    def _resolved(self, value: Json, chain: tuple[Path, ...]) -> Json:
        if isinstance(value, list):
            return [self._resolved(each, chain) for each in value]
        if not isinstance(value, dict):
            return value
        beside = {
            name: self._resolved(below, chain) for name, below in value.items() if name != KEY
        }
        if KEY not in value:
            return beside
        included = self._included(value[KEY], chain)
        if not beside:
            return included
        if not isinstance(included, dict):
            raise invalid(f"{chain[-1].name}: beside other keys, {KEY} must give an object")
        return merged(included, beside)

    def _included(self, wanted: Json, chain: tuple[Path, ...]) -> Json:
        if isinstance(wanted, str):
            return self._one(wanted, chain)
        if not isinstance(wanted, list) or not all(isinstance(each, str) for each in wanted):
            raise invalid(f"{chain[-1].name}: {KEY} is neither a text nor a list of texts")
        value: Json = {}
        for each in wanted:
            value = merged(value, self._one(each, chain))
        return value

    def _one(self, name: str, chain: tuple[Path, ...]) -> Json:
        where = f"{chain[-1].name}: {KEY} {name!r}"
        path = chain[-1].parent / name
        try:
            real = real_path(path)
            root = next((root for root in self._roots if real.is_relative_to(root)), None)
            if root is None:
                raise invalid(
                    f"{where}: lies outside of {self._roots[0]}",
                    "Move it there, or name its folder in $OPENCLAW_INCLUDE_ROOTS.",
                )
            if real in chain:
                raise invalid(f"{where}: includes itself, by way of others or at once")
            return self.load(real, root, chain)
        except FileNotFoundError:
            self._gathered.looked(path)
            raise invalid(f"{where}: there is no such file") from None


def merged(under: Json, over: Json) -> Json:
    """Two values as one, by the rules of `$include`. Pure."""
    if isinstance(under, dict) and isinstance(over, dict):
        value = dict(under)
        for name, below in over.items():
            if name not in _PROTOTYPES:
                value[name] = merged(value[name], below) if name in value else below
        return value
    if isinstance(under, list) and isinstance(over, list):
        return [*under, *over]
    return over
