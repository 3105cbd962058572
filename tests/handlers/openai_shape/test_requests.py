"""What is sent: only what the caller gave, in the words of each server."""

import re
from typing import Any

import pytest

from handlers.openai_shape.table import DIALECTS
from handlers.wire import HttpCall
from tests.handlers.driving import B64, call, drive, provider, reply, sent_by

EVERYTHING: dict[str, Any] = {
    "size": "1536x1024",
    "aspect_ratio": "16:9",
    "quality": "high",
    "style": "vivid",
    "background": "opaque",
    "n": 2,
    "seed": 7,
    "output_format": "webp",
    "negative_prompt": "fog",
    "nsfw": False,
    "preset": "film",
}
BASES = {name: dialect.example for name, dialect in DIALECTS.items()}


def of(dialect: str, **more: Any) -> Any:
    return provider(BASES[dialect], dialect=dialect, **more)


def warnings_of(dialect: str, **fields: Any) -> tuple[str, ...]:
    outcome, _ = drive(of(dialect).submit(call(**fields)), [reply({"data": [{"b64_json": B64}]})])
    warnings: tuple[str, ...] = outcome.warnings
    return warnings


# ---------------------------------------------------------------- generate

GENERATE: dict[str, tuple[str, dict[str, Any]]] = {
    "compatible": ("http://127.0.0.1:4000/v1/images/generations", dict(EVERYTHING)),
    "openai": (
        "https://api.openai.com/v1/images/generations",
        {
            "size": "1536x1024",
            "quality": "high",
            "style": "vivid",
            "background": "opaque",
            "n": 2,
            "output_format": "webp",
        },
    ),
    "azure": (
        (
            "https://NAME.openai.azure.com/openai/deployments/m/images/generations"
            "?api-version=2025-04-01-preview"
        ),
        {
            "size": "1536x1024",
            "quality": "high",
            "style": "vivid",
            "background": "opaque",
            "n": 2,
            "output_format": "webp",
        },
    ),
    "localai": (
        "http://127.0.0.1:8080/v1/images/generations",
        {
            "prompt": "a lighthouse|fog",
            "size": "1536x1024",
            "quality": "high",
            "n": 2,
            "seed": 7,
            "response_format": "b64_json",
        },
    ),
    "sdcpp": (
        "http://127.0.0.1:1234/v1/images/generations",
        {
            "prompt": 'a lighthouse <sd_cpp_extra_args>{"seed": 7, "negative_prompt": "fog"}'
            "</sd_cpp_extra_args>",
            "size": "1536x1024",
            "n": 2,
            "output_format": "webp",
        },
    ),
    "vllm-omni": (
        "http://127.0.0.1:8000/v1/images/generations",
        {"size": "1536x1024", "n": 2, "seed": 7, "negative_prompt": "fog"},
    ),
    "sglang": (
        "http://127.0.0.1:30000/v1/images/generations",
        {
            "size": "1536x1024",
            "quality": "high",
            "style": "vivid",
            "background": "opaque",
            "n": 2,
            "seed": 7,
            "output_format": "webp",
            "negative_prompt": "fog",
            "response_format": "b64_json",
        },
    ),
    "together": (
        "https://api.together.xyz/v1/images/generations",
        {
            "width": 1536,
            "height": 1024,
            "n": 2,
            "seed": 7,
            "output_format": "webp",
            "negative_prompt": "fog",
            "response_format": "base64",
        },
    ),
    "xai": (
        "https://api.x.ai/v1/images/generations",
        {"aspect_ratio": "16:9", "quality": "high", "n": 2, "response_format": "b64_json"},
    ),
    "openrouter": (
        "https://openrouter.ai/api/v1/images",
        {
            "size": "1536x1024",
            "aspect_ratio": "16:9",
            "quality": "high",
            "background": "opaque",
            "n": 2,
            "seed": 7,
            "output_format": "webp",
        },
    ),
}


def test_every_dialect_has_a_golden_body() -> None:
    assert GENERATE.keys() == DIALECTS.keys()


@pytest.mark.parametrize("dialect", GENERATE)
def test_a_generation_is_phrased_as_its_server_knows_it(dialect: str) -> None:
    url, body = GENERATE[dialect]
    sent = sent_by(of(dialect), call(model="m", **EVERYTHING))
    assert sent == HttpCall(
        "POST", url, json={"model": "m", "prompt": "a lighthouse", **body}, creates="image"
    )


