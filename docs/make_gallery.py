"""`make gallery`: every task on pictures and every mode, by the embedded stand-in, on one sheet.

It serves a scratch root as `make run` does, so that the sheet shows what a user gets, and draws of
each request its source, mask, prepared input and result side by side. With the name of a file as
its argument it also draws the sheet there, smaller, for the documentation.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFilter, ImageFont

from handlers.media.painting import paint

HERE = Path(__file__).parent
ROOT = HERE.parent / ".scratch" / "gallery"
SHEET = ROOT / "gallery.png"
SIZE = (480, 360)
CELL, TEXT, MARGIN = (280, 210), 34, 14
COLUMNS = ("source", "mask", "prepared_input", "output")
_CHECKS = ((236, 236, 236), (208, 208, 208))

Request = Mapping[str, Any]


_HARBOUR = {"image": "inbox/harbour.png"}
_EDITS: Mapping[str, Request] = {
    "edit-whole": {**_HARBOUR, "prompt": "at dusk"},
    "edit-mask": {**_HARBOUR, "mask": "inbox/mask.png", "prompt": "a garden"},
    "edit-several": {
        "image": ["inbox/harbour.png", "inbox/product.png"],
        "prompt": "together",
    },
}
_REGIONS: Mapping[str, Request] = {
    "rect": {"regions": ["rect:150:90:180:150"], "prompt": "a window"},
    "box-pct": {"regions": ["box-pct:55:15:92:60"], "prompt": "a cloud"},
    "ellipse": {"regions": ["ellipse-pct:30:25:40:50"], "prompt": "a moon"},
    "polygon": {"regions": ["polygon:240,40;430,320;50,320"], "prompt": "a mountain"},
    "stroke": {"regions": ["stroke:46:60,280;160,180;300,230;430,110"], "prompt": "a river"},
    "grown-soft": {
        "regions": ["rect:200:130:80:100"],
        "expand": 40,
        "feather": 20,
        "prompt": "a glow",
    },
    "inverted": {
        "regions": ["ellipse-pct:25:20:50:60"],
        "invert": True,
        "prompt": "a frame of leaves",
    },
    "older-form": {"x": 60, "y": 60, "x2": 200, "y2": 200, "ellipse": True, "prompt": "a sun"},
}
_CANVASES: Mapping[str, Request] = {
    "outpaint-transparent": {"expand": 90, "mode": "transparent"},
    "outpaint-blur": {"expand": 90, "mode": "blur"},
    "outpaint-solid": {"expand": 90, "mode": "solid", "bg": "#335577"},
    "outpaint-edge": {"expand": 90, "mode": "edge"},
    "outpaint-reflect": {"expand": 90, "mode": "reflect"},
    "outpaint-target": {"aspect_ratio": "2:1", "anchor": "left", "mode": "blur"},
}
_PRODUCT = {"image": "inbox/product.png"}
_CUTOUT = {"image": "inbox/cutout.png", "selection_mode": "alpha"}
_OBJECTS: Mapping[str, Request] = {
    "object-clean": {**_PRODUCT, "prompt": "of glass"},
    "background-clean": {**_PRODUCT, "edit_target": "background", "prompt": "a beach"},
    "object-alpha": {**_CUTOUT, "prompt": "of copper"},
    "background-alpha": {**_CUTOUT, "edit_target": "background", "prompt": "a forest"},
    "object-grabcut": {
        "image": "inbox/scene.png",
        "selection_mode": "grabcut",
        "box": "120:60:240:240",
        "prompt": "of stone",
    },
}
_MASK: Request = {"image": "inbox/scene.png", "mode": "grabcut", "box": "120:60:240:240"}
_REFERENCES: Request = {
    "reference_images": ["inbox/harbour.png", "inbox/product.png"],
    "prompt": "a postcard from there",
    "size": "480x360",
}


def requests() -> dict[str, Request]:
    """What is asked for, by name."""
    canvas = {"image": "inbox/small.png", "prompt": "the sea goes on"}
    return {
        **_of("edit_image", _EDITS),
        **_of("mask_inpaint", _REGIONS, **_HARBOUR, keep_outside=True),
        **_of("outpaint_image", _CANVASES, **canvas),
        **_of("object_select_edit", _OBJECTS, keep_outside=True),
        **_of("prepare_object_mask", {"mask-of-object": _MASK}),
        **_of("reference_media", {"references": _REFERENCES}),
    }


def _of(task: str, asked: Mapping[str, Request], **common: Any) -> dict[str, Request]:
    """Requests of one task, with what they have in common."""
    return {name: {"task": task, **common, **one} for name, one in asked.items()}


# ---------------------------------------------------------------- the sources


def sources() -> dict[str, Image.Image]:
    """The pictures that are edited, by their names in the inbox."""
    harbour = _art("harbour at noon", 3)
    mask = Image.new("L", SIZE)
    ImageDraw.Draw(mask).rounded_rectangle((40, 150, 260, 330), 40, fill=255)
    return {
        "harbour": harbour,
        "small": harbour.resize((320, 240), Image.Resampling.LANCZOS),
        "mask": mask,
        "product": _object_on(Image.new("RGB", SIZE, (244, 242, 238))),
        "cutout": _object_on(Image.new("RGBA", SIZE)),
        "scene": _object_on(_art("dunes", 8).filter(ImageFilter.GaussianBlur(3))),
    }


def _art(prompt: str, seed: int) -> Image.Image:
    """A motif without its lettering, which fills the lower part."""
    width, height = SIZE
    picture = paint(prompt, seed=seed, width=width * 2, height=height * 2)
    return picture.crop((0, 0, width * 2, height)).resize(SIZE, Image.Resampling.LANCZOS)


def _object_on(backdrop: Image.Image) -> Image.Image:
    """A vase, drawn large and made small so that its edge is smooth."""
    times = 4
    shape = Image.new("L", (SIZE[0] * times, SIZE[1] * times))
    draw = ImageDraw.Draw(shape)
    for box in ((170, 110, 310, 290), (205, 75, 275, 150), (190, 70, 290, 92)):
        draw.ellipse([side * times for side in box], fill=255)
    cover = shape.resize(SIZE, Image.Resampling.LANCZOS)
    shade = Image.linear_gradient("L").rotate(90).resize(SIZE)
    body = Image.merge(
        "RGB", [shade.point(lambda v, c=c: int(c * (0.45 + v / 420))) for c in _BLUE]
    )
    backdrop.paste(body, (0, 0), cover)
    return backdrop


_BLUE = (36, 92, 168)


# ---------------------------------------------------------------- serving


def serve(sheet: Mapping[str, Request]) -> None:
    """Drop everything and have it answered."""
    shutil.rmtree(ROOT, ignore_errors=True)
    (ROOT / "inbox").mkdir(parents=True)
    for name, picture in sources().items():
        picture.save(ROOT / "inbox" / f"{name}.png")
    for name, request in sheet.items():
        text = json.dumps({"provider": "local", **request})
        (ROOT / "inbox" / f"{name}.json").write_text(text)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DARKROOM_")}
    kept.pop("MEDIA_GENERATION_OUTPUT_ROOT", None)
    command = [sys.executable, "-m", "daemon", "run", "--drain", "--root", str(ROOT)]
    subprocess.run([*command, "--log-level", "warning"], env=kept, check=True)


# ---------------------------------------------------------------- drawing


def cells(name: str, request: Request) -> Iterator[tuple[str, Image.Image]]:
    """The pictures of one request, with what each is."""
    result = json.loads((ROOT / "inbox" / f"{name}.result.json").read_text())
    if result["status"] != "succeeded":
        raise SystemExit(f"{name}: {result['error']['code']}: {result['error']['message']}")
    named = request.get("image", request.get("reference_images"))
    for path in [named] if isinstance(named, str) else named:
        yield "source", Image.open(ROOT / path)
    for artifact in sorted(result["artifacts"], key=lambda one: COLUMNS.index(one["role"])):
        yield artifact["role"], Image.open(ROOT / artifact["path"])


def draw(sheet: Mapping[str, Request]) -> Image.Image:
    """One row a request, two requests side by side."""
    rows = [(name, list(cells(name, request))) for name, request in sheet.items()]
    widest = max(len(row) for _, row in rows)
    width = (CELL[0] + MARGIN) * widest + MARGIN
    height = (CELL[1] + TEXT + MARGIN) * -(-len(rows) // 2) + MARGIN
    picture = Image.new("RGB", (width * 2, height), "white")
    for number, (name, row) in enumerate(rows):
        left, top = width * (number % 2) + MARGIN, (CELL[1] + TEXT + MARGIN) * (number // 2)
        _draw_row(picture, (left, top + MARGIN), name, row)
    return picture


def _draw_row(
    picture: Image.Image, at: tuple[int, int], name: str, row: Sequence[tuple[str, Image.Image]]
) -> None:
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(16)
    for number, (role, one) in enumerate(row):
        left, top = at[0] + (CELL[0] + MARGIN) * number, at[1]
        label = f"{name}: {role}" if number == 0 else role
        draw.text((left, top + 8), label.replace("_", " "), "black", font)
        shown = one.convert("RGBA")
        shown.thumbnail(CELL, Image.Resampling.LANCZOS)
        ground = _checks(shown.size)
        ground.paste(shown, (0, 0), shown)
        picture.paste(ground, (left, top + TEXT))
        box = (left - 1, top + TEXT - 1, left + shown.width, top + TEXT + shown.height)
        draw.rectangle(box, outline=(150, 150, 150))


def _checks(size: tuple[int, int], side: int = 10) -> Image.Image:
    """What lies behind what can be seen through."""
    ground = Image.new("RGB", size, _CHECKS[0])
    draw = ImageDraw.Draw(ground)
    for top in range(0, size[1], side):
        for left in range((top // side % 2) * side, size[0], side * 2):
            draw.rectangle((left, top, left + side - 1, top + side - 1), _CHECKS[1])
    return ground


def main() -> None:
    """Make it."""
    sheet = requests()
    serve(sheet)
    picture = draw(sheet)
    picture.save(SHEET)
    print(f"written: {SHEET}")
    for target in sys.argv[1:]:  # for the documentation
        smaller = [round(side * 0.65) for side in picture.size]
        picture.resize(smaller, Image.Resampling.LANCZOS).save(target, quality=80, optimize=True)
        print(f"written: {target}")


if __name__ == "__main__":
    main()
