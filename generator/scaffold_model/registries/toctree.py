"""The table of contents of the docs, ``docs/source/en/_toctree.yml``, edited as text: comments and order are kept.

Entries of a section are ordered by their title in lower case; overviews and AutoPipeline stand first.

Before:
    - sections:
      - sections:
        - local: api/pipelines/overview
          title: Overview
        - local: api/pipelines/bar
          title: Bar
        title: Pipelines
      title: API

Entry: Entry("toctree", "", "api/pipelines/foo", ("API", "Pipelines"), "Foo")

After:
    - sections:
      - sections:
        - local: api/pipelines/overview
          title: Overview
        - local: api/pipelines/bar
          title: Bar
        - local: api/pipelines/foo
          title: Foo
        title: Pipelines
      title: API
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property, lru_cache
from operator import attrgetter
from typing import TYPE_CHECKING

from ..code import toc
from ..code.ordering import sorted_position
from ..errors import AnchorNotFound
from .base import Entry, Fact, Listed, Listing, Page, Subject, apart

if TYPE_CHECKING:
    from ..conventions import Conventions
    from ..snapshot import Snapshot

NAME = "toctree"
PATH = "docs/source/en/_toctree.yml"


def entries(subject: Subject, conventions: Conventions, snapshot: Snapshot) -> Iterable[Entry]:
    if isinstance(subject, Page):
        yield Entry(NAME, PATH, subject.local, subject.section, subject.title)


@lru_cache(maxsize=8)
def listed(source: str) -> Listing:
    return _Pages(source)


class _Pages(Listing):
    """The pages of a table of contents."""

    def __init__(self, source: str) -> None:
        self.pages = [item for item in toc.items(source) if item.local]

    @cached_property
    def _items(self) -> Sequence[Listed]:
        return [Listed(item.local, item.section, item.first, item.title) for item in self.pages]

    def named(self, name: str) -> Iterable[Listed]:
        found = (item for item in self.pages if item.local == name)
        return (Listed(item.local, item.section, item.first, item.title) for item in found)

    def apart(self, other: Listing) -> tuple[Iterable[Fact], Iterable[Fact]]:
        assert isinstance(other, _Pages)
        mine, others = apart(self.pages, other.pages, attrgetter("local", "section", "title"))
        return map(_fact, mine), map(_fact, others)


def _fact(item: toc.Item) -> Fact:
    return item.local, item.section, item.title, ()


def insert(source: str, entry: Entry) -> str:
    present = toc.items(source)
    if any(item.local == entry.object for item in present):
        return source
    siblings = [item for item in present if item.section == entry.key]
    if not siblings:
        raise AnchorNotFound(entry.path or PATH, f"the section {' > '.join(entry.key) or 'at the top'}")
    index = sorted_position([_key(item.title, item.local) for item in siblings], _key(entry.value, entry.object))
    return toc.insert(source, siblings, index, entry.object, entry.value)


def remove(source: str, entry: Entry) -> str:
    return toc.remove(source, entry.object)


def _key(title: str, local: str) -> tuple[object, ...]:
    fixed = title.lower() in ("overview", "autopipeline") or local.endswith("/overview")
    return (0, "") if fixed else (1, title.lower())
