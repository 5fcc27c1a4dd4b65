"""Modules that are mostly lists of names, read without parsing each name.

A registry has hundreds of statements of three shapes: ``x["key"] = ["A", "B"]``, ``x["key"].extend(["A"])`` and ``from
.module import A, B``, on one line or with one name per line. A pattern reads them, and the parser gets ``pass`` or ``del
()`` in their place, on the same lines. Since such a statement is well-formed by its pattern, what is left parses exactly
when the whole does.
"""

from __future__ import annotations

import ast
import keyword
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from .syntax import parse
from .text import get_lines

# Most names begin like no keyword, which is seen at once.
_NAME = rf"(?!(?=[FNTa-z])(?:{'|'.join(keyword.kwlist)})\b)[A-Za-z_]\w*"
_STRINGS = r'("\w+"(?:, "\w+")*)'
_ROWS = r'\n((?:\1    "\w+",\n)+)\1'
_DEEP_ROWS = r'\n\1    \[\n((?:\1        "\w+",\n)+)\1    \]\n\1'
_LIST = rf"\[(?:{_STRINGS}|{_ROWS})\]"
_PLAIN = re.compile(
    rf'\n( *)(?:({_NAME})\["([\w.]+)"\](?: = {_LIST}|\.extend\((?:{_LIST}|{_DEEP_ROWS})\))'
    rf"|from \.({_NAME}(?:\.{_NAME})*) import (?:({_NAME}(?:, {_NAME})*)|\(\n((?:\1    {_NAME},\n)+)\1\)))(?=\n)",
    re.ASCII,
)
_WORD = re.compile(r"\w+", re.ASCII)


class Plain(NamedTuple):
    """A statement that registers names, as its pattern reads it.

    Attributes:
        target: What is assigned or extended; empty for an import.
        module: The key, or the module that is imported from.
        first: The line it starts on.
        last: The line it ends on.
        text: Its names, with what stands between them.
        row: The line of the first name where each name has a line of its own, else 0.
        assigns: Whether it is an assignment.
    """

    target: str
    module: str
    first: int
    last: int
    text: str
    row: int
    assigns: bool

    @property
    def names(self) -> list[str]:
        """Its names in order."""
        return _WORD.findall(self.text)

    @property
    def lines(self) -> list[tuple[str, int]]:
        """Its names with their lines."""
        names = self.names
        rows = range(self.row, self.row + len(names)) if self.row else [self.first] * len(names)
        return list(zip(names, rows, strict=True))

    @property
    def size(self) -> int:
        """How many names it has."""
        return self.text.count("\n") if self.row else self.text.count(",") + 1


@dataclass(frozen=True)
class Folded:
    """A tree with a stand-in for every plain statement, and the plain statements by their first line."""

    tree: ast.Module
    plain: dict[int, Plain]


@lru_cache(maxsize=24)
def fold(source: str) -> Folded:
    """The tree of a module of mostly plain statements.

    Raises:
        SyntaxError: The text is no Python.
    """
    pieces: list[str] = []
    plain: dict[int, Plain] = {}
    text = f"\n{source}"
    line, done = 0, 0
    for match in _PLAIN.finditer(text):
        start, end = match.span()
        line += text.count("\n", done, start) + 1
        plain[line] = found = _plain(match, line)
        # Either stands for a statement and for nothing else, and takes the same lines.
        stand_in = f"del ({chr(10) * (found.last - line)})" if found.row else "pass"
        pieces.append(f"{text[done:start]}\n{match[1]}{stand_in}")
        line = found.last
        done = end
    pieces.append(text[done:])
    try:
        return Folded(ast.parse("".join(pieces)[1:]), plain)
    except SyntaxError:
        # Behind a backslash the stand-in may be wrong where the statement is not; and an error is one of the whole text.
        return Folded(parse(source), {})


def _plain(match: re.Match[str], line: int) -> Plain:
    """What a match that starts on ``line`` says."""
    _, target, key, one, rows, more, extended, apart, module, imported, imported_rows = match.groups()
    if one:
        return Plain(target, key, line, line, one, 0, True)
    if imported:
        return Plain("", module, line, line, imported, 0, False)
    if imported_rows:
        last = line + imported_rows.count("\n") + 1
        return Plain("", module, line, last, imported_rows, line + 1, False)
    if more:
        return Plain(target, key, line, line, more, 0, False)
    text = rows or extended or apart
    below = 2 if apart else 1
    return Plain(target, key, line, line + text.count("\n") + 2 * below - 1, text, line + below, bool(rows))


def unfolded(source: str, plain: Plain) -> tuple[ast.stmt, ast.List | ast.ImportFrom]:
    """A plain statement of ``source`` and its brackets, parsed alone and with the lines that it has there."""
    text = get_lines(source, plain.first, plain.last)
    head = "if 1:" if text.startswith(" ") else ""
    *_, statement = (node for node in ast.walk(ast.parse(f"{head}\n{text}")) if isinstance(node, ast.stmt))
    ast.increment_lineno(statement, plain.first - 2)
    return statement, next(node for node in ast.walk(statement) if isinstance(node, ast.List | ast.ImportFrom))
