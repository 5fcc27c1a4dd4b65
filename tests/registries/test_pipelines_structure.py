from __future__ import annotations

import registry_checks as checks

from scaffold_model.registries import pipelines_structure
from scaffold_model.registries.base import Entry

BEFORE = """\
_import_structure = {
    "controlnet": [],
    "deprecated": [],
}

try:
    if not (is_torch_available() and is_transformers_available()):
        raise OptionalDependencyNotAvailable()
except OptionalDependencyNotAvailable:
    pass
else:
    _import_structure["deprecated"].extend(
        [
            "OldPipeline",
            "OlderPipeline",
        ]
    )
    _import_structure["qux"] = ["QuxPipeline"]
    _import_structure["bar"] = [
        "BarPipeline",
        "BarImg2ImgPipeline",
    ]
"""


def entry(name: str, key: str, *order: str) -> Entry:
    return Entry("pipelines_structure", "x", name, key, backends=("torch", "transformers"), order=order)


def test_a_key_that_starts_empty_is_extended() -> None:
    row = '    _import_structure["controlnet"].extend(["FooControlNetPipeline"])\n'
    after = BEFORE.replace('    _import_structure["deprecated"]', row + '    _import_structure["deprecated"]')
    checks.check(pipelines_structure, BEFORE, entry("FooControlNetPipeline", "controlnet"), after)


def test_an_existing_extension_gets_one_line_more() -> None:
    after = BEFORE.replace(
        '            "OlderPipeline",\n', '            "OlderPipeline",\n            "OldTimesPipeline",\n'
    )
    checks.check(pipelines_structure, BEFORE, entry("OldTimesPipeline", "deprecated"), after)


def test_a_name_goes_behind_the_longest_common_prefix() -> None:
    after = BEFORE.replace(
        '        "BarImg2ImgPipeline",\n', '        "BarImg2ImgPipeline",\n        "BarImg2ImgXLPipeline",\n'
    )
    checks.check(pipelines_structure, BEFORE, entry("BarImg2ImgXLPipeline", "bar"), after)


def test_a_list_that_follows_its_package_goes_on_following_it() -> None:
    order = ("BarPipeline", "BarVideoPipeline", "BarImg2ImgPipeline")
    after = BEFORE.replace('        "BarPipeline",\n', '        "BarPipeline",\n        "BarVideoPipeline",\n')
    checks.check(pipelines_structure, BEFORE, entry("BarVideoPipeline", "bar", *order), after)


def test_two_names_of_a_new_key_break_as_the_others_do() -> None:
    source = BEFORE
    for name in ("FooPipeline", "FooInpaintPipeline"):
        source = pipelines_structure.insert(source, entry(name, "foo", "FooPipeline", "FooInpaintPipeline"))
    assert '    _import_structure["foo"] = [\n        "FooPipeline",\n        "FooInpaintPipeline",\n    ]\n' in source
    for name in ("FooInpaintPipeline", "FooPipeline"):
        source = pipelines_structure.remove(source, entry(name, "foo"))
    assert source == BEFORE


GUARDED = """
try:
    if not (is_torch_available() and is_transformers_available() and is_sentencepiece_available()):
        raise OptionalDependencyNotAvailable()
except OptionalDependencyNotAvailable:
    pass
else:
    _import_structure["foo"] = ["FooPipeline"]
"""


def test_a_class_that_asks_for_more_than_its_package_is_listed_with_the_package() -> None:
    after = BEFORE.replace(
        '            "OlderPipeline",\n', '            "OlderPipeline",\n            "OldTimesPipeline",\n'
    )
    checks.check(pipelines_structure, BEFORE + GUARDED, more("OldTimesPipeline", "deprecated"), after + GUARDED)
    # A key that merely starts empty is no package that asks for less.
    own = '    _import_structure["foo"] = ["FooPipeline"]\n'
    after = BEFORE + GUARDED.replace(
        own, '    _import_structure["controlnet"].extend(["FooControlNetPipeline"])\n' + own
    )
    checks.check(pipelines_structure, BEFORE + GUARDED, more("FooControlNetPipeline", "controlnet"), after)


def more(name: str, key: str) -> Entry:
    return Entry("pipelines_structure", "x", name, key, backends=("torch", "transformers", "sentencepiece"))
