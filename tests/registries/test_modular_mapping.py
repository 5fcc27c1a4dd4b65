from __future__ import annotations

import pytest
import registry_checks as checks

from scaffold_model.errors import AnchorNotFound
from scaffold_model.registries import modular_mapping
from scaffold_model.registries.base import Entry


def test_the_string_values_of_older_checkouts() -> None:
    before = """\
MODULAR_PIPELINE_MAPPING = OrderedDict(
    [
        ("wan", "WanModularPipeline"),
        ("flux", "FluxModularPipeline"),
    ]
)
"""
    after = before.replace('        ("flux"', '        ("foo", "FooModularPipeline"),\n        ("flux"')
    after = before.replace("    ]", '        ("foo", "FooModularPipeline"),\n    ]')
    entry = Entry("modular_mapping", "x", "foo", "MODULAR_PIPELINE_MAPPING", "FooModularPipeline")
    checks.check(modular_mapping, before, entry, after)


def test_no_mapping_is_an_error_that_names_it() -> None:
    entry = Entry("modular_mapping", "x.py", "foo", "MODULAR_PIPELINE_MAPPING", "FooModularPipeline")
    with pytest.raises(AnchorNotFound, match="MODULAR_PIPELINE_MAPPING"):
        modular_mapping.insert("pass\n", entry)
