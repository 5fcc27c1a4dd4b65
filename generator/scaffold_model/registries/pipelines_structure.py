"""The ``_import_structure`` half of ``pipelines/__init__.py``: packages stand next to their family, not sorted.

Before:
    _import_structure = {}

    try:
        if not (is_torch_available() and is_transformers_available()):
            raise OptionalDependencyNotAvailable()
    except OptionalDependencyNotAvailable:
        pass
    else:
        _import_structure["wan"] = ["WanPipeline"]
        _import_structure["foo"] = ["FooPipeline"]
        _import_structure["bar"] = ["BarPipeline"]

Entry: Entry("pipelines_structure", "", "Foo2Pipeline", "foo2", backends=("torch", "transformers"))

After:
    _import_structure = {}

    try:
        if not (is_torch_available() and is_transformers_available()):
            raise OptionalDependencyNotAvailable()
    except OptionalDependencyNotAvailable:
        pass
    else:
        _import_structure["wan"] = ["WanPipeline"]
        _import_structure["foo"] = ["FooPipeline"]
        _import_structure["foo2"] = ["Foo2Pipeline"]
        _import_structure["bar"] = ["BarPipeline"]
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from . import init_reading, lazy_init, paths, positions
from .base import ROOT, Entry, Listing, Subject

if TYPE_CHECKING:
    from ..conventions import Conventions
    from ..snapshot import Snapshot

NAME = "pipelines_structure"
PATH = f"{ROOT}/pipelines/__init__.py"


def entries(subject: Subject, conventions: Conventions, snapshot: Snapshot) -> Iterable[Entry]:
    if paths.in_area(subject, "pipelines"):
        yield Entry(
            NAME,
            PATH,
            subject.name,
            paths.module_of(subject)[0],
            backends=subject.backends,
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
        key_position=positions.beside_family,
    )


def remove(source: str, entry: Entry) -> str:
    return lazy_init.remove(source, entry, "structure")
