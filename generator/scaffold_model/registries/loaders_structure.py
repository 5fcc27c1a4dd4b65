"""The ``_import_structure`` half of ``loaders/__init__.py``: a LoRA mixin is appended to its module's list.

Before:
    _import_structure = {}

    if is_torch_available():
        _import_structure["unet"] = ["UNet2DConditionLoadersMixin"]
        if is_transformers_available():
            _import_structure["lora_pipeline"] = [
                "QuxLoraLoaderMixin",
                "BarLoraLoaderMixin",
            ]

Entry: Entry("loaders_structure", "", "FooLoraLoaderMixin", "lora_pipeline", backends=("torch", "transformers"))

After:
    _import_structure = {}

    if is_torch_available():
        _import_structure["unet"] = ["UNet2DConditionLoadersMixin"]
        if is_transformers_available():
            _import_structure["lora_pipeline"] = [
                "QuxLoraLoaderMixin",
                "BarLoraLoaderMixin",
                "FooLoraLoaderMixin",
            ]
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from . import init_reading, lazy_init, paths, positions
from .base import ROOT, Entry, Listing, Subject

if TYPE_CHECKING:
    from ..conventions import Conventions
    from ..snapshot import Snapshot

NAME = "loaders_structure"
PATH = f"{ROOT}/loaders/__init__.py"


def entries(subject: Subject, conventions: Conventions, snapshot: Snapshot) -> Iterable[Entry]:
    if paths.in_area(subject, "loaders"):
        yield Entry(
            NAME,
            PATH,
            subject.name,
            ".".join(paths.module_of(subject)),
            backends=subject.backends,
            width=conventions.line_length,
        )


def listed(source: str) -> Listing:
    return init_reading.listed(source, "structure")


def insert(source: str, entry: Entry) -> str:
    return lazy_init.insert(
        source,
        entry,
        "structure",
        name_position=positions.at_end,
        key_position=positions.by_ascii,
    )


def remove(source: str, entry: Entry) -> str:
    return lazy_init.remove(source, entry, "structure")
