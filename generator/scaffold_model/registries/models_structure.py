"""The ``_import_structure`` half of ``models/__init__.py``: keys are module paths in ASCII order.

Before:
    _import_structure = {}

    if is_torch_available():
        _import_structure["modeling_utils"] = ["ModelMixin"]
        _import_structure["transformers.transformer_bar"] = ["BarTransformer2DModel"]

Entry: Entry("models_structure", "", "FooTransformer2DModel", "transformers.transformer_foo", backends=("torch",))

After:
    _import_structure = {}

    if is_torch_available():
        _import_structure["modeling_utils"] = ["ModelMixin"]
        _import_structure["transformers.transformer_bar"] = ["BarTransformer2DModel"]
        _import_structure["transformers.transformer_foo"] = ["FooTransformer2DModel"]
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from . import init_reading, lazy_init, paths, positions
from .base import ROOT, Entry, Listing, Subject

if TYPE_CHECKING:
    from ..conventions import Conventions
    from ..snapshot import Snapshot

NAME = "models_structure"
PATH = f"{ROOT}/models/__init__.py"


def entries(subject: Subject, conventions: Conventions, snapshot: Snapshot) -> Iterable[Entry]:
    if paths.in_area(subject, "models"):
        key = ".".join(paths.module_of(subject))
        yield Entry(NAME, PATH, subject.name, key, backends=("torch",), width=conventions.line_length)


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
