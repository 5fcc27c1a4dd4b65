from __future__ import annotations

import random

from scaffold_model.code.text import (
    differing,
    get_lines,
    indent_of,
    insert_before,
    line_count,
    remove_lines,
    replace_lines,
)


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


def test_where_two_texts_differ_are_whole_lines_and_all_that_differ() -> None:
    dice = random.Random(7)
    for _ in range(3000):
        before = "".join(dice.choices("ab\n", k=dice.randint(0, 12)))
        place = dice.randint(0, len(before))
        after = (
            before[:place] + "".join(dice.choices("ab\n", k=dice.randint(0, 4))) + before[place + dice.randint(0, 3) :]
        )
        mine, others = differing(before, after)
        assert before[: mine.start] == after[: others.start]
        assert before[mine.stop :] == after[others.stop :]
        for text, lines in ((before, mine), (after, others)):
            assert lines.start == 0 or text[lines.start - 1] == "\n"
            assert lines.stop == len(text) or text[lines.stop - 1] == "\n"
