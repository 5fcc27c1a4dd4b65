"""Hooks and guiders that the root exports: those that their folder's init offers a user, and those of new modules."""

from __future__ import annotations

import re
from collections.abc import Iterator

from .plan import Export
from .registries import init_blocks, init_reading
from .registries.base import ROOT
from .scanning import TORCH, Scanner

_CONFIG = re.compile(r"^class ([A-Z]\w*)Config\b", re.MULTILINE)
_APPLY = re.compile(r"^def (apply_\w+)\(", re.MULTILINE)
_GUIDER = re.compile(r"^class ([A-Z]\w*)\(BaseGuidance\):", re.MULTILINE)


def find_hooks(scanner: Scanner) -> Iterator[Export]:
    """What ``hooks/__init__`` takes from a module with a ``*Config``: the hooks that a user switches on.

    Of a module that it does not know yet it is the configuration and the function that are called alike.
    """
    for key in _keys(scanner, "hooks"):
        if any(name.endswith("Config") for name in key.names):
            path = f"{ROOT}/hooks/{key.module.replace('.', '/')}.py"
            yield from (Export(name, path, "model", TORCH) for name in key.names)
    for path, text in _new_modules(scanner, "hooks"):
        functions = {name.removeprefix("apply_").replace("_", ""): name for name in _APPLY.findall(text)}
        for stem in _CONFIG.findall(text):
            if stem.lower() in functions:
                yield Export(f"{stem}Config", path, "model", TORCH)
                yield Export(functions[stem.lower()], path, "model", TORCH)


def find_guiders(scanner: Scanner) -> Iterator[Export]:
    """The guiders that a pipeline's test takes from the root, or that loading a pipeline looks up there.

    A component is saved as ``["diffusers", "FooGuidance"]``: one that a pipeline or a block can hold must be there.
    """
    known = [
        Export(name, f"{ROOT}/guiders/{key.module}.py", "model", TORCH)
        for key in _keys(scanner, "guiders")
        for name in key.names
    ]
    fresh = [export for export in (*known, *new_guiders(scanner)) if export.name not in scanner.root]
    if fresh:
        asked = scanner.asked_of_root("pipelines", "modular_pipelines", "guiders") | scanner.loadable
        yield from (export for export in fresh if export.name in asked or _is_component(scanner, export.name))


def _is_component(scanner: Scanner, name: str) -> bool:
    """Whether a module of a pipeline takes the guider from its folder."""
    taken = re.compile(rf"\nfrom \.+guiders[\w.]* import (?:\([^)]*\b{name}\b|[^\n(]*\b{name}\b)")
    return any(
        name in text and taken.search(text)
        for area in ("pipelines", "modular_pipelines")
        for path in scanner.snapshot.walk(f"{ROOT}/{area}")
        for text in [scanner.snapshot.read(path) or ""]
    )


def new_guiders(scanner: Scanner) -> list[Export]:
    """The guiders of modules that the init of their folder does not know yet: it lists all, and the root most."""
    modules = _new_modules(scanner, "guiders")
    return [Export(name, path, "model", TORCH) for path, text in modules for name in _GUIDER.findall(text)]


def new_hooks(scanner: Scanner) -> list[Export]:
    """The ``apply_*`` functions of modules that the init of their folder does not know yet: it lists all, the root few."""
    modules = _new_modules(scanner, "hooks")
    return [Export(name, path, "model", TORCH) for path, text in modules for name in _APPLY.findall(text)]


def _keys(scanner: Scanner, area: str) -> list[init_blocks.Key]:
    return init_reading.keys(scanner.snapshot.read(f"{ROOT}/{area}/__init__.py") or "", "types")


def _new_modules(scanner: Scanner, area: str) -> Iterator[tuple[str, str]]:
    """The public modules of a folder that its init takes nothing from, with their texts; none where it has no init."""
    known = {key.module for key in _keys(scanner, area)}
    for file in scanner.snapshot.files(f"{ROOT}/{area}") if known else ():
        if file.endswith(".py") and file[0] != "_" and file.removesuffix(".py") not in known:
            yield f"{ROOT}/{area}/{file}", scanner.snapshot.read(f"{ROOT}/{area}/{file}") or ""
