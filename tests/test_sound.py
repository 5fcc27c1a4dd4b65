from __future__ import annotations

import pytest

from scaffold_model.errors import BrokenFile
from scaffold_model.sound import check_text

PAGES = "".join(f"  - local: api/models/page{n}\n    title: Page {n}\n" for n in range(4))
CONTENTS = f"- sections:\n{PAGES}  title: Models\n"


def test_a_sound_table_of_contents() -> None:
    check_text("toc.yml", CONTENTS)


@pytest.mark.parametrize(
    ("before", "after", "line"),
    [
        ("    title: Page 1\n", "    title: Page: 1\n", 5),
        ("    title: Page 2\n", "     title: Page 2\n", 7),
        ("  - local: api/models/page3\n", " - local: api/models/page3\n", 8),
        ("  title: Models\n", "  title: [Models\n", 11),
    ],
)
def test_a_mistake_among_plain_pages_is_reported_with_the_line_of_the_file(before: str, after: str, line: int) -> None:
    broken = CONTENTS.replace(before, after)
    assert broken != CONTENTS
    with pytest.raises(BrokenFile) as caught:
        check_text("toc.yml", broken)
    assert f"not valid YAML in line {line}" in caught.value.line


def test_markers_in_the_first_line() -> None:
    with pytest.raises(BrokenFile, match="merge-conflict markers in line 1"):
        check_text("a.py", "<<<<<<< ours\n")


@pytest.mark.parametrize("path", ["x.py", "src/diffusers/__init__.py"])
def test_brackets_deeper_than_the_parser_goes(path: str) -> None:
    deep = "x = " + "[" * 150 + "\n" + "y = " + "[" * 150 + "\n"
    with pytest.raises(BrokenFile):
        check_text(path, deep)
