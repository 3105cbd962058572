"""At which of the boundaries that a run passed its next ones are killed."""

from __future__ import annotations

from collections.abc import Sequence

import pytest


def one_of_each(passed: Sequence[str]) -> list[int]:
    """Of each kind of boundary that a run passed, the number of the one in the middle."""
    places: dict[str, list[int]] = {}
    for number, name in enumerate(passed, 1):
        places.setdefault(name, []).append(number)
    return [numbers[len(numbers) // 2] for numbers in places.values()]


PARTS = [
    pytest.param(one_of_each, id="one of each kind"),
    *(
        pytest.param(
            lambda passed, part=part: range(part, len(passed) + 1, 4),
            marks=pytest.mark.slow,
            id=f"part {part} of 4",
        )
        for part in range(1, 5)
    ),
]
"""The numbers of the boundaries at which to kill: a few in the suite, all of them elsewhere."""
