"""The regions of the docs: the table of contents, and pages with lists of models."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..code import toc
from ..code.ordering import plain_key
from .regions import Item, Region, lines_of, unique


def read_toctree(source: str) -> list[Region]:
    """The items of the table of contents; each section holds a region of its own."""
    return _siblings(source, 0)


def _read_section(text: str) -> list[Region]:
    return _siblings(text, 1)


def _siblings(source: str, depth: int) -> list[Region]:
    lines = lines_of(source)
    found = [item for item in toc.items(source) if len(item.section) == depth]
    if not found:
        return []
    start, items = found[0].first, []
    for item in found:
        text = "".join(lines[start - 1 : item.last])
        fixed = item.title.lower() in ("overview", "autopipeline") or item.local.endswith("/overview")
        inner = None if item.local else _read_section
        key, name = item.local or f"section {item.title}", "" if fixed else item.title.lower()
        items.append(Item(key, name, text, inner, titled=not item.local))
        start = item.last + 1
    return [Region("items", found[0].first, start - 1, unique(items), (plain_key,))]


_BULLET = re.compile(r"^- \[`(\w+)`\]")
_ROW = re.compile(r"^\| *(\[[^\]]*\]\([^)]*\))")
_HEADING = re.compile(r"^## +(.*?)\s*$")


def read_page(source: str) -> list[Region]:
    """Bullets of classes, rows of tables and sections of a page of the docs."""
    lines = lines_of(source)
    found = _read_lists(source)
    headings = [index for index, line in enumerate(lines) if _HEADING.match(line)]
    if headings and not any(line.startswith("```") for line in lines):
        # A section owns the blank lines before its heading, not those behind it: the last one has none.
        starts = []
        for index in headings:
            while index and not lines[index - 1].strip():
                index -= 1
            starts.append(index)
        items = []
        for heading, start, end in zip(headings, starts, [*starts[1:], len(lines)], strict=True):
            match = _HEADING.match(lines[heading])
            assert match is not None
            items.append(Item(match[1], match[1], "".join(lines[start:end]), _read_lists))
        first = starts[0] + 1
        found = [region for region in found if region.last < first]
        found.append(Region("sections", first, len(lines), unique(items)))
    return sorted(found, key=lambda region: region.first)


def _read_lists(source: str) -> list[Region]:
    lines = lines_of(source)
    found = [*_line_runs(lines, _BULLET, "bullets"), *_line_runs(lines, _ROW, "rows")]
    return sorted(found, key=lambda region: region.first)


def _line_runs(lines: list[str], pattern: re.Pattern[str], place: str) -> Iterator[Region]:
    run: list[Item] = []
    for index, line in enumerate([*lines, ""]):
        match = pattern.match(line)
        if match:
            run.append(Item(match[1], match[1], line))
        elif run:
            yield Region(place, index - len(run) + 1, index, unique(run))
            run = []
