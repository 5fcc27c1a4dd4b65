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

from . import init_reading, lazy_init, paths, positions, quantization
from .base import ROOT, Entry, Listing, Subject, area

if TYPE_CHECKING:
    from ..conventions import Conventions
    from ..snapshot import Snapshot

NAME = "root_structure"
PATH = f"{ROOT}/__init__.py"


def entries(subject: Subject, conventions: Conventions, snapshot: Snapshot) -> Iterable[Entry]:
    if not paths.is_exported(subject):
        return
    if subject.kind != "quantization":
        yield Entry(NAME, PATH, subject.name, area(subject), backends=subject.backends, width=conventions.line_length)
    else:
        yield from quantization.entries(NAME, "structure", subject, conventions, snapshot)


def listed(source: str) -> Listing:
    return init_reading.listed(source, "structure")


def insert(source: str, entry: Entry) -> str:
    if quantization.is_new_guard(source, entry, "structure"):
        return quantization.insert(source, entry, "structure")
    return lazy_init.insert(
        source,
        entry,
        "structure",
        name_position=positions.by_object_order,
        key_position=positions.by_ascii,
    )


def remove(source: str, entry: Entry) -> str:
    shorter = quantization.remove(source, entry, "structure")
    return lazy_init.remove(source, entry, "structure") if shorter is None else shorter
