"""Shift, scale and gate: their order, the one that is added to a scale, and a gate that is left out or on the wrong branch."""

from __future__ import annotations

import itertools
from typing import Any

import torch

from ..replay import Patch
from ..trace import Call, Source
from .base import Context, Edit, Edits, after, instead, numbers, operands
from .norms import in_attention
from .numbers_in import same_tensor

VIEWS = {
    "unsqueeze", "squeeze", "getitem", "to", "float", "type_as", "reshape", "view", "expand", "contiguous", "transpose",
    "permute", "flatten", "unflatten", "unbind", "chunk", "split", "expand_as", "view_as", "repeat", "repeat_interleave",
    "split_with_sizes", "half", "bfloat16", "double", "clone", "detach",
}  # fmt: skip
_ACTIVATES = {"gelu", "silu", "relu", "sigmoid", "tanh", "mish"}
_MANY = {"chunk", "split", "unbind", "tensor_split", "split_with_sizes", "meshgrid"}


def used_as(context: Context, call: Call, number: int) -> set[str]:
    """What a result is used as: ``scale`` (1 is added), ``factor``, ``addend``, ``activated``, or nothing."""
    found: set[str] = set()
    waiting = [(call.index, number)]
    for _ in range(60):
        if not waiting:
            break
        origin = waiting.pop()
        for index in context.target.calls[origin[0]].consumers:
            each = context.target.calls[index]
            if origin not in each.parents:
                continue
            if each.name in VIEWS:
                waiting += [(index, result) for result in range(len(each.shapes))]
            elif each.name == "add" and 1.0 in [value for _, value in numbers(each)]:
                found.add("scale")
            elif each.name in ("mul", "addcmul"):
                found.add("factor")
            elif each.name in ("add", "sub"):
                found.add("addend")
            elif each.name in _ACTIVATES:
                found.add("activated")
            else:
                found.add(each.name)
    return found


def edits(context: Context) -> Edits:
    """Hypotheses on modulation."""
    for call in context.suspects:
        if len(call.shapes) > 1 and call.name in _MANY:
            yield from _reordered(context, call)
    yield from _indexed(context)
    yield from _ones(context)
    yield from _left_out(context)
    yield from _substituted(context)
    yield from _tables(context)


