"""Which rows of the reference each target parameter consists of, by the sums of a probe."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import torch

from .pieces import Piece, Pieces, joined

#: Rows are the same where their gradients differ by less than this share of their length.
SAME = 5e-3


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
        By target key, the compositions; none where no source rows agree.
    """
    by_columns: dict[int, list[str]] = defaultdict(list)
    for key in source:
        by_columns[columns["reference"][key]].append(key)
    return {
        key: _compositions(rows, by_columns[columns["target"][key]], source, period) for key, rows in target.items()
    }


def _compositions(
    rows: torch.Tensor, keys: Iterable[str], source: dict[str, torch.Tensor], period: int
) -> list[Pieces]:
    count = rows.shape[0]
    if not float(rows.norm()):
        return []
    wholes: list[Pieces] = []
    slices: list[Pieces] = []
    for key in keys:
        size = source[key].shape[0]
        if size < count:
            continue
        step = period if count % period == 0 else count
        for start in sorted({*range(0, size - count + 1, step), *range(0, size - count + 1, count)}):
            if _same(rows, source[key][start : start + count]):
                piece = (Piece(key, start, start + count),)
                (wholes if size == count else slices).append(piece)
    if wholes or slices or count % period or count == period:
        return wholes + slices
    composed = _from_blocks(rows, keys, source, period)
    return [composed] if composed else []


def _same(rows: torch.Tensor, others: torch.Tensor) -> bool:
    return float((rows - others).norm()) < SAME * float(rows.norm())


def _from_blocks(
    rows: torch.Tensor, keys: Iterable[str], source: dict[str, torch.Tensor], period: int
) -> Pieces | None:
    """The composition from blocks of one period with the fewest pieces, or None."""
    blocks = rows.split(period)
    places: list[list[tuple[str, int]]] = [[] for _ in blocks]
    for key in keys:
        for start in range(0, source[key].shape[0] - period + 1, period):
            candidate = source[key][start : start + period]
            for found, block in zip(places, blocks, strict=True):
                if float(block.norm()) and _same(block, candidate):
                    found.append((key, start))
    if not all(places):
        return None
    # The fewest pieces up to each block, by where its rows come from.
    best: dict[tuple[str, int], tuple[int, list[Piece]]] = {
        place: (1, [Piece(place[0], place[1], place[1] + period)]) for place in places[0]
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
