"""Reading and editing lazy ``__init__`` modules: the ``_import_structure`` half and the TYPE_CHECKING half.

Both halves consist of suites: the statements under one backend guard, ``else`` of a ``try`` or body of an ``if``.
The registries of init files differ only in which suite and which order they ask for.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING

from ..code import names as code_names
from ..code.ordering import import_module_key, import_name_key, object_key, plain_key, sorted_position
from ..code.syntax import last_line, parse
from ..code.text import get_lines, indent_of, insert_before, line_count, remove_lines
from ..errors import AnchorNotFound
from ..plan import Export
from .base import Entry, Listed
from .paths import package_inits

if TYPE_CHECKING:
    from ..snapshot import Snapshot

Position = Callable[[Sequence[str], str, Entry], int]
STRUCTURE = "_import_structure"


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
    """One statement (or one item of the dict literal) that registers names under a module."""

    module: str
    statement: ast.stmt
    names: ast.List | ast.Tuple | ast.ImportFrom | None
    suite: Suite
    single: str = ""
    item: ast.expr | None = field(default=None)

    @property
    def objects(self) -> list[tuple[str, int]]:
        """The names with their lines."""
        if self.single:
            return [(self.single, self.statement.lineno)]
        return [] if self.names is None else [pair for pair in code_names.elements(self.names) if pair[0]]


def _suites(source: str) -> tuple[Suite, ...]:
    lazy = STRUCTURE in source

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

    visit(parse(source).body, (), False)
    return tuple(found)


@lru_cache(maxsize=64)
def _read(source: str) -> tuple[tuple[Suite, ...], tuple[Key, ...]]:
    """The suites and the keys of an init module; read together, since keys refer to the statements of suites."""
    found: list[Key] = []
    every = _suites(source)
    for suite in every:
        reader = _keys_of if suite.half == "structure" else _import_of
        for statement in suite.body:
            found.extend(key for key in reader(statement, suite) if not key.module.startswith("utils.dummy_"))
    return every, tuple(found)


def suites(source: str) -> tuple[Suite, ...]:
    """All suites of an init module, outer before inner, in source order."""
    return _read(source)[0]


def keys(source: str, half: str) -> list[Key]:
    """All keys of one half, in source order; dummy modules and imports from elsewhere are none."""
    return [key for key in _read(source)[1] if key.suite.half == half]


def listed(source: str, half: str) -> list[Listed]:
    """Every name that one half registers, with its module and backend group."""
    return [
        Listed(name, key.module, line, backends=key.suite.backends)
        for key in keys(source, half)
        for name, line in key.objects
    ]


def is_plain(source: str | None) -> bool:
    """Whether an init module imports its names without a lazy structure."""
    return source is not None and STRUCTURE not in source and "from ." in source


def guard_of(source: str, backends: tuple[str, ...]) -> tuple[str, ...]:
    """A backend group in the order in which the TYPE_CHECKING half asks for it."""
    for suite in suites(source):
        if suite.half == "types" and suite.backends == backends:
            return suite.guard
    return backends


def insert(
    source: str, entry: Entry, half: str, *, name_position: Position, key_position: Position, guarded: bool = True
) -> str:
    """Register ``entry.object`` under ``entry.key`` in the suite of ``entry.backends``.

    Args:
        source: The init module.
        entry: What to register.
        half: ``structure`` or ``types``.
        name_position: Where among the names of its module it goes.
        key_position: Where among the modules a new one goes.
        guarded: Whether the suite must have exactly the entry's backends; if not, the fullest suite will do.
    """
    if any(item.object == entry.object for item in listed(source, half)):
        return source
    suite = _choose(source, entry, half, guarded)
    present = [key for key in keys(source, half) if key.suite.index == suite.index]
    same = [key for key in present if key.module == entry.key and key.names is not None]
    if half == "types":
        present = _first_run(present, suite)
    if same:
        key = same[0]
        assert key.names is not None
        index = name_position([name for name, _ in code_names.elements(key.names)], entry.object, entry)
        # A list on one line breaks where it gets too long, or where this file breaks lists of two names already.
        width = 0 if half == "structure" and key.item is None and _breaks_early(source, entry.width) else entry.width
        return code_names.insert_name(source, key.statement, key.names, entry.object, index, width)
    return _new_key(source, entry, half, suite, present, key_position)


def remove(source: str, entry: Entry, half: str) -> str:
    """Take ``entry.object`` out of its module, and the module's statement when nothing is left in it."""
    for key in keys(source, half):
        if entry.object in [name for name, _ in key.objects] and key.module == entry.key:
            if len(key.objects) > 1:
                assert key.names is not None
                return code_names.remove_name(
                    source, key.statement, key.names, entry.object, entry.width, _broken_from(key, half, entry)
                )
            if key.item is not None:
                return remove_lines(source, key.item.lineno, last_line(key.names or key.item))
            return _without(source, key.statement)
    return source


