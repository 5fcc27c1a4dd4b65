"""Classes beside the models that a user makes: arguments of ModelMixin's methods, and quantization configurations."""

from __future__ import annotations

import re
from collections.abc import Iterator

from .plan import Export
from .registries import quantization
from .registries.base import ROOT
from .scanning import TORCH, Scanner

MODELING = f"{ROOT}/models/modeling_utils.py"
_ANNOTATED = re.compile(r"^    def [a-z]\w*\(([^)]*)\)", re.MULTILINE)
_CLASS_NAME = re.compile(r"\b[A-Z]\w*[a-z]\w*")


def find_arguments(scanner: Scanner) -> Iterator[Export]:
    """Classes of ``models/`` that a public method of the base class of all models takes, and that the root lacks."""
    text = scanner.snapshot.read(MODELING) or ""
    named = {name for given in _ANNOTATED.findall(text) for name in _CLASS_NAME.findall(given)}
    for name in sorted(named - scanner.root.keys()):
        for site in scanner.sites.get(name, ()):
            if site.path.startswith(f"{ROOT}/models/") and not site.bases:
                yield Export(name, site.path, "model", TORCH)


def find_quantization(scanner: Scanner) -> Iterator[Export]:
    """The configurations that loading a quantized model can meet, where the root has others and lacks these."""
    lacking = quantization.configurations(scanner.snapshot).keys() - scanner.root.keys()
    for name in sorted(lacking) if lacking and quantization.known(scanner.snapshot) else ():
        guard = quantization.guard(scanner.snapshot, name)
        if guard is not None:
            yield Export(name, quantization.CONFIGURATIONS, "quantization", guard)
