"""Names in brackets: the strings of a list, and the names of ``from module import (...)``.

A list with one name per line gets one more line and nothing else. A list on one line is rewritten, and breaks into one
name per line where it gets too long, as the formatter would. What is neither, or has comments, goes through libcst.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence

from .syntax import last_line
from .text import get_lines, indent_of, insert_before, remove_lines, replace_lines

INDENT = "    "
Brackets = ast.List | ast.Tuple | ast.ImportFrom


def elements(node: Brackets) -> list[tuple[str, int]]:
    """The names in ``node``, each with its line; what is no plain name or string counts as an empty name."""
    if isinstance(node, ast.ImportFrom):
        return [(alias.name, alias.lineno) for alias in node.names]
    return [
        (item.value if isinstance(item, ast.Constant) and isinstance(item.value, str) else "", item.lineno)
        for item in node.elts
    ]


def insert_name(source: str, statement: ast.stmt, node: Brackets, name: str, index: int, width: int) -> str:
    """Insert ``name`` as element ``index`` of ``node``, which is (part of) ``statement``."""
    text = name if isinstance(node, ast.ImportFrom) else f'"{name}"'
    lines = [line for _, line in elements(node)]
    if _exploded(node, lines):
        line = lines[index] if index == 0 else _end(node, index - 1) + 1
        source = _with_comma(source, node, index)
        return insert_before(source, line, f"{indent_of(source, lines[0])}{text},")
    first, last = statement.lineno, last_line(statement)
    before = get_lines(source, first, last)
    compact = _plain(before, node, name, index) or _rewritten(before, _offset(statement, node), name, index)
    if "\n" not in before and len(compact) > width and "#" not in before:
        return replace_lines(source, first, last, explode(compact))
    return replace_lines(source, first, last, compact)


def remove_name(
    source: str, statement: ast.stmt, node: Brackets, name: str, width: int, broken_from: int | None = None
) -> str:
    """Take ``name`` out of ``node``; the last name leaves empty brackets (an import can not be empty: it goes).

    A list that was broken only because of ``name`` is put on one line again: one that is longer than ``broken_from``
    (by default the width) with the name and fits into ``width`` without it.
    """
    listed = [element for element, _ in elements(node)]
    index = listed.index(name)
    first, last = statement.lineno, last_line(statement)
    if len(listed) == 1 and isinstance(node, ast.ImportFrom):
        return remove_lines(source, first, last)
    lines = [line for _, line in elements(node)]
    if not _exploded(node, lines):
        before = get_lines(source, first, last)
        rest = _plain(before, node, name, index, -1) or _rewritten(before, _offset(statement, node), name, index, -1)
        return replace_lines(source, first, last, rest)
    whole = collapse(get_lines(source, first, last))
    source = remove_lines(source, lines[index], _end(node, index))
    if len(whole) > (width if broken_from is None else broken_from):
        rest = collapse(get_lines(source, first, last - 1))
        if len(rest) <= width and "#" not in rest:
            return replace_lines(source, first, last - 1, rest)
    return source


def explode(statement: str) -> str:
    """A one-line statement that ends with names (in brackets, or after ``import``) with one name per line.

    An argument list around the brackets is broken too, as the formatter does: ``x.extend([...])``.
    """
    indent = statement[: len(statement) - len(statement.lstrip())]
    code = statement.strip()
    if code.startswith("from "):
        head, names = code.split(" import ", 1)
        rows = [name.strip() for name in names.strip("()").split(",") if name.strip()]
        return "\n".join([f"{indent}{head} import (", *(f"{indent}{INDENT}{row}," for row in rows), f"{indent})"])
    start, end = code.index("[", code.rfind("=") if code.endswith("]") else code.index("(")), code.rindex("]")
    head, tail = code[:start], code[end + 1 :]
    rows = [row.strip() for row in code[start + 1 : end].split(",") if row.strip()]
    if tail == ")":
        inner = indent + INDENT
        body = [f"{inner}[", *(f"{inner}{INDENT}{row}," for row in rows), f"{inner}]"]
        return "\n".join([f"{indent}{head}", *body, f"{indent})"])
    return "\n".join([f"{indent}{head}[", *(f"{indent}{INDENT}{row}," for row in rows), f"{indent}]{tail}"])


def collapse(statement: str) -> str:
    """A statement with one name per line, on one line."""
    rows = statement.split("\n")
    joined = rows[0] + " ".join(row.strip() for row in rows[1:])
    joined = joined.replace("[ ", "[").replace("( ", "(").replace(",]", "]").replace(",)", ")")
    joined = joined.replace(", ]", "]").replace(", )", ")").replace("] )", "])")
    if joined.lstrip().startswith("from "):
        joined = joined.replace("import (", "import ").removesuffix(")")
    return joined


def _exploded(node: Brackets, lines: Sequence[int]) -> bool:
    """Whether every name has a line of its own."""
    return bool(lines) and lines[0] > node.lineno and len(set(lines)) == len(lines)


def _end(node: Brackets, index: int) -> int:
    """The last line of element ``index``."""
    return last_line(node.names[index] if isinstance(node, ast.ImportFrom) else node.elts[index])


def _with_comma(source: str, node: Brackets, index: int) -> str:
    """The source with a comma behind the last element, if the new one goes behind it and there is none."""
    items = node.names if isinstance(node, ast.ImportFrom) else node.elts
    if index < len(items):
        return source
    line, column = last_line(items[-1]), items[-1].end_col_offset
    assert column is not None
    row = get_lines(source, line, line).encode()
    if row[column : column + 1] == b",":
        return source
    return replace_lines(source, line, line, (row[:column] + b"," + row[column:]).decode())


def _offset(statement: ast.stmt, node: Brackets) -> int:
    """Which list of the statement ``node`` is, in source order; 0 for an import."""
    lists = [item for item in ast.walk(statement) if isinstance(item, ast.List | ast.Tuple)]
    lists.sort(key=lambda item: (item.lineno, item.col_offset))
    return lists.index(node) if isinstance(node, ast.List | ast.Tuple) else 0


def _plain(statement: str, node: Brackets, name: str, index: int, change: int = 1) -> str | None:
    """As ``_rewritten``, for plain names on one line without a comment; None for all else."""
    names = [element for element, _ in elements(node)]
    aliased = isinstance(node, ast.ImportFrom) and any(alias.asname for alias in node.names)
    if "\n" in statement or "#" in statement or "" in names or aliased or isinstance(node, ast.Tuple):
        return None
    names[index : index if change > 0 else index + 1] = [name] if change > 0 else []
    if isinstance(node, ast.ImportFrom):
        head, listed = statement.split(" import ", 1)
        return f"{head} import ({', '.join(names)})" if "(" in listed else f"{head} import {', '.join(names)}"
    row, items = statement.encode(), ", ".join(f'"{item}"' for item in names)
    return (row[: node.col_offset] + f"[{items}]".encode() + row[node.end_col_offset :]).decode()


def _rewritten(statement: str, offset: int, name: str, index: int, change: int = 1) -> str:
    """The statement with ``name`` put in as (or, with ``change=-1``, taken out from) element ``index``."""
    import libcst as cst

    indent = statement[: len(statement) - len(statement.lstrip())]
    rows = statement.split("\n")
    dedented = "\n".join(row[len(indent) :] if row.startswith(indent) else row for row in rows)
    module = cst.parse_module(dedented)
    comma = cst.Comma(whitespace_after=cst.SimpleWhitespace(" "))

    class Rewrite(cst.CSTTransformer):
        def __init__(self) -> None:
            super().__init__()
            self.seen = -1
            self.at: list[cst.CSTNode] = []

        def visit_List(self, node: cst.List) -> None:
            self.seen += 1
            if self.seen == offset:
                self.at.append(node)

        def leave_List(self, original_node: cst.List, updated_node: cst.List) -> cst.List:
            if original_node not in self.at:
                return updated_node
            items = list(updated_node.elements)
            if change > 0:
                items.insert(index, cst.Element(cst.SimpleString(f'"{name}"')))
            else:
                del items[index]
            items = [item.with_changes(comma=comma) for item in items[:-1]] + [
                item.with_changes(comma=cst.MaybeSentinel.DEFAULT) for item in items[-1:]
            ]
            return updated_node.with_changes(elements=items)

        def leave_ImportFrom(self, original_node: cst.ImportFrom, updated_node: cst.ImportFrom) -> cst.ImportFrom:
            if isinstance(updated_node.names, cst.ImportStar):
                return updated_node
            names = list(updated_node.names)
            if change > 0:
                names.insert(index, cst.ImportAlias(cst.Name(name)))
            else:
                del names[index]
            names = [item.with_changes(comma=comma) for item in names[:-1]] + [
                item.with_changes(comma=cst.MaybeSentinel.DEFAULT) for item in names[-1:]
            ]
            return updated_node.with_changes(names=names)

    code = module.visit(Rewrite()).code
    return "\n".join(indent + row if row.strip() else row for row in code.split("\n"))
