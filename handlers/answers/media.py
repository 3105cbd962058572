"""Pictures and clips out of an answer, in whichever of the known shapes they come.

A shape is known by its keys and walked in the provider's order. Nothing is taken from keys that
are not known: an answer repeats prompts, inputs and previews, which are no results.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from handlers.answers.encoded import decoded, of_data_url, sniff
from handlers.contract import Json, Medium

_DEPTH, _MOST = 8, 100
"""How deep is looked, and how many media are taken: nobody asks for more than ten."""
_HOLDERS = (
    *("data", "images", "image", "videos", "video", "result", "task_result", "output", "outputs"),
    *("assets", "artifacts", "urls", "unsigned_urls", "choices", "message", "content", "image_url"),
)
"""Keys below which media lie, in the order in which they are looked at; the first that holds some
counts, for a relay likes to say the same in two shapes."""
_LEAVES = (
    *("b64_json", "base64", "url", "image_url", "video_url", "result_url", "output_url"),
    *("download_url", "uri", "file_path", "path"),
)
"""Keys that are a medium themselves; of several in one object the first that can be had counts."""
_FREE = frozenset({"output", "outputs"})
"""Keys below which a model has names of its own."""
_NO_RESULTS = frozenset(
    {
        *("urls", "logs", "input", "inputs", "thumbnail", "thumbnails", "progress_video"),
        *("preview", "previews", "webhook", "webhook_url"),
    }
)
_NO_TEXTS = frozenset({*_LEAVES, "message"})
"""Keys whose text is a medium of its own, or never one."""
_ENCODED = frozenset({"b64_json", "base64"})
_LOCAL = frozenset({"file_path", "path"})
_TYPES = ("media_type", "mime_type", "content_type")
_LONG = 100
"""Characters from which a bare text may be base64."""
_FILTERED = frozenset({"content_filter", "content_filtered", "safety", "moderated"})
_ENDINGS = r"\.(?:png|jpe?g|webp|gif|avif|mp4|mov|webm)"
_DATA_URL = re.compile(r"data:(?:image|video)/[\w.+-]+;base64,[A-Za-z0-9+/=_-]+", re.IGNORECASE)
_MEDIA_URL = re.compile(
    rf"https?://[^\s<>\"']{{1,2000}}?{_ENDINGS}(?:\?[^\s<>\"')\]]*)?(?=[\s<>\"')\].,;!]|$)",
    re.IGNORECASE,
)
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_WORDS = 20_000
"""Characters of a text in which addresses are looked for."""
_FENCE = re.compile(r"```(?:json)?\s*(.*?)\s*```", re.DOTALL)
_ONE_URL = re.compile(r"https?://[^\s<>\"']+")
_ONE_PATH = re.compile(r"/[^\s<>\"'/]+/[^\s<>\"']{1,2000}")


@dataclass(slots=True)
class Found:
    """What an answer holds."""

    media: list[Medium] = field(default_factory=list)
    references: list[Mapping[str, Json]] = field(default_factory=list)
    """Media that cannot be had from here, each with its reference and the reason."""
    broken: int = 0
    """Media whose encoding cannot be read."""
    withheld: int = 0
    """Media that the provider's moderation kept back, or replaced by something else."""
    prompts: list[str] = field(default_factory=list)
    """What the provider made of the prompt, where it says so."""
    texts: list[str] = field(default_factory=list)
    """What a chat said besides, or instead."""

    def count(self) -> int:
        """How many media the answer speaks of."""
        return len(self.media) + len(self.references) + self.broken + self.withheld


def absolute(base_url: str, reference: str) -> str:
    """Where a reference of an answer points: one that begins with "/" is joined to the origin,
    any other to the base URL.

    Args:
        base_url: without a slash at the end.
        reference: an address, or a part of one.
    """
    base = urlsplit(base_url)
    if reference.startswith("//"):
        return f"{base.scheme}:{reference}"
    if reference.startswith("/"):
        return f"{base.scheme}://{base.netloc}{reference}"
    return reference if "://" in reference else f"{base_url}/{reference}"


def media_of(answer: Json, base_url: str) -> Found:
    """All the media of an answer, in order.

    Args:
        answer: parsed JSON.
        base_url: what relative addresses are relative to.
    """
    found = Found()
    _walk(answer, base_url, found, _DEPTH)
    return found


def _walk(node: Json, base_url: str, found: Found, depth: int) -> None:
    if depth <= 0 or found.count() >= _MOST:
        return
    if isinstance(node, list):
        for item in _by_index(node):
            _walk(item, base_url, found, depth - 1)
    elif isinstance(node, str):
        _take_text(node, base_url, found, depth)
    elif isinstance(node, dict):
        _walk_object(node, base_url, found, depth)


def _walk_object(node: dict[str, Json], base_url: str, found: Found, depth: int) -> None:
    if _is_withheld(node):
        found.withheld += 1
        return
    if isinstance(node.get("revised_prompt"), str) and node["revised_prompt"].strip():
        found.prompts.append(node["revised_prompt"])
    before = found.count()
    for name in _HOLDERS:
        held = node.get(name)
        if isinstance(held, (dict, list)):
            _walk(held, base_url, found, depth - 1)
        elif isinstance(held, str) and name not in _NO_TEXTS:
            _take_text(held, base_url, found, depth)
        if name in _FREE and isinstance(held, dict) and found.count() == before:
            _walk_values(held, base_url, found, depth - 1)
        if found.count() > before:  # the others would say the same again
            return
    if isinstance(node.get("text"), str) and node.get("type") in ("text", "output_text"):
        _take_text(node["text"], base_url, found, depth)
    if found.count() == before:
        _take_leaf(node, base_url, found)


