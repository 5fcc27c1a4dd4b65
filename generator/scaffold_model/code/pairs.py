"""Ordered mappings written out as ``{key: value, ...}``, ``OrderedDict([(key, value), ...])`` or the like."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .syntax import last_line, parse
from .text import get_lines, indent_of, insert_before, remove_lines, replace_lines


@dataclass(frozen=True)
class Pair:
    """One key and its value, as source text, with the lines that it takes and the column behind it, in bytes.

    A key that is no string constant keeps its source text.
    """

    key: str
    value: ast.expr
    first: int
    last: int
    column: int


@dataclass(frozen=True)
class Mapping:
    """A module-level mapping: its pairs, and whether they are tuples in a list or items of a dict."""

    pairs: tuple[Pair, ...]
    tuples: bool
    lines: tuple[int, int]


def find(source: str, name: str) -> Mapping | None:
    """The mapping that the module assigns to ``name``; None where there is none."""
    for statement in parse(source).body:
        value, targets = _assigned(statement)
        if value is None or name not in targets:
            continue
        for node in [value, *(value.args if isinstance(value, ast.Call) else [])]:
            lines = (node.lineno, last_line(node))
            if isinstance(node, ast.Dict):
                items = [(key, val) for key, val in zip(node.keys, node.values, strict=True) if key is not None]
                return Mapping(tuple(_pair(key, val, key, val) for key, val in items), False, lines)
            if isinstance(node, ast.List):
                tuples = [item for item in node.elts if isinstance(item, ast.Tuple) and len(item.elts) == 2]
                return Mapping(tuple(_pair(item.elts[0], item.elts[1], item, item) for item in tuples), True, lines)
    return None


def insert(
    source: str, name: str, key: str, value: str, position: Callable[[Sequence[str]], int], *, quoted: bool = True
) -> str | None:
    """Insert ``key: value`` (source text) on a line of its own; None where there is no mapping with lines.

    Args:
        source: The module.
        name: The name of the mapping.
        key: The key.
        value: The value, as source text.
        position: Gives the index among the present keys.
        quoted: Whether the key is a string.
    """
    mapping = find(source, name)
    if mapping is None or mapping.lines[0] == mapping.lines[1]:
        return None
    pairs = mapping.pairs
    index = position([pair.key for pair in pairs])
    shown = f'"{key}"' if quoted else key
    row = f"({shown}, {value})," if mapping.tuples else f"{shown}: {value},"
    if not pairs:
        return insert_before(source, mapping.lines[1], f"{indent_of(source, mapping.lines[1])}    {row}")
    line = pairs[index].first if index == 0 else pairs[index - 1].last + 1
    if index == len(pairs):
        source = _with_comma(source, pairs[-1])
    return insert_before(source, line, indent_of(source, pairs[0].first) + row)


def _with_comma(source: str, pair: Pair) -> str:
    """The source with a comma behind the last pair, where there is none."""
    row = get_lines(source, pair.last, pair.last).encode()
    if row[pair.column : pair.column + 1] == b",":
        return source
    return replace_lines(source, pair.last, pair.last, (row[: pair.column] + b"," + row[pair.column :]).decode())


def remove(source: str, name: str, key: str, value: str | None = None) -> str:
    """Take the pair of ``key`` (and of ``value``, where given) out."""
    mapping = find(source, name)
    for pair in mapping.pairs if mapping else ():
        if pair.key == key and (value is None or ast.unparse(pair.value) == value):
            return remove_lines(source, pair.first, pair.last)
    return source


def _assigned(statement: ast.stmt) -> tuple[ast.expr | None, list[str]]:
    if isinstance(statement, ast.Assign):
        return statement.value, [target.id for target in statement.targets if isinstance(target, ast.Name)]
    if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
        return statement.value, [statement.target.id]
    return None, []


def _pair(key: ast.expr, value: ast.expr, first: ast.expr, last: ast.expr) -> Pair:
    text = str(key.value) if isinstance(key, ast.Constant) else ast.unparse(key)
    return Pair(text, value, first.lineno, last_line(last), last.end_col_offset or 0)
