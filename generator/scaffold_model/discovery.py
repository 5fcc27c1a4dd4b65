"""What is on disk and must be registered, found by a line scan for ``class`` statements.

The rules are shapes that nearly all of diffusers' own pull requests follow: descendants of ModelMixin in ``models/``, of
DiffusionPipeline in ``pipelines/``, of SchedulerMixin in ``schedulers/``, of ModularPipeline with the blocks that they
name, and the mixins of ``loaders/``. What no rule decides is exported when a test or a docs page takes it from the library's root.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache

from .helper_classes import find_arguments, find_quantization
from .hooks_guiders import find_guiders, find_hooks, new_guiders, new_hooks
from .loader_mixins import find_mixins
from .plan import Export, Kind
from .registries import blocks, init_reading
from .registries.base import ROOT, Page
from .registries.pages import find_pages
from .scanning import RULES, TORCH_AND_TRANSFORMERS, ClassSite, Scanner, package_of
from .snapshot import Snapshot
from .undecided import Undecided
from .undecided_helpers import helper_notices

# So many classes of a kind in a module show that all of the kind are exported.
FAMILY = 2
_DEFAULT_BLOCKS = re.compile(r"\n +default_blocks_name = \"(\w+)\"")
_CAMEL = re.compile(r"[A-Z]+(?![a-z])|[A-Z][a-z]*|\d+")


@dataclass(frozen=True)
class Discovery:
    """What was found.

    Attributes:
        exports: What must be registered at the root and on the way there.
        components: Models that only their own pipeline package lists, since loading a pipeline looks for them there.
        partial: Outputs, guiders and hooks that one registry lists as it lists their neighbours, with that registry's name.
        pages: Docs pages that belong in the table of contents.
        registered: Names that the root (for a LoRA mixin: the loaders) exports already, in either half.
        notices: What could not be decided, with the reason.
    """

    exports: tuple[Export, ...]
    components: tuple[Export, ...]
    partial: tuple[tuple[Export, str], ...]
    pages: tuple[Page, ...]
    registered: frozenset[str]
    notices: tuple[str, ...] = ()


def discover(snapshot: Snapshot, scanner: Scanner | None = None) -> Discovery:
    """Everything that must be registered, registered or not; a scanner of the same snapshot saves the scan."""
    scanner = scanner or Scanner(snapshot)
    exports = [*_by_rule(scanner), *find_mixins(scanner), *find_hooks(scanner), *find_guiders(scanner)]
    exports += [*find_arguments(scanner), *find_quantization(scanner)]
    exports.extend(_blocks(scanner, [export for export in exports if export.kind == "modular pipeline"]))
    exports.extend(_kin(scanner, {export.name for export in exports}))
    components = sorted(_components(scanner))
    new = [export for export in exports if export.name not in scanner.root]
    fresh = {export.path for export in [*new, *components]}
    undecided = Undecided(scanner, {export.name for export in exports}, fresh, {c.name for c in components})
    more = undecided.exports()
    guiders = [guider for guider in new_guiders(scanner) if guider not in new]
    listed = [*guiders, *(hook for hook in new_hooks(scanner) if hook not in new)]
    paths = {site.name: site.path for sites in scanner.sites.values() for site in sites}
    names = frozenset(export.name for export in [*new, *more])
    return Discovery(
        exports=tuple(sorted({*exports, *more})),
        components=tuple(components),
        partial=(*undecided.partial(), *((export, "plain_package") for export in listed)),
        pages=tuple(find_pages(snapshot, paths, names)),
        registered=frozenset(scanner.root) | frozenset(scanner.listed_in(f"{ROOT}/loaders/__init__.py")),
        notices=(*undecided.notices(), *helper_notices(scanner, names, guiders)),
    )


def _by_rule(scanner: Scanner) -> Iterator[Export]:
    for area, mixin, kind, backends in RULES:
        inner = scanner.listed_in(f"{ROOT}/{area}/__init__.py") if area in ("models", "schedulers") else set()
        # What stands in the module of the base class is part of it.
        own = {site.path for site in scanner.sites.get(mixin, ())}
        for site in scanner.by_area[area]:
            if site.path in own or mixin not in scanner.ancestors(site.name):
                continue
            if site.name.startswith("_") or site.name.endswith("Mixin"):
                continue
            # Listed in its folder and not above: on purpose, unless something takes it from the root.
            held_back = site.name in inner and site.name not in scanner.root
            if held_back and site.name not in scanner.asked_of_root(area):
                continue
            yield Export(site.name, site.path, kind, _group(scanner, site, kind, backends))


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

    A statement for the package in an earlier group would be undone, or fail, when the later group assigns the key. The
    first pipeline of a package has no others; there the guard around it in the package's own init says it.
    """
    package = site.path.split("/")[3]
    keys = init_reading.keys(scanner.snapshot.read(f"{ROOT}/pipelines/__init__.py") or "", "structure")
    guards = [key.suite.guard for key in keys if key.module == package and key.objects and key.suite.guard]
    group = default if guards else scanner.own_guard(site) or default
    if guards and not any(set(guard) == set(default) for guard in guards):
        group = guards[-1]
    return (scanner.borrowed_group(site.path) if set(group) == set(default) else ()) or group


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


