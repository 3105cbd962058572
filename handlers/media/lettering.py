"""Typesetting for pictures that must look the same on every machine.

The only typeface is the one that Pillow carries (Aileron Regular, 113 characters: ASCII, some
quotation marks and a few signs).  `readable` folds any text to those characters:

- accents go (`é` becomes `e`), ligatures and fractions come apart, dashes become hyphens;
- Greek and Cyrillic letters are romanised; an emoji becomes its Unicode name in brackets;
- control characters count as spaces, invisible format characters and lone marks vanish;
- what is left uncovered (CJK, Hebrew, Arabic, lone surrogates ...) becomes one middle dot per run
  or, where it is most of the text, its first code points, such as `U+4E2D U+6587`.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Final

import numpy as np
from PIL import Image, ImageDraw, ImageFont

COVERED: Final = frozenset(map(chr, range(0x21, 0x7F))) | frozenset("©«°±´·»‘’“”…‹›⁄™")
SMALLEST_SIZE: Final = 11
_LONGEST_TEXT: Final = 6000  # what comes after so many characters never fits
_MOST_CODE_POINTS: Final = 24
_LONGEST_WORD: Final = 32
_TRACKING: Final = 0.06
_STRIP_ROWS: Final = 256
_UNCOVERED: Final = "\ufffd"
_TABLE: Final = """–:- —:- ―:- −:- ‐:- ‑:- „:“ ‚:‘ →:-> ←:<- ×:x ÷:/ •:· €:EUR £:GBP ¥:JPY §:S. ß:ss
ø:o æ:ae œ:oe ł:l đ:d ð:d þ:th ı:i ŋ:ng а:a б:b в:v г:g ґ:g д:d е:e ё:yo є:ye ж:zh з:z и:i і:i й:y
к:k л:l м:m н:n о:o п:p р:r с:s т:t у:u ф:f х:kh ц:ts ч:ch ш:sh щ:shch ъ:’ ы:y ь:’ э:e ю:yu я:ya α:a
β:b γ:g δ:d ε:e ζ:z η:i θ:th ι:i κ:k λ:l μ:m ν:n ξ:x ο:o π:p ρ:r σ:s ς:s τ:t υ:y φ:f χ:ch ψ:ps
ω:o"""
_FOLDED: Final[dict[str, str]] = dict(re.findall(r"(\S):(\S+)", _TABLE))


def readable(text: str) -> str:
    """Fold `text` to one line of the characters that the typeface covers (see the module)."""
    pieces = [_fold(character) for character in text[:_LONGEST_TEXT]]
    missing = pieces.count(_UNCOVERED)
    if missing > sum(piece.strip() != "" for piece in pieces) - missing:
        codes = [f"U+{ord(text[at]):04X}" for at, piece in enumerate(pieces) if piece == _UNCOVERED]
        return " ".join(codes[:_MOST_CODE_POINTS] + ["…"] * (missing > _MOST_CODE_POINTS))
    return " ".join(re.sub(f"{_UNCOVERED}+", "·", "".join(pieces)).split())


def _fold(character: str) -> str:
    """The covered characters that stand for one character, or the mark of an uncovered one."""
    if character in COVERED:
        return character
    folded = _FOLDED.get(character) or _FOLDED.get(character.lower(), "").capitalize()
    if folded:
        return folded
    category = unicodedata.category(character)
    if category[0] in "ZM" or category in ("Cc", "Cf", "Sk"):
        return " " if category[0] == "Z" or category == "Cc" else ""
    plain = unicodedata.normalize("NFKD", character)
    if plain != character:
        folded = "".join(map(_fold, plain))
        return _UNCOVERED if _UNCOVERED in folded else folded
    name = unicodedata.name(character, "")
    emoji = category == "So" and "\u2600" <= character != _UNCOVERED
    return f" [{name.lower()}] " if emoji and 0 < len(name) <= _LONGEST_WORD else _UNCOVERED


@dataclass(frozen=True)
class Face:
    """The typeface at one size; Pillow sets it without kerning, so that advances simply add up."""

    size: int
    font: ImageFont.FreeTypeFont
    advances: dict[str, float]

    @classmethod
    def at(cls, size: int, tracking: float = 0.0) -> Face:
        """The typeface at `size` pixels, with `tracking` times as much after every character."""
        font = ImageFont.load_default(size)
        if not isinstance(font, ImageFont.FreeTypeFont):
            raise TypeError("Pillow was built without FreeType")
        air = {c: tracking * size * (3 if c == " " else 1) for c in COVERED | {" "}}
        return cls(size, font, {c: font.getlength(c) + air[c] for c in air})

    def width(self, text: str) -> float:
        """The width of `text` in pixels."""
        return sum(self.advances[character] for character in text)


@dataclass(frozen=True)
class Setting:
    """A block of set text, sizes in pixels: the title's lines and one quiet note under a rule."""

    lines: tuple[str, ...]
    size: int
    leading: int
    note: str
    note_size: int
    width: int
    height: int


