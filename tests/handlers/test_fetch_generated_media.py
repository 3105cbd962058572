"""fetch_generated_media: everything an answer holds is saved, and what cannot be had is told."""

import asyncio
import base64
import json
from typing import Any

import pytest
from pydantic import ValidationError

from daemon.testing import ScriptedContext, tiny_image
from handlers import fetch_generated_media
from handlers.contract import HandlerError
from handlers.fetch_generated_media import Request
from tests.handlers.scenes import faults, ran, refused

RED, BLUE = tiny_image("red"), tiny_image("blue")
FILES = {
    "https://cdn.example/red.png": RED,
    "https://cdn.example/blue.png": BLUE,
    "https://studio.example/out/blue.png": BLUE,
}


def saved(files: dict[str, bytes] = FILES, **request: Any) -> list[bytes]:
    context = ran(fetch_generated_media, files, **request)
    assert context.calls == []
    assert {(prefix, role) for prefix, role, _ in context.kept} <= {("fetched", "output")}
    return [data for _, _, data in context.kept]


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


@pytest.mark.parametrize(
    "response",
    [
        {"data": [{"url": "https://cdn.example/red.png"}, {"b64_json": b64(BLUE)}]},
        {"output": ["https://cdn.example/red.png", "https://cdn.example/blue.png"]},
        {
            "images": [
                {"url": "https://cdn.example/red.png"},
                {"url": "https://cdn.example/blue.png"},
            ]
        },
        "![a](https://cdn.example/red.png) and ![b](https://cdn.example/blue.png)",
        "here: https://cdn.example/red.png, https://cdn.example/blue.png.",
        '```json\n{"data": [{"url": "https://cdn.example/red.png"}, {"url": "https://cdn.example/blue.png"}]}\n```',
        f'<img src="https://cdn.example/red.png"><img src="data:image/png;base64,{b64(BLUE)}">',
    ],
)
def test_every_medium_of_an_answer_is_saved_in_order(response: Any) -> None:
    assert saved(response=response) == [RED, BLUE]


def test_the_same_medium_is_saved_once() -> None:
    url = "https://cdn.example/red.png"
    assert saved(response={"data": [{"url": url}], "images": [url], "text": f"![a]({url})"}) == [
        RED
    ]


def test_relative_addresses_are_relative_to_the_origin() -> None:
    found = saved(response={"url": "/out/blue.png"}, origin="https://studio.example")
    assert found == [BLUE]
    assert saved(html='<img src="out/blue.png">', origin="https://studio.example/") == [BLUE]


def test_an_address_may_be_a_medium_or_hold_some() -> None:
    page = b'<html><body><video src="https://cdn.example/red.png"></video></body></html>'
    files = {**FILES, "https://cdn.example/page": page}
    assert saved(files, url="https://cdn.example/red.png") == [RED]
    assert saved(files, url="https://cdn.example/page") == [RED]


def test_a_file_may_be_a_medium_or_hold_some() -> None:
    answer = json.dumps({"data": [{"b64_json": b64(RED)}]}).encode()
    files = {**FILES, "inbox/a.json": answer, "inbox/b.png": BLUE}
    assert saved(files, file="inbox/a.json") == [RED]
    assert saved(files, file="inbox/b.png") == [BLUE]


def test_what_cannot_be_fetched_is_told_and_the_rest_is_saved() -> None:
    answer = {"data": [{"url": "https://cdn.example/gone.png"}, {"b64_json": b64(RED)}]}
    context = ran(fetch_generated_media, FILES, response=answer)
    assert [data for _, _, data in context.kept] == [RED]
    (reference,) = context.references
    assert reference["reference"] == "https://cdn.example/gone.png"
    assert "file_not_found" in reference["reason"]


def test_what_can_never_be_fetched_stays_as_it_was() -> None:
    answer = {"output": ["gs://bucket/red.png", "https://cdn.example/red.png"]}
    context = ran(fetch_generated_media, FILES, response=answer)
    assert [data for _, _, data in context.kept] == [RED]
    assert [one["reference"] for one in context.references] == ["gs://bucket/red.png"]


@pytest.mark.parametrize("response", ["", "nothing to see", {}, [], {"data": []}, 3, {"id": "x"}])
def test_an_answer_that_holds_nothing_is_a_failure(response: Any) -> None:
    assert refused(fetch_generated_media, FILES, response=response).code == "no_media"


def test_where_nothing_could_be_fetched_a_retry_may_help() -> None:
    context = ScriptedContext({})
    request = Request.model_validate({"response": {"url": "https://cdn.example/gone.png"}})
    with pytest.raises(HandlerError) as caught:
        asyncio.run(fetch_generated_media.run(request, context))
    assert (caught.value.code, caught.value.retryable) == ("download_failed", True)
    assert len(context.references) == 1


def test_thumbnails_are_no_results() -> None:
    answer = {
        "thumbnail": "https://cdn.example/blue.png",
        "output": "https://cdn.example/red.png",
    }
    assert saved(response=answer) == [RED]


@pytest.mark.parametrize(
    ("request_", "where"),
    [
        ({}, ["response"]),
        ({"url": "https://a.example/x", "file": "x"}, ["file"]),
        ({"response": {}, "html": "x"}, ["html"]),
        ({"response": 0}, []),
    ],
)
def test_an_answer_is_given_in_one_way(request_: dict[str, Any], where: list[str]) -> None:
    assert faults(fetch_generated_media, **request_) == where


@pytest.mark.parametrize("url", ["ftp://x.example/a", "file:///etc/passwd", "x.png", ""])
def test_an_address_is_one(url: str) -> None:
    with pytest.raises(ValidationError):
        Request.model_validate({"url": url})


def test_a_data_url_is_an_answer_too() -> None:
    assert saved(file=f"data:image/png;base64,{b64(RED)}") == [RED]


@pytest.mark.parametrize("named", ["inbox/b.png", "/root/inbox/b.png", "file:///root/inbox/b.png"])
def test_an_answer_names_none_of_our_files(named: str) -> None:
    context = ScriptedContext({"inbox/b.png": BLUE, named: BLUE})
    request = Request.model_validate({"response": {"output": [named]}})
    with pytest.raises(HandlerError):
        asyncio.run(fetch_generated_media.run(request, context))
    assert context.kept == []
