"""Top-level definitions of a module: taking one out, and what a text refers to."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection

from .syntax import last_line, parse
from .text import get_lines, line_count, remove_lines


def remove_definition(source: str, name: str) -> str:
    """The source without the top-level class, function or assignment ``name``, and without the blank lines above it.

    Comments that stand directly on top of it go too. Unchanged where there is no such definition.
    """
    for statement in parse(source).body:
        if name not in _bound(statement):
            continue
        decorators = statement.decorator_list if isinstance(statement, ast.ClassDef | ast.FunctionDef) else []
        first = min([statement.lineno, *(each.lineno for each in decorators)])
        last = last_line(statement)
        while first > 1 and get_lines(source, first - 1, first - 1).startswith("#"):
            first -= 1
        if first == 1:
            while last < line_count(source) and not get_lines(source, last + 1, last + 1).strip():
                last += 1
        while first > 1 and not get_lines(source, first - 1, first - 1).strip():
            first -= 1
        return remove_lines(source, first, last)
    return source


def _bound(statement: ast.stmt) -> set[str]:
    if isinstance(statement, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        return {statement.name}
    if isinstance(statement, ast.Assign):
        return {target.id for target in statement.targets if isinstance(target, ast.Name)}
    return set()


def references(source: str, names: Collection[str]) -> dict[str, int]:
    """Which of ``names`` the code of a module refers to, as names, attributes, imports or whole strings: name -> line."""
    if not re.search(rf"\b(?:{'|'.join(map(re.escape, sorted(names)))})\b", source):
        return {}
    found: dict[str, int] = {}
    for node in ast.walk(parse(source)):
        name = None
        if isinstance(node, ast.Name):
            name = node.id
        elif isinstance(node, ast.Attribute):
            name = node.attr
        elif isinstance(node, ast.alias):
            name = node.name
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            name = node.value
        if name in names and name is not None:
            found.setdefault(name, getattr(node, "lineno", 1))
    return found
