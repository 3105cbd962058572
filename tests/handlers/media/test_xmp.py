"""How a picture was made, as a packet that others can read too."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handlers.media.xmp import MOST_BYTES, facts_of, packet_of
from tests.examples import examples

FACTS = {
    "tool": "darkroom 0.1.0",
    "source_type": "trainedAlgorithmicMedia",
    "task": "generate_image",
    "job": "01JD",
    "provider": "openai",
    "model": "gpt-image-1",
    "seed": "7",
    "prompt": 'a "brass" <helmet> & co\nin two lines',
}
RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
DC = "{http://purl.org/dc/elements/1.1/}"
OURS = "{urn:darkroom:provenance:1#}"


def packet(facts: Any, **options: Any) -> bytes:
    made = packet_of(facts, **options)
    assert made is not None
    return made


def described(facts: Any, **options: Any) -> ET.Element:
    found = ET.fromstring(packet(facts, **options)).find(f"{RDF}RDF/{RDF}Description")
    assert found is not None
    return found


def test_a_packet_begins_and_ends_as_one_does() -> None:
    lines = packet(FACTS).decode().splitlines()
    assert lines[0] == '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
    assert lines[-1] == '<?xpacket end="w"?>'


def test_what_there_is_a_common_name_for_stands_under_it() -> None:
    element = described(FACTS)
    text = {child.tag: child.text for child in element}
    assert text["{http://ns.adobe.com/xap/1.0/}CreatorTool"] == "darkroom 0.1.0"
    assert text["{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}DigitalSourceType"] == (
        "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
    )
    words = element.find(f"{DC}description/{RDF}Alt/{RDF}li")
    assert words is not None
    assert words.text == FACTS["prompt"]
    assert words.get("{http://www.w3.org/XML/1998/namespace}lang") == "x-default"


def test_everything_else_stands_under_our_own_names() -> None:
    names = ("task", "job", "provider", "model", "seed", "prompt")
    element = described(FACTS)
    assert [element.findtext(OURS + name) for name in names] == [FACTS[name] for name in names]


def test_what_is_written_is_read_back() -> None:
    assert facts_of(packet(FACTS)) == FACTS


def test_what_is_no_text_is_json_and_none_is_nothing() -> None:
    facts = {"seed": 7, "nsfw": False, "sizes": [1, "ü"], "model": None}
    assert facts_of(packet(facts)) == {"seed": "7", "nsfw": "false", "sizes": '[1, "ü"]'}


@pytest.mark.parametrize("name", ["", "a b", "1st", "x:y", "a>", "prompt\n"])
def test_a_fact_whose_name_is_none_of_xml_is_left_out(name: str) -> None:
    assert facts_of(packet({name: "x", "task": "t"})) == {"task": "t"}


@pytest.mark.parametrize("odd", ["\0", "\x1f", "\ufffe", "\ud800", "\x0b"])
def test_a_character_that_xml_does_not_have_is_replaced(odd: str) -> None:
    assert facts_of(packet({"prompt": f"a{odd}b"})) == {"prompt": "a\ufffdb"}


@settings(max_examples=examples(50))
@given(st.dictionaries(st.sampled_from([*FACTS]), st.text(max_size=30), min_size=1))
def test_any_text_that_xml_has_comes_back_as_it_was(facts: dict[str, str]) -> None:
    plain = {
        name: "".join(c if c.isprintable() or c in "\t\n\r" else "?" for c in text)
        for name, text in facts.items()
    }
    assert facts_of(packet(plain)) == plain


# ---------------------------------------------------------------- room


@settings(max_examples=examples(60), deadline=None)
@given(st.text(st.sampled_from("a&<é日😀\r"), max_size=300), st.integers(1200, 3000))
def test_a_prompt_is_shortened_to_what_fits_and_says_so(prompt: str, most: int) -> None:
    made = packet({**FACTS, "prompt": prompt}, most_bytes=most)
    assert len(made) <= most
    read = facts_of(made)
    assert read is not None
    assert prompt.startswith(read["prompt"])
    assert ("shortened" in read) == (read["prompt"] != prompt)


def test_a_prompt_is_shortened_by_no_more_than_it_must() -> None:
    made = packet({**FACTS, "prompt": "&" * 9000}, most_bytes=20_000)
    assert 20_000 - len(made) < 2 * len("&amp;")
    assert (
        described({**FACTS, "prompt": "&" * 9000}, most_bytes=20_000).findtext(f"{OURS}shortened")
        == "prompt"
    )


def test_what_does_not_fit_without_the_prompt_is_no_packet() -> None:
    assert packet_of(FACTS, 500) is None
    assert packet_of({"model": "x" * 3000}, 2000) is None


def test_a_packet_is_never_larger_than_is_read() -> None:
    made = packet({"prompt": "word " * 400_000})
    assert len(made) <= MOST_BYTES
    assert (facts_of(made) or {})["shortened"] == "prompt"


# ---------------------------------------------------------------- packets of others


BOMB = """<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]>
<x xmlns:d="urn:darkroom:provenance:1#"><d:task>&b;</d:task></x>"""
FILE = """<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>
<x xmlns:d="urn:darkroom:provenance:1#"><d:task>&a;</d:task></x>"""


@pytest.mark.parametrize(
    "odd",
    [
        b"",
        b"no xml",
        b"<x/>",
        b"<x>" * 1000,
        BOMB.encode(),
        FILE.encode(),
        BOMB.encode("utf-16"),
        b"\xff\xfe" + packet(FACTS),
        packet(FACTS)[:-60],
        packet(FACTS).replace(b"darkroom:provenance", b"somebody:else")[:200],
        packet(FACTS) + b" " * MOST_BYTES,
    ],
)
def test_what_is_no_packet_of_ours_says_nothing(odd: bytes) -> None:
    assert facts_of(odd) is None


@given(st.binary())
def test_no_bytes_are_too_odd_to_be_read(data: bytes) -> None:
    assert facts_of(data) is None
