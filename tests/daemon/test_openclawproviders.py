"""One provider of an OpenClaw configuration."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from daemon.configfiles import Gathered
from daemon.drafts import Value
from daemon.openclaw import read_openclaw
from daemon.redaction import Secret

AT = "openclaw.json: models.providers."


def entry(home: Path, value: Any, **environment: str) -> tuple[dict[str, Value], Gathered]:
    """What is read of one provider."""
    path = home / "openclaw.json"
    path.write_text(json.dumps({"models": {"providers": {"p": value}}}))
    path.chmod(0o600)
    gathered = Gathered()
    sheet = read_openclaw({"OPENCLAW_CONFIG": str(path), **environment}, gathered)
    return dict(sheet.providers["p"]), gathered


@pytest.mark.parametrize(
    ("url", "clean"),
    [
        ("https://a.example/v1///", "https://a.example/v1"),
        (" http://localhost:8080 ", "http://localhost:8080"),
        ("http://[::1]:1/v1", "http://[::1]:1/v1"),
    ],
)
def test_a_base_url_is_cleaned(tmp_path: Path, url: str, clean: str) -> None:
    assert entry(tmp_path, {"baseUrl": url})[0]["base_url"].value == clean


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("https://me:canary@a.example/v1", "user or a password"),
        ("https://canary@a.example/v1", "user or a password"),
        ("https://a.example/v1#canary", "fragment"),
        ("https://a.example/v1?key=canary", "query"),
        ("ftp://canary", "no http"),
        ("canary", "no http"),
        ("https://", "no http"),
        ("https://a:canary/", "is no address"),
        ("http://[canary/", "is no address"),
        ("https://a b/canary", "blank"),
        ("https://a.example/\u0000canary", "control character"),
        ("https://a.example/\ncanary", "control character"),
        ("", "is no text"),
        (5, "is no text"),
        (["canary"], "is no text"),
    ],
)
def test_a_bad_base_url_fails_its_provider_and_is_not_repeated(
    tmp_path: Path, url: Any, said: str
) -> None:
    problem = entry(tmp_path, {"baseUrl": url})[0]["base_url"].problem
    assert problem is not None
    assert problem.code == "config_invalid"
    assert f"{AT}p.baseUrl" in problem.message
    assert said in problem.message
    assert "canary" not in problem.message


def test_a_provider_that_is_no_object_fails_alone(tmp_path: Path) -> None:
    problem = entry(tmp_path, "canary")[0]["base_url"].problem
    assert problem is not None
    assert problem.message == f"{AT}p is no object"


def test_the_ways_in_which_a_key_is_shown(tmp_path: Path) -> None:
    values, _ = entry(tmp_path, {"apiKey": "k-canary", "authHeader": True})
    assert (values["key_header"].value, values["key_prefix"].value) == ("authorization", "Bearer ")
    auth: dict[str, Any] = {"mode": "authorization-bearer", "token": "t-canary"}
    values, _ = entry(tmp_path, {"apiKey": "k-canary", "request": {"auth": auth}})
    assert values["key"].value == Secret("t-canary")
    assert (values["key_header"].value, values["key_prefix"].value) == ("authorization", "Bearer ")
    auth = {"mode": "header", "headerName": "X-Goog-Api-Key", "value": "$V"}
    values, _ = entry(tmp_path, {"request": {"auth": auth}}, V="v-canary")
    assert values["key"].value == Secret("v-canary")
    assert (values["key_header"].value, values["key_prefix"].value) == ("x-goog-api-key", "")
    values, _ = entry(tmp_path, {"request": {"auth": {**auth, "headerName": "a b"}}})
    assert values["key_header"].problem is not None
    values, _ = entry(tmp_path, {"apiKey": "k", "request": {"auth": {"mode": "provider-default"}}})
    assert set(values) == {"key"}


@pytest.mark.parametrize("way", ["oauth", "aws-sdk"])
def test_keys_that_lie_elsewhere_are_not_sent(tmp_path: Path, way: str) -> None:
    values, gathered = entry(tmp_path, {"apiKey": "canary", "auth": way})
    assert values["key"].value is None
    assert "cannot be read here" in gathered.notes[0]


@pytest.mark.parametrize(
    ("more", "note"),
    [
        ({"headers": ["a"]}, "headers is no object"),
        ({"headers": {"a b": "canary"}}, "no header can be called so"),
        ({"request": {"proxy": {"mode": "env-proxy"}}}, "env-proxy"),
        ({"request": {"tls": {"insecureSkipVerify": True}}}, "insecureSkipVerify is ignored"),
        ({"request": {"tls": {"cert": "canary"}}}, "cert is ignored"),
        ({"request": {"tls": {"ca": "-----BEGIN CERTIFICATE-----\ncanary"}}}, "to a file"),
        ({"apiKey": "codex-app-server"}, "marker"),
    ],
)
def test_what_is_ignored_is_noted(tmp_path: Path, more: dict[str, Any], note: str) -> None:
    _, gathered = entry(tmp_path, {"baseUrl": "http://a", **more})
    assert len(gathered.notes) == 1
    assert note in gathered.notes[0]
    assert "canary" not in gathered.notes[0]


def test_bad_values_fail_their_provider(tmp_path: Path) -> None:
    request = {"proxy": {"mode": "explicit-proxy", "url": "canary"}, "tls": {"ca": 5}}
    values, _ = entry(tmp_path, {"api": 5, "headers": {"x": None}, "request": request})
    for name in ("api", "headers.x", "proxy", "ca_file"):
        problem = values[name].problem
        assert problem is not None
        assert problem.code == "config_invalid"
        assert "canary" not in problem.message