def _tables(context: Context) -> Edits:
    """A parameter that is added to the modulation, its parts in another order."""
    for call in context.suspects:
        if call.name not in ("add", "mul"):
            continue
        for position, origin in operands(call):
            value = call.args[position]
            if not isinstance(origin, Source) or origin.kind != "param" or value.ndim < 2:
                continue
            for axis in range(value.ndim):
                count = value.shape[axis]
                if not 2 <= count <= 9:
                    continue
                orders = [list(range(count)) for _ in range(count * (count - 1) // 2)]
                for order, (one, other) in zip(orders, itertools.combinations(range(count), 2), strict=True):
                    order[one], order[other] = other, one
                if count == 6:
                    orders += [[1, 0, 2, 4, 3, 5], [3, 4, 5, 0, 1, 2]]
                for order in orders:
                    patch = lambda func, args, kwargs, at=position, axis=axis, order=order: func(
                        *[
                            each.index_select(axis, torch.tensor(order)) if index == at else each
                            for index, each in enumerate(args)
                        ],
                        **kwargs,
                    )
                    shown = ", ".join(map(str, order))
                    yield Edit(
                        "modulation-order",
                        f"the parts of {origin.name} in the order {shown}",
                        call.owner or "",
                        {call.index: patch},
                        3,
                    )


def _role_tag(context: Context, call: Call, pair: tuple[int, int]) -> str:
    roles = [used_as(context, call, each) for each in pair]
    if context.of_position(call):
        return "rope-axes"
    if context.conditioning(call):
        return "gate-branch" if all(role == {"factor"} for role in roles) else "modulation-order"
    if in_attention(context, call):
        return "weight-order"
    if any("activated" in role for role in roles) or len(call.shapes) == 2:
        return "gate-branch" if call.shapes[0][-1] == call.shapes[1][-1] and _last_axis(call) else "concat-order"
    return "weight-order"


def _last_axis(call: Call) -> bool:
    axis = call.kwargs.get("dim", call.args[-1] if call.args and isinstance(call.args[-1], int) else -1)
    return axis in (-1, len(call.shape) - 1)


def _reordered(context: Context, call: Call) -> Edits:
    count = len(call.shapes)
    owner, words = call.owner or "", context.words(call)
    orders: list[tuple[tuple[int, ...], tuple[int, int]]] = []
    for one, other in itertools.combinations(range(count), 2):
        if call.shapes[one] == call.shapes[other]:
            order = list(range(count))
            order[one], order[other] = other, one
            orders.append((tuple(order), (one, other)))
    if count == 6 and len(set(call.shapes)) == 1:
        orders += [
            ((1, 0, 2, 4, 3, 5), (0, 1)),
            ((3, 4, 5, 0, 1, 2), (0, 3)),
            ((0, 2, 4, 1, 3, 5), (0, 1)),
            ((0, 3, 1, 4, 2, 5), (0, 1)),
        ]
    if 3 <= count <= 6 and len(set(call.shapes)) == 1:
        orders += [((*range(step, count), *range(step)), (0, 1)) for step in range(1, count)]
    if count == 3 and len(set(call.shapes)) == 1:
        orders += [(order, (0, 1)) for order in itertools.permutations(range(3))]
    for numbers_, pair in dict(orders).items():
        if numbers_ == tuple(range(count)):
            continue
        patch = after(lambda result, order=numbers_: [result[index] for index in order])
        shown = ", ".join(map(str, numbers_))
        yield Edit(
            _role_tag(context, call, pair), f"the parts of {words} in the order {shown}", owner, {call.index: patch}, 3
        )
    sizes = [shape[-1] for shape in call.shapes]
    axis = call.kwargs.get("dim", call.args[2] if len(call.args) > 2 and isinstance(call.args[2], int) else None)
    if call.name in ("split", "split_with_sizes") and axis is not None and count == 2:
        sizes = [shape[axis] for shape in call.shapes]
        if sizes[0] != sizes[1]:

            def patch_(func: Any, args: Any, kwargs: Any) -> Any:
                second, first = args[0].split_with_sizes(sizes[::-1], dim=axis)
                return first, second

            yield Edit("concat-order", f"the other part first in {words}", owner, {call.index: patch_}, 3)


def _indexed(context: Context) -> Edits:
    """Parts that are taken by their number, each in a call of its own."""
    taken = [
        call
        for call in context.target.calls.values()
        if call.name in ("getitem", "select") and len(call.parents) == 1 and isinstance(call.parents[0], tuple)
    ]
    suspects = {call.index for call in context.suspects}
    for one, other in itertools.combinations(taken, 2):
        if one.index not in suspects and other.index not in suspects:
            continue
        if (
            one.parents != other.parents
            or one.owner != other.owner
            or one.shape != other.shape
            or one.args[1:] == other.args[1:]
        ):
            continue
        if not _plain(one.args[1:]) or not _plain(other.args[1:]):
            continue
        patches = {
            one.index: lambda func, args, kwargs, use=other.args[1:]: func(args[0], *use, **kwargs),
            other.index: lambda func, args, kwargs, use=one.args[1:]: func(args[0], *use, **kwargs),
        }
        if context.of_position(one):
            tag = "rope-axes"
        elif context.conditioning(one):
            tag = "modulation-order"
        else:
            tag = "weight-order" if in_attention(context, one) else "concat-order"
        yield Edit(tag, f"two parts exchanged that {context.words(one)} takes", one.owner or "", patches, 3)


def _plain(value: Any) -> bool:
    """Whether an index holds no tensor, so that it can stand elsewhere."""
    if isinstance(value, (tuple, list)):
        return all(_plain(each) for each in value)
    return value is None or value is Ellipsis or isinstance(value, (int, slice))


def _ones(context: Context) -> Edits:
    """The 1 that is added to a scale, or is not."""
    products = []
    for call in context.suspects:
        owner, words = call.owner or "", context.words(call)
        if call.name == "add" and 1.0 in [value for _, value in numbers(call)] and "param" in call.roots:
            yield Edit(
                "modulation-scale",
                f"the scale as it is, without the 1 of {words}",
                owner,
                {call.index: instead(same_tensor)},
                2,
            )
        if call.name == "mul" and len(call.parents) == 2:
            for position, origin in operands(call):
                if isinstance(origin, tuple) and context.conditioning(context.target.calls[origin[0]]):
                    products.append((call, position))
    for call, position in products:
        owner, words = call.owner or "", context.words(call)
        yield Edit("modulation-scale", f"1 added to the scale of {words}", owner, {call.index: _one_more(position)}, 3)


def _one_more(position: int) -> Any:
    def patch(func: Any, args: Any, kwargs: Any) -> Any:
        changed = list(args)
        changed[position] = 1 + changed[position]
        return func(*changed, **kwargs)

    return patch


def unused(context: Context, until: int) -> list[tuple[Call, int]]:
    """Results that nothing took, of calls before a time; the outputs of the model are not among them."""
    found = []
    ends = {id(tensor) for tensor in context.outputs}
    for call in context.target.calls.values():
        if call.index >= until or call.owner is None or "param" not in call.roots:
            continue
        for number, value in enumerate(call.results):
            if value is None or id(value) in ends:
                continue
            taken = any((call.index, number) in context.target.calls[index].parents for index in call.consumers)
            if not taken:
                found.append((call, number))
    return found


def broadcast(value: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor | None:
    """A tensor with axes of size one put in, so that it fits beside another."""
    if value.ndim > len(shape) or value.shape[-1] != shape[-1]:
        return None
    while value.ndim < len(shape):
        value = value.unsqueeze(1)
    fits = all(one in (1, other) for one, other in zip(value.shape, shape, strict=True))
    return value if fits else None


def _left_out(context: Context) -> Edits:
    """Parts of the modulation that nothing uses."""
    left = [(call, number) for call, number in unused(context, context.until) if context.conditioning(call)]
    for source, number in left[:12]:
        value = source.results[number]
        assert value is not None
        for call in context.suspects:
            if call.name not in ("add", "mul", "sub") or len(call.parents) != 2 or context.conditioning(call):
                continue
            fitting = broadcast(value, call.shape)
            if fitting is None:
                continue
            owner, words = call.owner or "", context.words(call)
            for position, _ in operands(call):
                for name, tag, change in (
                    ("times the gate", "gate-branch", lambda x, v=fitting: x * v),
                    ("times 1 plus the scale", "modulation-scale", lambda x, v=fitting: x * (1 + v)),
                    ("plus the shift", "modulation-scale", lambda x, v=fitting: x + v),
                ):
                    patch: Patch = lambda func, args, kwargs, at=position, change=change: func(
                        *[change(each) if index == at else each for index, each in enumerate(args)], **kwargs
                    )
                    rank = 3 if call.name == "add" else 4
                    yield Edit(
                        tag,
                        f"operand {position + 1} of {words} {name} that nothing uses",
                        owner,
                        {call.index: patch},
                        rank,
                    )
        event = context.event
        if event is not None:
            fitting = broadcast(value, tuple(event.taken.shape))
            if fitting is not None:
                for name, tag, change in (
                    ("times 1 plus the scale", "modulation-scale", lambda x, v=fitting: x * (1 + v)),
                    ("plus the shift", "modulation-scale", lambda x, v=fitting: x + v),
                    ("times the gate", "gate-branch", lambda x, v=fitting: x * v),
                ):
                    patch = lambda func, args, kwargs, change=change: func(change(args[0]), *args[1:], **kwargs)
                    yield Edit(
                        tag,
                        f"the input of {event.path} {name} that nothing uses",
                        event.owner or "",
                        {event.start: patch},
                        4,
                        later=True,
                    )
    if len(left) == 2 and context.event is not None:
        one, other = (call.results[number] for call, number in left)
        for scale, shift in ((one, other), (other, one)):
            assert scale is not None
            assert shift is not None
            shape = tuple(context.event.taken.shape)
            fit = broadcast(scale, shape), broadcast(shift, shape)
            if fit[0] is not None and fit[1] is not None:
                event = context.event
                patch = lambda func, args, kwargs, f=fit: func(args[0] * (1 + f[0]) + f[1], *args[1:], **kwargs)
                yield Edit(
                    "modulation-scale",
                    f"the input of {event.path} modulated by what nothing uses",
                    event.owner or "",
                    {event.start: patch},
                    4,
                    later=True,
                )


def _substituted(context: Context) -> Edits:
    """Each factor and addend of the modulation replaced by another part of it."""
    parts: list[torch.Tensor] = []
    changes: dict[int, list[Any]] = {}
    seen: set[tuple[int, int]] = set()
    for call in context.target.calls.values():
        if call.name in _MANY and len(call.shapes) > 1 and context.conditioning(call) and "param" in call.roots:
            recent = [visit for visit in context.target.visits if visit.start <= call.index < visit.end and visit.path]
            if context.stage_owner and not any(visit.path.startswith(context.stage_owner) for visit in recent):
                continue
            for number, value in enumerate(call.results):
                if value is not None and (call.index, number) not in seen:
                    seen.add((call.index, number))
                    parts.append(value)
    if len(parts) > 40:
        parts = parts[:40]
    for call in context.suspects:
        if call.name not in ("mul", "add") or not 1 <= len(call.parents) <= 2 or call.index in context.cleared:
            continue
        for position, origin in operands(call):
            if isinstance(origin, Source) or not context.conditioning(context.target.calls[origin[0]]):
                continue
            old = call.args[position]
            made = context.target.calls[origin[0]]
            if not isinstance(old, torch.Tensor) or (
                made.name == "add" and 1.0 in [value for _, value in numbers(made)]
            ):
                # The scale is replaced where the 1 is added to it.
                continue
            gates = call.name == "mul" and any(
                each.name == "add" and not numbers(each) for each in context.consumers(call)
            )
            for part in parts:
                if part.numel() != old.numel() or torch.equal(part.reshape(-1), old.reshape(-1)):
                    continue
                new = part.reshape(old.shape)
                patch = lambda func, args, kwargs, at=position, new=new: func(
                    *[new if index == at else each for index, each in enumerate(args)], **kwargs
                )
                tag = "gate-branch" if gates and call.name == "mul" else "modulation-order"
                yield Edit(
                    tag,
                    f"another part of the modulation as operand {position + 1} of {context.words(call)}",
                    call.owner or "",
                    {call.index: patch},
                    5,
                )
                changes.setdefault(call.index, []).append(patch)
    # Scale and shift may both be those of another norm.
    if len(changes) == 2 and all(len(each) <= 24 for each in changes.values()):
        (one, ones), (other, others) = changes.items()
        owner = context.target.calls[one].owner or ""
        for left, right in itertools.product(ones, others):
            yield Edit(
                "modulation-order",
                "other parts of the modulation as scale and shift",
                owner,
                {one: left, other: right},
                6,
            )
