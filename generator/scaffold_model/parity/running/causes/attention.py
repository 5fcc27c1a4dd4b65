"""Attention: the scale of its scores, its mask, its heads, and which of its inputs is which."""

from __future__ import annotations

import itertools
import math
from typing import Any

import torch

from ..trace import Call, tensors_in
from .angles import rotations
from .base import Context, Edit, Edits, after, instead, numbers, same_kind
from .numbers_in import same_tensor

SDPA = "scaled_dot_product_attention"


def edits(context: Context) -> Edits:
    """Hypotheses on attention."""
    for call in context.suspects:
        if call.name == SDPA:
            yield from _scales(context, call)
            yield from _masks(context, call)
            yield from _roles(context, call)
            yield from _heads(context, call)
        elif call.name == "softmax":
            yield from _manual(context, call)
        elif call.name in ("masked_fill", "where"):
            yield from _filled(context, call)
    yield from _merged(context)


_NAMES = ("query", "key", "value", "attn_mask", "dropout_p", "is_causal")


def _with(**changes: Any) -> Any:
    def patch(func: Any, args: Any, kwargs: Any) -> Any:
        return func(**{**_named(args, kwargs), **changes})

    return patch


def _named(args: Any, kwargs: Any) -> dict[str, Any]:
    return {**dict(zip(_NAMES, args, strict=False)), **kwargs}


def _given(call: Call, name: str) -> Any:
    return _named(call.args, call.kwargs).get(name)


def _scales(context: Context, call: Call) -> Edits:
    query = next((each for each in tensors_in((call.args, call.kwargs))), None)
    if query is None:
        return
    width, heads = query.shape[-1], query.shape[1] if query.ndim > 2 else 1
    usual = width**-0.5
    now = _given(call, "scale") or usual
    theirs = [
        _given(each, "scale")
        for each in context.reference.calls.values()
        if each.name == SDPA and _given(each, "scale")
    ]
    for scale in dict.fromkeys(
        [usual, *theirs, 1.0, 1 / width, (width * heads) ** -0.5, (width / 2) ** -0.5, (2 * width) ** -0.5, width**-0.25,
         0.5 * usual, 2 * usual, 0.125, width**0.5, heads**-0.5]
    ):  # fmt: skip
        if not math.isclose(scale, now, rel_tol=1e-6):
            words = f"the scale {scale:g} in place of {now:g} in {context.words(call)}"
            yield Edit("softmax-scale", words, call.owner or "", {call.index: _with(scale=scale)}, 2)


def _candidates(context: Context) -> list[torch.Tensor]:
    """Masks of the inputs: truth values, or nothing but zeros and ones, one a token."""
    found = []
    for tensor in context.inputs.values():
        for each in tensors_in(tensor):
            if 1 < each.ndim <= 4 and (each.dtype == torch.bool or bool(((each == 0) | (each == 1)).all())):
                found.append(each.bool())
    return found


def _masks(context: Context, call: Call) -> Edits:
    owner, words = call.owner or "", context.words(call)
    mask = _given(call, "attn_mask")
    group = [
        each
        for each in context.target.calls.values()
        if each.name == SDPA and each.owner == call.owner and each.index <= context.until
    ]
    if isinstance(mask, torch.Tensor):
        if mask.dtype == torch.bool:
            flipped = ~mask
        else:
            low = float(mask.min())
            flipped = low - mask if math.isfinite(low) else torch.where(torch.isinf(mask), 0.0, float("-inf"))
        yield Edit("mask-polarity", f"the mask of {words} inverted", owner, {call.index: _with(attn_mask=flipped)}, 2)
        yield Edit("mask-ignored", f"no mask in {words}", owner, {call.index: _with(attn_mask=None)}, 3)
    theirs = [_given(each, "attn_mask") for each in context.reference.calls.values() if each.name == SDPA]
    query, key = _given(call, "query"), _given(call, "key")
    if query is None or key is None:
        return
    tried: list[torch.Tensor] = []
    shape = (query.shape[0], query.shape[1], query.shape[2], key.shape[2])
    for other in theirs:
        if isinstance(other, torch.Tensor):
            tried.append(other)
    for other in _candidates(context):
        length, keys = other.shape[-1], key.shape[2]
        flat = (
            other.reshape(other.shape[0], -1) if other.ndim <= 4 and other.numel() == other.shape[0] * length else None
        )
        if flat is None:
            continue
        for each in (flat, ~flat):
            if length == keys:
                tried.append(each[:, None, None, :])
            elif length < keys:
                rest = torch.ones(flat.shape[0], keys - length, dtype=torch.bool)
                tried += [torch.cat([each, rest], 1)[:, None, None, :], torch.cat([rest, each], 1)[:, None, None, :]]
    for number, other in enumerate(tried):
        try:
            torch.broadcast_shapes(tuple(other.shape), shape)
        except RuntimeError:
            continue
        tag = (
            "mask-ignored"
            if not isinstance(mask, torch.Tensor)
            else "mask-polarity"
            if number >= len(theirs)
            else "mask-ignored"
        )
        patches = {each.index: _with(attn_mask=other) for each in group if each.index == call.index}
        yield Edit(tag, f"the reference's mask, or that of the inputs, in {words}", owner, patches, 3)


