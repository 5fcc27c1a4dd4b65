"""Additions to a Python module as text splices: what is there stays byte for byte, and what is there already is not added.

Every function takes the text of a module with plain line feeds and gives it back with one thing more. Nothing here
sorts or wraps what somebody else wrote; `formatting` does that where the module was formatted before.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Callable, Iterator, Sequence

from .ordering import import_module_key, import_name_key, sorted_among
from .syntax import parse
from .text import indent_of, insert_before

WIDTH = 119
_REST = re.compile(r"[ \t]*,[ \t]*(?:#[^\n]*)?(?=\n)")
Function = ast.FunctionDef


def find_class(text: str, name: str) -> ast.ClassDef | None:
    """The top-level class of a name."""
    return next((node for node in parse(text).body if isinstance(node, ast.ClassDef) and node.name == name), None)


def find_method(text: str, owner: str, name: str) -> ast.FunctionDef | None:
    """A method of a top-level class."""
    node = find_class(text, owner)
    return (
        next((each for each in node.body if isinstance(each, Function) and each.name == name), None) if node else None
    )


def parameters(function: ast.FunctionDef) -> list[str]:
    """The names of all parameters but ``self``, ``*args`` and ``**kwargs``."""
    arguments = function.args
    return [
        each.arg for each in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs) if each.arg != "self"
    ]


def _at(text: str, line: int, column: int) -> int:
    """The index of a place as ``ast`` names it: lines from 1, columns in bytes."""
    lines = text.split("\n", line)
    before = sum(len(each) + 1 for each in lines[: line - 1])
    return before + len(lines[line - 1].encode()[:column].decode())


def _start(text: str, node: ast.expr | ast.arg | ast.keyword) -> int:
    return _at(text, node.lineno, node.col_offset)


def _end(text: str, node: ast.expr | ast.arg | ast.keyword) -> int:
    return _at(text, node.end_lineno or node.lineno, node.end_col_offset or node.col_offset)


def _stands_alone(text: str, index: int) -> bool:
    """Whether only white space stands before ``index`` in its line."""
    return not text[text.rfind("\n", 0, index) + 1 : index].strip()


def _before(text: str, index: int, item: str) -> str:
    """``item`` before what begins at ``index`` in a list of several lines or of one."""
    if _stands_alone(text, index):
        indent = text[text.rfind("\n", 0, index) + 1 : index]
        return f"{text[:index]}{item},\n{indent}{text[index:]}"
    return f"{text[:index]}{item}, {text[index:]}"


def _after(text: str, start: int, end: int, item: str) -> str:
    """``item`` behind what stands from ``start`` to ``end``; a comma that follows it then follows the item."""
    if not _stands_alone(text, start):
        return f"{text[:end]}, {item}{text[end:]}"
    indent = text[text.rfind("\n", 0, start) + 1 : start]
    rest = _REST.match(text, end)
    if rest:
        # A comment stays with what it is about.
        return f"{text[: rest.end()]}\n{indent}{item},{text[rest.end() :]}"
    return f"{text[:end]},\n{indent}{item}{text[end:]}"


def with_base(text: str, owner: str, base: str, *, after: str, instead: str | None = None) -> str:
    """A class with one base more, behind ``after`` or else the last one, or in the place of ``instead``."""
    node = find_class(text, owner)
    if node is None or any(ast.unparse(each) == base for each in node.bases):
        return text
    named = {ast.unparse(each): each for each in node.bases}
    if instead in named and instead is not None:
        return text[: _start(text, named[instead])] + base + text[_end(text, named[instead]) :]
    if not node.bases:
        place = text.index(owner, _at(text, node.lineno, node.col_offset)) + len(owner)
        rest = text[place:].removeprefix("()")
        return f"{text[:place]}({base}){rest}"
    place_of = named.get(after, node.bases[-1])
    return _after(text, _start(text, place_of), _end(text, place_of), base)


def with_decorator(text: str, owner: str, method: str, decorator: str) -> str:
    """A method with one decorator more, on top of the others; a ``# Copied from`` header stays on its ``def``."""
    node = find_method(text, owner, method)
    if node is None or any(f"@{ast.unparse(each)}" == decorator for each in node.decorator_list):
        return text
    line = min([node.lineno, *(each.lineno for each in node.decorator_list)])
    lines = text.split("\n")
    while not node.decorator_list and lines[line - 2].lstrip().startswith("# Copied from"):
        line -= 1
    return insert_before(text, line, f"{indent_of(text, node.lineno)}{decorator}")


