"""What belongs to one model and to no other: found by looking at the checkout, so that it need not be a scaffold."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from .audit.family import Family, find_family
from .audit.view import View
from .manifest import Manifest, read_manifest
from .registries.base import ROOT
from .registries.pages import DOCS
from .scanning import LORA

_AUTODOC = re.compile(r"^\[\[autodoc\]\] ([\w.]+)", re.MULTILINE)
_TEST_AREAS = ("pipelines", "modular_pipelines")


@dataclass(frozen=True)
class Belongings:
    """The parts of a model that can be taken out.

    Attributes:
        name: The model.
        files: Its files in the library, the tests, the docs and the scripts, sorted.
        classes: The classes that its files define, and its LoRA mixins.
        mixins: Its LoRA mixins, which are definitions in a module that all models share.
        pages: Its docs pages, below ``docs/source/en`` and without the suffix.
        manifest: What the scaffold wrote; None for a model that is none.
    """

    name: str
    files: tuple[str, ...]
    classes: frozenset[str]
    mixins: tuple[str, ...]
    pages: frozenset[str]
    manifest: Manifest | None


def belongings(view: View, name: str) -> Belongings:
    """What belongs to the model ``name``.

    Raises:
        BadInput: There is no such model here.
    """
    snapshot = view.snapshot
    family = find_family(view, name)
    manifest = read_manifest(snapshot, name)
    files = {*_sources(view, family), *_tests(view, family)}
    files.update(path for path in family.paths if path.startswith("scripts/"))
    if manifest is not None:
        files.update(path for path in manifest.created if snapshot.exists(path) and not path.startswith(".scaffold/"))
    classes = {site.name for sites in view.scanner.sites.values() for site in sites if site.path in files}
    mixins = tuple(
        export.name for export in family.of_kind("LoRA mixin") if _is_only_used_in(view, export.name, files)
    )
    classes.update(mixins)
    pages = {page for page in family.pages if _is_own(snapshot.read(f"{DOCS}/{page}.md") or "", view, classes)}
    files.update(f"{DOCS}/{page}.md" for page in pages)
    return Belongings(name, tuple(sorted(files)), frozenset(classes), mixins, frozenset(pages), manifest)


def _sources(view: View, family: Family) -> Iterator[str]:
    """The modules of its exports, and everything in its packages."""
    yield from (export.path for export in family.exports if export.path != LORA)
    for area in _TEST_AREAS:
        yield from _texts(view, f"{ROOT}/{area}/{family.name}")


def _tests(view: View, family: Family) -> Iterator[str]:
    yield from (path for path in family.paths if path.startswith("tests/"))
    for area in _TEST_AREAS:
        yield from _texts(view, f"tests/{area}/{family.name}")


def _texts(view: View, folder: str) -> tuple[str, ...]:
    """All files of a folder but the bytecode."""
    return view.snapshot.walk(folder, "")


def _is_only_used_in(view: View, mixin: str, files: Collection[str]) -> bool:
    users = [
        site for sites in view.scanner.sites.values() for site in sites if mixin in view.scanner.ancestors(site.name)
    ]
    return all(site.path in files for site in users)


def _is_own(page: str, view: View, classes: Collection[str]) -> bool:
    """Whether a page documents no export of another model; a common output class is nobody's."""
    documented = {name.rsplit(".", 1)[-1] for name in _AUTODOC.findall(page)}
    return documented & view.exports.keys() <= set(classes)
