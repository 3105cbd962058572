"""Calls that take long: the same story in each family's words."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.wire.jobs import STYLES, Style, job
from tests.wire.pictures import picture
from tests.wire.server import ProviderServer

FOX = {"model": "paper-1", "prompt": "a fox", "n": 2, "size": "16x12"}
FIRST = picture(1, 0, (16, 12))


@pytest.fixture
def server() -> Iterator[ProviderServer]:
    with ProviderServer() as running:
        yield running


@pytest.fixture
def client(server: ProviderServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.base_url, trust_env=False, timeout=10) as speaking:
        yield speaking


def create(client: httpx.Client, path: str = "/images/generations") -> Any:
    return client.post(path, json=FOX)


PLACES: dict[Style, tuple[str, str, int]] = {
    "openai": ("/videos", "/v1/videos/job-1", 200),
    "relay": ("/images/generations", "/v1/images/jobs/job-1", 200),
    "sdcpp": ("/images/generations", "/sdcpp/v1/jobs/job-1", 202),
    "openrouter": ("/videos", "/v1/videos/job-1", 202),
    "xai": ("/videos/generations", "/v1/videos/job-1", 200),
    "wrapped": ("/images/generations", "/v1/tasks/job-1", 200),
}


def word_of(body: Any) -> str | None:
    return body.get("status") or (body.get("data") or {}).get("task_status")


@pytest.mark.parametrize("style", STYLES)
def test_a_job_is_taken_worked_on_and_done(
    style: Style, server: ProviderServer, client: httpx.Client
) -> None:
    creating, polling, status = PLACES[style]
    server.script(job("queued", "in_progress", "completed", style=style))
    taken = create(client, creating)
    assert (taken.status_code, "job-1" in taken.text) == (status, True)
    bodies = [client.get(server.origin + polling).json() for _ in range(3)]
    assert [word_of(body) for body in bodies] == ["in_progress", "completed", "completed"]
    assert (len(server.creates), len(server.polls)) == (1, 3)


@pytest.mark.parametrize("style", STYLES)
def test_a_job_fails(style: Style, server: ProviderServer, client: httpx.Client) -> None:
    creating, polling, _ = PLACES[style]
    server.script(job("queued", "failed", style=style))
    create(client, creating)
    failed = client.get(server.origin + polling)
    assert word_of(failed.json()) == "failed"
    assert "the model fell over" in failed.text


def test_the_pictures_of_a_job_lie_where_it_says(
    server: ProviderServer, client: httpx.Client
) -> None:
    server.script(job("done"), job("done", style="sdcpp"), job("done", style="wrapped"))
    create(client)
    urls = [one["url"] for one in client.get("/images/jobs/job-1").json()["data"]]
    assert [client.get(url).content for url in urls] == [FIRST, picture(1, 1, (16, 12))]
    create(client)
    made = client.get(f"{server.origin}/sdcpp/v1/jobs/job-2").json()["result"]["images"]
    assert base64.b64decode(made[0]["b64_json"]) == picture(2, 0, (16, 12))
    create(client)
    task = client.get("/tasks/job-3").json()["data"]["task_result"]["images"][0]
    assert client.get(task["url"]).content == picture(3, 0, (16, 12))


def test_an_address_that_expired_is_renewed_by_asking_again(
    server: ProviderServer, client: httpx.Client
) -> None:
    server.script(job("queued", "completed", expires=True))
    create(client)
    old = client.get("/images/jobs/job-1").json()["data"][0]["url"]
    assert [client.get(old).status_code for _ in range(2)] == [403, 403]
    new = client.get("/images/jobs/job-1").json()["data"][0]["url"]
    assert new != old
    assert client.get(new).content == FIRST
    assert client.get(old).status_code == 403


def test_content_is_refused_before_its_time_and_after_it(
    server: ProviderServer, client: httpx.Client
) -> None:
    server.script(job("queued", "completed", style="openai", expires=True))
    create(client, "/videos")
    codes = []
    for _ in range(3):
        codes.append(client.get("/videos/job-1/content").status_code)
        client.get("/videos/job-1")
    assert codes == [404, 403, 200]


def test_a_job_can_be_cancelled_or_deleted(server: ProviderServer, client: httpx.Client) -> None:
    server.script(job("queued"), job("queued", name="another"))
    create(client)
    create(client)
    assert client.post("/images/jobs/job-1/cancel").json()["status"] == "cancelled"
    assert client.get("/images/jobs/job-1").json()["status"] == "cancelled"
    assert client.delete("/images/jobs/another").json()["deleted"]
    assert client.get("/images/jobs/another").status_code == 404
    assert len(server.creates) == 2


def test_waits_are_told(server: ProviderServer, client: httpx.Client) -> None:
    server.script(job(style="openai", openai_poll_after_ms="250", retry_after="1"))
    headers = create(client, "/videos").headers
    assert (headers["openai-poll-after-ms"], headers["retry-after"]) == ("250", "1")
