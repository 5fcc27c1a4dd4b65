"""Rules for targets of several sources, such as gate and value that the model has in one layer."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping

from .indices import skeleton, with_numbers
from .pieces import Choice, Shape, matrix
from .rule import Join


def make_joins(
    choices: list[Choice], sources: Mapping[str, Shape], words: frozenset[str], marks: Mapping[str, str]
) -> list[Join]:
    """Rules for targets of several sources; an index that target and sources share becomes a group."""
    groups: dict[object, list[Choice]] = defaultdict(list)
    for choice in choices:
        pieces = tuple((skeleton(one.source, words)[0], one.start, one.stop) for one in choice.pieces)
        groups[skeleton(choice.target)[0], pieces].append(choice)
    joins = []
    for group in groups.values():
        rows = [
            (*skeleton(one.target)[1], *(n for piece in one.pieces for n in skeleton(piece.source, words)[1]))
            for one in group
        ]
        columns = list(zip(*rows, strict=True))
        varying = [column for column in columns if len(set(column)) > 1]
        alike = len(set(varying)) <= 1
        for members in [group] if alike else [[one] for one in group]:
            joins.append(_join(members, sources, words, marks))
    return joins


def _join(group: list[Choice], sources: Mapping[str, Shape], words: frozenset[str], marks: Mapping[str, str]) -> Join:
    def formatted(keys: list[str], group_text: str) -> str:
        text = skeleton(keys[0], words)[0]
        columns = zip(*(skeleton(key, words)[1] for key in keys), strict=True)
        return with_numbers(text, [group_text if len(set(column)) > 1 else column[0] for column in columns])

    first = [choice.pieces[0].source for choice in group]
    expression = re.escape(formatted(first, "#")).replace("\\#", "#")
    seen = iter(["(\\d+)", *["(?:\\d+)"] * expression.count("#")])
    pieces = []
    for position, piece in enumerate(group[0].pieces):
        whole = (piece.start, piece.stop) == (0, matrix(sources[piece.source])[0])
        text = formatted([choice.pieces[position].source for choice in group], "{0}")
        pieces.append((text, None if whole else (piece.start, piece.stop)))
    text, _ = skeleton(group[0].target)
    columns = zip(*(skeleton(choice.target)[1] for choice in group), strict=True)
    target = with_numbers(text, ["{0}" if len(set(column)) > 1 else column[0] for column in columns])
    return Join(
        re.sub("#", lambda _: next(seen), expression),
        target,
        tuple(pieces),
        tuple(piece.source for choice in group for piece in choice.pieces),
        tuple(sorted({marks[one.target] for one in group if one.target in marks})),
    )
