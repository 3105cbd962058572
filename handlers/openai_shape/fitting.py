"""The pictures of a call, made to fit what its server takes. Pure; imported when there are some.

The rule, one step after the other until it fits, and nothing of it is silent:

1. What fits is sent as it is, and is not even decoded.
2. Too many pixels: it is scaled down.
3. Too many bytes: it becomes a JPEG of quality 95 without subsampling; with alpha a WebP, without
   loss if that does, else of quality 95.
4. Still too many: it is scaled down in steps, and the mask along with the first picture.
5. Smaller than 64 pixels nothing is worth sending: `too_large`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from PIL import Image

from handlers.answers.encoded import sniff
from handlers.contract import HandlerError
from handlers.openai_shape.masks import Rule, by_rule, opened
from handlers.openai_shape.room import Fitted, Room, amount
from handlers.openai_shape.shrinking import SMALLEST, Bounds, Size, shrunk, size_of, within

_REST = 1 << 17
"""Bytes that a request needs besides its pictures: the longest prompt, and the borders of parts."""
_HEAD = len("data:image/jpeg;base64,")


@dataclass(frozen=True, slots=True)
class _Limits:
    """What holds for each picture of one call."""

    who: str
    room: Room
    below: int | None
    """Bytes, by whichever limit is the tightest."""
    why: str
    """That limit, in words."""

    def bounds(self, pixels: int | None = None) -> Bounds:
        """The bounds of a picture; for a while, of one with fewer pixels."""
        pixels = self.room.pixels if pixels is None else pixels
        return Bounds(self.below, self.room.longest, pixels, self.room.webp)


@dataclass(frozen=True, slots=True)
class _Picture:
    """A picture as it came, and as it goes along."""

    name: str
    before: bytes
    after: bytes
    why: str
    """The limit for which it was changed, in words."""


def fit(
    pictures: Sequence[bytes],
    room: Room,
    who: str,
    *,
    as_text: bool = False,
    mask: bytes | None = None,
    rule: Rule = "alpha",
) -> Fitted:
    """Make pictures fit, and the mask with the first of them.

    Args:
        pictures: PNG, JPEG or WebP, in order.
        room: what there is room for.
        who: has that room, for warnings.
        as_text: whether they go along as base64.
        mask: 255 where the first picture is to be changed, of just its size.
        rule: how a mask is read there.

    Raises:
        HandlerError: `too_large`: one cannot be made to fit; `unreadable_media`: one had to be
            decoded, and is no picture.
    """
    made = None if mask is None else _mask_of(mask, pictures[0])
    encoded = None if made is None else by_rule(made, rule, made.size)
    limits = _limits(pictures, room, who, as_text, len(encoded or b""))
    names = [f"picture {n}" if len(pictures) > 1 else "the picture" for n in range(1, 1000)]
    sent = [_one(name, data, limits) for name, data in zip(names, pictures, strict=False)]
    if made is not None and encoded is not None:
        sent[0], encoded = _with_mask(sent[0], made, encoded, rule, limits)
    warnings = tuple(told for picture in sent for told in _told(picture, who))
    return Fitted(tuple(picture.after for picture in sent), encoded, warnings)


# ---------------------------------------------------------------- how many bytes


def _limits(pictures: Sequence[bytes], room: Room, who: str, as_text: bool, mask: int) -> _Limits:
    """The tightest limit of bytes that holds for each picture, besides a mask of so many."""
    found: list[tuple[int, Room]] = []
    if room.picture is not None:
        found.append((room.picture, Room(picture=room.picture)))
    if room.url is not None and as_text:
        found.append((_decoded(room.url - _HEAD), Room(url=room.url)))
    if room.body is not None:
        left = room.body - _REST - mask - as_text * len(pictures) * _HEAD
        share = _share([len(data) for data in pictures], _decoded(left) if as_text else left)
        found += [] if share is None else [(share, Room(body=room.body))]
    if not found:
        return _Limits(who, room, None, "")
    below, tightest = min(found, key=lambda one: one[0])
    return _Limits(who, room, below, next(tightest.told()))


def _decoded(characters: int) -> int:
    """How many bytes fit into so many characters of base64."""
    return characters // 4 * 3


def _share(sizes: Sequence[int], whole: int) -> int | None:
    """What each may have of a whole: what the small ones leave is shared by the large ones. None
    where there is room for all."""
    left, count = whole, len(sizes)
    for size in sorted(sizes):
        if size * count >= left:
            return max(left, 0) // count
        left, count = left - size, count - 1
    return None


# ---------------------------------------------------------------- one picture, one mask


def _one(name: str, data: bytes, limits: _Limits) -> _Picture:
    """A picture that fits."""
    after = shrunk(data, limits.bounds())
    if after is None:
        raise _too_large(name, data, limits.who, limits.why)
    return _Picture(
        name, data, after, limits.why if after is data else _reason(data, after, limits)
    )


def _reason(before: bytes, after: bytes, limits: _Limits) -> str:
    """The limit for which a picture was changed: its pixels, where that did."""
    size = size_of(before)
    target = within(size, limits.bounds())
    if target == size or target != size_of(after):
        return limits.why
    return " and ".join(Room(longest=limits.room.longest, pixels=limits.room.pixels).told())


def _mask_of(data: bytes, picture: bytes) -> Image.Image:
    mask, size = opened(data), size_of(picture)
    if mask.size != size:
        raise HandlerError(
            "internal", f"a mask of {_by(mask.size)} came with a picture of {_by(size)} pixels"
        )
    return mask


def _with_mask(
    picture: _Picture, mask: Image.Image, encoded: bytes, rule: Rule, limits: _Limits
) -> tuple[_Picture, bytes]:
    """The first picture and its mask, of one size: too large a mask makes both smaller."""
    size, most = size_of(picture.after), limits.room.mask
    if size != mask.size:
        encoded = by_rule(mask, rule, size)
    while most is not None and len(encoded) >= most:
        why = next(Room(mask=most).told())
        pixels = int(size[0] * size[1] * min(0.8, 0.95 * most / len(encoded)))
        after = shrunk(picture.before, limits.bounds(max(1, pixels)))
        size = (1, 1) if after is None else size_of(after)
        if after is None or max(size) < SMALLEST:
            raise _too_large("the mask", picture.before, limits.who, why)
        picture = _Picture(picture.name, picture.before, after, why)
        encoded = by_rule(mask, rule, size)
    return picture, encoded


def _too_large(name: str, picture: bytes, who: str, why: str) -> HandlerError:
    return HandlerError(
        "too_large",
        f"{name}, of {_by(size_of(picture))} pixels, cannot be made to fit: {who} takes {why}",
        hints=["Give fewer pictures, or smaller ones.", "Or name another provider."],
    )


# ---------------------------------------------------------------- what is told


def _told(picture: _Picture, who: str) -> Iterator[str]:
    if picture.after is picture.before:
        return
    before, after = size_of(picture.before), size_of(picture.after)
    form = {"image/jpeg": "JPEG", "image/webp": "WebP"}.get(sniff(picture.after) or "", "PNG")
    changed = sniff(picture.before) != sniff(picture.after)
    if before != after:
        also = f" and sent as a {form}" if changed else ""
        yield (
            f"{picture.name} was scaled down from {_by(before)} to {_by(after)} pixels{also}: "
            f"{who} takes {picture.why}"
        )
    else:
        yield (
            f"{picture.name} was sent as a {form}: {who} takes {picture.why}, "
            f"and it had {amount(len(picture.before))}"
        )


def _by(size: Size) -> str:
    return f"{size[0]} x {size[1]}"
