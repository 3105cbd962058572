"""Answers that are meant to hurt: nothing breaks, nothing is invented, and time grows no faster
than size."""

from __future__ import annotations

import base64
import html
import json
import re
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import handlers.answers.pages
import handlers.answers.prose  # noqa: F401 (so that nobody waits for them while time is taken)
from handlers.answers.media import media_of, read_anything
from handlers.answers.streams import events
from tests.examples import examples
from tests.handlers.answers.test_media import ANSWERS
from tests.handlers.driving import B64, PNG

BASE = "https://h.example/v1"

# ---------------------------------------------------------------- whatever comes

PLACES = st.sampled_from(
    [
        *(
            "https://cdn.example/a.png",
            "http://x.example/b.mp4?s=1&amp;t=2",
            "/p/c.webp",
            "d/e.gif",
        ),
        *("//y.example/f", "gs://b/g.png", "blob:https://h.example/1", "javascript:x()", "#i", ""),
        *("data:image/png;base64," + B64, "data:image/png;base64,!", "data:,%89PNG", "h_(1).png"),
        *("https://[::1/j.png", "http://", "k l.png", "a.png 1x, b.png 2x", "m.mp4\n", "ä.png"),
    ]
)
TAGS = st.sampled_from(
    [
        *("<img src='{}'>", '<img srcset="{}">', "<a href={}>", "</a>", "<video src='{}'>", "</video>"),
        *("<source src='{}'>", "<source srcset='{}' type=image/webp>", "<picture>", "</picture>"),
        *("<video poster='{}'>", "<audio src='{}'>", "</audio>", "<meta property=og:image content='{}'>"),
        *("<base href='{}'>", "<svg>", "</svg>", "<template>", "</template>", "<noscript>", "<pre>"),
        *("</pre>", "<!--", "-->", "<script>", "</script>", "<object data='{}'>", "<a download href='{}'>"),
    ]
)  # fmt: skip
MARKS = st.sampled_from(
    [
        *("![a]({})", "[a]({} 'b')", "<{}>", "![a][1]\n\n[1]: {}", "`", "```\n", "\n\n", "](", "![", "<"),
        *("**", "\\", "&amp;", "> ", "    ", "{}.", "({})", '{{"url": "{}"}}', "event: x\ndata: {}\n\n"),
    ]
)  # fmt: skip
PIECES = st.one_of(
    st.builds(lambda form, place: form.format(place), TAGS | MARKS, PLACES),
    PLACES,
    st.text(max_size=8),
)
TEXTS = st.lists(PIECES, max_size=8).map("".join)
KEYS = st.sampled_from(
    ["data", "images", "video", "url", "b64_json", "output", "content", "text", "type", "foo", "href"]
)  # fmt: skip
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | PLACES | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=6,
)


