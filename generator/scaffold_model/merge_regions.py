"""Where the registry files list things: regions of items, for the structural merge.

A region is a run of whole lines that consists of items with keys: the statements of a suite that register names, the
names in the brackets of such a statement, the pairs of a mapping, the placeholders of a dummy module, the pages of a
section. All other lines are text. An item owns the comments and blank lines before it.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from .code import toc
from .code.ordering import import_module_key, import_name_key, object_key, plain_key
from .code.syntax import last_line, parse

Order = Callable[[str], tuple[object, ...]]
Reader = Callable[[str], "list[Region]"]


@dataclass(frozen=True)
class Item:
    """One thing that a region lists.

    Attributes:
        key: What it is known by; unique in the region.
        name: What it is sorted by.
        text: Its lines.
        inner: Reads the regions inside its text, where it has any.
        brackets: Whether it is a statement (or a pair) that lists names in brackets.
    """

    key: str
    name: str
    text: str
    inner: Reader | None = None
    brackets: bool = False


@dataclass(frozen=True)
class Region:
    """Lines ``first`` to ``last`` (counted from 1; none where ``last`` is before ``first``), and the items they hold.

    Attributes:
        place: The suite, mapping or list that holds it; the same in every version of the file.
        first: Its first line.
        last: Its last line.
        items: The items; their texts joined are the lines of the region.
        orders: The orders in which such a region may be sorted, the most likely first.
    """

    place: str
    first: int
    last: int
    items: tuple[Item, ...]
    orders: tuple[Order, ...] = ()


def reader_for(path: str) -> Reader:
    """What reads the regions of a registry file."""
    if path.endswith(".yml"):
        return read_toctree
    if path.endswith(".md"):
        return read_page
    return read_python


def casefold_key(name: str) -> tuple[object, ...]:
    """Order without case."""
    return (name.casefold(),)


def kind_key(name: str) -> tuple[object, ...]:
    """Constants, classes, functions; in ASCII order."""
    return import_name_key(name)[0], name


def relative_key(module: str) -> tuple[object, ...]:
    """The order of relative imports: more dots first, then ruff's order of modules."""
    name = module.lstrip(".")
    return -(len(module) - len(name)), *import_module_key(name)


_NAMES: tuple[Order, ...] = (import_name_key, object_key, plain_key, casefold_key, kind_key)
_OBJECTS: tuple[Order, ...] = (object_key, import_name_key, plain_key, casefold_key, kind_key)
_KEYS: tuple[Order, ...] = (plain_key, casefold_key)
_MODULES: tuple[Order, ...] = (relative_key, plain_key, casefold_key)


# ------------------------------------------------------------------------------------------------------------ Python


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
        tests = [ast.unparse(inner.test) for inner in statement.body if isinstance(inner, ast.If)]
        yield from _suite(statement.orelse, f"{place}/unless {' '.join(tests)}", lines)
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
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        return _call(statement, statement.value)
    if isinstance(statement, ast.ClassDef) and not place and _is_dummy(statement):
        return _Piece("dummy", statement.name, statement.name, statement, False)
    if isinstance(statement, ast.FunctionDef) and not place and _is_dummy(statement):
        return _Piece("dummy", statement.name, statement.name, statement, False)
    return None


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
        items.append(Item(piece.key, piece.name, text, read_brackets if piece.brackets else None, piece.brackets))
        start = end + 1
    orders = {"import": _MODULES, "structure": _KEYS, "dummy": _NAMES, "register": ()}[kind]
    if kind == "structure" or kind == "import":
        items = [replace(item, name=item.name.strip("'\"")) for item in items]
    return Region(f"{place}/{kind}", first, start - 1, _unique(items), orders)


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
            yield Region(f"{place}/mapping {target.id}", region_first, start - 1, _unique(items), _KEYS)
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


# -------------------------------------------------------------------------------------------------- names in brackets

_ONE_LINE = re.compile(
    r"""^(?P<indent>[ ]*)(?P<head>from[ ][.\w]+[ ]import[ ]|_import_structure\[[^\]]+\](?:[ ]\+?=[ ]|\.extend\()|["'][^"']*["']:[ ])
        (?P<open>[\[(]?)(?P<names>[^\[\]()#\n]*)(?P<close>[\])]?)(?P<tail>\)?,?)\n$""",
    re.VERBOSE,
)
_ELEMENT = re.compile(r"""^[ ]+(?P<name>"[^"]*"|'[^']*'|[\w.]+(?:[ ]as[ ]\w+)?)(?P<comma>,?)[ ]*(?:\#.*)?\n$""")
_OPENING = re.compile(r"[\[(]\s*(#.*)?\n$")
INDENT = "    "


def split_lead(text: str) -> tuple[str, str]:
    """The comments and blank lines at the start of an item, and the rest."""
    lines = lines_of(text)
    count = next((index for index, line in enumerate(lines) if line.strip() and line.lstrip()[0] != "#"), len(lines))
    return "".join(lines[:count]), "".join(lines[count:])