def _roles(context: Context, call: Call) -> Edits:
    """Query, key and value exchanged, as weights are that were converted in the wrong order."""
    names = _NAMES[:3]
    for order in itertools.permutations(range(3)):
        if order != (0, 1, 2):
            shown = ", ".join(names[index] for index in order)

            def patch(func: Any, args: Any, kwargs: Any, order: Any = order) -> Any:
                given = _named(args, kwargs)
                three = [given[names[index]] for index in order]
                return func(**{**given, **dict(zip(names, three, strict=True))})

            yield Edit(
                "weight-order",
                f"{shown} as query, key, value of {context.words(call)}",
                call.owner or "",
                {call.index: patch},
                4,
            )


def _transposed(x: torch.Tensor) -> torch.Tensor:
    """(..., heads, tokens, dim) whose channels are read as (dim, heads) in place of (heads, dim)."""
    heads, dim = x.shape[1], x.shape[-1]
    return x.permute(0, 2, 1, 3).reshape(x.shape[0], x.shape[2], dim, heads).permute(0, 3, 1, 2)


def _back(x: torch.Tensor) -> torch.Tensor:
    heads, dim = x.shape[1], x.shape[-1]
    return x.permute(0, 2, 3, 1).reshape(x.shape[0], x.shape[2], heads, dim).permute(0, 2, 1, 3)


def _mixed(x: torch.Tensor) -> torch.Tensor:
    """(batch, heads, tokens, dim) that was read off (batch, tokens, heads, dim) without exchanging axes."""
    return x.contiguous().view(x.shape[0], x.shape[2], x.shape[1], x.shape[3]).transpose(1, 2)


def _unmixed(x: torch.Tensor) -> torch.Tensor:
    return x.transpose(1, 2).contiguous().view(x.shape)


def _heads(context: Context, call: Call) -> Edits:
    def same(x: torch.Tensor) -> torch.Tensor:
        return x

    inputs = {
        "channels as (dim, heads)": _transposed,
        "channels as (heads, dim)": _back,
        "tokens before heads": _mixed,
        "as they are": same,
    }
    outputs = {
        "as it is": same,
        "(dim, heads)": _transposed,
        "(heads, dim)": _back,
        "heads before tokens": _unmixed,
        "tokens before heads": _mixed,
    }
    for (one, change), (other, finish) in itertools.product(inputs.items(), outputs.items()):
        if change is same and finish is same:
            continue

        def patch(func: Any, args: Any, kwargs: Any, change: Any = change, finish: Any = finish) -> Any:
            given = _named(args, kwargs)
            return finish(func(**{**given, **{name: change(given[name]) for name in _NAMES[:3]}}))

        words = f"{context.words(call)} on {one}, its result {other}"
        yield Edit("head-layout", words, call.owner or "", {call.index: patch}, 5)


def _merged(context: Context) -> Edits:
    """Two axes read the other way round where channels become heads and heads become channels."""
    for call in context.suspects:
        if call.name not in ("unflatten", "reshape", "view", "flatten", "rearrange") or "param" not in call.roots:
            continue
        group = same_kind(context, call)
        for calls in ([call], group) if len(group) > 1 and call is group[0] else ([call],):
            if len(call.shape) >= 4 and call.name != "flatten":
                for one, other in ((-1, -2), (1, 2), (-2, -3)):
                    change = _reread(one, other)
                    patches = {each.index: after(change) for each in calls}
                    yield Edit(
                        _axes_tag(context, call),
                        f"two axes read in the other order after {context.words(call)}",
                        call.owner or "",
                        patches,
                        4,
                    )
            if len(call.shape) == 3:
                taken = next(tensors_in(call.args), None)
                if taken is not None and taken.ndim == 4:
                    for one, other in ((2, 3), (1, 2)):
                        patches = {
                            each.index: lambda func, args, kwargs, one=one, other=other: (
                                args[0].transpose(one, other).reshape(func(*args, **kwargs).shape)
                            )
                            for each in calls
                        }
                        yield Edit(
                            _axes_tag(context, call),
                            f"axes {one} and {other} exchanged before {context.words(call)}",
                            call.owner or "",
                            patches,
                            4,
                        )


