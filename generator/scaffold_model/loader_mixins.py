"""The mixins of ``loaders/`` that its init exports: those of LoRA, and others that classes take from there."""

from __future__ import annotations

import re
from collections.abc import Iterator

from .plan import Export
from .registries.base import ROOT
from .scanning import LORA, LORA_BASE, OLDER_LORA, TORCH, TORCH_AND_TRANSFORMERS, ClassSite, Scanner

_FOLDER = f"{ROOT}/loaders"
_MIXIN = re.compile(r"\nclass ([A-Z]\w*Mixin)\b")


def find_mixins(scanner: Scanner) -> Iterator[Export]:
    """The mixins of LoRA, listed or not, and of the others those that the init lacks."""
    for sites in scanner.sites.values():
        for site in sites:
            if site.path in (LORA, OLDER_LORA) and _loads_loras(scanner, site):
                yield Export(site.name, site.path, "LoRA mixin", TORCH_AND_TRANSFORMERS)
    yield from _others(scanner)


def _loads_loras(scanner: Scanner, site: ClassSite) -> bool:
    if site.name.startswith("_"):
        return False
    return "LoraBaseMixin" in scanner.ancestors(site.name) or (
        site.path == OLDER_LORA and site.name.endswith("LoraLoaderMixin")
    )


def _others(scanner: Scanner) -> Iterator[Export]:
    """Mixins of IP adapters, of a model's weights and the like that a class takes from ``loaders``."""
    listed = scanner.listed_in(f"{_FOLDER}/__init__.py")
    for path in scanner.snapshot.walk(_FOLDER):
        source = "" if path in (LORA, LORA_BASE, OLDER_LORA) else scanner.snapshot.read(path) or ""
        for name in _MIXIN.findall("\n" + source):
            if name not in listed and _is_taken_from_loaders(scanner, name):
                yield Export(name, path, "loader mixin", TORCH_AND_TRANSFORMERS if "transformers" in source else TORCH)


def _is_taken_from_loaders(scanner: Scanner, name: str) -> bool:
    """Whether a module with a class that inherits from a mixin imports it from the package, which has to list it then."""
    users = {site.path for sites in scanner.sites.values() for site in sites if name in site.bases}
    taken = re.compile(rf"^from \.+loaders import (?:\([^)]*\b{name}\b|.*\b{name}\b)", re.MULTILINE)
    return any(taken.search(scanner.snapshot.read(path) or "") for path in users)
