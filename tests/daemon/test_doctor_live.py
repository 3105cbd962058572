"""`darkroom doctor --live`: how what providers say is judged, and whom it does not ask."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Generator
from pathlib import Path
from typing import Any

import pytest

from daemon.checkups import live
from daemon.checkups.live import judge_failure, judge_probe, nobody
from daemon.entries import Configuration
from daemon.errors import Problem
from daemon.exchange import Means, Workbench, exchange
from daemon.net import Network
from daemon.settings import load_settings
from daemon.sites import Site
from daemon.testing import FrozenClock
from handlers.contract import HandlerError, Json
from handlers.wire import AnswersAtOnce, Effect, HttpCall, Probe
from tests.daemon.test_doctor_configuration import configuration, one, says
from tests.wire.server import ProviderServer

MODELS = {"paper-1": None, "paper-2": "2026-12-01", "stone-1": "2025-01-31"}

# ---------------------------------------------------------------- who answered


@pytest.mark.parametrize(
    ("probe", "models", "state", "parts"),
    [
        (Probe(MODELS), [], "ok", ["reachable, key not refused, 3 models"]),
        (Probe(MODELS, checked_key=True), [], "ok", ["reachable, key accepted, 3 models"]),
        (Probe(MODELS), ["paper-1"], "ok", ["among them paper-1"]),
        (
            Probe(MODELS),
            ["paper-1", "papier-1"],
            "warning",
            ["among them paper-1;", "not among them: papier-1", "(it has paper-1)"],
        ),
        (Probe({}), ["x"], "warning", ["0 models", "not among them: x", "check the model's name;"]),
        (
            Probe(MODELS),
            ["paper-2"],
            "warning",
            ["paper-2 is shut down on 2026-12-01", "another model before that day"],
        ),
        (
            Probe(MODELS),
            ["paper-2", "x"],
            "warning",
            ["not among them: x; paper-2 is shut down on 2026-12-01", "check", "before that day"],
        ),
        (Probe(MODELS, are_all=False), ["mine"], "ok", ["mine may be a deployment"]),
        (Probe(None), ["x"], "warning", ["key not refused, but it has no list", "local servers"]),
        (Probe(None, checked_key=True), [], "warning", ["key accepted, but it has no list"]),
    ],
)
def test_an_answer_is_judged(
    probe: Probe, models: Collection[str], state: str, parts: list[str]
) -> None:
    says(judge_probe(probe, models, has_key=True), state, *parts)


def test_of_a_server_that_was_shown_no_key_none_is_said_to_be_good() -> None:
    says(judge_probe(Probe(MODELS), [], has_key=False), "ok", "reachable, no key, 3 models")


# ---------------------------------------------------------------- who did not


def error(code: Any, status: int | None = None, *hints: str) -> HandlerError:
    http = {"status": status, "request_id": None} if status is not None else None
    return HandlerError(code, "p said so", hints=hints, http=http)


@pytest.mark.parametrize(
    ("failure", "state", "parts"),
    [
        (
            error("provider_auth", 401, "own"),
            "fault",
            ["key not accepted: p said", "check the key"],
        ),
        (error("provider_auth", 403), "fault", ["key not accepted", "restricted"]),
        (error("content_refused", 403), "fault", ["key not accepted"]),
        (error("provider_quota", 402, "Add credit."), "fault", ["Add credit."]),
        (error("provider_quota", 429, "Add credit."), "fault", ["Add credit."]),
        (error("provider_rate_limited", 429), "warning", ["try again later"]),
        (error("provider_timeout", 408), "warning", ["try again later"]),
        (error("provider_unavailable", 500), "warning", ["try again later"]),
        (error("provider_unavailable", 503), "warning", ["try again later"]),
        (error("provider_rejected", 400), "fault", ["check the key, the base URL"]),
        (error("provider_rejected", 308, "own"), "fault", ["base URL (with or without /v1)"]),
        (error("provider_failed", 200), "fault", ["base URL (with or without /v1)"]),
        (error("provider_failed", 200, "A proxy?"), "fault", ["A proxy?"]),
        (error("provider_unavailable", None, "own"), "fault", ["the certificate (`ca_file`)"]),
        (error("provider_timeout"), "fault", ["that the server runs"]),
        (error("config_invalid", None, "Write it so."), "fault", ["Write it so."]),
        (error("internal"), "fault", ["p said so"]),
    ],
)
def test_a_failure_is_judged(failure: HandlerError, state: str, parts: list[str]) -> None:
    says(judge_failure(failure, has_key=True), state, *parts)


def test_a_server_that_was_shown_no_key_does_not_refuse_one() -> None:
    found = judge_failure(error("provider_auth", 401), has_key=False)
    says(found, "fault", "it wants a key: p said so", "check the key")


# ---------------------------------------------------------------- whom it does not ask


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (Configuration(), "no provider is configured, so there is nobody to ask"),
        (configuration(Problem("config_invalid", "no TOML")), "so that it could be asked"),
        (Configuration({"p": one(problem=Problem("x", "y"))}), "so that it could be asked"),  # type: ignore[arg-type]
    ],
)
def test_where_nobody_can_be_asked_it_says_so(given: Configuration, words: str) -> None:
    says(nobody(given), "ok", words)


def test_without_a_provider_there_is_nobody_to_ask(tmp_path: Path) -> None:
    found = live.providers(load_settings({"root": tmp_path}, {}), 5)
    assert set(found) == {"live"}
    says(found["live"], "ok", "nobody to ask")


class Greedy(AnswersAtOnce):
    """A provider whose way of being asked has something made."""

    name = "greedy"
    paid = True
    operations = frozenset({"generate_image"})

    def __init__(self, call: HttpCall) -> None:
        self._call = call

    def submit(self, call: Any) -> Any:
        raise NotImplementedError

    def probe(self) -> Generator[Effect, Json, Probe]:
        yield self._call
        return Probe(None)


@pytest.mark.parametrize(
    "call",
    [
        HttpCall("POST", "/images/generations", json={}, creates="image"),
        HttpCall("GET", "/images/generations", creates="image"),
        HttpCall("POST", "/models"),
        HttpCall("DELETE", "/models/x"),
    ],
)
def test_nothing_but_a_free_get_leaves(call: HttpCall) -> None:
    provider = Greedy(call)

    async def ask(server: ProviderServer) -> Probe:
        network = Network(max_answer_bytes=1 << 20, max_media_bytes=0)
        workbench = Workbench(1)
        means = Means(workbench, network, FrozenClock(), Site(server.base_url), looks_only=True)
        try:
            return await exchange(provider, provider.probe(), means, 5)
        finally:
            workbench.close()
            await network.close()

    with ProviderServer() as server:
        with pytest.raises(HandlerError) as caught:
            asyncio.run(ask(server))
        assert server.connections == 0
    assert caught.value.code == "internal"
