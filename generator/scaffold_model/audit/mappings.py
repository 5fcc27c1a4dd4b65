"""MODULAR_PIPELINE_MAPPING and SINGLE_FILE_LOADABLE_CLASSES: what they lack, and what they name in vain."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from ..registries import blocks, modular_mapping
from ..registries.base import ROOT, Entry
from .problem import Problem, Repair, problem
from .view import View

SINGLE_FILE = f"{ROOT}/loaders/single_file_model.py"
_CLASS_NAME = re.compile(r"[\"'](\w+ModularPipeline)[\"']")


def check(view: View) -> Iterator[Problem]:
    """Problems of both mappings."""
    yield from _modular(view)
    yield from _single_file(view)


def _block(source: str, name: str) -> tuple[str, int]:
    """The statement that assigns ``name``, with the number of lines above it; only that is parsed."""
    match = re.search(rf"^{name}\b[^\n]*=[^\n]*\n(?:[ \t)\]}}#][^\n]*\n|\n)*", source, re.MULTILINE)
    return (match[0], source.count("\n", 0, match.start())) if match else ("", 0)


def _modular(view: View) -> Iterator[Problem]:
    name, path = modular_mapping.NAME, modular_mapping.PATH
    source = view.text(path)
    block, above = _block(source, modular_mapping.MAPPING)
    if not block:
        return
    items = modular_mapping.listed(block)
    mapped: set[str] = set()
    seen: dict[str, int] = {}
    for item in items:
        line = item.line + above
        classes = _classes_of(item.value, source)
        mapped.update(classes)
        gone = [each for each in classes if each not in view.scanner.sites]
        entry = Entry(name, path, item.object, modular_mapping.MAPPING)
        if gone:
            repair = Repair("remove", name, entry) if len(classes) == 1 and f'"{gone[0]}"' in block else None
            message = f'the key "{item.object}" leads to {", ".join(gone)}, which is not defined'
            yield problem(name, item.object, path, line, message, "error", repair)
        if item.object in seen:
            message = f'the key "{item.object}" is a duplicate: already in line {seen[item.object]}'
            yield problem(name, item.object, path, line, message, "warning", Repair("remove", name, entry))
        seen.setdefault(item.object, line)
    reported: set[str] = set()
    for export in view.found.exports:
        if export.kind != "modular pipeline" or export.name in mapped or f'"{export.name}"' in block:
            continue
        if not view.concerns(export.name):
            continue
        key = blocks.model_name(export, view.snapshot)
        entries = list(modular_mapping.entries(export, view.conventions, view.snapshot))
        line = items[0].line + above - 1
        if entries and key not in seen:
            message = f'{export.name} is missing: no key leads to it, although its blocks say "{key}"'
            repair = Repair("register", name, Entry(name, path, export.name))
            yield problem(name, key or export.name, path, line, message, "error", repair)
        elif key and key not in seen and f'"{export.name}"' in source:
            # One key for all the classes that a map function tells apart.
            if key in reported:
                continue
            reported.add(key)
            message = f'{export.name} is missing: the key "{key}" of its map function is not there'
            yield problem(name, key, path, line, message, "error")
        elif key is None:
            message = f"{export.name} is missing: its default blocks name no model_name"
            yield problem(name, export.name, path, line, message, "warning")
        else:
            # Whether loading has to tell the two apart is for people to decide.
            message = f'no key leads to {export.name}: "{key}" of its blocks leads to another class'
            yield problem(name, export.name, path, line, message, "hint")


def _classes_of(value: str, source: str) -> list[str]:
    """The classes that a value leads to, itself or through the function that it names."""
    found = _CLASS_NAME.findall(value) or re.findall(r"^'(\w+)'$", value)
    if found:
        return list(found)
    return list(dict.fromkeys(_CLASS_NAME.findall(_function(source, value))))


def _function(source: str, name: str) -> str:
    match = re.search(rf"^def {re.escape(name)}\(.*\n(?:(?:[ \t)].*)?\n)*", source, re.MULTILINE)
    return match[0] if match else ""


def _single_file(view: View) -> Iterator[Problem]:
    block, above = _block(view.text(SINGLE_FILE), "SINGLE_FILE_LOADABLE_CLASSES")
    if not block:
        return
    try:
        value = ast.parse(block).body[0]
    except SyntaxError as error:
        line = (error.lineno or 0) + above
        yield problem("syntax", "single_file_model", SINGLE_FILE, line, f"syntax error: {error.msg}", "error")
        return
    assert isinstance(value, ast.Assign | ast.AnnAssign)
    keys = value.value.keys if isinstance(value.value, ast.Dict) else []
    listed = {str(key.value): key.lineno + above for key in reversed(keys) if isinstance(key, ast.Constant)}
    for name, line in listed.items():
        if name not in view.scanner.sites:
            message = f"{name} is listed, but not defined"
            yield problem("single_file", name, SINGLE_FILE, line, message, "warning")
    counted = [str(key.value) for key in keys if isinstance(key, ast.Constant)]
    for name in sorted({each for each in counted if counted.count(each) > 1}):
        line = next(k.lineno for k in reversed(keys) if isinstance(k, ast.Constant) and k.value == name) + above
        yield problem(
            "single_file", name, SINGLE_FILE, line,
            f"{name} is a duplicate: already in line {listed[name]}", "warning",
        )  # fmt: skip
    for export in view.found.exports:
        if export.kind != "model" or export.name in listed or not view.concerns(export.name):
            continue
        if any(
            each.path == export.path and export.name in each.bases for each in view.scanner.sites.get(export.name, ())
        ):
            # An alias for the module that the class was in before.
            continue
        # Loading looks for the class itself or for a base of it.
        ancestors = view.scanner.ancestors(export.name)
        if "FromOriginalModelMixin" in ancestors and not ancestors & listed.keys():
            message = f"{export.name} has FromOriginalModelMixin, but SINGLE_FILE_LOADABLE_CLASSES does not list it"
            place = view.line_of(export.name, export.path)
            yield problem("single_file", export.name, export.path, place, message, "hint")