def with_parameter(
    text: str, owner: str, method: str, declaration: str, *, after: Sequence[str] = (), before: Sequence[str] = ()
) -> str:
    """A method with one parameter more: behind the first of ``after`` that it has, else before the first of ``before``.

    With neither it comes last, before ``**kwargs``.
    """
    node = find_method(text, owner, method)
    name = re.split(r"\W", declaration, maxsplit=1)[0]
    if node is None or name in parameters(node):
        return text
    spans = _parameter_spans(text, node)
    for known in after:
        if known in spans:
            return _after(text, *spans[known], declaration)
    for known in (*before, *(["**"] if node.args.kwarg else [])):
        if known in spans:
            return _before(text, spans[known][0], declaration)
    return _after(text, *list(spans.values())[-1], declaration) if spans else text


def _parameter_spans(text: str, node: ast.FunctionDef) -> dict[str, tuple[int, int]]:
    """Where each parameter stands, its default included, in source order; ``**`` is that of ``**kwargs``."""
    arguments = node.args
    positional = [*arguments.posonlyargs, *arguments.args]
    missing = [None] * (len(positional) - len(arguments.defaults))
    pairs = [*zip(positional, [*missing, *arguments.defaults], strict=True)]
    pairs += [*zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)]
    spans = {each.arg: (_start(text, each), _end(text, default or each)) for each, default in pairs}
    if arguments.kwarg:
        start = text.rindex("**", 0, _start(text, arguments.kwarg))
        spans["**"] = (start, _end(text, arguments.kwarg))
    return spans


def with_entry(text: str, owner: str, method: str, entry: str, *, after: Sequence[str], before: Sequence[str]) -> str:
    """A method whose docstring describes one parameter more, where it describes the others.

    Args:
        entry: The entry without indentation: ``name (`type`):`` and, indented by four, what it is.
        after: Parameters behind whose entry it goes, the first that is described.
        before: Otherwise, those before whose entry it goes; with neither it comes last among them.
    """
    node = find_method(text, owner, method)
    name = entry.split(" ", 1)[0]
    if node is None or not isinstance(node.body[0], ast.Expr) or ast.get_docstring(node, clean=False) is None:
        return text
    first, last = node.body[0].lineno, node.body[0].end_lineno or node.body[0].lineno
    lines = text.split("\n")
    entries = dict(_described(lines, first, last, parameters(node)))
    if name in entries or not entries:
        return text
    line = next((_end_of_entry(lines, entries[known], last) for known in after if known in entries), 0)
    line = line or next((entries[known] for known in before if known in entries), 0)
    line = line or _end_of_entry(lines, max(entries.values()), last)
    indent = indent_of(text, min(entries.values()))
    return insert_before(text, line, "\n".join(f"{indent}{each}" for each in entry.split("\n")))


def _described(lines: Sequence[str], first: int, last: int, names: Sequence[str]) -> Iterator[tuple[str, int]]:
    """The parameters that a docstring describes, with the lines of their entries."""
    for line in range(first, last + 1):
        found = re.match(r"\s+`?(\w+)`?(?: \(|:)", lines[line - 1])
        if found and found[1] in names:
            yield found[1], line


