"""A module whose input agrees and whose output does not, with weights of its own: these, or what is made of them."""

from __future__ import annotations

import itertools
from typing import Any

import torch

from ..aligned import compare
from .base import Context, Edit, Edits

_LINEAR = {"linear", "conv1d", "conv2d", "conv3d"}


def edits(context: Context) -> Edits:
    """Hypotheses on the weights of the module at hand."""
    seen, event = context.place.seen, context.event
    if seen is None or event is None:
        return
    calls = [context.target.calls[index] for index in range(event.start, event.end) if index in context.target.calls]
    for call in calls:
        if call.name not in _LINEAR and call.name not in ("layer_norm", "rms_norm", "embedding"):
            continue
        tensors = [each for each in call.args if isinstance(each, torch.Tensor)]
        weight = tensors[1] if len(tensors) > 1 else None
        bias = call.kwargs.get("bias", call.args[2] if call.name in _LINEAR and len(call.args) > 2 else None)
        if call.name in _LINEAR and weight is not None:
            yield from _bias(context, call.index, bias, event.path)
            if weight.ndim == 2 and weight.shape[0] == weight.shape[1]:
                patch = lambda func, args, kwargs: func(args[0], args[1].t(), *args[2:], **kwargs)
                yield Edit(
                    "weight-transposed", f"the weight of {event.path} transposed", event.path, {call.index: patch}, 1
                )
            if weight.ndim == 2:
                yield from _reordered(context, call.index, weight, event.path)


def _bias(context: Context, index: int, bias: Any, path: str) -> Edits:
    def without(func: Any, args: Any, kwargs: Any) -> Any:
        return func(
            args[0], args[1], None, *args[3:], **{key: value for key, value in kwargs.items() if key != "bias"}
        )

    made = context.pairing.made
    key = context.pairing.keys.get(path, "")
    own = path + ".bias"
    if key in made and own in made and isinstance(bias, torch.Tensor) and made[key].kind == "copied":
        theirs = [source.rpartition(".")[0] + ".bias" for source in made[key].keys]
        weights = context.pairing.reference_weights
        if all(each in weights for each in theirs) and theirs:
            right = torch.stack(
                [weights[each][row] for each, row in zip(theirs, made[key].rows.tolist(), strict=True)]
            )
            if right.shape == bias.shape and not torch.equal(right, bias):
                sorted_alike = torch.equal(right.sort().values, bias.sort().values)

                def reordered(func: Any, args: Any, kwargs: Any) -> Any:
                    return func(
                        args[0],
                        args[1],
                        right,
                        *args[3:],
                        **{name: value for name, value in kwargs.items() if name != "bias"},
                    )

                tag = "weight-order" if sorted_alike else "bias"
                yield Edit(
                    tag, f"the bias of {path} taken from where its weight comes from", path, {index: reordered}, 0
                )
    if isinstance(bias, torch.Tensor):
        yield Edit("bias", f"{path} without its bias", path, {index: without}, 2)
    seen = context.place.seen
    assert seen is not None
    if seen.side != "out":
        return
    event = seen.event
    compared = compare(
        seen.expected, event.given if seen.expected.shape == event.given.shape else event.given.movedim(1, -1)
    )
    if compared is None:
        return
    difference = (
        compared.expected
        - (event.given if compared.expected.shape == event.given.shape else event.given.movedim(1, -1))
    ).flatten(0, -2)
    mean = difference.mean(0)
    if difference.shape[0] > 1 and float((difference - mean).abs().max()) < 1e-3 * max(float(mean.abs().max()), 1e-6):

        def added(func: Any, args: Any, kwargs: Any) -> Any:
            result = func(*args, **kwargs)
            return result + (
                mean if result.shape[-1] == mean.numel() else mean.reshape(-1, *([1] * (result.ndim - 2)))
            )

        yield Edit(
            "bias",
            f"the same vector added to every token that {path} gives: a bias that it lacks, or has wrong",
            path,
            {index: added},
            1,
        )


def _reordered(context: Context, index: int, weight: torch.Tensor, path: str) -> Edits:
    """Rows in another order: parts, heads or pairs exchanged; columns likewise, as of patches."""
    rows, columns = weight.shape
    for axis, size in ((0, rows), (1, columns)):
        for parts in (2, 3, 4, 6):
            if size % parts:
                continue
            for one, other in itertools.combinations(range(parts), 2):
                order = list(range(parts))
                order[one], order[other] = other, one

                def patch(
                    func: Any, args: Any, kwargs: Any, axis: int = axis, parts: int = parts, order: Any = order
                ) -> Any:
                    chunks = args[1].chunk(parts, axis)
                    changed = [args[0], torch.cat([chunks[each] for each in order], axis), *args[2:]]
                    return func(*changed, **kwargs)

                what = "rows" if axis == 0 else "columns"
                yield Edit(
                    "weight-order",
                    f"parts {one} and {other} of {parts} of the {what} of {path} exchanged",
                    path,
                    {index: patch},
                    3,
                )
        shapes = [
            (size // inner, inner) for inner in (2, 3, 4, 8, 16, 32, 64, 128) if size % inner == 0 and size > inner
        ]
        for shape in shapes:
            for sizes in (shape, shape[::-1]):

                def read(func: Any, args: Any, kwargs: Any, axis: int = axis, sizes: Any = sizes) -> Any:
                    changed = args[1].unflatten(axis, sizes).transpose(axis, axis + 1).flatten(axis, axis + 1)
                    return func(args[0], changed, *args[2:], **kwargs)

                tag = "weight-order" if axis == 0 else "patch-order"
                yield Edit(
                    tag,
                    f"the {'rows' if axis == 0 else 'columns'} of {path} read as {sizes[0]} by {sizes[1]}",
                    path,
                    {index: read},
                    4,
                )
