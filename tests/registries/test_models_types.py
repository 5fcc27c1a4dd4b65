from __future__ import annotations

import registry_checks as checks

from scaffold_model.registries import models_types
from scaffold_model.registries.base import Entry


def test_a_model_outside_all_folders_gets_an_import_of_its_own() -> None:
    before = """\
_import_structure = {}
if TYPE_CHECKING or DIFFUSERS_SLOW_IMPORT:
    if is_torch_available():
        from .adapter import MultiAdapter, T2IAdapter
        from .transformers import BarTransformer2DModel
"""
    row = "        from .modeling_foo import FooModel\n"
    after = before.replace("        from .transformers", row + "        from .transformers")
    entry = Entry("models_types", "x", "FooModel", "modeling_foo", backends=("torch",))
    checks.check(models_types, before, entry, after)
