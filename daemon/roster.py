"""Who answers calls: the embedded providers and those that are configured, and which is chosen.

The order of choice, for a request that names nobody: the settings, then what the configuration
files prefer, then the first provider in them that can be used; and where nothing is configured at
all, the embedded stand-in. A file that cannot be read is no such case: nobody may take a stand-in's
picture for a model's because of a comma.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, NamedTuple

import structlog

from daemon.budgets import Money
from daemon.clock import Clock
from daemon.entries import Configuration, Configured
from daemon.errors import Problem, error_of
from daemon.prices import Prices
from daemon.redaction import SIEVE, Secret
from daemon.settings import Settings
from daemon.sites import Limits, Site
from handlers.contract import HandlerError, Kind
from handlers.wire import Adapter, Provider

STAND_IN = "local"

_KINDS = {"edit_image": "edit", "outpaint_image": "edit", "generate_video": "video"}
_PLACEHOLDERS = {"image": "image-model", "edit": "image-edit-model", "video": "video-model"}

_log = structlog.get_logger(__name__)


class Service(NamedTuple):
    """A provider that can be asked, and where."""

    provider: Provider
    site: Site | None = None
    """None for one that is embedded."""
    limits: Limits = Limits()


@dataclass(frozen=True, slots=True)
class _Known:
    """What one reading of the configuration came to."""

    configuration: Configuration = field(default_factory=Configuration)
    services: Mapping[str, Service | Problem] = field(default_factory=dict)
    signature: tuple[object, ...] = ()
    money: Money | None = None


class Roster:
    """Knows the providers. The configuration is read again when one of its files changed.

    Args:
        settings: what is chosen there.
        embedded: the providers that need no configuration.
        adapters: who speaks which api.
        load: reads the configuration.
        clock: for looking at the files once a second, at the most.
    """

    def __init__(
        self,
        settings: Settings,
        embedded: Mapping[str, Provider],
        adapters: Mapping[str, Adapter],
        load: Callable[[], Configuration],
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._embedded = {name: Service(provider) for name, provider in embedded.items()}
        self._adapters = adapters
        self._load = load
        self._clock = clock
        self._known = _Known()
        self._looked = float("-inf")
        self._told = False

    # ------------------------------------------------------------ asking

    def names(self) -> list[str]:
        """All that there are, in the order of the configuration, the embedded ones last."""
        return [*self._now().services, *self._embedded]

    def default(self, kind: Kind) -> str:
        """Who is asked where a request does not say; empty where that cannot be known, because a
        configuration file cannot be read."""
        known = self._now()
        if self._settings.provider is not None:
            return self._settings.provider
        preferred = known.configuration.preferred.get(kind)
        if preferred is not None:
            return preferred
        if known.configuration.problem is not None:
            return ""
        usable = [name for name, one in known.services.items() if isinstance(one, Service)]
        return next(iter([*usable, *known.services, STAND_IN]))

    def service(self, name: str, operation: str | None = None) -> Service:
        """A provider that can do something.

        Raises:
            HandlerError: there is none of that name, it is not configured well enough, or it
                cannot do it.
        """
        service = self._service(name)
        if operation is None or operation in service.provider.operations:
            return service
        able = [
            other
            for other in self.names()
            if (one := self._found(other)) is not None and operation in one.provider.operations
        ]
        raise HandlerError(
            "not_supported",
            f"{name} cannot {operation}",
            hints=[f"These can: {', '.join(sorted(able)) or 'none that is configured'}."],
        )

    def limits(self, name: str) -> Limits:
        """How hard a provider may be asked."""
        service = self._found(name)
        return service.limits if service is not None else Limits()

    def concurrency(self, name: str) -> int:
        """Jobs at once."""
        return self.limits(name).concurrency or self._settings.provider_concurrency

    def money(self) -> Money:
        """Prices and budgets, as they could be read last.

        Raises:
            HandlerError: they never could be: nobody may spend money who cannot know how much.
        """
        known = self._now()
        problem = known.configuration.problem
        if known.money is None and problem is not None:
            raise error_of(problem.to_json())
        return known.money or Money()

    def prices(self) -> Prices:
        """The price table, for what was paid already; an empty one, if it never could be read."""
        return (self._now().money or Money()).prices

    def has_budget(self) -> bool:
        """Whether anything limits what may be spent."""
        return (self._now().money or Money()).budget.is_set

    def paying(self) -> list[str]:
        """The providers whose calls cost money."""
        services = ((name, self._found(name)) for name in self.names())
        return [name for name, one in services if one is not None and one.provider.paid]

    def on_ambiguous(self, name: str) -> Literal["fail", "retry"]:
        """What to do with a paid call whose answer was lost."""
        return self.limits(name).on_ambiguous or self._settings.on_ambiguous

    def model(self, name: str, operation: str) -> tuple[str | None, str | None]:
        """The model for a call that names none, and a warning where it is only a placeholder."""
        if name in self._embedded:
            return None, None
        kind = _KINDS.get(operation, "image")
        configured = self._now().configuration.providers.get(name)
        chosen: str | None = getattr(self._settings, f"{kind}_model")
        chosen = chosen or (configured.models.get(kind) if configured is not None else None)
        if chosen:
            return chosen, None
        placeholder = _PLACEHOLDERS[kind]
        return placeholder, (
            f"no {kind} model is set for {name}, so the placeholder {placeholder!r} was sent: "
            f"give the request a model, or set $OPENCLAW_MEDIA_{kind.upper()}_MODEL"
        )

    def tell(self, message: str = "providers") -> None:
        """Say in the diagnostics who there is; from now on also whenever that changes."""
        known, self._told = self._now(), True
        unusable = {
            name: one.message for name, one in known.services.items() if isinstance(one, Problem)
        }
        problem = known.configuration.problem
        if problem is not None:
            _log.error(
                "the configuration cannot be read", error=problem.message, hints=problem.hints
            )
        elif not known.services and self._settings.provider is None:
            _log.warning(
                "no provider is configured: the embedded stand-in answers, which is no AI model",
                hint="docs/configuring.md says how to configure one",
            )
        else:
            usable = [name for name in known.services if name not in unusable]
            _log.info(message, usable=usable, unusable=unusable)

    # ------------------------------------------------------------ reading

    def _service(self, name: str) -> Service:
        known = self._now()
        found = self._embedded.get(name) or known.services.get(name)
        if isinstance(found, Service):
            return found
        problem = found or known.configuration.problem
        if problem is not None:
            raise error_of(problem.to_json())
        raise HandlerError(
            "provider_not_found",
            f"there is no provider {name!r}",
            hints=[f"The providers here are: {', '.join(sorted(self.names()))}."],
        )

    def _found(self, name: str) -> Service | None:
        found = self._embedded.get(name) or self._now().services.get(name)
        return found if isinstance(found, Service) else None

    def _now(self) -> _Known:
        """What the configuration comes to now."""
        now = self._clock.monotonic()
        if now - self._looked >= 1.0:
            self._looked = now
            signature = _signature(self._known.configuration.files)
            if not self._known.signature or signature != self._known.signature:
                self._read()
        return self._known

    def _read(self) -> None:
        configuration = self._load()
        SIEVE.learn(configuration.secrets)
        services = {name: self._made(one) for name, one in configuration.providers.items()}
        money = configuration.money or self._known.money  # a mistyped budget lifts none
        self._known = _Known(configuration, services, _signature(configuration.files), money)
        if self._told:
            self.tell("the configuration changed")

    def _made(self, one: Configured) -> Service | Problem:
        """The provider of an entry, or why there is none."""
        adapter = self._adapters.get(one.entry.api)
        if adapter is None:
            return Problem(
                "not_supported",
                f"{one.entry.name} speaks {one.entry.api}, which this version does not",
                (f"It speaks: {', '.join(sorted(self._adapters))}.",),
            )
        if one.problem is not None:
            return one.problem
        try:
            provider = adapter.provider(one.entry)
        except HandlerError as error:
            return Problem(error.code, error.message, error.hints)
        except Exception as error:  # of a plug-in: it stops nobody else
            _log.exception("an adapter broke", provider=one.entry.name)
            return Problem(
                "internal",
                f"no provider could be made of {one.entry.name}: {type(error).__name__}",
                ("This is a fault of darkroom or of a plug-in; the diagnostics tell where.",),
            )
        return Service(provider, _with_key(one, provider, adapter), one.limits)


def _with_key(one: Configured, provider: Provider, adapter: Adapter) -> Site:
    """The site with its key in the place where it goes."""
    if one.key is None:
        return one.site
    header: str = getattr(provider, "key_header", adapter.key_header)
    prefix: str = getattr(provider, "key_prefix", adapter.key_prefix)
    if one.key_header not in (None, header):
        header, prefix = one.key_header or header, ""
    if one.key_prefix is not None:
        prefix = one.key_prefix
    shown = Secret(prefix + one.key.reveal())
    return replace(one.site, headers={header: shown, **one.site.headers})


def _signature(files: tuple[Path, ...]) -> tuple[object, ...]:
    """What tells whether one of some files changed."""
    found: list[object] = []
    for file in files:
        try:
            status = file.stat()
        except OSError:
            found.append(None)
        else:
            found.append((status.st_ino, status.st_size, status.st_mtime_ns, status.st_mode))
    return tuple(found) or ("nothing",)