def dumps(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


BODIES = TEXTS | VALUES | VALUES.map(dumps) | st.binary(max_size=60) | TEXTS.map(str.encode)
TYPES = st.sampled_from(
    [
        *(None, "", "text/html", "application/json", "text/event-stream", "image/png", "text/html; charset=x"),
        *("multipart/mixed; boundary=x", "image/svg+xml", "text/plain; charset=utf-16"),
    ]
)  # fmt: skip


def texts_of(body: Any) -> Iterator[str]:
    """Every text in a body."""
    if isinstance(body, bytes):
        for charset in ("utf-8", "utf-16", "utf-16le"):
            yield from texts_of(body.decode(charset, "replace"))
    elif isinstance(body, str):
        yield body
        yield "".join(data for _, data in events(body.encode()))  # one text, in pieces
    elif isinstance(body, dict):
        yield from (text for item in body.items() for part in item for text in texts_of(part))
    elif isinstance(body, list):
        yield from (text for part in body for text in texts_of(part))


def plain(text: str) -> str:
    """A text without the escapes of JSON, Markdown and HTML, and the folds of attributes."""
    for _ in range(3):
        text = re.sub(r"\\u00([0-9a-f]{2})", lambda match: chr(int(match[1], 16)), text)
        for sign, meant in zip("bfnrt", "\b\f\n\r\t", strict=True):
            text = text.replace("\\" + sign, meant)
        text = html.unescape(text).replace("\\", "")
    return re.sub(r"[\t\r\n]", "", text).replace("%20", " ").replace("\0", "\ufffd")


@settings(max_examples=examples(150), deadline=None)
@given(BODIES, TYPES, st.sampled_from([None, BASE, "h"]), st.sampled_from([None, "image", "video"]))
def test_nothing_breaks_the_reading_and_nothing_is_invented(
    body: Any, media_type: str | None, base_url: str | None, kind: Any
) -> None:
    found = read_anything(body, media_type=media_type, base_url=base_url, kind=kind)
    whole = "\n".join(plain(text) for text in texts_of(body))
    for medium in found.media:
        assert bool(medium.data) != bool(medium.url)
        if medium.url is not None:
            url = plain(medium.url)
            assert url.startswith(("http://", "https://", "HTTP"))
            assert url in whole or is_joined(url, whole), (url, whole)
        else:
            assert is_held(medium.data, body, whole)
    for kept in found.references:
        assert plain(str(kept["reference"])) in whole, (kept, whole)
        assert kept["reason"]


def is_joined(url: str, whole: str) -> bool:
    """Whether an address is a place and a reference put behind it, both of which stand there."""
    known = f"{whole}\n{BASE}/"
    scheme, _, host, *rest = url.split("/", 3)
    if f"//{host}" not in known:
        return False
    path = "/" + rest[0] if rest else url.removeprefix(scheme)
    cuts = [
        0,
        *(at + 1 for at, sign in enumerate(path) if sign == "/"),
        path.find("?"),
        path.find("#"),
    ]
    return any(path[:cut] in known and path[cut:] in whole for cut in cuts)


def is_held(data: bytes | None, body: Any, whole: str) -> bool:
    """Whether bytes stand there, as they are or encoded."""
    assert data
    encoded = base64.b64encode(data).decode().rstrip("=")[:-1]
    written = "\n".join(unquote_to_bytes(text).decode("latin-1") for text in texts_of(body))
    return data == body or encoded in whole or plain(data.decode("latin-1")) in plain(written)


@settings(max_examples=examples(60), deadline=None)
@given(st.binary(max_size=200), st.text(max_size=40))
def test_no_bytes_of_any_type_break_the_reading(body: bytes, media_type: str) -> None:
    read_anything(body, media_type=media_type)
    read_anything(PNG[:8] + body, media_type=media_type)


@settings(max_examples=examples(60), deadline=None)
@given(ANSWERS)
def test_no_answer_of_a_known_provider_breaks_the_reading(answer: Any) -> None:
    for kind in (None, "image", "video"):
        media_of(answer, BASE, kind)  # type: ignore[arg-type]
    read_anything(answer, base_url=BASE)


# ---------------------------------------------------------------- time


def times(unit: str, begin: str = "", end: str = "") -> Callable[[int], str]:
    return lambda size: begin + unit * (size // len(unit)) + end


def deep(size: int) -> str:
    return '[{"a":' * (size // 8) + "1" + "}]" * (size // 8)


def chained(size: int) -> str:
    """`output` in `output`, as deep as JSON may be, around a list without media."""
    levels = min(size // 14, 300)
    return '{"output":' * levels + json.dumps(["x" * 20] * (size // 24)) + "}" * levels


def quoted(size: int) -> str:
    """JSON in a string in JSON, and so on."""
    text = '"x"'
    while len(text) < size:
        text = json.dumps([text])
    return text


HOSTILE: dict[str, Callable[[int], Any]] = {
    **{f"{unit!r} again and again": times(unit) for unit in (
        *("[", "![](", "[![](", "![a](<", "[a]: <b\n", "[a]:\n", "`", "``` \n", "~~~\n", "<", "< ", "a<b "),
        *("<a href=", '<a href="', "<img src=", "<!--", "<!--a-->", "<?", "<![CDATA[", '"', "'", "\\", "&amp;"),
        *("&#x", "*a_", "> ", "- a\n", "\n", "| a ", "{", '{"', '{"a":', "[{", "data:", "data:image/png;a"),
        *("data:image/png;base64,", "http://", "http://a ", "http://a,", "https://a.png，", ")", "{}\n"),
        *("data: {}\n\n", "event: a\n", 'data: {"choices":[{"delta":{"content":"a"}}]}\n\n', "A" * 1023 + " "),
        *("iVBORw0KGgo" + "A" * 65 + "\n", "The quick, brown fox. ", "![a](https://x.example/a.png)\n\n"),
    )},
    **{f"a page of {unit!r}": times(unit, "<html>") for unit in (
        *("<div>", "<b><p>", "<a href=a.png>", "<a href=a.png><img src=b></a>", "<picture><source srcset=a>"),
        *("<video src=a>", "<video><source>", "<noscript>", "<template>", "<svg>", "<svg></svg>", "<table><a>"),
        *("<!--a-->", "<!--a--!>", "<script>", "<script></script>", "<pre>", "<pre>{}</pre>", "<base href=a>"),
        *("<meta property=og:image content=a>", "<x a=b ", "</a b='", "&notin", "<title>", "</p>"),
    )},
    "a srcset of commas": times(",", "<html><img srcset='", "'>"),
    "a srcset of candidates": times("a 1x,", "<html><img srcset='", "'>"),
    "a srcset of blanks": times(" ", "<html><img srcset='a", "b'>"),
    "an address with many brackets": times(")", "see http://a.example/b"),
    "an address with many pairs": times("()", "see http://a.example/b", ".png"),
    "blanks in a fence": times(" ", "```", "x"),
    "blanks in a sentence": times(" ", "a", "b"),
    "one long word": times("AB/-", "![a](data:image/png;base64,", ")"),
    "a percent-encoded data URL": times("%41", "![a](data:image/png,", ")"),
    "deep JSON": deep,
    "output in output": chained,
    "JSON in strings": quoted,
    "texts in JSON": lambda size: {"content": ["![a](" + "x" * 40] * (size // 48)},
    "keys that nobody knows": lambda size: [{f"z{n}": "https://x.example"} for n in range(size // 32)],
    "addresses in JSON": lambda size: [{"url": f"https://x.example/{n}"} for n in range(size // 32)],
    "many parts": lambda size: b"--x\r\nA: b\r\n\r\nc\r\n" * (size // 17),
    "boundaries that are none": lambda size: b"\r\n--x y" * (size // 7),
    "noise": lambda size: bytes(range(256)) * (size // 256),
}  # fmt: skip
SMALLEST, LARGEST = 1 << 11, 1 << 21
FAST = 0.012
"""Seconds below which a size tells nothing: a larger one is looked at."""
STEEPEST = 9
"""How much longer four times the size may take: 4 is linear, 16 is quadratic."""


def seconds(body: Any, media_type: str | None) -> float:
    start = time.process_time()
    read_anything(body, media_type=media_type, base_url=BASE, kind="image")
    return time.process_time() - start


def growth(make: Callable[[int], Any]) -> float:
    """How much longer four times as much takes, where it takes long enough to be measured."""
    size, before = SMALLEST, FAST
    while size <= LARGEST:
        body = make(size)
        took = seconds(body, "multipart/mixed; boundary=x" if isinstance(body, bytes) else None)
        if size > SMALLEST and took > FAST:
            return took / max(before, FAST / 8)
        size, before = size * 4, took
    return 1.0


@pytest.mark.parametrize("name", HOSTILE)
def test_time_grows_no_faster_than_size(name: str) -> None:
    assert any(growth(HOSTILE[name]) < STEEPEST for _ in range(4))
