"""Calls for clips, and for pictures in a chat."""

import json
from typing import Any

import pytest

from handlers.contract import HandlerError
from handlers.openai_shape.table import DIALECTS
from handlers.wire import HttpCall
from tests.handlers.driving import B64, PNG, call, drive, provider, reply, sent_by


def of(dialect: str, **more: Any) -> Any:
    return provider(DIALECTS[dialect].example, dialect=dialect, **more)


# ---------------------------------------------------------------- chat


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


# ---------------------------------------------------------------- clips


@pytest.mark.parametrize(
    ("dialect", "url", "body"),
    [
        (
            "compatible",
            "http://127.0.0.1:4000/v1/videos",
            {"size": "720x1280", "seconds": "8", "fps": 24},
        ),
        (
            "sglang",
            "http://127.0.0.1:30000/v1/videos",
            {"size": "720x1280", "seconds": 8, "fps": 24},
        ),
        (
            "together",
            "https://api.together.xyz/v2/videos",
            {"width": 720, "height": 1280, "seconds": "8", "fps": 24},
        ),
        ("xai", "https://api.x.ai/v1/videos/generations", {"duration": 8, "aspect_ratio": "9:16"}),
        ("openrouter", "https://openrouter.ai/api/v1/videos", {"size": "720x1280", "duration": 8}),
    ],
)
def test_a_clip_is_phrased_as_its_server_knows_it(dialect: str, url: str, body: Any) -> None:
    asked = call("generate_video", size="720x1280", seconds=8, duration=9, fps=24)
    _, (sent,) = drive(of(dialect).submit(asked), [reply({"id": "v", "status": "queued"})])
    assert sent == HttpCall("POST", url, json={"prompt": "a lighthouse", **body}, creates="video")


def test_a_first_picture_goes_to_a_clip_as_a_file() -> None:
    asked = call("generate_video", seconds=4, inputs={"image": PNG})
    _, (sent,) = drive(provider().submit(asked), [reply({"id": "v", "status": "queued"})])
    (part,) = sent.files
    assert (part.name, part.filename, part.media_type, part.data) == (
        "input_reference",
        "input_reference.png",
        "image/png",
        PNG,
    )
    assert dict(sent.form) == {"prompt": "a lighthouse", "seconds": "4"}
    assert sent.json is None


def test_first_and_last_frames_go_to_openrouter_as_data_urls() -> None:
    asked = call("generate_video", inputs={"image": PNG, "last_frame": PNG})
    _, (sent,) = drive(of("openrouter").submit(asked), [reply({"id": "v"}, 202)])
    assert [frame["frame_type"] for frame in sent.json["frame_images"]] == [
        "first_frame",
        "last_frame",
    ]
    assert json.dumps(sent.json).count(B64) == 2


@pytest.mark.parametrize(
    ("dialect", "inputs"),
    [("together", {"image": PNG}), ("xai", {"last_frame": PNG}), ("sglang", {"image": [PNG, PNG]})],
)
def test_pictures_that_a_clip_cannot_have_are_refused_before_anything_is_sent(
    dialect: str, inputs: Any
) -> None:
    with pytest.raises(HandlerError) as caught:
        drive(of(dialect).submit(call("generate_video", inputs=inputs)))
    assert caught.value.code == "not_supported"


def test_openai_makes_no_clips_any_more() -> None:
    assert "generate_video" not in of("openai").operations
    with pytest.raises(HandlerError, match="clips"):
        drive(of("openai").submit(call("generate_video")))
