"""The TYPE_CHECKING half of ``models/__init__.py``, grouped by folder where the folder is a package.

Before:
    if TYPE_CHECKING or DIFFUSERS_SLOW_IMPORT:
        if is_torch_available():
            from .modeling_utils import ModelMixin
            from .transformers import (
                BarTransformer2DModel,
                QuxTransformer2DModel,
            )

Entry: Entry("models_types", "", "FooTransformer2DModel", "transformers", backends=("torch",))

After:
    if TYPE_CHECKING or DIFFUSERS_SLOW_IMPORT:
        if is_torch_available():
            from .modeling_utils import ModelMixin
            from .transformers import (
                BarTransformer2DModel,
                FooTransformer2DModel,
                QuxTransformer2DModel,
            )
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from . import init_reading, lazy_init, paths, positions
from .base import ROOT, Entry, Listing, Subject

if TYPE_CHECKING:
    from ..conventions import Conventions
    from ..snapshot import Snapshot

NAME = "models_types"
PATH = f"{ROOT}/models/__init__.py"


def entries(subject: Subject, conventions: Conventions, snapshot: Snapshot) -> Iterable[Entry]:
    if paths.in_area(subject, "models"):
        parts = paths.module_of(subject)
        package = len(parts) > 1 and snapshot.exists(f"{ROOT}/models/{parts[0]}/__init__.py")
        key = parts[0] if package else ".".join(parts)
        yield Entry(NAME, PATH, subject.name, key, backends=("torch",), width=conventions.line_length)


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
