"""The official `openai` package reads what the tests' provider answers, so that the provider is
not our own fancy."""

from __future__ import annotations

import base64
import ssl
from collections.abc import Iterator
from typing import Any

import openai
import pytest
import trustme
from PIL import Image

from daemon.testing import tiny_image
from tests.wire import answers, failures, faults
from tests.wire.envelopes import data_url
from tests.wire.jobs import job
from tests.wire.pictures import picture
from tests.wire.server import ProviderServer
from tests.wire.talking import Reply

KEY = "sk-paper"

SHUT_DOWN = pytest.mark.filterwarnings("ignore:The Sora API")
"""OpenAI's own videos are no more; other servers go on speaking so."""


@pytest.fixture
def server() -> Iterator[ProviderServer]:
    with ProviderServer(key=KEY) as running:
        yield running


@pytest.fixture
def client(server: ProviderServer) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(
        api_key=KEY, base_url=server.base_url, max_retries=0, timeout=10
    ) as speaking:
        yield speaking


def pixels(data: bytes) -> tuple[int, int]:
    import io

    with Image.open(io.BytesIO(data)) as opened:
        opened.load()
        return opened.size


def generate(client: openai.OpenAI, **fields: Any) -> Any:
    return client.images.generate(**{"model": "paper-1", "prompt": "a fox", **fields})


def test_pictures_come_as_many_and_as_large_as_asked(
    server: ProviderServer, client: openai.OpenAI
) -> None:
    answer = generate(client, n=3, size="1536x1024")
    made = [base64.b64decode(item.b64_json) for item in answer.data]
    assert [pixels(data) for data in made] == [(1536, 1024)] * 3
    assert len(set(made)) == 3
    assert answer.usage.total_tokens == 120
    assert answer._request_id == "req-paper-1"
    received = server.creates[0]
    assert (received.path, received.key) == ("/v1/images/generations", KEY)
    assert received.json == {"model": "paper-1", "prompt": "a fox", "n": 3, "size": "1536x1024"}
    assert base64.b64decode(generate(client).data[0].b64_json) == picture(2)


def test_an_edit_arrives_with_all_its_files(server: ProviderServer, client: openai.OpenAI) -> None:
    images = [("a.png", tiny_image("red"), "image/png"), ("b.png", tiny_image("blue"), "image/png")]
    answer: Any = client.images.edit(
        model="paper-1",
        prompt="a fox\r\n--in the snow",
        image=images,
        mask=("mask.png", tiny_image("black"), "image/png"),
        n=2,
        size="32x16",
    )
    received = server.creates[0]
    files = [part for part in received.parts if part.filename]
    assert sorted(files) == sorted([
        ("image[]", "a.png", "image/png", tiny_image("red")),
        ("image[]", "b.png", "image/png", tiny_image("blue")),
        ("mask", "mask.png", "image/png", tiny_image("black")),
    ])  # fmt: skip
    assert received.fields["prompt"] == "a fox\r\n--in the snow"
    assert [pixels(base64.b64decode(item.b64_json)) for item in answer.data] == [(32, 16)] * 2


def test_the_same_edit_counts_as_the_same_body(
    server: ProviderServer, client: openai.OpenAI
) -> None:
    for prompt in ("a fox", "a fox", "a hare"):
        client.images.edit(prompt=prompt, image=("a.png", tiny_image(), "image/png"))
    assert sorted(server.creates_by_body().values()) == [1, 2]
    assert server.creates_by_key() == {KEY: 3}


def test_addresses_revised_prompts_and_streams_are_read(
    server: ProviderServer, client: openai.OpenAI
) -> None:
    server.script(answers.url(), answers.revised("a red fox"), answers.sse())
    address = generate(client).data[0].url
    assert address == f"{server.origin}/media/1-0.png"
    assert generate(client).data[0].revised_prompt == "a red fox"
    events = list(generate(client, stream=True))
    assert [one.type for one in events] == [
        "image_generation.partial_image",
        "image_generation.completed",
    ]
    assert base64.b64decode(events[1].b64_json) == picture(3)


def test_pictures_come_in_chat_completions(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        model="paper-1", messages=[{"role": "user", "content": "a fox"}]
    )
    message = answer.choices[0].message
    assert message.content == "Here you are."
    images: Any = getattr(message, "images", None)
    assert images[0]["image_url"]["url"] == data_url(picture(1))


