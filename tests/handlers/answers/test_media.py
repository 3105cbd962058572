"""Media out of answers, in every shape that was seen."""

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.answers.encoded import decoded, of_data_url, sniff, to_data_url
from handlers.answers.media import absolute, media_of
from handlers.contract import Medium
from tests.handlers.answers.test_waits import JSON
from tests.handlers.driving import B64, PNG

BASE = "http://127.0.0.1:8080/v1"
DATA_URL = f"data:image/png;base64,{B64}"
FAR = "https://cdn.example/a"


def chat(**message: Any) -> Any:
    return {"choices": [{"message": message, "finish_reason": "stop"}]}


@pytest.mark.parametrize(
    "answer",
    [
        {"data": [{"b64_json": B64}]},
        {"data": [{"b64_json": B64[:40] + "\n" + B64[40:] + "\n"}]},
        {"data": [{"b64_json": B64.replace("+", "-").replace("/", "_").rstrip("=")}]},
        {"data": [{"b64_json": DATA_URL}]},
        {"data": [{"b64_json": None, "url": DATA_URL}]},
        {"data": {"b64_json": B64}},
        {"images": [B64]},
        {"images": [DATA_URL]},
        {"images": [{"url": DATA_URL, "content_type": "image/png"}]},
        {"image": B64},
        {"artifacts": [{"base64": B64}]},
        {"result": {"output_format": "png", "images": [{"index": 0, "b64_json": B64}]}},
        {"output": [[DATA_URL]]},
        chat(images=[{"type": "image_url", "image_url": {"url": DATA_URL}}], content=""),
        chat(images=[{"type": "image_url", "image_url": DATA_URL}]),
        chat(content=[{"type": "text", "text": "look"}, {"image_url": {"url": DATA_URL}}]),
        chat(content=DATA_URL),
        chat(content=f"Here it is: ![a]({DATA_URL}) as you wished."),
        chat(content='```json\n{"b64_json": "' + B64 + '"}\n```'),
        DATA_URL,
    ],
)
def test_bytes_are_found(answer: Any) -> None:
    (medium,) = media_of(answer, BASE).media
    assert medium.data == PNG


@pytest.mark.parametrize(
    ("answer", "urls"),
    [
        ({"data": [{"url": FAR}, {"url": FAR + "b"}]}, [FAR, FAR + "b"]),
        ({"data": [{"url": "/generated-images/x.png"}]}, ["http://127.0.0.1:8080/generated-images/x.png"]),
        ({"data": [{"url": "files/x.png"}]}, [f"{BASE}/files/x.png"]),
        ({"data": [{"url": "//cdn.example/a"}]}, ["http://cdn.example/a"]),
        ({"data": [{"index": 1, "url": FAR}, {"index": 0, "url": FAR + "0"}]}, [FAR + "0", FAR]),
        ({"data": [{"url": FAR, "file_path": "/srv/a.png"}]}, [FAR]),
        ({"video": {"url": FAR, "duration": 6}}, [FAR]),
        ({"assets": {"video": FAR}}, [FAR]),
        ({"outputs": {"cost": 1, "video_url": FAR}}, [FAR]),
        ({"output": FAR}, [FAR]),
        ({"output": [FAR, FAR]}, [FAR]),
        ({"output": {"frames": [[FAR]], "logs": [FAR + "l"], "step": "https"}}, [FAR]),
        ({"output": {"image": FAR, "input": FAR + "i"}}, [FAR]),
        ({"data": {"task_result": {"videos": [{"url": FAR}]}}}, [FAR]),
        (chat(content=f'<img src="{FAR}.png?a=1&amp;copy=2" alt="a">'), [FAR + ".png?a=1&copy=2"]),
        ({"unsigned_urls": ["/v1/a/b"], "urls": [FAR]}, [FAR]),
        ({"url": FAR, "status": "completed"}, [FAR]),
        ({"urls": {"get": FAR, "cancel": FAR}, "output": None}, []),
        ({"input": {"image": FAR}, "logs": FAR, "thumbnail": FAR}, []),
        (chat(content=FAR), [FAR]),
        (chat(images=[{"image_url": {"url": FAR}}], content=f"![a]({FAR}.png)"), [FAR]),
        (chat(content=f"Done. ![sea]({FAR}.png) Enjoy."), [FAR + ".png"]),
        (chat(content=f"It is at {FAR}.webp?sig=1&x=2."), [FAR + ".webp?sig=1&x=2"]),
        (chat(content="I may not; see https://rules.example/policy for why."), []),
    ],
)  # fmt: skip
def test_addresses_are_found(answer: Any, urls: list[str]) -> None:
    assert [medium.url for medium in media_of(answer, BASE).media] == urls


def test_what_cannot_be_had_is_kept_as_a_reference() -> None:
    found = media_of({"data": [{"url": "gs://b/x.png"}, {"file_path": "/srv/a.png"}]}, BASE)
    assert found.media == []
    assert [held["reference"] for held in found.references] == ["gs://b/x.png", "/srv/a.png"]
    assert all(held["reason"] for held in found.references)


