"""Tests: a model-level test for every model, a pipeline-level test for every pipeline, one for every scheduler."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..plan import Export
from ..registries.base import area
from .docs import is_configured
from .problem import Problem, problem
from .view import View

_FROM = re.compile(r"from diffusers[\w.]* import (?:\(([^)]*)\)|([^\n(]*))")
_SHARED = ("_auto.py", "_common.py")
_WORD = re.compile(r"\w+")
_KINDS = {"model": "model", "pipeline": "pipeline", "modular pipeline": "modular pipeline", "scheduler": "scheduler"}
# How a test takes the class that it tests: as its declared subject, or by calling it.
_USES = (
    "= {}\n",
    "return {}\n",
    "return {},",
    "{}(",
    "{}.",
    "({})",
    "({},",
    "[{}",
    ", {})",
    ", {},",
    "    {},\n",
    "{}]",
)


def check(view: View) -> Iterator[Problem]:
    """The classes without a test."""
    if not view.snapshot.folders("tests"):
        # A practice checkout from the released sources has no tests at all.
        return
    for export in testable(view):
        folder = area(export)
        if export.name not in tested_classes(view, folder):
            message = f"{export.name} has no {_KINDS[export.kind]} test in tests/{folder}"
            line = view.line_of(export.name, export.path)
            yield problem("tests", export.name, export.path, line, message, "warning")


def testable(view: View) -> Iterator[Export]:
    """The public classes that deserve a test of their own."""
    for export in view.found.exports:
        if not view.concerns(export.name):
            continue
        if export.kind not in _KINDS or export.name not in view.in_root or view.is_deprecated(export.name):
            continue
        if area(export) not in ("models", "schedulers", "pipelines", "modular_pipelines"):
            continue
        if export.kind == "model" and not is_configured(view, export.name):
            continue
        yield export


def tested_classes(view: View, folder: str) -> dict[str, str]:
    """The classes that a test below ``tests/<folder>`` imports from diffusers and uses, with the first such file.

    Tests that lie in ``tests/pipelines`` itself, and those of what all models share, are no class's own.
    """
    if folder not in view.tested:
        view.tested[folder] = _tested_classes(view, folder)
    return view.tested[folder]


def _tested_classes(view: View, folder: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for path in view.snapshot.walk(f"tests/{folder}"):
        if path.count("/") < 3 and (folder in ("pipelines", "modular_pipelines") or path.endswith(_SHARED)):
            continue
        text = view.text(path)
        imported: set[str] = set()
        for match in _FROM.finditer(text):
            imported.update(_WORD.findall(match[1] or match[2]))
        fresh = [name for name in imported if name not in found and name in view.exports and view.concerns(name)]
        code = _FROM.sub("", text) if fresh else ""
        for name in fresh:
            if any(use.format(name) in code for use in _USES):
                found[name] = path
    return found
