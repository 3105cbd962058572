"""Web pages: what they show, link to and tell, and which of it counts."""

from __future__ import annotations

import pytest

from handlers.answers.media import read_anything
from handlers.answers.pages import read_page
from handlers.contract import Kind

URL = "https://h.example/p/page.html"


def media(html: str, kind: Kind | None = None, base_url: str | None = URL) -> list[str]:
    """The addresses that a page gives, those on its own server as paths."""
    found = read_anything(html, media_type="text/html", base_url=base_url, kind=kind)
    return [(one.url or "data").removeprefix("https://h.example") for one in found.media]


SHOWN = [
    # pictures
    ("<img src=a.png><IMG SRC='b.png'>", ["/p/a.png", "/p/b.png"]),
    ("<img alt='<img src=no.png>' src='a.png'><!-- <img src=no.png> -->", ["/p/a.png"]),
    ("<img src='/a.png?x=1&amp;y=2&copy=3'>", ["/a.png?x=1&y=2&copy=3"]),
    ("<img src=' a\n b.png '>", ["/p/a%20b.png"]),
    ("<img src='//cdn.example/a.png'>", ["https://cdn.example/a.png"]),
    ("<img src='../a.png'>", ["/a.png"]),
    ("<img src=a.png width=1 height=1><img src=b.png width=640>", ["/p/b.png"]),
    ("<img><img src=''><img src='  '>", []),
    ("<img src='data:image/gif;base64,R0lG' data-src=a.png>", ["/p/a.png"]),
    ("<noscript><img src=a.png></noscript>", ["/p/a.png"]),
    ("<template><img src='{{url}}'></template><img src=a.png>", ["/p/a.png"]),
    ("<script>'<img src=no.png>'</script><style>a{}</style><title><img src=no.png></title>", []),
    # the largest of several
    ("<img src=s.png srcset='m.png 480w, l.png 1200w, n.png 800w'>", ["/p/l.png"]),
    ("<img src=s.png srcset='m.png 2x, l.png 3x'>", ["/p/l.png"]),
    ("<img src=s.png srcset='m.png, l.png'>", ["/p/s.png"]),
    ("<picture><source srcset='a.webp 900w' type='image/webp'><img src=a.png></picture>", ["/p/a.webp"]),
    ("<picture><source srcset='a.avif 900w' type='image/avif'><img src=a.png></picture>", ["/p/a.png"]),
    ("<picture><source srcset='a.png 1x, b.png 2x'></picture><img src=c.png>", ["/p/b.png", "/p/c.png"]),
    # clips
    ("<video src=a.mp4 poster=a.png></video>", ["/p/a.mp4"]),
    ("<video poster=a.png><source src=a.mp4><source src=a.webm></video>", ["/p/a.mp4"]),
    ("<video src=a.mp4><img src=no.png><a href=no.mp4>it</a></video><img src=b.png>", ["/p/a.mp4", "/p/b.png"]),
    ("<video src=a.mp4 /><img src=b.png>", ["/p/a.mp4", "/p/b.png"]),
    ("<video src=a.mp4><video src=b.mp4>", ["/p/a.mp4", "/p/b.mp4"]),
    ("<video poster=a.png></video>", ["/p/a.png"]),
    ("<audio src=no.mp3></audio><audio><source src=no.ogg></audio><img src=a.png>", ["/p/a.png"]),
    ("<embed src=a.mp4><object data=b type='video/mp4'></object><embed src=c.swf>", ["/p/a.mp4", "/p/b"]),
    # links
    ("<a href=a.png><img src=small.png></a>", ["/p/a.png"]),
    ("<a href=a.mp4><img src=small.png></a>", ["/p/a.mp4"]),
    ("<a href=about.html><img src=a.png></a>", ["/p/a.png"]),
    ("<a href=a.png>one</a><a href='b.PNG?x'>two</a><a href=c.html>three</a>", ["/p/a.png", "/p/b.PNG?x"]),
    ("<a href='/content/7' download>it</a><a href=a.zip download>all</a>", ["/content/7"]),
    ("<a href='/content/7' download='cat.png'>it</a><a href='/8' type='image/png'>x</a>", ["/content/7", "/8"]),
    ("<img src=a.png><a href=b.png>b</a><a href=c.mp4>c</a>", ["/p/a.png", "/p/c.mp4"]),
    # what is told, and what stands in it as text
    ("<meta property='og:image' content=og.png><img src=a.png>", ["/p/a.png"]),
    ("<meta property='og:image' content='og.png'><a href=about>x</a>", ["/p/og.png"]),
    ("<meta property='og:image' content=og.png><meta property='og:video' content='v.mp4'>", ["/p/v.mp4"]),
    ("<meta property='og:video' content='/embed/7'><meta name='twitter:image' content=t.png>", ["/p/t.png"]),
    ("<p>It is at https://cdn.example/a.png.</p>", ["https://cdn.example/a.png"]),
    ('<pre>{"data": [{"url": "https://cdn.example/a"}]}</pre>', ["https://cdn.example/a"]),
    ("<svg><image href=no.png /></svg><svg/><img src=a.png>", ["/p/a.png"]),
]  # fmt: skip


