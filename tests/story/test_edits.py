"""Every image task against a server of every kind: what arrived there is decoded and compared with
what was meant, pixel by pixel, and so is what came home.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageChops

from handlers.media.compositing import differing
from handlers.media.frames import Frame
from handlers.openai_shape.table import DIALECTS
from tests.handlers.scenes import opened, png, source
from tests.story.stage import Cast, Played, play_all
from tests.wire.pictures import USUAL_SIZE
from tests.wire.received import Received
from tests.wire.server import ProviderServer

POLARITY = {
    "openai": "alpha",
    "azure": "alpha",
    "compatible": "alpha",
    "localai": "white",
    "sdcpp": "white",
    "vllm-omni": "white",
    "sglang": None,
    "xai": None,
    "openrouter": None,
}
"""What each server's own papers say: what is transparent is changed, or what is white; or it takes
no mask."""

PHOTO = source(USUAL_SIZE)
OTHER = PHOTO.transpose(Image.Transpose.ROTATE_180)
BOX = (16, 12, 40, 36)
MASK = Image.new("L", USUAL_SIZE)
MASK.paste(255, BOX)
REGION = "box:16:12:40:36"


def test_every_server_is_tried_that_edits() -> None:
    edits = {name for name, one in DIALECTS.items() if "edit_image" in one.operations}
    assert edits == set(POLARITY)


@contextmanager
def server() -> Iterator[ProviderServer]:
    running = ProviderServer()
    try:
        with running:
            yield running
    finally:
        pass


# ---------------------------------------------------------------- reading what arrived


def arrived(received: Received) -> tuple[list[Image.Image], Image.Image | None]:
    """The pictures and the mask of a call, out of whichever form it has."""
    if received.parts:
        files = [part for part in received.parts if part.filename is not None]
        for part in files:
            assert part.filename
            assert part.filename.endswith((".png", ".jpg", ".webp"))
            assert part.media_type in ("image/png", "image/jpeg", "image/webp")
        masks = [opened(part.data) for part in files if part.name.startswith("mask")]
        pictures = [opened(part.data) for part in files if not part.name.startswith("mask")]
        return pictures, masks[0] if masks else None
    return list(_in_json(received.json)), None


def _in_json(value: Any) -> Iterator[Image.Image]:
    """Every picture in a body, in order: data URLs, and what LocalAI takes as bare base64."""
    if isinstance(value, dict):
        for name, below in value.items():
            if name in ("file", "ref_images"):
                for text in [below] if isinstance(below, str) else below:
                    yield opened(base64.b64decode(text))
            else:
                yield from _in_json(below)
    elif isinstance(value, list):
        for below in value:
            yield from _in_json(below)
    elif isinstance(value, str) and value.startswith("data:image/"):
        yield opened(base64.b64decode(value.partition(",")[2]))


def changed_area(mask: Image.Image, rule: str) -> Image.Image:
    """Where a server of that rule changes the picture: 255."""
    if rule == "white":
        return mask.convert("L")
    assert mask.mode == "RGBA"
    return ImageChops.invert(mask.getchannel("A"))


def same(one: Image.Image, other: Image.Image) -> bool:
    return (
        one.size == other.size and one.convert("RGBA").tobytes() == other.convert("RGBA").tobytes()
    )


# ---------------------------------------------------------------- playing


def played(
    folder: Path, dialect: str, requests: Sequence[Mapping[str, Any]], **options: Any
) -> tuple[list[Played], dict[str, Received]]:
    """What became of some requests, and what arrived of each, by its prompt."""
    inbox = folder / "inbox"
    inbox.mkdir(parents=True)
    for name, picture in {"photo": PHOTO, "other": OTHER, "mask": MASK}.items():
        (inbox / f"{name}.png").write_bytes(png(picture))
    with ProviderServer() as running:
        ends = play_all(folder, running, requests, Cast(dialect=dialect, options=options))
        asked = {prompt_of(one): one for one in running.creates}
    for end in ends:
        assert end.ok, end.end.error
    return ends, asked


def prompt_of(received: Received) -> str:
    prompt = received.fields.get("prompt")
    if prompt is None:
        content = received.json["messages"][0]["content"]
        prompt = content if isinstance(content, str) else content[0]["text"]
    return str(prompt).partition(" <")[0]


def output(end: Played, role: str = "output") -> Image.Image:
    (path,) = [one["path"] for one in end.end.artifacts if one["role"] == role]
    return opened((end.root / path).read_bytes())


EDITS: list[dict[str, Any]] = [
    {"task": "edit_image", "image": "inbox/photo.png", "prompt": "whole"},
    {"task": "edit_image", "image": "inbox/photo.png", "mask": "inbox/mask.png", "prompt": "mask"},
    {
        "task": "mask_inpaint",
        "image": "inbox/photo.png",
        "regions": [REGION],
        "feather": 0,
        "prompt": "hard",
    },
    {
        "task": "mask_inpaint",
        "image": "inbox/photo.png",
        "regions": [REGION],
        "feather": 3,
        "keep_outside": True,
        "prompt": "soft",
    },
    {
        "task": "object_select_edit",
        "image": "data:image/png;base64,"
        + base64.b64encode(
            png(
                Image.composite(
                    Image.new("RGB", USUAL_SIZE, "navy"),
                    Image.new("RGB", USUAL_SIZE, "white"),
                    MASK,
                )
            )
        ).decode(),
        "feather": 0,
        "edit_target": "background",
        "prompt": "background",
    },
    {
        "task": "outpaint_image",
        "image": "inbox/photo.png",
        "right": 16,
        "mode": "edge",
        "prompt": "wider",
    },
    {
        "task": "reference_media",
        "reference_images": ["inbox/photo.png", "inbox/other.png"],
        "prompt": "references",
    },
]


@pytest.mark.parametrize("dialect", sorted(POLARITY))
def test_what_arrives_is_what_was_meant_pixel_by_pixel(dialect: str, tmp_path: Path) -> None:
    options = {"deployment": "paper-1"} if dialect == "azure" else {}
    wanted = [{**one, "size": "80x48"} if one["prompt"] == "wider" else one for one in EDITS]
    for one in wanted:
        if one["prompt"] == "wider":
            del one["right"]
            one["anchor"] = "left"
    ends, asked = played(tmp_path, dialect, wanted, **options)
    by_prompt = {one["prompt"]: end for one, end in zip(wanted, ends, strict=True)}
    rule = POLARITY[dialect]

    whole, none = arrived(asked["whole"])
    assert [same(one, PHOTO) for one in whole] == [True]
    assert none is None

    for prompt in ("mask", "hard", "soft"):
        pictures, mask = arrived(asked[prompt])
        assert [same(one, PHOTO) for one in pictures] == [True]
        kept = output(by_prompt[prompt], "mask")
        if rule is None:
            assert mask is None
            assert differing(output(by_prompt[prompt]), PHOTO, kept) == 0
            assert any("takes no mask" in one for one in by_prompt[prompt].end.warnings)
        else:
            assert mask is not None
            area = changed_area(mask, rule)
            exact = kept if rule == "white" else kept.point(lambda level: 255 * (level >= 16))
            assert area.tobytes() == exact.tobytes()
            if prompt != "soft":
                assert area.tobytes() == MASK.tobytes()
    assert differing(output(by_prompt["soft"]), PHOTO, output(by_prompt["soft"], "mask")) == 0

    _, mask = arrived(asked["background"])
    if rule is not None:
        assert mask is not None
        assert changed_area(mask, rule).tobytes() == ImageChops.invert(MASK).tobytes()

    (canvas,), mask = arrived(asked["wider"])
    frame = Frame(USUAL_SIZE, right=16)
    assert canvas.size == frame.size == (80, 48)
    assert same(canvas.crop(frame.box), PHOTO)
    if rule is not None:
        assert mask is not None
        area = changed_area(mask, rule)
        assert area.crop((64, 0, 80, 48)).getextrema() == (255, 255)
        assert area.crop((0, 0, 48, 48)).getextrema() == (0, 0)

    references, _ = arrived(asked["references"])
    assert [same(one, two) for one, two in zip(references, [PHOTO, OTHER], strict=True)] == [
        True,
        True,
    ]


def test_in_a_chat_pictures_go_along_and_the_mask_stays_here(tmp_path: Path) -> None:
    requests = [one for one in EDITS if one["prompt"] in ("whole", "soft", "references")]
    ends, asked = played(tmp_path, "openrouter", requests, images="chat")
    assert [same(one, PHOTO) for one in arrived(asked["whole"])[0]] == [True]
    assert [same(one, PHOTO) for one in arrived(asked["soft"])[0]] == [True]
    assert len(arrived(asked["references"])[0]) == 2
    assert differing(output(ends[1]), PHOTO, output(ends[1], "mask")) == 0


def test_nobody_is_asked_who_cannot_edit(tmp_path: Path) -> None:
    (tmp_path / "inbox").mkdir()
    (tmp_path / "inbox" / "photo.png").write_bytes(png(PHOTO))
    with ProviderServer() as running:
        (end,) = play_all(tmp_path, running, [EDITS[0]], Cast(dialect="together"))
        assert running.requests == []
    assert end.code == "not_supported"
    assert end.end.error is not None
    assert any("These can:" in hint for hint in end.end.error["hints"])


SECRET = b"-----BEGIN OPENSSH PRIVATE KEY-----"


def test_no_byte_leaves_that_is_no_pixel(tmp_path: Path) -> None:
    """A picture with a key behind its end, a key that calls itself a picture, a page of vectors."""
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    exif = Image.Exif()
    exif[0x010E] = SECRET.decode()
    encoded = io.BytesIO()
    PHOTO.save(encoded, "PNG", exif=exif)
    (inbox / "trailing.png").write_bytes(encoded.getvalue() + SECRET)
    (inbox / "key.png").write_bytes(SECRET)
    svg = b'<svg xmlns="http://www.w3.org/2000/svg"><!-- %b --></svg>' % SECRET
    (inbox / "page.svg").write_bytes(svg)
    requests = [
        {"task": "edit_image", "image": f"inbox/{name}", "prompt": name}
        for name in ("trailing.png", "key.png", "page.svg")
    ]
    with ProviderServer() as running:
        good, key, page = play_all(tmp_path, running, requests, Cast())
        assert len(running.creates) == 1
        for received in running.requests:
            assert SECRET not in received.body
            assert base64.b64encode(SECRET)[:40] not in received.body
    assert good.ok
    assert (key.code, page.code) == ("unreadable_media", "unreadable_media")
    for end in (key, page):
        assert SECRET.decode() not in json.dumps(end.end.error)


def test_references_that_are_refused_are_dropped_and_paid_for_once(tmp_path: Path) -> None:
    from tests.wire.talking import json_reply

    inbox = tmp_path / "inbox"
    inbox.mkdir()
    (inbox / "photo.png").write_bytes(png(PHOTO))
    (inbox / "other.png").write_bytes(png(OTHER))
    refusal = json_reply(
        {"error": {"message": "Unknown parameter: 'reference_images'.", "type": "invalid"}}, 400
    )
    with ProviderServer() as running:
        running.script(refusal)
        (end,) = play_all(tmp_path, running, [EDITS[-1]], Cast())
        assert [len(arrived(one)[0]) for one in running.creates] == [2, 0]
    assert end.ok
    assert any("without the references" in told for told in end.end.warnings)
