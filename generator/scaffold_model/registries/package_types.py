"""The TYPE_CHECKING half of a package's own init, for pipelines, modular pipelines and nested schedulers.

Before:
    if TYPE_CHECKING or DIFFUSERS_SLOW_IMPORT:
        try:
            if not (is_transformers_available() and is_torch_available()):
                raise OptionalDependencyNotAvailable()
        except OptionalDependencyNotAvailable:
            from ...utils.dummy_torch_and_transformers_objects import *
        else:
            from .pipeline_bar import BarPipeline

Entry: Entry("package_types", "src/diffusers/pipelines/bar/__init__.py", "BarInpaintPipeline", "pipeline_bar_inpaint")

After:
    if TYPE_CHECKING or DIFFUSERS_SLOW_IMPORT:
        try:
            if not (is_transformers_available() and is_torch_available()):
                raise OptionalDependencyNotAvailable()
        except OptionalDependencyNotAvailable:
            from ...utils.dummy_torch_and_transformers_objects import *
        else:
            from .pipeline_bar import BarPipeline
            from .pipeline_bar_inpaint import BarInpaintPipeline
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from . import init_reading, lazy_init, paths, positions
from .base import Entry, Listing, Subject

if TYPE_CHECKING:
    from ..conventions import Conventions
    from ..snapshot import Snapshot

NAME = "package_types"


def entries(subject: Subject, conventions: Conventions, snapshot: Snapshot) -> Iterable[Entry]:
    for path, key in paths.package_inits(subject):
        yield Entry(NAME, path, subject.name, key, backends=("torch", "transformers"), width=conventions.line_length)


def listed(source: str) -> Listing:
    return init_reading.listed(source, "types")


def insert(source: str, entry: Entry) -> str:
    return lazy_init.insert(
        source,
        entry,
        "types",
        name_position=positions.by_import_order,
        key_position=positions.by_module_order,
        guarded=False,
    )


def remove(source: str, entry: Entry) -> str:
    return lazy_init.remove(source, entry, "types")
