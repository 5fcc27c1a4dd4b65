from __future__ import annotations

import registry_checks as checks

from scaffold_model.registries import modular_blocks_mapping
from scaffold_model.registries.base import Entry


def test_a_plain_dict() -> None:
    before = 'MODULAR_PIPELINE_BLOCKS_MAPPING = {\n    "BarModularPipeline": "BarAutoBlocks",\n}\n'
    after = before.replace("}", '    "FooModularPipeline": "FooBlocks",\n}')
    entry = Entry("modular_blocks_mapping", "x", "FooModularPipeline", "MODULAR_PIPELINE_BLOCKS_MAPPING", "FooBlocks")
    checks.check(modular_blocks_mapping, before, entry, after)
