"""The user's providers: what `darkroom.toml` and OpenClaw's file say, merged value by value.

Keys are told from the rest here: an `Entry`, which adapters see, holds none.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from urllib.parse import urlsplit

from daemon.budgets import Money
from daemon.configfiles import Gathered, invalid
from daemon.darkroomtoml import read_darkroom_toml
from daemon.drafts import STAND_IN, Sheet, Value, Values
from daemon.errors import Problem, problem_of
from daemon.openclaw import read_openclaw
from daemon.redaction import Secret
from daemon.sites import Limits, Site, origin_of
from handlers.contract import Json
from handlers.wire import Entry

WELL_KNOWN: Mapping[str, str] = MappingProxyType(
    {
        "openai": "https://api.openai.com/v1",
        "openrouter": "https://openrouter.ai/api/v1",
        "xai": "https://api.x.ai/v1",
        "together": "https://api.together.xyz/v1",
    }
)
"""Base URLs of providers that are known by their name."""

DEFAULT_API = "openai"

_NEAR = (".local", ".localhost", ".lan", ".internal", ".home.arpa")
"""How names end that stand for a machine nearby."""


@dataclass(frozen=True, slots=True)
class Configured:
    """One provider, all sources merged."""

    entry: Entry
    site: Site
    """Without the key."""
    key: Secret | None = None
    key_header: str | None = None
    """Where the configuration says that the key goes, in lower case; None: as its adapter does."""
    key_prefix: str | None = None
    """What stands before the key; None: as its adapter does."""
    limits: Limits = field(default_factory=Limits)
    models: Mapping[str, str] = field(default_factory=dict)
    """"image", "edit", "video" -> model, where configured."""
    sources: Mapping[str, str] = field(default_factory=dict)
    """Where each value came from, for people: "key" -> "darkroom.toml: providers.openai.api_key,
    from $OPENAI_API_KEY"."""
    problem: Problem | None = None
    """Why it cannot be used, if it cannot."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """Everything that is configured."""

    providers: Mapping[str, Configured] = field(default_factory=dict)
    """In the order of the files: those of darkroom.toml first, then OpenClaw's."""
    preferred: Mapping[str, str] = field(default_factory=dict)
    """Kind ("image", "video") -> the provider that the files prefer for it."""
    problem: Problem | None = None
    """A file that cannot be taken at all."""
    files: tuple[Path, ...] = ()
    """Every file that was read or looked for, so that a change can be noticed."""
    secrets: tuple[Secret, ...] = ()
    """Every secret that was read."""
    notes: tuple[str, ...] = ()
    """What was ignored, or is odd."""
    money: Money | None = field(default_factory=Money)
    """Prices and budgets; None where `darkroom.toml` cannot be taken, so that nobody knows."""


def load_configuration(root: Path, environment: Mapping[str, str]) -> Configuration:
    """Read the user's configuration; never raises for what stands there.

    Args:
        root: where `darkroom.toml` lies, if there is one.
        environment: the process's variables; it is not changed.
    """
    gathered = Gathered()
    ours = read_darkroom_toml(root, environment, gathered)
    theirs = read_openclaw(environment, gathered)
    names = dict.fromkeys([*ours.providers, *theirs.providers])
    if STAND_IN in names:
        del names[STAND_IN]
        gathered.note(f"{STAND_IN!r} is the embedded stand-in's name; what is so called is ignored")
    providers = {name: _configured(name, _merged(name, ours, theirs, gathered)) for name in names}
    for one in filter(_is_in_the_clear, providers.values()):
        gathered.note(
            f"{one.entry.name} is sent its key unencrypted, over http to another machine: "
            "use https, if it can"
        )
    preferred = _preferred(ours, theirs, providers, gathered)
    if ours.problem is not None and theirs.problem is not None:
        gathered.note(theirs.problem.message)
    return Configuration(
        MappingProxyType(providers),
        MappingProxyType(preferred),
        ours.problem or theirs.problem,
        tuple(gathered.files),
        tuple(gathered.secrets),
        tuple(gathered.notes),
        ours.money,
    )


