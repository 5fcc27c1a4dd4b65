"""The TYPE_CHECKING half of the root ``__init__.py``: the names of every area, by backend group.

Before:
    if TYPE_CHECKING or DIFFUSERS_SLOW_IMPORT:
        try:
            if not is_torch_available():
                raise OptionalDependencyNotAvailable()
        except OptionalDependencyNotAvailable:
            from .utils.dummy_pt_objects import *
        else:
            from .models import (
                LTX2VideoTransformer3DModel,
                LTXVideoTransformer3DModel,
            )

Entry: Entry("root_types", "", "LTX25VideoTransformer3DModel", "models", backends=("torch",))

After:
    if TYPE_CHECKING or DIFFUSERS_SLOW_IMPORT:
        try:
            if not is_torch_available():
                raise OptionalDependencyNotAvailable()
        except OptionalDependencyNotAvailable:
            from .utils.dummy_pt_objects import *
        else:
            from .models import (
                LTX2VideoTransformer3DModel,
                LTX25VideoTransformer3DModel,
                LTXVideoTransformer3DModel,
            )
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..plan import Export
from . import init_reading, lazy_init, paths, positions
from .base import ROOT, Entry, Listing, Subject, area

if TYPE_CHECKING:
    from ..conventions import Conventions
    from ..snapshot import Snapshot

NAME = "root_types"
PATH = f"{ROOT}/__init__.py"


def entries(subject: Subject, conventions: Conventions, snapshot: Snapshot) -> Iterable[Entry]:
    if isinstance(subject, Export) and area(subject) in paths.EXPORTED:
        yield Entry(NAME, PATH, subject.name, area(subject), backends=subject.backends, width=conventions.line_length)


def listed(source: str) -> Listing:
    return init_reading.listed(source, "types")


def insert(source: str, entry: Entry) -> str:
    return lazy_init.insert(
        source,
        entry,
        "types",
        name_position=positions.by_import_order,
        key_position=positions.by_module_order,
    )


def remove(source: str, entry: Entry) -> str:
    return lazy_init.remove(source, entry, "types")
