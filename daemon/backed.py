"""A dictionary of what is at hand, with the rest elsewhere. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

Value = TypeVar("Value")


class Backed(dict[str, Value]):
    """A dictionary of what is at hand; whatever it lacks is looked for elsewhere, and not kept.

    Args:
        load: gives what lies elsewhere, or None.
    """

    def __init__(self, load: Callable[[str], Value | None]) -> None:
        super().__init__()
        self.load = load

    def __missing__(self, key: str) -> Value:
        value = self.load(key) if key else None
        if value is None:
            raise KeyError(key)
        return value

    def get(self, key: str, default: Any = None) -> Any:
        value = dict.get(self, key)
        if value is None and key:
            value = self.load(key)
        return default if value is None else value
