from __future__ import annotations

import registry_checks as checks

from scaffold_model.registries import loaders_types
from scaffold_model.registries.base import Entry


def test_one_name_per_line_stays_so() -> None:
    before = """\
_import_structure = {}
if TYPE_CHECKING or DIFFUSERS_SLOW_IMPORT:
    if is_torch_available():
        if is_transformers_available():
            from .lora_pipeline import (
                BarLoraLoaderMixin,  # kept
                QuxLoraLoaderMixin,
            )
"""
    after = before.replace("                Qux", "                FooLoraLoaderMixin,\n                Qux")
    entry = Entry("loaders_types", "x", "FooLoraLoaderMixin", "lora_pipeline", backends=("torch", "transformers"))
    checks.check(loaders_types, before, entry, after)