def compose(text: str, notes: tuple[str, ...], wide: int, high: int, unit: int) -> Setting:
    """Set `text` as large as it may be, with the first of `notes` that fits.

    The block may be `wide` and `high`; `unit` is the short side of the picture, all in pixels.
    Text too long at the smallest legible size ends in an ellipsis; too small a block has no lines.
    """
    if wide < 6.5 * SMALLEST_SIZE or high < 1.1 * SMALLEST_SIZE:
        return Setting((), 0, 0, "", 0, 0, 0)
    unit = max(unit, 40 * SMALLEST_SIZE)  # a small picture needs larger letters, relatively
    small = Face.at(max(SMALLEST_SIZE, round(unit * 0.0165)), _TRACKING)
    note, below = next((n for n in notes if small.width(n) <= wide), ""), round(3.2 * small.size)
    if not note or high - below < 2.5 * SMALLEST_SIZE:
        note, below = "", 0
    face, lines = _fitted(readable(text).split() or ["Untitled"], wide, high - below, unit)
    leading = _leading(face.size, unit)
    width = max([small.width(note), *map(face.width, lines)])
    height = round((len(lines) - 1) * leading + 0.95 * face.size) + below
    return Setting(lines, face.size, leading, note, small.size, round(width), height)


def _leading(size: int, unit: int) -> int:
    return round(size * (1.12 if size > 0.05 * unit else 1.34))


