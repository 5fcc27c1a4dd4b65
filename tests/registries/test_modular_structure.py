from __future__ import annotations

import registry_checks as checks

from scaffold_model.registries import modular_structure
from scaffold_model.registries.base import Entry


def test_never_behind_the_last_key() -> None:
    before = """\
_import_structure = {}

try:
    if not is_torch_available():
        raise OptionalDependencyNotAvailable()
except OptionalDependencyNotAvailable:
    pass
else:
    _import_structure["modular_pipeline"] = ["ModularPipeline"]
    _import_structure["bar"] = ["BarAutoBlocks", "BarModularPipeline"]
    _import_structure["components_manager"] = ["ComponentsManager"]
"""
    row = '    _import_structure["foo"] = ["FooModularPipeline"]\n'
    after = before.replace('    _import_structure["comp', row + '    _import_structure["comp')
    entry = Entry("modular_structure", "x", "FooModularPipeline", "foo", backends=("torch",))
    checks.check(modular_structure, before, entry, after)
