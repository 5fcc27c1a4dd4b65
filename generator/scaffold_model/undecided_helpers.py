"""Helper classes outside the packages of models that nothing decides: each is a notice with its reason."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator

from .plan import Export
from .registries import init_reading
from .registries.base import ROOT
from .scanning import ClassSite, Scanner

QUANTIZATION = f"{ROOT}/quantizers/quantization_config.py"
MODELING = f"{ROOT}/models/modeling_utils.py"
_QUANTIZED = re.compile(r"^class ([A-Z]\w*)\(QuantizationConfigMixin\):", re.MULTILINE)
_ANNOTATED = re.compile(r"^    def [a-z]\w*\(([^)]*)\)", re.MULTILINE)
_CLASS_NAME = re.compile(r"\b[A-Z]\w*[a-z]\w*")
FAMILY = 2


def helper_notices(scanner: Scanner, decided: Collection[str], guiders: Iterable[Export]) -> Iterator[str]:
    """What may belong at the root and follows no rule.

    Args:
        scanner: All classes.
        decided: Names that are registered by rule.
        guiders: New guiders that nothing takes from the root.
    """
    for guider in guiders:
        yield (
            f"{guider.path}: {guider.name} is a guider, and the root exports most but not all of them; take it from "
            f"`diffusers` in a test to have it registered there"
        )
    for name in _QUANTIZED.findall(scanner.snapshot.read(QUANTIZATION) or ""):
        if name not in scanner.root:
            yield (
                f"{QUANTIZATION}: {name} is a quantization configuration; the root exports those under the guard of "
                f"the library that they need, which only its author knows: add it to {ROOT}/__init__.py by hand"
            )
    for site in (*_arguments(scanner), *_blocks(scanner)):
        if site.name not in scanner.root and site.name not in decided:
            yield (
                f"{site.path}: {site.name} is of no kind that is exported by rule; take it from `diffusers` in a test "
                f"or docs page, or add it to {ROOT}/__init__.py by hand, if users need it"
            )


def _arguments(scanner: Scanner) -> Iterator[ClassSite]:
    """Classes of ``models/`` that a public method of the base class takes: a user has to make one."""
    text = scanner.snapshot.read(MODELING) or ""
    named = {name for given in _ANNOTATED.findall(text) for name in _CLASS_NAME.findall(given)}
    for name in sorted(named):
        for site in scanner.sites.get(name, ()):
            if site.path.startswith(f"{ROOT}/models/") and not site.bases:
                yield site


def _blocks(scanner: Scanner) -> Iterator[ClassSite]:
    """Classes with the bases of at least two others of their module that the init of their area lists, itself unlisted."""
    listed = {
        (key.module, name)
        for key in init_reading.keys(scanner.snapshot.read(f"{ROOT}/modular_pipelines/__init__.py") or "", "types")
        for name in key.names
    }
    modules = {module for module, _ in listed if scanner.snapshot.exists(f"{ROOT}/modular_pipelines/{module}.py")}
    for site in scanner.by_area["modular_pipelines"]:
        module = site.path.rsplit("/", 1)[1].removesuffix(".py")
        if site.path.count("/") != 3 or module not in modules or (module, site.name) in listed or not site.bases:
            continue
        same = [each for each in scanner.by_area["modular_pipelines"] if each.path == site.path]
        kin = [each for each in same if each.bases == site.bases and (module, each.name) in listed]
        if len(kin) >= FAMILY and site.name[0] != "_":
            yield site
