from __future__ import annotations

from scaffold_model.code.text import get_lines, indent_of, insert_before, line_count, remove_lines, replace_lines


def test_lines_go_in_and_out() -> None:
    source = "a\n  b\nc\n"
    assert insert_before(source, 2, "x\ny") == "a\nx\ny\n  b\nc\n"
    assert insert_before(source, 4, "x") == "a\n  b\nc\nx\n"
    assert insert_before("a\nb", 2, "x\n") == "a\nx\nb"
    assert remove_lines(source, 1, 2) == "c\n"
    assert replace_lines(source, 2, 3, "x\n") == "a\nx\n"
    assert get_lines(source, 2, 3) == "  b\nc"
    assert indent_of(source, 2) == "  "
    assert (line_count(source), line_count("a\nb"), line_count("")) == (3, 2, 0)
