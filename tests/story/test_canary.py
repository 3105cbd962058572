"""Keys that a provider repeats, in every way in which it can, are nowhere to be found afterwards."""

from __future__ import annotations

import base64
import contextlib
import json
import re
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.story.echoes import ECHOES, forms
from tests.support import REPOSITORY, Root, command, daemon, darkroom, environment
from tests.wire.server import ProviderServer

KEY = "Zq7+canary/one=9~x.Kd"
"""In darkroom.toml, by a variable."""
TEAM = "canarytwo0header5value8"
"""In a header of darkroom.toml, by a variable."""
CLAW = "Canary-Three_4Claw.6Key"
"""In OpenClaw's file, as it is."""
CANARIES = (KEY, TEAM, CLAW)

TOML = """
[providers.paper]
base_url = "{base_url}"
api_key = "$PAPER_KEY"
headers = {{ X-Team = "$PAPER_TEAM" }}
"""
FAST = {
    "DARKROOM_RETRY_SECONDS": "0.01",
    "DARKROOM_RETRY_SECONDS_MAX": "0.02",
    "DARKROOM_POLL_SECONDS": "0.01",
    "DARKROOM_MAX_ATTEMPTS": "2",
    "DARKROOM_PROVIDER_CONCURRENCY": "8",
}
SUCCEED = {"chatty", "address", "address-gone-for-one", "status-429"}
QUIET = {
    *("status-429", "page-200", "typed", "raw", "reset", "no-http", "no-status"),
    *("no-header", "no-length", "no-chunks", "no-packing"),
}
"""Echoes of which the result says nothing; all others stand there with stars for the keys."""
WINDOW = 10
"""Characters of a key: so much of it is never to be seen."""


def configure(root: Root, server: ProviderServer) -> dict[str, str]:
    """Two providers at one server; what has to stand in the environment."""
    root.path.joinpath("darkroom.toml").write_text(TOML.format(base_url=server.base_url))
    claw = root.path.parent / "openclaw.json"
    entry = {"baseUrl": server.base_url, "apiKey": CLAW, "api": "openai-completions", "models": []}
    claw.write_text(json.dumps({"models": {"providers": {"claw": entry}}}))
    claw.chmod(0o600)
    return {"PAPER_KEY": KEY, "PAPER_TEAM": TEAM, "OPENCLAW_CONFIG_PATH": str(claw), **FAST}


@pytest.fixture
def server() -> Iterator[ProviderServer]:
    with ProviderServer() as running:
        for name, step in ECHOES.items():
            running.script(*[step] * 8, at=f"/v1/{name}")
        yield running


def leaks(text: str) -> list[str]:
    """What of the keys a text holds: any part of one as it is, or all of it in another spelling."""
    found = []
    for key in CANARIES:
        parts = {key[start : start + WINDOW] for start in range(len(key) - WINDOW + 1)}
        found += [part for part in parts if part.lower() in text.lower()]
        spellings = {form.rstrip("=") for form in forms(key).values()}
        for before in range(3):  # base64 of it behind anything at all
            code = base64.b64encode(b"\0" * before + key.encode()).decode()
            spellings.add(code[4 if before else 0 : -4])
        found += [spelling for spelling in spellings if spelling in text]
    return found


def leaks_in_files(folder: Path) -> dict[str, list[str]]:
    found = {}
    for path in folder.rglob("*"):
        told = leaks(str(path))
        if path.is_file():
            told += leaks(path.read_bytes().decode("utf-8", "replace"))
        if told:
            found[str(path.relative_to(folder))] = told
    return found


def test_a_leak_would_be_seen(tmp_path: Path) -> None:
    for key in CANARIES:
        for form in forms(key).values():
            assert leaks(f"before {form} after")
        assert leaks(key[2:14])
    assert not leaks("Zq7+*** and canary")


def drop_all(root: Root) -> list[str]:
    """A request for each way of repeating a key, of each provider; their names."""
    names = []
    for provider in ("paper", "claw"):
        for echo in ECHOES:
            names.append(f"{provider}-{echo}.json")
            request = {"task": "generate_image", "prompt": echo, "endpoint": f"/{echo}"}
            root.drop(names[-1], {**request, "provider": provider, "timeout": 10})
    return names


