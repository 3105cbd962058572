"""Answers of which nothing is known: every shape in which media were seen to come back."""

from __future__ import annotations

import json
from typing import Any

import pytest

from handlers.answers.encoded import decoded
from handlers.answers.media import Found, read_anything
from handlers.contract import Kind
from tests.handlers.driving import B64, PNG

BASE = "https://h.example/v1"
DATA_URL = f"data:image/png;base64,{B64}"
A, B, CLIP = "https://cdn.example/a.png", "https://cdn.example/b.png", "https://cdn.example/c.mp4"
PLAIN = "https://cdn.example/a"


def read(body: Any, media_type: str | None = None, kind: Kind | None = None) -> Found:
    return read_anything(body, media_type=media_type, base_url=BASE, kind=kind)


def held(found: Found) -> list[str | bytes | None]:
    return [medium.url or medium.data for medium in found.media]


def as_json(value: Any) -> str:
    return json.dumps(value)


# ---------------------------------------------------------------- by row of the reference

ADDRESSES: list[tuple[Any, list[str]]] = [
    # 1 to 3: addresses, whole, and parts of one
    (PLAIN, [PLAIN]),
    (f"  {PLAIN}\n", [PLAIN]),
    (f"{A}\n{B}\n{A}\n", [A, B]),
    ("/generated-images/x.png", ["https://h.example/generated-images/x.png"]),
    ({"url": "/x/y"}, ["https://h.example/x/y"]),
    ({"url": "x/y"}, [f"{BASE}/x/y"]),
    ({"url": "//cdn.example/a.png"}, [A]),
    # 10 to 13: envelopes
    ({"data": [{"index": 1, "url": B}, {"index": 0, "url": A}]}, [A, B]),
    ({"images": [{"url": A, "content_type": "image/png"}, B]}, [A, B]),
    ({"image": {"url": A}, "video": {"url": CLIP}}, [A, CLIP]),
    ({"assets": {"video": CLIP}, "thumbnails": [A]}, [CLIP]),
    ({"result": {"sample": PLAIN}, "status": "Ready"}, [PLAIN]),
    ({"response": {"generateVideoResponse": {"generatedSamples": [{"video": {"uri": CLIP}}]}}}, [CLIP]),
    ({"task": {"content": {"url": CLIP}}}, [CLIP]),
    ({"file": {"download_url": CLIP}}, [CLIP]),
    ({"unsigned_urls": [PLAIN]}, [PLAIN]),
    ({"urls": [A, B]}, [A, B]),
    ({"output": [[A], [B]], "urls": {"get": PLAIN, "cancel": PLAIN, "stream": PLAIN}}, [A, B]),
    ({"output": {"image": A, "clip": CLIP, "logs": B, "web": PLAIN}, "input": {"image": B}}, [A, CLIP]),
    ({"output": None, "logs": A, "webhook": B, "progress_video": CLIP}, []),
    # 14 to 16: chats
    ({"choices": [{"message": {"images": [{"image_url": {"url": A}}], "content": f"![x]({A}?again)"}}]}, [A]),
    ({"choices": [{"message": {"content": [{"type": "image_url", "image_url": A}]}}]}, [A]),
    ({"choices": [{"message": {"content": f"Done. ![x]({A}) ![y]({B} 'b')"}}]}, [A, B]),
    # 19: JSON in text in JSON
    (as_json(as_json({"data": [{"url": PLAIN}]})), [PLAIN]),
    (f"Done:\n```json\n{as_json({'data': [{'url': PLAIN}]})}\n```\n", [PLAIN]),
    ({"choices": [{"message": {"content": as_json({"url": PLAIN})}}]}, [PLAIN]),
    (f'{{"step": 1}}\n{{"url": "{PLAIN}"}}\n', [PLAIN]),
    # keys that nobody knows, where the known ones hold nothing
    ({"results": [{"href": A, "thumbnail": B, "page": PLAIN}]}, [A]),
    ({"foo": {"bar": [CLIP], "input": A, "webhook_url": B, "cover_url": B}}, [CLIP]),
    ({"html": f'<img src="{A}">'}, [A]),
    ({"payload": as_json({"picture": {"src": "/p/a.png"}})}, ["https://h.example/p/a.png"]),
    ({"docs": {"url": PLAIN}, "note": f"see {PLAIN}"}, []),
]  # fmt: skip


