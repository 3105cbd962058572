"""`darkroom doctor --live`: real commands that ask real servers, and never have anything made."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.edges.test_doctor import install, says
from tests.support import darkroom
from tests.wire import failures, faults
from tests.wire.server import ProviderServer
from tests.wire.talking import Reply, Step, Talk, json_reply

KEY = "canary-9f3a77c1d2"
LIST = "/v1/models"
PATIENCE = ("--timeout", "20")
"""Longer than a test may have to wait on a busy machine."""


@pytest.fixture
def server() -> Iterator[ProviderServer]:
    with ProviderServer(key=KEY) as running:
        yield running


def configure(root: Path, *servers: str, **more: str) -> None:
    """Write a `darkroom.toml` with these base URLs: "p0", "p1"..."""
    root.mkdir(exist_ok=True)
    rest = "".join(f"{name} = {value}\n" for name, value in more.items())
    (root / "darkroom.toml").write_text(
        "".join(
            f'[providers.p{number}]\nbase_url = "{url}"\napi_key = "${{PAPER_KEY}}"\n{rest}'
            for number, url in enumerate(servers)
        )
    )


def asked(
    root: Path, *flags: str, code: int = 0, stderr: str = "", **env: str
) -> dict[str, dict[str, Any]]:
    """The findings about providers, by name. Whatever is found, no key is shown."""
    flags = flags or ("--live", *PATIENCE)
    done = darkroom(root, "doctor", "--json", *flags, PAPER_KEY=KEY, **env)
    assert done.returncode == code, done.stdout + done.stderr
    assert stderr in done.stderr if stderr else not done.stderr
    assert KEY not in done.stdout + done.stderr
    found = {each["check"]: each for each in json.loads(done.stdout)}
    return {name: one for name, one in found.items() if name.startswith("live")}


# ---------------------------------------------------------------- who answers


def test_a_provider_is_asked_with_its_key_and_for_its_models(
    server: ProviderServer, tmp_path: Path
) -> None:
    configure(tmp_path / "r", server.base_url, image_model='"paper-1"', edit_model='"paper-1"')
    found = asked(tmp_path / "r")["live:p0"]
    says(found, "ok", "reachable, key not refused, 1 model; among them paper-1")
    ((method, path, key),) = [(one.method, one.path, one.key) for one in server.requests]
    assert (method, path, key) == ("GET", LIST, KEY)


def after(other: ProviderServer) -> Step:
    """An answer that comes when another server was asked as well."""

    def answer(talk: Talk) -> Reply:
        other.wait_for(1)
        return json_reply({"data": []})

    return answer


def test_all_providers_are_asked_side_by_side(server: ProviderServer, tmp_path: Path) -> None:
    with ProviderServer(key=KEY) as other:
        server.script(after(other), at=LIST)
        other.script(after(server), at=LIST)
        configure(tmp_path / "r", server.base_url, other.base_url)
        found = asked(tmp_path / "r")
    assert [(name, one["state"]) for name, one in found.items()] == [
        ("live:p0", "ok"),
        ("live:p1", "ok"),
    ]


def test_models_that_are_missing_or_end_are_warned_of(
    server: ProviderServer, tmp_path: Path
) -> None:
    listed = [{"id": "paper-1", "shutdown_date": "2026-12-01"}, {"id": "paper-2"}]
    server.always(json_reply({"data": listed}), LIST)
    configure(tmp_path / "r", server.base_url, image_model='"paper-9"', edit_model='"paper-3"')
    found = asked(tmp_path / "r", OPENCLAW_MEDIA_IMAGE_MODEL="paper-1")["live:p0"]
    says(found, "warning", "paper-1 is shut down on 2026-12-01", "not among them: paper-3")
    assert "paper-9" not in found["found"]


# ---------------------------------------------------------------- who does not


ANSWERS: dict[str, tuple[Step, str, tuple[str, ...]]] = {
    "a bad key": (
        failures.openai(401, f"Incorrect API key provided: {KEY}"),
        "fault",
        ("key not accepted:", "answered 401", "provided: ***", "check the key"),
    ),
    "a key that may not": (failures.forbidden(), "fault", ("key not accepted:", "answered 403")),
    "no list": (failures.not_found(), "warning", ("it has no list of models", "/v1")),
    "too many calls": (failures.rate_limited(), "warning", ("answered 429", "try again later")),
    "a broken server": (failures.empty(500), "warning", ("answered 500", "try again later")),
    "a broken gateway": (failures.page(502), "warning", ("answered 502", "try again later")),
    "a web page": (failures.page(200), "fault", ("a web page", "with or without /v1")),
    "a redirect": (
        Reply(301, b"", {"location": "https://elsewhere.example/v1/models?t=1"}),
        "fault",
        ("redirect to elsewhere.example", "with or without /v1"),
    ),
    "an end": (faults.close_after_request(), "fault", ("broke off", "that the server runs")),
    "a reset": (faults.reset_in_body(), "fault", ("broke off", "that the server runs")),
}


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], str]:
    """What one command finds that asks a server with each of these answers, and its lines."""
    root = tmp_path_factory.mktemp("told") / "r"
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(ProviderServer()) for _ in ANSWERS]
        for one, (step, _, _) in zip(servers, ANSWERS.values(), strict=True):
            one.script(step, step, at=LIST)
        configure(root, *(one.base_url for one in servers))
        found = asked(root, code=1)
        done = darkroom(root, "doctor", "--live", *PATIENCE, PAPER_KEY=KEY)
        assert (done.returncode, done.stderr) == (1, "")
        for one in servers:  # once by each command, and never for anything else
            assert [(sent.method, sent.path) for sent in one.requests] == [("GET", LIST)] * 2
            assert one.made == 0
    return found, done.stdout


@pytest.mark.parametrize("name", ANSWERS)
def test_what_is_wrong_is_told_and_what_to_do(told: tuple[dict[str, Any], str], name: str) -> None:
    number = [*ANSWERS].index(name)
    _, state, parts = ANSWERS[name]
    says(told[0][f"live:p{number}"], state, *parts)


def test_lines_for_people_say_the_same_and_no_key(told: tuple[dict[str, Any], str]) -> None:
    found, lines = told
    assert KEY not in lines
    for name, one in found.items():
        assert f"\n{one['state']:<8} {name:<13} {one['found']}\n" in lines
        assert f"\n    hint {name:<13} {one['hint']}\n" in lines


def test_a_server_that_hangs_is_not_waited_for(server: ProviderServer, tmp_path: Path) -> None:
    server.script(faults.hang(), at=LIST)
    configure(tmp_path / "r", server.base_url)
    found = asked(tmp_path / "r", "--live", "--timeout", "0.3", code=1)
    says(found["live:p0"], "fault", "did not answer within 0.3 s", "the network")


def test_a_server_that_is_not_there_is_a_fault(tmp_path: Path) -> None:
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{unheard.getsockname()[1]}/v1"
        configure(tmp_path / "r", nobody, "http://nowhere.invalid/v1")
        found = asked(tmp_path / "r", code=1)
    says(found["live:p0"], "fault", "no connection to 127.0.0.1 could be made", "server runs")
    says(found["live:p1"], "fault", "nowhere.invalid cannot be resolved", "the base URL")


def test_a_certificate_that_nobody_vouches_for_is_a_fault(tmp_path: Path) -> None:
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with ProviderServer(context) as server:
        configure(tmp_path / "r", server.base_url)
        found = asked(tmp_path / "r", code=1)["live:p0"]
        says(found, "fault", "no certificate to trust", "`ca_file`")
        assert not server.requests
        configure(tmp_path / "r", server.base_url, ca_file=f'"{tmp_path / "ca.pem"}"')
        says(asked(tmp_path / "r")["live:p0"], "ok", "reachable")


# ---------------------------------------------------------------- who is not asked


def test_without_the_flag_no_provider_is_asked(server: ProviderServer, tmp_path: Path) -> None:
    configure(tmp_path / "r", server.base_url)
    assert asked(tmp_path / "r", "--timeout", "1") == {}
    assert server.connections == 0


def test_without_a_provider_there_is_nobody_to_ask(tmp_path: Path) -> None:
    found = asked(tmp_path / "r")
    assert found.keys() == {"live"}
    says(found["live"], "ok", "nobody to ask")


def test_what_is_misconfigured_is_not_asked_and_told_here_if_nowhere_else(
    server: ProviderServer, tmp_path: Path
) -> None:
    configure(tmp_path / "r", server.base_url, server.base_url, server.base_url)
    with (tmp_path / "r" / "darkroom.toml").open("a") as file:
        file.write('options = {images = "paper"}\n')  # of p2; only its adapter knows better
        file.write('[providers.q]\napi_key = "x"\n[providers.r]\nbase_url = "http://h"\n')
        file.write('api = "telepathy"\n')
    found = asked(tmp_path / "r", code=1)
    assert found.keys() == {"live:p0", "live:p1", "live:p2"}
    says(found["live:p2"], "fault", "the option images of the provider p2", '"chat"')
    assert len(server.requests) == 2


PLUG_IN = """
from handlers.wire import AnswersAtOnce

