"""Three-way merge of registry files by structure: both sides' additions and removals, in order.

What a region lists is merged as a list of keys, whatever lines it stands on. The lines around the regions, with one
mark in the place of each region, go through git's own text merge. So two pull requests that register their models next
to each other do not conflict, and what is no registration merges (or conflicts) as ever.

The result is read again, and it must list what the base listed, plus what either side added, minus what either side
removed, each exactly once. A merge that can not be proved is given up for git's text merge, and that one is proved too:
nothing is ever silently wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from .merging import reader_for
from .merging.brackets import collapsed, exploded, read_brackets, split_lead
from .merging.order import ordered, spaces
from .merging.proof import contradicts
from .merging.regions import Item, Reader, Region
from .merging.result import Merged, TextMerge, Unsettled
from .merging.skeleton import MARK, filled, matched, resolved, skeleton_of

DEFAULT_WIDTH = 119


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
        found = matched(read(base), read(ours), read(theirs))
        skeletons = [skeleton_of(text, named) for text, named in zip((base, ours, theirs), found, strict=True)]
        skeleton = self.texts(skeletons[0], skeletons[1], skeletons[2], None)
        done = {
            name: self.region(*(side.get(name) for side in found)) for name in {**found[0], **found[1], **found[2]}
        }
        for name, merged in done.items():
            if MARK.format(name) not in skeleton.text and merged.text:
                raise Unsettled(f"the region {name} went away")
        return filled(skeleton, done, found)

    def region(self, base: Region | None, ours: Region | None, theirs: Region | None) -> Merged:
        """Merge the lists of a region."""
        sides = [{item.key: item for item in (one.items if one else ())} for one in (base, ours, theirs)]
        sides = [sides[0], *(_retitled(sides[0], side) for side in sides[1:])]
        plain = [{k: replace(item, text=item.text.lstrip("\n")) for k, item in side.items()} for side in sides]
        orders = next(one.orders for one in (base, ours, theirs) if one is not None)
        items: dict[str, Item] = {}
        conflicts = False
        for key in {**sides[0], **sides[1], **sides[2]}:
            item, conflict = self.item(*(side.get(key) for side in plain))
            conflicts = conflicts or conflict
            if item is not None:
                items[key] = item
        names = {key: item.name for side in sides for key, item in side.items()} | {
            k: i.name for k, i in items.items()
        }
        try:
            keys = ordered(list(sides[0]), list(sides[1]), list(sides[2]), items, names, orders)
        except Unsettled:
            return self.refused(*("".join(item.text for item in side.values()) for side in sides))
        rows = zip(spaces(keys, sides), keys, strict=True)
        return Merged("".join("\n" * blank + items[key].text for blank, key in rows), conflicts)

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
    gone = {key: item for key, item in base.items() if key not in side and item.titled}
    keys: dict[str, str] = {}
    for key, item in side.items():
        for old, was in gone.items():
            if key not in base and item.titled and item.inner and old not in keys.values():
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
