from __future__ import annotations

import pytest
import registry_checks as checks

from scaffold_model.registries import package_structure
from scaffold_model.registries.base import Entry

GUARDED = """\
_dummy_objects = {}
_additional_imports = {}
_import_structure = {"pipeline_output": ["BarPipelineOutput"]}

try:
    if not (is_transformers_available() and is_torch_available()):
        raise OptionalDependencyNotAvailable()
except OptionalDependencyNotAvailable:
    from ...utils import dummy_torch_and_transformers_objects

    _dummy_objects.update(get_objects_from_module(dummy_torch_and_transformers_objects))
else:
%s
if TYPE_CHECKING or DIFFUSERS_SLOW_IMPORT:
    pass
"""


def entry(name: str, key: str) -> Entry:
    return Entry("package_structure", "x", name, key, backends=("torch", "transformers"))


def test_a_new_module_beside_additional_imports() -> None:
    checks.check(
        package_structure,
        GUARDED % '    _import_structure["pipeline_bar"] = ["BarPipeline"]\n',
        entry("BarAudioPipeline", "pipeline_audio_bar"),
        GUARDED
        % (
            '    _import_structure["pipeline_audio_bar"] = ["BarAudioPipeline"]\n'
            '    _import_structure["pipeline_bar"] = ["BarPipeline"]\n'
        ),
    )


def test_blank_lines_between_entries_are_kept_up() -> None:
    one = '    _import_structure["pipeline_bar"] = ["BarPipeline"]\n\n'
    two = '    _import_structure["pipeline_output"] = ["BarOutput"]\n\n'
    new = '    _import_structure["prompt_head"] = ["BarHead"]\n\n'
    checks.check(
        package_structure, GUARDED % (one + two), entry("BarHead", "prompt_head"), GUARDED % (one + two + new)
    )


def test_a_second_class_of_a_module_stays_on_the_line() -> None:
    checks.check(
        package_structure,
        GUARDED % '    _import_structure["pipeline_bar"] = ["BarPipeline"]  # why\n',
        entry("BarImagePipeline", "pipeline_bar"),
        GUARDED % '    _import_structure["pipeline_bar"] = ["BarImagePipeline", "BarPipeline"]  # why\n',
    )


def test_a_dict_literal_without_a_guard() -> None:
    before = """\
_import_structure = {
    "pipeline_bar": ["BarPipeline"],
    "pipeline_qux": [
        "QuxPipeline",
    ],
}
"""
    after = before.replace("}\n", '    "pipeline_zoo": ["ZooPipeline"],\n}\n')
    checks.check(package_structure, before, entry("ZooPipeline", "pipeline_zoo"), after)


def test_a_structure_that_is_updated() -> None:
    before = (
        GUARDED
        % """\
    _import_structure.update(
        {
            "pipeline_bar": [
                "BarPipeline",
                "BarPipelineOutput",
            ],
        }
    )
"""
    )
    after = before.replace(
        '                "BarPipelineO', '                "BarImagePipeline",\n                "BarPipelineO'
    )
    after = before.replace(
        '                "BarPipeline",\n', '                "BarImagePipeline",\n                "BarPipeline",\n'
    )
    checks.check(package_structure, before, entry("BarImagePipeline", "pipeline_bar"), after)


@pytest.mark.parametrize(
    ("before", "name", "key", "after"),
    [
        ('_import_structure = {"a": ["A"]}\n', "A", "a", "_import_structure = {}\n"),
        ('_import_structure = {"a": ["A"], "b": ["B"]}\n', "A", "a", '_import_structure = {"b": ["B"]}\n'),
        ('_import_structure = {"a": ["A"], "b": ["B"]}\n', "B", "b", '_import_structure = {"a": ["A"]}\n'),
        (
            '_import_structure = {\n    "a": ["A"],\n    "b": [\n        "B",\n    ],\n}\n',
            "B",
            "b",
            '_import_structure = {\n    "a": ["A"],\n}\n',
        ),
    ],
)
def test_the_dict_stays_when_its_item_goes(before: str, name: str, key: str, after: str) -> None:
    assert package_structure.remove(before, Entry("package_structure", "x", name, key)) == after


def test_a_guard_keeps_a_statement_when_its_last_entry_goes() -> None:
    source = GUARDED % '    _import_structure["pipeline_foo"] = ["FooPipeline"]\n'
    assert package_structure.remove(source, entry("FooPipeline", "pipeline_foo")) == GUARDED % "    pass\n"


ONE_LINE = """\
from typing import TYPE_CHECKING


_import_structure = {"pipeline_ddim": ["DDIMPipeline"]}  # The only one.

if TYPE_CHECKING:
    from .pipeline_ddim import DDIMPipeline
"""


def test_a_second_module_of_a_package_with_a_literal_on_one_line() -> None:
    entry = Entry("package_structure", "x", "FooPipeline", "pipeline_foo")
    after = ONE_LINE.replace('["DDIMPipeline"]}', '["DDIMPipeline"], "pipeline_foo": ["FooPipeline"]}')
    checks.check(package_structure, ONE_LINE, entry, after)


def test_a_literal_that_gets_too_long_for_its_line_is_broken() -> None:
    name = "AVeryLongNameIndeedOfAPipeline"
    entry = Entry("package_structure", "x", name, "pipeline_a_very_long_name_indeed_of_a_pipeline")
    after = ONE_LINE.replace(
        '{"pipeline_ddim": ["DDIMPipeline"]}',
        f'{{\n    "pipeline_a_very_long_name_indeed_of_a_pipeline": ["{name}"],\n    "pipeline_ddim": ["DDIMPipeline"],\n}}',
    )
    checks.check(package_structure, ONE_LINE, entry, after)