@pytest.mark.parametrize("dialect", GENERATE)
def test_what_a_server_does_not_know_is_named_in_a_warning(dialect: str) -> None:
    url_body = GENERATE[dialect][1]
    told = warnings_of(dialect, model="m", **EVERYTHING)
    named = " ".join(text.partition(": ")[2] for text in told if text.startswith("not sent"))
    for name in EVERYTHING:
        sent_otherwise = {
            "size": "width" in url_body,
            "seed": dialect == "sdcpp",
            "negative_prompt": dialect in ("sdcpp", "localai"),
        }.get(name, False)
        assert (name in re.findall(r"\w+", named)) == (
            name not in url_body and not sent_otherwise
        ), name


@pytest.mark.parametrize("dialect", GENERATE)
def test_nothing_is_sent_that_was_not_given(dialect: str) -> None:
    body = sent_by(of(dialect, options={"deployment": "d"} if dialect == "azure" else {}), call())
    assert body.json == {"prompt": "a lighthouse", **DIALECTS[dialect].defaults}


def test_extra_is_merged_last_and_shallow() -> None:
    sent = sent_by(provider(), call(size="1x1", extra={"size": {"w": 1}, "steps": 4}))
    assert sent.json == {"prompt": "a lighthouse", "size": {"w": 1}, "steps": 4}


def test_extra_is_sent_even_where_the_server_does_not_know_it() -> None:
    sent = sent_by(of("xai"), call(extra={"seed": 3}))
    assert sent.json["seed"] == 3


def test_the_callers_own_values_win_over_the_defaults_of_a_dialect() -> None:
    sent = sent_by(of("xai"), call(extra={"response_format": "url"}))
    assert sent.json["response_format"] == "url"


def test_sglang_warns_of_its_fixed_seed() -> None:
    (told,) = warnings_of("sglang")
    assert "1024" in told
    assert warnings_of("sglang", seed=1) == ()


def test_a_bar_in_a_prompt_for_localai_is_warned_of_and_takes_no_negative_prompt() -> None:
    asked = call(negative_prompt="fog", prompt="a | b")
    outcome, (sent,) = drive(of("localai").submit(asked), [reply({"data": [{"b64_json": B64}]})])
    assert sent.json["prompt"] == "a | b"
    assert len(outcome.warnings) == 2


def test_what_is_said_to_the_adapter_is_not_sent_and_a_handlers_word_holds_for_the_rest() -> None:
    asked = call(reference_key="refs", status_endpoint_template="/x/{id}", left=5, steps=4)
    assert sent_by(provider(), asked).json == {"prompt": "a lighthouse", "left": 5, "steps": 4}


# ---------------------------------------------------------------- the shape of a picture


@pytest.mark.parametrize(
    ("model", "ratio", "size"),
    [
        ("gpt-image-1", "1:1", "1024x1024"),
        ("gpt-image-1", "6:4", "1536x1024"),
        ("gpt-image-1", "2:3", "1024x1536"),
        ("gpt-image-1", "16:9", None),
        ("gpt-image-2", "16:9", "1536x864"),
        ("gpt-image-2-2026-04-21", "9:16", "864x1536"),
        ("gpt-image-2", "1:3", "720x2160"),
        ("gpt-image-2", "1:4", None),
        ("gpt-image-2", "997:991", None),
    ],
)
def test_openai_gets_a_size_of_just_the_shape_or_none(
    model: str, ratio: str, size: str | None
) -> None:
    asked = call(model=model, aspect_ratio=ratio)
    outcome, (sent,) = drive(of("openai").submit(asked), [reply({"data": [{"b64_json": B64}]})])
    assert sent.json.get("size") == size
    assert "aspect_ratio" not in sent.json
    assert bool(outcome.warnings) == (size is None)


@pytest.mark.parametrize(
    ("size", "ratio"), [("1024x1024", "1:1"), ("1920x1080", "16:9"), ("1000x999", None)]
)
def test_xai_gets_the_shape_of_a_size(size: str, ratio: str | None) -> None:
    sent = sent_by(of("xai"), call(size=size))
    assert sent.json.get("aspect_ratio") == ratio
    assert warnings_of("xai", size=size)


@pytest.mark.parametrize("dialect", ["xai", "together"])
def test_a_size_of_auto_is_left_to_the_server(dialect: str) -> None:
    sent = sent_by(of(dialect), call(size="auto"))
    assert sent.json == {"prompt": "a lighthouse", **DIALECTS[dialect].defaults}
