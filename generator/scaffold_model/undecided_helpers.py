"""Helper classes outside the packages of models that nothing decides: each is a notice with its reason."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator

from .plan import Export
from .registries import init_reading, quantization
from .registries.base import ROOT
from .scanning import ClassSite, Scanner

_QUANTIZED = re.compile(r"^class ([A-Z]\w*)\(QuantizationConfigMixin\):", re.MULTILINE)
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
    for name in _QUANTIZED.findall(scanner.snapshot.read(quantization.CONFIGURATIONS) or ""):
        if name not in scanner.root and name not in decided:
            yield f"{quantization.CONFIGURATIONS}: {name} is a quantization configuration {quantization.lacking(scanner.snapshot, name)}"
    for site in _blocks(scanner):
        if site.name not in scanner.root and site.name not in decided:
            yield (
                f"{site.path}: {site.name} is of no kind that is exported by rule; take it from `diffusers` in a test "
                f"or docs page, or add it to {ROOT}/__init__.py by hand, if users need it"
            )


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
