"""Places in the lists that nobody keeps sorted: next to the family, else between sorted neighbours."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..code.ordering import common_prefix, plain_key, sorted_position
from .base import Entry


def family(name: str) -> str:
    """What the names of one family begin with: ``hunyuan`` for ``hunyuan_video1_5``, ``wan`` for ``wan-i2v``."""
    return re.split(r"[\d_.-]", name, maxsplit=1)[0]


def beside_family(present: Sequence[str], name: str, entry: Entry) -> int:
    """Behind the nearest member of the family, else behind the alphabetical predecessor."""
    kin = [index for index, other in enumerate(present) if family(other) == family(name)]
    if kin:
        nearest = max(kin, key=lambda index: (common_prefix(present[index], name), index))
        return nearest + 1
    return after_predecessor(present, name, entry)


def after_predecessor(present: Sequence[str], name: str, entry: Entry) -> int:
    """Behind the greatest name that is smaller."""
    smaller = [index for index, other in enumerate(present) if other < name]
    return max(smaller, key=lambda index: (present[index], index)) + 1 if smaller else 0


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


def in_ascii(present: Sequence[str], name: str, entry: Entry) -> int:
    """Plain sorted order."""
    return sorted_position([plain_key(item) for item in present], plain_key(name))
