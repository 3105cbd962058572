"""What is sent: headers and bodies."""

from __future__ import annotations

from email import message_from_bytes
from email.message import Message as Mail

import pytest

from daemon.messages import headers_of, message_of
from daemon.redaction import Secret
from daemon.sites import Site
from handlers.contract import HandlerError
from handlers.wire import FilePart, HttpCall

SITE = Site("https://api.test/v1", {"authorization": Secret("Bearer canary")})


def parts_of(call: HttpCall) -> list[Mail]:
    message = message_of(call, None)
    head = f"content-type: {message.headers['content-type']}\r\n\r\n".encode()
    parts = message_from_bytes(head + (message.content or b"")).get_payload()
    assert isinstance(parts, list)
    return parts  # type: ignore[return-value]


def test_the_sites_headers_go_along_only_for_the_site() -> None:
    call = HttpCall("GET", "/x", headers={"X-Own": "1"})
    assert message_of(call, SITE).headers["authorization"] == "Bearer canary"
    assert "authorization" not in message_of(call, None).headers
    assert message_of(call, None).headers["x-own"] == "1"


def test_a_call_cannot_replace_the_key() -> None:
    call = HttpCall("GET", "/x", headers={"Authorization": "Bearer other"})
    assert message_of(call, SITE).headers["authorization"] == "Bearer canary"


def test_darkroom_says_who_it_is_and_wants_nothing_packed() -> None:
    headers = headers_of(None, {"Accept-Encoding": "gzip", "Host": "other", "Content-Length": "9"})
    assert headers.pop("user-agent").startswith("darkroom/")
    assert headers == {"accept": "*/*", "accept-encoding": "identity"}


@pytest.mark.parametrize(
    "value", ["canary\n", "canary\r\nx: y", " canary", "canary\x00", "canary–x"]
)
def test_a_header_that_cannot_be_sent_is_named_and_not_shown(value: str) -> None:
    with pytest.raises(HandlerError) as caught:
        headers_of(Site("https://api.test", {"x-api-key": Secret(value)}), {})
    assert caught.value.code == "config_invalid"
    assert "x-api-key" in caught.value.message
    assert "canary" not in f"{caught.value!r} {caught.value.__dict__}"


def test_json_is_sent_as_it_is() -> None:
    message = message_of(HttpCall("POST", "/x", json={"prompt": "Büro", "n": 1}), None)
    assert message.headers["content-type"] == "application/json"
    assert message.content == '{"prompt":"Büro","n":1}'.encode()
    assert message_of(HttpCall("POST", "/x", json={}), None).content == b"{}"


def test_what_the_body_is_nobody_else_says() -> None:
    site = Site("https://api.test", {"content-type": Secret("application/json")})
    call = HttpCall("POST", "/x", form=[("a", "b")], headers={"Content-Type": "text/plain"})
    assert message_of(call, site).headers["content-type"].startswith("multipart/form-data; ")


def test_a_message_does_not_show_its_keys() -> None:
    assert "canary" not in repr(message_of(HttpCall("GET", "/x"), SITE))


def test_a_call_without_a_body_has_none() -> None:
    message = message_of(HttpCall("GET", "/x"), None)
    assert message.content is None
    assert "content-type" not in message.headers


def test_a_form_without_files_is_multipart_all_the_same() -> None:
    (part,) = parts_of(HttpCall("POST", "/x", form=[("prompt", "Büro")]))
    assert part["content-disposition"] == 'form-data; name="prompt"'
    assert part["content-type"] is None
    assert part.get_payload(decode=True) == "Büro".encode()


def test_parts_of_one_name_keep_their_order_names_and_types() -> None:
    files = [FilePart("image[]", f"{n}.png", "image/png", bytes([n, 0, 13, 10])) for n in (2, 1)]
    call = HttpCall("POST", "/x", form=[("a", "1"), ("b", ""), ("a", "2")], files=files)
    parts = parts_of(call)
    names = [part.get_param("name", header="content-disposition") for part in parts]
    assert names == ["a", "b", "a", "image[]", "image[]"]
    assert [part.get_filename() for part in parts[3:]] == ["2.png", "1.png"]
    assert {part.get_content_type() for part in parts[3:]} == {"image/png"}


def test_no_part_can_break_out_of_its_line() -> None:
    part = FilePart('im"a\r\nx: y', 'a"\r\nx: y', "image/png\r\nx: y", b"data")
    (sent,) = parts_of(HttpCall("POST", "/x", files=[part]))
    assert sent["x"] is None
    assert sent.get_content_type() == "application/octet-stream"
