"""What the package of handlers lends the daemon: who does the work, and how bytes are looked at.

Handlers, providers and whatever else of that package the daemon uses are found here alone, and
handed on by `app`. Each is imported where it is first needed, so that commands start fast.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from pathlib import PurePosixPath

from daemon.clock import Clock, SystemClock
from daemon.entries import load_configuration
from daemon.gallery import Describe, Sign
from daemon.net import Network
from daemon.opening import Expansion
from daemon.probing import ClipLimits, Prober
from daemon.requests import Door
from daemon.roster import Roster
from daemon.settings import Settings
from daemon.sheets import Cell, Draw
from daemon.viewing import ClipSense
from handlers.contract import Handler
from handlers.wire import Adapter, Provider


@dataclass(frozen=True, slots=True)
class Plugins:
    """Who does the work: handlers by task, embedded providers by name, adapters by api."""

    handlers: Mapping[str, Handler]
    providers: Mapping[str, Provider]
    adapters: Mapping[str, Adapter] = field(default_factory=dict)


def find_plugins() -> Plugins:
    """Every handler, provider and adapter that is installed."""
    from handlers import find_handlers
    from handlers.providers import find_adapters, find_providers

    return Plugins(find_handlers(), find_providers(), find_adapters())


def roster_of(
    settings: Settings,
    plugins: Plugins,
    clock: Clock | None = None,
    environment: Mapping[str, str] | None = None,
) -> Roster:
    """Who answers calls on a root, by its settings and the user's configuration.

    Args:
        settings: the root's.
        plugins: who is installed.
        clock: the machine's own, if left out.
        environment: `os.environ`, if left out.
    """
    environment = os.environ if environment is None else environment
    load = partial(load_configuration, settings.root, environment)
    return Roster(settings, plugins.providers, plugins.adapters, load, clock or SystemClock())


def door_of(settings: Settings, handlers: Mapping[str, Handler]) -> Door:
    """The door of a root."""
    from daemon.expansion import filled

    return Door(handlers, PurePosixPath(settings.root), PurePosixPath(settings.output), filled)


def expansion_of(settings: Settings) -> Expansion:
    """What makes items of batches, under this daemon's limits."""
    from daemon.expansion import Manifests

    return Manifests(settings.max_batch_items)


def sheet_maker_of(settings: Settings) -> Draw:
    """What draws contact sheets, under this daemon's limits."""

    def draw(cells: Iterable[Cell], count: int) -> bytes:
        from handlers.media.contactsheet import Card, contact_sheet

        cards = (Card(*cell) for cell in cells)
        return contact_sheet(cards, count, max_pixels=settings.max_pixels)

    return draw


def network_of(settings: Settings) -> Network:
    """The way out, under this daemon's limits."""
    from handlers.media.wholeness import is_medium, looks_cut

    return Network(
        max_answer_bytes=settings.max_answer_bytes,
        max_media_bytes=settings.max_media_bytes,
        trust_env=settings.trust_env,
        looks_cut=looks_cut,
        is_medium=is_medium,
        staging=settings.private / "staging",
    )


def decoder_of(settings: Settings) -> Describe:
    """What decodes media, under this daemon's limits."""
    from handlers.media.decoding import describe

    return partial(describe, max_pixels=settings.max_pixels, max_bytes=settings.max_media_bytes)


def clip_sense_of(settings: Settings) -> ClipSense:
    """What looks at clips, under this daemon's limits."""
    from handlers.media import clipfiles

    limits = ClipLimits(
        pixels=settings.max_pixels,
        seconds=settings.max_clip_seconds,
        frames=settings.max_clip_frames,
        memory=settings.probe_memory_bytes,
        cpu=settings.probe_cpu_seconds,
    )
    prober = Prober(
        "handlers.media.inspecting", limits, settings.probe_timeout, settings.probe_concurrency
    )
    return ClipSense(
        clipfiles.is_clip, prober.probe, clipfiles.described_by_container, settings.max_media_bytes
    )


def signer() -> Sign:
    """What has saved files tell how they were made."""
    from handlers.media.provenance import signed

    return partial(signed, by=f"darkroom {version('darkroomd')}")
