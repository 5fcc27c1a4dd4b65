"""The numbers in keys: what stands in block 3 also stands in block 4."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable

_WORD = re.compile(r"^(.*?[^\d])(0|[1-9]\d*)$")

Numbers = tuple[int, ...]


def numbered_words(keys: Iterable[str]) -> frozenset[str]:
    """The words that carry an index in themselves, such as ``block`` of ``block0``, ``block1``; not ``fc1``, ``fc2``.

    >>> sorted(numbered_words(["blocks.block0.fc1", "blocks.block1.fc1", "blocks.block0.fc2"]))
    ['block']
    """
    found: dict[str, set[int]] = defaultdict(set)
    for key in keys:
        for word in key.split("."):
            match = _WORD.match(word)
            if match:
                found[match[1]].add(int(match[2]))
    # Layers of one block are numbered from one, and blocks from zero.
    return frozenset(
        stem for stem, numbers in found.items() if len(numbers) > 1 and numbers == set(range(len(numbers)))
    )


def skeleton(key: str, words: frozenset[str] = frozenset()) -> tuple[str, Numbers]:
    """A key without its indices, and the indices.

    >>> skeleton("blocks.3.mlp.0.weight"), skeleton("blocks.block12.fc1.weight", frozenset(["block"]))
    (('blocks.#.mlp.#.weight', (3, 0)), ('blocks.block#.fc1.weight', (12,)))
    """
    parts, numbers = [], []
    for part in key.split("."):
        match = _WORD.match(part)
        if part.isdecimal():
            parts.append("#")
            numbers.append(int(part))
        elif match and match[1] in words:
            parts.append(f"{match[1]}#")
            numbers.append(int(match[2]))
        else:
            parts.append(part)
    return ".".join(parts), tuple(numbers)


def with_numbers(text: str, numbers: Iterable[int | str]) -> str:
    """The key of a skeleton and its indices."""
    left = iter(numbers)
    return re.sub("#", lambda _: str(next(left)), text)


def transferred(key: str, known: str, made_of: str, words: frozenset[str] = frozenset()) -> list[str]:
    """What ``key`` may be made of if ``known``, which differs in one index, is made of ``made_of``.

    >>> transferred("blocks.5.ff.net.0.weight", "blocks.2.ff.net.0.weight", "layers.2.mlp.0.weight")
    ['layers.5.mlp.0.weight']
    """
    (ours, numbers), (theirs, others) = skeleton(key), skeleton(known)
    if ours != theirs:
        return []
    changes = {(before, after) for before, after in zip(others, numbers, strict=True) if before != after}
    if len(changes) != 1:
        return []
    ((before, after),) = changes
    text, places = skeleton(made_of, words)
    return [
        with_numbers(text, (*places[:position], after, *places[position + 1 :]))
        for position, number in enumerate(places)
        if number == before
    ]
