"""Every shape in which media come back, from the socket to files that hold the very same pixels."""

from __future__ import annotations

import io
import ssl
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import trustme
from PIL import Image

from daemon.testing import tiny_image
from tests.story.stage import CLIP, KEY, Cast, Played, play
from tests.wire import answers, failures, faults
from tests.wire.answers import GOOD
from tests.wire.jobs import EXPIRED, Style, job
from tests.wire.pictures import CLIP_FPS, USUAL_SIZE, clip, picture
from tests.wire.server import ProviderServer
from tests.wire.talking import Reply, Step

SIZE = (40, 30)
TWO = {"size": "40x30", "n": 2}
THREE = {"size": "40x30", "n": 3}
HOLD_ONE = {"binary", "chat_bare"}
"""Shapes that name no number."""
HOLD_ADDRESSES = {
    *("url", "relative", "schemeless", "images_objects", "output_list", "output_nested"),
    *("chat_markdown", "chat_html", "chat_bare", "chat_json"),
}


@pytest.fixture
def server() -> Iterator[ProviderServer]:
    with ProviderServer(key=KEY) as running:
        yield running


def pixels(data: bytes) -> tuple[tuple[int, int], bytes]:
    with Image.open(io.BytesIO(data)) as opened:
        return opened.size, opened.convert("RGB").tobytes()


def assert_shows(one: Played, *made: bytes) -> None:
    """That a job succeeded with just these pictures, in this order, for one creating call."""
    assert one.ok, one.end.error
    assert [pixels(data) for data in one.files()] == [pixels(data) for data in made]


def made(count: int, call: int = 1, size: tuple[int, int] = SIZE) -> list[bytes]:
    return [picture(call, index, size) for index in range(count)]


# ---------------------------------------------------------------- one answer


@pytest.mark.parametrize("name", GOOD)
def test_each_shape_becomes_files_with_the_same_pixels(
    tmp_path: Path, server: ProviderServer, name: str
) -> None:
    server.script(GOOD[name])
    one = play(tmp_path, server, **TWO)
    assert_shows(one, *made(1 if name in HOLD_ONE else 2))
    assert len(server.creates) == 1
    fetched = [call.key for call in server.downloads]
    assert fetched == ([KEY] * len(one.end.artifacts) if name in HOLD_ADDRESSES else [])


@pytest.mark.parametrize("name", [name for name in GOOD if name.startswith("chat")])
def test_each_shape_of_a_chat_is_read_where_a_chat_was_asked_for(
    tmp_path: Path, server: ProviderServer, name: str
) -> None:
    server.script(GOOD[name])
    one = play(tmp_path, server, Cast(options={"images": "chat"}))
    assert_shows(one, *made(1, size=(64, 48)))
    assert server.creates[0].path.endswith("/chat/completions")


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("named", ["image/png", "application/octet-stream", "text/plain", ""])
def test_the_bytes_say_what_a_file_is_and_not_its_type(
    tmp_path: Path, server: ProviderServer, form: str, named: str
) -> None:
    data = tiny_image("teal", form=form)
    server.script(Reply(200, data, {"content-type": named}))
    one = play(tmp_path, server)
    assert one.files() == [data]
    assert one.end.artifacts[0]["media_type"] == f"image/{form.lower()}"
    assert one.end.artifacts[0]["path"].rpartition(".")[2] == {"JPEG": "jpg"}.get(
        form, form.lower()
    )


def test_what_was_said_beside_the_pictures_is_in_the_result(
    tmp_path: Path, server: ProviderServer
) -> None:
    server.script(answers.revised("a red fox in snow"))
    one = play(tmp_path, server, **TWO)
    assert_shows(one, *made(2))
    assert one.end.usage is not None
    assert (one.end.usage["total_tokens"], one.end.usage["request_id"]) == (120, "req-paper-1")
    assert "the provider changed the prompt to: a red fox in snow" in one.end.warnings


def test_fewer_pictures_than_were_asked_for_are_kept_with_a_warning(
    tmp_path: Path, server: ProviderServer
) -> None:
    server.script(answers.fewer())
    one = play(tmp_path, server, **THREE)
    assert_shows(one, *made(2))
    assert "asked for 3, but the provider made 2" in one.end.warnings


# ---------------------------------------------------------------- addresses


@pytest.fixture
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ssl.SSLContext]:
    """Whom to trust, and a certificate for this machine by each of its names."""
    authority = trustme.CA()
    file = tmp_path_factory.mktemp("authority") / "ca.pem"
    authority.cert_pem.write_to_path(str(file))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "media.test").configure_cert(context)
    return file, context


