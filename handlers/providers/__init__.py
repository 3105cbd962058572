"""Those who answer calls: a module here is a provider, named like it, or an adapter, or both.

A provider phrases calls and reads answers; it holds no key, opens no socket and never sleeps. An
adapter makes providers of configured entries.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from importlib.metadata import entry_points
from types import ModuleType
from typing import Any

from handlers.wire import Adapter, Provider


def find_providers() -> dict[str, Provider]:
    """Every provider that needs no configuration, by name: those that a module of this package,
    or an entry point of the group `darkroom.providers`, makes with `provider()`.

    Raises:
        TypeError: a module makes neither a provider nor an adapter.
        ValueError: two providers claim one name.
    """
    providers: dict[str, Provider] = {}
    for make in _made_by("provider"):
        provider: Provider = make()
        if provider.name in providers:
            raise ValueError(f"two providers claim the name {provider.name!r}")
        providers[provider.name] = provider
    return providers


def find_adapters() -> dict[str, Adapter]:
    """Every adapter, by each `api` that it goes by: those that the same modules make with
    `adapter()`.

    Raises:
        TypeError: a module makes neither a provider nor an adapter.
        ValueError: two adapters claim one api.
    """
    adapters: dict[str, Adapter] = {}
    for make in _made_by("adapter"):
        adapter: Adapter = make()
        for api in adapter.apis:
            if api in adapters:
                raise ValueError(f"two adapters claim the api {api!r}")
            adapters[api] = adapter
    return adapters


def _made_by(name: str) -> list[Callable[[], Any]]:
    """The functions of that name, of every module that has one."""
    return [getattr(module, name) for module in _modules() if hasattr(module, name)]


def _modules() -> list[ModuleType]:
    found = [
        importlib.import_module(f"{__name__}.{found.name}")
        for found in pkgutil.iter_modules(__path__)
    ]
    found += [entry.load() for entry in entry_points(group="darkroom.providers")]
    for module in found:
        if not (hasattr(module, "provider") or hasattr(module, "adapter")):
            raise TypeError(f"{module.__name__} needs a function provider() or adapter()")
    return found
