"""Reading lazy ``__init__`` modules: the ``_import_structure`` half and the TYPE_CHECKING half.

Both halves consist of suites: the statements under one backend guard, ``else`` of a ``try`` or body of an ``if``.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from ..code import names as code_names
from ..code.folding import Plain, fold
from .base import Listed

STRUCTURE = "_import_structure"
# What a plain statement of each half assigns or extends; an import does neither.
_TARGETS = {"structure": STRUCTURE, "types": ""}


@dataclass
class Suite:
    """Statements under one backend guard, in one half of an init module."""

    index: int
    half: str
    guard: tuple[str, ...]
    body: list[ast.stmt]

    @property
    def backends(self) -> tuple[str, ...]:
        """The backends of the guard, sorted."""
        return tuple(sorted(self.guard))


@dataclass
class Key:
    """One statement (or one item of the dict literal) that registers names under a module.

    Attributes:
        module: The module.
        statement: Where it stands; a stand-in on the same lines where it is a plain one.
        suite: What it is in.
        place: The index of the statement in the suite.
        assigns: Whether it is an assignment to the key.
        plain: The statement as its pattern reads it, where it is a plain one.
        brackets: The names as the parser reads them, where it is none.
        single: The one name that it appends.
        item: The key in a dict literal.
    """

    module: str
    statement: ast.stmt
    suite: Suite
    place: int = 0
    assigns: bool = False
    plain: Plain | None = None
    brackets: code_names.Brackets | None = None
    single: str = ""
    item: ast.expr | None = None

    @property
    def has_list(self) -> bool:
        """Whether it has brackets, or an import, for a further name to go into."""
        return self.plain is not None or self.brackets is not None

    @property
    def names(self) -> list[str]:
        """The names in order."""
        return self.plain.names if self.plain else [name for name, _ in self.objects]

    @property
    def objects(self) -> list[tuple[str, int]]:
        """The names with their lines."""
        if self.plain:
            return self.plain.lines
        if self.single:
            return [(self.single, self.statement.lineno)]
        return [pair for pair in code_names.elements(self.brackets) if pair[0]] if self.brackets else []

    @property
    def count(self) -> int:
        """How many names there are."""
        return self.plain.size if self.plain else len(self.objects)

    def holds(self, name: str) -> bool:
        """Whether the name is one of them."""
        return (not self.plain or name in self.plain.text) and name in self.names


def _suites(tree: ast.Module, lazy: bool) -> tuple[Suite, ...]:
    found: list[Suite] = []

    def visit(body: list[ast.stmt], group: tuple[str, ...], typed: bool) -> None:
        found.append(Suite(len(found), "types" if typed or not lazy else "structure", group, body))
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
                visit(statement.orelse, _joined(group, asked), typed)

    visit(tree.body, (), False)
    return tuple(found)


@lru_cache(maxsize=64)
def _read(source: str) -> tuple[tuple[Suite, ...], tuple[Key, ...]]:
    """The suites and the keys of an init module; read together, since keys refer to the statements of suites."""
    found: list[Key] = []
    folded = fold(source)
    every = _suites(folded.tree, STRUCTURE in source)
    for suite in every:
        reader = _keys_of if suite.half == "structure" else _import_of
        for place, statement in enumerate(suite.body):
            plain = folded.plain.get(statement.lineno) if isinstance(statement, ast.Pass | ast.Delete) else None
            if plain is None:
                read = list(reader(statement, suite))
            elif plain.target == _TARGETS[suite.half]:
                read = [Key(plain.module, statement, suite, assigns=plain.assigns, plain=plain)]
            else:
                read = []
            for key in read:
                if not key.module.startswith("utils.dummy_"):
                    key.place = place
                    found.append(key)
    return every, tuple(found)


def suites(source: str) -> tuple[Suite, ...]:
    """All suites of an init module, outer before inner, in source order."""
    return _read(source)[0]


def keys(source: str, half: str) -> list[Key]:
    """All keys of one half, in source order; dummy modules and imports from elsewhere are none."""
    return [key for key in _read(source)[1] if key.suite.half == half]


def listed(source: str, half: str) -> list[Listed]:
    """Every name that one half registers, with its module and backend group."""
    return list(_listed(source, half))


@lru_cache(maxsize=64)
def _listed(source: str, half: str) -> tuple[Listed, ...]:
    groups = {suite.index: suite.backends for suite in suites(source)}
    return tuple(
        Listed(name, key.module, line, "", backends)
        for key in keys(source, half)
        for backends in [groups[key.suite.index]]
        for name, line in key.objects
    )


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


def _keys_of(statement: ast.stmt, suite: Suite) -> Iterator[Key]:
    """The keys that a statement of the structure half registers."""
    if isinstance(statement, ast.Assign | ast.AnnAssign | ast.AugAssign) and statement.value is not None:
        for target in statement.targets if isinstance(statement, ast.Assign) else [statement.target]:
            module = _subscript(target)
            if module is not None:
                assigns = isinstance(statement, ast.Assign)
                yield Key(module, statement, suite, assigns=assigns, brackets=_brackets(statement.value))
            elif _is_structure(target) and isinstance(statement.value, ast.Dict):
                yield from _items_of(statement.value, statement, suite)
    elif isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call) and statement.value.args:
        function, argument = statement.value.func, statement.value.args[0]
        if not isinstance(function, ast.Attribute):
            return
        module = _subscript(function.value)
        if function.attr == "update" and _is_structure(function.value) and isinstance(argument, ast.Dict):
            yield from _items_of(argument, statement, suite)
        elif module is None:
            return
        elif function.attr == "extend":
            yield Key(module, statement, suite, brackets=_brackets(argument))
        elif function.attr == "append" and isinstance(argument, ast.Constant):
            yield Key(module, statement, suite, single=str(argument.value))


def _items_of(node: ast.Dict, statement: ast.stmt, suite: Suite) -> Iterator[Key]:
    for item, value in zip(node.keys, node.values, strict=True):
        if isinstance(item, ast.Constant):
            assigns = isinstance(statement, ast.Assign)
            yield Key(str(item.value), statement, suite, assigns=assigns, brackets=_brackets(value), item=item)


def _import_of(statement: ast.stmt, suite: Suite) -> Iterator[Key]:
    if isinstance(statement, ast.ImportFrom) and statement.level == 1 and statement.names[0].name != "*":
        yield Key(statement.module or "", statement, suite, brackets=statement)
