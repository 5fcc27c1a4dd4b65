"""Parsed sources, kept for as long as they are being worked on."""

from __future__ import annotations

import ast
from functools import lru_cache


@lru_cache(maxsize=24)
def parse(source: str) -> ast.Module:
    """The tree of ``source``. Registries read and edit the same text many times; it is parsed once.

    Raises:
        SyntaxError: The text is no Python.
    """
    try:
        return ast.parse(source)
    except (MemoryError, RecursionError):
        # Brackets in brackets, more than the parser has room for, which CPython 3.11 reports as memory.
        raise SyntaxError("nested more deeply than Python can parse", ("<unknown>", 1, None, None)) from None


def last_line(node: ast.stmt | ast.expr | ast.alias) -> int:
    """The last line of a node."""
    assert node.end_lineno is not None
    return node.end_lineno
