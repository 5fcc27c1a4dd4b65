"""Names that registries list and nothing defines any more: a class was renamed or deleted after it was registered."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from .code import toc
from .code.text import lines_with
from .plan import Finding
from .registries import OPTIONAL, REGISTRIES, Entry, Registry, init_reading, paths, toctree
from .registries.base import ROOT
from .registries.pages import DOCS
from .scanning import LORA, RULES, Scanner
from .snapshot import Snapshot

#: So many modules that are gone are named in one notice.
_SHOWN = 5
_MODULE = re.compile(r'^ +_import_structure\["([\w.]+)"\] = \[', re.MULTILINE)


@dataclass(frozen=True)
class Stale:
    """An entry of a registry that stands for nothing."""

    registry: Registry
    entry: Entry
    name: str
    line: int

    def finding(self) -> Finding:
        """The entry as a finding that ``register --fix`` repairs."""
        message = f"{self.name} is listed and nothing defines it"
        return Finding(self.registry.NAME, self.name, self.entry.path, self.line, message, "error", True)


def find_stale(scanner: Scanner, width: int) -> list[Stale]:
    """Every entry of a name that the root, or for a LoRA mixin the loaders, export and nothing defines."""
    snapshot = scanner.snapshot
    exported = _exported(snapshot)
    # Nearly all are classes that the scan has found.
    names = {name for name in exported.keys() - scanner.sites.keys() if not _is_defined(scanner, name, exported[name])}
    found = [item for registry in (*REGISTRIES, *OPTIONAL) for item in _entries(registry, names, snapshot, width)]
    gone = {item.entry.object for item in found if item.registry.NAME == toctree.NAME}
    return [*found, *(item for item in _pages(snapshot) if item.name not in gone)]


def notices(stale: list[Stale], *, fixed: bool) -> Iterator[str]:
    """One line for each name, with the files that list it and what takes it out."""
    for name in dict.fromkeys(item.name for item in stale):
        paths = ", ".join(dict.fromkeys(item.entry.path for item in stale if item.name == name))
        end = "taken out" if fixed else "`scaffold-model register --fix` takes it out"
        yield f"{name} was listed in {paths}, and nothing defines it any more: {end}"


def moved(snapshot: Snapshot) -> Iterator[str]:
    """Notices for modules that the init of a folder lists and that are gone, while the root still exports their classes."""
    for area in ("models", "schedulers", "loaders"):
        path = f"{ROOT}/{area}/__init__.py"
        modules = dict.fromkeys(_MODULE.findall(snapshot.read(path) or ""))
        present = _modules(snapshot, f"{ROOT}/{area}")
        gone = [module for module in modules if module not in present]
        if gone:
            more = f" and {len(gone) - _SHOWN} more" if len(gone) > _SHOWN else ""
            yield (
                f"{path}: listed and gone: {', '.join(gone[:_SHOWN])}{more}; "
                "`scaffold-model check --fix` lists the classes where they are now"
            )


def _modules(snapshot: Snapshot, area: str) -> frozenset[str]:
    """The modules and packages of an area, as its init calls them."""
    found: set[str] = set()
    for path in snapshot.walk(area):
        module = path[len(area) + 1 : -len(".py")].replace("/", ".")
        found.add(module)
        while "." in module:
            module = module.rsplit(".", 1)[0]
            found.add(module)
    return frozenset(found)


def _exported(snapshot: Snapshot) -> Mapping[str, str]:
    """The names of the root's areas that are scanned, and the LoRA mixins, each with its area."""
    areas = {area for area, *_ in RULES}
    root = snapshot.read(f"{ROOT}/__init__.py") or ""
    loaders = snapshot.read(f"{ROOT}/loaders/__init__.py") or ""
    found: dict[str, str] = {}
    for half in ("structure", "types"):
        for key in init_reading.keys(root, half):
            if key.module in areas:
                found.update(dict.fromkeys(key.names, key.module))
        for key in init_reading.keys(loaders, half):
            if key.module == "lora_pipeline":
                found.update(dict.fromkeys(key.names, "loaders"))
    return found


def _is_defined(scanner: Scanner, name: str, area: str) -> bool:
    defined = re.compile(rf" *(?:class|def) {name}\b| *{name}\b *[:=]|.*\bas {name}\b")
    paths = [LORA] if area == "loaders" else scanner.snapshot.walk(f"{ROOT}/{area}")
    texts = (scanner.snapshot.read(path) or "" for path in paths)
    return any(defined.match(line) for text in texts for line in lines_with(text, name))


def _entries(registry: Registry, names: set[str], snapshot: Snapshot, width: int) -> Iterator[Stale]:
    if not names:
        return
    for path in registry_paths(registry, snapshot):
        text = (snapshot.read(path) or "").replace("\r\n", "\n")
        if not any(name in text for name in names):
            continue
        for item in registry.listed(text):
            # A mapping names the class in its value, the table of contents in a title.
            name = item.object if item.object in names else _named(item.value, names)
            if name and not _is_documented(registry, item.object, name, snapshot):
                package = (module_of(text, name),)
                entry = Entry(registry.NAME, path, item.object, item.key, item.value, item.backends, package, width)
                yield Stale(registry, entry, name, item.line)


def _is_documented(registry: Registry, local: str, name: str, snapshot: Snapshot) -> bool:
    """Whether a page is called like the name still: then its entry in the table of contents is right."""
    return registry.NAME == toctree.NAME and name in (snapshot.read(f"{DOCS}/{local}.md") or "")


def _named(value: str, names: set[str]) -> str | None:
    return next((word for word in re.findall(r"\w+", value) if word in names), None)


def module_of(text: str, name: str) -> str:
    """The package that a registry imports the name from; empty where it imports none."""
    found = re.search(rf"^from \.([\w.]+) import (?:\([^)]*\b{name}\b|[^\n(]*\b{name}\b)", text, re.MULTILINE)
    return found[1] if found else ""


def registry_paths(registry: Registry, snapshot: Snapshot) -> Iterator[str]:
    """The files that a registry lives in."""
    path = getattr(registry, "PATH", "")
    if path:
        yield from [path] if snapshot.exists(path) else []
    elif registry.NAME == "dummy_objects":
        files = snapshot.files(f"{ROOT}/utils")
        yield from (f"{ROOT}/utils/{file}" for file in files if re.fullmatch(r"dummy_\w+_objects\.py", file))
    elif registry.NAME == "plain_package":
        yield from (path for area in paths.PLAIN if snapshot.exists(path := f"{ROOT}/{area}/__init__.py"))
    else:
        areas = ("models",) if registry.NAME == "models_package" else ("pipelines", "modular_pipelines", "schedulers")
        for area in areas:
            for found in snapshot.walk(f"{ROOT}/{area}", "__init__.py"):
                if found.count("/") > 3:
                    yield found


def _pages(snapshot: Snapshot) -> Iterator[Stale]:
    """Entries of the table of contents whose page in the API part is gone."""
    text = (snapshot.read(toctree.PATH) or "").replace("\r\n", "\n")
    present = frozenset(snapshot.walk(f"{DOCS}/api", ".md"))
    for item in toc.items(text):
        if item.local.startswith("api/") and f"{DOCS}/{item.local}.md" not in present:
            entry = Entry(toctree.NAME, toctree.PATH, item.local, item.section, item.title)
            yield Stale(toctree, entry, item.local, item.first)
