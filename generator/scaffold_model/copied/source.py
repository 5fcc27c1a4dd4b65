"""The source that a header names, found as ``utils/check_copies.py`` finds it."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from functools import cached_property, lru_cache

from ..snapshot import Snapshot
from .headers import HEADER, Definition, parse
from .names import Binding, bindings

_ROOT = "src/diffusers"


class Missing(Exception):
    """The checkout lacks a source; the message says what of it."""


@dataclass(frozen=True)
class Module:
    """A module of the checkout, read once."""

    path: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        """Its syntax tree."""
        return parse(self.text, self.path)

    @cached_property
    def lines(self) -> list[str]:
        """Its lines with their ends."""
        return [f"{line}\n" for line in self.text.split("\n")]

    @cached_property
    def bindings(self) -> dict[str, list[Binding]]:
        """What it binds at its top level."""
        return bindings(self.tree.body)


@lru_cache(maxsize=32)
def _module(path: str, text: str) -> Module:
    return Module(path, text)


def module_of(path: str, text: str) -> Module:
    """The module with this text. Line ends are LF; what was analysed once is not analysed again."""
    return _module(path, text.replace("\r\n", "\n") if "\r" in text else text)


@dataclass(frozen=True)
class Source:
    """A definition to copy.

    Attributes:
        module: Where it stands.
        node: The definition.
        first: Its first line, ``def name(...``, with its end.
        rest: The lines below, as check_copies.py compares them: nested headers dropped, no blank lines at the end.
    """

    module: Module
    node: Definition
    first: str
    rest: str


def locate(name: str, snapshot: Snapshot) -> tuple[str, str, list[str]]:
    """The path, the text and the names inside the module, for a dotted name without ``diffusers.``.

    Raises:
        Missing: No prefix of the name is a module.
    """
    parts = name.split(".")
    for index in range(len(parts)):
        path = "/".join([_ROOT, *parts[: index + 1]]) + ".py"
        text = snapshot.read(path)
        if text is not None:
            return path, text, parts[index + 1 :]
    raise Missing(f"this checkout has no module for diffusers.{name}")


def find(name: str, snapshot: Snapshot) -> Source:
    """The definition that ``name`` stands for.

    Raises:
        Missing: There is none.
        BrokenFile: Its module does not parse.
    """
    path, text, inner = locate(name, snapshot)
    if not inner:
        raise Missing(f"diffusers.{name} is a whole module")
    module = module_of(path, text)
    node = _descend(module, inner)
    start = node.lineno - 1
    lines = module.lines
    # check_copies.py goes by indentation, which includes comments below the last statement, and stops at a string's
    # line that begins in the first column; the tree knows better there.
    body_indent = "    " * len(inner)
    end = start + 1
    while end < len(lines) and _continues(lines[end], body_indent):
        end += 1
    end = max(end, node.end_lineno or 0)
    while len(lines[end - 1]) <= 1:
        end -= 1
    rest = [line for line in lines[start + 1 : end] if HEADER.search(line) is None]
    return Source(module, node, lines[start], "".join(rest))


def _continues(line: str, indent: str) -> bool:
    return line.startswith(indent) or len(line) <= 1 or re.search(r"^\s*\)(\s*->.*:|:)\s*$", line) is not None


def _descend(module: Module, inner: list[str]) -> Definition:
    """The first definition of each name, as a search from the top finds it, but never one of another class."""
    body: list[ast.stmt] = module.tree.body
    found: Definition | None = None
    for depth, name in enumerate(inner):
        found = next(
            (
                node
                for node in body
                if isinstance(node, ast.FunctionDef | ast.ClassDef)
                and node.name == name
                and node.col_offset == 4 * depth
            ),
            None,
        )
        if found is None:
            owner = f"class {inner[depth - 1]} of {module.path}" if depth else module.path
            raise Missing(f"{owner} has no {name}")
        body = found.body
    assert found is not None
    return found
