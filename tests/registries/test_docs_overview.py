from __future__ import annotations

import registry_checks as checks

from scaffold_model.conventions import detect
from scaffold_model.registries import docs_overview
from scaffold_model.registries.base import Page
from scaffold_model.snapshot import Snapshot

PAGE = Page("api/pipelines/foo", "Foo", ("API", "Pipelines"), ("FooPipeline", "FooInpaintPipeline", "FooOutput"))


def entries(overview: str) -> list[tuple[str, str, str]]:
    snapshot = Snapshot(None, {docs_overview.PATH: overview})
    found = docs_overview.entries(PAGE, detect(snapshot), snapshot)
    return [(entry.object, entry.text_key, entry.value) for entry in found]


def test_the_tasks_of_a_page_where_there_is_a_table() -> None:
    assert entries(checks.example("docs_overview").before) == [("foo", "Foo", "text2image, inpainting")]
    assert entries("# Pipelines\n") == []


def test_the_first_row() -> None:
    shown = checks.example("docs_overview")
    entry = checks.replaced(shown.entry, object="aaa", key="AAA", value="text2audio")
    after = shown.before.replace("| [Bar]", "| [AAA](aaa) | text2audio |\n| [Bar]")
    checks.check(docs_overview, shown.before, entry, after, python=False)
