from __future__ import annotations

import ast
import random
from pathlib import Path

import pytest

from scaffold_model.code import folding
from scaffold_model.code.folding import Folded, Plain, fold, unfolded
from scaffold_model.registries import init_reading

SOURCE = '''\
"""A docstring with
    from .docs import Name
in it."""
from .eager import eager
x["one"] = ["A"]
if x:
    x["two.deep"] = ["A", "B"]
    x["rows"] = [
        "A",
        "B",
    ]
    x["more"].extend(["C"])
    x["deep"].extend(
        [
            "D",
            "E",
        ]
    )
    from .module import A, b
    from .module.deep import (
        A,
        B,
    )
'''

DAMAGE = ["", "\n", " ", '"', "\\", "(", "]", ",", "    ", "None", "a", "\r", "\t", "\x0c", "é", "0"]


def reading(source: str) -> list[object]:
    """All that is read of an init module."""
    init_reading._read.cache_clear()
    init_reading._listed.cache_clear()
    halves = [
        (half, init_reading.listed(source, half), init_reading.keys(source, half)) for half in ("structure", "types")
    ]
    suites = init_reading.suites(source)
    return [
        [(half, listed, [_shape(key) for key in keys]) for half, listed, keys in halves],
        [(suite.half, suite.guard, [(item.lineno, item.end_lineno) for item in suite.body]) for suite in suites],
    ]


def _shape(key: init_reading.Key) -> tuple[object, ...]:
    where = key.statement.lineno, key.statement.end_lineno, key.suite.index, key.place
    return key.module, key.names, key.objects, key.count, key.assigns, key.has_list, where


def parsed_in_full(source: str) -> Folded:
    return Folded(ast.parse(source), {})


def test_plain_statements_leave_something_on_their_lines() -> None:
    folded = fold(SOURCE)
    stand_ins = ["pass", "del ()", "pass", "del ()", "pass", "del ()"]
    assert ast.unparse(folded.tree).split("\n") == [
        '"""A docstring with',
        "    pass",
        'in it."""',
        "pass",
        "pass",
        "if x:",
        *(f"    {one}" for one in stand_ins),
    ]
    assert [(one.target, one.module, one.first, one.last, one.names) for one in folded.plain.values()] == [
        ("", "docs", 2, 2, ["Name"]),
        ("", "eager", 4, 4, ["eager"]),
        ("x", "one", 5, 5, ["A"]),
        ("x", "two.deep", 7, 7, ["A", "B"]),
        ("x", "rows", 8, 11, ["A", "B"]),
        ("x", "more", 12, 12, ["C"]),
        ("x", "deep", 13, 18, ["D", "E"]),
        ("", "module", 19, 19, ["A", "b"]),
        ("", "module.deep", 20, 23, ["A", "B"]),
    ]
    assert folded.plain[13].lines == [("D", 15), ("E", 16)]
    assert [folded.plain[line].assigns for line in (5, 8, 12, 13, 19)] == [True, True, False, False, False]


@pytest.mark.parametrize("line", [5, 7, 8, 12, 13, 19, 20])
def test_one_statement_is_parsed_where_it_stands(line: int) -> None:
    plain: Plain = fold(SOURCE).plain[line]
    statement, brackets = unfolded(SOURCE, plain)
    assert (statement.lineno, statement.end_lineno) == (plain.first, plain.last)
    whole = [node for node in ast.walk(ast.parse(SOURCE)) if isinstance(node, ast.List | ast.ImportFrom)]
    assert ast.dump(brackets, include_attributes=True) in [ast.dump(node, include_attributes=True) for node in whole]


@pytest.mark.parametrize(
    "source",
    [
        "x = \\\nx['a'] = y\n",
        'x = \\\nx["a"] = ["b"]\n',
        "from .class_ import None_, true\n",
        'print["x"] = ["A"]\n',
        'def f():\n    x["a"] = ["b"]\n',
    ],
)
def test_what_is_python_stays_python(source: str) -> None:
    ast.parse(source)
    fold(source)


@pytest.mark.parametrize(
    "source",
    [
        "from .class import A\n",
        "from .a import A, None\n",
        "from .a import (\n    A,\n    lambda,\n)\n",
        "from .a import 1A\n",
        "from .a..b import A\n",
        'if["x"] = ["A"]\n',
        'x["a"] = ["b"]\n  x["a"] = ["b"]\n',
        'x = [\nx["a"] = ["b"]\n]\n',
        "if x:\nfrom .a import A\n",
    ],
)
def test_what_is_no_python_is_refused(source: str) -> None:
    with pytest.raises(SyntaxError):
        ast.parse(source)
    with pytest.raises(SyntaxError):
        fold(source)


@pytest.mark.filterwarnings("ignore")
def test_a_damaged_text_is_refused_exactly_where_the_parser_refuses_it() -> None:
    dice = random.Random(7)
    refused = 0
    for _ in range(600):
        text = SOURCE
        for _ in range(dice.randint(1, 3)):
            place, length = dice.randrange(len(text)), dice.choice((0, 1, 1, 4))
            text = text[:place] + dice.choice(DAMAGE) + text[place + length :]
        broken = [_fails(ast.parse, text), _fails(fold, text)]
        assert broken[0] == broken[1], text
        refused += broken[0]
    assert 100 < refused < 600


def _fails(read: object, text: str) -> bool:
    try:
        read(text)  # type: ignore[operator]
    except SyntaxError:
        return True
    return False


def test_every_init_of_a_checkout_is_read_as_the_parser_reads_it(
    pristine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = [path.read_text(encoding="utf-8") for path in sorted((pristine / "src/diffusers").rglob("__init__.py"))]
    read = [reading(source) for source in sources]
    assert sum(len(fold(source).plain) for source in sources) > 1000
    monkeypatch.setattr(init_reading, "fold", parsed_in_full)
    for source, found in zip(sources, read, strict=True):
        assert reading(source) == found


def test_a_text_is_folded_once() -> None:
    assert folding.fold(SOURCE) is folding.fold(SOURCE)