def _axes_tag(context: Context, call: Call) -> str:
    from .norms import in_attention

    taken = next(tensors_in(call.args), None)
    if taken is not None and taken.ndim >= 4:
        rotated = {index for product, _ in rotations(context) for index in _views_above(context, product)}
        if call.index in rotated:
            return "rope-layout"

    attention = any(
        each.name in (SDPA, "softmax") and each.index < call.index and each.owner == call.owner
        for each in context.suspects
    )
    return "head-layout" if attention or in_attention(context, call) else "patch-order"


def _views_above(context: Context, call: Call) -> set[int]:
    """The calls from which a call has its operands by nothing but another look at them."""
    from .modulation import VIEWS

    found: set[int] = set()
    waiting = [parent[0] for parent in call.parents if isinstance(parent, tuple)]
    while waiting:
        index = waiting.pop()
        each = context.target.calls[index]
        if index not in found and each.name in VIEWS | {"neg", "stack", "cat"}:
            found.add(index)
            waiting += [parent[0] for parent in each.parents if isinstance(parent, tuple)]
    return found


def _reread(one: int, other: int) -> Any:
    def change(x: torch.Tensor) -> torch.Tensor:
        shape = list(x.shape)
        shape[one], shape[other] = shape[other], shape[one]
        return x.reshape(shape).transpose(one, other)

    return change


def _manual(context: Context, call: Call) -> Edits:
    """Attention that is written out: what is done to the scores before the softmax."""
    owner = call.owner or ""
    scores = call.args[0] if call.args else None
    if not isinstance(scores, torch.Tensor) or scores.ndim < 3:
        return
    widths = {
        each.shape[-1]
        for each in context.suspects
        if each.index < call.index and each.owner == owner and len(each.shape) == scores.ndim
    }
    factors = {
        f"{width}**{power:g}": float(width) ** power for width in sorted(widths) for power in (-0.5, 0.5, -1.0, 1.0)
    }
    for name, factor in factors.items():
        patch = lambda func, args, kwargs, factor=factor: func(args[0] * factor, *args[1:], **kwargs)
        yield Edit(
            "softmax-scale", f"the scores times {name} before {context.words(call)}", owner, {call.index: patch}, 3
        )
    for other in _candidates(context):
        for each in (other, ~other):
            if each.shape[-1] == scores.shape[-1]:
                mask = each.reshape(each.shape[0], *([1] * (scores.ndim - 2)), each.shape[-1])
                patch = lambda func, args, kwargs, mask=mask: func(
                    args[0].masked_fill(~mask, float("-inf")), *args[1:], **kwargs
                )
                yield Edit(
                    "mask-ignored",
                    f"the mask of the inputs before {context.words(call)}",
                    owner,
                    {call.index: patch},
                    3,
                )


def _filled(context: Context, call: Call) -> Edits:
    owner, words = call.owner or "", context.words(call)
    if call.name == "masked_fill":
        flip = lambda func, args, kwargs: func(args[0], ~args[1], *args[2:], **kwargs)
        yield Edit("mask-polarity", f"the mask of {words} inverted", owner, {call.index: flip}, 2)
        yield Edit("mask-ignored", f"no mask in {words}", owner, {call.index: instead(same_tensor)}, 3)
    elif len(call.args) == 3:
        flip = lambda func, args, kwargs: func(~args[0], *args[1:], **kwargs)
        yield Edit("mask-polarity", f"the mask of {words} inverted", owner, {call.index: flip}, 2)


def masks_inside(context: Context) -> Edits:
    """Where a mask of the inputs is made ready: inverted there."""
    for call in context.suspects:
        mask = "param" not in call.roots and any(re_mask(root, context) for root in call.roots)
        if not mask:
            continue
        value = call.results[0]
        owner, words = call.owner or "", context.words(call)
        if call.name == "bitwise_not":
            yield Edit("mask-polarity", f"{words} left out", owner, {call.index: instead(same_tensor)}, 1)
        elif value is not None and value.dtype == torch.bool:
            yield Edit(
                "mask-polarity", f"the mask inverted after {words}", owner, {call.index: after(lambda x: ~x)}, 3
            )
        elif call.name in ("rsub", "sub"):
            yield Edit(
                "mask-polarity", f"the mask inverted after {words}", owner, {call.index: after(lambda x: 1 - x)}, 2
            )
        if call.name in ("eq", "ne", "gt", "lt", "ge", "le") and numbers(call):
            yield Edit("mask-polarity", f"{words} inverted", owner, {call.index: after(lambda x: ~x)}, 2)


def re_mask(root: str, context: Context) -> bool:
    """Whether an input is a mask."""
    names = (root, context.target.names_of_arguments.get(root, ""))
    return any("mask" in name.lower() for name in names) or any(
        each.dtype == torch.bool for each in tensors_in(context.inputs.get(root))
    )
