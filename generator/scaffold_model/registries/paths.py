"""Which init modules lead from the library's root to an export, and under which keys."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeGuard

from ..plan import Export
from .base import ROOT, Subject, area

PACKAGED = ("pipelines", "modular_pipelines", "schedulers")
PLAIN = ("hooks", "guiders")
EXPORTED = (*PACKAGED, "models", *PLAIN)


def is_exported(subject: Subject) -> TypeGuard[Export]:
    """Whether ``subject`` is what the root lists, guarded by backends that have placeholders."""
    return isinstance(subject, Export) and (area(subject) in EXPORTED or subject.kind == "quantization")


def module_of(export: Export) -> tuple[str, ...]:
    """The parts of the export's module below its area: ``("flux", "pipeline_flux")``."""
    return tuple(export.path.removesuffix(".py").split("/")[3:])


def in_area(subject: Subject, name: str) -> TypeGuard[Export]:
    """Whether ``subject`` is an export that lies in ``src/diffusers/<name>/``."""
    return isinstance(subject, Export) and area(subject) == name and subject.path.count("/") > 2


def package_inits(subject: Subject) -> Iterator[tuple[str, str]]:
    """The inits of the packages between the area's own init and the export, innermost first, each with its key."""
    if not isinstance(subject, Export) or area(subject) not in PACKAGED:
        return
    parts = module_of(subject)
    for depth in range(len(parts) - 1, 0, -1):
        yield f"{ROOT}/{area(subject)}/{'/'.join(parts[:depth])}/__init__.py", parts[depth]
