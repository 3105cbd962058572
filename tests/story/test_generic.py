"""An unlisted service, made to work by its entry alone: the whole way, over real sockets."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from daemon.testing import tiny_image
from tests.story.stage import CLIP, KEY, Cast, play
from tests.wire import failures
from tests.wire.pictures import clip, picture
from tests.wire.server import ProviderServer
from tests.wire.talking import Reply, json_reply

STUDIO = Cast(
    api="generic",
    options={
        "endpoint": "/{model}/paint",
        "video_endpoint": "/film",
        "image_field": "sources[]",
        "mask_field": "stencil",
        "mask_rule": "white",
        "pictures": "base64",
        "id_path": "ticket.number",
        "status_path": "/tickets/{id}",
        "state_path": "ticket.phase",
        "result_path": "ticket.prints[*].href",
        "error_path": "ticket.complaint",
    },
)
POLL = "/v1/tickets/77"


@pytest.fixture
def server() -> Iterator[ProviderServer]:
    with ProviderServer(key=KEY) as running:
        yield running


def ticket(phase: str, **more: Any) -> Reply:
    return json_reply({"status": "success", "ticket": {"number": 77, "phase": phase, **more}})


def prints(*addresses: str) -> Reply:
    return ticket("done", prints=[{"href": address} for address in addresses])


def test_a_service_that_nobody_listed_makes_pictures_by_its_entry_alone(
    tmp_path: Path, server: ProviderServer
) -> None:
    media = [server.media(f"/media/{n}.png", picture(1, n)) for n in range(2)]
    server.script(ticket("in the queue"))
    server.script(ticket("varnishing"), failures.overloaded(), prints(*media), at=POLL)
    one = play(tmp_path, server, STUDIO, n=2)
    assert one.ok, one.end.error
    assert one.files() == [picture(1, 0), picture(1, 1)]
    (made,) = server.creates
    assert (made.path, made.key) == ("/v1/paper-1/paint", KEY)
    assert set(made.json) == {"prompt", "n"}
    assert [poll.path for poll in server.polls] == [POLL] * 3


def test_an_edit_sends_picture_and_mask_as_the_entry_says(
    tmp_path: Path, server: ProviderServer
) -> None:
    source, mask = Image.new("RGB", (8, 6), "teal"), Image.new("L", (8, 6))
    mask.paste(255, (2, 1, 5, 4))
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    source.save(inbox / "photo.png")
    mask.save(inbox / "mask.png")
    server.script(prints(server.media("/media/edited.png", tiny_image("red", (8, 6)))))
    asked = {"task": "edit_image", "image": "inbox/photo.png", "mask": "inbox/mask.png"}
    one = play(tmp_path, server, STUDIO, **asked, prompt="rust")
    assert one.ok, one.end.error
    (made,) = server.creates
    assert set(made.json) == {"prompt", "sources", "stencil"}
    (sent,) = made.json["sources"]
    assert pixels(sent) == source.tobytes()
    assert pixels(made.json["stencil"]) == mask.tobytes()
    assert server.polls == []


def test_a_clip_comes_home_from_its_own_endpoint(tmp_path: Path, server: ProviderServer) -> None:
    server.script(ticket("queued"))
    server.script(prints(server.media("/media/clip.mp4", clip(1))), at=POLL)
    one = play(tmp_path, server, STUDIO, **CLIP)
    assert one.ok, one.end.error
    assert one.files()[0] == clip(1)
    assert server.creates[0].path == "/v1/film"


def test_a_job_that_failed_is_told_in_the_services_own_words_and_is_not_paid_twice(
    tmp_path: Path, server: ProviderServer
) -> None:
    server.script(ticket("queued"))
    server.script(ticket("failed", complaint="the canvas tore"), at=POLL)
    one = play(tmp_path, server, STUDIO)
    assert (one.code, one.end.attempts, len(server.creates)) == ("provider_failed", 1, 1)
    assert one.end.error is not None
    assert "the canvas tore" in one.end.error["message"]


def pixels(text: str) -> bytes:
    with Image.open(io.BytesIO(base64.b64decode(text))) as opened:
        return opened.tobytes()
