"""What moderation kept back or replaced, by the signs that providers leave in a success."""

from __future__ import annotations

from collections.abc import Mapping

from handlers.answers.statuses import plain
from handlers.contract import Json

_FILTERED = frozenset(
    {
        *("content filter", "content filtered", "safety", "image safety", "moderated"),
        *("prohibited content", "image prohibited content", "blocklist", "spii"),
    }
)
"""Reasons for which a choice ended, as `statuses.plain` writes them."""


def is_withheld(node: Mapping[str, Json]) -> bool:
    """Whether moderation kept back what this object stands for.

    xAI says so by `respect_moderation`, chats, Stability and Gemini by the reason of the end,
    Imagen by `raiFilteredReason`.
    """
    reason = node.get("finish_reason", node.get("finishReason"))
    if node.get("respect_moderation") is False or isinstance(node.get("raiFilteredReason"), str):
        return True
    return isinstance(reason, str) and plain(reason[:100]) in _FILTERED


def kept_back(node: Mapping[str, Json]) -> int:
    """How many an object says were filtered and left out, as Veo does."""
    count = node.get("raiMediaFilteredCount")
    return count if isinstance(count, int) and not isinstance(count, bool) and count > 0 else 0


def flagged(node: Mapping[str, Json]) -> frozenset[int]:
    """The places of `images` that hold a black picture instead, as fal says."""
    flags = node.get("has_nsfw_concepts")
    held = flags if isinstance(flags, list) else []
    return frozenset(place for place, flag in enumerate(held) if flag is True)
