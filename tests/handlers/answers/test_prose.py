"""Markdown and plain words, as chats answer with them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.answers.folding import folded
from handlers.answers.media import media_of, read_anything
from handlers.answers.srcsets import candidates, largest
from handlers.answers.words import mentions, trimmed
from tests.handlers.driving import B64, PNG

A, B = "https://cdn.example/a.png", "https://cdn.example/b.png"

MARKDOWN = [
    (f"![a]({A})", [A]),
    (f"![a fox (red)]({A} 'a \"fox\"')\n\n![b](<{B}>)", [A, B]),
    ("![a](https://cdn.example/a_(1).png)", ["https://cdn.example/a_(1).png"]),
    (f"1. One:\n    ![a]({A})\n2. Two:\n\n        ![b]({B})", [A, B]),
    (f"![a][1] and ![b]\n\n[1]: {A} 'it'\n[b]: <{B}>", [A, B]),
    (f"**![a]({A})** | ![b]({B}) |", [A, B]),
    (f"> ![a]({A})\n> # ![b]({B})", [A, B]),
    (f"![a]({A}) [download]({B})", [A]),
    (f"[![small](https://cdn.example/small.png)]({A})", [A]),
    (f"[a]({A}) and [rules](https://rules.example/policy)", [A]),
    (f"<{A}> and <https://rules.example/policy>", [A]),
    (f'<img src="{A}" width="300">\n\nand\n\n<p>\n<img src="{B}"></p>', [A, B]),
    (f"<video controls><source src='{A[:-3]}mp4'></video> ![b]({B})", [f"{A[:-3]}mp4", B]),
    (f"`![a]({A})`", [A]),
    (f"```\n{A}\n```", [A]),
    (f"\\![a]({A}\\)", [A]),
    ("![a](/files/1.png)", ["https://h.example/files/1.png"]),
    ("![a](https://cdn.example/a b.png)", []),
    ("![a]()", []),
]


@pytest.mark.parametrize(("text", "urls"), MARKDOWN)
def test_markdown_gives_its_pictures_or_else_its_links(text: str, urls: list[str]) -> None:
    found = read_anything(text, base_url="https://h.example/v1")
    assert [medium.url for medium in found.media] == urls
    chat = {"choices": [{"message": {"content": text}}]}
    assert media_of(chat, "https://h.example/v1").media == found.media


WORDS = [
    (f"It is at {A}.", [A]),
    (f'({A}), [{B}]; "{A}?x=1"!', [A, B, f"{A}?x=1"]),
    (f"{A},{B}", [A, B]),
    (f"**{A}**", [A]),
    (f"看图:{A}。再看{B}，谢谢", [A, B]),
    (f"看图{A}请查收", [A]),
    (f"{A}?sig=a_b-c%3D#x", [f"{A}?sig=a_b-c%3D#x"]),
    ("HTTPS://CDN.example/A.PNG", ["HTTPS://CDN.example/A.PNG"]),
    ("https://cdn.example/view/https://x.example/a.png", ["https://cdn.example/view/https://x.example/a.png"]),
    ("gs://bucket/a.mp4 ftp://h.example/a.gif", ["gs://bucket/a.mp4", "ftp://h.example/a.gif"]),
    ("https://rules.example/policy and https://h.example/?u=a.png", []),
    ("a.png /srv/a.png cat.jpeg", []),
]  # fmt: skip


@pytest.mark.parametrize(("text", "urls"), WORDS)
def test_words_give_the_addresses_of_media_without_the_signs_around_them(
    text: str, urls: list[str]
) -> None:
    assert [mention.reference for mention in mentions(text)] == urls


@pytest.mark.parametrize(
    ("url", "bare"),
    [
        ("http://a/b).", "http://a/b"),
        ("http://a/(b)", "http://a/(b)"),
        ("http://a/(b))", "http://a/(b)"),
        ("http://a/b.,;\"'>", "http://a/b"),
        ("http://a/b]}", "http://a/b"),
        ("...", ""),
        ("", ""),
    ],
)
def test_an_address_loses_the_signs_of_its_sentence(url: str, bare: str) -> None:
    assert trimmed(url) == bare


def test_data_urls_stand_among_words_too() -> None:
    found = read_anything(f"Here: data:image/png;base64,{B64}, and {A}.")
    assert [medium.data or medium.url for medium in found.media] == [PNG, A]


# ---------------------------------------------------------------- what parsing rests on


@given(
    st.lists(st.text(max_size=20) | st.integers(1000, 3000).map(lambda size: "aB3+/" * (size // 5)))
)
def test_what_was_folded_comes_back(parts: list[str]) -> None:
    text = "".join(parts)
    folds = folded(text)
    assert folds.unfolded(folds.text) == text
    assert len(folds.text) <= len(text)


def test_long_runs_are_folded_and_short_ones_are_not() -> None:
    run = "A" * 5000
    folds = folded(f"a {run}= b {run[:1000]}")
    assert folds.runs == (run,)
    assert len(folds.text) < 1100
    assert folded(run[:1023]).text == run[:1023]


@pytest.mark.parametrize(
    ("srcset", "best"),
    [
        ("a.png 1x, b.png 2x", "b.png"),
        ("a.png 100w,b.png 20w", "a.png"),
        ("a.png", "a.png"),
        (" , a.png ,, b.png 1.5x , ", "b.png"),
        ("data:image/png;base64,AA,w_300/a.png 2x", "data:image/png;base64,AA,w_300/a.png"),
        ("a.png 2x, b.png 10w", "b.png"),
        ("a.png wide, b.png -3w", "a.png"),
        ("", None),
        (",,, ", None),
    ],
)
def test_the_largest_candidate_is_known(srcset: str, best: str | None) -> None:
    assert largest(candidates(srcset)) == best
