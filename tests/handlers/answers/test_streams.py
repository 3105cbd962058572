"""Streams of events: only what was completed counts."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from handlers.answers.streams import events, final_answer


def stream(*values: Any, named: bool = False) -> bytes:
    lines = []
    for value in values:
        name = f"event: {value['type']}\n" if named else ""
        lines.append(f"{name}data: {value if isinstance(value, str) else json.dumps(value)}\n\n")
    return "".join(lines).encode()


def test_events_are_read_as_the_standard_says() -> None:
    body = (
        b"\xef\xbb\xbf: hello\r\nevent: a\r\ndata: 1\r\ndata:2\r\n\r\nid: 3\n\ndata: x\xe2\x80\xa8y"
    )
    assert list(events(body)) == [("a", "1\n2"), ("message", "x\u2028y")]


def test_partial_pictures_are_left_out() -> None:
    body = stream(
        {"type": "image_generation.partial_image", "b64_json": "P", "partial_image_index": 0},
        {"type": "image_generation.completed", "b64_json": "A", "usage": {"total_tokens": 3}},
        {"type": "image_generation.partial_image", "b64_json": "P", "partial_image_index": 1},
        "[DONE]",
        {"type": "image_generation.completed", "b64_json": "late"},
    )
    answer = final_answer(body)
    assert [item["b64_json"] for item in answer["data"]] == ["A"]
    assert answer["usage"] == {"total_tokens": 3}


def test_edits_may_name_their_events_beside_the_data() -> None:
    body = b'event: image_edit.completed\ndata: {"b64_json": "A"}\n\n'
    assert [item["b64_json"] for item in final_answer(body)["data"]] == ["A"]


def test_an_error_on_the_way_is_the_answers_error() -> None:
    told = {"message": "stopped"}
    assert final_answer(stream({"type": "error", "error": told}))["error"] == told
    assert final_answer(b'event: error\ndata: {"message": "stopped"}\n\n')["error"] == told
    assert final_answer(stream({"error": told, "choices": []}))["error"] == told


def test_the_pieces_of_a_chat_become_one_message() -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:,x"}}
    answer = final_answer(
        stream(
            {"choices": [{"delta": {"content": "Here "}}]},
            {"choices": [{"delta": {"content": "it is", "images": [picture]}}]},
            {"choices": [{"delta": {}, "finish_reason": "stop"}], "usage": {"cost": 1}},
            "[DONE]",
        )
    )
    (choice,) = answer["choices"]
    assert choice == {
        "message": {"content": "Here it is", "images": [picture]},
        "finish_reason": "stop",
    }
    assert answer["usage"] == {"cost": 1}


@given(st.binary(max_size=300) | st.text(alphabet='data:\n{}"[],1 event', max_size=300))
def test_no_stream_breaks_the_reading(body: Any) -> None:
    assert isinstance(final_answer(body if isinstance(body, bytes) else body.encode()), dict)


@given(st.lists(st.recursive(
    st.none() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["type", "data", "choices", "delta", "content", "images", "error"]), inner
    ),
    max_leaves=8,
), max_size=4))  # fmt: skip
def test_no_value_in_a_stream_breaks_the_reading(values: list[Any]) -> None:
    body = "".join(f"data: {json.dumps(value)}\n\n" for value in values)
    assert isinstance(final_answer(body.encode()), dict)
