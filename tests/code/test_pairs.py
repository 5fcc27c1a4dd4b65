from __future__ import annotations

import pytest

from scaffold_model.code import pairs

TUPLES = 'X = OrderedDict(\n    [\n        ("a", f("A")),\n    ]\n)\n'
DICT = 'X: dict[str, str] = {\n    "a": "A",\n}\n'


@pytest.mark.parametrize(
    ("before", "value", "after"),
    [
        (TUPLES, 'f("B")', TUPLES.replace("    ]", '        ("b", f("B")),\n    ]')),
        (DICT, '"B"', DICT.replace("}", '    "b": "B",\n}')),
        ("X = OrderedDict(\n    [\n    ]\n)\n", "B", 'X = OrderedDict(\n    [\n        ("b", B),\n    ]\n)\n'),
    ],
)
def test_a_pair_goes_in_and_out(before: str, value: str, after: str) -> None:
    assert pairs.insert(before, "X", "b", value, len) == after
    assert pairs.remove(after, "X", "b") == before


def test_a_key_that_is_no_string_keeps_its_text() -> None:
    mapping = pairs.find("X = {\n    A.b: 1,\n}\n", "X")
    assert mapping is not None
    assert [pair.key for pair in mapping.pairs] == ["A.b"]


def test_no_mapping_and_a_mapping_on_one_line_are_left_alone() -> None:
    assert pairs.insert("Y = {}\n", "X", "b", "B", len) is None
    assert pairs.insert("X = {}\n", "X", "b", "B", len) is None
    assert pairs.remove("Y = {}\n", "X", "b") == "Y = {}\n"
