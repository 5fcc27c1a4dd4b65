from __future__ import annotations

from scaffold_model.code import toc

SOURCE = """\
- sections:
  - local: a/one
    title: 'One: first'
  - title: Deep
    sections:
    - title: Two
      local: a/two
  title: Top
- local: b
  title: B
"""


def test_items_with_their_sections_and_lines() -> None:
    assert [(item.local, item.title, item.section, item.first, item.last) for item in toc.items(SOURCE)] == [
        ("", "Top", (), 1, 8),
        ("a/one", "One: first", ("Top",), 2, 3),
        ("", "Deep", ("Top",), 4, 7),
        ("a/two", "Two", ("Top", "Deep"), 6, 7),
        ("b", "B", (), 9, 10),
    ]


def test_a_page_at_the_end_of_a_file_without_a_line_end() -> None:
    siblings = [item for item in toc.items(SOURCE) if item.section == ()]
    after = toc.insert(SOURCE[:-1], siblings, len(siblings), "c", "C")
    assert after == SOURCE + "- local: c\n  title: C"
