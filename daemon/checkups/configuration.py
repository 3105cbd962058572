"""What was set, what is configured, and who answers calls."""

from __future__ import annotations

import difflib
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from types import MappingProxyType

from daemon.checkups import Finding, fault, ok, warning
from daemon.drafts import STAND_IN
from daemon.entries import WELL_KNOWN, Configuration, Configured, load_configuration
from daemon.errors import UsageError
from daemon.plugins import find_plugins
from daemon.secretrefs import SWITCH
from daemon.settings import Settings, load_settings, variable_of

_PREFIX = "DARKROOM_"


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
            str(error), "no command runs until this is mended; docs/running.md lists them all"
        )


def judge_variables(environment: Mapping[str, str]) -> Finding:
    """Whether every variable that looks like one of ours names a setting."""
    known = {name.upper(): variable_of(name) for name in Settings.model_fields}
    ours = {*known.values(), SWITCH}
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


# ---------------------------------------------------------------- files


def files(settings: Settings) -> Finding:
    """Which files of a configuration were found, and whether they can be taken."""
    configuration = load_configuration(settings.root, os.environ)
    there = [path for path in configuration.files if path.exists()]
    return judge_files(configuration, there)


def judge_files(configuration: Configuration, there: Collection[Path]) -> Finding:
    problem = configuration.problem
    if problem is not None:
        hint = " ".join(problem.hints) or "mend that file"
        return fault("; ".join([problem.message, *configuration.notes]), hint)
    found = ", ".join(map(str, there))
    if not found:
        looked = ", ".join(map(str, configuration.files))
        found = f"none, so the embedded stand-in serves; looked for {looked}"
    if configuration.notes:
        told = "; ".join(configuration.notes)
        return warning(f"{found}; {told}", "mend what was ignored, if it was meant otherwise")
    return ok(found)


# ---------------------------------------------------------------- providers


def providers(settings: Settings) -> Finding:
    """Whether all handlers and providers can be loaded, the one that is set is among them, and
    each that is configured can be used."""
    try:
        plugins = find_plugins()
    except Exception as error:  # whatever a foreign package may do when it is imported
        return fault(
            f"a handler or provider cannot be loaded: {type(error).__name__}: {error}",
            "mend or uninstall the package that it came with",
        )
    configured = load_configuration(settings.root, os.environ).providers
    return judge_providers(
        settings.provider, plugins.providers, plugins.handlers, configured, plugins.adapters
    )


def judge_providers(
    wanted: str | None,
    names: Collection[str],
    tasks: Collection[str],
    configured: Mapping[str, Configured] = MappingProxyType({}),
    apis: Collection[str] = (),
) -> Finding:
    """
    Args:
        wanted: the one that is set; None where it is chosen.
        names: those that are installed.
        tasks: what can be done.
        configured: those that are in the user's files.
        apis: what can be spoken.
    """
    known = sorted({*names, *configured})
    if wanted is not None and wanted not in known:
        return fault(
            f"${variable_of('provider')} is {wanted!r}, and there is no such provider",
            f"set it to one of these: {', '.join(known)}",
        )
    installed = [
        f"{name} (a stand-in, no AI model)" if name == STAND_IN else name for name in sorted(names)
    ]
    told = [*(tell_provider(each, apis) for each in configured.values()), ", ".join(installed)]
    found = f"{'; '.join(told)}; for {', '.join(sorted(tasks))}"
    bad = [each for each in configured.values() if each.problem is not None]
    if not bad:
        return ok(found)
    hints = [hint for each in bad if each.problem is not None for hint in each.problem.hints]
    hint = " ".join(dict.fromkeys(hints)) or "mend that in the file that is named"
    is_fault = any(each.entry.name == wanted for each in bad)
    return fault(found, hint) if is_fault else warning(found, hint)


def tell_provider(one: Configured, apis: Collection[str]) -> str:
    """A configured provider in one line: what it speaks, and where its values come from, but no
    key."""
    if one.problem is not None:
        return one.problem.message
    base_url = f"{one.entry.base_url} ({one.sources['base_url']})"
    key = f"key: {one.sources['key']}" if one.key is not None else _no_key(one)
    known = "" if one.entry.api in apis else ", which darkroom does not,"
    return f"{one.entry.name} speaks {one.entry.api}{known} at {base_url}, {key}"


def _no_key(one: Configured) -> str:
    if one.entry.name in WELL_KNOWN and not one.site.headers:  # a server of one's own needs none
        return "no key (any that OpenClaw keeps in auth-profiles.json is not read)"
    return "no key"
