"""The init of ``models/<folder>``: plain imports under ``if is_torch_available()``, or without a guard.

Before:
    if is_torch_available():
        from .transformer_bar import BarTransformer2DModel
        from .transformer_qux import QuxTransformer2DModel

Entry: Entry("models_package", "", "FooTransformer2DModel", "transformer_foo", backends=("torch",))

After:
    if is_torch_available():
        from .transformer_bar import BarTransformer2DModel
        from .transformer_foo import FooTransformer2DModel
        from .transformer_qux import QuxTransformer2DModel
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from . import init_reading, lazy_init, paths, positions
from .base import ROOT, Entry, Listing, Subject

if TYPE_CHECKING:
    from ..conventions import Conventions
    from ..snapshot import Snapshot

NAME = "models_package"


def entries(subject: Subject, conventions: Conventions, snapshot: Snapshot) -> Iterable[Entry]:
    if not paths.in_area(subject, "models"):
        return
    folder, *rest = paths.module_of(subject)
    path = f"{ROOT}/models/{folder}/__init__.py"
    if rest and snapshot.exists(path):
        yield Entry(NAME, path, subject.name, ".".join(rest), backends=("torch",), width=conventions.line_length)


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
