"""Lines and spans of a text. Lines are counted as ``ast`` counts them, from 1, and end with a line feed only."""

from __future__ import annotations

from collections.abc import Iterator


def line_count(source: str) -> int:
    """The number of lines, a last line without an end included."""
    return source.count("\n") + (not source.endswith("\n") and bool(source))


def insert_before(source: str, line: int, addition: str) -> str:
    """Put whole lines before line ``line``; one past the last line appends.

    A text without a final line end keeps that state.
    """
    # What follows the line is not split: registries are long, and edited many times.
    before = source.split("\n", line - 1)
    rows = addition.removesuffix("\n")
    if len(before) < line:
        return f"{source}\n{rows}"
    return f"{source[: len(source) - len(before[-1])]}{rows}\n{before[-1]}"


def remove_lines(source: str, first: int, last: int) -> str:
    """Take the lines from ``first`` to ``last`` out."""
    lines = source.split("\n")
    return "\n".join([*lines[: first - 1], *lines[last:]])


def replace_lines(source: str, first: int, last: int, replacement: str) -> str:
    """Put ``replacement`` in the place of the lines from ``first`` to ``last``."""
    lines = source.split("\n")
    rows = replacement.removesuffix("\n").split("\n")
    return "\n".join([*lines[: first - 1], *rows, *lines[last:]])


def get_lines(source: str, first: int, last: int) -> str:
    """The lines from ``first`` to ``last``, without the last line end."""
    return "\n".join(source.split("\n", last)[first - 1 : last])


def lines_with(text: str, name: str) -> Iterator[str]:
    """The lines that hold ``name``, as it may be part of a longer word too. Long texts are searched for it, not split."""
    place = text.find(name)
    while place >= 0:
        end = text.find("\n", place)
        end = len(text) if end < 0 else end
        yield text[text.rfind("\n", 0, place) + 1 : end]
        place = text.find(name, end)


def differing(before: str, after: str) -> tuple[slice, slice]:
    """Where two texts differ: all lines but those that both begin with and those that both end with."""
    start = before.rfind("\n", 0, _common_start(before, after)) + 1
    mine, other = before[start:], after[start:]
    # What follows the first line end in the common end is whole lines.
    end = mine.find("\n", len(mine) - _common_end(mine, other)) + 1
    left = len(mine) - end if end else 0
    return slice(start, len(before) - left), slice(start, len(after) - left)


def _common_start(one: str, other: str) -> int:
    """The length of what both texts begin with. By halves, since texts are compared much faster than characters."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        place = (low + high + 1) // 2
        same = one.startswith(other[low:place], low)
        low, high = (place, high) if same else (low, place - 1)
    return low


def _common_end(one: str, other: str) -> int:
    """The length of what both texts end with."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        place = (low + high + 1) // 2
        same = one.endswith(other[len(other) - place : len(other) - low], 0, len(one) - low)
        low, high = (place, high) if same else (low, place - 1)
    return low


def indent_of(source: str, line: int) -> str:
    """The white space that line ``line`` starts with."""
    text = get_lines(source, line, line)
    return text[: len(text) - len(text.lstrip())]