class Mute(AnswersAtOnce):
    paid, operations = True, frozenset({"generate_image"})
    def __init__(self, name):
        self.name = name
    def submit(self, call):
        raise NotImplementedError

class Broken(Mute):
    def probe(self):
        raise ValueError("KEY")
        yield

class Adapter:
    apis, key_header, key_prefix = {"mute"}, "authorization", ""
    def provider(self, entry):
        return (Broken if entry.options else Mute)(entry.name)

def adapter():
    return Adapter()
"""


def test_a_provider_of_a_plug_in_need_not_know_how_to_be_asked_and_may_break(
    server: ProviderServer, tmp_path: Path
) -> None:
    entry = "[darkroom.providers]\nmute = mute_plug_in\n"
    env = install(tmp_path / "site", "mute-plug-in", "1.0", entry)
    (tmp_path / "site" / "mute_plug_in.py").write_text(PLUG_IN.replace("KEY", KEY))
    configure(tmp_path / "r", server.base_url, server.base_url, api='"mute"')
    with (tmp_path / "r" / "darkroom.toml").open("a") as file:
        file.write("options = {x = 1}\n")
    found = asked(tmp_path / "r", code=1, stderr="a provider broke", **env)
    says(found["live:p0"], "ok", "cannot be asked for free")
    says(found["live:p1"], "fault", "p1 broke: ValueError", "the diagnostics")
    assert server.connections == 0
