"""Small helpers over libcst that the conversions share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import libcst as cst

Statement = cst.BaseStatement | cst.BaseSmallStatement
_Spaced = TypeVar("_Spaced", bound=Statement)


def statements(code: str) -> list[Statement]:
    """The statements of a piece of code, each paragraph set off by an empty line, the first one too."""
    body = cst.parse_module(code).body
    return [spaced(unspaced(one)) if index == 0 or _is_spaced(one) else one for index, one in enumerate(body)]


def _is_spaced(statement: Statement) -> bool:
    lines: Sequence[cst.EmptyLine] = getattr(statement, "leading_lines", ())
    return bool(lines) and lines[0].comment is None


def spaced(statement: _Spaced) -> _Spaced:
    """A statement with an empty line above it, and above its comments."""
    lines: Sequence[cst.EmptyLine] = getattr(statement, "leading_lines", ())
    if lines and lines[0].comment is None:
        return statement
    changed = statement.with_changes(leading_lines=[cst.EmptyLine(indent=False), *lines])
    assert isinstance(changed, type(statement))
    return changed


def unspaced(statement: _Spaced) -> _Spaced:
    """A statement without the empty lines above it and its comments."""
    lines = [*getattr(statement, "leading_lines", ())]
    while lines and lines[0].comment is None:
        lines.pop(0)
    changed = statement.with_changes(leading_lines=lines)
    assert isinstance(changed, type(statement))
    return changed


def expression(code: str) -> cst.BaseExpression:
    """One expression."""
    return cst.parse_expression(code)


def code_of(node: cst.CSTNode) -> str:
    """The text of a node."""
    return cst.Module([]).code_for_node(node)
