"""Axes read in another order where a sequence becomes a grid, and a grid becomes a sequence."""

from __future__ import annotations

import itertools
from typing import Any

import torch

from ..trace import tensors_in
from .base import Context, Edit, Edits, after, instead
from .norms import in_attention


def edits(context: Context) -> Edits:
    """Axes read in another order where a sequence becomes a grid, and a grid becomes a sequence."""
    heads = any(each.name in ("softmax", "scaled_dot_product_attention") for each in context.suspects)
    for call in context.suspects:
        what = "head-layout" if heads or in_attention(context, call) else "patch-order"
        owner, words = call.owner or "", context.words(call)
        count = len(call.shape)
        if call.name in ("reshape", "view", "unflatten") and count >= 5:
            for size in (2, 3):
                for axes in itertools.combinations(range(1, count), size):
                    for order in itertools.permutations(axes):
                        if order != axes:
                            full = list(range(count))
                            for axis, new in zip(axes, order, strict=True):
                                full[axis] = new
                            yield Edit(
                                what,
                                f"axes {', '.join(map(str, axes))} read in the order {', '.join(map(str, order))} after {words}",
                                owner,
                                {call.index: after(_read_as(full))},
                                3 if size == 2 else 5,
                            )
            for axis in range(1, count):
                for to in range(1, count):
                    if abs(axis - to) > 1:
                        full = list(range(count))
                        full.insert(to, full.pop(axis))
                        yield Edit(
                            what,
                            f"axis {axis} read as axis {to} after {words}",
                            owner,
                            {call.index: after(_read_as(full))},
                            4,
                        )
        if call.name in ("permute", "movedim", "rearrange") and count >= 4:
            for one, other in itertools.combinations(range(1, count), 2):
                if call.shape[one] == call.shape[other]:
                    patch = after(lambda x, one=one, other=other: x.transpose(one, other))
                    yield Edit(what, f"axes {one} and {other} exchanged after {words}", owner, {call.index: patch}, 3)
            dims = (
                call.args[1:]
                if call.args[1:] and isinstance(call.args[1], int)
                else call.args[1]
                if len(call.args) > 1
                else ()
            )
            if isinstance(dims, (tuple, list)):
                for one, other in itertools.combinations(range(1, len(dims)), 2):
                    changed = list(dims)
                    changed[one], changed[other] = changed[other], changed[one]
                    yield Edit(
                        what,
                        f"permuted to {', '.join(map(str, changed))} in {words}",
                        owner,
                        {call.index: instead(lambda x, *_, dims=tuple(changed), **__: x.permute(dims))},
                        3,
                    )
        if call.name == "einsum" and count >= 4:
            for one, other in itertools.combinations(range(1, count), 2):
                if call.shape[one] == call.shape[other]:
                    yield Edit(
                        what,
                        f"axes {one} and {other} exchanged after {words}",
                        owner,
                        {call.index: after(lambda x, one=one, other=other: x.transpose(one, other))},
                        3,
                    )
        taken = next(tensors_in(call.args), None)
        if (
            call.name in ("flatten", "reshape", "view")
            and taken is not None
            and taken.ndim >= 4
            and count < taken.ndim
        ):
            for one, other in itertools.combinations(range(1, taken.ndim), 2):
                patch = lambda func, args, kwargs, one=one, other=other: _like(
                    args[0].transpose(one, other), func(*args, **kwargs)
                )
                yield Edit(what, f"axes {one} and {other} exchanged before {words}", owner, {call.index: patch}, 4)
        if call.name in ("transpose", "swapaxes") and taken is not None:
            yield Edit(
                what,
                f"without {words}, read as before",
                owner,
                {call.index: instead(lambda x, *a: x.reshape(x.transpose(*a).shape))},
                4,
            )


def _like(x: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    return x.reshape(like.shape)


def _read_as(order: list[int]) -> Any:
    """Read memory as axes in another order, and put them back where the model expects them."""

    def change(x: torch.Tensor) -> torch.Tensor:
        shape = [x.shape[axis] for axis in order]
        back = sorted(range(len(order)), key=lambda index: order[index])
        return x.reshape(shape).permute(back)

    return change
