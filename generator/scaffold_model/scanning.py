"""The classes of a checkout, found by a line scan for ``class`` statements, and what tests and docs say of them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import NamedTuple

from .plan import Kind
from .registries import init_reading
from .registries.base import ROOT
from .snapshot import Snapshot

TORCH = ("torch",)
TORCH_AND_TRANSFORMERS = ("torch", "transformers")
LORA = f"{ROOT}/loaders/lora_pipeline.py"
LORA_BASE = f"{ROOT}/loaders/lora_base.py"
# Before August 2024 the mixins were here, and had no base in common.
OLDER_LORA = f"{ROOT}/loaders/lora.py"
# The mixin that makes a class an export, for the folder that it must lie in.
RULES: tuple[tuple[str, str, Kind, tuple[str, ...]], ...] = (
    ("models", "ModelMixin", "model", TORCH),
    ("schedulers", "SchedulerMixin", "scheduler", TORCH),
    ("pipelines", "DiffusionPipeline", "pipeline", TORCH_AND_TRANSFORMERS),
    ("modular_pipelines", "ModularPipeline", "modular pipeline", TORCH_AND_TRANSFORMERS),
)
# Each pattern starts with literal text, for which ``re`` looks many times faster than for a line start.
_CLASS = re.compile(r"\nclass (\w+)(?:\(([^)]*)\))?:")
_FROM_ROOT = re.compile(r"from diffusers import (?:\(([^)]*)\)|([^\n(]*))")
_AUTODOC = re.compile(r"\[\[autodoc\]\] (\w+)\s*$", re.MULTILINE)
_STRING = re.compile(r'"(\w+)"')
_WORD = re.compile(r"\w+")
_NEIGHBOUR = re.compile(r"\nfrom \.\.(\w+)[\w.]* import")


class ClassSite(NamedTuple):
    """A ``class`` statement: where it stands and what it inherits from."""

    name: str
    path: str
    bases: tuple[str, ...]


@dataclass
class Scanner:
    """The classes of a checkout and what can be said of them."""

    snapshot: Snapshot
    sites: dict[str, list[ClassSite]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for area, *_ in RULES:
            for path in self.snapshot.walk(f"{ROOT}/{area}"):
                self._scan(path)
        for path in (LORA, OLDER_LORA, LORA_BASE):
            self._scan(path)

    def _scan(self, path: str) -> None:
        for name, bases in _CLASS.findall("\n" + (self.snapshot.read(path) or "")):
            self.sites.setdefault(name, []).append(ClassSite(name, path, _bases(bases)))

    def ancestors(self, name: str) -> frozenset[str]:
        """All classes that ``name`` inherits from, across files."""
        sites = self.sites.get(name, ())
        if len(sites) == 1:
            return self._inherited(sites[0].bases)
        return frozenset().union(*(self._inherited(site.bases) for site in sites))

    def _inherited(self, bases: tuple[str, ...]) -> frozenset[str]:
        """Some bases and all that they inherit from; many classes share their bases."""
        if bases not in self._known:
            self._known[bases] = frozenset()  # An impossible cycle of bases must not hang the scan.
            self._known[bases] = frozenset(bases).union(*(self.ancestors(base) for base in bases))
        return self._known[bases]

    @cached_property
    def _known(self) -> dict[tuple[str, ...], frozenset[str]]:
        return {}

    @cached_property
    def by_area(self) -> dict[str, list[ClassSite]]:
        """The classes of each area, without those of modules that lie in none."""
        found: dict[str, list[ClassSite]] = {area: [] for area, *_ in RULES}
        for sites in self.sites.values():
            for site in sites:
                found.setdefault(_area(site.path), []).append(site)
        return found

    @cached_property
    def root(self) -> dict[str, tuple[str, ...]]:
        """What the root init exports in either half, with the backend group."""
        source = self.snapshot.read(f"{ROOT}/__init__.py") or ""
        found: dict[str, tuple[str, ...]] = {}
        for half in ("structure", "types"):
            for key in init_reading.keys(source, half):
                found.update(dict.fromkeys(key.names, init_reading.guard_of(source, key.suite.backends)))
        return found

    def borrowed_group(self, path: str) -> tuple[str, ...]:
        """The group of a package that a pipeline's module imports from, where every pipeline there asks for more; else empty.

        It is that of the root, or for a package that is as new as the pipeline what its own init asks for.
        """
        for package in _NEIGHBOUR.findall("\n" + (self.snapshot.read(path) or "")):
            groups = self._pipeline_groups.get(package) or self._own_guards(package)
            if len(groups) == 1 and all(set(group) > set(TORCH_AND_TRANSFORMERS) for group in groups):
                return next(iter(groups))
        return ()

    def own_guard(self, site: ClassSite) -> tuple[str, ...]:
        """The backends that the package's own init asks for before it lists the class, in the order of the root."""
        folder = package_of(site.path)
        source = self.snapshot.read(f"{folder}/__init__.py") if folder else None
        try:
            keys = init_reading.keys(source or "", "structure")
        except SyntaxError:
            # The registry of the package refuses it, with the line.
            return ()
        for key in keys:
            if key.holds(site.name):
                asked = init_reading.installed(key.suite.guard)
                return (*(backend for backend in TORCH_AND_TRANSFORMERS if backend in asked), *_others(asked))
        return ()

    def _own_guards(self, package: str) -> set[tuple[str, ...]]:
        """What a package that has nothing at the root asks for before its pipelines."""
        folder = f"{ROOT}/pipelines/{package}"
        own = (site for site in self.by_area["pipelines"] if package_of(site.path) == folder)
        return {self.own_guard(site) for site in own if site.name.endswith("Pipeline")}

    @cached_property
    def _pipeline_groups(self) -> dict[str, set[tuple[str, ...]]]:
        """The backend groups in which the root exports the pipelines of each package."""
        found: dict[str, set[tuple[str, ...]]] = {}
        for site in self.by_area["pipelines"]:
            if site.name in self.root and site.name.endswith("Pipeline"):
                found.setdefault(package_of(site.path).rsplit("/", 1)[-1], set()).add(self.root[site.name])
        return found

    def asked_of_root(self, *areas: str) -> frozenset[str]:
        """Names that tests of ``areas`` import from the library's root, or that their docs document by bare name."""
        return frozenset().union(*(self._asked_in(area) for area in areas))

    def _asked_in(self, area: str) -> frozenset[str]:
        if area not in self._asked:
            names: set[str] = set()
            for path in self.snapshot.walk(f"tests/{area}"):
                for match in _FROM_ROOT.finditer(self.snapshot.read(path) or ""):
                    names.update(_WORD.findall(match[1] or match[2]))
            for path in self.snapshot.walk(f"docs/source/en/api/{area}", ".md"):
                names.update(_AUTODOC.findall(self.snapshot.read(path) or ""))
            self._asked[area] = frozenset(names)
        return self._asked[area]

    @cached_property
    def _asked(self) -> dict[str, frozenset[str]]:
        return {}

    @cached_property
    def loadable(self) -> frozenset[str]:
        """Classes that the loading of pipelines looks up by name in the library's root."""
        source = self.snapshot.read(f"{ROOT}/pipelines/pipeline_loading_utils.py") or ""
        table = re.search(r'\n +"diffusers": \{(.*?)\}', source, re.DOTALL)
        return frozenset(_STRING.findall(table[1])) if table else frozenset()

    def listed_in(self, path: str, *halves: str) -> set[str]:
        """What an init module lists in these halves, or in either."""
        source = self.snapshot.read(path)
        if source is None:
            return set()
        chosen = halves or ("structure", "types")
        return {name for half in chosen for block in init_reading.blocks(source, half) for name in block.names}


def _others(backends: tuple[str, ...]) -> tuple[str, ...]:
    """The backends that not every pipeline asks for."""
    return tuple(backend for backend in backends if backend not in TORCH_AND_TRANSFORMERS)


@cache
def _area(path: str) -> str:
    """The folder of the library that holds a module."""
    return path[len(ROOT) + 1 :].split("/", 1)[0]


@cache
def _bases(text: str) -> tuple[str, ...]:
    """The names of the bases in the brackets of a ``class`` statement."""
    named = (base.strip() for base in text.split(",") if "=" not in base)
    return tuple(base.rsplit(".", 1)[-1] for base in named if base)


@cache
def package_of(path: str) -> str:
    """The folder that holds a module, when that is a package below an area."""
    folder = path.rsplit("/", 1)[0]
    return folder if folder.count("/") > 2 else ""
