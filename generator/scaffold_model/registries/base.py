"""What every registry is made of: entries, what is listed, and the protocol that the modules satisfy."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

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


class Registry(Protocol):
    """The shape of a registry module."""

    @property
    def NAME(self) -> str:
        """The name in plans and findings."""

    def entries(self, subject: Subject, conventions: Conventions, snapshot: Snapshot) -> Iterable[Entry]:
        """What the registry must hold for ``subject``; nothing where it does not apply."""

    def listed(self, source: str) -> list[Listed]:
        """All that the registry lists, in source order, duplicates included."""

    def insert(self, source: str, entry: Entry) -> str:
        """The source with ``entry``; unchanged where it is listed already."""

    def remove(self, source: str, entry: Entry) -> str:
        """The source without ``entry``; unchanged where it is not listed."""


def area(export: Export) -> str:
    """The folder of the library that holds the export, which is also its key in the root init."""
    return export.path[len(ROOT) + 1 :].split("/", 1)[0]