@pytest.mark.parametrize(("html", "expected"), SHOWN)
def test_a_page_gives_what_it_shows_or_else_links_to_or_tells_of(
    html: str, expected: list[str]
) -> None:
    assert media(html) == expected


def test_what_is_relative_is_so_to_the_base_of_the_page() -> None:
    page = "<head><base href='/b/'><base href='/no/'></head><img src=a.png>"
    assert media(page) == ["/b/a.png"]
    assert media(page, base_url=None) == []
    far = "<base href='https://cdn.example/x/y'><img src=a.png>"
    assert media(far, base_url=None) == ["https://cdn.example/x/a.png"]
    assert media("<base href='javascript:x'><img src=a.png>") == ["/p/a.png"]
    assert media("<base href='https://[x'><img src=a.png>") == ["/p/a.png"]


@pytest.mark.parametrize(
    ("kind", "expected"), [(None, ["/p/v.mp4"]), ("image", ["/p/p.png"]), ("video", ["/p/v.mp4"])]
)
def test_the_poster_of_a_clip_counts_where_a_picture_is_wanted(
    kind: Kind | None, expected: list[str]
) -> None:
    assert media("<video src=v.mp4 poster=p.png></video>", kind) == expected


def test_a_clip_that_cannot_be_had_gives_way_to_its_download() -> None:
    page = "<video src='blob:https://h.example/1'></video><a href='/c/1' download>save</a>"
    found = read_anything(page, media_type="text/html", base_url=URL)
    assert [medium.url for medium in found.media] == ["https://h.example/c/1"]
    assert [kept["reference"] for kept in found.references] == ["blob:https://h.example/1"]


def test_sound_is_told_of_where_nothing_else_is() -> None:
    found = read_anything("<audio src=a.mp3></audio>", media_type="text/html", base_url=URL)
    assert [kept["reference"] for kept in found.references] == ["a.mp3"]


def test_a_page_of_its_own_is_known_by_how_it_begins() -> None:
    found = read_anything("\ufeff\n<!DOCTYPE html><img src=a.png>", base_url=URL)
    assert [medium.url for medium in found.media] == ["https://h.example/p/a.png"]


def test_a_page_is_read_up_to_a_size() -> None:
    shown = "<html>" + "x " * (1 << 19) + "<img src=a.png>"
    found = read_anything(shown, base_url=URL)
    assert (found.media, len(found.notes)) == ([], 1)


COMMENTS = [
    "<!--a--><img src=1><!--b--!><img src=2><!-- <img src=no> --><img src=3>",
    "<!--a--!><img src=1><!--b--><img src=2><!----><img src=3><!--><img src=4><!---><img src=5>",
    "<script><!--a--></script><img src=1><!--b--!><img src=2><!--c--><img src=3><!-- no",
    "<noscript><!--a--><img src=1></noscript><!--b--><img src=2>",
]


@pytest.mark.parametrize("html", COMMENTS)
def test_what_a_comment_holds_is_not_shown_and_all_else_is(html: str) -> None:
    shown = [mention.reference for mention in read_page(html).shown]
    assert shown == [str(number) for number in range(1, len(shown) + 1)]
    assert len(shown) == html.count("<img") - html.count("=no")