@pytest.mark.parametrize(("body", "urls"), ADDRESSES)
def test_addresses_are_found_in_every_shape(body: Any, urls: list[str]) -> None:
    assert held(read(body)) == urls
    if not isinstance(body, str):
        assert held(read(as_json(body))) == urls
        assert held(read(as_json(body).encode(), "application/json; type=image/png")) == urls


BYTES: list[Any] = [
    PNG,
    DATA_URL,
    B64,
    "\n".join(B64[at : at + 76] for at in range(0, len(B64), 76)),
    {"data": [{"b64_json": B64}]},
    {"b64_json": DATA_URL},
    {"image": B64},
    {"images": [B64]},
    {"artifacts": [{"base64": B64, "finishReason": "SUCCESS"}]},
    {"predictions": [{"bytesBase64Encoded": B64, "mimeType": "image/png"}]},
    {"candidates": [{"content": {"parts": [
        {"text": "Here."},
        {"thought": True, "inlineData": {"mimeType": "image/png", "data": B64[::-1]}},
        {"inlineData": {"mimeType": "image/png", "data": B64}},
    ]}}]},
    {"output": [{"type": "image_generation_call", "result": B64}]},
    f"![a fox]({DATA_URL})",
    f'<p><img src="{DATA_URL}"></p>',
    f"It is {DATA_URL}.",
    f"```\n{B64}\n```",
    {"something": {"else": DATA_URL}},
    {"something": {"else": B64}},
]  # fmt: skip


@pytest.mark.parametrize("body", BYTES)
def test_bytes_are_found_in_every_shape(body: Any) -> None:
    (medium,) = read(body).media
    assert medium.data == PNG


@pytest.mark.parametrize(
    "media_type", [None, "", "image/png", "application/octet-stream", "text/html"]
)
def test_a_medium_is_what_its_bytes_are(media_type: str | None) -> None:
    (medium,) = read(PNG, media_type).media
    assert (medium.data, medium.media_type) == (PNG, "image/png")


def test_a_medium_that_nobody_knows_is_one_by_its_type_unless_it_is_a_page() -> None:
    (medium,) = read(b"\x00\x01strange", "image/jxl").media
    assert medium.media_type == "image/jxl"
    assert read(b"\n<html>Sign in</html>", "image/png").media == []
    assert read(b'{"error": "gone"}', "video/mp4").media == []


# ---------------------------------------------------------------- streams and parts


def event(name: str, **fields: Any) -> str:
    return f"event: {name}\ndata: {json.dumps({'type': name, **fields})}\n\n"


def test_of_a_stream_only_what_is_completed_counts() -> None:
    partial = event("image_generation.partial_image", b64_json=B64[:40])
    body = partial + event("image_generation.completed", b64_json=B64) + "data: [DONE]\n\n"
    assert held(read(body.encode(), "text/event-stream")) == [PNG]
    assert held(read(body)) == [PNG]
    assert held(read(partial.encode(), "text/event-stream")) == []


def test_of_a_stream_without_such_words_the_last_event_with_media_counts() -> None:
    body = 'data: {"images": [{"url": "https://cdn.example/draft"}]}\n\n'
    body += f'data: {{"status": "COMPLETED", "images": [{{"url": "{PLAIN}"}}]}}\n\ndata: {{}}\n\n'
    assert held(read(body, "text/event-stream")) == [PLAIN]


def test_a_stream_of_words_is_read_as_they_are() -> None:
    body = f"event: output\ndata: {A[:20]}\n\nevent: output\ndata: {A[20:]}\n\nevent: done\ndata: {{}}\n\n"
    assert held(read(body, "text/event-stream")) == [A]