def test_models_are_listed(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["paper-1"]


@SHUT_DOWN
def test_a_video_is_made_polled_and_fetched(server: ProviderServer, client: openai.OpenAI) -> None:
    made = client.videos.create(prompt="a fox runs", seconds="4")
    words = [made.status]
    while words[-1] != "completed":
        words.append(client.videos.retrieve(made.id).status)
    assert words == ["queued", "in_progress", "completed"]
    assert client.videos.download_content(made.id).read()[4:8] == b"ftyp"
    assert (len(server.creates), len(server.polls), len(server.downloads)) == (1, 2, 1)
    assert client.videos.delete(made.id).deleted
    with pytest.raises(openai.NotFoundError):
        client.videos.retrieve(made.id)


@SHUT_DOWN
def test_a_video_that_fails_says_why(server: ProviderServer, client: openai.OpenAI) -> None:
    server.script(job("queued", "failed", style="openai", openai_poll_after_ms="1"))
    made = client.videos.create_and_poll(prompt="a fox runs")
    assert made.status == "failed"
    assert made.error is not None
    assert made.error.code == "generation_failed"


ERRORS: list[tuple[Reply, type[openai.APIStatusError]]] = [
    (failures.wrong_field(), openai.BadRequestError),
    (failures.wrong_key(), openai.AuthenticationError),
    (failures.forbidden(), openai.PermissionDeniedError),
    (failures.not_found(), openai.NotFoundError),
    (failures.PASSING["conflict"], openai.ConflictError),
    (failures.fastapi(), openai.UnprocessableEntityError),
    (failures.rate_limited(), openai.RateLimitError),
    (failures.billing(), openai.RateLimitError),
    (failures.PASSING["error"], openai.InternalServerError),
    (failures.PASSING["gateway timeout"], openai.InternalServerError),
]


@pytest.mark.parametrize(("reply", "error"), ERRORS)
def test_errors_are_read_as_what_they_are(
    reply: Reply, error: type[openai.APIStatusError], server: ProviderServer, client: openai.OpenAI
) -> None:
    server.script(reply)
    with pytest.raises(error) as caught:
        generate(client)
    assert caught.value.status_code == reply.status
    assert caught.value.request_id == reply.headers.get("x-request-id")


def test_the_parts_of_an_error_are_where_openai_has_them(
    server: ProviderServer, client: openai.OpenAI
) -> None:
    server.script(failures.wrong_field("quality"), failures.moderation())
    with pytest.raises(openai.BadRequestError) as caught:
        generate(client)
    assert (caught.value.code, caught.value.param) == ("invalid_value", "quality")
    with pytest.raises(openai.BadRequestError) as caught:
        generate(client)
    assert caught.value.code == "moderation_blocked"


def test_a_wrong_key_is_refused(server: ProviderServer, client: openai.OpenAI) -> None:
    with pytest.raises(openai.AuthenticationError):
        generate(client.with_options(api_key="sk-other"))
    assert server.creates_by_key() == {"sk-other": 1}


def test_a_wait_that_is_told_is_kept(server: ProviderServer, client: openai.OpenAI) -> None:
    server.script(
        failures.rate_limited(retry_after_ms="1"), failures.overloaded().but(retry_after_ms="1")
    )
    assert generate(client.with_options(max_retries=2)).data
    assert len(server.creates) == 3


def test_it_speaks_tls(tmp_path: Any) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    with ProviderServer(context) as server:
        http = openai.DefaultHttpxClient(verify=trusting)
        with openai.OpenAI(api_key=KEY, base_url=server.base_url, http_client=http) as client:
            assert generate(client).data
        with (
            openai.OpenAI(api_key=KEY, base_url=server.base_url, max_retries=0) as client,
            pytest.raises(openai.APIConnectionError),
        ):
            generate(client)
        assert (server.connections, len(server.requests)) == (2, 1)


LOST = {
    "reset before reading": ("connect", faults.reset_before_reading(), 0),
    "reset after the head": ("create", faults.reset_after_head(), 1),
    "reset after the request": ("create", faults.reset_after_request(), 1),
    "closed after the request": ("create", faults.close_after_request(), 1),
    "reset in the head": ("create", faults.reset_in_head(), 1),
    "reset in the body": ("create", faults.reset_in_body(), 1),
    "too few bytes": ("create", faults.wrong_length(7), 1),
    "chunks cut short": ("create", faults.chunked(cut=True), 1),
    "no HTTP": ("create", faults.no_http(), 1),
    "no end of headers": ("create", faults.endless_head(), 1),
}


@pytest.mark.parametrize("name", LOST)
def test_a_lost_answer_is_an_error_of_the_connection(
    name: str, server: ProviderServer, client: openai.OpenAI
) -> None:
    at, fault, seen = LOST[name]
    server.script(fault, at=at)
    with pytest.raises((openai.APIConnectionError, openai.APIError)) as caught:
        generate(client)
    assert not isinstance(caught.value, openai.APIStatusError)
    assert len(server.creates) == seen
    assert generate(client).data
