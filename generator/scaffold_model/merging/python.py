"""The regions of Python registries: statements that register names, pairs of mappings, placeholders, classes."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from textwrap import dedent

from ..code.syntax import last_line, parse
from .brackets import read_brackets
from .regions import KEYS, MODULES, NAMES, Item, Region, lines_of, unique


def read_python(source: str) -> list[Region]:
    """The regions of a Python registry: an init module, a dummy module, a module with mappings.

    Raises:
        SyntaxError: The text is no Python.
    """
    lines = lines_of(source)
    return sorted(_suite(parse(source).body, "", lines), key=lambda region: region.first)


@dataclass(frozen=True)
class _Piece:
    """A statement that is an item."""

    kind: str
    key: str
    name: str
    statement: ast.stmt
    brackets: bool


def _suite(body: Sequence[ast.stmt], place: str, lines: list[str]) -> Iterator[Region]:
    run: list[_Piece] = []
    before = end = 0
    for statement in body:
        piece = _piece(statement, place)
        if run and (piece is None or piece.kind != run[0].kind):
            yield _run(run, before, place, lines)
            run = []
        if piece is None:
            yield from _inside(statement, place, lines)
        else:
            before = before if run else end
            run.append(piece)
        end = last_line(statement)
    if run:
        yield _run(run, before, place, lines)


def _inside(statement: ast.stmt, place: str, lines: list[str]) -> Iterator[Region]:
    if isinstance(statement, ast.If):
        test = ast.unparse(statement.test)
        yield from _suite(statement.body, f"{place}/if {test}", lines)
        yield from _suite(statement.orelse, f"{place}/if not {test}", lines)
    elif isinstance(statement, ast.Try):
        yield from _suite(statement.orelse, f"{place}/else", lines)
    elif isinstance(statement, ast.FunctionDef):
        yield from _suite(statement.body, f"{place}/def {statement.name}", lines)
    elif isinstance(statement, ast.Assign | ast.AnnAssign):
        yield from _mapping(statement, place, lines)


def _piece(statement: ast.stmt, place: str) -> _Piece | None:
    if isinstance(statement, ast.ImportFrom):
        module = "." * statement.level + (statement.module or "")
        if statement.level and statement.names[0].name != "*":
            return _Piece("import", module, module, statement, True)
        return None
    if isinstance(statement, ast.Assign | ast.AugAssign):
        target = statement.targets[0] if isinstance(statement, ast.Assign) else statement.target
        key = _subscript(target)
        if key is not None and isinstance(statement.value, ast.List | ast.Tuple):
            return _Piece("structure", key, key, statement, isinstance(statement.value, ast.List))
        if (
            isinstance(target, ast.Name)
            and isinstance(statement.value, ast.Constant)
            and statement.value.value is None
        ):
            return _Piece("dummy", target.id, target.id, statement, False)
        return None
    if isinstance(statement, ast.Try):
        guard = _guard(statement)
        return _Piece("guard", guard, "", statement, False) if guard else None
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        return _call(statement, statement.value)
    if isinstance(statement, ast.ClassDef) and not place and _is_dummy(statement):
        return _Piece("dummy", statement.name, statement.name, statement, False)
    if isinstance(statement, ast.FunctionDef) and not place and _is_dummy(statement):
        return _Piece("dummy", statement.name, statement.name, statement, False)
    return None


def _guard(statement: ast.Try) -> str:
    """What tells the ``try`` that asks for backends from others: its test, and the dummies that stand in; else empty."""
    tests = [ast.unparse(inner.test) for inner in statement.body if isinstance(inner, ast.If)]
    caught = [handler for handler in statement.handlers if handler.type is not None]
    if not tests or not all("OptionalDependencyNotAvailable" in ast.unparse(h.type) for h in caught if h.type):
        return ""
    dummies = [ast.unparse(inner) for one in caught for inner in one.body if isinstance(inner, ast.ImportFrom)]
    return " ".join([*tests, *dummies])


def _read_guarded(text: str) -> list[Region]:
    """The regions of one ``try`` that asks for backends."""
    body = parse(dedent(text)).body
    return sorted((region for one in body for region in _inside(one, "", lines_of(text))), key=lambda one: one.first)


def _call(statement: ast.stmt, call: ast.Call) -> _Piece | None:
    """``_import_structure["key"].extend([...])`` or ``.append(...)``, or ``Registry.register(Class, ...)``."""
    function = call.func
    if not isinstance(function, ast.Attribute):
        return None
    module = _subscript(function.value)
    arguments = [*call.args, *(keyword.value for keyword in call.keywords)]
    if module is not None and function.attr in ("extend", "append") and len(arguments) == 1:
        shown = "" if function.attr == "extend" else f" {ast.unparse(arguments[0])}"
        return _Piece("structure", module + shown, module, statement, function.attr == "extend")
    if function.attr == "register" and isinstance(function.value, ast.Name) and arguments:
        return _Piece("register", f"{function.value.id} {ast.unparse(arguments[0])}", "", statement, False)
    return None


def _is_dummy(statement: ast.ClassDef | ast.FunctionDef) -> bool:
    """Whether a class or a function is a placeholder of a dummy module."""
    if isinstance(statement, ast.ClassDef):
        return any(
            keyword.arg == "metaclass" and "DummyObject" in ast.unparse(keyword.value)
            for keyword in statement.keywords
        )
    return len(statement.body) == 1 and "requires_backends(" in ast.unparse(statement.body[0])


def _subscript(node: ast.expr) -> str | None:
    """``key`` of ``_import_structure["key"]``."""
    if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and node.value.id == "_import_structure":
        return ast.unparse(node.slice)
    return None


def _run(run: list[_Piece], before: int, place: str, lines: list[str]) -> Region:
    """A run of statements. In a dummy module also the first owns the blank lines before it, so that all are alike."""
    kind = run[0].kind
    first = before + 1 if kind == "dummy" else _first(run[0].statement)
    start, items = first, []
    for piece in run:
        end = last_line(piece.statement)
        text = "".join(lines[start - 1 : end])
        inner = read_brackets if piece.brackets else _read_guarded if kind == "guard" else None
        items.append(Item(piece.key, piece.name, text, inner, piece.brackets))
        start = end + 1
    orders = {"import": MODULES, "structure": KEYS, "dummy": NAMES, "register": (), "guard": ()}[kind]
    if kind == "structure" or kind == "import":
        items = [replace(item, name=item.name.strip("'\"")) for item in items]
    return Region(f"{place}/{kind}", first, start - 1, unique(items), orders)


def _first(statement: ast.stmt) -> int:
    decorated = isinstance(statement, ast.ClassDef | ast.FunctionDef) and statement.decorator_list
    return decorated[0].lineno if decorated else statement.lineno


def _mapping(statement: ast.Assign | ast.AnnAssign, place: str, lines: list[str]) -> Iterator[Region]:
    """The pairs of ``NAME = {...}``, ``OrderedDict([...])`` and the like, where each has lines of its own."""
    target = statement.targets[0] if isinstance(statement, ast.Assign) else statement.target
    value = statement.value
    if not isinstance(target, ast.Name) or value is None:
        return
    for node in [value, *(value.args if isinstance(value, ast.Call) else [])]:
        pairs = _pairs(node)
        if pairs is None:
            continue
        start = node.lineno + 1
        region_first, items = start, []
        for key, item_value, first, last in pairs:
            end_column = lines[last - 1].split("#")[0].rstrip()
            if first < start or not end_column.endswith(","):
                return
            names = isinstance(item_value, ast.List) and isinstance(node, ast.Dict)
            text = "".join(lines[start - 1 : last])
            items.append(Item(key, key.strip("'\""), text, read_brackets if names else None, names))
            start = last + 1
        if last_line(node) >= start and node.lineno != last_line(node):
            yield Region(f"{place}/mapping {target.id}", region_first, start - 1, unique(items), KEYS)
        return


def _pairs(node: ast.expr) -> list[tuple[str, ast.expr, int, int]] | None:
    """Key, value, first and last line of each pair; None for what is no mapping."""
    found: list[tuple[str, ast.expr, int, int]] = []
    if isinstance(node, ast.Dict):
        for key, value in zip(node.keys, node.values, strict=True):
            if key is None:
                return None
            found.append((ast.unparse(key), value, key.lineno, last_line(value)))
        return found
    if isinstance(node, ast.List) and all(isinstance(item, ast.Tuple) and len(item.elts) == 2 for item in node.elts):
        for item in node.elts:
            assert isinstance(item, ast.Tuple)
            found.append((ast.unparse(item.elts[0]), item.elts[1], item.lineno, last_line(item)))
        return found
    return None


_CLASS = re.compile(r"^class (\w+)")


def read_classes(source: str) -> list[Region]:
    """The classes of a module to which each model adds one; each owns what stands between it and the one before."""
    lines = lines_of(source)
    starts, names = [], []
    for index, line in enumerate(lines):
        match = _CLASS.match(line)
        if match is None:
            continue
        while index and (not lines[index - 1].strip() or lines[index - 1][0] in "@#"):
            index -= 1
        starts.append(index)
        names.append(match[1])
    if not starts:
        return []
    texts = ["".join(lines[start:end]) for start, end in zip(starts, [*starts[1:], len(lines)], strict=True)]
    items = [Item(name, name, text) for name, text in zip(names, texts, strict=True)]
    return [Region("/classes", starts[0] + 1, len(lines), unique(items))]
