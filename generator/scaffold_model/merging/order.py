"""The order of a merged list: sorted where all versions are, else each addition behind what it was put behind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Mapping, Sequence
from itertools import pairwise

from ..code.ordering import common_prefix
from .regions import Item, Order
from .result import Unsettled


def ordered(
    base: list[str],
    ours: list[str],
    theirs: list[str],
    kept: Mapping[str, Item],
    names: Mapping[str, str],
    orders: Sequence[Order],
) -> list[str]:
    """The keys of a merged list: sorted where all versions are, else each addition behind what it was put behind."""
    stay = [key for key in base if key in ours and key in theirs and key in kept]
    by_ours, by_theirs = ([key for key in side if key in stay] for side in (ours, theirs))
    if by_ours != stay and by_theirs != stay and by_ours != by_theirs:
        raise Unsettled("both sides moved entries")
    line = by_theirs if by_ours == stay else by_ours
    mine, other = _gaps(ours, line, kept), _gaps(theirs, line, kept)
    gone = _gaps(base, line, {key for key in base if key not in ours and key not in theirs})
    _agree(mine, other, gone)
    for order in orders:
        if all(_is_sorted(side, names, order) for side in (base, ours, theirs)):
            return sorted(kept, key=lambda key: order(names[key]))
    result: list[str] = []
    for anchor, after in pairwise(["", *line, ""]):
        first = mine.get(anchor, [])
        second = [key for key in other.get(anchor, []) if key not in first]
        result.extend([anchor] if anchor else [])
        result.extend(_joined(anchor, first, second, after, names, orders))
    return result


def _is_sorted(keys: Sequence[str], names: Mapping[str, str], order: Order) -> bool:
    found = [order(names[key]) for key in keys]
    return found == sorted(found)


def _gaps(side: Sequence[str], line: Sequence[str], kept: Container[str]) -> dict[str, list[str]]:
    """What a side has behind each entry that all have, or before the first (then the anchor is empty)."""
    found: dict[str, list[str]] = {}
    anchor = ""
    for key in side:
        if key in line:
            anchor = key
        elif key in kept:
            found.setdefault(anchor, []).append(key)
    return found


def _agree(mine: Mapping[str, list[str]], other: Mapping[str, list[str]], gone: Container[str]) -> None:
    """Refuse what only a person can settle.

    That is an entry that both sides added, each in another place, and one that both replaced, each by another one.
    """
    places = {key: anchor for anchor, run in mine.items() for key in run}
    for anchor, run in other.items():
        if any(places.get(key, anchor) != anchor for key in run):
            raise Unsettled("both sides added the same entry in different places")
        if anchor in gone and set(run) - set(mine.get(anchor, run)) and set(mine.get(anchor, run)) - set(run):
            raise Unsettled("both sides replaced an entry, each by another one")


def _joined(
    before: str, first: list[str], second: list[str], after: str, names: Mapping[str, str], orders: Sequence[Order]
) -> list[str]:
    """Two runs of additions in one gap, between the entries ``before`` and ``after``.

    Sorted where the list is sorted there; else so that names which begin alike are neighbours, and ours first if that
    says nothing.
    """
    if not first or not second:
        return [*first, *second]
    ends = [[key] if key else [] for key in (before, after)]
    # Behind the last entry of an unsorted list additions are appended, and their order says nothing.
    head = [] if after else ends[0]
    for order in orders:
        both = sorted([*first, *second], key=lambda key: order(names[key]))
        if all(_is_sorted([*head, *run, *ends[1]], names, order) for run in (first, second, both)):
            return both

    def likeness(*runs: list[str]) -> int:
        row = [key for run in (ends[0], *runs, ends[1]) for key in run]
        return sum(common_prefix(names[one], names[other]) for one, other in pairwise(row))

    return [*second, *first] if likeness(second, first) > likeness(first, second) else [*first, *second]


def blank(text: str) -> int:
    """The number of blank lines that a text starts with."""
    return len(text) - len(text.lstrip("\n"))


def spaces(keys: Sequence[str], sides: Sequence[Mapping[str, Item]]) -> list[int]:
    """The number of blank lines before each item of a merged list.

    It says nothing of an item that it is the first of a side: only behind another one it has its own blank lines.
    """
    first = [next((blank(item.text) for item in side.values()), 0) for side in sides[1:]]
    known = [{key: blank(item.text) for key, item in [*side.items()][1:]} for side in sides]
    usual = Counter(count for side in known for count in side.values()).most_common(1)
    result = [min(first)]
    for key in keys[1:]:
        base, *others = (side.get(key) for side in known)
        changed = [count for count in others if count is not None and count != base]
        result.append(changed[0] if changed else base if base is not None else usual[0][0] if usual else 0)
    return result[: len(keys)]