def test_the_media_among_several_parts_count_and_else_what_the_parts_say() -> None:
    head = b"--x\r\nContent-Type: application/json\r\n\r\n" + json.dumps({"url": A}).encode()
    picture = b"\r\n--x\r\nContent-Type: image/png\r\n\r\n" + PNG
    assert held(read(head + picture + b"\r\n--x--\r\n", 'multipart/mixed; boundary="x"')) == [PNG]
    assert held(read(head + b"\r\n--x--\r\n", "multipart/form-data; boundary=x")) == [A]
    assert held(read(head + b"\r\n--x--\r\n", "multipart/mixed")) == []


@pytest.mark.parametrize("charset", ["utf-16", "gbk", "utf-8", "latin-1", "idna", "nonsense"])
def test_a_text_is_read_as_it_is_encoded(charset: str) -> None:
    body = f"<html>é<img src='{A}'>".encode("gbk" if charset == "gbk" else "utf-8")
    if charset == "utf-16":
        body = f"<html>é<img src='{A}'>".encode("utf-16")
    assert held(read(body, f"text/html; charset={charset}")) == [A]


# ---------------------------------------------------------------- what counts, and what does not


def test_a_medium_that_is_given_twice_counts_once() -> None:
    assert held(read({"images": [A, A, DATA_URL, {"b64_json": B64}]})) == [A, PNG]
    assert held(read(f"![x]({A}) [download]({A}) {A}")) == [A]


def test_without_a_kind_pictures_and_clips_that_stand_side_by_side_all_count() -> None:
    assert held(read(f"![x]({A}) and [the clip]({CLIP}), [its first frame]({B})")) == [A, CLIP]


def test_what_is_wanted_counts_before_the_other_kind() -> None:
    both = {"output": {"poster": B, "picture": A, "clip": CLIP}}
    assert held(read(both, kind="video")) == [CLIP]
    assert held(read(both, kind="image")) == [A]
    assert held(read({"image": {"url": PLAIN}, "video": {"url": CLIP}}, kind="video")) == [CLIP]
    page = f'<img src="{A}"><a href="{CLIP}">download</a>'
    assert held(read(page, "text/html", kind="video")) == [CLIP]
    assert held(read(f"![x]({A})", kind="video")) == [A]


def test_an_address_that_says_nothing_of_media_is_taken_where_it_is_told_that_it_is_one() -> None:
    for body in (f"Yours is at {PLAIN}.", f"[yours]({PLAIN})", {"x": {"file_href": PLAIN}}):
        assert held(read(body)) == []
        assert held(read(body, kind="image")) == [PLAIN]
    assert held(read(f"See {PLAIN} for ![x]({B})", kind="image")) == [B]


WITHHELD: list[tuple[Any, list[str], int]] = [
    ({"data": [{"url": A, "respect_moderation": False}, {"url": B}]}, [B], 1),
    ({"images": [{"url": A}, {"url": B}], "has_nsfw_concepts": [True, False]}, [B], 1),
    ({"artifacts": [{"base64": B64, "finishReason": "CONTENT_FILTERED"}]}, [], 1),
    ({"candidates": [{"finishReason": "IMAGE_SAFETY", "content": {}}]}, [], 1),
    ({"predictions": [{"raiFilteredReason": "violence"}]}, [], 1),
    ({"response": {"generateVideoResponse": {"raiMediaFilteredCount": 2}}}, [], 2),
    ({"choices": [{"finish_reason": "content_filter", "message": {"content": A}}]}, [], 1),
]


@pytest.mark.parametrize(("body", "urls", "count"), WITHHELD)
def test_what_moderation_kept_back_is_no_result(body: Any, urls: list[str], count: int) -> None:
    found = read(body)
    assert (held(found), found.withheld) == (urls, count)


