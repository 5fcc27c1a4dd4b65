"""The ``_import_structure`` half of a package's own init, for pipelines, modular pipelines and nested schedulers.

Keys are sorted; the names of a key are sorted as the repository's own init sorter does.

Before:
    _import_structure = {}

    try:
        if not (is_transformers_available() and is_torch_available()):
            raise OptionalDependencyNotAvailable()
    except OptionalDependencyNotAvailable:
        pass
    else:
        _import_structure["pipeline_bar"] = ["BarPipeline"]

Entry: Entry("package_structure", "src/diffusers/pipelines/bar/__init__.py", "BarInpaintPipeline", "pipeline_bar_inpaint")

After:
    _import_structure = {}

    try:
        if not (is_transformers_available() and is_torch_available()):
            raise OptionalDependencyNotAvailable()
    except OptionalDependencyNotAvailable:
        pass
    else:
        _import_structure["pipeline_bar"] = ["BarPipeline"]
        _import_structure["pipeline_bar_inpaint"] = ["BarInpaintPipeline"]
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from . import init_reading, lazy_init, paths, positions
from .base import Entry, Listing, Subject

if TYPE_CHECKING:
    from ..conventions import Conventions
    from ..snapshot import Snapshot

NAME = "package_structure"


def entries(subject: Subject, conventions: Conventions, snapshot: Snapshot) -> Iterable[Entry]:
    for path, key in paths.package_inits(subject):
        if init_reading.is_plain(snapshot.read(path)):
            continue
        yield Entry(NAME, path, subject.name, key, backends=("torch", "transformers"), width=conventions.line_length)


def listed(source: str) -> Listing:
    return init_reading.listed(source, "structure")


def insert(source: str, entry: Entry) -> str:
    return lazy_init.insert(
        source,
        entry,
        "structure",
        name_position=positions.by_object_order,
        key_position=positions.by_ascii,
        guarded=False,
    )


def remove(source: str, entry: Entry) -> str:
    return lazy_init.remove(source, entry, "structure")
