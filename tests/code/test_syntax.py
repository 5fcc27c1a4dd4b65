from __future__ import annotations

import pytest

from scaffold_model.code.syntax import last_line, parse


def test_a_text_is_parsed_once() -> None:
    tree = parse("x = [\n]\n")
    assert parse("x = [\n]\n") is tree
    assert last_line(tree.body[0]) == 2


def test_a_broken_text_is_an_error() -> None:
    with pytest.raises(SyntaxError):
        parse("x = [\n")
