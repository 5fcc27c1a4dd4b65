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

#: What follows the key of a source that is seen the other way round.
TRANSPOSED = "\0transposed"

#: How far outputs of the same function may be apart, as a share of how much they vary.
AGREE = 2e-3


@dataclass(frozen=True)
class Assumption:
    """What may differ between the sides besides the names.

    Attributes:
        period: The period of the values.
        fixed: By side, the keys that keep the values they were built with.
        even: The shapes, as matrices, that have the same value along each row, since their columns may be in another
            order.
        level: The shapes whose rows are all alike, since these may be in another order.
        transposed: The width of the layers, where some weights may be stored the other way round.
    """

    period: int
    fixed: dict[str, set[str]]
    even: frozenset[Shape] = frozenset()
    level: frozenset[Shape] = frozenset()
    transposed: int | None = None


@dataclass
class Probe:
    """One run of both sides with such weights.

    Attributes:
        assumed: What the values depend on.
        difference: How far the outputs are apart, as a share of how much they vary.
        sums: By side and key, the gradient as rows of `SUMS` numbers, of all runs beside each other.
    """

    assumed: Assumption
    difference: float
    sums: dict[str, dict[str, torch.Tensor]] = field(default_factory=dict)

    def add(self, role: str, key: str, sums: torch.Tensor) -> None:
        """Put the sums of another run beside those that are there."""
        known = self.sums[role].get(key)
        self.sums[role][key] = sums if known is None else torch.cat([known, sums], dim=1)


def periodic(shape: Shape, seed: int, assumed: Assumption) -> torch.Tensor:
    """Values that depend on the shape and repeat.

    Args:
        shape: The shape of the tensor.
        seed: The seed.
        assumed: After how many rows and columns they repeat, and where they must not differ. An axis that is shorter
            than the period has the same value all along, since its part in a larger tensor may begin anywhere.
    """
    period = assumed.period
    generator = torch.Generator().manual_seed(seed)
    table = torch.randn(period, period, generator=generator)
    line = 0.5 + 0.3 * torch.randn(period, generator=generator)
    rows, columns = matrix(shape)
    if columns == 1:
        place = torch.arange(rows) % period if (rows, 1) not in assumed.level else torch.zeros(rows, dtype=torch.long)
        return line[place].reshape(shape)
    scale = math.sqrt(period) / columns
    if assumed.transposed is not None:
        # The same whichever way round, so that nothing depends on which of both axes the inputs are.
        table, scale = (table + table.T) / math.sqrt(2), math.sqrt(period) / assumed.transposed
    flat = rows < period or (rows, columns) in assumed.level
    row = torch.zeros(1, dtype=torch.long) if flat else torch.arange(rows) % period
    flat = columns < period or (rows, columns) in assumed.even
    column = torch.zeros(1, dtype=torch.long) if flat else torch.arange(columns) % period
    # The inputs of most layers repeat as well, and their sum grows with the number of columns, not with its root.
    return (table[row][:, column] * scale).expand(rows, columns).reshape(shape)


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


def probe(sides: tuple[Side, Side], assumed: Assumption, seeds: int) -> Probe:
    """Run both sides with periodic values.

    Args:
        sides: Reference and target.
        assumed: What the values depend on.
        seeds: How many runs to make, where the outputs agree in the first.

    Returns:
        The probe, without sums where the outputs do not agree.
    """
    reference, target = sides
    result = Probe(assumed, 0.0, {side.role: {} for side in sides})
    for seed in range(seeds):
        made: dict[Shape, torch.Tensor] = {}
        for side in sides:
            for key, tensor in side.tensors.items():
                size = matrix(tuple(tensor.shape))
                if key in assumed.fixed[side.role]:
                    side.assign({key: side.built[key]})
                    continue
                if size not in made:
                    made[size] = periodic(size, seed, assumed)
                side.assign({key: made[size]})
        made.clear()
        if seed == 0:
            result.difference = difference(reference.outputs(), target.outputs())
            if not result.difference < AGREE:
                return result
        for side in sides:
            _, gradients = side.gradients()
            for key in list(gradients):
                gradient = gradients.pop(key)
                result.add(side.role, key, _sums(gradient))
                if assumed.transposed is not None and side.role == "reference" and gradient.ndim == 2:
                    result.add(side.role, key + TRANSPOSED, _sums(gradient.T))
    return result


def _sums(gradient: torch.Tensor) -> torch.Tensor:
    """Each row of a gradient as few numbers; rows of the same length are summed up with the same weights."""
    rows, columns = matrix(tuple(gradient.shape))
    flat = gradient.reshape(rows, columns)
    if columns == 1:
        return flat.double()
    weights = torch.randn(columns, SUMS, generator=torch.Generator().manual_seed(columns))
    return (flat @ weights).double()
