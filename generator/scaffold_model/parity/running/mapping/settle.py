"""Which rows of the reference each target parameter consists of, by the sums of a probe."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass

import torch

from .pieces import Piece, Pieces, joined

#: Rows are the same where their gradients differ by less than this share of their length.
SAME = 5e-3


@dataclass
class _Sources:
    """The sources with the same number of rows and columns, one above the other."""

    keys: list[str]
    #: Of the shape (sources, rows, sums).
    sums: torch.Tensor
    #: The sum of the rows before each row, of the shape (sources, rows + 1, sums).
    before: torch.Tensor


def fitting(
    target: dict[str, torch.Tensor],
    source: dict[str, torch.Tensor],
    columns: dict[str, dict[str, int]],
    period: int,
) -> dict[str, list[Pieces]]:
    """For each target, the ways to compose it that its gradients allow, the simplest first.

    Args:
        target: Rows of sums by target key.
        source: Rows of sums by source key.
        columns: By side, the number of columns of each tensor: pieces have as many as their target.
        period: The period of the probe.

    Returns:
        By target key, the compositions; none where no source rows agree, or nothing shows.
    """
    groups: dict[tuple[int, int], list[str]] = defaultdict(list)
    for key, rows in source.items():
        groups[columns["reference"][key], rows.shape[0]].append(key)
    by_columns: dict[int, list[_Sources]] = defaultdict(list)
    for (column, _), keys in groups.items():
        sums = torch.stack([source[key] for key in keys])
        before = torch.nn.functional.pad(sums.cumsum(dim=1), (0, 0, 1, 0))
        by_columns[column].append(_Sources(keys, sums, before))
    return {key: _compositions(rows, by_columns[columns["target"][key]], period) for key, rows in target.items()}


def _compositions(rows: torch.Tensor, sources: list[_Sources], period: int) -> list[Pieces]:
    count = rows.shape[0]
    if not float(rows.norm()):
        return []
    wholes: list[Pieces] = []
    slices: list[Pieces] = []
    for group in sources:
        size = group.sums.shape[1]
        step = period if count % period == 0 else count
        starts = sorted({*range(0, size - count + 1, step), *range(0, size - count + 1, count)})
        for key, start in _places(rows, group, starts):
            (wholes if size == count else slices).append((Piece(key, start, start + count),))
    if wholes or slices or count % period or count == period:
        return wholes + slices
    composed = _from_blocks(rows, sources, period)
    return [composed] if composed else []


def _places(rows: torch.Tensor, group: _Sources, starts: list[int]) -> list[tuple[str, int]]:
    """Where in a group of sources these rows stand."""
    if not starts:
        return []
    count, norm = rows.shape[0], float(rows.norm())
    first = torch.tensor(starts)
    windows = group.before[:, first + count] - group.before[:, first]
    # A sum of rows differs by no more than its rows do together, so most places are ruled out by their sums.
    near = (windows - rows.sum(dim=0)).norm(dim=-1) <= math.sqrt(count) * SAME * norm
    return [
        (group.keys[source], starts[place])
        for source, place in near.nonzero().tolist()
        if float((group.sums[source, starts[place] : starts[place] + count] - rows).norm()) < SAME * norm
    ]


def _from_blocks(rows: torch.Tensor, sources: list[_Sources], period: int) -> Pieces | None:
    """The composition from blocks of one period with the fewest pieces, or None."""
    places = [
        [
            place
            for group in sources
            for place in _places(block, group, list(range(0, group.sums.shape[1] - period + 1, period)))
        ]
        if float(block.norm())
        else []
        for block in rows.split(period)
    ]
    if not all(places):
        return None
    # Blocks that are alike, as heads are, are taken in their order and each once.
    alike: dict[tuple[tuple[str, int], ...], list[int]] = defaultdict(list)
    for index, found in enumerate(places):
        alike[tuple(sorted(found))].append(index)
    for options, indices in alike.items():
        if len(options) == len(indices):
            for index, option in zip(indices, options, strict=True):
                places[index] = [option]
    # The fewest pieces up to each block, by where its rows come from.
    best: dict[tuple[str, int], tuple[int, list[Piece]]] = {
        (key, start): (1, [Piece(key, start, start + period)]) for key, start in places[0]
    }
    for found in places[1:]:
        cheapest = min(best.values(), key=lambda entry: entry[0])
        following: dict[tuple[str, int], tuple[int, list[Piece]]] = {}
        for key, start in found:
            cost, before = cheapest[0] + 1, cheapest[1]
            if (key, start - period) in best and best[key, start - period][0] < cost:
                cost, before = best[key, start - period]
            following[key, start] = (cost, [*before, Piece(key, start, start + period)])
        best = following
    return joined(min(best.values(), key=lambda entry: entry[0])[1])
