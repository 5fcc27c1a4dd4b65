"""Calls of ``hooks/_helpers.py`` that tell the hooks about a model's classes, with the imports that they need.

Each registration function starts with imports in ruff's isort order and goes on with ``Registry.register(...)`` calls.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass

from ..code import names as code_names
from ..code.ordering import import_module_key, import_name_key, sorted_among
from ..code.syntax import last_line, parse
from ..code.text import get_lines, insert_before, remove_lines
from ..errors import AnchorNotFound
from ..plan import Export
from .base import ROOT, Entry, Listed, area

PATH = f"{ROOT}/hooks/_helpers.py"
_CLASS = re.compile(r"^class (\w+)", re.MULTILINE)


@dataclass(frozen=True)
class Call:
    """One ``Registry.register`` call."""

    name: str
    metadata: str
    statement: ast.stmt


def is_transformer(export: Export) -> bool:
    """Whether the hooks may want to know the classes of the export's module."""
    return export.kind == "model" and area(export) == "models" and "/transformers/" in export.path


def bodies(text: str) -> dict[str, str]:
    """The text of each class of a module."""
    starts = [*_CLASS.finditer(text)]
    ends = [match.start() for match in starts[1:]] + [len(text)]
    return {match[1]: text[match.start() : end] for match, end in zip(starts, ends, strict=True)}


def returned(body: str) -> tuple[str, ...]:
    """The names that the last ``return`` of a class gives back."""
    found = re.findall(r"^ +return \(?([\w, ]+?),?\)?$", body, re.MULTILINE)
    return tuple(name.strip() for name in found[-1].split(",")) if found else ()


def listed(source: str, registry: str) -> list[Listed]:
    """The classes that ``registry`` is told about."""
    function = _function(source, registry)
    calls = _calls(function, registry) if function else []
    return [Listed(call.name, registry, _line(call.statement), call.metadata) for call in calls]


def insert(source: str, entry: Entry, registry: str, metadata: str) -> str:
    """Add the call behind the last one, and the import."""
    function = _function(source, registry)
    calls = _calls(function, registry) if function else []
    if function is None or not calls:
        raise AnchorNotFound(entry.path or PATH, f"the function that calls {registry}.register")
    if any(call.name == entry.object for call in calls):
        return source
    text = f"\n    # {entry.object}\n    {registry}.register(\n        model_class={entry.object},\n"
    source = insert_before(source, last_line(calls[-1].statement) + 1, f"{text}        metadata={metadata},\n    )\n")
    return _import(source, entry, registry)


def remove(source: str, entry: Entry, registry: str) -> str:
    """Take the call out, and the import."""
    function = _function(source, registry)
    for call in _calls(function, registry) if function else []:
        if call.name == entry.object:
            first = call.statement.lineno
            while first > 1 and get_lines(source, first - 1, first - 1).strip() in ("", f"# {entry.object}"):
                first -= 1
            source = remove_lines(source, first, last_line(call.statement))
            return _without_import(source, entry, registry)
    return source


def _function(source: str, registry: str) -> ast.FunctionDef | None:
    for node in parse(source).body:
        if isinstance(node, ast.FunctionDef) and _calls(node, registry):
            return node
    return None


def _calls(function: ast.FunctionDef, registry: str) -> list[Call]:
    found: list[Call] = []
    for statement in function.body:
        call = statement.value if isinstance(statement, ast.Expr) else None
        if isinstance(call, ast.Call) and ast.unparse(call.func) == f"{registry}.register":
            given = [*call.args, *(keyword.value for keyword in call.keywords)]
            # A call without arguments, somebody being about to write them, registers nothing.
            if given:
                found.append(Call(ast.unparse(given[0]), ast.unparse(given[-1]), statement))
    return found


def _line(statement: ast.stmt) -> int:
    """The line that names the class."""
    assert isinstance(statement, ast.Expr)
    assert isinstance(statement.value, ast.Call)
    call = statement.value
    return (call.args[0] if call.args else call.keywords[0].value).lineno


def _imports(source: str, registry: str) -> list[ast.ImportFrom]:
    function = _function(source, registry)
    return [node for node in function.body if isinstance(node, ast.ImportFrom)] if function else []


def _import(source: str, entry: Entry, registry: str) -> str:
    imports = _imports(source, registry)
    module = entry.text_key
    for node in imports:
        if node.module == module:
            names = [name for name, _ in code_names.elements(node)]
            index = sorted_among(names, entry.object, import_name_key)
            return code_names.insert_name(source, node, node, entry.object, index, entry.width)
    index = sorted_among([node.module or "" for node in imports], module, import_module_key)
    if not imports:
        raise AnchorNotFound(entry.path or PATH, f"the imports of the function that calls {registry}.register")
    text = f"    from ..{module} import {entry.object}"
    if len(text) > entry.width:
        text = code_names.explode(text)
    return insert_before(source, imports[0].lineno if index == 0 else last_line(imports[index - 1]) + 1, text)


def _without_import(source: str, entry: Entry, registry: str) -> str:
    for node in _imports(source, registry):
        if entry.object in [name for name, _ in code_names.elements(node)]:
            return code_names.remove_name(source, node, node, entry.object, entry.width)
    return source
