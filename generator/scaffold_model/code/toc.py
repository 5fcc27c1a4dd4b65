"""A table of contents in YAML, read and edited as text.

An item is ``- local: page`` with ``title: ...``, or ``- sections:`` with its items and a title. Lines are counted from 1.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import repeat
from operator import attrgetter
from typing import NamedTuple

from .text import insert_before, line_count, remove_lines

# Pages as nearly all are written, with nothing more in them, one below the other; or any other line.
_PAGE = r"- local: [\w/.-]+\n\2  title: \w(?:[\w ]*\w)?$(?!\n\2 |\n *(?:#|\n))"
_ROW = re.compile(rf"^(?:(( *){_PAGE}(?:\n\2{_PAGE})*)|(.*)$)", re.MULTILINE)
_WORDS = re.compile(r"local: (.+)\n *title: (.+)")
_LINE = re.compile(r"( *)(- +)?([A-Za-z_]+):(?: +(.*)|\s*)$")
_PLAIN = re.compile(r"^[A-Za-z0-9][^:#]*$")


class Item(NamedTuple):
    """One item: a page, or a section (then ``local`` is empty).

    Attributes:
        local: The page.
        title: Its title.
        section: Titles of the sections that it is in, outermost first.
        first: The line of its dash.
        last: Its last line.
        indent: The column of its dash.
    """

    local: str
    title: str
    section: tuple[str, ...]
    first: int
    last: int
    indent: int


@dataclass(slots=True)
class _Open:
    first: int
    indent: int
    parent: _Open | None
    local: str = ""
    title: str = ""
    last: int = 0
    pages: str = ""
    path: tuple[str, ...] | None = None


@lru_cache(maxsize=16)
def items(source: str) -> tuple[Item, ...]:
    """All items in source order, sections after what they hold."""
    done: list[_Open] = []
    stack: list[_Open] = []
    before, number = 0, 0
    for pages, spaces, text in _ROW.findall(source):
        number += 1
        match = _LINE.match(text)
        if match is None and not pages:
            continue
        indent = len(match[1] if match else spaces)
        while stack and stack[-1].indent >= indent:
            # The line before this one was its last.
            stack[-1].last = before
            done.append(stack.pop())
        if match is None:
            before = number + pages.count("\n")
            done.append(_Open(number, indent, stack[-1] if stack else None, last=before, pages=pages))
            number = before
            continue
        _, dash, key, value = match.groups()
        if dash:
            stack.append(_Open(number, indent, stack[-1] if stack else None))
        if not stack:
            continue
        before = number
        # A title behind the items of a section stands in the column of ``sections``: its item is open again.
        current = stack[-1]
        if key == "local":
            current.local = _unquoted((value or "").rstrip())
        elif key == "title":
            current.title = _unquoted((value or "").rstrip())
    for opened in stack:
        opened.last = before
    done.extend(reversed(stack))
    return tuple(item for opened in sorted(done, key=attrgetter("first")) for item in _items(opened))


def _items(opened: _Open) -> Iterable[Item]:
    """The item, or all pages of a run."""
    section, first, indent = _section(opened.parent), opened.first, opened.indent
    if not opened.pages:
        return (Item(opened.local, opened.title, section, first, opened.last, indent),)
    locals_, titles = zip(*_WORDS.findall(opened.pages), strict=True)
    lines = range(first, opened.last, 2), range(first + 1, opened.last + 1, 2)
    return map(Item, locals_, titles, repeat(section), *lines, repeat(indent))


def insert(source: str, siblings: Sequence[Item], index: int, local: str, title: str) -> str:
    """Insert a page as item ``index`` among ``siblings``, the items of one section."""
    indent = " " * siblings[0].indent
    text = f"{indent}- local: {local}\n{indent}  title: {_quoted(title)}\n"
    line = siblings[index].first if index == 0 else siblings[index - 1].last + 1
    if line > line_count(source) and not source.endswith("\n"):
        return f"{source}\n{text.removesuffix(chr(10))}"
    return insert_before(source, line, text)


def remove(source: str, local: str) -> str:
    """Take the item of a page out."""
    for item in items(source):
        if item.local == local:
            return remove_lines(source, item.first, item.last)
    return source


def _section(item: _Open | None) -> tuple[str, ...]:
    if item is None:
        return ()
    if item.path is None:
        # Its title is known by now: all lines have been read.
        item.path = (*_section(item.parent), item.title)
    return item.path


def _unquoted(value: str) -> str:
    if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
        return value[1:-1]
    return value


def _quoted(title: str) -> str:
    """The title as a YAML scalar: plain where YAML reads it back as the same string."""
    special = title.lower() in {"true", "false", "yes", "no", "on", "off", "null"} or title[:1].isdigit()
    if _PLAIN.match(title) and not title.endswith(" ") and not special:
        return title
    escaped = title.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
