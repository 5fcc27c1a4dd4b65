from __future__ import annotations

import registry_checks as checks

from scaffold_model.registries import models_structure
from scaffold_model.registries.base import Entry


def test_the_flat_layout_of_older_checkouts() -> None:
    before = """\
_import_structure = {}

if is_torch_available():
    _import_structure["adapter"] = ["MultiAdapter", "T2IAdapter"]
    _import_structure["transformer_2d"] = ["Transformer2DModel"]

if is_flax_available():
    _import_structure["vae_flax"] = ["FlaxAutoencoderKL"]
"""
    row = '    _import_structure["modeling_foo"] = ["FooModel"]\n'
    after = before.replace('    _import_structure["transformer_2d"]', row + '    _import_structure["transformer_2d"]')
    entry = Entry("models_structure", "x", "FooModel", "modeling_foo", backends=("torch",))
    checks.check(models_structure, before, entry, after)
