"""A mapping goes into the script of a scaffold, and nothing else in it changes."""

from __future__ import annotations

import pytest

from scaffold_model.errors import BadInput
from scaffold_model.parity.splice import spliced

BEFORE = """\
import re
from collections.abc import Callable

COMPONENTS = {"transformer": 1}


def split_qkv(tensor):
    return tensor.chunk(3)


def swap(tensor):
    return tensor


# TODO(foo): describe the original checkpoint.
# It has two lines.
TRANSFORMER_KEYS: dict = {
    r"a": (split_qkv, ["b"]),
    r"c": (swap, ["d"]),
}


def convert_transformer_state_dict(original_state_dict):
    return {}


VAE_KEYS = {r"a": (swap, ["d"])}


def main(args):
    return convert_transformer_state_dict(args)
"""
PARTS = {
    "functions": "def split_kv(tensor):\n    return tensor.chunk(2)\n",
    "tables": '# The table.\nTRANSFORMER_KEYS: dict = {\n    r"x": (split_kv, ["k", "v"]),\n}\n',
    "convert": "def converted_tensors(state):\n    yield from ()\n\n\n"
    "def convert_transformer_state_dict(state):\n    return dict(converted_tensors(state))\n",
}
AFTER = """\
import re
from collections.abc import Callable, Iterator, Mapping

COMPONENTS = {"transformer": 1}





def swap(tensor):
    return tensor


def split_kv(tensor):
    return tensor.chunk(2)


# The table.
TRANSFORMER_KEYS: dict = {
    r"x": (split_kv, ["k", "v"]),
}


def converted_tensors(state):
    yield from ()


def convert_transformer_state_dict(state):
    return dict(converted_tensors(state))


VAE_KEYS = {r"a": (swap, ["d"])}


def main(args):
    return convert_transformer_state_dict(args)
"""


def same(text: str) -> list[str]:
    """Blank lines are the formatter's."""
    return [line for line in text.splitlines() if line]


def test_the_table_its_functions_and_the_conversion_are_replaced() -> None:
    assert same(spliced(BEFORE, PARTS, "script.py")) == same(AFTER)


def test_a_second_time_changes_nothing() -> None:
    once = spliced(BEFORE, PARTS, "script.py")
    assert same(spliced(once, PARTS, "script.py")) == same(once)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (BEFORE.replace("TRANSFORMER_KEYS", "KEYS"), "has no TRANSFORMER_KEYS at its top level"),
        (BEFORE.replace("def convert_transformer_state_dict", "def other"), "has no convert_transformer_state_dict"),
        ("def (", "is no Python: invalid syntax"),
    ],
)
def test_a_script_without_a_place_for_it(text: str, message: str) -> None:
    with pytest.raises(BadInput, match=message) as error:
        spliced(text, PARTS, "script.py")
    assert error.value.path == "script.py"
