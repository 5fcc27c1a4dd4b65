from __future__ import annotations

import registry_checks as checks

from scaffold_model.registries import modular_types
from scaffold_model.registries.base import Entry


def test_a_second_class_of_a_package() -> None:
    before = """\
_import_structure = {}
if TYPE_CHECKING or DIFFUSERS_SLOW_IMPORT:
    if is_torch_available():
        from .foo import FooModularPipeline
"""
    after = before.replace("import Foo", "import FooAutoBlocks, Foo")
    entry = Entry("modular_types", "x", "FooAutoBlocks", "foo", backends=("torch",))
    checks.check(modular_types, before, entry, after)
