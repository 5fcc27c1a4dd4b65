"""Three-way merge of registry files by structure: both sides' additions and removals, in order.

What a region lists is merged as a list of keys, whatever lines it stands on. The lines around the regions, with one
mark in the place of each region, go through git's own text merge. So two pull requests that register their models next
to each other do not conflict, and what is no registration merges (or conflicts) as ever.

The result is read again, and it must list what the base listed, plus what either side added, minus what either side
removed, each exactly once. A merge that can not be proved is given up for git's text merge, and that one is proved too:
nothing is ever silently wrong.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from .code.ordering import common_prefix
from .merging import reader_for
from .merging.brackets import collapsed, exploded, read_brackets, split_lead
from .merging.proof import contradicts
from .merging.regions import Item, Order, Reader, Region, lines_of

TextMerge = Callable[[str, str, str], "Merged"]  # base, ours, theirs
DEFAULT_WIDTH = 119
_MARK = "@@ scaffold-model region {} @@\n"


@dataclass(frozen=True)
class Merged:
    """The text of a merge; with ``conflicts`` it holds conflict markers."""

    text: str
    conflicts: bool = False


class Unsettled(Exception):
    """The structure of the two sides can not be brought together."""


def merge(base: str, ours: str, theirs: str, path: str, text_merge: TextMerge, width: int = DEFAULT_WIDTH) -> Merged:
    """Merge a registry file.

    Args:
        base: The file at the merge base; empty where there was none.
        ours: The file on our side.
        theirs: The file on theirs.
        path: Its path in the checkout, which says what it registers.
        text_merge: Merges three texts as git does, with conflict markers where they contradict each other.
        width: The longest line that the checkout's formatter leaves alone.
    """
    if ours == theirs or theirs == base:
        return Merged(ours)
    if ours == base:
        return Merged(theirs)
    plain = [_plain(text) for text in (base, ours, theirs)]
    if None in plain:
        # Line ends that are mixed: nothing that a formatter or git would leave.
        return _proved(text_merge(base, ours, theirs), base, ours, theirs, path, text_merge)
    texts = [one[0] for one in plain if one]
    crlf = _pick(*(one[1] for one in plain if one))
    ended = _pick(*(one[2] for one in plain if one))
    merged = _merged(texts[0], texts[1], texts[2], path, text_merge, width)
    text = merged.text if ended or merged.conflicts else merged.text.removesuffix("\n")
    return replace(merged, text=text.replace("\n", "\r\n") if crlf else text)


def _plain(text: str) -> tuple[str, bool, bool] | None:
    """The text with line feeds and a final one, whether it had CRLF and whether it had a final line end."""
    plain = text.replace("\r\n", "\n")
    crlf = plain != text
    if "\r" in plain or (crlf and plain.count("\n") != text.count("\r\n")):
        return None
    ended = plain.endswith("\n") or not plain
    return plain if ended else plain + "\n", crlf, ended


def _pick(base: bool, ours: bool, theirs: bool) -> bool:
    return theirs if ours == base else ours


def _merged(base: str, ours: str, theirs: str, path: str, text_merge: TextMerge, width: int) -> Merged:
    try:
        settled = _Merge(text_merge, width).texts(base, ours, theirs, reader_for(path))
    except (SyntaxError, Unsettled):
        settled = None
    if settled is not None and not settled.conflicts and not contradicts(base, ours, theirs, [settled.text], path):
        return settled
    plain = _proved(text_merge(base, ours, theirs), base, ours, theirs, path, text_merge)
    if plain.conflicts and settled is not None and settled.conflicts:
        # What a conflict leaves to a person is proved for either choice.
        choices = [resolved(settled.text, side) for side in (1, 2)]
        return plain if contradicts(base, ours, theirs, choices, path) else settled
    return plain


def _proved(merged: Merged, base: str, ours: str, theirs: str, path: str, text_merge: TextMerge) -> Merged:
    """A text merge; where it has no conflict and yet lists something wrong, everything that differs conflicts."""
    if merged.conflicts or not contradicts(base, ours, theirs, [merged.text], path):
        return merged
    return replace(text_merge("", ours, theirs), conflicts=True)


@dataclass(frozen=True)
class _Merge:
    text_merge: TextMerge
    width: int

    def texts(self, base: str, ours: str, theirs: str, read: Reader | None) -> Merged:
        """Merge texts: their regions as lists, the rest as text.

        Raises:
            Unsettled: The regions can not be merged, or not be put back.
            SyntaxError: A version can not be read.
        """
        if ours == theirs or theirs == base:
            return Merged(ours)
        if ours == base:
            return Merged(theirs)
        if read is None:
            return self.text_merge(base, ours, theirs)
        if "@@ scaffold-model" in base + ours + theirs:
            raise Unsettled("the text looks like a mark")
        found = _matched(read(base), read(ours), read(theirs))
        skeletons = [_skeleton(text, named) for text, named in zip((base, ours, theirs), found, strict=True)]
        skeleton = self.texts(skeletons[0], skeletons[1], skeletons[2], None)
        done = {
            name: self.region(*(side.get(name) for side in found)) for name in {**found[0], **found[1], **found[2]}
        }
        for name, merged in done.items():
            if _MARK.format(name) not in skeleton.text and merged.text:
                raise Unsettled(f"the region {name} went away")
        return _filled(skeleton, done, found)

    def region(self, base: Region | None, ours: Region | None, theirs: Region | None) -> Merged:
        """Merge the lists of a region."""
        sides = [{item.key: item for item in (one.items if one else ())} for one in (base, ours, theirs)]
        sides = [sides[0], *(_retitled(sides[0], side) for side in sides[1:])]
        orders = next(one.orders for one in (base, ours, theirs) if one is not None)
        items: dict[str, Item] = {}
        conflicts = False
        for key in {**sides[0], **sides[1], **sides[2]}:
            item, conflict = self.item(*(side.get(key) for side in sides))
            conflicts = conflicts or conflict
            if item is not None:
                items[key] = item
        names = {key: item.name for side in sides for key, item in side.items()} | {
            k: i.name for k, i in items.items()
        }
        try:
            keys = _ordered(list(sides[0]), list(sides[1]), list(sides[2]), items, names, orders)
        except Unsettled:
            return self.refused(*("".join(item.text for item in side.values()) for side in sides))
        return Merged("".join(items[key].text for key in keys), conflicts)

    def refused(self, base: str, ours: str, theirs: str) -> Merged:
        """A text merge that is a conflict in any case."""
        merged = self.text_merge(base, ours, theirs)
        return merged if merged.conflicts else replace(self.text_merge("", ours, theirs), conflicts=True)

    def item(self, base: Item | None, ours: Item | None, theirs: Item | None) -> tuple[Item | None, bool]:
        """Merge an item that at least one version has; None where it was removed."""
        if _text(ours) == _text(theirs) or _text(theirs) == _text(base):
            return ours, False
        if _text(ours) == _text(base):
            return theirs, False
        some = ours or theirs
        assert some is not None
        if ours is None or theirs is None:
            merged = self.text_merge(_text(base), _text(ours), _text(theirs))
        elif some.brackets:
            merged = self.brackets(_text(base), ours.text, theirs.text)
        else:
            merged = self.texts(_text(base), ours.text, theirs.text, some.inner)
        if theirs is not None and base is not None and ours is not None and ours.name == base.name:
            some = theirs
        return replace(some, text=merged.text), merged.conflicts

    def brackets(self, base: str, ours: str, theirs: str) -> Merged:
        """Merge a statement that lists names, on one line or with one name per line."""
        parts = [split_lead(text) for text in (base, ours, theirs)]
        codes = [code for _, code in parts]
        broken = [exploded(code) if code else None for code in codes]
        if broken[1] is None or broken[2] is None or (codes[0] and broken[0] is None):
            return self.text_merge(base, ours, theirs)
        start = broken[0] if broken[0] is not None else _emptied(broken[1])
        lead = self.texts(parts[0][0], parts[1][0], parts[2][0], None)
        merged = self.texts(start, broken[1], broken[2], read_brackets)
        code = merged.text
        if not merged.conflicts and all(code.count("\n") < 2 for code in codes):
            line = collapsed(code)
            code = line if len(line) <= self.width + 1 and "#" not in code else code
        return Merged(lead.text + code, lead.conflicts or merged.conflicts)


def _retitled(base: Mapping[str, Item], side: Mapping[str, Item]) -> dict[str, Item]:
    """The items of a side, where a section that only got another title keeps the key that it had."""
    gone = {key: item for key, item in base.items() if key not in side and item.inner and not item.brackets}
    keys: dict[str, str] = {}
    for key, item in side.items():
        for old, was in gone.items():
            if key not in base and item.inner is was.inner and item.inner and old not in keys.values():
                mine, before = (
                    {one.key for region in item.inner(text) for one in region.items} for text in (item.text, was.text)
                )
                if mine & before and 2 * len(mine & before) >= max(len(mine), len(before)):
                    keys[key] = old
                    break
    return {keys.get(key, key): item for key, item in side.items()}


def _text(item: Item | None) -> str:
    return item.text if item is not None else ""


def _emptied(code: str) -> str:
    """A statement with one name per line, without its names."""
    found = read_brackets(code)[0]
    lines = code.split("\n")
    return "\n".join([*lines[: found.first - 1], *lines[found.last :]])


# ------------------------------------------------------------------------------------------- regions and what is around


def _matched(*versions: Sequence[Region]) -> list[dict[str, Region]]:
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


def _skeleton(text: str, named: Mapping[str, Region]) -> str:
    """The text with a mark in the place of each region."""
    lines = text.split("\n")
    for name, region in sorted(named.items(), key=lambda one: -one[1].first):
        lines[region.first - 1 : region.last] = [_MARK.format(name).removesuffix("\n")]
    return "\n".join(lines)


def _filled(skeleton: Merged, done: Mapping[str, Merged], found: Sequence[Mapping[str, Region]]) -> Merged:
    """The skeleton with the merged regions; in a conflict, each side with what it has itself."""
    marks = {_MARK.format(name): name for name in done}
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


# -------------------------------------------------------------------------------------------------------------- order


def _ordered(
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
