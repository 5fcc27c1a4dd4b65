"""What is on disk and must be registered, found by a line scan for ``class`` statements.

The rules are shapes that nearly all of diffusers' own pull requests follow: descendants of ModelMixin in ``models/``, of
DiffusionPipeline in ``pipelines/``, of SchedulerMixin in ``schedulers/``, of ModularPipeline with the blocks that they
name, and LoRA mixins. What no rule decides is exported when a test or a docs page takes it from the library's root.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

from .plan import Export, Kind
from .registries import blocks, init_reading
from .registries.base import ROOT, Page
from .registries.pages import find_pages
from .snapshot import Snapshot

TORCH = ("torch",)
TORCH_AND_TRANSFORMERS = ("torch", "transformers")
LORA = f"{ROOT}/loaders/lora_pipeline.py"
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
_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class ClassSite:
    """A ``class`` statement: where it stands and what it inherits from."""

    name: str
    path: str
    bases: tuple[str, ...]


@dataclass(frozen=True)
class Discovery:
    """What was found.

    Attributes:
        exports: What must be registered at the root and on the way there.
        components: Models that only their own pipeline package lists, since loading a pipeline looks for them there.
        pages: Docs pages that belong in the table of contents.
        registered: Names that the root (for a LoRA mixin: the loaders) exports already, in either half.
        notices: What could not be decided, with the reason.
    """

    exports: tuple[Export, ...]
    components: tuple[Export, ...]
    pages: tuple[Page, ...]
    registered: frozenset[str]
    notices: tuple[str, ...] = ()


@dataclass
class Scanner:
    """The classes of a checkout and what can be said of them."""

    snapshot: Snapshot
    sites: dict[str, list[ClassSite]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for area, *_ in RULES:
            for path in self.snapshot.walk(f"{ROOT}/{area}"):
                self._scan(path)
        self._scan(LORA)
        self._scan(f"{ROOT}/loaders/lora_base.py")

    def _scan(self, path: str) -> None:
        for match in _CLASS.finditer("\n" + (self.snapshot.read(path) or "")):
            bases = tuple(
                base.strip().rsplit(".", 1)[-1]
                for base in (match[2] or "").split(",")
                if base.strip() and "=" not in base
            )
            self.sites.setdefault(match[1], []).append(ClassSite(match[1], path, bases))

    def ancestors(self, name: str) -> frozenset[str]:
        """All classes that ``name`` inherits from, across files."""
        if name not in self._ancestors:
            self._ancestors[name] = frozenset()  # An impossible cycle of bases must not hang the scan.
            bases = {base for site in self.sites.get(name, ()) for base in site.bases}
            self._ancestors[name] = frozenset(bases.union(*(self.ancestors(base) for base in bases)))
        return self._ancestors[name]

    @cached_property
    def _ancestors(self) -> dict[str, frozenset[str]]:
        return {}

    @cached_property
    def root(self) -> dict[str, tuple[str, ...]]:
        """What the root init exports in either half, with the backend group."""
        source = self.snapshot.read(f"{ROOT}/__init__.py") or ""
        return {
            item.object: init_reading.guard_of(source, item.backends)
            for half in ("structure", "types")
            for item in init_reading.listed(source, half)
        }

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

    def listed_in(self, path: str) -> set[str]:
        """What an init module lists in either half."""
        source = self.snapshot.read(path)
        if source is None:
            return set()
        return {item.object for half in ("structure", "types") for item in init_reading.listed(source, half)}


def discover(snapshot: Snapshot, scanner: Scanner | None = None) -> Discovery:
    """Everything that must be registered, registered or not; ``scanner`` is one of this snapshot, if there is one."""
    scanner = scanner or Scanner(snapshot)
    exports = [*_by_rule(scanner), *_lora_mixins(scanner), *_hooks(scanner), *_guiders(scanner)]
    exports.extend(_blocks(scanner, [export for export in exports if export.kind == "modular pipeline"]))
    components = sorted(_components(scanner))
    new = [export for export in exports if export.name not in scanner.root]
    fresh = {export.path for export in [*new, *components]}
    more, notices = _undecided(scanner, {export.name for export in exports}, fresh)
    paths = {site.name: site.path for sites in scanner.sites.values() for site in sites}
    return Discovery(
        exports=tuple(sorted({*exports, *more})),
        components=tuple(components),
        pages=tuple(find_pages(snapshot, paths)),
        registered=frozenset(scanner.root) | frozenset(scanner.listed_in(f"{ROOT}/loaders/__init__.py")),
        notices=tuple(notices),
    )


def _by_rule(scanner: Scanner) -> Iterator[Export]:
    for area, mixin, kind, backends in RULES:
        inner = scanner.listed_in(f"{ROOT}/{area}/__init__.py") if area in ("models", "schedulers") else set()
        for sites in scanner.sites.values():
            for site in sites:
                if not site.path.startswith(f"{ROOT}/{area}/") or mixin not in scanner.ancestors(site.name):
                    continue
                if not _is_public(site, mixin, scanner):
                    continue
                # Listed in its folder and not above: on purpose, unless something takes it from the root.
                held_back = site.name in inner and site.name not in scanner.root
                if held_back and site.name not in scanner.asked_of_root(area):
                    continue
                yield Export(site.name, site.path, kind, _group(scanner, site, kind, backends))


def _is_public(site: ClassSite, mixin: str, scanner: Scanner) -> bool:
    """Not private, no mixin to inherit from, and not part of the module that defines the base class itself."""
    base = any(other.path == site.path for other in scanner.sites.get(mixin, ()))
    return not site.name.startswith("_") and not site.name.endswith("Mixin") and not base


def _group(scanner: Scanner, site: ClassSite, kind: Kind, default: tuple[str, ...]) -> tuple[str, ...]:
    """The backend group: that of the root where it is exported already, else by rule."""
    known = scanner.root.get(site.name)
    if known:
        return known
    if kind == "scheduler" and _needs_torchsde(scanner, site.path, set()):
        return ("torch", "torchsde")
    if kind == "pipeline":
        return _package_group(scanner, site, default)
    return default


def _package_group(scanner: Scanner, site: ClassSite, default: tuple[str, ...]) -> tuple[str, ...]:
    """The group of the other pipelines of the package, if all of them ask for something else than the default.

    A statement for the package in an earlier group would be undone, or fail, when the later group assigns the key.
    """
    package = site.path.split("/")[3]
    keys = init_reading.keys(scanner.snapshot.read(f"{ROOT}/pipelines/__init__.py") or "", "structure")
    guards = [key.suite.guard for key in keys if key.module == package and key.objects and key.suite.guard]
    if not guards or any(set(guard) == set(default) for guard in guards):
        return default
    return guards[-1]


def _needs_torchsde(scanner: Scanner, path: str, seen: set[str]) -> bool:
    """Whether a scheduler's module imports torchsde, itself or through its neighbours."""
    if path in seen:
        return False
    seen.add(path)
    source = scanner.snapshot.read(path) or ""
    if re.search(r"^(?:import|from) torchsde\b", source, re.MULTILINE):
        return True
    folder = path.rsplit("/", 1)[0]
    neighbours = re.findall(r"^from \.(\w+) import", source, re.MULTILINE)
    return any(_needs_torchsde(scanner, f"{folder}/{name}.py", seen) for name in neighbours)


