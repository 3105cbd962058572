"""Those who answer calls: every module here is one provider, named like it.

A provider phrases calls and reads answers; it holds no key, opens no socket and never sleeps.
"""

from __future__ import annotations

import importlib
import pkgutil
from importlib.metadata import entry_points

from handlers.wire import Adapter, Provider


def find_providers() -> dict[str, Provider]:
    """Every provider there is, by name: the modules of this package, then those that installed
    packages offer as entry points of the group `darkroom.providers`.

    Raises:
        TypeError: a module has no `provider()` to make one.
        ValueError: two providers claim one name.
    """
    modules = [
        importlib.import_module(f"{__name__}.{found.name}")
        for found in pkgutil.iter_modules(__path__)
    ]
    modules += [entry.load() for entry in entry_points(group="darkroom.providers")]
    providers: dict[str, Provider] = {}
    for module in modules:
        make = getattr(module, "provider", None)
        if make is None:
            raise TypeError(f"{module.__name__} needs a function provider() that makes one")
        provider: Provider = make()
        if provider.name in providers:
            raise ValueError(f"two providers claim the name {provider.name!r}")
        providers[provider.name] = provider
    return providers


def find_adapters() -> dict[str, Adapter]:
    """To come."""
    return {}
