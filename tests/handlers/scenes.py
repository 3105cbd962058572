"""Pictures small enough to read, and one run of a handler without a daemon."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Mapping
from types import ModuleType
from typing import Any

import pytest
from PIL import Image

from daemon.testing import ScriptedContext
from handlers.contract import Call, HandlerError, Medium, Outcome

WIDE, TALL = 12, 8


def png(image: Image.Image) -> bytes:
    """A picture as a PNG."""
    encoded = io.BytesIO()
    image.save(encoded, "PNG")
    return encoded.getvalue()


def opened(data: bytes) -> Image.Image:
    """A picture of its bytes, decoded."""
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def source(size: tuple[int, int] = (WIDE, TALL)) -> Image.Image:
    """A picture in which no two pixels are the same."""
    picture = Image.new("RGB", size)
    picture.putdata(
        [
            (x * 7 % 256, y * 11 % 256, (x + 3 * y) % 256)
            for y in range(size[1])
            for x in range(size[0])
        ]
    )
    return picture


def plain(size: tuple[int, int] = (WIDE, TALL), color: str = "red") -> Image.Image:
    return Image.new("RGB", size, color)


def sketch(image: Image.Image) -> list[str]:
    """A mask as text: # is changed, . is kept, + is in between."""
    grey = image.convert("L")
    signs = {0: ".", 255: "#"}
    return [
        "".join(signs.get(int(grey.getpixel((x, y))), "+") for x in range(grey.width))  # type: ignore[arg-type]
        for y in range(grey.height)
    ]


def ran(
    module: ModuleType, files: Mapping[str, bytes], *scripts: Any, **request: Any
) -> ScriptedContext:
    """What a handler did for a request."""
    more = {name: request.pop(name) for name in ("can", "max_pixels") if name in request}
    context = ScriptedContext(files, list(scripts), **more)
    asked = module.Request.model_validate(request)
    assert list(asked.faults()) == []
    asyncio.run(module.run(asked, context))
    return context


def refused(
    module: ModuleType, files: Mapping[str, bytes], *scripts: Any, **request: Any
) -> HandlerError:
    with pytest.raises(HandlerError) as caught:
        ran(module, files, *scripts, **request)
    return caught.value


def faults(module: ModuleType, **request: Any) -> list[str]:
    """The fields with which something is wrong, taken together."""
    return [name for name, _ in module.Request.model_validate(request).faults()]


def sent(call: Call, name: str) -> Image.Image:
    """A picture as it left."""
    (medium,) = call.inputs[name]
    assert medium.data is not None
    return opened(medium.data)


def without_mask(image: Image.Image) -> Any:
    """The script of a provider that takes no mask, and answers with this picture."""
    return lambda _: Outcome((Medium(png(image)),), left_out=("mask",))


def answering(*images: Image.Image) -> Any:
    """The script of a provider that answers with these pictures."""
    return lambda _: Outcome(tuple(Medium(png(image)) for image in images))
