"""How a picture was made, in the picture's own file; its pixels stay as they are, byte for byte.

The file is taken apart and put together again with an XMP packet, and never encoded again. One
packet is in a file: one that is there already is replaced.

Three kinds of files are left as they are. One with C2PA content credentials: they sign the bytes
of the file, and any change would break the signature, which says more than our packet. A JPEG of
several pictures: it names the others by where they stand. And whatever is not understood.

Sources: XMP specification part 3 (where a packet stands in each format), C2PA specification 2.1
§A.3 (where credentials stand), RFC 9649 (the extended form of WebP).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from handlers.contract import Description, Json
from handlers.media.containers import (
    Container,
    Part,
    container_of,
    jpeg_segment,
    png_chunk,
    webp_canvas,
    webp_chunk,
)
from handlers.media.xmp import facts_of, packet_of

_HOMES: Mapping[str, tuple[bytes, bytes]] = {
    "image/png": (b"iTXt", b"XML:com.adobe.xmp\0"),
    "image/jpeg": (b"\xe1", b"http://ns.adobe.com/xap/1.0/\0"),
    "image/webp": (b"XMP ", b""),
}
"""Where a packet stands: the name of the part, and how its body begins."""
_ALSO_XMP = (
    (b"\xe1", b"http://ns.adobe.com/xmp/extension/\0"),  # the rest of one that was too long
    (b"tEXt", b"Raw profile type xmp\0"),  # as ImageMagick had it
    (b"zTXt", b"Raw profile type xmp\0"),
)
_PNG_PLAIN = b"\0\0\0\0"
"""Of an iTXt: not packed, of no language, no other keyword."""
_JPEG_MOST = 65_502
_REMOTE = b"dcterms:provenance"
"""In a packet: content credentials at an address, which sign the file just the same."""
_C2PA_LOOK = 128
"""Bytes of a JUMBF box in which its type and label stand."""
_WEBP_ALPHA, _WEBP_XMP = 0x10, 0x04


def with_provenance(data: bytes, facts: Mapping[str, Json]) -> bytes:
    """A picture's file that also tells how it was made. No bytes are too odd for it: what cannot
    bear a packet comes back as it is.

    Args:
        data: a PNG, JPEG or WebP.
        facts: as `handlers.media.xmp.packet_of` takes them.
    """
    container = container_of(data)
    if container is None or not container.whole or _is_signed(container):
        return data
    return _WRITERS[container.media_type](container, facts) or data


def signed(data: bytes, description: Description, origin: Mapping[str, Json], *, by: str) -> bytes:
    """A saved file that tells its origin; one that is no picture comes back as it is.

    Args:
        data: the file.
        description: what it is.
        origin: task, job, role, provider, model, prompt and seed, as far as they apply.
        by: the program that saved it.
    """
    if description.kind != "image":
        return data
    return with_provenance(data, {**origin, "tool": by, "source_type": _source_type(origin)})


def _source_type(origin: Mapping[str, Json]) -> str | None:
    """IPTC's word for how it came to be. The embedded stand-in is an algorithm and no model."""
    if origin.get("provider") is None:
        return None
    if origin["provider"] == "local":
        return "algorithmicMedia"
    made_whole = origin.get("task") in ("generate_image", "generate_video", "reference_media")
    return "trainedAlgorithmicMedia" if made_whole else "compositeWithTrainedAlgorithmicMedia"


def provenance_of(data: bytes) -> dict[str, str] | None:
    """The facts that `with_provenance` wrote into a file, each as text; None where there are
    none."""
    container = container_of(data)
    packet = None if container is None else _packet_in(container)
    return None if packet is None else facts_of(packet)


def _packet_in(container: Container) -> bytes | None:
    packet = next(container.bodies(*_HOMES[container.media_type]), None)
    if packet is not None and container.media_type == "image/png":
        plain = packet.startswith(_PNG_PLAIN)
        return packet[len(_PNG_PLAIN) :] if plain else b""
    return packet


def _is_xmp(container: Container, part: Part) -> bool:
    places = (_HOMES[container.media_type], *_ALSO_XMP)
    return any(
        part.name == name and container.data.startswith(head, part.body.start)
        for name, head in places
    )


def _is_signed(container: Container) -> bool:
    """Whether a file bears C2PA content credentials."""
    boxes = any(b"c2pa" in box[:_C2PA_LOOK] for box in container.bodies(b"\xeb", b"JP"))
    chunks = any(part.name in (b"caBX", b"C2PA") for part in container.parts)
    return boxes or chunks or _REMOTE in (_packet_in(container) or b"")


def _without_xmp(container: Container, start: int, end: int) -> bytes:
    """The file's bytes from `start` to `end`, but for packets."""
    view, pieces, at = memoryview(container.data), [], start
    for part in container.parts:
        if part.start >= start and _is_xmp(container, part):
            pieces.append(view[at : part.start])
            at = part.end
    return b"".join([*pieces, view[at:end]])


# ---------------------------------------------------------------- each format


def _into_png(container: Container, facts: Mapping[str, Json]) -> bytes | None:
    """After the header, which is the first chunk of all."""
    packet = packet_of(facts)
    if packet is None:
        return None
    name, head = _HOMES["image/png"]
    place = container.parts[0].end
    chunk = png_chunk(name, head + _PNG_PLAIN + packet)
    return container.data[:place] + chunk + _without_xmp(container, place, len(container.data))


def _into_jpeg(container: Container, facts: Mapping[str, Json]) -> bytes | None:
    """After JFIF and EXIF, which want to be first. There is one segment for it, of 64 KB."""
    packet = packet_of(facts, _JPEG_MOST)
    if packet is None or next(container.bodies(b"\xe2", b"MPF\0"), None) is not None:
        return None
    name, head = _HOMES["image/jpeg"]
    place = 2
    for part in container.parts:
        if part.name not in (b"\xe0", b"\xe1") or _is_xmp(container, part):
            break
        place = part.end
    segment = jpeg_segment(name, head + packet)
    return container.data[:place] + segment + _without_xmp(container, place, len(container.data))


def _into_webp(container: Container, facts: Mapping[str, Json]) -> bytes | None:
    """At the end, in the extended form: a plain file gets the header that says so."""
    packet, header = packet_of(facts), _extended_header(container)
    if packet is None or header is None:
        return None
    first, end = container.parts[0], container.parts[-1].end
    rest = _without_xmp(container, first.end if first.name == b"VP8X" else first.start, end)
    name, head = _HOMES["image/webp"]
    chunks = b"WEBP" + header + rest + webp_chunk(name, head + packet)
    return b"RIFF" + len(chunks).to_bytes(4, "little") + chunks + container.data[end:]


def _extended_header(container: Container) -> bytes | None:
    """The chunk that begins an extended file, with the mark that it holds XMP."""
    first = container.parts[0]
    if first.name == b"VP8X":
        flags, *rest = container.body(first)
        return webp_chunk(b"VP8X", bytes([flags | _WEBP_XMP, *rest]))
    width, height, clear = webp_canvas(container.data) or (0, 0, False)
    if len(container.parts) > 1 or 0 in (width, height):
        return None
    flags = _WEBP_XMP | (_WEBP_ALPHA if clear else 0)
    sides = ((side - 1).to_bytes(3, "little") for side in (width, height))
    return webp_chunk(b"VP8X", bytes([flags, 0, 0, 0]) + b"".join(sides))


_WRITERS: Mapping[str, Callable[[Container, Mapping[str, Json]], bytes | None]] = {
    "image/png": _into_png,
    "image/jpeg": _into_jpeg,
    "image/webp": _into_webp,
}
