"""Rows or columns in another order: patches flattened with the channels first or last, weights stored the other way round."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import torch

from .pieces import Shape
from .settle import SAME

#: No layer that reads or writes patches has more rows or columns.
LARGEST = 16384


def reordered(wanted: torch.Tensor, given: torch.Tensor) -> tuple[Shape, Shape] | None:
    """How a tensor has to be seen and its axes ordered to become another one.

    Args:
        wanted: The gradient of the target, as a matrix.
        given: That of the source, of the same size.

    Returns:
        The shape to see the source in, and the order of its axes; None where no such order makes them equal.
    """
    rows, columns = given.shape
    scale = float(wanted.norm())
    if not scale or wanted.shape != given.shape:
        return None
    # Whatever is reordered, its numbers stay the same.
    if abs(float(given.norm()) - scale) > SAME * scale:
        return None
    for axis, size in ((1, columns), (0, rows)):
        if not 1 < size <= LARGEST:
            continue
        for sizes, order in _orders(size):
            view = (rows, *sizes) if axis else (*sizes, columns)
            axes = (0, *(one + 1 for one in order)) if axis else (*order, len(sizes))
            found = given.reshape(view).permute(axes).reshape(wanted.shape)
            if float((found - wanted).norm()) < SAME * scale:
                return view, axes
    return None


def _orders(size: int) -> Iterator[tuple[Shape, Shape]]:
    """Ways to see a number as a product, and orders of its factors other than the one they have."""
    seen = set()
    for count in (2, 3, 4):
        for sizes in _products(size, count):
            for order in itertools.permutations(range(count)):
                if any(one + 1 == other for one, other in itertools.pairwise(order)):
                    # Two axes that stay beside each other are one axis.
                    continue
                if (sizes, order) not in seen:
                    seen.add((sizes, order))
                    yield sizes, order


def _products(size: int, count: int) -> Iterator[Shape]:
    if count == 1:
        if size > 1:
            yield (size,)
        return
    for first in range(2, math.isqrt(size) + 1 if count > 4 else size):
        if size % first == 0:
            for rest in _products(size // first, count - 1):
                yield (first, *rest)
