from __future__ import annotations

import registry_checks as checks

from scaffold_model.registries import package_types
from scaffold_model.registries.base import Entry


def test_an_init_without_a_lazy_structure() -> None:
    before = """\
from dataclasses import dataclass

from ...utils import is_torch_available


if is_torch_available():
    from .pipeline_bar import BarPipeline
"""
    after = before + "    from .pipeline_foo import FooPipeline\n"
    entry = Entry("package_types", "x", "FooPipeline", "pipeline_foo", backends=("torch", "transformers"))
    checks.check(package_types, before, entry, after)


def test_a_second_class_of_a_module_that_gets_too_long_for_its_line() -> None:
    line = "from .pipeline_bar import BarPipelineWithAQuiteLongNameThatFillsTheLine, BarPipelineWithAnotherLongName"
    after = """\
from .pipeline_bar import (
    BarPipelineWithAQuiteLongNameThatFillsTheLine,
    BarPipelineWithAnotherLongName,
    BarPipelineZ,
)
"""
    entry = Entry("package_types", "x", "BarPipelineZ", "pipeline_bar", width=110)
    checks.check(package_types, line + "\n", entry, after)
