"""Comparing two tensors whose layouts may differ: heads before tokens, one sequence or two, one axis or a grid."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch

#: Up to this relative difference two float32 computations of the same thing are one; measured on correct ports, where it
#: stays below a tenth of it.
AGREES = 1e-5


@dataclass
class Compared:
    """How far two tensors are apart.

    Attributes:
        max_diff: The largest difference of two elements; infinite where either has a NaN.
        relative: The root mean square of the difference over that of what was expected.
        how: Which layout fits; ``as it is``, ``rolled`` and others.
        expected: What was expected, in the layout of what there is.
    """

    max_diff: float
    relative: float
    how: str
    expected: torch.Tensor

    @property
    def agrees(self) -> bool:
        """Whether they are the same but for rounding."""
        return self.relative <= AGREES


def measure(expected: torch.Tensor, actual: torch.Tensor) -> tuple[float, float]:
    """The largest and the relative difference of two tensors of one shape."""
    if not expected.numel():
        return 0.0, 0.0
    if expected.is_complex() or actual.is_complex():
        expected, actual = torch.view_as_real(expected.cfloat()), torch.view_as_real(actual.cfloat())
    expected, actual = expected.float(), actual.float()
    difference = expected - actual
    largest = float(difference.abs().max())
    size = float(expected.square().mean().sqrt())
    apart = float(difference.square().mean().sqrt())
    if math.isnan(largest):
        return math.inf, math.inf
    # Where nothing but zeros is expected, differences count as they are.
    return largest, apart / size if size > 1e-12 else apart


def layouts(expected: torch.Tensor, shape: tuple[int, ...]) -> Iterator[tuple[str, torch.Tensor]]:
    """The ways in which ``expected`` (..., channels) may stand in a tensor of ``shape`` (..., channels), likeliest first."""
    have = tuple(expected.shape)
    if have == shape:
        yield "as it is", expected
    if have[-1:] != shape[-1:]:
        return
    lead = len(have) - 1
    if len(have) == len(shape) and lead <= 5:
        for order in itertools.permutations(range(lead)):
            if order != tuple(range(lead)) and tuple(have[axis] for axis in order) == shape[:-1]:
                yield "axes exchanged", expected.permute(*order, lead)
    if have != shape and math.prod(have) == math.prod(shape):
        yield "reshaped", expected.reshape(shape)
        if lead > 1 and len(shape) <= len(have):
            for first, second in itertools.combinations(range(lead), 2):
                yield "axes exchanged", expected.transpose(first, second).reshape(shape)
    if len(have) == len(shape):
        differing = [axis for axis in range(lead) if have[axis] != shape[axis]]
        if len(differing) == 1 and have[differing[0]] > shape[differing[0]]:
            axis = differing[0]
            yield "its first part", expected.narrow(axis, 0, shape[axis])
            yield "its last part", expected.narrow(axis, have[axis] - shape[axis], shape[axis])
        if differing and all(have[axis] == 1 for axis in differing):
            yield "repeated", expected.expand(shape)
    elif lead == len(shape) and have[0] == 1:
        # A batch of one on one side only.
        yield from layouts(expected[0], shape)


def compare(expected: torch.Tensor, actual: torch.Tensor) -> Compared | None:
    """How far ``actual`` is from ``expected`` in the layout that fits best, or None where none fits.

    Args:
        expected: Of shape (..., channels).
        actual: Of shape (..., channels), with as many channels.
    """
    best: Compared | None = None
    for how, candidate in layouts(expected, tuple(actual.shape)):
        largest, relative = measure(candidate, actual)
        if best is None or relative < best.relative:
            best = Compared(largest, relative, how, candidate)
        if best.agrees:
            return best
    if best is None:
        return None
    rolled = _rolled(expected, actual)
    return rolled if rolled is not None and rolled.agrees else best


def _rolled(expected: torch.Tensor, actual: torch.Tensor) -> Compared | None:
    """Two parts of a sequence in the other order, text before image on one side and after it on the other."""
    if expected.shape != actual.shape or expected.ndim < 3:
        return None
    for axis in range(1, expected.ndim - 1):
        first = actual.select(axis, 0).unsqueeze(axis)
        apart = (expected - first).float().square().flatten(axis + 1).sum(-1)
        apart = apart.flatten(0, axis - 1).sum(0) if axis else apart
        at = int(apart.argmin())
        if at:
            candidate = expected.roll(-at, dims=axis)
            largest, relative = measure(candidate, actual)
            if relative <= AGREES:
                return Compared(largest, relative, "rolled", candidate)
    return None
