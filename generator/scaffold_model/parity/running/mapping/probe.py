"""Weights under which both models compute the same function before anything is known of the mapping.

Every tensor gets values that depend on its shape alone, and repeat every ``period`` rows and columns. Whatever tensor
corresponds to whatever other, whole or cut at a multiple of the period, both sides then hold the same numbers, so the
outputs agree, and so does what each element does to them. These gradients differ from layer to layer, and tell which
rows of the reference are which rows of the target, whatever the names.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field

import torch

from .pieces import Shape, matrix
from .sides import Side

#: Columns are summed up with this many random weights: two rows with the same sums are the same.
SUMS = 4

#: How far outputs of the same function may be apart, as a share of how much they vary.
AGREE = 2e-3


@dataclass
class Probe:
    """One run of both sides with such weights.

    Attributes:
        period: The period of the values.
        difference: How far the outputs are apart, as a share of how much they vary.
        sums: By side and key, the gradient as rows of `SUMS` numbers, of all runs beside each other.
    """

    period: int
    difference: float
    sums: dict[str, dict[str, torch.Tensor]] = field(default_factory=dict)


def periodic(shape: Shape, period: int, seed: int, even: bool = False) -> torch.Tensor:
    """Values that depend on the shape and repeat.

    Args:
        shape: The shape of the tensor.
        period: After how many rows and columns they repeat. An axis that is shorter has the same value all along,
            since its part in a larger tensor may begin anywhere.
        seed: The seed.
        even: The same value along each row, for tensors whose columns may be in another order.
    """
    generator = torch.Generator().manual_seed(seed)
    table = torch.randn(period, period, generator=generator)
    line = 0.5 + 0.3 * torch.randn(period, generator=generator)
    rows, columns = matrix(shape)
    if columns == 1:
        return line[torch.arange(rows) % period].reshape(shape)
    row = torch.arange(rows) % period if rows >= period else torch.zeros(rows, dtype=torch.long)
    column = torch.arange(columns) % period if columns >= period and not even else torch.zeros(1, dtype=torch.long)
    # The inputs of most layers repeat as well, and their sum grows with the number of columns, not with its root.
    values = table[row][:, column] * (math.sqrt(period) / columns)
    return values.expand(rows, columns).reshape(shape)


def generic(shape: Shape, generator: torch.Generator) -> torch.Tensor:
    """Random values under which every element shows."""
    noise = torch.randn(shape, generator=generator)
    _, columns = matrix(shape)
    return 0.5 + 0.3 * noise if columns == 1 else noise / math.sqrt(columns)


def periods(target: Side) -> list[int]:
    """The periods to try, the most telling first: common divisors of the sizes of the layers."""
    counts = Counter(matrix(tuple(one.shape))[0] for one in target.tensors.values() if matrix(tuple(one.shape))[1] > 1)
    if not counts:
        return [1]
    width = max(counts, key=lambda size: (counts[size], size))
    heads = {one.numel() for one in target.tensors.values()} | set(counts)
    found = {math.gcd(width, size) for size in heads} | {width // part for part in (2, 3, 4, 8) if not width % part}
    return sorted((size for size in found if size > 1), reverse=True) or [width]


def difference(ours: tuple[torch.Tensor, ...], theirs: tuple[torch.Tensor, ...]) -> float:
    """How far two outputs are apart, as a share of how much they vary; infinite where shapes differ or are no numbers."""
    if [one.shape for one in ours] != [one.shape for one in theirs]:
        return math.inf
    worst = 0.0
    for one, other in zip(ours, theirs, strict=True):
        spread = float(one.double().std()) or 1e-12
        found = float((one.double() - other.double()).abs().max()) / spread
        worst = max(worst, found if math.isfinite(found) else math.inf)
    return worst


def probe(sides: tuple[Side, Side], period: int, fixed: dict[str, set[str]], even: set[Shape], seeds: int) -> Probe:
    """Run both sides with periodic values.

    Args:
        sides: Reference and target.
        period: The period.
        fixed: By side, the keys that keep the values they were built with.
        even: The shapes, as matrices, whose columns may be in another order.
        seeds: How many runs to make, where the outputs agree in the first.

    Returns:
        The probe, without sums where the outputs do not agree.
    """
    reference, target = sides
    result = Probe(period, 0.0, {side.role: {} for side in sides})
    for seed in range(seeds):
        for side in sides:
            for key, tensor in side.tensors.items():
                shape = tuple(tensor.shape)
                if key not in fixed[side.role]:
                    side.assign({key: periodic(shape, period, seed, matrix(shape) in even)})
        if seed == 0:
            result.difference = difference(reference.outputs(), target.outputs())
            if not result.difference < AGREE:
                return result
        for side in sides:
            _, gradients = side.gradients()
            for key in list(gradients):
                sums = _sums(gradients.pop(key))
                known = result.sums[side.role].get(key)
                result.sums[side.role][key] = sums if known is None else torch.cat([known, sums], dim=1)
    return result


def _sums(gradient: torch.Tensor) -> torch.Tensor:
    """Each row of a gradient as few numbers; rows of the same length are summed up with the same weights."""
    rows, columns = matrix(tuple(gradient.shape))
    flat = gradient.reshape(rows, columns)
    if columns == 1:
        return flat.double()
    weights = torch.randn(columns, SUMS, generator=torch.Generator().manual_seed(columns))
    return (flat @ weights).double()
