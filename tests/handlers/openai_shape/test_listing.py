"""Asked for free: where models are listed, and what a server's answer to that is read as."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handlers.contract import HandlerError
from handlers.openai_shape.table import DIALECTS
from handlers.wire import HttpReply, Probe, Probed
from tests.examples import examples
from tests.handlers.answers.test_waits import JSON
from tests.handlers.driving import drive, provider, reply

LIST = {"object": "list", "data": [{"id": "a"}, {"id": "b", "shutdown_date": "2026-12-01"}]}
MODELS = {"a": None, "b": "2026-12-01"}


def probed(*replies: HttpReply, base: str = "https://relay.example/v1", **more: Any) -> Probe:
    """What a server is, by its replies; every one of them was asked for by a free GET."""
    probe, sent = drive(provider(base, **more).probe(), replies)
    assert {(one.method, one.creates, one.json) for one in sent} == {("GET", None, None)}
    assert isinstance(probe, Probe)
    return probe


def failure(*replies: HttpReply, **more: Any) -> HandlerError:
    with pytest.raises(HandlerError) as caught:
        probed(*replies, **more)
    return caught.value


# ---------------------------------------------------------------- where


AZURE = "https://r.openai.azure.com"


@pytest.mark.parametrize(
    ("base", "more", "urls"),
    [
        ("http://h.example:81", {}, ["http://h.example:81/v1/models"]),
        ("http://h.example/proxy", {}, ["http://h.example/proxy/models"]),
        ("https://h.example/api/v1", {}, ["https://h.example/api/v1/models"]),
        ("https://api.openai.com/v1", {}, ["https://api.openai.com/v1/models"]),
        (
            "https://openrouter.ai/api/v1",
            {},
            [
                "https://openrouter.ai/api/v1/key",
                "https://openrouter.ai/api/v1/models?output_modalities=all",
            ],
        ),
        (AZURE, {}, [f"{AZURE}/openai/models?api-version=2025-04-01-preview"]),
        (
            f"{AZURE}/openai/deployments/here/",
            {"options": {"api_version": "2024-10-21"}},
            [f"{AZURE}/openai/models?api-version=2024-10-21"],
        ),
        (f"{AZURE}/openai/v1", {}, [f"{AZURE}/openai/v1/models?api-version=preview"]),
    ],
)
def test_models_are_listed_below_the_base_url(base: str, more: Any, urls: list[str]) -> None:
    _, sent = drive(provider(base, **more).probe(), [reply({"data": []})] * len(urls))
    assert [one.url for one in sent] == urls


@pytest.mark.parametrize("dialect", sorted(DIALECTS))
def test_a_server_of_every_dialect_can_be_asked(dialect: str) -> None:
    made = provider(dialect=dialect)
    assert isinstance(made, Probed)
    probe, sent = drive(made.probe(), [reply(LIST)] * 2)
    assert probe.models == MODELS
    assert all(one.method == "GET" for one in sent)


# ---------------------------------------------------------------- lists


@pytest.mark.parametrize(
    ("body", "models"),
    [
        (LIST, MODELS),
        (LIST["data"], MODELS),
        ({"models": [{"id": "a"}]}, {"a": None}),
        ({"data": ["a", "b"]}, {"a": None, "b": None}),
        ({"data": []}, {}),
        ({"data": [{"id": 7}, {"name": "x"}, None, 3, {"id": "a"}]}, {"a": None}),
        ({"data": [{"id": "a", "shutdown_date": None}]}, {"a": None}),
        ({"data": [{"id": "a", "shutdown_date": "soon\x1b[2J"}]}, {"a": None}),
        ({"data": [{"id": "a" * 900}]}, {"a" * 200: None}),
        ({"hello": "world"}, None),
        ({"data": "none"}, None),
        ("hello", None),
    ],
)
def test_a_list_is_read_in_each_of_its_forms(body: Any, models: Any) -> None:
    assert probed(reply(body)).models == models


@pytest.mark.parametrize("status", [404, 405])
def test_a_server_without_a_list_is_one_all_the_same(status: int) -> None:
    assert probed(reply(b"<html>404</html>", status)) == Probe(None)


def test_of_azure_a_call_names_a_deployment_which_is_not_listed() -> None:
    assert not probed(reply(LIST), base=AZURE).are_all
    assert probed(reply(LIST)).are_all


# ---------------------------------------------------------------- keys


@pytest.mark.parametrize(
    ("dialect", "replies", "checked"),
    [
        ("openai", [reply(LIST)], True),
        ("openai", [reply({}, 404)], False),
        ("openai", [reply({"hello": 1})], False),
        ("compatible", [reply(LIST)], False),
        ("openrouter", [reply({"data": {"label": "x"}}), reply(LIST)], True),
        ("openrouter", [reply({"data": {"label": "x"}}), reply({}, 404)], True),
        ("openrouter", [reply({}, 404), reply(LIST)], False),
        ("openrouter", [reply(b"<html>"), reply(LIST)], False),
    ],
)
def test_a_key_is_called_good_only_where_the_server_looked_at_it(
    dialect: str, replies: list[HttpReply], checked: bool
) -> None:
    assert probed(*replies, dialect=dialect).checked_key is checked


def test_a_bad_key_ends_it_before_the_list_that_everybody_may_see() -> None:
    assert failure(reply({"error": "no"}, 401), dialect="openrouter").code == "provider_auth"


# ---------------------------------------------------------------- failures


@pytest.mark.parametrize(
    ("answer", "code", "words"),
    [
        (reply({"error": {"message": "Incorrect key"}}, 401), "provider_auth", "Incorrect key"),
        (reply({}, 403), "provider_auth", "403"),
        (reply({}, 402), "provider_quota", "402"),
        (reply({}, 429), "provider_rate_limited", "429"),
        (reply(b"", 500), "provider_unavailable", "500"),
        (reply(b"", 302, {"location": "https://x.example/?a=b"}), "provider_rejected", "x.example"),
        (reply(b"<!doctype html><title>Sign in</title>"), "provider_failed", "web page"),
        (reply(b"hello"), "provider_failed", "no JSON"),
        (reply(b'{"data": [{"id'), "provider_failed", "no JSON"),
        (reply(b""), "provider_failed", "no JSON"),
        (reply({"error": {"message": "overloaded"}}), "provider_failed", "overloaded"),
    ],
)
def test_a_refusal_is_the_failure_that_it_is_elsewhere(
    answer: HttpReply, code: str, words: str
) -> None:
    found = failure(answer)
    assert (found.code, words in found.message) == (code, True), found.message
    assert found.http is not None
    assert found.http["status"] == answer.status


@settings(max_examples=examples(60))
@given(body=st.one_of(JSON, st.binary()), status=st.integers(200, 599))
def test_whatever_answers_is_a_probe_or_a_failure(body: Any, status: int) -> None:
    try:
        probe = probed(reply(body, status))
    except HandlerError:
        return
    assert probe.models is None or all(isinstance(name, str) for name in probe.models)
