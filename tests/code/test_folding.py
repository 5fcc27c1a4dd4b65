from __future__ import annotations

import ast
import random
import re
from collections import Counter
from pathlib import Path

import pytest

from scaffold_model.code import folding
from scaffold_model.code.folding import Folded, fold, unfolded
from scaffold_model.registries import init_blocks, init_reading
from scaffold_model.registries.base import Fact, changes, of_name

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
    halves = [
        (half, list(init_reading.listed(source, half)), init_reading.keys(source, half))
        for half in ("structure", "types")
    ]
    suites = init_reading.suites(source)
    return [
        [(half, listed, [_shape(key) for key in keys]) for half, listed, keys in halves],
        [(suite.half, suite.guard, suite.body and suite.lines) for suite in suites],
    ]


def _shape(key: init_blocks.Key) -> tuple[object, ...]:
    where = key.first, key.last, key.suite.index, key.place
    return key.module, list(key.names), key.objects, key.count, key.assigns, key.has_list, where


def parsed_in_full(source: str) -> Folded:
    return Folded(ast.parse(source), {})


def test_plain_statements_leave_something_on_their_lines() -> None:
    folded = fold(SOURCE)
    assert ast.unparse(folded.tree).split("\n") == [
        '"""A docstring with',
        "    pass",
        'in it."""',
        "pass",
        "pass",
        "if x:",
        "    del ()",
        "    del ()",
    ]
    runs = folded.runs.values()
    assert [(run.target, run.first, run.last, run.size) for run in runs] == [
        ("", 2, 2, 1),
        ("", 4, 4, 1),
        ("x", 5, 5, 1),
        ("x", 7, 18, 4),
        ("", 19, 23, 2),
    ]
    assert [
        (one.module, run.first + one.first, run.first + one.last, one.names, one.below, one.assigns)
        for run in runs
        for one in run.statements
    ] == [
        ("docs", 2, 2, ("Name",), 0, False),
        ("eager", 4, 4, ("eager",), 0, False),
        ("one", 5, 5, ("A",), 0, True),
        ("two.deep", 7, 7, ("A", "B"), 0, True),
        ("rows", 8, 11, ("A", "B"), 1, True),
        ("more", 12, 12, ("C",), 0, False),
        ("deep", 13, 18, ("D", "E"), 2, False),
        ("module", 19, 19, ("A", "b"), 0, False),
        ("module.deep", 20, 23, ("A", "B"), 1, False),
    ]


@pytest.mark.parametrize(
    ("first", "last"), [(5, 5), (7, 7), (8, 11), (12, 12), (13, 18), (19, 19), (20, 23)], ids=lambda line: str(line)
)
def test_one_statement_is_parsed_where_it_stands(first: int, last: int) -> None:
    statement, brackets = unfolded(SOURCE, first, last)
    assert (statement.lineno, statement.end_lineno) == (first, last)
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
    assert sum(run.size for source in sources for run in fold(source).runs.values()) > 1000
    monkeypatch.setattr(init_reading, "fold", parsed_in_full)
    for source, found in zip(sources, read, strict=True):
        assert reading(source) == found


def _registered(source: str, half: str) -> Counter[Fact]:
    return Counter((item.object, item.key, item.value, item.backends) for item in init_reading.listed(source, half))


def _edited(source: str, dice: random.Random) -> str:
    """The source with two lines doubled, taken out or with another name in them."""
    rows = source.split("\n")
    for _ in range(2):
        place = dice.randrange(len(rows))
        row = rows[place]
        rows[place : place + 1] = dice.choice(
            [
                [row, row.replace('["', '["z')],
                [row, row.replace("Model", "Mode")],
                [],
                [re.sub(r'(\w)("?,)$', r"\1Q\2", row)],
            ]
        )
    return "\n".join(rows)


def test_what_is_read_of_a_part_is_what_is_read_of_all(pristine: Path) -> None:
    dice = random.Random(7)
    differ = 0
    for path in sorted((pristine / "src/diffusers").rglob("__init__.py")):
        source = path.read_text(encoding="utf-8")
        edits = [_edited(source, dice) for _ in range(4)]
        for half in ("structure", "types"):
            keys = init_reading.keys(source, half)
            names = [name for key in keys for name in key.names]
            assert [name for block in init_reading.blocks(source, half) for name in block.names] == names
            items = init_reading.listed(source, half)
            for name in [*dice.sample(names, min(3, len(names))), "Pipeline"]:
                found = init_reading.holding(source, half, name)
                assert [_shape(key) for key in found] == [_shape(key) for key in keys if key.holds(name)]
                assert of_name(items, name) == [item for item in items if item.object == name]
            for edited in edits:
                if _fails(fold, edited):
                    continue
                wanted = _registered(edited, half)
                wanted.subtract(_registered(source, half))
                wanted = Counter({fact: count for fact, count in wanted.items() if count})
                assert changes(items, init_reading.listed(edited, half)) == wanted, edited
                differ += bool(wanted)
    assert differ > 50


def test_a_text_is_folded_once() -> None:
    assert folding.fold(SOURCE) is folding.fold(SOURCE)