def _end_of_entry(lines: Sequence[str], line: int, last: int) -> int:
    """The line behind an entry: the next one that is not deeper than it, or is blank."""
    depth = _depth(lines[line - 1])
    end = line + 1
    while end < last and lines[end - 1].strip() and _depth(lines[end - 1]) > depth:
        end += 1
    return end


def _depth(line: str) -> int:
    return len(line) - len(line.lstrip())


def with_keyword(
    text: str, calls: Callable[[str], Sequence[ast.Call]], keyword: str, value: str, *, before: str
) -> str:
    """The calls that ``calls`` finds in a text, each with one keyword more, before the keyword ``before`` or last."""
    while True:
        lacking = [call for call in calls(text) if all(each.arg != keyword for each in call.keywords)]
        if not lacking:
            return text
        # From the last one on, so that the places of the others stay.
        call = max(lacking, key=lambda each: (each.lineno, each.col_offset))
        item = f"{keyword}={value}"
        known = {each.arg: each for each in call.keywords}
        if before in known:
            text = _before(text, _start(text, known[before]), item)
        elif call.args or call.keywords:
            nodes: list[ast.expr | ast.keyword] = [*call.args, *call.keywords]
            latest = max(nodes, key=lambda each: (each.lineno, each.col_offset))
            text = _after(text, _start(text, latest), _end(text, latest), item)
        else:
            end = _end(text, call)
            text = f"{text[: end - 1]}{item}{text[end - 1 :]}"


def with_import(text: str, module: str, name: str) -> str:
    """A module that imports ``name``: ``...loaders`` and ``FooMixin`` are ``from ...loaders import FooMixin``.

    A name that the module has already, from wherever, stays as it is.
    """
    imports = [node for node in parse(text).body if isinstance(node, ast.ImportFrom | ast.Import)]
    if any((each.asname or each.name) == name for node in imports for each in node.names):
        return text
    level = len(module) - len(module.lstrip("."))
    froms = [node for node in imports if isinstance(node, ast.ImportFrom)]
    same = [node for node in froms if node.level == level and (node.module or "") == module[level:]]
    if same and same[0].names[0].name != "*":
        return _with_name(text, same[0], module, name)
    line = f"from {module} import {name}"
    if level:
        return _new_relative(text, froms, imports, level, module[level:], line)
    return _new_absolute(text, imports, module, line)


def _with_name(text: str, node: ast.ImportFrom, module: str, name: str) -> str:
    names = [each.name for each in node.names]
    place = sorted_among(names, name, import_name_key)
    shown = [f"{each.name} as {each.asname}" if each.asname else each.name for each in node.names]
    shown.insert(place, name)
    first, last = node.lineno, node.end_lineno or node.lineno
    lines = text.split("\n")
    rows = [each.lineno for each in node.names]
    if last > first and len(set(rows)) == len(rows) and rows[0] > first:
        line = rows[place] if place < len(rows) else rows[-1] + 1
        return insert_before(text, line, f"{indent_of(text, rows[0])}{name},")
    written = f"from {module} import {', '.join(shown)}"
    if len(written) > WIDTH or last > first:
        written = f"from {module} import (\n" + "".join(f"    {each},\n" for each in shown) + ")"
    comment = lines[last - 1].encode()[node.end_col_offset or 0 :].decode()
    return "\n".join([*lines[: first - 1], written + comment, *lines[last:]])


def _new_relative(
    text: str,
    froms: list[ast.ImportFrom],
    imports: list[ast.ImportFrom | ast.Import],
    level: int,
    module: str,
    line: str,
) -> str:
    """A new line among the relative imports, which stand last: those with more dots first, then by module."""
    relative = [node for node in froms if node.level]
    key = (-level, import_module_key(module))
    later = [node for node in relative if (-node.level, import_module_key(node.module or "")) > key]
    if later:
        return insert_before(text, later[0].lineno, line)
    if relative:
        return insert_before(text, (relative[-1].end_lineno or 0) + 1, line)
    if imports:
        return insert_before(text, (imports[-1].end_lineno or 0) + 1, f"\n{line}")
    return insert_before(text, _first_line(text), f"{line}\n\n")


