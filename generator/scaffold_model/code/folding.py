"""Modules that are mostly lists of names, read without parsing each name.

A registry has hundreds of statements of three shapes: ``x["key"] = ["A", "B"]``, ``x["key"].extend(["A"])`` and ``from
.module import A, B``, on one line or with one name per line. A pattern finds the runs of them, and the parser gets
``pass`` or ``del ()`` in the place of a run, on the same lines. Since such statements are well-formed by their pattern,
what is left parses exactly when the whole does. A run is taken apart where somebody asks for its statements, and only
once: an edit leaves most runs of a registry as they are.
"""

from __future__ import annotations

import ast
import keyword
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from .syntax import parse
from .text import differing, get_lines

# Most names begin like no keyword, which is seen at once.
_NAME = rf"(?!(?=[FNTa-z])(?:{'|'.join(keyword.kwlist)})\b)[A-Za-z_]\w*"
_STRINGS = r'"\w+"(?:, "\w+")*'
_ROWS = r'\n(?:\1    "\w+",\n)+\1'
_DEEP = r'\n\1    \[\n(?:\1        "\w+",\n)+\1    \]\n\1'
_LISTED = rf"\[(?:{_STRINGS}|{_ROWS})\]"
# What follows the target of an assignment or of an ``extend``.
_KEYED = rf'\["[\w.]+"\](?: = {_LISTED}|\.extend\((?:{_LISTED}|{_DEEP})\))(?=\n)'
# An import from a module of the package.
_IMPORT = rf"from \.{_NAME}(?:\.{_NAME})* import (?:{_NAME}(?:, {_NAME})*|\(\n(?:\1    {_NAME},\n)+\1\))(?=\n)"
_RUN = re.compile(rf"\n( *)(?:({_NAME}){_KEYED}(?:\n\1\2{_KEYED})*|{_IMPORT}(?:\n\1{_IMPORT})*)", re.ASCII)
_WORD = re.compile(r"\w+", re.ASCII)
# The names of a whole run: all strings but the keys; all words but those before ``import``.
_STRING = re.compile(r'(?<!\w\[)"(\w+)"', re.ASCII)
_FROM = re.compile(r"^ *from [\w.]+ import ", re.ASCII | re.MULTILINE)


@lru_cache(maxsize=16384)
def words(text: str) -> tuple[str, ...]:
    """The names in the text of a plain statement, or in some of its lines."""
    return tuple(_WORD.findall(text))


class Plain(NamedTuple):
    """A statement that registers names, as its pattern reads it. Lines are counted from the first one of its run.

    Attributes:
        module: The key, or the module that is imported from.
        first: The line it starts on.
        last: The line it ends on.
        text: Its names, with what stands between them.
        below: How far below its first line the names begin, each on a line of its own; 0 where they share the first.
        assigns: Whether it is an assignment.
    """

    module: str
    first: int
    last: int
    text: str
    below: int
    assigns: bool

    @property
    def names(self) -> tuple[str, ...]:
        """Its names in order."""
        return words(self.text)

    @property
    def size(self) -> int:
        """How many names it has."""
        return self.text.count("\n") if self.below else self.text.count(",") + 1


