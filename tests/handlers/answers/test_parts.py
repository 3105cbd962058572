"""Answers in several parts."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.answers.parts import Part, parts_of
from tests.handlers.driving import PNG

TYPE = "multipart/mixed; boundary=x"


def body(*parts: tuple[str, bytes], end: bytes = b"\r\n--x--\r\n") -> bytes:
    return (
        b"".join(b"\r\n--x\r\n" + head.encode() + b"\r\n\r\n" + data for head, data in parts) + end
    )


def test_parts_come_with_their_types_and_their_very_bytes() -> None:
    awkward = b"\r\n--y\n--" + PNG + b"\r\n"
    whole = b"preamble" + body(
        ("Content-Type: image/png; x=1", PNG), ("content-type: a/b", awkward)
    )
    expected = [Part("image/png; x=1", PNG), Part("a/b", awkward)]
    assert list(parts_of(whole, TYPE)) == expected
    assert list(parts_of(whole.replace(b"\r\n--x", b"\n--x"), TYPE)) == expected


def test_a_part_may_have_no_head_or_be_cut_short() -> None:
    assert list(parts_of(b"--x\r\n\r\nhi\r\n--x--", TYPE)) == [Part("", b"hi")]
    assert list(parts_of(body(("Content-Type: a/b", b"hi"), end=b""), TYPE)) == [Part("a/b", b"hi")]
    assert list(parts_of(b"--x\r\nContent-Type: a/b", TYPE)) == [Part("", b"")]
    assert list(parts_of(b"--x--", TYPE)) == []


def test_parts_are_decoded() -> None:
    coded = base64.encodebytes(PNG)
    head = "Content-Type: image/png\r\nContent-Transfer-Encoding: "
    whole = body(
        (head + "BASE64", coded), (head + "quoted-printable", b"a=3Db"), (head + "binary", b"c")
    )
    assert [part.data for part in parts_of(whole, TYPE)] == [PNG, b"a=b", b"c"]


@pytest.mark.parametrize(
    "content_type",
    ["multipart/mixed", "multipart/mixed; boundary=", "multipart/mixed; boundary=\r\nx: y", ""],
)
def test_without_a_boundary_there_are_no_parts(content_type: str) -> None:
    assert list(parts_of(body(("A: b", b"hi")), content_type)) == []


def test_of_parts_without_end_the_first_are_taken() -> None:
    assert len(list(parts_of(body(*[("A: b", b"hi")] * 500), TYPE))) == 100


@given(st.binary(max_size=200) | st.lists(
    st.sampled_from([b"--x", b"\r\n", b"--", b"\n", b"Content-Type: image/png", b":", b"\xff"])
).map(b"".join), st.text(max_size=40) | st.just(TYPE))  # fmt: skip
def test_no_body_breaks_the_splitting(data: bytes, content_type: str) -> None:
    for part in parts_of(data, content_type):
        assert part.data in data or part.data == b""
