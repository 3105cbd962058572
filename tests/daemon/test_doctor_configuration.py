"""`darkroom doctor`: how it judges the configuration and the providers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from daemon.checkups import Finding
from daemon.checkups.configuration import (
    files,
    judge_files,
    judge_providers,
    judge_variables,
    providers,
    tell_provider,
)
from daemon.entries import Configuration, Configured
from daemon.errors import Problem
from daemon.redaction import Secret
from daemon.settings import Settings
from daemon.sites import Limits, Site
from handlers.wire import Entry

URL = "https://a.example/v1"
SOURCES = {"base_url": "darkroom.toml: providers.p.base_url", "key": "x.json: key, from $KEY"}
APIS = ["openai"]
PROBLEM = Problem("config_missing", "the provider 'p': x needs $KEY", ("Set $KEY.",))


def says(finding: Finding, state: str, *parts: str) -> None:
    assert finding.state == state, finding
    for part in parts:
        assert part in f"{finding.found}\n{finding.hint}", finding
    assert (finding.hint is None) == (state == "ok")


def one(key: str | None = "canary-key", problem: Problem | None = None) -> Configured:
    return Configured(
        Entry("p", URL, "openai"),
        Site(URL),
        Secret(key) if key is not None else None,
        None,
        None,
        Limits(),
        {},
        SOURCES,
        problem,
    )


def configuration(problem: Problem | None = None, *notes: str) -> Configuration:
    return Configuration({}, {}, problem, (Path("/r/darkroom.toml"), Path("/h/x.json")), (), notes)


# ---------------------------------------------------------------- files


@pytest.mark.parametrize(
    ("problem", "notes", "there", "state", "said"),
    [
        (None, (), ["/h/x.json"], "ok", "/h/x.json"),
        (None, (), [], "ok", "the embedded stand-in serves; looked for /r/darkroom.toml"),
        (None, ("b is ignored",), ["/h/x.json"], "warning", "/h/x.json; b is ignored"),
        (PROBLEM, (), [], "fault", "Set $KEY."),
        (PROBLEM, ("b is ignored",), ["/h/x.json"], "fault", "needs $KEY; b is ignored"),
        (Problem("config_invalid", "bad"), (), [], "fault", "mend that file"),
    ],
)
def test_files_are_judged(
    problem: Problem | None, notes: tuple[str, ...], there: list[str], state: str, said: str
) -> None:
    says(judge_files(configuration(problem, *notes), list(map(Path, there))), state, said)


def test_the_files_of_a_root_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENCLAW_CONFIG", str(tmp_path / "openclaw.json"))
    (tmp_path / "openclaw.json").write_text("{}")
    (tmp_path / "openclaw.json").chmod(0o600)
    settings = Settings(root=tmp_path)
    says(files(settings), "ok", str(tmp_path / "openclaw.json"))
    assert "darkroom.toml" not in files(settings).found
    (tmp_path / "darkroom.toml").write_text("[providers.p]\nbase_url = 'https://a.example/v1'")
    (tmp_path / "darkroom.toml").chmod(0o600)
    says(files(settings), "ok", str(tmp_path / "darkroom.toml"))
    says(providers(settings), "ok", f"p speaks openai at {URL}", "no key", "local (a stand-in")
    (tmp_path / "openclaw.json").unlink()
    says(files(settings), "fault", "$OPENCLAW_CONFIG")


def test_the_switch_of_commands_is_a_known_variable() -> None:
    says(judge_variables({"DARKROOM_EXEC_SECRETS": "1"}), "ok", "$DARKROOM_EXEC_SECRETS")


# ---------------------------------------------------------------- providers


@pytest.mark.parametrize(
    ("configured", "told"),
    [
        (one(), f"p speaks openai at {URL} ({SOURCES['base_url']}), key: {SOURCES['key']}"),
        (one(None), f"p speaks openai at {URL} ({SOURCES['base_url']}), no key"),
        (one(None, PROBLEM), "the provider 'p': x needs $KEY"),
    ],
)
def test_a_provider_is_told_in_one_line_without_its_key(configured: Configured, told: str) -> None:
    assert tell_provider(configured, APIS) == told
    assert "canary" not in told


def test_what_no_adapter_speaks_is_told() -> None:
    assert "p speaks openai, which darkroom does not, at" in tell_provider(one(), ["other"])


def test_a_well_known_provider_without_a_key_is_told_where_else_one_may_be() -> None:
    known = replace(one(None), entry=Entry("openai", URL, "openai"))
    assert "auth-profiles.json is not read" in tell_provider(known, APIS)
    with_header = replace(known, site=Site(URL, {"authorization": Secret("canary-key")}))
    assert tell_provider(with_header, APIS).endswith("no key")


@pytest.mark.parametrize(
    ("wanted", "configured", "state", "said"),
    [
        ("local", {}, "ok", "local (a stand-in, no AI model), other; for generate_image"),
        (None, {}, "ok", "for generate_image"),
        (None, {"p": one()}, "ok", "p speaks openai"),
        ("p", {"p": one()}, "ok", "p speaks openai"),
        ("q", {"p": one()}, "fault", "set it to one of these: local, other, p"),
        ("q", {}, "fault", "_PROVIDER is 'q'"),
        (None, {"p": one(None, PROBLEM)}, "warning", "Set $KEY."),
        ("local", {"p": one(None, PROBLEM)}, "warning", "needs $KEY"),
        ("p", {"p": one(None, PROBLEM)}, "fault", "Set $KEY."),
    ],
)
def test_providers_are_judged(
    wanted: str | None, configured: dict[str, Configured], state: str, said: str
) -> None:
    names = ["other", "local"]
    says(judge_providers(wanted, names, ["generate_image"], configured, APIS), state, said)