def _fitted(words: list[str], wide: int, high: int, unit: int) -> tuple[Face, tuple[str, ...]]:
    """The largest size at which `words` fit into few enough lines, and these lines."""
    smallest = max(SMALLEST_SIZE, round(unit * 0.0185))
    size = max(smallest, min(round(unit * 0.105), high * 6 // 10))
    while True:
        face, most = Face.at(size), _most_lines(size, smallest, high, unit)
        measure = float(wide if most < 3 else min(wide, 36 * size))
        if size <= smallest:
            return face, _balanced(face, _shortened(face, words, measure, most), measure)
        pieces = _pieces(face, words, measure, _LONGEST_WORD)
        if max(map(face.width, pieces)) <= measure and len(_broken(face, pieces, measure)) <= most:
            return face, _balanced(face, pieces, measure)
        size = max(smallest, min(size - 1, round(size * 0.93)))


def _most_lines(size: int, smallest: int, high: int, unit: int) -> int:
    """How many lines may take room from the picture: few large ones, or more small ones."""
    share, most = (1.0, 99) if size < 1.5 * smallest else (0.7, 9)
    if size > 0.05 * unit:
        most = 4
    available = max(share * high, min(high, 5 * SMALLEST_SIZE))
    return max(1, min(most, int((available - size) / _leading(size, unit)) + 1))


def _broken(face: Face, words: list[str], measure: float) -> list[str]:
    """Lines no wider than `measure`, each as full as it can be."""
    lines, used = [""], 0.0
    for word in words:
        wide = face.width(word)
        if lines[-1] and used + face.advances[" "] + wide <= measure:
            lines[-1] += " " + word
            used += face.advances[" "] + wide
        else:
            lines[len(lines) - (not lines[-1]) :] = [word]
            used = wide
    return lines


def lines_of(face: Face, text: str, measure: float, most: int) -> tuple[str, ...]:
    """`text` in at most `most` lines, none wider than `measure` pixels; an ellipsis ends it where
    it is longer."""
    words = readable(text).split()
    return tuple(_broken(face, _shortened(face, words, measure, most), measure)) if words else ()


def _balanced(face: Face, words: list[str], measure: float) -> tuple[str, ...]:
    """As few lines as `measure` allows, of widths as equal as possible: it leaves no orphans."""
    lines = _broken(face, words, measure)
    narrow, wide = max(map(face.width, words)), measure
    for _ in range(8):
        middle = (narrow + wide) / 2
        attempt = _broken(face, words, middle)
        narrow, wide = (middle, wide) if len(attempt) > len(lines) else (narrow, middle)
        lines = min(attempt, lines, key=len)
    return tuple(lines)


def _shortened(face: Face, words: list[str], measure: float, most: int) -> list[str]:
    """`words` with long ones cut into pieces, and an ellipsis where `most` lines are full."""
    pieces = _pieces(face, words, measure)
    lines = _broken(face, pieces, measure)
    if len(lines) <= most:
        return pieces
    last = lines[most - 1]
    while last and face.width(last + "…") > measure:
        last = last[:-1]
    return " ".join([*lines[: most - 1], last.rstrip(" ,.;:-") + "…"]).split()


def _pieces(face: Face, words: list[str], measure: float, spared: int = 0) -> list[str]:
    """`words`; those of more than `spared` characters are cut where they would be too wide."""
    pieces = []
    for word in words:
        pieces.append("")
        used = 0.0
        for character in word:
            used += face.advances[character]
            if used > measure and len(word) > spared:
                pieces.append("")
                used = face.advances[character]
            pieces[-1] += character
    return pieces


def _draw(image: Image.Image, setting: Setting, at: tuple[int, int], ink: str) -> None:
    """Draw `setting` with its upper left corner `at` (x, y in pixels)."""
    pen, (left, top) = ImageDraw.Draw(image), at
    font, baseline = Face.at(setting.size).font, top + round(0.71 * setting.size)
    for number, line in enumerate(setting.lines):
        pen.text((left, baseline + number * setting.leading), line, ink, font, "ls")
    small, bottom, place = Face.at(setting.note_size, _TRACKING), top + setting.height, float(left)
    weight, rule = max(1, setting.note_size // 14), bottom - round(1.75 * setting.note_size)
    if setting.note:
        pen.rectangle((left, rule, left + 3 * setting.note_size, rule + weight - 1), ink)
    for character in setting.note:
        pen.text((place, bottom - 0.15 * setting.note_size), character, ink, small.font, "ls")
        place += small.advances[character]


@dataclass(frozen=True)
class Page:
    """Where art (a box: left, top, right, bottom) and lettering go, in pixels."""

    size: tuple[int, int]
    style: str
    art: tuple[int, int, int, int]
    setting: Setting
    at: tuple[int, int]


def arrange(text: str, notes: tuple[str, ...], size: tuple[int, int], style: str) -> Page:
    """Lay out a page of `size` (width and height in pixels) in one of three styles.

    A "bleed" is all art, with the lettering on a veil; where that would hide too much it becomes
    a "print" with a margin of paper.  A "cut-out" stands free, with its caption on a plate.
    """
    (wide, high), unit, cut_out = size, min(size), style == "cut-out"
    margin = max(2, round(unit * (0.08 if cut_out else 0.06)))
    over = style == "bleed" and wide <= 2.2 * high
    beside = not over and wide > 1.3 * high
    room = wide - 2 * margin, high * (32 if over or cut_out else 44) // 100
    if beside:
        room = round(0.3 * wide), high - 2 * margin
    setting = compose(text, notes, *room, unit)
    if over and 0 < setting.size < 0.04 * unit:
        return arrange(text, notes, size, "print")
    at, art = (margin, high - margin - setting.height), (0, 0, wide, high)
    if setting.lines and beside:
        art = 2 * margin + room[0], margin, wide - margin, high - margin
    elif setting.lines and not over:
        # A plate hides a little of what is cut out, and both become one thing.
        art = margin, margin, wide - margin, at[1] - (0 if cut_out else margin)
    art = _square(art) if cut_out else art
    return Page(size, style if over or cut_out else "print", art, setting, at)


def _square(box: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    """The largest square in the middle of `box`."""
    side = min(box[2] - box[0], box[3] - box[1])
    left, top = (box[0] + box[2] - side) // 2, (box[1] + box[3] - side) // 2
    return left, top, left + side, top + side


def printed(page: Page, art: Image.Image, dark: str, light: str) -> Image.Image:
    """The page with `art` and lettering, in a dark and a light colour of CSS."""
    (left, top), setting = page.at, page.setting
    ink, ground = _inks(page, art, dark, light)
    picture = Image.new(art.mode, page.size, ground if art.mode == "RGB" else (0, 0, 0, 0))
    picture.paste(art, page.art[:2])
    if setting.lines and page.style == "bleed":
        picture.paste(ground, mask=_veil(page))
    elif setting.lines and page.style == "cut-out":
        pad, right, bottom = left // 2, left + setting.width, top + setting.height
        picture.paste(ground, (left - pad, top - pad, right + pad, bottom + pad))
    if setting.lines:
        _draw(picture, setting, page.at, ink)
    return picture


def title(page: Page, art: Image.Image, dark: str, light: str) -> Image.Image | None:
    """What `printed` puts on art that is no cut-out, alone: RGBA, to be laid over art that moves.
    None where a page has no lettering."""
    if not page.setting.lines:
        return None
    ink, ground = _inks(page, art, dark, light)
    sheet = Image.new("RGB", page.size, ground)
    cover = Image.new("L", page.size, 255)
    if page.style == "bleed":
        cover = _veil(page)
    else:
        cover.paste(0, page.art)
    sheet.putalpha(cover)
    _draw(sheet, page.setting, page.at, ink)
    return sheet


def _inks(page: Page, art: Image.Image, dark: str, light: str) -> tuple[str, str]:
    """The colours of ink and ground. Paper must not be as dark or as light as the art, or the art
    would lose its edge."""
    middle = art.convert("L").resize((1, 1), Image.Resampling.BOX).tobytes()[0]
    return (dark, light) if page.style == "print" and middle < 120 else (light, dark)


def _veil(page: Page) -> Image.Image:
    """A gradient that is deep enough under the lettering for any art."""
    rise = (np.arange(page.size[1]) - page.at[1]) / (0.22 * page.size[1]) + 1
    level = np.clip(rise, 0, 1) ** 2 * (3 - 2 * np.clip(rise, 0, 1)) * 215
    return Image.fromarray(level.astype(np.uint8)[:, None]).resize(page.size)


def grained(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """`picture` with fine grain, which also hides the steps of smooth tones."""
    pixels, shape = np.array(picture), (_STRIP_ROWS, picture.width, 1)
    levels = rng.integers(0, 4, shape, np.int16) - rng.integers(0, 4, shape, np.int16)
    for top in range(0, picture.height, _STRIP_ROWS):
        strip = pixels[top : top + _STRIP_ROWS]
        moved = np.roll(levels, int(rng.integers(picture.width)), axis=1)[: len(strip)]
        # What is transparent has no colour, for the sake of small files.
        shown = strip[..., 3:] > 0 if strip.shape[2] == 4 else 1
        strip[..., :3] = np.clip(strip[..., :3] + moved, 0, 255) * shown
    return Image.fromarray(pixels)
