"""The TYPE_CHECKING half of ``loaders/__init__.py``: the LoRA mixins under torch and transformers.

Before:
    if TYPE_CHECKING or DIFFUSERS_SLOW_IMPORT:
        if is_torch_available():
            from .unet import UNet2DConditionLoadersMixin

            if is_transformers_available():
                from .lora_pipeline import BarLoraLoaderMixin, QuxLoraLoaderMixin

Entry: Entry("loaders_types", "", "FooLoraLoaderMixin", "lora_pipeline", backends=("torch", "transformers"))

After:
    if TYPE_CHECKING or DIFFUSERS_SLOW_IMPORT:
        if is_torch_available():
            from .unet import UNet2DConditionLoadersMixin

            if is_transformers_available():
                from .lora_pipeline import BarLoraLoaderMixin, FooLoraLoaderMixin, QuxLoraLoaderMixin
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from . import init_reading, lazy_init, paths, positions
from .base import ROOT, Entry, Listing, Subject

if TYPE_CHECKING:
    from ..conventions import Conventions
    from ..snapshot import Snapshot

NAME = "loaders_types"
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
