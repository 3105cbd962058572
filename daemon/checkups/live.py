"""Whether each configured provider answers, takes its key, and has its models: by free calls."""

from __future__ import annotations

import asyncio
import difflib
import os
from collections.abc import Collection, Mapping
from dataclasses import replace

from daemon.checkups import Finding, fault, ok, warning
from daemon.clock import SystemClock
from daemon.entries import Configuration, load_configuration
from daemon.exchange import Means, Workbench, exchange
from daemon.net import Network
from daemon.plugins import find_plugins
from daemon.redaction import SIEVE
from daemon.roster import Roster
from daemon.settings import Settings
from handlers.contract import HandlerError
from handlers.wire import Probe, Probed

NAME = "live"

_MOST_BYTES = 16 << 20
"""Of one answer: the longest lists of models have some hundred kilobytes."""
_MOST_NAMES = 2000
"""Names among which one is looked for that is like another."""

_WAY = (
    "check that the server runs, the base URL, the network, the proxy (`proxy`, or "
    "$DARKROOM_TRUST_ENV) and the certificate (`ca_file`)"
)
_ADDRESS = "check the base URL (with or without /v1): something else than the API answers there"
_KEY = (
    "check the key: the check `providers` says where it comes from; one that is restricted may be "
    "good for pictures all the same, if it lacks nothing but the right to list models"
)
_LATER = "try again later: the provider is there, but does not answer such calls now"
_REFUSED = "check the key, the base URL and the provider's options"
_NO_LIST = (
    "many local servers have none, and serve all the same; if this one does not, check the base "
    "URL (with or without /v1)"
)


def providers(settings: Settings, patience: float) -> dict[str, Finding]:
    """Ask all of them side by side; what is misconfigured is told by other checks.

    Args:
        settings: the root's.
        patience: seconds that one answer may take.

    Returns:
        A finding for each, by "live:" and its name; by "live" alone where there is nobody to ask.
    """
    plugins = find_plugins()
    configuration = load_configuration(settings.root, os.environ)
    adapters, clock = plugins.adapters, SystemClock()
    roster = Roster(settings, plugins.providers, adapters, lambda: configuration, clock)
    shows_key = {
        name: one.key is not None or bool(one.site.headers)
        for name, one in configuration.providers.items()
        if one.problem is None and one.entry.api in adapters
    }
    if not shows_key:
        return {NAME: nobody(configuration)}
    return asyncio.run(_ask_all(shows_key, roster, settings, patience))


def nobody(configuration: Configuration) -> Finding:
    """What is found where there is nobody to ask."""
    if configuration.providers or configuration.problem is not None:
        return ok("no provider is configured so that it could be asked, so none was")
    return ok("no provider is configured, so there is nobody to ask")


# ---------------------------------------------------------------- asking


async def _ask_all(
    shows_key: Mapping[str, bool], roster: Roster, settings: Settings, patience: float
) -> dict[str, Finding]:
    """Ask those that are named, each of which is shown a key or not."""
    network = Network(
        max_answer_bytes=_MOST_BYTES,
        max_media_bytes=0,
        trust_env=settings.trust_env,
        connect_timeout=patience / 2,  # so that it can be told what was waited for
    )
    workbench = Workbench(2)
    means = Means(workbench, network, SystemClock(), looks_only=True)
    try:
        asked = [_ask(name, roster, means, patience, shows_key[name]) for name in shows_key]
        found = await asyncio.gather(*asked)
    finally:
        workbench.close()
        await network.close()
    return {f"{NAME}:{name}": one for name, one in zip(shows_key, found, strict=True)}


async def _ask(name: str, roster: Roster, means: Means, patience: float, has_key: bool) -> Finding:
    """Ask one, and judge what it says, without the keys that it may repeat."""
    try:
        provider, site, _ = roster.service(name)
        if not isinstance(provider, Probed):
            return ok("cannot be asked for free, so it was not asked")
        means = replace(means, site=site)
        probe = await exchange(provider, provider.probe(), means, patience)
    except HandlerError as error:
        finding = judge_failure(error, has_key=has_key)
    else:
        finding = judge_probe(probe, _models(name, roster, provider.operations), has_key=has_key)
    hint = SIEVE.text(finding.hint) if finding.hint is not None else None
    return Finding(finding.state, SIEVE.text(finding.found), hint)


def _models(name: str, roster: Roster, operations: Collection[str]) -> list[str]:
    """The models that are set for what a provider can do; where none is, there is a warning."""
    chosen = [roster.model(name, operation) for operation in sorted(operations)]
    return list(dict.fromkeys(model for model, told in chosen if model and told is None))


# ---------------------------------------------------------------- judging


def judge_probe(probe: Probe, models: Collection[str], *, has_key: bool) -> Finding:
    """What it means that a provider answered.

    Args:
        probe: what it said.
        models: those that are set for it.
        has_key: whether anything was shown to it that may be a key.
    """
    key = "key not refused" if has_key else "no key"
    key = "key accepted" if probe.checked_key else key
    if probe.models is None:
        return warning(f"reachable, {key}, but it has no list of models", _NO_LIST)
    count = len(probe.models)
    told, hints = judge_models(probe.models, models, are_all=probe.are_all)
    found = "; ".join([f"reachable, {key}, {count} model{'' if count == 1 else 's'}", *told])
    return warning(found, "; ".join(hints)) if hints else ok(found)


def judge_models(
    listed: Mapping[str, str | None], models: Collection[str], *, are_all: bool
) -> tuple[list[str], list[str]]:
    """What a list says of the models that are set, and what to do about it.

    Args:
        listed: the models of the list, each with the day of its shutdown.
        models: those that are set.
        are_all: whether they would be in the list.
    """
    there = [model for model in models if model in listed]
    missing = [model for model in models if model not in listed]
    ending = {model: day for model in there if (day := listed[model]) is not None}
    told = [f"among them {', '.join(there)}"] if there else []
    hints = []
    if missing and are_all:
        told.append(f"not among them: {', '.join(missing)}")
        hints.append(_other_names(missing, listed))
    elif missing:
        told.append(f"{', '.join(missing)} may be a deployment, which is not listed")
    if ending:
        told += [f"{model} is shut down on {day}" for model, day in ending.items()]
        hints.append("set another model before that day")
    return told, hints


def _other_names(missing: Collection[str], listed: Mapping[str, str | None]) -> str:
    """What to do about models that are not listed."""
    some = [*listed][:_MOST_NAMES]
    near = [found for model in missing for found in difflib.get_close_matches(model, some, 1)]
    like = f" (it has {', '.join(near)})" if near else ""
    return f"check the model's name{like}; a list may leave out other names of a model"


def judge_failure(error: HandlerError, *, has_key: bool) -> Finding:
    """What it means that a provider refused, or did not answer.

    Args:
        error: what the asking came to.
        has_key: whether anything was shown to it that may be a key.
    """
    own = " ".join(error.hints)
    status = (error.http or {}).get("status")
    if status is None:
        lost = error.code in ("provider_unavailable", "provider_timeout")
        return fault(error.message, _WAY if lost or not own else own)
    if error.code == "provider_quota":
        return fault(error.message, own)
    if status in (401, 403):
        what = "key not accepted" if has_key else "it wants a key"
        return fault(f"{what}: {error.message}", _KEY)
    if status in (408, 409, 425, 429) or status >= 500:
        return warning(error.message, _LATER)
    if status < 300:
        return fault(error.message, own or _ADDRESS)
    return fault(error.message, _ADDRESS if status < 400 else _REFUSED)
