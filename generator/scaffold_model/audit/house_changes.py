"""Conventions of the checkout that are others now than when a scaffold was rendered, as after a rebase."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..errors import ScaffoldError
from ..house import conventions, stored_conventions
from ..scaffold import read_spec
from ..spec import ModelSpec
from .problem import Problem, problem
from .view import View

#: The styles of tests: question -> the tests that follow it, the convention, and what the tests are called.
_STYLES = {
    "tests": ("tests/models/", "model_tests", "model tests"),
    "pipeline_tests": ("tests/pipelines/", "pipeline_tests", "pipeline tests"),
    "modular_tests": ("tests/modular_pipelines/", "modular_tests", "modular tests"),
}
_IMPORT = re.compile(r"^from (\.+)([\w.]*) import", re.MULTILINE)


def check(view: View) -> Iterator[Problem]:
    """A warning for each style of tests that the checkout has left, and a hint for what it has or lacks by now.

    A test in a style that the checkout has left may import what is gone; then it is an error.
    """
    for name in view.snapshot.folders(".scaffold"):
        try:
            spec = read_spec(view.snapshot, name)
        except ScaffoldError:
            # What is wrong with the record is said by the commands that need it.
            continue
        yield from _of_scaffold(view, spec)


def _of_scaffold(view: View, spec: ModelSpec) -> Iterator[Problem]:
    now = stored_conventions(view.snapshot)
    known = {one.name: one for one in conventions(view.snapshot)}
    then = f"`scaffold-model update {spec.name} --conventions` moves the model's files there"
    for question, (folder, convention, what) in _STYLES.items():
        files = _tests(view, spec, folder)
        old, new = getattr(spec, question), now[question]
        if old == new or not files:
            continue
        gone = next((module for path in files for module in _missing(view, path)), None)
        effect = f"; {gone} is gone, so that this test can not be imported" if gone else ""
        message = (
            f"the checkout's {what} are made of {known[convention].path} by now (style {new}), this one is of style "
            f"{old}{effect}: {then}"
        )
        yield problem("conventions", spec.name, files[0], None, message, "error" if gone else "warning")
    gained, lost = set(spec.lacks) - {*now["lacks"]}, {*now["lacks"]} - set(spec.lacks)
    for names, says in ((gained, "has {} by now"), (lost, "has no {} any more")):
        if names:
            told = "; ".join(known[name].meaning for name in sorted(names))
            path = f"{spec.state_folder}/answers.yml"
            message = f"the checkout {says.format(', '.join(sorted(names)))} ({told}): {then}"
            yield problem("conventions", spec.name, path, None, message, "hint")


def _tests(view: View, spec: ModelSpec, folder: str) -> list[str]:
    return [path for path in view.snapshot.walk(folder.rstrip("/")) if spec.owns(path) and "/test_" in path]


def _missing(view: View, path: str) -> Iterator[str]:
    """The modules that a test imports by a relative import and that are not there."""
    parts = path.split("/")[:-1]
    for dots, module in _IMPORT.findall(view.text(path)):
        place = "/".join([*parts[: len(parts) - len(dots) + 1], *module.split(".")])
        if module and not view.snapshot.exists(f"{place}.py") and not view.snapshot.exists(f"{place}/__init__.py"):
            yield f"{place}.py"