def exploded(code: str) -> str | None:
    """A statement that lists names, with one name per line; None where that can not be done line by line."""
    if code.count("\n") > 1:
        regions = read_brackets(code)
        return code if regions else None
    match = _ONE_LINE.match(code)
    if match is None:
        return None
    indent, head, tail = match["indent"], match["head"], match["tail"]
    opening, closing = ("(", ")") if head.startswith("from ") else ("[", "]")
    if (match["open"], match["close"]) not in ((opening, closing), ("", "") if opening == "(" else (opening, closing)):
        return None
    rows = [row.strip() for row in match["names"].split(",") if row.strip()]
    if head.endswith("extend("):
        inner = indent + INDENT
        return "".join(
            [
                f"{indent}{head}\n",
                f"{inner}[\n",
                *(f"{inner}{INDENT}{row},\n" for row in rows),
                f"{inner}]\n",
                f"{indent}{tail}\n",
            ]
        )
    return "".join(
        [f"{indent}{head}{opening}\n", *(f"{indent}{INDENT}{row},\n" for row in rows), f"{indent}{closing}{tail}\n"]
    )


def collapsed(code: str) -> str:
    """A statement with one name per line, on one line."""
    rows = [row.strip() for row in lines_of(code)]
    indent = code[: len(code) - len(code.lstrip())]
    joined = (
        " ".join(rows)
        .replace("( ", "(")
        .replace("[ ", "[")
        .replace(", ]", "]")
        .replace(", )", ")")
        .replace("] )", "])")
    )
    if joined.startswith("from "):
        joined = joined.replace(" import (", " import ").removesuffix(")")
    return f"{indent}{joined}\n"


def read_brackets(text: str) -> list[Region]:
    """The names of a statement that has one name per line; nothing where it has not."""
    lines = lines_of(text)
    lead = split_lead(text)[0].count("\n")
    first = lead
    while first < len(lines) and _OPENING.search(lines[first]):
        first += 1
        if first < len(lines) and not re.match(r"\s*\[\s*\n$", lines[first]):
            break
    if first == lead:
        return []
    start, items = first, []
    for index in range(first, len(lines)):
        if not lines[index].strip() or lines[index].lstrip().startswith("#"):
            continue
        match = _ELEMENT.match(lines[index])
        if match is None:
            break
        if not match["comma"]:
            return []
        name = match["name"].strip("'\"")
        items.append(Item(name, name, "".join(lines[start : index + 1])))
        start = index + 1
    if not all(re.match(r"\s*([\])]+,?|#.*)?\n$", line) for line in lines[start:]):
        return []
    orders = _NAMES if text[len(split_lead(text)[0]) :].lstrip().startswith("from ") else _OBJECTS
    return [Region("names", first + 1, start, _unique(items), orders)]


# -------------------------------------------------------------------------------------------------------------- docs


def read_toctree(source: str) -> list[Region]:
    """The items of the table of contents; each section holds a region of its own."""
    return _siblings(source, 0)


def _read_section(text: str) -> list[Region]:
    return _siblings(text, 1)


def _siblings(source: str, depth: int) -> list[Region]:
    lines = lines_of(source)
    found = [item for item in toc.items(source) if len(item.section) == depth]
    if not found:
        return []
    start, items = found[0].first, []
    for item in found:
        text = "".join(lines[start - 1 : item.last])
        fixed = item.title.lower() in ("overview", "autopipeline") or item.local.endswith("/overview")
        inner = None if item.local else _read_section
        items.append(Item(item.local or f"section {item.title}", "" if fixed else item.title.lower(), text, inner))
        start = item.last + 1
    return [Region("items", found[0].first, start - 1, _unique(items), (plain_key,))]


_BULLET = re.compile(r"^- \[`(\w+)`\]")
_ROW = re.compile(r"^\| *(\[[^\]]*\]\([^)]*\))")
_HEADING = re.compile(r"^## +(.*?)\s*$")


def read_page(source: str) -> list[Region]:
    """Bullets of classes, rows of tables and sections of a page of the docs."""
    lines = lines_of(source)
    found = _read_lists(source)
    headings = [index for index, line in enumerate(lines) if _HEADING.match(line)]
    if headings and not any(line.startswith("```") for line in lines):
        # A section owns the blank lines before its heading, not those behind it: the last one has none.
        starts = []
        for index in headings:
            while index and not lines[index - 1].strip():
                index -= 1
            starts.append(index)
        items = []
        for heading, start, end in zip(headings, starts, [*starts[1:], len(lines)], strict=True):
            match = _HEADING.match(lines[heading])
            assert match is not None
            items.append(Item(match[1], match[1], "".join(lines[start:end]), _read_lists))
        first = starts[0] + 1
        found = [region for region in found if region.last < first]
        found.append(Region("sections", first, len(lines), _unique(items)))
    return sorted(found, key=lambda region: region.first)


def _read_lists(source: str) -> list[Region]:
    lines = lines_of(source)
    found = [*_line_runs(lines, _BULLET, "bullets"), *_line_runs(lines, _ROW, "rows")]
    return sorted(found, key=lambda region: region.first)


def _line_runs(lines: list[str], pattern: re.Pattern[str], place: str) -> Iterator[Region]:
    run: list[Item] = []
    for index, line in enumerate([*lines, ""]):
        match = pattern.match(line)
        if match:
            run.append(Item(match[1], match[1], line))
        elif run:
            yield Region(place, index - len(run) + 1, index, _unique(run))
            run = []


def lines_of(source: str) -> list[str]:
    """The lines with their ends, as ``ast`` counts them: form feeds and the like end no line."""
    return re.findall(r"[^\n]*\n|[^\n]+", source)


def _unique(items: Sequence[Item]) -> tuple[Item, ...]:
    """The items with keys that differ: a second one of the same key gets a number."""
    seen: Counter[str] = Counter()
    found = []
    for item in items:
        seen[item.key] += 1
        found.append(item if seen[item.key] == 1 else replace(item, key=f"{item.key} #{seen[item.key]}"))
    return tuple(found)
