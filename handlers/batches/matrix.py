"""A matrix: named lists, and every combination of their values. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from math import prod

from handlers.batches.templating import NAME
from handlers.contract import Json

Matrix = Mapping[str, Sequence[Json]]
Combination = dict[str, Json]


class TooManyItems(ValueError):
    """More would come of a batch than may; the message says how many, and how many may."""


def faults_in(matrix: Mapping[str, Json]) -> Iterator[str]:
    """What is wrong with a matrix, a sentence each."""
    for name, values in matrix.items():
        shown = name if len(name) <= 80 else name[:79] + "…"
        if not NAME.fullmatch(name):
            yield f'"{shown}" is no name: letters, digits and underscores make one, as in {{name}}'
        if not isinstance(values, list):
            yield f'"{shown}" must be a list of values'
        elif not values:
            yield f'"{shown}" has no values, so no items would be made; leave it out'


def size_of(matrix: Matrix | None) -> int:
    """How many combinations a matrix has: 1 where there is none."""
    return prod(map(len, (matrix or {}).values()))


def combinations(matrix: Matrix | None, limit: int) -> Iterator[Combination]:
    """Every combination of a matrix, the values of the last name changing fastest; where there is
    no matrix, one that is empty.

    Args:
        matrix: lists of values, by name.
        limit: how many combinations there may be.

    Raises:
        TooManyItems: there are more. It is raised at once, and nothing is counted out for it.
    """
    size = size_of(matrix)
    if size > limit:
        lengths = " x ".join(str(len(values)) for values in (matrix or {}).values())
        raise TooManyItems(f"its matrix has {lengths} = {size:,} combinations; {limit:,} may be")
    names = tuple(matrix or ())
    return (dict(zip(names, values, strict=True)) for values in product(*(matrix or {}).values()))