NOT_TO_BE_HAD = [
    ("gs://bucket/a.mp4", "credentials"),
    ("s3://bucket/a.png", "credentials"),
    ("file:///srv/a.png", "another machine"),
    ("ftp://h.example/a.png", "no address"),
    ("blob:https://h.example/7f", "browser"),
    ("javascript:draw()", "program"),
    ("sandbox:/mnt/data/a.png", "provider's own machine"),
    ("https://[::1/a.png", "no address"),
    ("https:///a.png", "no address"),
    ("data:image/png;base64,!!!", "cannot be read"),
    ("data:image/svg+xml,%3Csvg/%3E", "drawing"),
    ("data:audio/mpeg;base64,SUQzBAAA", "sound"),
    ("https://h.example/" + "a" * 9000 + ".png", "too long"),
]


@pytest.mark.parametrize(("reference", "reason"), NOT_TO_BE_HAD)
@pytest.mark.parametrize("form", ["json", "page", "markdown"])
def test_what_cannot_be_had_is_kept_as_it_is_with_the_reason(
    form: str, reference: str, reason: str
) -> None:
    bodies = {
        "json": ({"url": reference}, None),
        "page": (f'<img src="{reference}">', "text/html"),
        "markdown": (f"Look: ![it](<{reference}>)", None),
    }
    found = read(*bodies[form])
    (kept,) = found.references
    assert found.media == []
    assert kept["reference"] == reference[:2000]
    assert reason in kept["reason"]


def test_a_part_of_an_address_needs_to_be_a_part_of_one() -> None:
    for base_url in (None, "", "h.example", "ftp://h.example", "https://[", "javascript:x"):
        found = read_anything({"url": "/x/a.png"}, base_url=base_url)
        assert [kept["reference"] for kept in found.references] == ["/x/a.png"]
        assert "origin" in str(found.references[0]["reason"])


def test_a_file_of_the_server_gives_way_to_an_address_beside_it() -> None:
    assert held(read({"file_path": "/srv/a.png", "url": A})) == [A]
    found = read({"file_path": "/srv/a.png"})
    assert [kept["reference"] for kept in found.references] == ["/srv/a.png"]


def test_a_drawing_within_a_text_is_kept_whole() -> None:
    drawing = '<SVG viewBox="0 0 1 1"><path d="M0 0"/></svg>'
    for body in (drawing, f"Here it is:\n\n{drawing}\n\nEnjoy.", f"<?xml version='1.0'?>{drawing}"):
        assert [kept["reference"] for kept in read(body).references] == [drawing]
    assert held(read(f'{drawing}<img src="{A}">', "text/html")) == [A]
    assert read(f'{drawing}<img src="{A}">', "text/html").references == []


def test_what_was_not_read_is_told() -> None:
    assert "damaged" in read('{"data": [{"url": "https://').notes[0]
    assert "damaged" in read('{"a":' * 9000).notes[0]
    many = read([f"https://cdn.example/{number}.png" for number in range(200)])
    assert (len(many.media), many.notes) == (
        100,
        ["only the first 100 media of the answer were taken"],
    )
    long = read("[x](y) " * 20_000)
    assert long.notes == ["only the first 65536 characters of text in the answer were read"]


def test_base64_by_the_megabyte_leaves_room_for_what_stands_behind_it() -> None:
    whole = B64.rstrip("=") + "A" * 1_000_000
    found = read(f"![a](data:image/png;base64,{whole}) ![b]({A})")
    assert [medium.url for medium in found.media[1:]] == [A]
    assert (found.media[0].data, found.notes) == (decoded(whole), [])


def test_words_without_media_are_kept() -> None:
    assert read({"choices": [{"message": {"content": "I cannot."}}]}).texts == ["I cannot."]
    assert read("I may not; see https://rules.example/policy.").texts
    assert read(b"").texts == read("").texts == read(None).texts == []


def test_halves_of_signs_are_in_no_address_and_leave_none_behind() -> None:
    found = read(
        '{"data": [{"url": "https://h.example/\\ud800.png", "revised_prompt": "a\\ud800"}]}'
    )
    assert found.media == []
    assert [kept["reference"] for kept in found.references] == ["https://h.example/?.png"]
    assert found.prompts == ["a?"]
