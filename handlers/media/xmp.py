"""How a picture was made, as an XMP packet: written, and read back. Pure.

Sources: XMP specification part 1 (ISO 16684-1: the packet, RDF, Dublin Core), IPTC photo metadata
standard 2023.1 (DigitalSourceType), XML 1.0 §2.2 (characters).
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from typing import Final
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

from handlers.contract import Json

MOST_BYTES: Final = 1 << 20
"""The largest packet that is written or read."""
_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_DC = "http://purl.org/dc/elements/1.1/"
_XMP = "http://ns.adobe.com/xap/1.0/"
_IPTC = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
_OURS = "urn:darkroom:provenance:1#"
_SOURCES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_PACKET = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
    '<x:xmpmeta xmlns:x="adobe:ns:meta/">\n'
    f' <rdf:RDF xmlns:rdf="{_RDF}">\n'
    f'  <rdf:Description rdf:about="" xmlns:dc="{_DC}" xmlns:xmp="{_XMP}"'
    f' xmlns:Iptc4xmpExt="{_IPTC}" xmlns:darkroom="{_OURS}">\n'
    "%s"
    "  </rdf:Description>\n"
    " </rdf:RDF>\n"
    "</x:xmpmeta>\n"
    '<?xpacket end="w"?>'
)


def packet_of(facts: Mapping[str, Json], most_bytes: int = MOST_BYTES) -> bytes | None:
    """An XMP packet that tells how a picture was made.

    The prompt is its description too, which is what galleries show. Where it does not fit it is
    shortened, and the fact `shortened` says so.

    Args:
        facts: `tool` is the program, `source_type` IPTC's word for how it came to be, as
            "trainedAlgorithmicMedia"; `prompt` and all others stand under their own names, where
            XML can have them. None leaves a fact out; what is no text is written as JSON.
        most_bytes: that it may have.

    Returns:
        The packet, or None where it would not fit even without the prompt.
    """
    texts = {name: _text(fact) for name, fact in facts.items() if fact is not None}
    packet = _packet(texts)
    if len(packet) <= most_bytes:
        return packet
    prompt, texts = texts.get("prompt", ""), {**texts, "prompt": "", "shortened": "prompt"}
    room = most_bytes - len(_packet(texts))
    if room < 0:
        return None
    fitting = range(len(prompt) + 1)
    longest = bisect_right(fitting, room, key=lambda end: 2 * len(_escaped(prompt[:end]).encode()))
    return _packet({**texts, "prompt": prompt[: longest - 1]})


def facts_of(packet: bytes) -> dict[str, str] | None:
    """The facts of a packet that was written here, each as text; None where it is none of ours.

    A packet is part of a file that anybody may have made. So one that is large is not looked at,
    nor one with a declaration, a comment or CDATA: none of ours has one, and without declarations
    there are no entities, neither those that unpack to a flood nor those that name a file.
    """
    if len(packet) > MOST_BYTES or b"<!" in packet or b"\0" in packet:
        return None
    try:
        root = ET.fromstring(packet.decode())  # noqa: S314 -- no entities, and a megabyte
    except (ET.ParseError, ValueError):
        return None
    facts = dict(_facts_within(root))
    return facts or None


def _facts_within(root: ET.Element) -> Iterator[tuple[str, str]]:
    for element in root.iter():
        space, _, name = element.tag.removeprefix("{").rpartition("}")
        if space == _OURS:
            yield name, element.text or ""
        elif (space, name) == (_XMP, "CreatorTool"):
            yield "tool", element.text or ""
        elif (space, name) == (_IPTC, "DigitalSourceType"):
            yield "source_type", (element.text or "").removeprefix(_SOURCES)


def _packet(texts: Mapping[str, str]) -> bytes:
    return (_PACKET % "".join(_elements(texts))).encode()


def _elements(texts: Mapping[str, str]) -> Iterator[str]:
    for name, text in texts.items():
        if name == "tool":
            yield _element("xmp:CreatorTool", _escaped(text))
        elif name == "source_type":
            yield _element("Iptc4xmpExt:DigitalSourceType", _escaped(_SOURCES + text))
        elif _NAME.fullmatch(name):
            yield _element(f"darkroom:{name}", _escaped(text))
        if name == "prompt":
            words = f'<rdf:Alt><rdf:li xml:lang="x-default">{_escaped(text)}</rdf:li></rdf:Alt>'
            yield _element("dc:description", words)


def _element(name: str, content: str) -> str:
    return f"   <{name}>{content}</{name}>\n"


def _text(fact: Json) -> str:
    text = fact if isinstance(fact, str) else json.dumps(fact, ensure_ascii=False, default=str)
    return _NO_XML.sub("\ufffd", text)


def _escaped(text: str) -> str:
    return escape(text, {"\r": "&#13;"})  # a bare one is read back as a line feed
