"""The ``_import_structure`` half of ``modular_pipelines/__init__.py``: packages stand next to their family, not sorted.

Before:
    _import_structure = {}

    try:
        if not is_torch_available():
            raise OptionalDependencyNotAvailable()
    except OptionalDependencyNotAvailable:
        pass
    else:
        _import_structure["wan"] = ["WanModularPipeline"]
        _import_structure["foo"] = ["FooModularPipeline"]
        _import_structure["bar"] = ["BarModularPipeline"]

Entry: Entry("modular_structure", "", "Foo2ModularPipeline", "foo2", backends=("torch",))

After:
    _import_structure = {}

    try:
        if not is_torch_available():
            raise OptionalDependencyNotAvailable()
    except OptionalDependencyNotAvailable:
        pass
    else:
        _import_structure["wan"] = ["WanModularPipeline"]
        _import_structure["foo"] = ["FooModularPipeline"]
        _import_structure["foo2"] = ["Foo2ModularPipeline"]
        _import_structure["bar"] = ["BarModularPipeline"]
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from . import init_reading, lazy_init, paths, positions
from .base import ROOT, Entry, Listing, Subject

if TYPE_CHECKING:
    from ..conventions import Conventions
    from ..snapshot import Snapshot

NAME = "modular_structure"
PATH = f"{ROOT}/modular_pipelines/__init__.py"


def entries(subject: Subject, conventions: Conventions, snapshot: Snapshot) -> Iterable[Entry]:
    if paths.in_area(subject, "modular_pipelines"):
        yield Entry(
            NAME,
            PATH,
            subject.name,
            paths.module_of(subject)[0],
            backends=("torch",),
            order=lazy_init.package_order(subject, snapshot),
            width=conventions.line_length,
        )


def listed(source: str) -> Listing:
    return init_reading.listed(source, "structure")


def insert(source: str, entry: Entry) -> str:
    return lazy_init.insert(
        source,
        entry,
        "structure",
        name_position=positions.after_kin,
        key_position=positions.in_family_before_last,
    )


def remove(source: str, entry: Entry) -> str:
    return lazy_init.remove(source, entry, "structure")
