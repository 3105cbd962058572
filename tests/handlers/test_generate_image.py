"""generate_image: the prompt unchanged, only what was given, each picture an artifact."""

import asyncio
from typing import Any

import pytest
from pydantic import ValidationError

from handlers.contract import Artifact, Call, HandlerError, Medium, Outcome
from handlers.generate_image import Request, run


class Context:
    """A context that answers with one outcome and remembers what it was asked."""

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome
        self.asked: list[tuple[str, Call]] = []
        self.kept: list[tuple[str, Medium, str]] = []

    async def ask(self, step: str, call: Call) -> Outcome:
        self.asked.append((step, call))
        return self.outcome

    async def keep(
        self, step: str, medium: Medium, *, prefix: str, role: str = "output"
    ) -> Artifact:
        assert role == "output"
        self.kept.append((step, medium, prefix))
        return Artifact("x", "output", "image", "image/png", 1, "a", 1, 1)

    async def progress(self, message: str, fraction: float | None = None) -> None: ...

    def warn(self, message: str) -> None: ...


def ran(outcome: Outcome, **fields: Any) -> Context:
    context = Context(outcome)
    request = Request.model_validate({"prompt": "x", **fields})
    asyncio.run(run(request, context))  # type: ignore[arg-type]
    return context


MEDIA = (Medium(b"one"), Medium(b"two"))


def test_the_provider_is_asked_once_for_what_was_given_and_nothing_else() -> None:
    context = ran(Outcome(MEDIA), prompt="  a {cat} ü ", n=2, seed=0, nsfw=False)
    assert context.asked == [
        (
            "generate",
            Call("generate_image", {"prompt": "  a {cat} ü ", "n": 2, "seed": 0, "nsfw": False}),
        )
    ]


def test_mode_is_for_old_manifests_and_not_for_the_provider() -> None:
    assert ran(Outcome(MEDIA), mode="image").asked[0][1].fields == {"prompt": "x"}


def test_each_picture_is_kept_in_the_providers_order() -> None:
    assert ran(Outcome(MEDIA)).kept == [
        ("picture 1", MEDIA[0], "generated"),
        ("picture 2", MEDIA[1], "generated"),
    ]


def test_an_answer_without_a_picture_is_a_failure() -> None:
    with pytest.raises(HandlerError) as caught:
        ran(Outcome())
    assert caught.value.code == "no_media"
    assert caught.value.hints


def test_an_answer_that_tells_where_its_pictures_are_is_none() -> None:
    assert ran(Outcome(references=({"url": "https://example.org/x.png"},))).kept == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("size", "auto"),
        ("size", "1x1"),
        ("size", "99999x99999"),
        ("aspect_ratio", "1:1"),
        ("aspect_ratio", "999:1"),
        ("n", 10),
        ("output_format", "webp"),
        ("preset", True),
        ("preset", "x"),
        ("negative_prompt", ""),
    ],
)
def test_values_at_the_edge_are_taken(name: str, value: Any) -> None:
    assert getattr(Request.model_validate({"prompt": "x", name: value}), name) == value


@pytest.mark.parametrize(
    ("name", "value"),
    [("size", "1024X1024"), ("size", "01x1"), ("aspect_ratio", "16x9"), ("n", 11), ("zzz", 1)],
)
def test_others_are_not(name: str, value: Any) -> None:
    with pytest.raises(ValidationError):
        Request.model_validate({"prompt": "x", name: value})


def test_a_request_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        Request(prompt="x").prompt = "y"  # type: ignore[misc]
