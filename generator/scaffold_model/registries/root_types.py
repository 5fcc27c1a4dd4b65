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

from . import init_reading, lazy_init, paths, positions, quantization
from .base import ROOT, Entry, Listing, Subject, area

if TYPE_CHECKING:
    from ..conventions import Conventions
    from ..snapshot import Snapshot

NAME = "root_types"
PATH = f"{ROOT}/__init__.py"


def entries(subject: Subject, conventions: Conventions, snapshot: Snapshot) -> Iterable[Entry]:
    if not paths.is_exported(subject):
        return
    if subject.kind != "quantization":
        yield Entry(NAME, PATH, subject.name, area(subject), backends=subject.backends, width=conventions.line_length)
    else:
        yield from quantization.entries(NAME, "types", subject, conventions, snapshot)


def listed(source: str) -> Listing:
    return init_reading.listed(source, "types")


def insert(source: str, entry: Entry) -> str:
    if quantization.is_new_guard(source, entry, "types"):
        return quantization.insert(source, entry, "types")
    return lazy_init.insert(
        source,
        entry,
        "types",
        name_position=positions.by_import_order,
        key_position=positions.by_module_order,
    )


def remove(source: str, entry: Entry) -> str:
    shorter = quantization.remove(source, entry, "types")
    return lazy_init.remove(source, entry, "types") if shorter is None else shorter
