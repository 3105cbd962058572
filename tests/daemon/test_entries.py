"""The user's providers, all files merged."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.entries import WELL_KNOWN, Configuration, load_configuration
from daemon.redaction import Secret
from daemon.sites import Limits, Site
from handlers.wire import Entry
from tests.examples import examples


def write(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    path.chmod(0o600)


class Place:
    """A root and a home, each with or without a file."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "root"
        self.home = folder / "home"
        self.root.mkdir()
        self.home.mkdir()

    def load(self, toml: str | None = None, openclaw: Any = None, **env: str) -> Configuration:
        if toml is not None:
            write(self.root / "darkroom.toml", toml)
        if openclaw is not None:
            write(self.home / ".openclaw" / "openclaw.json", openclaw)
        return load_configuration(self.root, {"HOME": str(self.home), **env})


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_with_no_file_at_all_there_is_nothing_and_no_problem(place: Place) -> None:
    configuration = place.load()
    assert configuration == Configuration(
        {},
        {},
        None,
        (place.root / "darkroom.toml", place.home / ".openclaw" / "openclaw.json"),
        (),
        (),
    )


def test_the_same_provider_in_both_is_merged_value_by_value(place: Place) -> None:
    theirs = {
        "baseUrl": "https://api.example/other",
        "apiKey": "canary-theirs",
        "api": "openai-completions",
        "headers": {"X-A": "theirs", "X-B": "theirs"},
    }
    ours = """
    [providers.both]
    base_url = "https://api.example/v1"
    concurrency = 3
    image_model = "m"
    headers = { x-a = "ours" }
    options = { a = 1 }
    """
    both = place.load(ours, {"models": {"providers": {"both": theirs}}}).providers["both"]
    url = "https://api.example/v1"
    assert both.entry == Entry("both", url, "openai-completions", options={"a": 1})
    assert both.site == Site(url, {"x-a": Secret("ours"), "x-b": Secret("theirs")})
    assert both.key == Secret("canary-theirs")
    assert (both.key_header, both.key_prefix) == (None, None)
    assert both.limits == Limits(concurrency=3)
    assert both.models == {"image": "m"}
    assert both.problem is None
    assert both.sources == {
        "base_url": "darkroom.toml: providers.both.base_url",
        "key": "openclaw.json: models.providers.both.apiKey",
        "api": "openclaw.json: models.providers.both.api",
        "headers.x-a": "darkroom.toml: providers.both.headers.x-a",
        "headers.x-b": "openclaw.json: models.providers.both.headers.X-B",
        "concurrency": "darkroom.toml: providers.both.concurrency",
        "models.image": "darkroom.toml: providers.both.image_model",
        "options": "darkroom.toml: providers.both.options",
    }


@pytest.mark.parametrize("address", ["https://ours.example/v1", "http://api.example/v1"])
def test_a_key_is_never_shown_to_another_origin_than_its_own_files(
    place: Place, address: str
) -> None:
    theirs = {
        "baseUrl": "https://api.example/v1",
        "apiKey": "canary-theirs",
        "headers": {"X-B": "canary-header"},
    }
    found = place.load(
        f"[providers.both]\nbase_url = '{address}'", {"models": {"providers": {"both": theirs}}}
    )
    both = found.providers["both"]
    assert (both.key, both.site) == (None, Site(address))
    assert any("belong to another address" in note for note in found.notes)


def test_everything_of_darkroom_toml_arrives(place: Place) -> None:
    toml = """
    [providers.p]
    base_url = "http://127.0.0.1:1"
    api_key = "canary"
    key_header = "X-Key"
    key_prefix = "Key "
    dialect = "sdcpp"
    paid = false
    idempotency_header = "Idempotency-Key"
    on_ambiguous = "retry"
    requests_per_minute = 0.5
    video_model = "v"
    ca_file = "ca.pem"
    proxy = "http://proxy:1"
    """
    one = place.load(toml).providers["p"]
    url = "http://127.0.0.1:1"
    assert one.entry == Entry("p", url, "openai", "sdcpp", False, "idempotency-key", {})
    assert one.site == Site(url, {}, place.root / "ca.pem", Secret("http://proxy:1"))
    assert (one.key, one.key_header, one.key_prefix) == (Secret("canary"), "x-key", "Key ")
    assert one.limits == Limits(None, 0.5, "retry")
    assert one.models == {"video": "v"}


def test_a_value_that_is_written_over_is_not_needed(place: Place) -> None:
    theirs = {"p": {"baseUrl": "${NO}", "apiKey": "${NO}"}}
    toml = "[providers.p]\nbase_url = 'http://a'\napi_key = 'canary'"
    one = place.load(toml, {"models": {"providers": theirs}}).providers["p"]
    assert one.problem is None
    assert one.key == Secret("canary")


