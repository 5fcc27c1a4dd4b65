"""Where a new name goes in a list: the sorted orders, and the habits of the lists that nobody keeps sorted.

Which rule an unsorted list gets was measured on the pull requests that added to it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..code.ordering import (
    common_prefix,
    import_module_key,
    import_name_key,
    object_key,
    plain_key,
    sorted_among,
    sorted_position,
)
from .base import Entry


def by_import_order(present: Sequence[str], name: str, entry: Entry) -> int:
    """Names as ruff's isort rules order them."""
    return sorted_among(present, name, import_name_key)


def by_object_order(present: Sequence[str], name: str, entry: Entry) -> int:
    """Names as the repository's own init sorter orders them."""
    return sorted_among(present, name, object_key)


def by_module_order(present: Sequence[str], name: str, entry: Entry) -> int:
    """Modules as ruff's isort rules order them."""
    return sorted_among(present, name, import_module_key)


def by_ascii(present: Sequence[str], name: str, entry: Entry) -> int:
    """Plain sorted order."""
    return sorted_among(present, name, plain_key)


def beside_family(present: Sequence[str], name: str, entry: Entry) -> int:
    """Behind the nearest member of the family, else between two neighbours that it sorts between."""
    kin = _kin(present, name)
    if kin:
        return max(kin, key=lambda index: (common_prefix(present[index], name), index)) + 1
    return _between(present, name)


def in_family(present: Sequence[str], name: str, entry: Entry) -> int:
    """In the order of the family, else behind the alphabetical predecessor."""
    kin = _kin(present, name)
    if not kin:
        return _after_predecessor(present, name)
    smaller = [index for index in kin if present[index] < name]
    return max(smaller, key=lambda index: (present[index], index)) + 1 if smaller else kin[0]


def in_family_before_last(present: Sequence[str], name: str, entry: Entry) -> int:
    """As ``in_family``, but never behind the last: that is no model's package, and stays the last."""
    return min(in_family(present, name, entry), max(len(present) - 1, 0))


def after_kin(present: Sequence[str], name: str, entry: Entry) -> int:
    """In the package's own order where the list follows it, else behind the last name with the longest prefix."""
    rank = {other: index for index, other in enumerate(entry.order)}
    ranks = [rank.get(other, -1) for other in present]
    if name in rank and -1 not in ranks and ranks == sorted(ranks):
        return sorted_position([(item,) for item in ranks], (rank[name],))
    if not present:
        return 0
    return max(range(len(present)), key=lambda index: (common_prefix(present[index], name), index)) + 1


def at_end(present: Sequence[str], name: str, entry: Entry) -> int:
    """Behind all others."""
    return len(present)


def _family(name: str) -> str:
    """What the names of one family begin with: ``hunyuan`` for ``hunyuan_video1_5``, ``wan`` for ``wan-i2v``."""
    return re.split(r"[\d_.-]", name, maxsplit=1)[0]


def _kin(present: Sequence[str], name: str) -> list[int]:
    return [index for index, other in enumerate(present) if _family(other) == _family(name)]


def _between(present: Sequence[str], name: str) -> int:
    """Of the gaps that the name sorts into, the one with the most alike neighbours; else the best sorted place."""
    best = sorted_position([(other,) for other in present], (name,))
    gaps = [index for index in range(1, len(present)) if present[index - 1] < name < present[index]]

    def likeness(index: int) -> tuple[int, int]:
        return common_prefix(present[index - 1], name) + common_prefix(present[index], name), -abs(index - best)

    return max(gaps, key=likeness, default=best)


def _after_predecessor(present: Sequence[str], name: str) -> int:
    smaller = [index for index, other in enumerate(present) if other < name]
    return max(smaller, key=lambda index: (present[index], index)) + 1 if smaller else 0
