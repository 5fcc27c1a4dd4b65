"""The branches of an ``if``/``elif``/``else`` chain in a function, one ``elif`` more or less."""

from __future__ import annotations

import ast
from dataclasses import dataclass

from .syntax import last_line, parse
from .text import get_lines, indent_of, insert_before, remove_lines


@dataclass(frozen=True)
class Branch:
    """One branch: its condition as ``ast.unparse`` shows it (empty for the ``else``), and the lines that it takes."""

    test: str
    first: int
    last: int


def find(source: str, function: str) -> tuple[Branch, ...]:
    """The branches of the first chain of a module-level function that ends with ``else``; empty where there is none."""
    for definition in parse(source).body:
        if isinstance(definition, ast.FunctionDef) and definition.name == function:
            for statement in definition.body:
                branches = _chain(source, statement) if isinstance(statement, ast.If) else ()
                if branches and not branches[-1].test:
                    return branches
    return ()


def insert(source: str, function: str, test: str, body: str) -> str | None:
    """Put ``elif test: body`` (one statement) before the ``else`` and its comment; None where there is no such chain.

    A blank line follows where the chain has one before the ``else``.
    """
    branches = find(source, function)
    if not branches:
        return None
    line = branches[-1].first
    while _text(source, line - 1).startswith("#"):
        line -= 1
    indent = indent_of(source, line)
    gap = "\n" if _is_blank(source, line - 1) else ""
    return insert_before(source, line, f"{indent}elif {test}:\n{indent}    {body}\n{gap}")


def remove(source: str, function: str, test: str) -> str:
    """Take the ``elif`` with this condition out, with the blank line behind it."""
    wanted = ast.unparse(ast.parse(test, mode="eval"))
    for branch in find(source, function)[1:]:
        if branch.test == wanted:
            last = branch.last + _is_blank(source, branch.last + 1)
            return remove_lines(source, branch.first, last)
    return source


def _chain(source: str, statement: ast.If) -> tuple[Branch, ...]:
    branches: list[Branch] = []
    while True:
        branches.append(Branch(ast.unparse(statement.test), statement.lineno, last_line(statement.body[-1])))
        rest = statement.orelse
        if not rest:
            return tuple(branches)
        first = rest[0]
        if len(rest) == 1 and isinstance(first, ast.If) and _text(source, first.lineno).startswith("elif"):
            statement = first
            continue
        line = branches[-1].last + 1
        while not _text(source, line).startswith("else"):
            line += 1
        return (*branches, Branch("", line, last_line(rest[-1])))


def _text(source: str, line: int) -> str:
    return get_lines(source, line, line).strip()


def _is_blank(source: str, line: int) -> bool:
    return not _text(source, line)
