"""Reading lazy ``__init__`` modules: the ``_import_structure`` half and the TYPE_CHECKING half.

Both halves consist of suites: the statements under one backend guard, ``else`` of a ``try`` or body of an ``if``.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from typing import Any

from ..code.folding import fold
from ..code.syntax import last_line
from .base import Listing, Parted
from .init_blocks import Block, Key, Suite, is_dummy

STRUCTURE = "_import_structure"
# What a plain statement of each half assigns or extends; an import does neither.
_TARGETS = {"structure": STRUCTURE, "types": ""}


def _suites(tree: ast.Module, lazy: bool) -> tuple[Suite, ...]:
    found: list[Suite] = []

    def visit(body: list[ast.stmt], group: tuple[str, ...], typed: bool, placeholders: str = "") -> None:
        half = "types" if typed or not lazy else "structure"
        found.append(Suite(len(found), half, group, body, placeholders=placeholders))
        for statement in body:
            if isinstance(statement, ast.If):
                names = {node.id for node in ast.walk(statement.test) if isinstance(node, ast.Name)}
                if names & {"TYPE_CHECKING", "DIFFUSERS_SLOW_IMPORT"}:
                    visit(statement.body, group, True)
                else:
                    visit(statement.body, _joined(group, _backends(statement.test)), typed)
                    visit(statement.orelse, group, typed)
            elif isinstance(statement, ast.Try):
                tests = [inner.test for inner in statement.body if isinstance(inner, ast.If)]
                asked = [backend for test in tests for backend in _backends(test)]
                visit(statement.orelse, _joined(group, asked), typed, _placeholders(statement))

    visit(tree.body, (), False)
    return tuple(found)


def _placeholders(statement: ast.Try) -> str:
    """``dummy_pt_objects`` of ``from .utils.dummy_pt_objects import *``."""
    bodies = (node for handler in statement.handlers for node in handler.body if isinstance(node, ast.ImportFrom))
    modules = [node.module or "" for node in bodies if is_dummy(node.module or "")]
    return modules[0].removeprefix("utils.") if modules else ""


@lru_cache(maxsize=64)
def _read(source: str) -> tuple[tuple[Suite, ...], tuple[Block, ...]]:
    """The suites and the blocks of an init module; read together, since blocks refer to the suites."""
    found: list[Block] = []
    folded = fold(source)
    every = _suites(folded.tree, STRUCTURE in source)
    for suite in every:
        reader = _keys_of if suite.half == "structure" else _import_of
        place = 0
        for statement in suite.body:
            run = folded.runs.get(statement.lineno) if isinstance(statement, ast.Pass | ast.Delete) else None
            if run is None:
                read = tuple(key for key in reader(statement, suite, place) if not is_dummy(key.module))
                found.extend([Block(suite, place, None, read)] if read else [])
            elif run.target == _TARGETS[suite.half]:
                found.append(Block(suite, place, run))
            size = run.size if run else 1
            suite.dense = suite.dense or size > 1
            place += size
    return every, tuple(found)


def suites(source: str) -> tuple[Suite, ...]:
    """All suites of an init module, outer before inner, in source order."""
    return _read(source)[0]


def blocks(source: str, half: str) -> list[Block]:
    """What registers names in one half, in source order."""
    return [block for block in _read(source)[1] if block.suite.half == half]


def keys(source: str, half: str) -> list[Key]:
    """All keys of one half, in source order; dummy modules and imports from elsewhere are none."""
    return [key for block in blocks(source, half) for key in block.keys]


def holding(source: str, half: str, name: str) -> list[Key]:
    """The keys of one half that a name is registered under."""
    return [key for block in blocks(source, half) for key in block.holding(name)]


def listed(source: str, half: str) -> Listing:
    """Every name that one half registers, with its module and backend group."""
    return Parted(blocks(source, half))


def is_plain(source: str | None) -> bool:
    """Whether an init module imports its names without a lazy structure."""
    return source is not None and STRUCTURE not in source and "from ." in source


@lru_cache(maxsize=256)
def guard_of(source: str, backends: tuple[str, ...]) -> tuple[str, ...]:
    """A backend group in the order in which the TYPE_CHECKING half asks for it."""
    for suite in suites(source):
        if suite.half == "types" and suite.backends == backends:
            return suite.guard
    return backends


def _joined(group: tuple[str, ...], more: list[str]) -> tuple[str, ...]:
    return group + tuple(backend for backend in dict.fromkeys(more) if backend not in group)


def installed(guard: tuple[str, ...]) -> tuple[str, ...]:
    """The backends of a guard that have to be installed, without conditions such as a version."""
    return tuple(backend for backend in guard if not backend.endswith("()"))


def _backends(test: ast.expr) -> list[str]:
    """The backends that a guard asks for: ``is_torch_available()`` is torch. Another condition keeps its name and brackets."""
    found: list[str] = []
    for node in ast.walk(test):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id.startswith("is_"):
            name = node.func.id
            found.append(name[3:].removesuffix("_available") if name.endswith("_available") else f"{name}()")
    return found


def _is_structure(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == STRUCTURE


def _subscript(node: ast.expr) -> str | None:
    """``key`` of ``_import_structure["key"]``."""
    if isinstance(node, ast.Subscript) and _is_structure(node.value) and isinstance(node.slice, ast.Constant):
        return str(node.slice.value)
    return None


def _brackets(node: ast.expr) -> ast.List | ast.Tuple | None:
    return node if isinstance(node, ast.List | ast.Tuple) else None


def _keys_of(statement: ast.stmt, suite: Suite, place: int) -> Iterator[Key]:
    """The keys that a statement of the structure half registers."""
    key = partial(_key, statement, suite, place)
    if isinstance(statement, ast.Assign | ast.AnnAssign | ast.AugAssign) and statement.value is not None:
        for target in statement.targets if isinstance(statement, ast.Assign) else [statement.target]:
            module = _subscript(target)
            if module is not None:
                assigns = isinstance(statement, ast.Assign)
                yield key(module, assigns=assigns, brackets=_brackets(statement.value))
            elif _is_structure(target) and isinstance(statement.value, ast.Dict):
                yield from _items_of(statement.value, key, isinstance(statement, ast.Assign))
    elif isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call) and statement.value.args:
        function, argument = statement.value.func, statement.value.args[0]
        if not isinstance(function, ast.Attribute):
            return
        module = _subscript(function.value)
        if function.attr == "update" and _is_structure(function.value) and isinstance(argument, ast.Dict):
            yield from _items_of(argument, key, False)
        elif module is None:
            return
        elif function.attr == "extend":
            yield key(module, brackets=_brackets(argument))
        elif function.attr == "append" and isinstance(argument, ast.Constant):
            yield key(module, single=str(argument.value))


def _items_of(node: ast.Dict, key: Callable[..., Key], assigns: bool) -> Iterator[Key]:
    for item, value in zip(node.keys, node.values, strict=True):
        if isinstance(item, ast.Constant):
            yield key(str(item.value), assigns=assigns, brackets=_brackets(value), item=item)


def _import_of(statement: ast.stmt, suite: Suite, place: int) -> Iterator[Key]:
    if isinstance(statement, ast.ImportFrom) and statement.level == 1 and statement.names[0].name != "*":
        yield _key(statement, suite, place, statement.module or "", brackets=statement)


def _key(statement: ast.stmt, suite: Suite, place: int, module: str, **more: Any) -> Key:
    """A key of a statement that the parser has read."""
    return Key(module, suite, place, statement.lineno, last_line(statement), statement=statement, **more)
