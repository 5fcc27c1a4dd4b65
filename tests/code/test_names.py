from __future__ import annotations

import ast

import pytest

from scaffold_model.code.names import Brackets, collapse, elements, explode, insert_name, remove_name


def find(source: str) -> tuple[ast.stmt, Brackets]:
    """The first statement with names, and its list."""
    statement = ast.parse(source).body[-1]
    lists = [node for node in ast.walk(statement) if isinstance(node, ast.List | ast.ImportFrom)]
    return statement, lists[0]


def insert(source: str, name: str, index: int, width: int = 119) -> str:
    return insert_name(source, *find(source), name, index, width)


def remove(source: str, name: str, width: int = 119) -> str:
    return remove_name(source, *find(source), name, width)


CASES = [
    ('x = ["a", "c"]\n', 1, 'x = ["a", "b", "c"]\n'),
    ("x = []\n", 0, 'x = ["b"]\n'),
    ('x = ["a"]  # why\n', 1, 'x = ["a", "b"]  # why\n'),
    ('x.extend(["a"])\n', 0, 'x.extend(["b", "a"])\n'),
    ("from .m import a\n", 1, "from .m import a, b\n"),
    ("from .m import (a, c)\n", 1, "from .m import (a, b, c)\n"),
    ("from .m import a  # noqa\n", 1, "from .m import a, b  # noqa\n"),
    ('x = [\n    "a",\n    "c",\n]\n', 1, 'x = [\n    "a",\n    "b",\n    "c",\n]\n'),
    ('x = [\n    "a",\n    # of c\n    "c",\n]\n', 1, 'x = [\n    "a",\n    "b",\n    # of c\n    "c",\n]\n'),
    ('x = [\n    "a",  # of a\n]\n', 1, 'x = [\n    "a",  # of a\n    "b",\n]\n'),
    ("from .m import (\n    a,\n)\n", 0, "from .m import (\n    b,\n    a,\n)\n"),
    ('x["é"] = ["a"]\n', 1, 'x["é"] = ["a", "b"]\n'),
]


@pytest.mark.parametrize(("before", "index", "after"), CASES)
def test_insert_and_remove_are_inverse(before: str, index: int, after: str) -> None:
    assert insert(before, "b", index) == after
    ast.parse(after)
    assert remove(after, "b") == before


def test_a_last_name_without_its_comma_gets_one() -> None:
    assert insert('x = [\n    "a"\n]\n', "b", 1) == 'x = [\n    "a",\n    "b",\n]\n'


def test_an_import_with_an_alias_keeps_it() -> None:
    assert insert("from .m import a as z\n", "b", 1) == "from .m import a as z, b\n"


def test_a_line_that_gets_too_long_breaks_and_comes_together_again() -> None:
    before = 'x = ["alpha", "beta"]\n'
    after = 'x = [\n    "alpha",\n    "beta",\n    "gamma",\n]\n'
    assert insert(before, "gamma", 2, width=25) == after
    assert remove(after, "gamma", width=25) == before


def test_explode_and_collapse() -> None:
    for line in ('  x = ["a", "b"]', "  from .m import a, b", '  x["k"].extend(["a", "b"])'):
        assert collapse(explode(line)) == line
        ast.parse(explode(line).replace("\n  ", "\n").strip())


def test_elements_name_what_is_no_string_as_empty() -> None:
    assert elements(find('x = ["a", y]\n')[1]) == [("a", 1), ("", 1)]
