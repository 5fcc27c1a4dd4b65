"""Reading lazy ``__init__`` modules: the ``_import_structure`` half and the TYPE_CHECKING half.

Both halves consist of suites: the statements under one backend guard, ``else`` of a ``try`` or body of an ``if``.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from itertools import repeat
from typing import Any

from ..code import names as code_names
from ..code.folding import Plain, Run, fold, words
from ..code.syntax import last_line
from ..code.text import differing
from .base import Fact, Listed, Listing

STRUCTURE = "_import_structure"
# What a plain statement of each half assigns or extends; an import does neither.
_TARGETS = {"structure": STRUCTURE, "types": ""}
_DUMMY = "utils.dummy_"


@dataclass
class Suite:
    """Statements under one backend guard, in one half of an init module.

    Attributes:
        index: Which suite of the module it is.
        half: ``structure`` or ``types``.
        guard: The backends in the order in which they are asked for.
        body: The statements, with a stand-in for every run of plain ones.
        dense: Whether two of them stand in a run.
    """

    index: int
    half: str
    guard: tuple[str, ...]
    body: list[ast.stmt]
    dense: bool = False

    @property
    def backends(self) -> tuple[str, ...]:
        """The backends of the guard, sorted."""
        return tuple(sorted(self.guard))

    @property
    def lines(self) -> tuple[int, int]:
        """Its first line and its last."""
        return self.body[0].lineno, last_line(self.body[-1])


@dataclass
class Key:
    """One statement (or one item of the dict literal) that registers names under a module.

    Attributes:
        module: The module.
        suite: What it is in.
        place: Which statement of the suite it is.
        first: The line that the statement starts on.
        last: The line that it ends on.
        assigns: Whether it is an assignment to the key.
        plain: The statement as its pattern reads it, where it is a plain one.
        statement: The statement as the parser reads it, where it is none.
        brackets: The names as the parser reads them.
        single: The one name that it appends.
        item: The key in a dict literal.
    """

    module: str
    suite: Suite
    place: int
    first: int
    last: int
    assigns: bool = False
    plain: Plain | None = None
    statement: ast.stmt | None = None
    brackets: code_names.Brackets | None = None
    single: str = ""
    item: ast.expr | None = None

    @property
    def has_list(self) -> bool:
        """Whether it has brackets, or an import, for a further name to go into."""
        return self.plain is not None or self.brackets is not None

    @property
    def names(self) -> Sequence[str]:
        """The names in order."""
        return self.plain.names if self.plain else [name for name, _ in self.objects]

    @property
    def objects(self) -> list[tuple[str, int]]:
        """The names with their lines."""
        if self.plain:
            names, row = self.plain.names, self.first + self.plain.below
            return list(zip(names, range(row, row + len(names)) if self.plain.below else repeat(row), strict=False))
        if self.single:
            return [(self.single, self.first)]
        return [pair for pair in code_names.elements(self.brackets) if pair[0]] if self.brackets else []

    @property
    def count(self) -> int:
        """How many names there are."""
        return self.plain.size if self.plain else len(self.objects)

    def holds(self, name: str) -> bool:
        """Whether the name is one of them."""
        return (not self.plain or name in self.plain.text) and name in self.names

    def named(self, name: str) -> Iterable[Listed]:
        """The name with its line, where it is one of them."""
        found = [index for index, each in enumerate(self.names) if each == name] if self.holds(name) else []
        return (Listed(name, self.module, self.objects[index][1], "", self.suite.backends) for index in found)

    def listed(self) -> Iterable[Listed]:
        """Each name with its module, line and backend group."""
        backends = self.suite.backends
        return (Listed(name, self.module, line, "", backends) for name, line in self.objects)


@dataclass
class Block:
    """A run of plain statements that register names, or one statement that the parser has read.

    Attributes:
        suite: What it is in.
        place: Which statement of the suite is its first.
        run: The run; None for a statement that the parser has read.
        read: What that statement registers.
    """

    suite: Suite
    place: int
    run: Run | None
    read: tuple[Key, ...] = ()

    @cached_property
    def keys(self) -> tuple[Key, ...]:
        """What it registers, by statement."""
        if self.run is None:
            return self.read
        return tuple(self._keys(self.run, self.place))

    def _keys(self, run: Run, place: int) -> Iterator[Key]:
        """The keys of its run, or of some statements of it, the first of which is that one of the suite."""
        suite, line = self.suite, run.first
        for index, one in enumerate(run.statements):
            if not _is_dummy(one.module):
                yield Key(one.module, suite, place + index, line + one.first, line + one.last, one.assigns, one)

    @property
    def names(self) -> Sequence[str]:
        """The names in order."""
        if self.run and _DUMMY not in self.run.text:
            return self.run.names
        return [name for key in self.keys for name in key.names]

    @property
    def identity(self) -> tuple[str, tuple[str, ...]] | None:
        """What decides which names it lists and how; None where only the names themselves say it."""
        return (self.run.text, self.suite.backends) if self.run else None

    def holding(self, name: str) -> list[Key]:
        """The keys that the name is registered under."""
        if self.run is None:
            return [key for key in self.read if key.holds(name)]
        found = self.run.holding(name)
        return [key for index, run in found for key in self._keys(run, self.place + index) if key.holds(name)]

    def named(self, name: str) -> Iterable[Listed]:
        """Where it registers the name."""
        return (item for key in self.holding(name) for item in key.named(name))

    def listed(self) -> Iterable[Listed]:
        """Each name with its module, line and backend group."""
        return (item for key in self.keys for item in key.listed())

    def facts(self) -> Iterable[Fact]:
        """The same without the lines."""
        return (fact for key in self.keys for fact in self._facts(key, key.names))

    def apart(self, other: Block) -> tuple[Iterable[Fact], Iterable[Fact]]:
        """The facts of two blocks, without those of the statements and names that both begin with and end with."""
        if not (self.run and other.run) or (self.run.kind, self.suite.backends) != (
            other.run.kind,
            other.suite.backends,
        ):
            return self.facts(), other.facts()
        pair = self.run.apart(other.run)
        mine, others = (list(block._keys(run, 0)) for block, run in zip((self, other), pair, strict=True))
        if len(mine) == len(others) == 1 and mine[0].plain and others[0].plain and mine[0].module == others[0].module:
            texts = mine[0].plain.text, others[0].plain.text
            rows = differing(*texts)
            names = [words(text[lines]) for text, lines in zip(texts, rows, strict=True)]
            return self._facts(mine[0], names[0]), other._facts(others[0], names[1])
        return (
            (fact for key in mine for fact in self._facts(key, key.names)),
            (fact for key in others for fact in other._facts(key, key.names)),
        )

    def _facts(self, key: Key, names: Sequence[str]) -> Iterable[Fact]:
        return zip(names, repeat(key.module), repeat(""), repeat(self.suite.backends), strict=False)


def _is_dummy(module: str) -> bool:
    return module.startswith(_DUMMY)


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
                read = tuple(key for key in reader(statement, suite, place) if not _is_dummy(key.module))
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
    return Listing(blocks(source, half))


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