def _hooks(scanner: Scanner) -> Iterator[Export]:
    """What ``hooks/__init__`` takes from a module with a ``*Config``: the hooks that a user switches on."""
    for key in init_reading.keys(scanner.snapshot.read(f"{ROOT}/hooks/__init__.py") or "", "types"):
        names = [name for name, _ in key.objects]
        if any(name.endswith("Config") for name in names):
            path = f"{ROOT}/hooks/{key.module.replace('.', '/')}.py"
            yield from (Export(name, path, "model", TORCH) for name in names)


def _guiders(scanner: Scanner) -> Iterator[Export]:
    """What ``guiders/__init__`` lists and a pipeline's test takes from the root."""
    path = f"{ROOT}/guiders/__init__.py"
    keys = init_reading.keys(scanner.snapshot.read(path) or "", "types")
    fresh = [(name, key.module) for key in keys for name, _ in key.objects if name not in scanner.root]
    if fresh:
        asked = scanner.asked_of_root("pipelines", "modular_pipelines", "guiders")
        for name, module in fresh:
            if name in asked:
                yield Export(name, f"{ROOT}/guiders/{module}.py", "model", TORCH)


def _lora_mixins(scanner: Scanner) -> Iterator[Export]:
    for sites in scanner.sites.values():
        for site in sites:
            if site.path == LORA and "LoraBaseMixin" in scanner.ancestors(site.name) and site.name[0] != "_":
                yield Export(site.name, site.path, "LoRA mixin", TORCH_AND_TRANSFORMERS)