def _kin(scanner: Scanner, known: set[str]) -> Iterator[Export]:
    """Classes with the bases and the name of at least two others in their module, all of which the root exports.

    So come a further ``AutoPipelineFor*`` and a further ``*ParallelConfig``.
    """
    modules: dict[str, list[ClassSite]] = {}
    for sites in scanner.sites.values():
        for site in sites:
            modules.setdefault(site.path, []).append(site)
    for path, sites in modules.items():
        if sum(site.name in scanner.root for site in sites) < FAMILY:
            continue
        for site in sites:
            if site.name in scanner.root or site.name in known or site.name.startswith("_"):
                continue
            same = (other for other in sites if other.bases == site.bases and other is not site)
            kin = [other for other in same if _akin(other, site)]
            if len(kin) >= FAMILY and all(other.name in scanner.root for other in kin):
                kind: Kind = "pipeline" if path.startswith(f"{ROOT}/pipelines/") else "model"
                yield Export(site.name, path, kind, scanner.root[kin[-1].name])


def _akin(one: ClassSite, other: ClassSite) -> bool:
    """``ContextParallelConfig`` and ``TensorParallelConfig``; ``AutoPipelineForA`` and ``AutoPipelineForB``."""
    first, second = _words(one.name), _words(other.name)
    return bool(first[:3] == second[:3] or (len(second) > 2 and first[-2:] == second[-2:]))


@cache
def _words(name: str) -> list[str]:
    """The words of a class name."""
    return _CAMEL.findall(name)


def _blocks(scanner: Scanner, pipelines: Iterable[Export]) -> Iterator[Export]:
    """The blocks that a modular pipeline names, and all ``*AutoBlocks`` beside a modular pipeline."""
    packages: dict[str, set[str]] = {}
    for pipeline in pipelines:
        named = packages.setdefault(package_of(pipeline.path), set())
        text = scanner.snapshot.read(pipeline.path) or ""
        if pipeline.name in scanner.root and scanner.root.keys() >= {*_DEFAULT_BLOCKS.findall(text)}:
            # Every name that this module holds is registered: which one is whose need not be parsed.
            continue
        named.add(blocks.default_blocks(pipeline, scanner.snapshot) or "")
    for sites in scanner.sites.values():
        for site in sites:
            package = package_of(site.path)
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
    files = [file for file in snapshot.files(folder) if file.startswith("pipeline_") and file.endswith(".py")]
    texts = (snapshot.read(f"{folder}/{file}") or "" for file in files)
    return any(name in text and parameter.search(text) for text in texts)