def _merged(name: str, ours: Sheet, theirs: Sheet, gathered: Gathered) -> Values:
    """What both files say of a provider, ours over theirs. What theirs shows to one origin is never
    shown to another that ours names."""
    our, their = ours.providers.get(name, {}), theirs.providers.get(name, {})
    if _is_elsewhere(our, their):
        shown = [key for key in their if key == "key" or key.startswith("headers.")]
        their = {key: value for key, value in their.items() if key not in shown}
        if shown:
            gathered.note(
                f"the key and the headers that OpenClaw's file has for {name!r} belong to another "
                "address than the one in darkroom.toml, so they are not used: write its own there"
            )
    return {**theirs.extras.get(name, {}), **their, **our}


def _is_elsewhere(our: Values, their: Values) -> bool:
    """Whether both name an address, and not of the same origin."""
    ours, theirs = our.get("base_url"), their.get("base_url")
    if ours is None or theirs is None or not ours.value:
        return False
    return not theirs.value or origin_of(ours.value) != origin_of(theirs.value)


def _preferred(
    ours: Sheet, theirs: Sheet, providers: Mapping[str, Configured], gathered: Gathered
) -> dict[str, str]:
    preferred = dict(ours.preferred)
    for kind, name in theirs.preferred.items():
        if name in providers:
            preferred.setdefault(kind, name)
        else:
            gathered.note(
                f"OpenClaw makes {kind}s with {name}, whose address and key are not in its file: "
                f"to use it here as well, write [providers.{name}] in darkroom.toml"
            )
    return preferred


# ---------------------------------------------------------------- one provider


def _configured(name: str, values: Values) -> Configured:
    """What the values of one provider come to. Pure."""
    if "base_url" not in values:
        values = {**values, "base_url": _address(name)}
    got = {key: value.value for key, value in values.items() if value.value is not None}
    base_url = got.get("base_url", "")
    return Configured(
        Entry(
            name,
            base_url,
            got.get("api", DEFAULT_API),
            got.get("dialect"),
            got.get("paid", True),
            got.get("idempotency_header"),
            MappingProxyType(got.get("options", {})),
        ),
        Site(base_url, _below("headers.", got), got.get("ca_file"), got.get("proxy")),
        got.get("key"),
        got.get("key_header"),
        got.get("key_prefix"),
        Limits(got.get("concurrency"), got.get("requests_per_minute"), got.get("on_ambiguous")),
        _below("models.", got),
        MappingProxyType({key: value.source for key, value in values.items() if value.source}),
        _problem(name, values),
    )


def _is_in_the_clear(one: Configured) -> bool:
    """Whether whoever is on the way can read the key."""
    address = urlsplit(one.entry.base_url)
    if one.key is None or address.scheme != "http":
        return False
    host = address.hostname or ""
    try:
        return not ipaddress.ip_address(host).is_private
    except ValueError:
        return "." in host and not host.endswith(_NEAR)


def _address(name: str) -> Value:
    """The base URL of a provider that has none in its configuration."""
    if name in WELL_KNOWN:
        return Value("well known", WELL_KNOWN[name])
    problem = invalid(
        f"the provider {name!r} has no base URL",
        f'Write base_url = "https://..." under [providers.{name}] in darkroom.toml, '
        "or baseUrl in OpenClaw's file.",
    )
    return Value("", problem=problem_of(problem))


def _below(prefix: str, got: Mapping[str, Json]) -> Mapping[str, Json]:
    return MappingProxyType(
        {key.removeprefix(prefix): value for key, value in got.items() if key.startswith(prefix)}
    )


def _problem(name: str, values: Values) -> Problem | None:
    """The first problem, with all others told in the same sentence."""
    problems = [value.problem for value in values.values() if value.problem is not None]
    if not problems:
        return None
    told = "; ".join(dict.fromkeys(problem.message for problem in problems))
    hints = tuple(dict.fromkeys(hint for problem in problems for hint in problem.hints))
    return replace(problems[0], message=f"the provider {name!r}: {told}", hints=hints)
