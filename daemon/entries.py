"""To come."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from daemon.errors import Problem
from daemon.redaction import Secret
from daemon.sites import Limits, Site
from handlers.wire import Entry


@dataclass(frozen=True, slots=True)
class Configured:
    entry: Entry
    site: Site
    key: Secret | None = None
    key_header: str | None = None
    key_prefix: str | None = None
    limits: Limits = field(default_factory=Limits)
    models: Mapping[str, str] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)
    problem: Problem | None = None


@dataclass(frozen=True, slots=True)
class Configuration:
    providers: Mapping[str, Configured] = field(default_factory=dict)
    preferred: Mapping[str, str] = field(default_factory=dict)
    problem: Problem | None = None
    files: tuple[Path, ...] = ()
    secrets: tuple[Secret, ...] = ()
    notes: tuple[str, ...] = ()


def load_configuration(root: Path, environment: Mapping[str, str]) -> Configuration:
    return Configuration()
