from __future__ import annotations

from pathlib import Path

import pytest
from registry_checks import check, check_adds_lines_only, example

import scaffold_model.registries as registries
from scaffold_model.registries import OPTIONAL, REGISTRIES, Registry

FOLDER = Path(registries.__file__).parent
# Helpers of the registries; every other module in the folder is a registry.
HELPERS = {
    "__init__",
    "base",
    "blocks",
    "guards",
    "hook_calls",
    "init_blocks",
    "init_reading",
    "lazy_init",
    "pages",
    "paths",
    "positions",
    "quantization",
}
EVERY: tuple[Registry, ...] = (*REGISTRIES, *OPTIONAL)


def test_every_module_of_the_folder_is_registered_once() -> None:
    names = [registry.NAME for registry in EVERY]
    assert sorted(names) == sorted({path.stem for path in FOLDER.glob("*.py")} - HELPERS)


def test_every_registry_has_a_test_module() -> None:
    tests = {path.stem.removeprefix("test_") for path in Path(__file__).parent.glob("test_*.py")}
    assert {registry.NAME for registry in EVERY} <= tests


def test_what_reads_other_registries_comes_after_them() -> None:
    order = [registry.NAME for registry in REGISTRIES]
    assert order.index("package_structure") < order.index("pipelines_structure")
    assert order.index("root_types") < order.index("dummy_objects")


@pytest.mark.parametrize("registry", EVERY, ids=lambda registry: registry.NAME)
def test_the_example_of_the_docstring(registry: Registry) -> None:
    shown = example(registry.NAME)
    assert shown.entry.registry == registry.NAME
    python = registry.NAME not in ("toctree", "lora_docs", "docs_overview")
    check(registry, shown.before, shown.entry, shown.after, python=python)


@pytest.mark.parametrize("registry", EVERY, ids=lambda registry: registry.NAME)
def test_the_example_without_a_final_line_end(registry: Registry) -> None:
    shown = example(registry.NAME)
    assert registry.insert(shown.before[:-1], shown.entry) == shown.after[:-1]


# The example of loaders_types is a list on one line, which has to change.
@pytest.mark.parametrize(
    "registry", [item for item in EVERY if item.NAME != "loaders_types"], ids=lambda registry: registry.NAME
)
def test_the_example_adds_lines_only(registry: Registry) -> None:
    shown = example(registry.NAME)
    check_adds_lines_only(shown.before, shown.after)
