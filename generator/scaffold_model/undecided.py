"""Classes of pipeline packages that no base class decides: output classes and models inside ``pipelines/``.

What a test or a docs page takes from the library's root is exported. Else the package itself says it: how it lists the
outputs beside, what its docstrings link to, and whether anybody imports the class by its module.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from .plan import Export
from .registries.base import ROOT
from .scanning import TORCH_AND_TRANSFORMERS, ClassSite, Scanner, package_of

OUTPUT = "is an output class, seldom exported at the root"
PACKAGE_HALVES = (("structure", "package_structure"), ("types", "package_types"))


@dataclass
class Undecided:
    """The classes of the packages with something new that the rules for base classes leave open.

    Attributes:
        scanner: All classes.
        decided: Names that the rules export.
        fresh: Files with something that is not registered yet.
        components: Models that a pipeline of their package takes as a parameter.
    """

    scanner: Scanner
    decided: set[str]
    fresh: set[str]
    components: set[str]

    def exports(self) -> list[Export]:
        """What must be registered at the root after all."""
        return [
            Export(site.name, site.path, "model" if self._is_model(site) else "pipeline", TORCH_AND_TRANSFORMERS)
            for site in self._open
            if self._is_export(site)
        ]

    def partial(self) -> Iterator[tuple[Export, str]]:
        """New outputs that a half of the package's init must list, since it lists all their neighbours."""
        for site in self._open:
            if self._is_export(site) or not self._is_new_output(site):
                continue
            for half, registry in PACKAGE_HALVES:
                listed = self._listed(site, half)
                kin = self._kin(site)
                if kin and listed.issuperset(kin) and site.name not in listed:
                    yield Export(site.name, site.path, "pipeline", TORCH_AND_TRANSFORMERS), registry

    def notices(self) -> Iterator[str]:
        """What nothing decides, with the reason.

        In a package that has something registered, only the files with something new get notices: the rest has stood
        undecided for long.
        """
        for site in self._open:
            if self._is_export(site):
                continue
            if package_of(site.path) in self._old and site.path not in self.fresh and not self._is_new_output(site):
                continue
            if self._is_model(site):
                yield _notice(site, "is a ModelMixin inside pipelines/, exported at the root in half of the cases")
            elif site.name.endswith("Output"):
                yield _notice(site, OUTPUT)
            elif self._is_argument(site) or all(site.name in self._listed(site, half) for half, _ in PACKAGE_HALVES):
                yield _notice(site, "is public in its package and of no kind that is exported by rule")
        for name, sites in self.scanner.sites.items():
            for site in sites:
                if site.path in self.fresh and name.endswith("SchedulerOutput") and self._is_left_out(site):
                    yield _notice(site, OUTPUT)

    def _is_argument(self, site: ClassSite) -> bool:
        """A class without bases that a method of its own pipeline module takes: the user has to make one."""
        if site.bases or not _is_pipeline_module(site) or site.path not in self.fresh:
            return False
        text = self.scanner.snapshot.read(site.path) or ""
        return bool(re.search(rf"^ +\w+: [^\n=]*\b{site.name}\b", text, re.MULTILINE))

    def _is_left_out(self, site: ClassSite) -> bool:
        """In ``schedulers/``, public, and exported neither by a rule nor by hand."""
        inside = site.path.startswith(f"{ROOT}/schedulers/") and not site.name.startswith("_")
        return inside and site.name not in self.decided and site.name not in self.scanner.root

    @cached_property
    def _old(self) -> set[str]:
        """The packages that have something registered."""
        return {package_of(site.path) for name in self.scanner.root for site in self.scanner.sites.get(name, ())}

    @cached_property
    def _open(self) -> list[ClassSite]:
        packages = {package_of(path) for path in self.fresh} - {""}
        asked = self.scanner.asked_of_root("pipelines")
        return [
            site
            for site in self.scanner.by_area["pipelines"]
            if package_of(site.path) in packages or site.name in asked
            if site.name not in self.decided and site.name not in self.scanner.root and site.name[0] != "_"
        ]

    def _is_model(self, site: ClassSite) -> bool:
        return "ModelMixin" in self.scanner.ancestors(site.name)

    def _is_export(self, site: ClassSite) -> bool:
        if site.name in self.scanner.asked_of_root("pipelines"):
            return True
        if self._is_model(site):
            if self._is_in_model_module(site):
                return True
            # A user gets hold of a component at the root, unless its own tests and scripts go to its module for it.
            # A release has neither, so that nothing is known there.
            return self._is_component(site) and self._has_tests and not self._is_imported_by_module(site.name)
        if self._is_argument(site):
            return self._is_linked(site)
        return self._is_new_output(site) and (self._is_public_output(site) or self._kin_is_at_root(site))

    def _is_in_model_module(self, site: ClassSite) -> bool:
        """In ``foo/modeling_foo.py`` of a new package foo, and listed in both halves of that package."""
        folder, _, module = site.path.rpartition("/")
        if module != f"modeling_{folder.rsplit('/', 1)[-1]}.py" or package_of(site.path) in self._old:
            return False
        return all(site.name in self._listed(site, half) for half, _ in PACKAGE_HALVES)

    def _is_component(self, site: ClassSite) -> bool:
        return site.name in self.components and site.path in self.fresh

    @property
    def _has_tests(self) -> bool:
        return bool(self.scanner.snapshot.folders("tests/pipelines"))

    def _is_imported_by_module(self, name: str) -> bool:
        taken = re.compile(rf"from diffusers\.[\w.]+ import (?:\([^)]*\b{name}\b|[^\n(]*\b{name}\b)")
        return any(
            name in text and taken.search(text)
            for folder in ("tests/pipelines", "scripts")
            for path in self.scanner.snapshot.walk(folder)
            for text in [self.scanner.snapshot.read(path) or ""]
        )

    def _is_new_output(self, site: ClassSite) -> bool:
        """An output that only files with something new use; they include its own file, where it has no user yet."""
        if not site.name.endswith("Output"):
            return False
        users = {path for path, text in self._sources(site) if path != site.path and site.name in text}
        return users <= self.fresh if users else site.path in self.fresh

    def _is_public_output(self, site: ClassSite) -> bool:
        """Both halves of the package list it, and a docstring links to it."""
        return all(site.name in self._listed(site, half) for half, _ in PACKAGE_HALVES) and self._is_linked(site)

    def _is_linked(self, site: ClassSite) -> bool:
        """Whether a docstring links to it by its bare name, as to what the root has."""
        link = re.compile(rf"\[`~?{site.name}`\]")
        return any(link.search(text) for _, text in self._sources(site))

    def _kin_is_at_root(self, site: ClassSite) -> bool:
        kin = self._kin(site)
        return bool(kin) and kin <= self.scanner.root.keys()

    def _kin(self, site: ClassSite) -> set[str]:
        """The outputs of the package that are not new: of the same module; for a pipeline's module, of the others."""
        package = package_of(site.path)
        kin = [
            other
            for sites in self.scanner.sites.values()
            for other in sites
            if package_of(other.path) == package and other.name.endswith("Output") and other.name[0] != "_"
            if not self._is_new_output(other)
        ]
        same = [other for other in kin if other.path == site.path]
        if not same and _is_pipeline_module(site):
            same = [other for other in kin if _is_pipeline_module(other)]
        return {other.name for other in same}

    def _listed(self, site: ClassSite, half: str) -> set[str]:
        return self.scanner.listed_in(f"{package_of(site.path)}/__init__.py", half)

    def _sources(self, site: ClassSite) -> Iterator[tuple[str, str]]:
        folder = package_of(site.path)
        for file in self.scanner.snapshot.files(folder):
            if file.endswith(".py") and file != "__init__.py":
                yield f"{folder}/{file}", self.scanner.snapshot.read(f"{folder}/{file}") or ""


def _is_pipeline_module(site: ClassSite) -> bool:
    return site.path.rsplit("/", 1)[-1].startswith("pipeline_")


def _notice(site: ClassSite, reason: str) -> str:
    """Why a class is left to the contributor, and how to have it registered."""
    return f"{site.path}: {site.name} {reason}; take it from `diffusers` in a test or docs page to have it registered"
