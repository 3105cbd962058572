"""Where calls go, and which server an entry means."""

from typing import Any

import pytest

from handlers.contract import HandlerError
from handlers.openai_shape.table import dialect_of
from tests.handlers.driving import call, drive, entry, provider, sent_by

# ---------------------------------------------------------------- addresses


@pytest.mark.parametrize(
    ("base", "more", "url"),
    [
        ("https://h.example", {}, "https://h.example/v1/images/generations"),
        ("https://h.example/v1", {}, "https://h.example/v1/images/generations"),
        ("https://h.example/proxy", {}, "https://h.example/proxy/images/generations"),
        ("https://h.example/api/v1", {"endpoint": "/x"}, "https://h.example/api/v1/x"),
        ("https://h.example/v1", {"endpoint": "x/y"}, "https://h.example/v1/x/y"),
        ("https://h.example/v1", {"endpoint": "/v1/x"}, "https://h.example/v1/x"),
        ("https://h.example", {"endpoint": "/v2/x"}, "https://h.example/v2/x"),
    ],
)
def test_a_path_is_put_behind_the_base_url(base: str, more: Any, url: str) -> None:
    assert sent_by(provider(base), call(**more)).url == url


@pytest.mark.parametrize("endpoint", ["https://evil.example/x", "//evil.example", "/a/../../b"])
def test_an_endpoint_is_no_address(endpoint: str) -> None:
    with pytest.raises(HandlerError) as caught:
        drive(provider().submit(call(endpoint=endpoint)))
    assert caught.value.code == "forbidden_address"


@pytest.mark.parametrize(
    ("base", "options", "url"),
    [
        (
            "https://r.openai.azure.com",
            {"deployment": "d e", "api_version": "2025-01-01"},
            (
                "https://r.openai.azure.com/openai/deployments/d%20e/images/generations"
                "?api-version=2025-01-01"
            ),
        ),
        (
            "https://r.openai.azure.com/openai/deployments/here",
            {},
            (
                "https://r.openai.azure.com/openai/deployments/here/images/generations"
                "?api-version=2025-04-01-preview"
            ),
        ),
        (
            "https://r.openai.azure.com/openai/v1",
            {},
            "https://r.openai.azure.com/openai/v1/images/generations?api-version=preview",
        ),
    ],
)
def test_azure_has_paths_of_its_own(base: str, options: Any, url: str) -> None:
    made = provider(base, options=options)
    assert sent_by(made, call()).url == url
    assert (made.key_header, made.key_prefix) == ("api-key", "")


def test_azure_without_a_deployment_is_a_matter_of_configuration() -> None:
    with pytest.raises(HandlerError) as caught:
        drive(provider("https://r.openai.azure.com").submit(call()))
    assert caught.value.code == "config_missing"


def test_an_idempotency_key_goes_where_the_entry_says() -> None:
    made = provider(idempotency_header="Idempotency-Key")
    sent = sent_by(made, call(idempotency_key="k1"))
    assert made.idempotent
    assert sent.headers == {"Idempotency-Key": "k1"}
    assert sent_by(provider(), call(idempotency_key="k1")).headers == {}


# ---------------------------------------------------------------- which dialect


@pytest.mark.parametrize(
    ("base", "more", "dialect"),
    [
        ("https://api.openai.com/v1", {}, "openai"),
        ("https://eu.api.openai.com", {}, "openai"),
        ("https://api.openai.com.evil.example/v1", {}, "compatible"),
        ("https://res.openai.azure.com", {}, "azure"),
        ("https://gateway.example/azure", {"api": "azure-openai-responses"}, "azure"),
        ("https://openrouter.ai/api/v1", {"name": "mine"}, "openrouter"),
        ("https://api.x.ai/v1", {}, "xai"),
        ("https://api.together.xyz/v1", {}, "together"),
        ("http://127.0.0.1:8080/v1", {"name": "LocalAI"}, "localai"),
        ("http://127.0.0.1:1234", {"name": "stable-diffusion.cpp"}, "sdcpp"),
        ("http://127.0.0.1:8000/v1", {"name": "vllm-omni"}, "vllm-omni"),
        ("http://127.0.0.1:30000/v1", {"name": "sglang"}, "sglang"),
        ("http://127.0.0.1:4000", {"name": "openai"}, "compatible"),
        ("https://api.openai.com/v1", {"dialect": "compatible"}, "compatible"),
    ],
)
def test_a_dialect_is_known_by_what_is_said_else_by_host_else_by_name(
    base: str, more: Any, dialect: str
) -> None:
    assert dialect_of(entry(base, **more)).name == dialect


@pytest.mark.parametrize(
    "wrong",
    [
        {"dialect": "klingon"},
        {"base_url": "ftp://h.example"},
        {"base_url": "https://"},
        {"base_url": "https://h.example/v1?key=x"},
        {"base_url": "http://[::1"},
        {"options": {"imagez": "chat"}},
        {"options": {"images": "video"}},
        {"options": {"api_version": 2025}},
        {"options": {"status_path": "/jobs"}},
    ],
)
def test_an_entry_that_cannot_be_meant_so_is_refused_with_a_hint(wrong: Any) -> None:
    with pytest.raises(HandlerError) as caught:
        provider(**wrong)
    assert caught.value.code == "config_invalid"
    assert caught.value.hints