def test_a_missing_variable_fails_only_the_provider_that_needs_it(place: Place) -> None:
    good = {"baseUrl": "http://a", "apiKey": "canary-key"}
    providers = {"bad": {**good, "apiKey": "${NO}"}, "good": good}
    configuration = place.load(openclaw={"models": {"providers": providers}})
    assert configuration.problem is None
    assert configuration.providers["good"].problem is None
    bad = configuration.providers["bad"]
    assert bad.key is None
    assert bad.problem is not None
    assert bad.problem.code == "config_missing"
    assert "'bad'" in bad.problem.message
    assert "$NO" in bad.problem.message
    assert bad.problem.hints


def test_all_that_is_wrong_with_a_provider_is_told_at_once(place: Place) -> None:
    problem = place.load("[providers.p]\nconcurency = 1\npaid = 5").providers["p"].problem
    assert problem is not None
    assert problem.code == "config_invalid"
    for part in ("concurency", "providers.p.paid", "no base URL"):
        assert part in problem.message


@pytest.mark.parametrize("name", list(WELL_KNOWN))
def test_a_well_known_name_needs_no_address(place: Place, name: str) -> None:
    one = place.load(f"[providers.{name}]\napi_key = 'canary'").providers[name]
    assert one.problem is None
    assert one.entry.base_url == one.site.base_url == WELL_KNOWN[name]
    assert one.sources["base_url"] == "well known"


def test_any_other_name_needs_one(place: Place) -> None:
    one = place.load("[providers.p]\napi_key = 'canary'").providers["p"]
    assert one.problem is not None
    assert one.problem.code == "config_invalid"
    assert "base_url" in one.problem.hints[0]


def test_the_stand_in_cannot_be_configured(place: Place) -> None:
    configuration = place.load(
        "provider = 'local'\n[providers.local]\nbase_url = 'http://a'",
        {"models": {"providers": {"local": {"baseUrl": "http://b"}, "x": {"baseUrl": "http://c"}}}},
    )
    assert list(configuration.providers) == ["x"]
    assert configuration.preferred == {"image": "local", "video": "local"}
    assert "'local'" in configuration.notes[0]


def test_providers_stand_in_the_order_of_the_files(place: Place) -> None:
    toml = "[providers.z]\nbase_url = 'http://a'\n[providers.a]\nbase_url = 'http://a'"
    theirs = {name: {"baseUrl": "http://a"} for name in ("m", "a", "b")}
    configuration = place.load(toml, {"models": {"providers": theirs}})
    assert list(configuration.providers) == ["z", "a", "m", "b"]


AGENTS = {"defaults": {"mediaModels": {"image": {"primary": "one/m/1"}, "video": "two/m2"}}}


def test_what_openclaw_prefers_is_preferred_where_it_is_configured(place: Place) -> None:
    providers = {"one": {"baseUrl": "http://a"}}
    configuration = place.load(openclaw={"models": {"providers": providers}, "agents": AGENTS})
    assert configuration.preferred == {"image": "one"}
    assert configuration.providers["one"].models == {"image": "m/1"}
    assert list(configuration.providers) == ["one"]
    assert "videos with two" in configuration.notes[0]


def test_what_darkroom_toml_prefers_comes_first(place: Place) -> None:
    toml = "provider = 'two'\n[providers.one]\nbase_url = 'http://a'\nimage_model = 'mine'"
    configuration = place.load(toml, {"agents": AGENTS})
    assert configuration.preferred == {"image": "two", "video": "two"}
    assert configuration.providers["one"].models == {"image": "mine"}


def test_a_file_that_cannot_be_taken_leaves_the_other(place: Place) -> None:
    good = {"models": {"providers": {"p": {"baseUrl": "http://a"}}}}
    configuration = place.load("canary\n", good)
    assert configuration.problem is not None
    assert "darkroom.toml: line 1" in configuration.problem.message
    assert list(configuration.providers) == ["p"]
    configuration = place.load("canary\n", "{canary")
    assert configuration.problem is not None
    assert "darkroom.toml" in configuration.problem.message
    assert "openclaw.json: line 1" in configuration.notes[0]
    assert "canary" not in repr(configuration)


def test_nothing_is_changed_by_a_reading(place: Place) -> None:
    before = dict(os.environ)
    configuration = place.load("", {"env": {"DARKROOM_X": "1"}})
    assert dict(os.environ) == before
    with pytest.raises(dataclasses.FrozenInstanceError):
        configuration.problem = None  # type: ignore[misc]