@contextlib.contextmanager
def cores_allowed() -> Iterator[None]:
    """Whoever is started meanwhile may leave core files, as far as this machine allows it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, (soft, hard))


def limit_of_core_files(pid: int) -> str:
    limits = Path(f"/proc/{pid}/limits").read_text()
    found = re.search(r"Max core file size +(\S+)", limits)
    assert found is not None
    return found[1]


def test_no_key_that_a_provider_repeats_is_kept_or_told(root: Root, server: ProviderServer) -> None:
    variables = configure(root, server)
    with cores_allowed(), daemon(root.path, fresh=True, **variables) as running:
        names = drop_all(root)
        results = {name: root.wait_result(name) for name in names}
        assert limit_of_core_files(running.process.pid) == "0"
        told = {
            " ".join(arguments): darkroom(root.path, *arguments, **variables)
            for arguments in (["status"], ["status", "--json"], ["doctor", "--json"], ["events"])
        }
    told["verify"] = darkroom(root.path, "verify", **variables)
    said = {name: leaks(done.stdout + done.stderr) for name, done in told.items()}
    assert {name: found for name, found in said.items() if found} == {}
    assert leaks_in_files(root.path) == {}
    check_that_it_was_tried(results, server)
    assert told["verify"].returncode == 0
    assert len(told["events"].stdout.splitlines()) > len(names)
    assert "Traceback" not in running.diagnostics()


def check_that_it_was_tried(results: dict[str, Any], server: ProviderServer) -> None:
    """That each canary went out, came back, and would have been told of."""
    assert {call.key for call in server.creates} == {KEY, CLAW}
    assert {call.headers.get("x-team") for call in server.creates} == {TEAM, None}
    assert {name for name, result in results.items() if result["ok"]} == named(SUCCEED)
    starred = {name for name, result in results.items() if "***" in json.dumps(result)}
    assert results.keys() - starred == named(QUIET)
    assert results["paper-status-401.json"]["error"]["message"].count("***") == 2


def named(echoes: set[str]) -> set[str]:
    return {f"{who}-{echo}.json" for who in ("paper", "claw") for echo in echoes}


# ---------------------------------------------------------------- plug-ins that break

BROKEN = """
from daemon import app
from daemon.testing import ScriptedProvider
from handlers import find_handlers
from handlers.wire import Compute, HttpCall

key = {key!r}

def fall_over(text):
    held = text
    raise RuntimeError("cannot use " + held)

class Broken(ScriptedProvider):
    def submit(self, call):
        match call.fields["prompt"]:
            case "phrasing":
                fall_over(key)
            case "computing":
                yield Compute(lambda: fall_over(key))
            case "reading":
                reply = yield HttpCall("POST", "/images/generations", json={{}}, creates="image")
                fall_over(key + str(reply.body[:5]))
            case "a name of its own":
                raise type(key, (Exception,), {{}})(key)

class Adapter:
    apis = frozenset({{"openai"}})
    key_header, key_prefix = "authorization", "Bearer "
    def provider(self, entry):
        return Broken(entry.name, entry.paid)

app.find_plugins = lambda: app.Plugins(find_handlers(), {{}}, {{"openai": Adapter()}})
from daemon.cli import main
main()
"""
PROMPTS = ("phrasing", "computing", "reading", "a name of its own")


def test_no_key_in_the_words_of_a_broken_plug_in_is_kept_or_told(
    root: Root, server: ProviderServer
) -> None:
    variables = configure(root, server)
    for prompt in PROMPTS:
        request = {"task": "generate_image", "prompt": prompt, "provider": "paper"}
        root.drop(f"{prompt}.json", request)
    arguments = command(root.path, "run", "--drain")[3:]
    done = subprocess.run(
        [sys.executable, "-c", BROKEN.format(key=KEY), *arguments],
        env=environment(**variables),
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert leaks(done.stdout + done.stderr) == []
    assert leaks_in_files(root.path) == {}
    assert "cannot use ***" in done.stderr
    codes = [root.wait_result(f"{prompt}.json")["error"]["code"] for prompt in PROMPTS]
    assert codes == ["internal", "internal", "ambiguous_submit", "internal"]
