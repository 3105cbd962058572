"""Everything that can be wrong with a picture, dropped for a real daemon at once: each gets an
answer that names it, and nothing that was saved."""

from __future__ import annotations

import io
import os
import struct
import zlib
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.support import Root, drain

INPAINT: dict[str, Any] = {
    "task": "mask_inpaint",
    "provider": "local",
    "regions": ["rect-pct:10:10:50:50"],
    "prompt": "x",
}


def encoded(image: Image.Image, form: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def bomb(side: int) -> bytes:
    """A PNG that calls itself `side` by `side` pixels."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    rows = chunk(b"IDAT", zlib.compress(bytes(5000)))
    return b"\x89PNG\r\n\x1a\n" + header + rows + chunk(b"IEND", b"")


PLAIN = Image.new("RGB", (40, 30), "teal")
FILES = {
    "good.png": encoded(PLAIN),
    "one.png": encoded(Image.new("RGB", (1, 1))),
    "wide.png": encoded(Image.new("RGB", (30_000, 20), "teal")),
    "cut.jpg": encoded(Image.new("RGB", (400, 300), "red"), "JPEG")[:1500],
    "bomb.png": bomb(100_000),
    "page.svg": b'<svg xmlns="http://www.w3.org/2000/svg"></svg>',
    "scan.tif": encoded(PLAIN, "TIFF"),
    "moves.gif": encoded(PLAIN, "GIF"),
    "notes.png": b"no picture at all",
    "nothing.png": b"",
    "black.png": encoded(Image.new("L", (80, 60))),
}

ASKED: dict[str, tuple[dict[str, Any], str]] = {
    "one": ({"image": "inbox/one.png"}, "invalid_request"),
    "cut": ({"image": "inbox/cut.jpg"}, "unreadable_media"),
    "bomb": ({"image": "inbox/bomb.png"}, "too_large"),
    "svg": ({"image": "inbox/page.svg"}, "unreadable_media"),
    "tiff": ({"image": "inbox/scan.tif"}, "unreadable_media"),
    "gif": ({"image": "inbox/moves.gif"}, "unreadable_media"),
    "text": ({"image": "inbox/notes.png"}, "unreadable_media"),
    "empty": ({"image": "inbox/nothing.png"}, "unreadable_media"),
    "region": ({"image": "inbox/good.png", "regions": ["rect:90:0:9:9"]}, "invalid_request"),
    "black": (
        {"image": "inbox/good.png", "regions": None, "mask": "inbox/black.png"},
        "invalid_request",
    ),
    "outside": ({"image": "../secret.png"}, "forbidden_path"),
    "absolute": ({"image": "/etc/passwd"}, "forbidden_path"),
    "link": ({"image": "inbox/link.png"}, "forbidden_path"),
    "fifo": ({"image": "inbox/fifo.png"}, "forbidden_path"),
    "folder": ({"image": "inbox/folder.png"}, "forbidden_path"),
    "missing": ({"image": "inbox/none.png"}, "file_not_found"),
    "inside": ({"image": "http://127.0.0.1/x.png"}, "forbidden_address"),
    "data": ({"image": "data:image/png;base64,AAAA"}, "unreadable_media"),
    "other": ({"image": {"from": "nobody.json"}}, "dependency_failed"),
    "alpha": (
        {
            "task": "prepare_object_mask",
            "image": "inbox/good.png",
            "mode": "alpha",
            "regions": None,
            "prompt": None,
        },
        "invalid_request",
    ),
}


@pytest.fixture(scope="module")
def drained(tmp_path_factory: pytest.TempPathFactory) -> Root:
    root = Root(tmp_path_factory.mktemp("inputs"))
    for name, data in FILES.items():
        (root.inbox / name).write_bytes(data)
    (root.path.parent / "secret.png").write_bytes(FILES["good.png"])
    (root.inbox / "link.png").symlink_to(root.inbox / "good.png")
    (root.inbox / "folder.png").mkdir()
    os.mkfifo(root.inbox / "fifo.png")
    for name, (fields, _) in ASKED.items():
        request = {**INPAINT, **fields}
        root.drop(f"{name}.json", {key: one for key, one in request.items() if one is not None})
    root.drop("wide.json", {**INPAINT, "image": "inbox/wide.png"})
    root.drop("good.json", {**INPAINT, "image": "inbox/good.png"})
    drain(root.path, DARKROOM_DEPENDENCY_WAIT="0")
    return root


@pytest.mark.parametrize("name", ASKED)
def test_what_is_wrong_is_told_by_its_code_and_nothing_is_saved(drained: Root, name: str) -> None:
    result = drained.result(f"{name}.json")
    assert result is not None
    assert result["status"] == "failed"
    assert result["error"]["code"] == ASKED[name][1], result["error"]
    assert result["error"]["message"]
    assert result["artifacts"] == []
    assert "Traceback" not in str(result)


@pytest.mark.parametrize("name", ["good", "wide"])
def test_what_is_right_beside_it_is_answered(drained: Root, name: str) -> None:
    result = drained.result(f"{name}.json")
    assert result is not None
    assert result["status"] == "succeeded"
    assert [one["role"] for one in result["artifacts"]] == ["mask", "output"]
    for one in result["artifacts"]:
        with Image.open(Path(drained.path, one["path"])) as image:
            assert image.size == (one["width"], one["height"])


def test_nothing_of_the_inputs_is_left_behind(drained: Root) -> None:
    assert list((drained.path / "events" / "blobs").iterdir()) == []
