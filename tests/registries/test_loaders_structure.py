from __future__ import annotations

import registry_checks as checks

from scaffold_model.registries import loaders_structure
from scaffold_model.registries.base import Entry


def test_a_one_name_list_gets_a_second() -> None:
    before = """\
_import_structure = {}

if is_torch_available():
    if is_transformers_available():
        _import_structure["lora_pipeline"] = ["BarLoraLoaderMixin"]
"""
    after = before.replace('Mixin"]', 'Mixin", "AbaLoraLoaderMixin"]')
    entry = Entry("loaders_structure", "x", "AbaLoraLoaderMixin", "lora_pipeline", backends=("torch", "transformers"))
    checks.check(loaders_structure, before, entry, after)
