"""Secrets that a configuration holds, or says where to find.

A secret is a text, or says where one is: `$NAME`, `${NAME}`, the bare name of a variable that is
set, or OpenClaw's `{source, provider, id}`, where the source is "env", "file" or "exec" and is
described under `secrets.providers`. Some texts stand where a key should and are none: markers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from daemon import secretexec
from daemon.configfiles import Gathered, invalid, missing
from daemon.drafts import Value, clean_header_value, judged
from daemon.errors import problem_of
from daemon.redaction import Secret
from daemon.secretfiles import at_pointer, read_secret_file
from daemon.variables import expand, origin_of, unset
from handlers.contract import HandlerError, Json

SWITCH = "DARKROOM_EXEC_SECRETS"
"""The variable that lets secrets come out of commands: 1."""

_SHORT = re.compile(r"(?:\$|secretref-env:|__env__:)([A-Z_][A-Z0-9_]{0,127})")
_SHY = re.compile(r"(?:auth|key|token|secret|cookie|pass|cred|session|proxy)[^.]*$", re.IGNORECASE)
"""How the name of a header is that holds a secret, and no word like any other."""
_ENV_ID = re.compile(r"[A-Z][A-Z0-9_]{0,127}")
_EXEC_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/#-]{0,255}")
_ALIAS = re.compile(r"[a-z][a-z0-9_-]{0,63}")

_MARKERS = frozenset(
    {
        "secretref-managed",
        "ollama-local",
        "custom-local",
        "codex-app-server",
        "minimax-oauth",
        "gcp-vertex-credentials",
        "AWS_BEARER_TOKEN_BEDROCK",
        "AWS_ACCESS_KEY_ID",
        "AWS_PROFILE",
    }
)
_MARKED = ("oauth:",)


def is_marker(text: str) -> bool:
    """Whether a text stands where a key should, and is none."""
    return text in _MARKERS or text.startswith(_MARKED)


@dataclass(frozen=True, slots=True)
class _Found:
    text: str
    origin: str = ""
    """Where it came from, if not from the place itself: ", from $NAME"."""


class Vault:
    """Reads the secrets that a configuration names.

    Args:
        environment: where variables are looked up.
        gathered: where files, secrets and notes are told.
        home: what `~` is in the path of a secret file.
        definitions: OpenClaw's `secrets`: where references lead.
        may_run: whether a command may be asked.
    """

    def __init__(
        self,
        environment: Mapping[str, str],
        gathered: Gathered,
        home: Path | None,
        definitions: Json = None,
        *,
        may_run: bool = False,
    ) -> None:
        self._environment = environment
        self._gathered = gathered
        self._home = home
        definitions = definitions if isinstance(definitions, dict) else {}
        self._aliases = _object(definitions.get("providers"))
        self._defaults = _object(definitions.get("defaults"))
        self._may_run = may_run

    def read(
        self,
        value: Json,
        place: str,
        *,
        is_key: bool = True,
        judge: Callable[[str], str] | None = None,
    ) -> Value:
        """A secret: a `Secret` as value, or None where there is none to be sent.

        Args:
            value: what stands in the configuration.
            place: where: file and path inside.
            is_key: whether it is a key, for which a marker or the bare name of a variable may
                stand.
            judge: raises a ValueError for a text that is none of its kind.
        """
        if isinstance(value, str) and is_key and is_marker(value.strip()):
            self._gathered.note(f"{place} is a marker and no key, so none is sent")
            return Value(place)
        is_open = not is_key and _SHY.search(place) is None
        return self._sealed(place, lambda: self._find(value, place, is_key), judge, is_open=is_open)

    def variable(self, name: str, place: str) -> Value:
        """A secret that is the value of a variable."""
        return self._sealed(place, lambda: self._looked_up(name, place))

    def file(self, path: Path, place: str) -> Value:
        """A secret that is all there is in a file."""

        def read() -> _Found:
            return _Found(read_secret_file(path, place, self._gathered), f", from {path}")

        return self._sealed(place, read)

    def _sealed(
        self,
        place: str,
        find: Callable[[], _Found],
        judge: Callable[[str], str] | None = None,
        *,
        is_open: bool = False,
    ) -> Value:
        """What was found. With `is_open`, what stands in the file itself is a word like any other,
        as a header that names the application, and is not taken out of texts."""
        try:
            found = find()
            text = judged(place + found.origin, found.text.strip(), judge or clean_header_value)
        except HandlerError as error:
            return Value(place, problem=problem_of(error))
        if text and is_open and not found.origin:
            return Value(place, Secret(text))
        secret = self._gathered.learned(text) if text else None
        return Value(place + found.origin, secret, is_literal=bool(text) and not found.origin)

    def _find(self, value: Json, place: str, is_key: bool) -> _Found:
        if isinstance(value, dict):
            return self._referred(value, place)
        if not isinstance(value, str):
            raise invalid(f"{place} is neither a text nor a reference to a secret")
        text = value.strip()
        short = _SHORT.fullmatch(text)
        if short:
            return self._looked_up(short[1], place)
        if is_key and _ENV_ID.fullmatch(text):
            if self._environment.get(text):
                return self._looked_up(text, place)
            self._gathered.note(
                f"{place} looks like the name of a variable that is not set; taken as the key"
            )
        expanded = expand(text, self._environment)
        if expanded.missing:
            raise unset(place, expanded.missing)
        return _Found(expanded.text, origin_of(expanded.used))

    def _looked_up(self, name: str, place: str) -> _Found:
        text = self._environment.get(name)
        if not text:
            raise unset(place, (name,))
        return _Found(text, origin_of([name]))

    # ------------------------------------------------------------ references

    def _referred(self, reference: Mapping[str, Json], place: str) -> _Found:
        source, name = reference.get("source"), reference.get("id")
        alias = reference.get("provider", self._defaults.get(str(source), "default"))
        if not (isinstance(source, str) and isinstance(name, str) and isinstance(alias, str)):
            raise invalid(f"{place} is no reference to a secret (source, provider, id)")
        if not _ALIAS.fullmatch(alias):
            raise invalid(f"{place}: provider is no name of a source of secrets")
        read = {"env": self._of_env, "file": self._of_file, "exec": self._of_exec}.get(source)
        if read is None:
            raise invalid(
                f"{place} comes from a source that cannot be read here",
                "Sources that can be: env, file, and exec behind a switch.",
            )
        return read(alias, name, place)

    def _definition(self, source: str, alias: str, place: str) -> Mapping[str, Json]:
        definition = self._aliases.get(alias)
        if not isinstance(definition, dict) or definition.get("source") != source:
            raise invalid(f"{place}: secrets.providers.{alias} describes no {source}")
        return definition

    def _of_env(self, alias: str, name: str, place: str) -> _Found:
        if not _ENV_ID.fullmatch(name):
            raise invalid(f"{place}: id is no name of a variable")
        if alias in self._aliases or alias != self._defaults.get("env", "default"):
            allowed = self._definition("env", alias, place).get("allowlist")
            if isinstance(allowed, list) and name not in allowed:
                raise invalid(f"{place}: secrets.providers.{alias}.allowlist lacks ${name}")
        return self._looked_up(name, place)

    def _of_file(self, alias: str, name: str, place: str) -> _Found:
        definition = self._definition("file", alias, place)
        here = f"secrets.providers.{alias}"
        path = self._path(definition.get("path"), f"{place}: {here}.path")
        limit = definition.get("maxBytes")
        whole = limit if isinstance(limit, int) and 0 < limit <= 20 << 20 else 1 << 20
        text = read_secret_file(path, place, self._gathered, whole)
        if definition.get("mode", "json") != "json":
            if name != "value":
                raise invalid(f"{place}: id must be 'value', as {here} is one secret")
            return _Found(text, f", from {path}")
        try:
            document = json.loads(text)
        except (ValueError, RecursionError):
            raise invalid(f"{place}: {path} is no JSON") from None
        found = at_pointer(document, name)
        if not isinstance(found, str):
            raise invalid(f"{place}: {path} holds no text at its id")
        return _Found(found, f", from {path}")

    def _of_exec(self, alias: str, name: str, place: str) -> _Found:
        if not self._may_run:
            raise missing(
                f"{place} comes from a command, and commands are not run",
                f"Set {SWITCH}=1 where the daemon is started, to have it run.",
            )
        if not _EXEC_ID.fullmatch(name) or {".", ".."} & set(name.split("/")):
            raise invalid(f"{place}: id is none that a command may be asked for")
        definition = self._definition("exec", alias, place)
        command = self._command(alias, definition, place)
        try:
            return _Found(secretexec.ask(command, name), f", from {command.path}")
        except HandlerError as error:
            raise invalid(f"{place}: {error.message}", *error.hints) from None

    def _command(
        self, alias: str, definition: Mapping[str, Json], place: str
    ) -> secretexec.Command:
        path = self._path(definition.get("command"), f"{place}: secrets.providers.{alias}.command")
        passed = {
            name: self._environment[name]
            for name in _texts(definition.get("passEnv"))
            if name in self._environment
        }
        own = {k: v for k, v in _object(definition.get("env")).items() if isinstance(v, str)}
        timeout, limit = definition.get("timeoutMs"), definition.get("maxOutputBytes")
        return secretexec.Command(
            alias,
            path,
            tuple(_texts(definition.get("args"))),
            passed | {k: expand(v, self._environment).text for k, v in own.items()},
            min(timeout, 120_000) / 1000 if isinstance(timeout, int) and timeout > 0 else 5.0,
            min(limit, 20 << 20) if isinstance(limit, int) and limit > 0 else 1 << 20,
            definition.get("jsonOnly") is not False,
            definition.get("allowSymlinkCommand") is True,
            tuple(map(Path, _texts(definition.get("trustedDirs")))),
        )

    def _path(self, value: Json, place: str) -> Path:
        if not isinstance(value, str) or not value:
            raise invalid(f"{place} is no path")
        expanded = expand(value, self._environment)
        if expanded.missing:
            raise unset(place, expanded.missing)
        path = expanded.text
        if path.startswith("~/") and self._home is not None:
            return self._home / path[2:]
        if not path.startswith("/"):
            raise invalid(f"{place} is not absolute")
        return Path(path)


def _object(value: Json) -> dict[str, Json]:
    return value if isinstance(value, dict) else {}


def _texts(value: Json) -> list[str]:
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []
