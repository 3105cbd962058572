"""How many examples a property is tried on."""

from __future__ import annotations

import os


def examples(count: int) -> int:
    """A third of so many, which is what the suite has time for; all in `make test-slow`."""
    return count if "THOROUGH" in os.environ else count // 3