def _broken_from(key: Key, half: str, entry: Entry) -> int:
    """The length from which a list counts as broken for the sake of its last name alone; see ``insert``."""
    if half == "types":
        return entry.width
    if len(key.objects) == 2 and key.item is None:
        return 0
    return entry.width if isinstance(key.statement, ast.Assign) else sys.maxsize


def _without(source: str, statement: ast.stmt) -> str:
    """The source without a statement, and without one of two blank lines that would meet."""
    first, last = statement.lineno, last_line(statement)
    blank_above = first > 1 and not get_lines(source, first - 1, first - 1).strip()
    blank_below = last < line_count(source) and not get_lines(source, last + 1, last + 1).strip()
    if blank_above and (blank_below or last == line_count(source)):
        return remove_lines(source, first - 1, last)
    if blank_below and not blank_above and _opens_spaced(source, statement):
        return remove_lines(source, first, last + 1)
    return remove_lines(source, first, last)


def _opens_spaced(source: str, statement: ast.stmt) -> bool:
    """Whether the statement is the first of a suite whose other statements have blank lines between them."""
    for suite in suites(source):
        if suite.body and suite.body[0].lineno == statement.lineno:
            keyed = [item for item in suite.body if item.lineno > statement.lineno]
            return len(keyed) > 1 and _spaced(source, [statement, *keyed])
    return False


def package_order(export: Export, snapshot: Snapshot) -> tuple[str, ...]:
    """The names that the export's own package registers, in its order."""
    for path, _ in package_inits(export):
        source = snapshot.read(path)
        return tuple(item.object for item in listed(source, "structure")) if source else ()
    return ()


def by_import_order(present: Sequence[str], name: str, entry: Entry) -> int:
    """Names as ruff's isort rules order them."""
    return sorted_position([import_name_key(item) for item in present], import_name_key(name))


def by_object_order(present: Sequence[str], name: str, entry: Entry) -> int:
    """Names as the repository's own init sorter orders them."""
    return sorted_position([object_key(item) for item in present], object_key(name))


def by_module_order(present: Sequence[str], name: str, entry: Entry) -> int:
    """Modules as ruff's isort rules order them."""
    return sorted_position([import_module_key(item) for item in present], import_module_key(name))


def by_ascii(present: Sequence[str], name: str, entry: Entry) -> int:
    """Plain sorted order."""
    return sorted_position([plain_key(item) for item in present], plain_key(name))


def _joined(group: tuple[str, ...], more: list[str]) -> tuple[str, ...]:
    return group + tuple(backend for backend in dict.fromkeys(more) if backend not in group)


def _backends(test: ast.expr) -> list[str]:
    """The backends that a guard asks for: ``is_torch_available()`` is torch."""
    found: list[str] = []
    for node in ast.walk(test):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id.startswith("is_"):
            found.append(node.func.id[3:].removesuffix("_available"))
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
                yield Key(module, statement, _brackets(statement.value), suite)
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
            yield Key(module, statement, _brackets(argument), suite)
        elif function.attr == "append" and isinstance(argument, ast.Constant):
            yield Key(module, statement, None, suite, single=str(argument.value))


def _items_of(node: ast.Dict, statement: ast.stmt, suite: Suite) -> Iterator[Key]:
    for item, value in zip(node.keys, node.values, strict=True):
        if isinstance(item, ast.Constant):
            yield Key(str(item.value), statement, _brackets(value), suite, item=item)


def _import_of(statement: ast.stmt, suite: Suite) -> Iterator[Key]:
    if isinstance(statement, ast.ImportFrom) and statement.level == 1 and statement.names[0].name != "*":
        yield Key(statement.module or "", statement, statement, suite)


