"""What belongs to one model: a scaffold, or any family of diffusers, found by names and by what its pipelines take."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass

from ..errors import BadInput
from ..plan import Export, Finding
from ..registries.base import ROOT
from ..scanning import LORA
from ..spec import ModelSpec
from .view import DOCS, View

_PARAMETER = re.compile(r"^\s+(\w+): (?:Optional\[)?[\"']?(\w+)", re.MULTILINE)
_COMPONENT = re.compile(r"ComponentSpec\(\s*\"(\w+)\",\s*(\w+)")


@dataclass(frozen=True)
class Family:
    """The parts of a model.

    Attributes:
        name: As it was asked for.
        exports: Its own models, schedulers, pipelines, blocks and LoRA mixins.
        paths: Its files in the library, the tests and the docs.
        components: What its pipelines take: the name of the component -> the class.
        pages: Its docs pages below ``docs/source/en``, without the suffix.
        state: The state folder, when it is a scaffold.
    """

    name: str
    exports: tuple[Export, ...]
    paths: frozenset[str]
    components: dict[str, str]
    pages: tuple[str, ...]
    state: str | None

    def of_kind(self, *kinds: str) -> list[Export]:
        """Its exports of some kinds."""
        return [export for export in self.exports if export.kind in kinds]

    def concerns(self, finding: Finding) -> bool:
        """Whether a finding is about this model."""
        objects = {export.name for export in self.exports} | set(self.pages) | {self.name, self.name.replace("_", "-")}
        return finding.object in objects or finding.path in self.paths


def find_family(view: View, name: str) -> Family:
    """The family called ``name``.

    Raises:
        BadInput: There is no such model here.
    """
    packages = [
        folder
        for area in ("pipelines", "modular_pipelines")
        if view.snapshot.files(folder := f"{ROOT}/{area}/{name}") or view.snapshot.folders(folder)
    ]
    state = f".scaffold/{name}" if view.snapshot.exists(f".scaffold/{name}/answers.yml") else None
    owned = _scaffolded(view, name) if state else frozenset()
    longer = _longer_names(view, name)
    mine = [
        export
        for export in view.found.exports
        if export.kind not in ("LoRA mixin", "loader mixin")
        and (export.name in owned or _is_mine(export, name, packages, longer))
    ]
    if not mine and not packages and state is None:
        known = sorted(_packages(view))
        near = difflib.get_close_matches(name, known, n=1)
        raise BadInput(
            f"there is no model named {name} here", hint=f"did you mean {near[0]}?" if near else "check the name"
        )
    sources = {path for folder in packages for path in view.snapshot.walk(folder)} | {each.path for each in mine}
    components = _components(
        view, [path for path in sources if "/pipelines/" in path or "/modular_pipelines/" in path]
    )
    mixins = _lora_mixins(view, mine)
    mine.extend(export for export in view.found.exports if export.kind == "LoRA mixin" and export.name in mixins)
    paths = sources | set(_tests(view, name, mine)) | _other_files(view, name)
    pages = tuple(sorted(_pages(view, name, mine)))
    paths |= {f"docs/source/en/{page}.md" for page in pages}
    return Family(name, tuple(sorted(mine)), frozenset(paths), components, pages, state)


def _packages(view: View) -> set[str]:
    return {each for area in ("pipelines", "modular_pipelines") for each in view.snapshot.folders(f"{ROOT}/{area}")}


def _longer_names(view: View, name: str) -> list[str]:
    return [each for each in _packages(view) if each.startswith(f"{name}_")]


def _scaffolded(view: View, name: str) -> frozenset[str]:
    """The classes at the places of a scaffold; its answers may give them another prefix than the name does."""
    try:
        spec = ModelSpec(name)
    except BadInput:
        return frozenset()
    return frozenset(export.name for export in view.found.exports if spec.owns(export.path))


def _is_mine(export: Export, name: str, packages: list[str], longer: list[str]) -> bool:
    if any(export.path.startswith(f"{folder}/") for folder in packages):
        return True
    if export.path.startswith((f"{ROOT}/pipelines/", f"{ROOT}/modular_pipelines/")):
        return False
    stem = export.path.rsplit("/", 1)[1].removesuffix(".py")
    return _has_words(stem, name) and not any(_has_words(stem, other) for other in longer)


def _has_words(stem: str, name: str) -> bool:
    return re.search(rf"(?:^|_){re.escape(name)}(?:_|$)", stem) is not None


def _components(view: View, paths: Iterable[str]) -> dict[str, str]:
    """Models and schedulers that the pipelines take, by the name of the component."""
    found: dict[str, str] = {}
    for path in sorted(paths):
        for name, kind in (*_COMPONENT.findall(view.text(path)), *_PARAMETER.findall(view.text(path))):
            if kind in view.exports and view.exports[kind].kind in ("model", "scheduler"):
                found.setdefault(name, kind)
    return found


def _lora_mixins(view: View, exports: Iterable[Export]) -> set[str]:
    names: set[str] = set()
    for export in exports:
        for base in view.scanner.ancestors(export.name):
            if base.endswith("LoraLoaderMixin") and any(
                site.path == LORA for site in view.scanner.sites.get(base, ())
            ):
                names.add(base)
    return names


def _tests(view: View, name: str, exports: Iterable[Export]) -> list[str]:
    """The tests in folders of the name, and those of its models."""
    folders = [f"tests/{area}/{name}" for area in ("pipelines", "modular_pipelines")]
    found = [path for folder in folders for path in view.snapshot.walk(folder)]
    stems = {export.path.rsplit("/", 1)[1].removesuffix(".py") for export in exports if "/models/" in export.path}
    for path in view.snapshot.walk("tests/models"):
        if any(path.endswith(f"test_models_{stem}.py") for stem in stems):
            found.append(path)
    for file in (
        f"tests/schedulers/test_scheduler_{name}.py",
        f"tests/lora/test_lora_layers_{name}.py",
        f"tests/single_file/test_{name}_single_file.py",
    ):
        if view.snapshot.exists(file):
            found.append(file)
    return found


def _other_files(view: View, name: str) -> set[str]:
    return {path for path in (f"scripts/convert_{name}_to_diffusers.py",) if view.snapshot.exists(path)}


def _pages(view: View, name: str, exports: Iterable[Export]) -> set[str]:
    documented = view.documented
    found = {documented[export.name] for export in exports if export.name in documented}
    own = f"{DOCS}/api/pipelines/{name}.md"
    if view.snapshot.exists(own):
        found.add(own)
    return {path[len(DOCS) + 1 :].removesuffix(".md") for path in found}
