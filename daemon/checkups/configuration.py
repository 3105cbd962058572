"""What was set, and who answers calls."""

from __future__ import annotations

import difflib
import os
from collections.abc import Collection, Mapping
from pathlib import Path

from daemon.app import find_plugins
from daemon.checkups import Finding, fault, ok, warning
from daemon.errors import UsageError
from daemon.settings import Settings, load_settings, variable_of

_PREFIX = "DARKROOM_"
_STAND_IN = "local"


def read_settings(
    root: Path | None, environment: Mapping[str, str] | None = None
) -> tuple[Settings, Finding]:
    """The settings, and whether all that was set is good.

    Where it is not, those of the root alone, so that the other checks have something to look at.

    Args:
        root: the flag.
        environment: `os.environ`, if left out.
    """
    environment = os.environ if environment is None else environment
    try:
        return load_settings({"root": root}, environment), judge_variables(environment)
    except UsageError as error:
        where = (variable_of("root"), variable_of("output_root"))
        kept = {name: environment[name] for name in where if name in environment}
        return load_settings({"root": root}, kept), fault(
            str(error), "no command runs until this is mended; daemon/settings.py lists them all"
        )


def judge_variables(environment: Mapping[str, str]) -> Finding:
    """Whether every variable that looks like one of ours names a setting."""
    known = {name.upper(): variable_of(name) for name in Settings.model_fields}
    ours = set(known.values())
    strange = sorted(name for name in environment if name.startswith(_PREFIX) and name not in ours)
    if not strange:
        given = sorted(name for name in ours if environment.get(name))
        return ok(", ".join(f"${name}" for name in given) or "all as they are by default")
    hints = []
    for name in strange:
        (near,) = difflib.get_close_matches(name.removeprefix(_PREFIX), known, 1) or (None,)
        hints.append(f"${name} may mean ${known[near]}" if near is not None else f"unset ${name}")
    told = ", ".join(f"${name}" for name in strange)
    return warning(f"names no setting, and does nothing: {told}", "; ".join(hints))


def providers(settings: Settings) -> Finding:
    """Whether all handlers and providers can be loaded, and the one that is set is among them."""
    try:
        plugins = find_plugins()
    except Exception as error:  # whatever a foreign package may do when it is imported
        return fault(
            f"a handler or provider cannot be loaded: {type(error).__name__}: {error}",
            "mend or uninstall the package that it came with",
        )
    return judge_providers(settings.provider, plugins.providers, plugins.handlers)


def judge_providers(wanted: str | None, names: Collection[str], tasks: Collection[str]) -> Finding:
    if wanted is not None and wanted not in names:
        return fault(
            f"${variable_of('provider')} is {wanted!r}, and there is no such provider",
            f"set it to one of these: {', '.join(sorted(names))}",
        )
    told = ", ".join(
        f"{name} (a stand-in, no AI model)" if name == _STAND_IN else name for name in sorted(names)
    )
    return ok(f"{told}; for {', '.join(sorted(tasks))}")