def _walk_values(node: dict[str, Json], base_url: str, found: Found, depth: int) -> None:
    """The media below names that a model chose, but for those that are never results."""
    for name, held in node.items():
        nested = isinstance(held, (dict, list))
        address = isinstance(held, str) and held.startswith(("https://", "http://", "data:"))
        if name not in _NO_RESULTS and (nested or address):
            _walk(held, base_url, found, depth - 1)


def _take_leaf(node: dict[str, Json], base_url: str, found: Found) -> None:
    """The medium that an object is, in the best of the ways in which it is given."""
    media_type = next((node[name] for name in _TYPES if _is_text(node, name)), None)
    refused, broken = None, False
    for name in _LEAVES:
        if not _is_text(node, name):
            continue
        medium = _medium(name, node[name], base_url, media_type)
        if medium is not None:
            _add(medium, found)
            return
        broken = broken or name in _ENCODED or node[name].strip()[:5].lower() == "data:"
        refused = refused or {"reference": node[name][:200], "reason": _reason(name)}
    if broken:
        found.broken += 1
    elif refused is not None:
        found.references.append(refused)


def _medium(name: str, text: str, base_url: str, media_type: str | None) -> Medium | None:
    text = text.strip()
    if text[:5].lower() == "data:":
        return of_data_url(text)
    if name in _ENCODED:
        data = decoded(text)
        return Medium(data, media_type=media_type) if data else None
    scheme = _SCHEME.match(text)
    if name in _LOCAL or (scheme and scheme[1].lower() not in ("http", "https")):
        return None
    if re.search(r"\s", text):
        return None
    return Medium(url=absolute(base_url, text), media_type=media_type)


def _take_text(text: str, base_url: str, found: Found, depth: int) -> None:
    """A text where a medium may stand: an address, a data URL, base64, JSON, or words that hold
    such things."""
    text = text.strip()
    if _ONE_URL.fullmatch(text):
        _add(Medium(url=text), found)
    elif (medium := _bare(text)) is not None:
        _add(medium, found)
    elif _ONE_PATH.fullmatch(text):
        _add(Medium(url=absolute(base_url, text)), found)
    elif (value := _json(text)) is not None:
        _walk(value, base_url, found, depth - 1)
    elif within := _in_words(text):
        for medium in within:
            _add(medium, found)
    elif text:
        found.texts.append(text)


def _json(text: str) -> Json:
    """What a text says that is JSON, maybe in a fence; None where it is none."""
    fenced = _FENCE.fullmatch(text)
    inner = fenced[1] if fenced else text
    if inner[:1] not in ("{", "["):
        return None
    try:
        return json.loads(inner)
    except (ValueError, RecursionError):
        return None


def _bare(text: str) -> Medium | None:
    """Base64 under no name of its own: only where it is long and begins as a medium does."""
    head = decoded("".join(text[:64].split())[:40]) if len(text) > _LONG else None
    if head is None or sniff(head) is None:
        return None
    data = decoded(text)
    return Medium(data, media_type=sniff(data)) if data else None


def _in_words(text: str) -> list[Medium]:
    """Data URLs and addresses of media in a text. An address that says nothing of media is left
    alone: a refusal names its rules in such a way."""
    held = [of_data_url(match[0]) for match in _DATA_URL.finditer(text)]
    words = _DATA_URL.sub(" ", text)[:_WORDS]
    named = [Medium(url=_trimmed(match[0])) for match in _MEDIA_URL.finditer(words)]
    return [medium for medium in held if medium is not None] + named


def _trimmed(url: str) -> str:
    """An address out of a text, without the sentence's own signs, and as it is in HTML."""
    return url.rstrip(".,;!").replace("&amp;", "&")


def _add(medium: Medium, found: Found) -> None:
    """One address is one medium, however often it is named."""
    if medium.url is None or all(medium.url != known.url for known in found.media):
        found.media.append(medium)


def _by_index(items: list[Json]) -> list[Json]:
    """Items as their own `index` says, where each has one."""
    indices = [item.get("index") if isinstance(item, dict) else None for item in items]
    if all(isinstance(index, int) for index in indices):
        return [item for _, item in sorted(zip(indices, items, strict=True), key=_first)]
    return items


def _first(pair: tuple[Json, Json]) -> Json:
    return pair[0]


def _is_withheld(node: dict[str, Json]) -> bool:
    """Whether moderation kept this one back."""
    reason = node.get("finish_reason", node.get("finishReason"))
    return node.get("respect_moderation") is False or (
        isinstance(reason, str) and reason.lower() in _FILTERED
    )


def _is_text(node: dict[str, Json], name: str) -> bool:
    return isinstance(node.get(name), str) and bool(node[name].strip())


def _reason(name: str) -> str:
    if name in _LOCAL:
        return "it is a file of the provider's own machine"
    return "it is at no address that can be fetched from"
