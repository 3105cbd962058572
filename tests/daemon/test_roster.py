"""Who answers calls, who is chosen, and what is told of those who cannot."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from daemon.entries import Configuration, Configured
from daemon.errors import Problem
from daemon.redaction import SIEVE, Secret
from daemon.roster import Roster
from daemon.settings import Settings
from daemon.sites import Limits, Site
from daemon.testing import FrozenClock, ScriptedProvider
from handlers.contract import HandlerError
from handlers.wire import Entry, Provider


class Adapter:
    """Makes scripted providers of entries."""

    apis = frozenset({"openai"})
    key_header = "authorization"
    key_prefix = "Bearer "

    def provider(self, entry: Entry) -> Provider:
        if entry.dialect == "of a plug-in":
            raise KeyError("its own fault")
        if entry.dialect == "broken":
            raise HandlerError("config_invalid", "the dialect is broken", hints=["mend it"])
        operations = frozenset(entry.options.get("can", ["generate_image"]))
        return ScriptedProvider(entry.name, entry.paid, operations)


def configured(name: str, **fields: Any) -> Configured:
    entry = {"api": "openai", "base_url": f"https://{name}.test/v1", **fields.pop("entry", {})}
    given = {
        "key": None,
        "key_header": None,
        "key_prefix": None,
        "limits": Limits(),
        "models": {},
        "sources": {},
        "problem": None,
        "site": Site(entry["base_url"]),
    }
    return Configured(entry=Entry(name, **entry), **{**given, **fields})


def configuration(*providers: Configured, **fields: Any) -> Configuration:
    given = {"preferred": {}, "problem": None, "files": (), "secrets": (), "notes": ()}
    known = {one.entry.name: one for one in providers}
    return Configuration(providers=known, **{**given, **fields})


def roster(known: Configuration | None = None, **settings: Any) -> Roster:
    embedded: Mapping[str, Provider] = {"local": ScriptedProvider("local", paid=False)}
    return Roster(
        Settings(**settings),
        embedded,
        {"openai": Adapter()},
        lambda: known or configuration(),
        FrozenClock(),
    )


BROKEN = Problem("config_invalid", "openclaw.json, line 3: a comma is missing", ("mend it",))


# ---------------------------------------------------------------- who is chosen


def test_with_no_configuration_at_all_the_stand_in_serves() -> None:
    assert roster().default("image") == "local"
    assert roster().service("local").site is None


def test_who_is_set_goes_before_everybody() -> None:
    known = configuration(configured("a"), preferred={"image": "a"})
    assert roster(known, provider="x").default("image") == "x"


def test_what_a_file_prefers_goes_before_its_first_provider() -> None:
    known = configuration(configured("a"), configured("b"), preferred={"image": "b"})
    assert roster(known).default("image") == "b"
    assert roster(known).default("video") == "a"


def test_the_first_provider_that_can_be_used_serves_otherwise() -> None:
    foreign = configured("claude", entry={"api": "anthropic-messages"})
    without = configured("b", problem=Problem("config_missing", "$B_KEY is not set"))
    assert roster(configuration(foreign, without, configured("c"))).default("image") == "c"


def test_where_none_can_be_used_the_first_tells_why_and_no_stand_in_serves() -> None:
    known = configuration(configured("b", problem=Problem("config_missing", "$B_KEY is not set")))
    chosen = roster(known).default("image")
    assert chosen == "b"
    with pytest.raises(HandlerError, match="B_KEY"):
        roster(known).service(chosen)


def test_a_file_that_cannot_be_read_makes_nobody_the_default() -> None:
    chosen = roster(configuration(problem=BROKEN)).default("image")
    assert chosen == ""
    with pytest.raises(HandlerError, match="line 3") as caught:
        roster(configuration(problem=BROKEN)).service(chosen)
    assert (caught.value.code, caught.value.hints) == ("config_invalid", ("mend it",))


def test_the_stand_in_can_be_asked_for_though_a_file_cannot_be_read() -> None:
    assert roster(configuration(problem=BROKEN)).service("local").provider.name == "local"


# ---------------------------------------------------------------- who there is


def test_a_provider_that_is_not_there_is_told_with_those_that_are() -> None:
    with pytest.raises(HandlerError) as caught:
        roster(configuration(configured("paper"))).service("papier")
    assert caught.value.code == "provider_not_found"
    assert "local, paper" in caught.value.hints[0]


def test_one_that_cannot_do_it_is_told_with_those_that_can() -> None:
    painter = configured("painter", entry={"options": {"can": ["edit_image"]}})
    known = roster(configuration(configured("a"), painter))
    with pytest.raises(HandlerError) as caught:
        known.service("a", "edit_image")
    assert caught.value.code == "not_supported"
    assert caught.value.hints == ("These can: painter.",)
    assert known.service("painter", "edit_image").provider.name == "painter"


@pytest.mark.parametrize(
    ("entry", "code"),
    [
        ({"api": "anthropic-messages"}, "not_supported"),
        ({"dialect": "broken"}, "config_invalid"),
        ({"dialect": "of a plug-in"}, "internal"),
    ],
)
def test_one_that_cannot_be_made_is_told_why(entry: dict[str, str], code: str) -> None:
    with pytest.raises(HandlerError) as caught:
        roster(configuration(configured("a", entry=entry))).service("a")
    assert caught.value.code == code


# ---------------------------------------------------------------- keys


@pytest.mark.parametrize(
    ("fields", "header", "shown"),
    [
        ({}, "authorization", "Bearer k-12345"),
        ({"key_header": "x-key"}, "x-key", "k-12345"),
        ({"key_header": "authorization"}, "authorization", "Bearer k-12345"),
        ({"key_header": "x-key", "key_prefix": "Key "}, "x-key", "Key k-12345"),
        ({"key_prefix": "Token "}, "authorization", "Token k-12345"),
    ],
)
def test_a_key_goes_where_the_configuration_or_else_the_adapter_says(
    fields: dict[str, str], header: str, shown: str
) -> None:
    known = configuration(configured("a", key=Secret("k-12345"), **fields))
    site = roster(known).service("a").site
    assert site is not None
    assert {name: value.reveal() for name, value in site.headers.items()} == {header: shown}


def test_a_header_that_is_configured_goes_before_the_key() -> None:
    site = Site("https://a.test/v1", {"authorization": Secret("Basic abc")})
    one = configured("a", key=Secret("k-12345"), site=site)
    service = roster(configuration(one)).service("a")
    assert service.site is not None
    assert service.site.headers["authorization"].reveal() == "Basic abc"


def test_every_secret_that_was_read_is_taken_out_of_texts_from_then_on() -> None:
    roster(configuration(secrets=(Secret("canary-roster-1"),))).names()
    assert "canary-roster-1" not in SIEVE.text("it said canary-roster-1")


# ---------------------------------------------------------------- models and limits


@pytest.mark.parametrize(
    ("operation", "kind"),
    [("generate_image", "image"), ("edit_image", "edit"), ("generate_video", "video")],
)
def test_a_model_is_the_one_that_is_set_then_the_configured_one(operation: str, kind: str) -> None:
    known = configuration(configured("a", models={kind: "m-file"}))
    assert roster(known, **{f"{kind}_model": "m-set"}).model("a", operation) == ("m-set", None)
    assert roster(known).model("a", operation) == ("m-file", None)


def test_without_a_model_a_placeholder_is_sent_with_a_warning() -> None:
    model, warning = roster(configuration(configured("a"))).model("a", "generate_image")
    assert model == "image-model"
    assert warning is not None
    assert "OPENCLAW_MEDIA_IMAGE_MODEL" in warning


def test_an_embedded_provider_needs_no_model() -> None:
    assert roster().model("local", "generate_image") == (None, None)


def test_limits_are_the_providers_own_or_those_of_the_settings() -> None:
    strict = configured("a", limits=Limits(concurrency=1, on_ambiguous="retry"))
    known = roster(configuration(strict, configured("b")), provider_concurrency=7)
    assert [known.concurrency(name) for name in ("a", "b", "local", "nosuch")] == [1, 7, 7, 7]
    assert [known.on_ambiguous(name) for name in ("a", "b", "nosuch")] == ["retry", "fail", "fail"]


# ---------------------------------------------------------------- a file that changes


def test_a_file_that_changed_is_read_again(tmp_path: Path) -> None:
    file, clock, readings = tmp_path / "darkroom.toml", FrozenClock(), []

    def load() -> Configuration:
        readings.append(file.exists())
        names = file.read_text().split() if file.exists() else []
        return configuration(*map(configured, names), files=(file,))

    known = Roster(Settings(), {}, {"openai": Adapter()}, load, clock)
    assert known.names() == []
    for content in ("a", "a b", "c"):
        before = len(readings)
        file.write_text(content)
        os.utime(file, (len(readings), len(readings)))
        clock.advance(0.5)
        assert len(readings) == before  # nobody looks more often than once a second
        clock.advance(0.6)
        assert known.names() == content.split()
    assert len(readings) == 4
    clock.advance(60)
    assert known.names() == ["c"]
    assert len(readings) == 4