def _new_absolute(text: str, imports: list[ast.ImportFrom | ast.Import], module: str, line: str) -> str:
    """A new line among the imports of the standard library, which stand first."""
    standard = [node for node in imports if _is_standard(node)]
    key = import_module_key(module)
    later = [
        node for node in standard if isinstance(node, ast.ImportFrom) and import_module_key(node.module or "") > key
    ]
    if later:
        return insert_before(text, later[0].lineno, line)
    if standard:
        return insert_before(text, (standard[-1].end_lineno or 0) + 1, line)
    return insert_before(text, imports[0].lineno if imports else _first_line(text), f"{line}\n\n")


def _is_standard(node: ast.ImportFrom | ast.Import) -> bool:
    module = node.names[0].name if isinstance(node, ast.Import) else node.module or ""
    return not getattr(node, "level", 0) and module.split(".")[0] in sys.stdlib_module_names - {"__future__"}


def _first_line(text: str) -> int:
    """The first line below the comment that a file begins with."""
    body = parse(text).body
    return body[0].lineno if body else text.count("\n") + 1


def with_statement(text: str, owner: str, method: str, statement: str, after: Callable[[ast.stmt], bool]) -> str:
    """A method with one statement more in its body, behind the last of the first run that ``after`` holds for.

    Where it holds for none, the statement comes first, below the docstring.
    """
    node = find_method(text, owner, method)
    if node is None or any(ast.unparse(each) == statement for each in node.body):
        return text
    place: ast.stmt | None = None
    for each in node.body:
        if after(each):
            place = each
        elif place is not None:
            break
    if place is None:
        documented = ast.get_docstring(node, clean=False) is not None
        first = node.body[1] if documented and len(node.body) > 1 else node.body[0]
        return insert_before(text, first.lineno, f"{indent_of(text, first.lineno)}{statement}\n\n")
    return insert_before(text, (place.end_lineno or 0) + 1, f"{indent_of(text, place.lineno)}{statement}")


def with_property(text: str, owner: str, name: str, *, before: Sequence[str]) -> str:
    """A class with the property ``name`` for its attribute ``_name``, before the first of some methods that it has."""
    node = find_class(text, owner)
    if node is None or find_method(text, owner, name) is not None:
        return text
    methods = {each.name: each for each in node.body if isinstance(each, Function)}
    anchor = next((methods[known] for known in before if known in methods), None)
    if anchor is None:
        return text
    line = min([anchor.lineno, *(each.lineno for each in anchor.decorator_list)])
    lines = text.split("\n")
    while not anchor.decorator_list and lines[line - 2].lstrip().startswith("#"):
        line -= 1
    indent = indent_of(text, anchor.lineno)
    code = f"{indent}@property\n{indent}def {name}(self):\n{indent}    return self._{name}\n\n"
    return insert_before(text, line, code)


def without_import(text: str, module: str, name: str) -> str:
    """A module without a name that it imports and does not use any more, written as the formatter would."""
    if len(re.findall(rf"\b{name}\b", text)) != 1:
        return text
    level = len(module) - len(module.lstrip("."))
    for node in parse(text).body:
        if not isinstance(node, ast.ImportFrom) or (node.level, node.module or "") != (level, module[level:]):
            continue
        shown = [f"{each.name} as {each.asname}" if each.asname else each.name for each in node.names]
        left = [each for each in shown if each != name]
        if len(left) == len(shown):
            continue
        written = [f"from {module} import {', '.join(left)}"] if left else []
        if written and len(written[0]) > WIDTH:
            written = [f"from {module} import (", *(f"    {each}," for each in left), ")"]
        lines = text.split("\n")
        return "\n".join([*lines[: node.lineno - 1], *written, *lines[node.end_lineno or node.lineno :]])
    return text