def _blocks(scanner: Scanner, pipelines: Iterable[Export]) -> Iterator[Export]:
    """The blocks that a modular pipeline names, and all ``*AutoBlocks`` beside a modular pipeline."""
    packages: dict[str, set[str]] = {}
    for pipeline in pipelines:
        named = packages.setdefault(_package(pipeline.path), set())
        if pipeline.name not in scanner.root or pipeline.name.removesuffix("ModularPipeline") == pipeline.name:
            named.add(blocks.default_blocks(pipeline, scanner.snapshot) or "")
    for sites in scanner.sites.values():
        for site in sites:
            package = _package(site.path)
            if package not in packages or not site.path.startswith(f"{ROOT}/modular_pipelines/"):
                continue
            if site.name in packages[package] or site.name.endswith("AutoBlocks") or site.name in scanner.root:
                kind: Kind = "blocks"
                if "ModularPipelineBlocks" in scanner.ancestors(site.name) or site.name in packages[package]:
                    yield Export(site.name, site.path, kind, _group(scanner, site, kind, TORCH_AND_TRANSFORMERS))


def _components(scanner: Scanner) -> Iterator[Export]:
    """Models inside a pipeline package that a pipeline there takes as a component."""
    for sites in scanner.sites.values():
        for site in sites:
            if not site.path.startswith(f"{ROOT}/pipelines/") or "ModelMixin" not in scanner.ancestors(site.name):
                continue
            folder = site.path.rsplit("/", 1)[0]
            listed = f'"{site.name}"' in (scanner.snapshot.read(f"{folder}/__init__.py") or "")
            if not listed and _is_component(scanner.snapshot, folder, site.name):
                yield Export(site.name, site.path, "model", TORCH_AND_TRANSFORMERS)


def _is_component(snapshot: Snapshot, folder: str, name: str) -> bool:
    parameter = re.compile(rf"^ +\w+: (?:Optional\[)?{name}\b", re.MULTILINE)
    return any(
        parameter.search(snapshot.read(f"{folder}/{file}") or "")
        for file in snapshot.files(folder)
        if file.startswith("pipeline_") and file.endswith(".py")
    )


def _undecided(scanner: Scanner, decided: set[str], fresh: set[str]) -> tuple[list[Export], list[str]]:
    """Of the packages with something new: what the root is asked for, and notices for what nothing decides.

    In a package that has something registered, only the files with something new (``fresh``) get notices: the rest
    has stood undecided for long.
    """
    packages = {_package(path) for path in fresh} - {""}
    old = {_package(site.path) for name in scanner.root for site in scanner.sites.get(name, ())}
    exports: list[Export] = []
    notices: list[str] = []
    for sites in scanner.sites.values():
        for site in sites:
            if _package(site.path) not in packages or not site.path.startswith(f"{ROOT}/pipelines/"):
                continue
            if site.name in decided or site.name in scanner.root or site.name.startswith("_"):
                continue
            model = "ModelMixin" in scanner.ancestors(site.name)
            if site.name in scanner.asked_of_root("pipelines"):
                exports.append(Export(site.name, site.path, "model" if model else "pipeline", TORCH_AND_TRANSFORMERS))
            elif _package(site.path) in old and site.path not in fresh:
                continue
            elif model:
                notices.append(
                    f"{site.path}: {site.name} is a ModelMixin inside pipelines/, exported at the root in half of "
                    f"the cases; take it from `diffusers` in a test or docs page to have it registered"
                )
            elif site.name.endswith("Output"):
                notices.append(
                    f"{site.path}: {site.name} is an output class, seldom exported at the root; "
                    f"take it from `diffusers` in a test or docs page to have it registered"
                )
    return exports, notices


def _package(path: str) -> str:
    """The folder that holds a module, when that is a package below an area."""
    folder = path.rsplit("/", 1)[0]
    return folder if folder.count("/") > 2 else ""
