"""Which members of a list that should be sorted stand out of order."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any


def misplaced(keys: Sequence[Any]) -> list[int]:
    """The fewest indices whose removal leaves the rest sorted."""
    tails: list[Any] = []
    ends: list[int] = []
    before: list[int | None] = []
    for index, key in enumerate(keys):
        length = bisect_right(tails, key)
        tails[length:] = [key] if length == len(tails) else [key, *tails[length + 1 :]]
        ends[length : length + 1] = [index]
        before.append(ends[length - 1] if length else None)
    kept: set[int] = set()
    current = ends[-1] if ends else None
    while current is not None:
        kept.add(current)
        current = before[current]
    return [index for index in range(len(keys)) if index not in kept]
