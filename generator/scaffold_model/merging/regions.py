"""Where the registry files list things: regions of items, for the structural merge.

A region is a run of whole lines that consists of items with keys: the statements of a suite that register names, the
names in the brackets of such a statement, the pairs of a mapping, the placeholders of a dummy module, the pages of a
section. All other lines are text. An item owns the comments and blank lines before it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from ..code.ordering import import_module_key, import_name_key, object_key, plain_key

Order = Callable[[str], tuple[object, ...]]
Reader = Callable[[str], "list[Region]"]


@dataclass(frozen=True)
class Item:
    """One thing that a region lists.

    Attributes:
        key: What it is known by; unique in the region.
        name: What it is sorted by.
        text: Its lines.
        inner: Reads the regions inside its text, where it has any.
        brackets: Whether it is a statement (or a pair) that lists names in brackets.
        titled: Whether its key is a title, so that it stays itself under another one.
    """

    key: str
    name: str
    text: str
    inner: Reader | None = None
    brackets: bool = False
    titled: bool = False


@dataclass(frozen=True)
class Region:
    """Lines ``first`` to ``last`` (counted from 1; none where ``last`` is before ``first``), and the items they hold.

    Attributes:
        place: The suite, mapping or list that holds it; the same in every version of the file.
        first: Its first line.
        last: Its last line.
        items: The items; their texts joined are the lines of the region.
        orders: The orders in which such a region may be sorted, the most likely first.
    """

    place: str
    first: int
    last: int
    items: tuple[Item, ...]
    orders: tuple[Order, ...] = ()


def casefold_key(name: str) -> tuple[object, ...]:
    """Order without case."""
    return (name.casefold(),)


def kind_key(name: str) -> tuple[object, ...]:
    """Constants, classes, functions; in ASCII order."""
    return import_name_key(name)[0], name


def relative_key(module: str) -> tuple[object, ...]:
    """The order of relative imports: more dots first, then ruff's order of modules."""
    name = module.lstrip(".")
    return -(len(module) - len(name)), *import_module_key(name)


NAMES: tuple[Order, ...] = (import_name_key, object_key, plain_key, casefold_key, kind_key)
OBJECTS: tuple[Order, ...] = (object_key, import_name_key, plain_key, casefold_key, kind_key)
KEYS: tuple[Order, ...] = (plain_key, casefold_key)
MODULES: tuple[Order, ...] = (relative_key, plain_key, casefold_key)


def lines_of(source: str) -> list[str]:
    """The lines with their ends, as ``ast`` counts them: form feeds and the like end no line."""
    return re.findall(r"[^\n]*\n|[^\n]+", source)


def unique(items: Sequence[Item]) -> tuple[Item, ...]:
    """The items with keys that differ: a second one of the same key gets a number."""
    seen: Counter[str] = Counter()
    found = []
    for item in items:
        seen[item.key] += 1
        found.append(item if seen[item.key] == 1 else replace(item, key=f"{item.key} #{seen[item.key]}"))
    return tuple(found)
