"""Calls for pictures in a chat."""

from typing import Any

from handlers.openai_shape.table import DIALECTS
from tests.handlers.driving import B64, PNG, call, drive, provider, reply, sent_by


def of(dialect: str, **more: Any) -> Any:
    return provider(DIALECTS[dialect].example, dialect=dialect, **more)


def test_a_chat_is_asked_for_where_the_entry_says_so() -> None:
    made = of("openrouter", options={"images": "chat"})
    sent = sent_by(made, call(model="m/x", aspect_ratio="16:9", n=1, seed=3))
    assert sent.url == "https://openrouter.ai/api/v1/chat/completions"
    assert sent.json == {
        "model": "m/x",
        "messages": [{"role": "user", "content": "a lighthouse"}],
        "modalities": ["image", "text"],
        "image_config": {"aspect_ratio": "16:9"},
        "seed": 3,
    }


def test_an_endpoint_of_chats_makes_a_chat_and_pictures_go_along_as_parts() -> None:
    asked = call(
        "edit_image",
        model="black-forest-labs/flux",
        endpoint="/chat/completions",
        inputs={"image": PNG},
        n=3,
    )
    outcome, (sent,) = drive(provider().submit(asked), [reply({"data": [{"b64_json": B64}]})])
    (message,) = sent.json["messages"]
    assert message["content"] == [
        {"type": "text", "text": "a lighthouse"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{B64}"}},
    ]
    assert sent.json["modalities"] == ["image"]
    assert "n" in outcome.warnings[0]
