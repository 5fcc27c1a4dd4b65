"""The optional registries: what they name in vain, and what they lack of what is new.

A standing gap there is nobody's omission: most models were never added to all of them.
"""

from __future__ import annotations

import ast
import posixpath
from collections.abc import Iterator

from ..code.syntax import parse
from ..errors import BrokenFile
from ..plan import Export, Severity
from ..registration import wanting
from ..registries import (
    auto_pipeline,
    docs_overview,
    hook_calls,
    hooks_blocks,
    hooks_processors,
    lora_docs,
    peft_scale,
)
from ..registries.base import ROOT, Entry, Listed, Registry
from .inits import resolves
from .problem import Problem, Repair, problem
from .view import DOCS, Spot, View

# What these lack is a finding of its own, whether or not it is new.
_ELSEWHERE = ("lora_docs", "single_file")


def check(view: View) -> Iterator[Problem]:
    """Names in vain, unless one model is asked for: what is gone belongs to none. And gaps of what is new."""
    if view.focus is None:
        looks = {
            auto_pipeline.PATH: _unimportable(view, auto_pipeline.PATH, auto_pipeline),
            hook_calls.PATH: _unimportable(view, hook_calls.PATH, hooks_blocks, hooks_processors),
            peft_scale.PATH: _undefined(view, peft_scale.PATH, peft_scale),
            lora_docs.PATH: _undefined(view, lora_docs.PATH, lora_docs),
            docs_overview.PATH: _without_page(view),
        }
        for path, found in looks.items():
            try:
                yield from found
            except SyntaxError as error:
                name = posixpath.basename(path)
                yield problem("syntax", name, path, error.lineno, f"syntax error: {error.msg}", "error")
    yield from _gaps(view)


def _gaps(view: View) -> Iterator[Problem]:
    try:
        missing = list(wanting(view.snapshot, view.conventions, view.found))
    except BrokenFile:
        # That is a finding already.
        return
    for registry, subject, entry in missing:
        if registry.NAME not in _ELSEWHERE:
            path = subject.path if isinstance(subject, Export) else f"{DOCS}/{subject.local}.md"
            line = view.line_of(entry.object, path) if isinstance(subject, Export) else None
            command = f"scaffold-model register --also {registry.NAME}"
            message = f"{entry.object} may be listed in {entry.path} too; `{command}` adds that"
            yield problem(registry.NAME, subject.name, path, line, message, "hint")


def _unimportable(view: View, path: str, *registries: Registry) -> Iterator[Problem]:
    """Classes that a module lists and can not import, so that importing the module itself fails."""
    source = view.text(path)
    imports = _imports(source)
    for registry in registries:
        for item in registry.listed(source):
            if item.object in imports:
                node = imports[item.object]
                folder = path.rsplit("/", node.level)[0]
                module = node.module or ""
                if resolves(view, folder, Spot(item.object, module, item.line, (), 0, 0, 0)) is not False:
                    continue
                reason = f"{folder}/{module.replace('.', '/')} does not define it"
            elif item.object.isidentifier() and not view.defines(path, item.object):
                module, reason = "", "nothing here imports or defines it"
            else:
                continue
            message = f"{item.object} is listed, but {reason}: importing the module fails"
            there = view.path_of(item.object)
            if module and there:
                # Its entry is right, and only the import is not: nothing to take out.
                message += f"; it is in {there}, import it from there"
                yield problem(registry.NAME, item.object, path, item.line, message, "error")
            else:
                yield _vain(view, registry, path, item, message, "error", module)


def _imports(source: str) -> dict[str, ast.ImportFrom]:
    """The names that a module takes from modules beside or above it."""
    nodes = [node for node in ast.walk(parse(source)) if isinstance(node, ast.ImportFrom) and node.level]
    return {each.asname or each.name: node for node in nodes for each in node.names}


def _undefined(view: View, path: str, registry: Registry) -> Iterator[Problem]:
    """Names of classes in a text that imports none of them."""
    for item in registry.listed(view.text(path)):
        loaders = (f"{ROOT}/loaders/{file}" for file in view.snapshot.files(f"{ROOT}/loaders"))
        if item.object in view.scanner.sites or any(view.defines(file, item.object) for file in loaders):
            continue
        yield _vain(view, registry, path, item, f"{item.object} is listed, but nothing defines it", "warning")


def _without_page(view: View) -> Iterator[Problem]:
    """Rows of the overview of the pipelines that link to no page."""
    path = docs_overview.PATH
    for item in docs_overview.listed(view.text(path)):
        page = posixpath.normpath(posixpath.join(posixpath.dirname(path), item.object.removesuffix(".md")))
        if not any(view.snapshot.exists(f"{page}{suffix}") for suffix in (".md", ".mdx")):
            message = f"{item.object} is listed, but there is no {page}.md"
            yield _vain(view, docs_overview, path, item, message, "warning")


def _vain(
    view: View, registry: Registry, path: str, item: Listed, message: str, severity: Severity, module: str = ""
) -> Problem:
    """A name in vain, with its removal."""
    width = view.conventions.line_length
    entry = Entry(registry.NAME, path, item.object, item.key, item.value, order=(module,), width=width)
    repair = Repair("remove", registry.NAME, entry)
    return problem(registry.NAME, item.object, path, item.line, message, severity, repair)
