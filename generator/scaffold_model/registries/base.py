"""What every registry is made of: entries, what is listed, and the protocol that the modules satisfy."""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar, overload

from ..plan import Export

if TYPE_CHECKING:
    from ..conventions import Conventions
    from ..snapshot import Snapshot

ROOT = "src/diffusers"


@dataclass(frozen=True)
class Page:
    """A docs page that the table of contents must name.

    Attributes:
        local: Its path below ``docs/source/en``, without the suffix.
        title: The page's title in the table of contents.
        section: Titles of the sections that hold it, outermost first.
        documents: Names of the objects that it documents.
    """

    local: str
    title: str
    section: tuple[str, ...]
    documents: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What a plan calls the entry."""
        return self.local


Subject = Export | Page


@dataclass(frozen=True)
class Entry:
    """What one registry must hold for one export.

    Attributes:
        registry: The registry's name.
        path: The file that it lives in.
        object: The name that it lists: a class, a mapping key, a page.
        key: Where in the file: the module of an ``_import_structure``, of an import, a mapping, a section.
        value: What belongs to the object: the class of a mapping key, the title of a page.
        backends: The backend group that guards it.
        order: Names in the order that neighbours should have, where a registry follows another one.
        width: The longest line that the checkout's formatter leaves alone.
        several: Whether the object may be listed under other keys as well.
        start: What the file begins with where there is none yet; empty where there must be one.
    """

    registry: str
    path: str
    object: str
    key: str | tuple[str, ...] = ""
    value: str = ""
    backends: tuple[str, ...] = ()
    order: tuple[str, ...] = ()
    width: int = 119
    several: bool = False
    start: str = ""

    def is_listed_as(self, item: Listed) -> bool:
        """Whether ``item`` is this entry."""
        return item.object == self.object and (not self.several or item.key == self.key)

    @property
    def text_key(self) -> str:
        """The key of a registry whose key is one word."""
        assert isinstance(self.key, str)
        return self.key


class Listed(NamedTuple):
    """One thing that a registry lists, and where."""

    object: str
    key: str | tuple[str, ...]
    line: int
    value: str = ""
    backends: tuple[str, ...] = ()


#: What is listed, without the line: object, key, value and backend group.
Fact = tuple[str, str | tuple[str, ...], str, tuple[str, ...]]


class Part(Protocol):
    """Lines of a long registry that can be read by themselves."""

    @property
    def identity(self) -> Hashable:
        """Parts of the same identity list the same; None where nothing but the reading tells."""

    def named(self, name: str) -> Iterable[Listed]:
        """What it lists of that name, in source order."""

    def listed(self) -> Iterable[Listed]:
        """What it lists, in source order."""

    def facts(self) -> Iterable[Fact]:
        """What it lists, in source order, without the lines."""

    def apart(self, other: Any) -> tuple[Iterable[Fact], Iterable[Fact]]:
        """The facts of both, without some that both have."""


class Listing(Sequence[Listed]):
    """What a long registry lists, in source order, all of which is read only where somebody asks for all of it."""

    @property
    @abstractmethod
    def _items(self) -> Sequence[Listed]:
        """All of it."""

    @overload
    def __getitem__(self, index: int) -> Listed: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Listed]: ...

    def __getitem__(self, index: int | slice) -> Listed | Sequence[Listed]:
        return self._items[index]

    def __iter__(self) -> Iterator[Listed]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    @abstractmethod
    def named(self, name: str) -> Iterable[Listed]:
        """What is listed of that name, in source order."""

    @abstractmethod
    def apart(self, other: Any) -> tuple[Iterable[Fact], Iterable[Fact]]:
        """The facts of this text and of another one of the same registry, without some that both have."""


class Parted(Listing):
    """A listing of parts, each of which is read where somebody asks for it.

    Args:
        parts: The parts in source order.
    """

    def __init__(self, parts: Sequence[Part]) -> None:
        self.parts = parts

    @cached_property
    def _items(self) -> Sequence[Listed]:
        return [item for part in self.parts for item in part.listed()]

    def named(self, name: str) -> Iterable[Listed]:
        """What is listed of that name, in source order."""
        return (item for part in self.parts for item in part.named(name))

    def apart(self, other: Parted) -> tuple[Iterable[Fact], Iterable[Fact]]:
        """The facts of both, without those of the parts that both begin with and end with."""
        mine, others = apart(self.parts, other.parts, _identity)
        if len(mine) != len(others):
            return _all_facts(mine), _all_facts(others)
        # Whatever is paired with what: facts that both of a pair have are no change.
        pairs = [one.apart(two) for one, two in zip(mine, others, strict=True) if not _alike(one, two)]
        return chain.from_iterable(one for one, _ in pairs), chain.from_iterable(two for _, two in pairs)


def of_name(items: Sequence[Listed], name: str) -> list[Listed]:
    """Those that list an object of that name."""
    return list(items.named(name)) if isinstance(items, Listing) else [item for item in items if item.object == name]


def changes(before: Sequence[Listed], after: Sequence[Listed]) -> Counter[Fact]:
    """What is listed more often after than before, and less often, which is negative."""
    if isinstance(before, Listing) and isinstance(after, Listing):
        gone, come = map(Counter, before.apart(after))
    else:
        gone, come = map(Counter, (map(_fact, before), map(_fact, after)))
    # Of most facts there are as many as before, which is seen fastest by itself.
    found = Counter(dict(come.items() - gone.items()))
    found.subtract(dict(gone.items() - come.items()))
    return found


def _fact(item: Listed) -> Fact:
    return item.object, item.key, item.value, item.backends


_Item = TypeVar("_Item")


def apart(
    before: Sequence[_Item], after: Sequence[_Item], identity: Callable[[_Item], Hashable]
) -> tuple[Sequence[_Item], Sequence[_Item]]:
    """Two sequences without the items that both begin with and end with; an item without identity is like no other."""
    mine, other = list(map(identity, before)), list(map(identity, after))
    shorter = min(len(mine), len(other))
    start, end = 0, 0
    while start < shorter and mine[start] == other[start] is not None:
        start += 1
    while end < shorter - start and mine[-1 - end] == other[-1 - end] is not None:
        end += 1
    return before[start : len(before) - end], after[start : len(after) - end]


def _identity(part: Part) -> Hashable:
    return part.identity


def _alike(one: Part, other: Part) -> bool:
    return one.identity is not None and one.identity == other.identity


def _all_facts(parts: Iterable[Part]) -> Iterable[Fact]:
    return (fact for part in parts for fact in part.facts())


class Registry(Protocol):
    """The shape of a registry module."""

    @property
    def NAME(self) -> str:
        """The name in plans and findings."""

    def entries(self, subject: Subject, conventions: Conventions, snapshot: Snapshot) -> Iterable[Entry]:
        """What the registry must hold for ``subject``; nothing where it does not apply."""

    def listed(self, source: str) -> Sequence[Listed]:
        """All that the registry lists, in source order, duplicates included."""

    def insert(self, source: str, entry: Entry) -> str:
        """The source with ``entry``; unchanged where it is listed already."""

    def remove(self, source: str, entry: Entry) -> str:
        """The source without ``entry``; unchanged where it is not listed."""


def area(export: Export) -> str:
    """The folder of the library that holds the export, which is also its key in the root init."""
    return export.path[len(ROOT) + 1 :].split("/", 1)[0]