def _choose(source: str, entry: Entry, half: str, guarded: bool) -> Suite:
    """The suite that the entry belongs in; the first that registers anything, else the first."""
    wanted = tuple(sorted(entry.backends))
    candidates = [suite for suite in suites(source) if suite.half == half]
    counts = {suite.index: 0 for suite in candidates}
    for key in keys(source, half):
        counts[key.suite.index] += len(key.objects)
    matching = [suite for suite in candidates if suite.backends == wanted]
    if not guarded and not any(counts[suite.index] for suite in matching):
        matching = sorted(candidates, key=lambda suite: -counts[suite.index])[:1]
    if not matching:
        guard = " and ".join(f"is_{backend}_available()" for backend in entry.backends) or "a module"
        raise AnchorNotFound(entry.path, f"the suite for {guard} in the {half} half")
    for suite in matching:
        if any(
            key.suite.index == suite.index and key.module == entry.key and key.names is not None
            for key in keys(source, half)
        ):
            return suite
    return max(matching, key=lambda suite: counts[suite.index])


def _first_run(present: list[Key], suite: Suite) -> list[Key]:
    """The first contiguous run of imports: what stands behind another statement is no neighbour."""
    run: list[Key] = []
    for key in present:
        if run and suite.body.index(key.statement) != suite.body.index(run[-1].statement) + 1:
            break
        run.append(key)
    return run


def _new_key(source: str, entry: Entry, half: str, suite: Suite, present: list[Key], key_position: Position) -> str:
    module, name = entry.text_key, entry.object
    anchors = [key for key in present if key.item is None]
    if not anchors and half == "structure" and any(key.item is not None for key in present):
        return _new_item(source, entry, present, key_position)
    index = key_position([key.module for key in anchors], module, entry)
    indent = indent_of(source, anchors[0].statement.lineno if anchors else suite.body[0].lineno)
    if half == "types":
        text = f"{indent}from .{module} import {name}"
    elif any(key.module == module for key in keys(source, half)):
        text = f'{indent}{STRUCTURE}["{module}"].extend(["{name}"])'
    else:
        text = f'{indent}{STRUCTURE}["{module}"] = ["{name}"]'
    if len(text) > entry.width:
        text = code_names.explode(text)
    if not anchors:
        return insert_before(source, last_line(suite.body[-1]) + 1, text)
    line = anchors[index].statement.lineno if index == 0 else last_line(anchors[index - 1].statement) + 1
    if _spaced(source, [key.statement for key in anchors]):
        text = f"{text}\n" if index == 0 else f"\n{text}"
        return insert_before(source, line, text + "\n")
    return insert_before(source, line, text)


def _breaks_early(source: str, width: int) -> bool:
    """Whether most lists of several names that would fit on one line have one name per line."""
    votes = 0
    for key in keys(source, "structure"):
        if isinstance(key.statement, ast.Assign) and key.item is None and len(key.objects) > 1:
            text = get_lines(source, key.statement.lineno, last_line(key.statement))
            if len(code_names.collapse(text)) <= width:
                votes += 1 if "\n" in text else -1
    return votes > 0


def _spaced(source: str, statements: list[ast.stmt]) -> bool:
    """Whether a blank line stands between all statements, of which there are two at least."""
    gaps = [
        later.lineno - last_line(earlier) == 2 and not get_lines(source, later.lineno - 1, later.lineno - 1).strip()
        for earlier, later in pairwise(statements)
    ]
    return bool(gaps) and all(gaps)


def _new_item(source: str, entry: Entry, present: list[Key], key_position: Position) -> str:
    """A new item of ``_import_structure = {...}`` in a module that has no other statement."""
    index = key_position([key.module for key in present], entry.text_key, entry)
    items = [key.item for key in present if key.item is not None]
    if items[0].lineno == present[0].statement.lineno:
        raise AnchorNotFound(entry.path, f"{STRUCTURE} with one module per line")
    text = f'{indent_of(source, items[0].lineno)}"{entry.key}": ["{entry.object}"],'
    before = present[index - 1]
    line = items[index].lineno if index == 0 else last_line(before.names or items[index - 1]) + 1
    return insert_before(source, line, text)