def test_what_cannot_be_decoded_is_broken_and_the_others_are_kept() -> None:
    items = [{"b64_json": "!!!"}, {"url": "data:image/png;base64,"}, {"b64_json": B64}]
    found = media_of({"data": items}, BASE)
    assert ([medium.data for medium in found.media], found.broken) == ([PNG], 2)


def test_what_moderation_replaced_is_withheld_and_the_others_are_kept() -> None:
    items = [
        {"url": FAR, "respect_moderation": True},
        {"url": FAR + "2", "respect_moderation": False},
    ]
    found = media_of({"data": items}, BASE)
    assert ([medium.url for medium in found.media], found.withheld) == ([FAR], 1)


def test_a_prompt_that_was_changed_and_the_words_of_a_chat_are_kept() -> None:
    found = media_of({"data": [{"b64_json": B64, "revised_prompt": "a tall lighthouse"}]}, BASE)
    assert found.prompts == ["a tall lighthouse"]
    assert media_of(chat(content="I cannot."), BASE).texts == ["I cannot."]


def test_a_media_type_that_is_told_is_kept() -> None:
    (medium,) = media_of({"data": [{"b64_json": B64, "media_type": "image/webp"}]}, BASE).media
    assert medium == Medium(PNG, media_type="image/webp")


# ---------------------------------------------------------------- encodings


@pytest.mark.parametrize(
    ("url", "data", "media_type"),
    [
        ("data:image/png;base64,aGk=", b"hi", "image/png"),
        ("data:image/png;charset=utf-8;base64,aGk", b"hi", "image/png"),
        ("DATA:;base64,aGk=", b"hi", None),
        ("data:,h%69", b"hi", None),
        ("data:image/svg+xml,%3Csvg/%3E", b"<svg/>", "image/svg+xml"),
        ("data:image/png;base64,aGk%3D", b"hi", "image/png"),
    ],
)
def test_a_data_url_is_read_loosely(url: str, data: bytes, media_type: str | None) -> None:
    assert of_data_url(url) == Medium(data, media_type=media_type)


@pytest.mark.parametrize(
    "url", ["data:", "data:image/png;base64,", "data:image/png;base64,!!", "data:x"]
)
def test_a_data_url_that_holds_nothing_is_none(url: str) -> None:
    assert of_data_url(url) is None


@given(st.binary(min_size=1, max_size=60))
def test_base64_comes_back_from_every_spelling(data: bytes) -> None:
    for text in (base64.b64encode(data), base64.urlsafe_b64encode(data)):
        spelled = text.decode()
        assert (
            decoded(spelled) == decoded(spelled.rstrip("=")) == decoded(f" {spelled}\r\n") == data
        )
    assert getattr(of_data_url(to_data_url(data)), "data", None) == data


@pytest.mark.parametrize(
    ("head", "media_type"),
    [
        (PNG, "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"RIFF0000WEBPVP8 ", "image/webp"),
        (b"GIF89a", "image/gif"),
        (b"\0\0\0\x18ftypmp42", "video/mp4"),
        (b"\0\0\0\x18ftypavif", "image/avif"),
        (b"\0\0\0\x18ftypheix", "image/heic"),
        (b"\x1a\x45\xdf\xa3", "video/webm"),
        (b"<html>", None),
        (b"", None),
    ],
)
def test_a_medium_is_known_by_its_head(head: bytes, media_type: str | None) -> None:
    assert sniff(head) == media_type


# ---------------------------------------------------------------- whatever comes

KEYS = st.sampled_from(
    ["data", "images", "url", "b64_json", "choices", "message", "content", "image_url", "urls",
     "output", "status", "id", "index", "error", "text", "type", "respect_moderation"]
)  # fmt: skip
LEAVES = st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.sampled_from(
    [B64, DATA_URL, FAR, "/a.png", "http://[::1", "//", "data:", "gs://x", "[[[", '{"url": 1}']
)  # fmt: skip
ANSWERS = JSON | st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


@given(ANSWERS)
def test_no_answer_breaks_the_reading(answer: Any) -> None:
    for medium in media_of(answer, BASE).media:
        assert bool(medium.data) != bool(medium.url)
        assert medium.url is None or medium.url.startswith(("http://", "https://", "HTTP"))


def test_an_answer_that_is_nested_without_end_is_left_alone() -> None:
    answer: Any = {"url": FAR}
    for _ in range(5000):
        answer = {"data": [answer]}
    assert media_of(answer, BASE).media == []


def test_of_media_without_end_only_the_first_are_taken() -> None:
    urls = [f"https://cdn.example/{number}" for number in range(1000)]
    assert [medium.url for medium in media_of({"output": urls}, BASE).media] == urls[:100]


def test_addresses_are_joined_to_the_origin_or_to_the_base() -> None:
    assert absolute(BASE, "/x") == "http://127.0.0.1:8080/x"
    assert absolute(BASE, "x") == BASE + "/x"
    assert absolute(BASE, "https://h/x") == "https://h/x"
