from __future__ import annotations

import registry_checks as checks

from scaffold_model.registries import pipelines_types
from scaffold_model.registries.base import Entry


def test_only_the_first_run_of_imports_counts() -> None:
    shown = checks.example("pipelines_types")
    entry = Entry("pipelines_types", "x", "AbaPipeline", "aba", backends=("torch", "transformers"))
    after = shown.before.replace("        from .bar", "        from .aba import AbaPipeline\n        from .bar")
    checks.check(pipelines_types, shown.before, entry, after)
