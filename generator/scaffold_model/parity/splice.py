"""Puts a mapping into the conversion script of a scaffold, whose loading, saving and checking stay as they are."""

from __future__ import annotations

import ast
from collections.abc import Mapping

from ..errors import BadInput

TABLE = "TRANSFORMER_KEYS"
CONVERT = "convert_transformer_state_dict"


def spliced(text: str, parts: Mapping[str, str], path: str) -> str:
    """The script with another table of keys.

    Args:
        text: The script as it is.
        parts: ``functions``, ``tables`` and ``convert`` of the mapping.
        path: The script, for messages.

    Returns:
        The text where the table, the functions that only it uses and `convert_transformer_state_dict` are those of the
        mapping, and everything else is as before.

    Raises:
        BadInput: The script has no such table or function at its top level.
    """
    try:
        tree = ast.parse(text)
    except SyntaxError as error:
        raise BadInput(f"is no Python: {error.msg} (line {error.lineno})", path=path, hint="mend it first") from None
    named = {name: node for node in tree.body for name in _names(node)}
    for name in (TABLE, CONVERT):
        if name not in named:
            raise BadInput(
                f"has no {name} at its top level",
                path=path,
                hint="write a whole new script with --out SCRIPT, without NAME",
            )
    lines = text.splitlines(keepends=True)
    table, convert = named[TABLE], named[CONVERT]
    replaced = {node for name, node in named.items() if name in _defined(parts)} | _only_for(table, named, tree)
    replaced |= {table, convert}
    out: list[str] = []
    position = 0
    for node in sorted(replaced, key=_start):
        start = _with_comments(lines, _start(node))
        out += lines[position:start]
        if node is table:
            out.append(f"{parts['functions']}\n\n{parts['tables']}" if parts["functions"] else parts["tables"])
        elif node is convert:
            out.append(parts["convert"])
        position = node.end_lineno or len(lines)
    return _with_imports("".join([*out, *lines[position:]]))


def _names(node: ast.stmt) -> list[str]:
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        return [node.name]
    targets = (
        node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    )
    return [target.id for target in targets if isinstance(target, ast.Name)]


def _defined(parts: Mapping[str, str]) -> set[str]:
    """The names that the mapping defines itself, as they do in a script that was mapped before."""
    return {name for text in parts.values() for node in ast.parse(text).body for name in _names(node)}


def _only_for(table: ast.stmt, named: Mapping[str, ast.stmt], tree: ast.Module) -> set[ast.stmt]:
    """The functions that the old table names and nothing else does."""
    elsewhere = {
        node.id
        for top in tree.body
        if top is not table
        for node in ast.walk(top)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
    }
    used = {node.id for node in ast.walk(table) if isinstance(node, ast.Name)}
    return {
        node
        for name, node in named.items()
        if name in used and name not in elsewhere and isinstance(node, ast.FunctionDef)
    }


def _start(node: ast.stmt) -> int:
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return min([node.lineno, *(one.lineno for one in decorators)]) - 1


def _with_comments(lines: list[str], start: int) -> int:
    """Where the comment directly above a statement begins, which belongs to it."""
    while start > 0 and lines[start - 1].startswith("#"):
        start -= 1
    return start


def _with_imports(text: str) -> str:
    """The iterators and mappings that the mapping's functions name."""
    old = "from collections.abc import Callable\n"
    return text.replace(old, "from collections.abc import Callable, Iterator, Mapping\n", 1)
