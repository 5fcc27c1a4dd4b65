"""The ``_import_structure`` half of the root ``__init__.py``: the names of every area, by backend group.

Before:
    _import_structure = {"models": []}

    try:
        if not is_torch_available():
            raise OptionalDependencyNotAvailable()
    except OptionalDependencyNotAvailable:
        pass
    else:
        _import_structure["models"].extend(
            [
                "LTX2VideoTransformer3DModel",
                "LTXVideoTransformer3DModel",
            ]
        )

Entry: Entry("root_structure", "", "LTX25VideoTransformer3DModel", "models", backends=("torch",))

After:
    _import_structure = {"models": []}

    try:
        if not is_torch_available():
            raise OptionalDependencyNotAvailable()
    except OptionalDependencyNotAvailable:
        pass
    else:
        _import_structure["models"].extend(
            [
                "LTX25VideoTransformer3DModel",
                "LTX2VideoTransformer3DModel",
                "LTXVideoTransformer3DModel",
            ]
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

NAME = "root_structure"
PATH = f"{ROOT}/__init__.py"


def entries(subject: Subject, conventions: Conventions, snapshot: Snapshot) -> Iterable[Entry]:
    if isinstance(subject, Export) and area(subject) in paths.EXPORTED:
        yield Entry(NAME, PATH, subject.name, area(subject), backends=subject.backends, width=conventions.line_length)


def listed(source: str) -> Listing:
    return init_reading.listed(source, "structure")


def insert(source: str, entry: Entry) -> str:
    return lazy_init.insert(
        source,
        entry,
        "structure",
        name_position=positions.by_object_order,
        key_position=positions.by_ascii,
    )


def remove(source: str, entry: Entry) -> str:
    return lazy_init.remove(source, entry, "structure")
