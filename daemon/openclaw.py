"""Providers out of the user's OpenClaw configuration, as it really looks.

Source: openclaw/openclaw, `src/config/` (`paths.ts`, `types.models.ts`, `env-substitution.ts`).
The order is upstream's: the file and all it includes, then its `env` block, which fills variables
that are missing, then `${VAR}` in the values. What is not known is ignored, and a variable that is
missing fails only what needs it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from daemon.configfiles import Gathered, invalid, missing
from daemon.drafts import Sheet, Value, Values, is_name, warn_of_readers
from daemon.errors import problem_of
from daemon.includes import load_included
from daemon.openclawproviders import Reader, provider_values, text_value
from daemon.secretrefs import SWITCH, Vault
from daemon.variables import expand
from handlers.contract import HandlerError, Json, Kind

_FOLDERS = (".openclaw", ".clawdbot", ".moldbot", ".moltbot")
_FILES = ("openclaw.json", "clawdbot.json", "moldbot.json", "moltbot.json")

_MODELS: Mapping[Kind, tuple[str, ...]] = {
    "image": ("mediaModels.image", "imageGenerationModel"),
    "video": ("mediaModels.video", "videoGenerationModel"),
}
"""Where, under `agents.defaults`, a model for each kind stands: today's place first."""


def read_openclaw(environment: Mapping[str, str], gathered: Gathered) -> Sheet:
    """What the user's OpenClaw file says of providers; nothing, where there is none.

    Args:
        environment: the process's; it is not changed.
        gathered: where files, secrets and notes are told.
    """
    path, is_named = _path_of(environment)
    if path is None:
        return Sheet()
    gathered.looked(path)
    try:
        document = load_included(path, _roots(environment), gathered)
    except FileNotFoundError:
        return Sheet(problem=problem_of(_not_there(path, is_named))) if is_named else Sheet()
    except HandlerError as error:
        return Sheet(problem=problem_of(error))
    if not isinstance(document, dict):
        return Sheet(problem=problem_of(invalid(f"{path.name}: there is no object in it")))
    return _Reading(path, document, environment, gathered).sheet()


# ---------------------------------------------------------------- the file


def _path_of(environment: Mapping[str, str]) -> tuple[Path | None, str | None]:
    """Where the file is, and the variable that says so, if one names the file itself."""
    home = home_of(environment)
    for name in ("OPENCLAW_CONFIG", "OPENCLAW_CONFIG_PATH", "CLAWDBOT_CONFIG_PATH"):
        if environment.get(name):
            return _expanded(environment[name], home), name
    for name in ("OPENCLAW_STATE_DIR", "CLAWDBOT_STATE_DIR"):
        if environment.get(name):
            return _first(_expanded(environment[name], home), _FILES), None
    if home is None:
        return None, None
    return _first(_first(home, _FOLDERS), _FILES), None


def home_of(environment: Mapping[str, str]) -> Path | None:
    """The folder that stands for the user's home."""
    home, instead = environment.get("HOME"), environment.get("OPENCLAW_HOME")
    if instead:
        return _expanded(instead, Path(home) if home else None)
    return Path(home) if home else None


def _expanded(text: str, home: Path | None) -> Path:
    if home is not None and (text == "~" or text.startswith("~/")):
        return home / text[2:]
    return Path(os.path.abspath(text))  # noqa: PTH100 -- resolve() would follow links


def _first(folder: Path, names: tuple[str, ...]) -> Path:
    """The first of these that is there, or else the first."""
    there = (folder / name for name in names if os.path.lexists(folder / name))
    return next(there, folder / names[0])


def _roots(environment: Mapping[str, str]) -> list[Path]:
    home = home_of(environment)
    given = environment.get("OPENCLAW_INCLUDE_ROOTS", "").split(os.pathsep)
    return [_expanded(each, home) for each in given if each]


def _not_there(path: Path, variable: str) -> HandlerError:
    return missing(
        f"${variable} names {str(path)!r}, and there is no such file",
        f"Write it there, or unset ${variable}.",
    )


# ---------------------------------------------------------------- what it says


class _Reading:
    """One look at a document."""

    def __init__(
        self,
        path: Path,
        document: Mapping[str, Json],
        environment: Mapping[str, str],
        gathered: Gathered,
    ) -> None:
        self._path = path
        self._document = document
        self._gathered = gathered
        self._environment = {**_block(document.get("env"), environment), **_filled(environment)}
        may_run = environment.get(SWITCH) == "1"  # the file may not turn it on itself
        vault = Vault(
            self._environment,
            gathered,
            home_of(environment),
            document.get("secrets"),
            may_run=may_run,
        )
        self._reader = Reader(path.name, path.parent, self._environment, gathered, vault)

    def sheet(self) -> Sheet:
        """All that is said of providers."""
        entries = _at(self._document, "models.providers")
        if entries is not None and not isinstance(entries, dict):
            self._gathered.note(f"{self._path.name}: models.providers is no object; ignored")
        providers = dict(self._providers(entries if isinstance(entries, dict) else {}))
        warn_of_readers(self._path, providers, self._gathered)
        preferred: dict[str, str] = {}
        extras: dict[str, dict[str, Value]] = {}
        for kind, provider, model in self._models():
            preferred[kind] = provider
            extras.setdefault(provider, {})[f"models.{kind}"] = model
        return Sheet(providers, extras, preferred)

    def _providers(self, entries: Mapping[str, Json]) -> Iterator[tuple[str, Values]]:
        for name, entry in entries.items():
            if not is_name(name):
                self._gathered.note(f"{self._path.name}: no provider can be called {name[:100]!r}")
            else:
                yield name, provider_values(self._reader, name, entry)

    def _models(self) -> Iterator[tuple[Kind, str, Value]]:
        """By kind, the provider and the model that agents make such media with."""
        for kind, places in _MODELS.items():
            for place in places:
                model = self._model(f"agents.defaults.{place}")
                if model is not None:
                    yield kind, *model
                    break

    def _model(self, place: str) -> tuple[str, Value] | None:
        """The provider and the model that a place names; None where it names none."""
        place, found = _primary(place, _at(self._document, place))
        value = text_value(self._reader, place, found)
        if value is None or value.problem is not None:
            return None
        provider, slash, model = value.value.partition("/")
        if slash and model and is_name(provider):
            return provider, Value(value.source, model)
        self._gathered.note(f"{value.source} is not of the form provider/model; ignored")
        return None


def _primary(place: str, found: Json) -> tuple[str, Json]:
    """What is used first: the text itself, or an object's `primary`."""
    if isinstance(found, dict):
        return f"{place}.primary", found.get("primary")
    return place, found


def _block(block: Json, environment: Mapping[str, str]) -> dict[str, str]:
    """The variables of an `env` block: in it, or under its `vars`."""
    if not isinstance(block, dict):
        return {}
    inner = block.get("vars")
    given = {**block, **(inner if isinstance(inner, dict) else {})}
    found = {name: text for name, text in given.items() if isinstance(text, str)}
    expanded = {name: expand(text, environment) for name, text in found.items()}
    return {name: each.text for name, each in expanded.items() if not each.missing}


def _filled(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if value.strip()}


def _at(document: Json, place: str) -> Json:
    """What stands at a place, as "models.providers"; None where nothing does."""
    for name in place.split("."):
        document = document.get(name) if isinstance(document, dict) else None
    return document