# ---------------------------------------------------------------- whatever stands there

CANARY = "canary-5ecret"
TEXTS = st.sampled_from(
    [
        CANARY,
        f"${{NO:-{CANARY}}}",
        "${KEY}",
        "$KEY",
        "KEY",
        f"https://me:{CANARY}@a/",
        f"https://a/?key={CANARY}",
        f"{CANARY}\n",
        f"oauth:{CANARY}",
        "http://a",
    ]
)
ANY = TEXTS | st.integers() | st.none() | st.dictionaries(st.sampled_from(["a", "id"]), TEXTS)
HEADERS = st.dictionaries(st.sampled_from(["x-a", "a b", "Authorization"]), ANY) | TEXTS
AUTH = st.fixed_dictionaries(
    {"mode": st.sampled_from(["header", "authorization-bearer", "none"])},
    optional={"headerName": st.sampled_from(["X-A", "a b"]), "value": ANY, "token": ANY},
)
PROXY = st.fixed_dictionaries({"mode": st.just("explicit-proxy")}, optional={"url": ANY})
REQUEST = {"headers": HEADERS, "auth": AUTH | ANY, "proxy": PROXY | ANY, "tls": ANY}
ENTRY = st.fixed_dictionaries(
    {},
    optional={
        "baseUrl": ANY,
        "apiKey": ANY,
        "auth": ANY,
        "authHeader": st.booleans(),
        "headers": HEADERS,
        "request": st.fixed_dictionaries({}, optional=REQUEST) | ANY,
    },
)
OURS = st.dictionaries(
    st.sampled_from(["api_key", "headers", "proxy", "base_url", "concurrency", "nope"]), TEXTS
)


@settings(max_examples=examples(150))
@given(ENTRY, OURS)
def test_no_secret_is_shown(
    tmp_path_factory: pytest.TempPathFactory, theirs: Any, ours: dict[str, str]
) -> None:
    folder = tmp_path_factory.getbasetemp() / "shown"
    write(folder / "openclaw.json", {"models": {"providers": {"p": theirs}}})
    lines = [f"{key} = {json.dumps(text)}" for key, text in ours.items()]
    write(folder / "darkroom.toml", "\n".join(["[providers.p]", *lines]))
    environment = {"OPENCLAW_CONFIG": str(folder / "openclaw.json"), "KEY": CANARY}
    configuration = load_configuration(folder, environment)
    assert configuration.problem is None
    assert CANARY not in repr(configuration)


@settings(max_examples=examples(100))
@given(st.binary(max_size=30), st.binary(max_size=30))
def test_no_bytes_break_it(
    tmp_path_factory: pytest.TempPathFactory, toml: bytes, openclaw: bytes
) -> None:
    folder = tmp_path_factory.getbasetemp() / "bytes"
    folder.mkdir(exist_ok=True)
    (folder / "darkroom.toml").write_bytes(toml)
    (folder / "openclaw.json").write_bytes(openclaw)
    environment = {"OPENCLAW_CONFIG": str(folder / "openclaw.json")}
    assert isinstance(load_configuration(folder, environment), Configuration)


@pytest.mark.parametrize(
    ("address", "noted"),
    [
        ("http://api.example/v1", True),
        ("http://93.184.215.14/v1", True),
        ("https://api.example/v1", False),
        ("http://127.0.0.1:8080", False),
        ("http://192.168.1.20:8080", False),
        ("http://localhost:8080", False),
        ("http://workstation:8080", False),
        ("http://gpu.local", False),
    ],
)
def test_a_key_that_others_could_read_on_its_way_is_noted(
    place: Place, address: str, *, noted: bool
) -> None:
    found = place.load(f"[providers.p]\nbase_url = '{address}'\napi_key = '$KEY'", KEY="canary")
    assert any("unencrypted" in note for note in found.notes) is noted
    assert not any(
        "unencrypted" in n for n in place.load(f"[providers.p]\nbase_url = '{address}'").notes
    )


def test_a_header_that_only_names_somebody_is_no_secret(place: Place) -> None:
    toml = """
    [providers.p]
    base_url = "https://api.example/v1"
    api_key = "canary-key"
    headers = { X-Title = "darkroom", HTTP-Referer = "https://me.example", X-Auth-Token = "canary-t", X-Who = "$WHO" }
    """
    found = place.load(toml, WHO="canary-who")
    assert set(found.secrets) == {Secret("canary-key"), Secret("canary-t"), Secret("canary-who")}
    assert found.providers["p"].site.headers["x-title"] == Secret("darkroom")
