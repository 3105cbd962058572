"""Media in JSON: by the keys that providers use, and where those hold none, by any other.

A shape is known by its keys and walked in the provider's order. Other keys are only followed below
`output`, where a model has names of its own, and where nobody knows whose answer it is: an answer
repeats prompts, inputs and previews, which are no results.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from handlers.answers.encoded import decoded
from handlers.answers.found import Gathering, Names
from handlers.answers.moderation import flagged, is_withheld, kept_back
from handlers.answers.references import (
    BROKEN,
    LOCAL_FILE,
    Mention,
    OutOfReach,
    kind_of_name,
    reach,
)
from handlers.answers.words import addresses, is_path
from handlers.contract import Json, Kind, Medium

ReadText = Callable[[str, Gathering, int], None]
"""Reads a text that stands in JSON; the number says how much deeper may be looked."""

DEPTH = 32
"""How deep is looked, texts within texts included."""
_PICTURES, _CLIPS = ("images", "image"), ("videos", "video")
_BEFORE: tuple[tuple[str, ...], ...] = (("data",),)
_AFTER: tuple[tuple[str, ...], ...] = tuple(
    (name,)
    for name in (
        *("result", "results", "taskresult", "output", "outputs", "assets", "artifacts", "urls"),
        *("unsignedurls", "choices", "message", "content", "imageurl", "videourl", "candidates"),
        *("parts", "inlinedata", "filedata", "predictions", "response", "generatevideoresponse"),
        *("generatedsamples", "generatedvideos", "generatedimages", "task", "file"),
    )
)
_HOLDERS: dict[Kind | None, tuple[tuple[str, ...], ...]] = {
    None: (*_BEFORE, _PICTURES, _CLIPS, *_AFTER),
    "image": (*_BEFORE, _PICTURES, _CLIPS, *_AFTER),
    "video": (*_BEFORE, _CLIPS, _PICTURES, *_AFTER),
}
"""Keys below which media lie, in the order in which they are looked at; the first that holds some
counts, for a relay likes to say the same in two shapes."""
_HOLDING = frozenset(name for group in _HOLDERS[None] for name in group)
_ENCODED = ("b64json", "base64", "bytesbase64encoded", "encodedvideo", "imagebase64", "videobase64")
_PLACES = (
    *("url", "resulturl", "outputurl", "downloadurl", "fileurl", "mediaurl", "sample", "uri"),
    *("fileuri", "gcsuri", "filepath", "path"),
)
_LEAVES: dict[Kind | None, tuple[str, ...]] = {
    None: (*_ENCODED, "videourl", "imageurl", *_PLACES),
    "image": (*_ENCODED, "imageurl", "videourl", *_PLACES),
    "video": (*_ENCODED, "videourl", "imageurl", *_PLACES),
}
"""Keys that are a medium themselves; of several in one object the first that can be had counts."""
_LOCAL = frozenset({"filepath", "path"})
_OPEN = frozenset({"output", "outputs"})
"""Keys below which a model has names of its own."""
_NO_TEXTS = frozenset({*_LEAVES[None], "message"})
"""Keys whose text is a medium of its own, or never one."""
_TYPES = ("mediatype", "mimetype", "contenttype")
_NO_RESULTS = frozenset(
    {
        *("urls", "logs", "log", "progressvideo", "currentimage", "get", "cancel", "stream", "web"),
        *("self", "next", "previous", "icon", "logo", "params", "parameters", "arguments", "error"),
        *("responseurl", "docs", "documentation", "homepage", "maskimage", "mask", "schema"),
    }
)
_NO_RESULTS_BEGIN = (
    *("input", "init", "prompt", "negativeprompt", "request", "thumb", "preview", "webhook"),
    *("callback", "poster", "cover", "avatar", "status", "poll", "cancel", "reference"),
    *("firstframe", "lastframe", "control", "sourceimage", "sourcevideo", "sourceurl"),
)
"""What a key is, or begins with, that holds no result, though it may hold a medium."""
_NAMES_ADDRESSES = ("url", "uri", "href", "src", "link")
_SPEAKING = ("://", "](", "data:", "<")


def plain_name(name: str) -> str:
    """A key as it is compared: `imageUrl`, `image_url` and `image-url` are one."""
    return name.replace("_", "").replace("-", "").lower() if len(name) < 100 else ""


def walk(node: Json, gathering: Gathering, depth: int, read_text: ReadText) -> None:
    """Gather the media of parsed JSON, in order.

    Args:
        node: any value.
        gathering: where they go; it says which keys are followed.
        depth: how much deeper may be looked.
        read_text: reads the texts in it.
    """
    gathering.saw_json = True
    _Walk(gathering, read_text).value(node, depth, gathering.names, "")


class _Walk:
    def __init__(self, gathering: Gathering, read_text: ReadText) -> None:
        self._to = gathering
        self._read_text = read_text
        self._holders = _HOLDERS[gathering.kind]
        self._leaves = _LEAVES[gathering.kind]

    def value(self, node: Json, depth: int, names: Names, name: str) -> None:
        if depth <= 0 or self._to.is_full:
            return
        if isinstance(node, list):
            for item in _by_index(node):
                self.value(item, depth - 1, names, name)
        elif isinstance(node, dict):
            self._object(node, depth, names)
        elif isinstance(node, str):
            self._text(node, depth, names, name)

    def _object(self, given: Mapping[Json, Json], depth: int, names: Names) -> None:
        if given.get("thought") is True:  # Gemini's drafts
            return
        if is_withheld(given):
            self._to.withhold()
            return
        self._to.withhold(kept_back(given))
        self._to.revised(given.get("revised_prompt"))
        before = self._to.found.count()
        node = {plain_name(str(name)): held for name, held in given.items()}
        if "images" in node:
            node["images"] = self._unflagged(node["images"], flagged(given))
        if self._typed(node):
            return
        if self._held(node, depth, names):
            if names is Names.OUTPUT and self._to.all_kinds:
                self._rest(node, depth, names)
            return
        if _is_text(node, "text") and node.get("type") in ("text", "outputtext", "output_text"):
            self._read_text(node["text"], self._to, depth - 1)
        if self._to.found.count() == before:
            self._leaf(node, names)
        if self._to.found.count() == before and _is_text(node, "text") and "type" not in node:
            self._read_text(node["text"], self._to, depth - 1)
        if self._to.found.count() == before and names is not Names.KNOWN:
            self._rest(node, depth, names)

    def _held(self, node: dict[str, Json], depth: int, names: Names) -> bool:
        """Look below the keys that are known to hold media; whether they did."""
        some = False
        for group in self._holders if not _HOLDING.isdisjoint(node) else ():
            some = self._first_of(group, node, depth, names) or some
            if some and not (self._to.all_kinds and group is _PICTURES):  # clips are no doubles
                break
        return some

    def _first_of(
        self, group: tuple[str, ...], node: dict[str, Json], depth: int, names: Names
    ) -> bool:
        """Look below the first of some keys that say the same; whether one holds media."""
        before = self._to.found.count()
        for name in group:
            self._below(name, node.get(name), depth, names)
            if self._to.found.count() > before:
                return True
        return False

    def _below(self, name: str, held: Json, depth: int, names: Names) -> None:
        if isinstance(held, str) and name not in _NO_TEXTS:
            self._text(held, depth, names, name)
        elif isinstance(held, (dict, list)):
            inner = Names.OUTPUT if name in _OPEN and isinstance(held, dict) else names
            self.value(held, depth - 1, inner, name)

    def _text(self, text: str, depth: int, names: Names, name: str) -> None:
        """A text where a medium may stand, or words that hold some."""
        is_known = name in _HOLDING and names is Names.OUTPUT
        if names is Names.KNOWN or is_known:
            self._read_text(text, self._to, depth - 1)
        else:
            self._loose(text, depth, names, name)

    def _unflagged(self, images: Json, places: frozenset[int]) -> Json:
        if not places or not isinstance(images, list):
            return images
        kept = [one for place, one in enumerate(images) if place not in places]
        self._to.withhold(len(images) - len(kept))
        return kept

    # ------------------------------------------------------------ one medium

    def _typed(self, node: dict[str, Json]) -> bool:
        """`data` is base64 where a type stands beside it, as in Gemini's `inlineData`."""
        media_type = _media_type(node)
        if media_type is None or not _is_text(node, "data"):
            return False
        data = decoded(node["data"])
        if data is not None:
            self._to.add(Medium(data, media_type=media_type))
        return data is not None

    def _leaf(self, node: dict[str, Json], names: Names) -> None:
        """The medium that an object is, in the best of the ways in which it is given."""
        refused: tuple[str, OutOfReach] | None = None
        for name in self._leaves:
            if not _is_text(node, name) or not self._may_be(name, node[name], names):
                continue
            reached = self._reached(name, node[name].strip(), _media_type(node))
            if isinstance(reached, Medium):
                self._to.add(reached)
                return
            if refused is None or (reached.is_broken and not refused[1].is_broken):
                refused = node[name], reached
        if refused is not None:
            self._to.refuse(*refused)

    def _may_be(self, name: str, text: str, names: Names) -> bool:
        """Whether a text below a known key is taken at its word."""
        if names is not Names.ANY or name in _ENCODED or text.lstrip()[:5].lower() == "data:":
            return True
        if kind_of_name(text) is not None:
            return True
        self._spare(name, text)
        return False

    def _reached(self, name: str, text: str, media_type: str | None) -> Medium | OutOfReach:
        if name in _ENCODED and text[:5].lower() != "data:":
            data = decoded(text)
            return Medium(data, media_type=media_type) if data else BROKEN
        if name in _LOCAL and not text.lower().startswith(("https://", "http://", "data:")):
            return LOCAL_FILE
        return reach(Mention(text, media_type=media_type), self._to.base_url)

    # ------------------------------------------------------------ keys that nobody knows

    def _rest(self, node: dict[str, Json], depth: int, names: Names) -> None:
        """Look below all other keys, but for those that never hold results."""
        for name, held in node.items():
            is_known = name in _HOLDING or name in self._leaves or name == "text"
            if not (is_known or name in _NO_RESULTS or name.startswith(_NO_RESULTS_BEGIN)):
                self.value(held, depth - 1, names, name)

    def _loose(self, text: str, depth: int, names: Names, name: str) -> None:
        """A text below a key that nobody knows."""
        text = text.strip()
        found = addresses(text)
        if found and (names is Names.OUTPUT or all(kind_of_name(one) for one in found)):
            for one in found:
                self._to.take(Mention(one, kind_of_name(one)))
        elif found:
            self._spare(name, *found)
        elif kind_of_name(text) and (is_path(text) or name.endswith(_NAMES_ADDRESSES)):
            self._to.take(Mention(text, kind_of_name(text)))
        elif len(text) > 100 or text[:1] in ("{", "[") or any(one in text for one in _SPEAKING):
            self._read_text(text, self._to, depth - 1)

    def _spare(self, name: str, *texts: str) -> None:
        if name.endswith(_NAMES_ADDRESSES):
            for text in texts:
                self._to.spare(Mention(text))


def _by_index(items: list[Json]) -> list[Json]:
    """Items as their own `index` says, where each has one."""
    indices = [item.get("index") if isinstance(item, dict) else None for item in items]
    if all(isinstance(index, int) for index in indices):
        return [item for _, item in sorted(zip(indices, items, strict=True), key=_first)]
    return items


def _first(pair: tuple[Json, Json]) -> Json:
    return pair[0]


def _media_type(node: Mapping[str, Json]) -> str | None:
    return next((node[name] for name in _TYPES if _is_text(node, name)), None)


def _is_text(node: Mapping[str, Json], name: str) -> bool:
    return isinstance(node.get(name), str) and bool(node[name].strip())