class Run(NamedTuple):
    """Plain statements of one kind, one below the other.

    Attributes:
        target: What they assign or extend; empty for imports.
        first: The line it starts on.
        last: The line it ends on.
        text: The statements.
    """

    target: str
    first: int
    last: int
    text: str

    @property
    def statements(self) -> tuple[Plain, ...]:
        """The statements in order."""
        return _statements(self.text, self._head)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all statements in order, without taking them apart."""
        return _names(self.text, bool(self.target))

    @property
    def size(self) -> int:
        """How many statements there are."""
        return self.text.count(self._head) + 1

    @property
    def _head(self) -> str:
        """What a statement begins with that is not the first: no name on a line of its own begins so."""
        indent = self.text[: len(self.text) - len(self.text.lstrip(" "))]
        return f'\n{indent}{self.target}["' if self.target else f"\n{indent}from "

    @property
    def kind(self) -> str:
        """What its statements begin with, which those of one kind share."""
        return self._head

    def holding(self, name: str) -> Iterator[tuple[int, Run]]:
        """Each of its statements with that text in it, as a run of its own, and which one it is."""
        head, end = self._head, 0
        while (place := self.text.find(name, end)) >= 0:
            start = self.text.rfind(head, 0, place) + 1
            end = self.text.find(head, place)
            end = len(self.text) if end < 0 else end
            yield self.text.count(head, 0, start - 1 + len(head)) if start else 0, self._cut(start, end)

    def apart(self, other: Run) -> tuple[Run, Run]:
        """The statements of two runs of one kind without those that both begin with and those that both end with.

        One of these may be left in both.
        """
        head = self._head
        mine, others = differing(self.text, other.text)
        start = self.text.rfind(head, 0, mine.start) + 1
        found = [self.text.find(head, mine.stop), other.text.find(head, others.stop)]
        ends = [place if place >= 0 else len(run.text) for place, run in zip(found, (self, other), strict=True)]
        return self._cut(start, ends[0]), other._cut(start, ends[1])

    def _cut(self, start: int, end: int) -> Run:
        first = self.first + self.text.count("\n", 0, start)
        return Run(self.target, first, first + self.text.count("\n", start, end), self.text[start:end])


@dataclass(frozen=True)
class Folded:
    """A tree with a stand-in for every run, and the runs by their first line."""

    tree: ast.Module
    runs: dict[int, Run]


@lru_cache(maxsize=24)
def fold(source: str) -> Folded:
    """The tree of a module of mostly plain statements.

    Raises:
        SyntaxError: The text is no Python.
    """
    pieces: list[str] = []
    runs: dict[int, Run] = {}
    line = 1
    # No run has a blank line in it, and an edit leaves most paragraphs as they are.
    *paragraphs, rest = source.split("\n\n")
    for paragraph in [*(f"{one}\n" for one in paragraphs), rest]:
        text, found, lines = _paragraph(paragraph)
        pieces.append(text)
        runs |= {line + run.first: run._replace(first=line + run.first, last=line + run.last) for run in found}
        line += lines + 1
    try:
        return Folded(parse("\n".join(pieces)), runs)
    except SyntaxError:
        # Behind a backslash the stand-in may be wrong where the statement is not; and an error is one of the whole text.
        return Folded(parse(source), {})


@lru_cache(maxsize=4096)
def _paragraph(source: str) -> tuple[str, tuple[Run, ...], int]:
    """A paragraph with the stand-ins, the runs with lines that are counted from 0, and the number of line ends."""
    pieces: list[str] = []
    runs: list[Run] = []
    text = f"\n{source}"
    line, done = -1, 0
    for match in _RUN.finditer(text):
        start, end = match.span()
        line += text.count("\n", done, start) + 1
        last = line + text.count("\n", start + 1, end)
        runs.append(Run(match[2] or "", line, last, text[start + 1 : end]))
        # Either stands for statements and for nothing else, and takes the same lines.
        stand_in = f"del ({chr(10) * (last - line)})" if last > line else "pass"
        pieces.append(f"{text[done:start]}\n{match[1]}{stand_in}")
        line, done = last, end
    pieces.append(text[done:])
    return "".join(pieces)[1:], tuple(runs), source.count("\n")


@lru_cache(maxsize=512)
def _names(run: str, keyed: bool) -> tuple[str, ...]:
    """The names of a run."""
    return tuple(_STRING.findall(run) if keyed else _WORD.findall(_FROM.sub("", run)))


@lru_cache(maxsize=1024)
def _statements(run: str, head: str) -> tuple[Plain, ...]:
    """The statements of a run, which stand on its lines without a gap; ``head`` is what each begins with."""
    found: list[Plain] = []
    line = 0
    for text in f"\n{run}".split(head)[1:]:
        found.append(_plain(text, line))
        line = found[-1].last + 1
    return tuple(found)


def _plain(text: str, line: int) -> Plain:
    """A statement that starts on ``line``, without its head. The pattern of runs has matched it, so that any split will do."""
    opening, _, rest = text.partition("\n")
    key, imports, names = opening.removeprefix(".").partition(" import ")
    if not imports:
        key, _, names = opening.partition('"]')
    assigns = names.startswith(" = ")
    if not rest:
        listed = names if imports else names[names.index("[") + 1 : names.rindex("]")]
        return Plain(key, line, line, listed, 0, assigns)
    # Below the brackets of a call may be those of its list.
    below = 2 if names.endswith("(") and not imports else 1
    rows = rest.split("\n", 1)[1] if below == 2 else rest
    end = rows.rsplit("\n", below)[0]
    return Plain(key, line, line + text.count("\n"), f"{end}\n", below, assigns)


def unfolded(source: str, first: int, last: int) -> tuple[ast.stmt, ast.List | ast.ImportFrom]:
    """The plain statement on these lines of ``source`` and its brackets, parsed alone and with the lines that it has there."""
    text = get_lines(source, first, last)
    head = "if 1:" if text.startswith(" ") else ""
    *_, statement = (node for node in ast.walk(ast.parse(f"{head}\n{text}")) if isinstance(node, ast.stmt))
    ast.increment_lineno(statement, first - 2)
    return statement, next(node for node in ast.walk(statement) if isinstance(node, ast.List | ast.ImportFrom))
