"""A text with marks in the place of its regions, so that git can merge what stands around them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from .regions import Region, lines_of
from .result import Merged, Unsettled

MARK = "@@ scaffold-model region {} @@\n"


def matched(*versions: Sequence[Region]) -> list[dict[str, Region]]:
    """Names for the regions of base, ours and theirs: the same name for what is the same region."""
    base, *sides = versions
    named = [{f"{index} {_slug(region.place)}": region for index, region in enumerate(base)}]
    for side in sides:
        left = dict(enumerate(side))
        pairs = sorted(
            (-_shared(region, other), abs(index - int(name.split()[0])), index, name)
            for index, region in left.items()
            for name, other in named[0].items()
            if region.place == other.place
        )
        mine: dict[str, Region] = {}
        for overlap, _, index, name in pairs:
            if index in left and name not in mine and (overlap or _alone(named[0], left, left[index].place, mine)):
                mine[name] = left.pop(index)
        fresh: Counter[str] = Counter()
        for region in left.values():
            mine[f"new {fresh[region.place]} {_slug(region.place)}"] = region
            fresh[region.place] += 1
        named.append(mine)
    return named


def _shared(one: Region, other: Region) -> int:
    return len({item.key for item in one.items} & {item.key for item in other.items})


def _alone(base: Mapping[str, Region], left: Mapping[int, Region], place: str, taken: Mapping[str, Region]) -> bool:
    """Whether one region of the place is left on both sides, so that they are the same without a key in common."""
    free = [name for name, region in base.items() if region.place == place and name not in taken]
    return len(free) == 1 and sum(region.place == place for region in left.values()) == 1


def _slug(place: str) -> str:
    return re.sub(r"\s+", "_", place)


def skeleton_of(text: str, named: Mapping[str, Region]) -> str:
    """The text with a mark in the place of each region."""
    lines = text.split("\n")
    for name, region in sorted(named.items(), key=lambda one: -one[1].first):
        lines[region.first - 1 : region.last] = [MARK.format(name).removesuffix("\n")]
    return "\n".join(lines)


def filled(skeleton: Merged, done: Mapping[str, Merged], found: Sequence[Mapping[str, Region]]) -> Merged:
    """The skeleton with the merged regions; in a conflict, each side with what it has itself."""
    marks = {MARK.format(name): name for name in done}
    used: Counter[str] = Counter()
    rows: list[str] = []
    side: int | None = None
    for line in lines_of(skeleton.text):
        side = _side(side, line) if skeleton.conflicts else None
        name = marks.get(line)
        if name is None:
            rows.append(line)
        elif side is None:
            used[name] += 1
            rows.append(done[name].text)
        else:
            rows.extend(item.text for item in (found[side][name].items if name in found[side] else ()))
    if any(count > 1 for count in used.values()):
        raise Unsettled("a region came out twice")
    return Merged("".join(rows), skeleton.conflicts or any(done[name].conflicts for name in used))


def resolved(text: str, choice: int) -> str:
    """A text with conflict markers, with all of ours (1) or of theirs (2)."""
    rows: list[str] = []
    side: int | None = None
    for line in lines_of(text):
        before, side = side, _side(side, line)
        if before == side and side in (None, choice):
            rows.append(line)
    return "".join(rows)


def _side(side: int | None, line: str) -> int | None:
    """In which part of a conflict the lines after ``line`` are: 0 base, 1 ours, 2 theirs."""
    for marker, part in (("<", 1), ("|", 0), ("=", 2), (">", None)):
        if re.match(rf"[{marker}]{{7,}}( |$)", line) and (side is not None or part == 1):
            return part
    return side
