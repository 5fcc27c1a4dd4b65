from __future__ import annotations

from typing import Any

import pytest
import registry_checks as checks
import yaml
from conftest import guarded_insert

from scaffold_model.errors import AnchorNotFound, BrokenFile
from scaffold_model.registries import toctree
from scaffold_model.registries.base import Entry

NESTED = """\
# The order of this file matters.
- title: Start
  sections:
  - local: index
    title: Diffusers
- isExpanded: false
  sections:
  - sections:
    - local: api/pipelines/overview
      title: Overview
    - local: api/pipelines/auto_pipeline
      title: AutoPipeline
    - sections:
      - local: api/pipelines/bar
        title: bar
      # A comment that stays where it is.
      - sections:
        - local: api/pipelines/deep/overview
          title: Overview
        title: Deep
      - local: api/pipelines/qux
        title: "Qux: 2"
      title: Image
    - sections:
      - local: api/pipelines/tv
        title: TV
      title: Video
    title: Pipelines
  title: API
"""


def entry(local: str, title: str, *section: str) -> Entry:
    return Entry("toctree", "x", local, section, title)


def test_a_page_among_pages_and_sections() -> None:
    row = "      - local: api/pipelines/foo\n        title: Foo\n"
    after = NESTED.replace("      - local: api/pipelines/qux", row + "      - local: api/pipelines/qux")
    checks.check(toctree, NESTED, entry("api/pipelines/foo", "Foo", "API", "Pipelines", "Image"), after, python=False)


def test_the_last_page_of_a_section() -> None:
    row = "      - local: api/pipelines/zap\n        title: Zap\n"
    after = NESTED.replace("      title: Video\n", row + "      title: Video\n")
    checks.check(toctree, NESTED, entry("api/pipelines/zap", "Zap", "API", "Pipelines", "Video"), after, python=False)


def test_fixed_pages_stay_in_front_and_odd_titles_are_quoted() -> None:
    row = '      - local: api/pipelines/a\n        title: "A: #1"\n'
    after = NESTED.replace("      - local: api/pipelines/bar", row + "      - local: api/pipelines/bar")
    checks.check(toctree, NESTED, entry("api/pipelines/a", "A: #1", "API", "Pipelines", "Image"), after, python=False)
    assert yaml.safe_load(after)[1]["sections"][0]["sections"][2]["sections"][0]["title"] == "A: #1"


def test_what_is_listed_is_what_yaml_reads() -> None:
    found = []

    def walk(items: list[dict[str, Any]], section: tuple[str, ...]) -> None:
        for item in items:
            if "local" in item:
                found.append((item["local"], section, item["title"]))
            walk(item.get("sections", []), (*section, item["title"]))

    walk(yaml.safe_load(NESTED), ())
    assert [(item.object, item.key, item.value) for item in toctree.listed(NESTED)] == found


def test_a_missing_section_is_an_error_that_names_it() -> None:
    with pytest.raises(AnchorNotFound, match="API > Models"):
        toctree.insert(NESTED, entry("api/models/foo", "Foo", "API", "Models"))


def test_an_insertion_that_would_break_the_file_is_refused() -> None:
    """The item above has a key that no table of contents has; what is in it stands in the column of its own keys."""
    source = (
        "- sections:\n  - sections:\n    - local: api/pipelines/overview\n    20ctions:\n      title: Bar\n"
        "    title: Pipelines\n  title: API\n"
    )
    entry = checks.replaced(checks.example("toctree").entry, path=toctree.PATH)
    with pytest.raises(BrokenFile, match="written in a form that is not understood"):
        guarded_insert(checks.load("toctree"), source, entry)
