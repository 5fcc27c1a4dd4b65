"""Axes read in another order where a sequence becomes a grid, and a grid becomes a sequence."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import torch

from ..replay import Patch
from ..trace import Call, tensors_in
from .base import Context, Edit, Edits, after, instead
from .norms import in_attention

#: What is changed, in words; how; and the rank of that among other hypotheses.
Changes = Iterator[tuple[str, Patch, int]]


def edits(context: Context) -> Edits:
    """Axes read in another order where a sequence becomes a grid, and a grid becomes a sequence."""
    heads = any(each.name in ("softmax", "scaled_dot_product_attention") for each in context.suspects)
    for call in context.suspects:
        tag = "head-layout" if heads or in_attention(context, call) else "patch-order"
        for evidence, patch, rank in _changes(call, context.words(call)):
            yield Edit(tag, evidence, call.owner or "", {call.index: patch}, rank)


def _changes(call: Call, words: str) -> Changes:
    """What else a call that moves axes could have done."""
    count = len(call.shape)
    if call.name in ("reshape", "view", "unflatten") and count >= 5:
        yield from _read_in_another_order(count, words)
    if call.name in ("permute", "movedim", "rearrange", "einsum") and count >= 4:
        yield from _exchanged_after(call, words)
    if call.name in ("permute", "movedim", "rearrange") and count >= 4:
        yield from _permuted_otherwise(call, words)
    taken = next(tensors_in(call.args), None)
    if taken is None:
        return
    if call.name in ("flatten", "reshape", "view") and taken.ndim >= 4 and count < taken.ndim:
        for one, other in itertools.combinations(range(1, taken.ndim), 2):
            yield f"axes {one} and {other} exchanged before {words}", _exchanged_before(one, other), 4
    if call.name in ("transpose", "swapaxes"):
        yield f"without {words}, read as before", instead(lambda x, *a: x.reshape(x.transpose(*a).shape)), 4


def _read_in_another_order(count: int, words: str) -> Changes:
    """Two or three axes of the result read in another order, or one of them read further away."""
    for size in (2, 3):
        for axes in itertools.combinations(range(1, count), size):
            for order in list(itertools.permutations(axes))[1:]:
                full = list(range(count))
                for axis, new in zip(axes, order, strict=True):
                    full[axis] = new
                told = f"axes {', '.join(map(str, axes))} read in the order {', '.join(map(str, order))} after {words}"
                yield told, after(_read_as(full)), 3 if size == 2 else 5
    for axis, to in itertools.product(range(1, count), repeat=2):
        if abs(axis - to) > 1:
            full = list(range(count))
            full.insert(to, full.pop(axis))
            yield f"axis {axis} read as axis {to} after {words}", after(_read_as(full)), 4


def _exchanged_after(call: Call, words: str) -> Changes:
    """Two axes of one size of the result exchanged."""
    for one, other in itertools.combinations(range(1, len(call.shape)), 2):
        if call.shape[one] == call.shape[other]:
            exchange = after(lambda x, one=one, other=other: x.transpose(one, other))
            yield f"axes {one} and {other} exchanged after {words}", exchange, 3


def _permuted_otherwise(call: Call, words: str) -> Changes:
    """Two of the axes that a call names exchanged."""
    dims = call.args[1] if len(call.args) > 1 else ()
    if isinstance(dims, int):
        dims = call.args[1:]
    if not isinstance(dims, (tuple, list)):
        return
    for one, other in itertools.combinations(range(1, len(dims)), 2):
        changed = list(dims)
        changed[one], changed[other] = changed[other], changed[one]
        permute = instead(lambda x, *_, dims=tuple(changed), **__: x.permute(dims))
        yield f"permuted to {', '.join(map(str, changed))} in {words}", permute, 3


def _exchanged_before(one: int, other: int) -> Patch:
    """What a call takes with two axes exchanged, read as what the call gives."""
    return lambda func, args, kwargs: args[0].transpose(one, other).reshape(func(*args, **kwargs).shape)


def _read_as(order: list[int]) -> Any:
    """Read memory as axes in another order, and put them back where the model expects them."""

    def change(x: torch.Tensor) -> torch.Tensor:
        shape = [x.shape[axis] for axis in order]
        back = sorted(range(len(order)), key=lambda index: order[index])
        return x.reshape(shape).permute(back)

    return change
