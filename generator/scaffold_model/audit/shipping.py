"""What is about to ship and should not: marks to port, and what a model's first pull request leaves out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ..registries.base import ROOT
from ..todo import find_marks
from .problem import Problem, problem
from .view import View

PLACES = (("src/diffusers", ".py"), ("tests", ".py"), ("scripts", ".py"), ("docs/source/en/api", ".md"))
_MARK = re.compile(r"TODO\((\w+)\):")
_SLOW = re.compile(r"@(?:slow|nightly)\b|\bRUN_SLOW\b")
_LORA = re.compile(r"\b\w*LoraTesterMixin\b|\b\w*LoraMemoryTesterMixin\b|\bPeftLoraLoaderMixinTests\b")
_LOADED = re.compile(r"^ +pretrained_model_name_or_path = \"([^\"/]+/[^\"/]+)\"", re.MULTILINE)
# What every parity harness defines, whatever it is called.
_HARNESS = ("build_reference", "build_target")
_OWN = (f"{ROOT}/models/", f"{ROOT}/pipelines/", f"{ROOT}/modular_pipelines/")


@dataclass(frozen=True)
class Branch:
    """What a branch adds to the upstream one.

    Attributes:
        added: Files that the merge base lacks and git would ship, untracked ones included.
    """

    added: frozenset[str]


def check_marks(view: View, paths: Iterable[str] | None = None) -> Iterator[Problem]:
    """A hint for each ``TODO(<model>):``; such a comment with a person's name is none of ours."""
    models = model_names(view)
    for path in paths if paths is not None else _texts(view):
        text = view.text(path)
        if "TODO(" not in text:
            continue
        for name in dict.fromkeys(_MARK.findall(text)):
            if name in models:
                for todo in find_marks(text, path, name):
                    yield problem("todo", name, path, todo.line, f"TODO({name}): {todo.text}", "hint")


def _texts(view: View) -> Iterator[str]:
    for folder, suffix in PLACES:
        yield from view.snapshot.walk(folder, suffix)


def model_names(view: View) -> frozenset[str]:
    """What a mark can be named after: scaffolds, packages of pipelines, modules of transformers."""
    names = {*view.snapshot.folders(".scaffold")}
    for area in ("pipelines", "modular_pipelines"):
        names.update(view.snapshot.folders(f"{ROOT}/{area}"))
    for file in view.snapshot.files(f"{ROOT}/models/transformers"):
        names.add(file.removesuffix(".py").removeprefix("transformer_"))
    return frozenset(names)


def check_first(view: View, branch: Branch) -> Iterator[Problem]:
    """The parity harness, LoRA tests, slow tests and unpublished repositories among the files of a model's first pull request."""
    fresh = {export.path for export in view.found.exports if export.path.startswith(_OWN)} & branch.added
    if not fresh:
        return
    for path in sorted(branch.added):
        stem = path.rsplit("/", 1)[-1].removesuffix(".py")
        if path.startswith(".scaffold/"):
            message = "the state folder of scaffold-model must not ship: exclude /.scaffold/ from git"
            yield problem("first_pull_request", stem, path, None, message, "warning")
            continue
        if not path.endswith(".py"):
            continue
        text = view.text(path)
        if re.search(r"(?:^|_)parity(?:_|$)", stem) or all(f"\ndef {name}(" in f"\n{text}" for name in _HARNESS):
            message = "a parity harness needs the reference implementation and must not ship"
            yield problem("first_pull_request", stem, path, 1, message, "warning")
            continue
        if not path.startswith("tests/"):
            continue
        yield from _unpublished(view, branch, path, text)
        lora = _LORA.search(text)
        if lora or stem.startswith("test_lora_layers_"):
            message = "LoRA tests come after a model's first pull request"
            yield problem("first_pull_request", stem, path, _line(text, lora), message, "warning")
        slow = _SLOW.search(text)
        if slow:
            message = "slow and integration tests come after a model's first pull request"
            yield problem("first_pull_request", stem, path, _line(text, slow), message, "warning")


def _unpublished(view: View, branch: Branch, path: str, text: str) -> Iterator[Problem]:
    """A hint for the repository that a new modular test loads and no older one does: it has to be on the Hub by then."""
    match = _LOADED.search(text)
    if match is None:
        return
    for other in view.snapshot.walk("tests/modular_pipelines"):
        if other not in branch.added and f'"{match[1]}"' in view.text(other):
            return
    message = f"the test loads {match[1]} from the Hub: publish it before the pull request"
    yield problem("first_pull_request", match[1], path, _line(text, match), message, "hint")


def _line(text: str, match: re.Match[str] | None) -> int:
    return text.count("\n", 0, match.start()) + 1 if match else 1