def test_a_stranger_gives_its_pictures_without_seeing_the_key(
    tmp_path: Path, authority: tuple[Path, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def resolve(host: str, port: int) -> Sequence[str]:
        return ["127.0.0.1"]

    file, context = authority
    for name in (
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "http_proxy",
        "https_proxy",
        "all_proxy",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    network = {"resolve": resolve, "judge": lambda _: None, "trust_env": True}
    with ProviderServer(context, key=KEY) as server:
        own = server.media("/media/own.png", picture(7))
        server.media("/media/other.png", picture(8))
        server.script(
            answers.url_to(own, f"https://media.test:{server.port}/media/other.png"),
            failures.asks_for_key(),
        )
        one = play(tmp_path, server, Cast(network=network, ca_file=file), **TWO)
        assert_shows(one, picture(7), picture(8))
        shown = {call.path: call.headers.get("authorization") for call in server.downloads}
    assert shown == {"/media/own.png": f"Bearer {KEY}", "/media/other.png": None}
    assert len(server.creates) == 1


INWARD = {
    "another port of this machine": "http://127.0.0.1:1/media/x.png",
    "this machine by https": "https://localhost/media/x.png",
    "the metadata of a cloud": "http://169.254.169.254/latest/meta-data/",
    "a file": "file:///etc/passwd",
}


@pytest.mark.parametrize("name", INWARD)
def test_addresses_inward_are_told_of_and_never_asked(
    tmp_path: Path, server: ProviderServer, name: str
) -> None:
    server.script(answers.url_to(INWARD[name]))
    one = play(tmp_path, server)
    assert (one.code, one.end.attempts, len(server.creates)) == ("download_failed", 1, 1)


def test_a_redirect_inward_is_not_followed(tmp_path: Path, server: ProviderServer) -> None:
    with ProviderServer() as inside:
        server.script(answers.url())
        server.script(faults.redirect(f"{inside.origin}/media/1-0.png"), at="download")
        one = play(tmp_path, server)
        assert (one.code, inside.connections) == ("download_failed", 0)


def test_of_three_pictures_two_come_home_and_one_is_a_reference(
    tmp_path: Path, server: ProviderServer
) -> None:
    server.script(answers.url())
    server.script(failures.empty(404), at="/media/1-1.png")
    one = play(tmp_path, server, **THREE)
    first, _, third = made(3)
    assert_shows(one, first, third)
    (reference,) = one.end.references
    assert reference["reference"] == f"{server.origin}/media/1-1.png"
    assert reference["reason"].startswith("download_failed: ")
    assert "1 of 3 media could not be brought home" in one.end.warnings
    assert (len(server.creates), one.end.attempts) == (1, 1)


PASSING: dict[str, Step] = {
    "unavailable": failures.overloaded(),
    "cut short": faults.wrong_length(9),
    "reset": faults.reset_in_body(),
    "half a picture": Reply(200, picture(1)[:60], {"content-type": "image/png"}),
    "nothing": Reply(200),
}


@pytest.mark.parametrize("name", PASSING)
def test_a_download_that_fails_is_tried_again(
    tmp_path: Path, server: ProviderServer, name: str
) -> None:
    server.script(answers.url())
    server.script(*[PASSING[name]] * 2, at="download")
    one = play(tmp_path, server, size="40x30")
    assert_shows(one, *made(1))
    assert (len(server.creates), len(server.downloads), one.end.attempts) == (1, 3, 1)


def test_where_nothing_came_home_the_next_attempt_fetches_and_pays_for_no_other(
    tmp_path: Path, server: ProviderServer
) -> None:
    server.script(answers.url())
    server.script(*[failures.overloaded()] * 6, at="download")
    one = play(tmp_path, server, **TWO)
    assert_shows(one, *made(2))
    assert (one.first_error["code"], one.first_error["retryable"]) == ("download_failed", True)
    assert one.first_error["http"]["status"] == 503
    assert any("pays for no other" in hint for hint in one.first_error["hints"])
    assert (len(server.creates), len(server.downloads), one.end.attempts) == (1, 8, 2)


@pytest.mark.parametrize(
    "gone", [EXPIRED, failures.empty(404), failures.empty(410), answers.html()]
)
def test_an_address_that_expired_is_a_failure_that_says_so(
    tmp_path: Path, server: ProviderServer, gone: Any
) -> None:
    server.script(answers.url())
    server.script(gone, at="download")
    one = play(tmp_path, server)
    assert (one.code, one.end.attempts) == ("download_failed", 1)
    assert any("expired" in hint for hint in one.first_error["hints"])
    assert (len(server.creates), len(server.downloads)) == (1, 1)


# ---------------------------------------------------------------- jobs


@pytest.mark.parametrize("style", ["relay", "sdcpp", "wrapped"])
def test_a_job_in_place_of_a_picture_is_asked_for_until_it_is_done(
    tmp_path: Path, server: ProviderServer, style: Style
) -> None:
    server.script(job("queued", "in_progress", "processing", "completed", style=style))
    one = play(tmp_path, server, **TWO)
    assert_shows(one, *made(2))
    assert (len(server.creates), len(server.polls), one.end.attempts) == (1, 3, 1)
    assert {call.key for call in server.polls} == {KEY}


@pytest.mark.parametrize("style", ["openai", "openrouter", "xai"])
def test_a_clip_is_asked_for_until_it_is_done(
    tmp_path: Path, server: ProviderServer, style: Style
) -> None:
    server.script(job("queued", "in_progress", "completed", style=style))
    one = play(tmp_path, server, **CLIP)
    assert one.ok, one.end.error
    data, poster = one.files()
    assert data == clip(1)
    assert pixels(poster)[0] == USUAL_SIZE
    told = {"seconds": 0.5, "fps": CLIP_FPS, "frames": 4, "codec": "h264", "verified": True}
    assert one.end.artifacts[0].items() >= {"kind": "video", "role": "output", **told}.items()
    assert (len(server.creates), len(server.polls), len(server.downloads)) == (1, 2, 1)


DAMAGED: dict[str, Step] = {
    "cut short": Reply(200, clip(1)[:-20], {"content-type": "video/mp4"}),
    "no clip at all": Reply(200, b"something else", {"content-type": "video/mp4"}),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_clip_that_is_damaged_on_its_way_is_fetched_again(
    tmp_path: Path, server: ProviderServer, name: str
) -> None:
    server.script(*[DAMAGED[name]] * 2, at="download")
    one = play(tmp_path, server, **CLIP)
    assert one.files()[0] == clip(1)
    assert (len(server.creates), len(server.downloads), one.end.attempts) == (1, 3, 1)


def test_one_that_stays_no_clip_is_refused_and_was_paid_for_once(
    tmp_path: Path, server: ProviderServer
) -> None:
    server.script(*[DAMAGED["no clip at all"]] * 3, at="download")
    one = play(tmp_path, server, **CLIP)
    assert (one.code, len(server.creates), len(server.downloads)) == ("unreadable_media", 1, 3)
    assert one.end.artifacts == []


def test_a_picture_where_a_clip_was_asked_for_is_saved_and_is_no_success(
    tmp_path: Path, server: ProviderServer
) -> None:
    server.script(answers.b64())
    one = play(tmp_path, server, **CLIP)
    assert (one.code, len(server.creates)) == ("no_media", 1)
    assert [row["kind"] for row in one.end.artifacts] == ["image"]


@pytest.mark.parametrize("word", ["pondering", "Almost There", "QUEUED_2", "", "🙂"])
def test_a_word_that_nobody_knows_is_waited_out(
    tmp_path: Path, server: ProviderServer, word: str
) -> None:
    server.script(job("queued", word, word, "completed"))
    one = play(tmp_path, server, size="40x30")
    assert_shows(one, *made(1))
    assert (len(server.creates), len(server.polls)) == (1, 3)


@pytest.mark.parametrize("word", ["failed", "cancelled", "expired", "error"])
def test_a_job_that_fails_says_why_and_is_not_made_again(
    tmp_path: Path, server: ProviderServer, word: str
) -> None:
    server.script(job("queued", word))
    one = play(tmp_path, server, Cast(on_ambiguous="retry"))
    assert (one.code, one.end.attempts, len(server.creates)) == ("provider_failed", 1, 1)
    assert "the model fell over" in one.first_error["message"]
    assert one.first_error["hints"]


POLLS: dict[str, list[Step]] = {
    "unavailable": [failures.overloaded()] * 3,
    "bad gateway": [failures.page(502)] * 3,
    "rate limit": [failures.rate_limited(retry_after="5")] * 3,
    "reset": [faults.reset_after_request()] * 2,
    "not known yet": [failures.not_found()] * 3,
    "a body cut short": [faults.wrong_length(5)] * 2,
}


@pytest.mark.parametrize("name", POLLS)
def test_polls_that_fail_are_waited_out_and_nothing_is_made_again(
    tmp_path: Path, server: ProviderServer, name: str
) -> None:
    server.script(job("queued", "completed"))
    server.script(*POLLS[name], at="poll")
    one = play(tmp_path, server, size="40x30")
    assert_shows(one, *made(1))
    assert (len(server.creates), one.end.attempts) == (1, 1)


def test_polls_that_fail_for_long_end_an_attempt_and_not_the_job(
    tmp_path: Path, server: ProviderServer
) -> None:
    server.script(job("queued", "completed"))
    server.script(*[failures.overloaded()] * 7, at="poll")
    one = play(tmp_path, server, size="40x30")
    assert_shows(one, *made(1))
    assert (len(server.creates), len(server.polls), one.end.attempts) == (1, 8, 2)


def test_a_job_that_takes_for_ever_is_given_up_and_was_made_once(
    tmp_path: Path, server: ProviderServer
) -> None:
    server.script(job("queued", "in_progress"))
    one = play(tmp_path, server, Cast(settings={"poll_timeout": 100.0}))
    assert (one.code, len(server.creates)) == ("provider_timeout", 1)
    assert any("pays for no other" in hint for hint in one.first_error["hints"])


@pytest.mark.parametrize("kind", ["image", "video"])
def test_the_address_of_a_job_that_expired_is_asked_for_anew(
    tmp_path: Path, server: ProviderServer, kind: str
) -> None:
    server.script(
        job("queued", "completed", style="relay" if kind == "image" else "openai", expires=True)
    )
    one = play(tmp_path, server, **(CLIP if kind == "video" else {}))
    assert one.ok, one.end.error
    assert (len(server.creates), len(server.polls), len(server.downloads)) == (1, 2, 2)
