"""Sort keys of the tools that order names in a checkout, and the place of a new name in a list."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cache
from typing import TypeVar

_Key = TypeVar("_Key", bound="tuple[object, ...]")
_DIGITS = re.compile(r"\d+")


def natural(text: str) -> str:
    """Natural order: runs of digits compare as numbers, so ``LTX2Video`` comes before ``LTX25Video``.

    A run becomes a zero, its number of digits as one character, and the digits: a longer number is a greater one.
    """
    return _DIGITS.sub(_numbered, text)


def _numbered(run: re.Match[str]) -> str:
    number = str(int(run[0]))
    return f"0{chr(len(number))}{number}"


@cache
def import_module_key(module: str) -> tuple[object, ...]:
    """The order in which ruff's isort rules put the modules of ``from .module import ...``."""
    return natural(module.lower()), natural(module)


@cache
def import_name_key(name: str) -> tuple[object, ...]:
    """The order in which ruff's isort rules put imported names: constants, classes, functions; naturally."""
    kind = 0 if len(name) > 1 and name.isupper() else 1 if name[:1].isupper() else 2
    return kind, natural(name.lower()), natural(name)


def object_key(name: str) -> tuple[object, ...]:
    """The order of lists of object names as strings: constants, classes, functions; no case, no underscores."""
    kind = 0 if name.isupper() else 1 if name[:1].isupper() else 2
    return kind, name.lower().replace("_", "")


def plain_key(name: str) -> tuple[object, ...]:
    """ASCII order."""
    return (name,)


def sorted_among(present: Sequence[str], name: str, key: Callable[[str], _Key]) -> int:
    """Where ``name`` goes among names that should be sorted by ``key``; see ``sorted_position``.

    In all orders here the first letter decides between names that differ in it, so that one of the names with another
    first letter stands for all of them and most keys need not be made.
    """
    first = name[:1].lower()
    known: dict[str, _Key] = {}

    def stand_in(other: str) -> _Key:
        letter = other[:1]
        if letter.lower() == first or not (letter.isalpha() and first.isalpha()) or other.isupper():
            return key(other)
        known[letter] = known.get(letter) or key(other)
        return known[letter]

    # Constants come before all classes, and have no stand-in.
    keys = [known[other[0]] if other[:1] in known and not other.isupper() else stand_in(other) for other in present]
    return sorted_position(keys, key(name))


def sorted_position(keys: Sequence[_Key], key: _Key) -> int:
    """Where ``key`` goes in a list that should be sorted, with the fewest neighbours out of order.

    In a sorted list that is the usual place, after equal keys. A list in which somebody misplaced a name still gets
    the place that fits nearly all others.
    """
    wrong = sum(other < key for other in keys)
    best, position = wrong, 0
    for index, other in enumerate(keys):
        wrong += 0 if other == key else 1 if key < other else -1
        if wrong < best or (wrong == best and not key < other):
            best, position = wrong, index + 1
    return position


def common_prefix(first: str, second: str) -> int:
    """The length of the common prefix of two names."""
    length = 0
    for one, other in zip(first, second, strict=False):
        if one != other:
            break
        length += 1
    return length
