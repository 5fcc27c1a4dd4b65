"""Registries as nobody would write them: the result is right, or the run is refused; never a crash, never half an edit.

``SCAFFOLD_MODEL_FUZZ`` says how many inputs each registry gets; by default a few. The real files of diffusers get fewer,
since they are thousands of lines long.
"""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest
from conftest import guarded_insert
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from mutations import MUTATIONS, Mutation
from registry_checks import example, load, replaced

from scaffold_model.errors import ScaffoldError
from scaffold_model.registries import OPTIONAL, REGISTRIES
from scaffold_model.registries.base import Entry, Listed, Registry
from scaffold_model.sound import check_text

EXAMPLES = int(os.environ.get("SCAFFOLD_MODEL_FUZZ", "30"))
REAL = max(1, EXAMPLES // 100) if EXAMPLES > 30 else 2
NAMES = [registry.NAME for registry in (*REGISTRIES, *OPTIONAL)]
SUFFIX = {"toctree": "x.yml", "docs_overview": "x.md", "lora_docs": "x.md"}

plans = st.lists(st.tuples(st.sampled_from(MUTATIONS), st.integers(0, 10_000)), max_size=5)


def facts(items: list[Listed]) -> Counter[tuple[object, ...]]:
    return Counter((item.object, item.key, item.value, item.backends) for item in items)


def mutated(source: str, plan: list[tuple[Mutation, int]]) -> str:
    for mutation, number in plan:
        source = mutation(source, number)
    return source


def hold(registry: Registry, source: str, entry: Entry) -> str:
    """The promise of a registry, for any text; what is broken is refused before a registry sees it."""
    path = SUFFIX.get(registry.NAME, "x.py")
    try:
        check_text(path, source)
        before = registry.listed(source)
        after = guarded_insert(registry, source, entry)
    except ScaffoldError:
        return "refused"
    check_text(path, after)
    present = any(entry.is_listed_as(item) for item in before)
    if present:
        assert after == source
        return "there already"
    added = facts(registry.listed(after))
    added.subtract(facts(before))
    changes = {fact: count for fact, count in added.items() if count}
    assert [fact[0] for fact in changes] == [entry.object], changes
    assert list(changes.values()) == [1]
    assert guarded_insert(registry, after, entry) == after
    return "edited"


@pytest.mark.parametrize("name", NAMES)
def test_mutated_examples(name: str) -> None:
    registry, shown = load(name), example(name)
    entry = replaced(shown.entry, path=shown.entry.path or SUFFIX.get(name, "x.py"))

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=EXAMPLES <= 30,
        suppress_health_check=list(HealthCheck),
    )
    @given(plans)
    def run(plan: list[tuple[Mutation, int]]) -> None:
        outcomes[hold(registry, mutated(shown.before, plan), entry)] += 1

    outcomes: Counter[str] = Counter()
    run()
    print(f"{name}: {dict(outcomes)}")
    assert outcomes["edited"] > 0


#: The files of diffusers with an entry for each that they do not have.
REAL_FILES = {
    "root_structure": (
        "src/diffusers/__init__.py",
        Entry("", "", "QuxPipeline", "pipelines", backends=("torch", "transformers")),
    ),
    "root_types": (
        "src/diffusers/__init__.py",
        Entry("", "", "QuxPipeline", "pipelines", backends=("torch", "transformers")),
    ),
    "models_structure": (
        "src/diffusers/models/__init__.py",
        Entry("", "", "QuxModel", "transformers.transformer_qux", backends=("torch",)),
    ),
    "models_types": (
        "src/diffusers/models/__init__.py",
        Entry("", "", "QuxModel", "transformers", backends=("torch",)),
    ),
    "models_package": (
        "src/diffusers/models/transformers/__init__.py",
        Entry("", "", "QuxModel", "transformer_qux", backends=("torch",)),
    ),
    "schedulers_structure": (
        "src/diffusers/schedulers/__init__.py",
        Entry("", "", "QuxScheduler", "scheduling_qux", backends=("torch",)),
    ),
    "schedulers_types": (
        "src/diffusers/schedulers/__init__.py",
        Entry("", "", "QuxScheduler", "scheduling_qux", backends=("torch",)),
    ),
    "pipelines_structure": (
        "src/diffusers/pipelines/__init__.py",
        Entry("", "", "QuxPipeline", "qux", backends=("torch", "transformers")),
    ),
    "pipelines_types": (
        "src/diffusers/pipelines/__init__.py",
        Entry("", "", "QuxPipeline", "qux", backends=("torch", "transformers")),
    ),
    "modular_structure": (
        "src/diffusers/modular_pipelines/__init__.py",
        Entry("", "", "QuxModularPipeline", "qux", backends=("torch",)),
    ),
    "modular_types": (
        "src/diffusers/modular_pipelines/__init__.py",
        Entry("", "", "QuxModularPipeline", "qux", backends=("torch",)),
    ),
    "loaders_structure": (
        "src/diffusers/loaders/__init__.py",
        Entry("", "", "QuxLoraLoaderMixin", "lora_pipeline", backends=("torch", "transformers")),
    ),
    "loaders_types": (
        "src/diffusers/loaders/__init__.py",
        Entry("", "", "QuxLoraLoaderMixin", "lora_pipeline", backends=("torch", "transformers")),
    ),
    "toctree": (
        "docs/source/en/_toctree.yml",
        Entry("", "", "api/pipelines/qux", ("API", "Pipelines", "Image"), "Qux"),
    ),
}


@pytest.mark.checkout
@pytest.mark.parametrize("name", REAL_FILES)
def test_mutated_files_of_diffusers(name: str, pristine: Path) -> None:
    registry = load(name)
    path, entry = REAL_FILES[name]
    entry = replaced(entry, path=path)
    source = (pristine / path).read_text(encoding="utf-8")
    assert hold(registry, source, entry) == "edited"

    @settings(
        max_examples=REAL, deadline=None, database=None, derandomize=REAL <= 2, suppress_health_check=list(HealthCheck)
    )
    @given(plans)
    def run(plan: list[tuple[Mutation, int]]) -> None:
        assume(plan)
        outcomes[hold(registry, mutated(source, plan), entry)] += 1

    outcomes: Counter[str] = Counter()
    run()
    print(f"{name}: {dict(outcomes)}")
