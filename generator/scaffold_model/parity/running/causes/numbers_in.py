"""Timestep and guidance: their factor, their casts, and the waves that they become."""

from __future__ import annotations

import math
from typing import Any

import torch

from ..trace import Call
from .base import Context, Edit, Edits, after, instead, numbers

CASTS = {
    "to",
    "long",
    "int",
    "float",
    "half",
    "bfloat16",
    "double",
    "type",
    "type_as",
    "round",
    "floor",
    "ceil",
    "trunc",
}
_FACTORS = (1000.0, 0.001)


def same_tensor(*args: Any, **kwargs: Any) -> Any:
    """The first tensor that a call takes, as it is."""
    return next(each for each in args if isinstance(each, torch.Tensor))


def constants(context: Context) -> list[float]:
    """The plain numbers in calls of the reference, without repetition."""
    found = {value for call in context.reference.calls.values() for _, value in numbers(call)}
    return sorted(value for value in found if value not in (0.0,) and abs(value) < 1e7)


def changed_numbers(call: Call, candidates: list[float]) -> list[tuple[float, float, Any]]:
    """A call with another number, for each of some numbers: the old one, the new one, and the patch."""
    found = []
    for position, value in numbers(call):
        for candidate in candidates:
            if candidate != value:

                def patch(func: Any, args: Any, kwargs: Any, at: int = position, new: float = candidate) -> Any:
                    return func(*args[:at], new, *args[at + 1 :], **kwargs)

                found.append((value, candidate, patch))
    return found


def edits(context: Context) -> Edits:
    """Hypotheses where what parts comes from the timestep or the guidance scale alone."""
    guidance = context.of_guidance(context.roots)
    if not guidance and not context.of_time(context.roots):
        return
    what = "guidance" if guidance else "timestep"
    scale = "guidance-scale" if guidance else "timestep-scale"
    cast = "guidance-scale" if guidance else "timestep-cast"
    known = constants(context)
    numeric = [call for call in context.suspects if (call.roots - {"buffer"}) and not context.trig[call.index]]
    for call in context.suspects:
        if call in numeric:
            words = context.words(call)
            if call.name in ("mul", "div"):
                for _, value in numbers(call):
                    if value != 1:
                        words_ = f"{words} without the factor {value:g}"
                        yield Edit(scale, words_, call.owner or "", {call.index: instead(same_tensor)}, 1)
                    for factor in _FACTORS:
                        patch = after(lambda result, factor=factor: result * factor)
                        rank = 8 if value == 1 else 2
                        yield Edit(scale, f"{words} times {factor:g}", call.owner or "", {call.index: patch}, rank)
            if call.name in CASTS:
                yield Edit(
                    cast, f"the {what} uncast in {words}", call.owner or "", {call.index: instead(same_tensor)}, 1
                )
            if call.name in ("sub", "rsub"):
                yield Edit(
                    scale, f"the {what} unreversed in {words}", call.owner or "", {call.index: instead(same_tensor)}, 2
                )
        else:
            yield from _waves(context, call, known)
    for order, call in enumerate(numeric):
        for factor in _FACTORS:
            patch = after(lambda result, factor=factor: result * factor)
            yield Edit(
                scale,
                f"the {what} times {factor:g} after {context.words(call)}",
                call.owner or "",
                {call.index: patch},
                4 + order,
            )
        for dtype in (torch.int64, torch.bfloat16, torch.float16):
            patch = after(lambda result, dtype=dtype: result.to(dtype).to(result.dtype))
            yield Edit(
                cast,
                f"the {what} cast to {dtype} after {context.words(call)}",
                call.owner or "",
                {call.index: patch},
                5 + order,
            )
        patch = after(lambda result: 1 - result)
        yield Edit(
            scale, f"1 minus the {what} after {context.words(call)}", call.owner or "", {call.index: patch}, 5 + order
        )


def _waves(context: Context, call: Call, known: list[float]) -> Edits:
    """Frequencies and the order of sine and cosine."""
    tag, owner, words = "timestep-embedding", call.owner or "", context.words(call)
    if call.name == "cat":

        def reverse(tensors: Any, *args: Any, **kwargs: Any) -> Any:
            return torch.cat(list(tensors)[::-1], *args, **kwargs)

        yield Edit(tag, f"sine and cosine in the other order in {words}", owner, {call.index: instead(reverse)}, 2)
    if call.name in ("cos", "sin"):
        other = torch.sin if call.name == "cos" else torch.cos
        yield Edit(
            tag, f"{other.__name__} in place of {words}", owner, {call.index: instead(lambda x, o=other: o(x))}, 3
        )
    if call.name in CASTS:
        yield Edit(tag, f"waves uncast in {words}", owner, {call.index: instead(same_tensor)}, 3)
    if call.name in ("mul", "div", "pow", "rpow", "rdiv", "add", "sub"):
        bases = [10000.0, 1000.0, 100.0, 256.0, 2000.0, 5000.0, 20000.0, 100000.0, 1e6]
        near = [value + step for _, value in numbers(call) for step in (1.0, -1.0)]
        logarithms = [sign * math.log(base) for base in bases for sign in (1, -1)]
        for old, new, patch in changed_numbers(call, [*near, *logarithms, *bases, *known]):
            yield Edit(tag, f"{new:g} in place of {old:g} in {words}", owner, {call.index: patch}, 3)
    if context.trig[call.index] and call.shape[-1:] and call.shape[-1] % 2 == 0:
        half = call.shape[-1] // 2
        roll = after(lambda result: result.roll(half, -1))
        yield Edit(tag, f"the halves exchanged after {words}", owner, {call.index: roll}, 4)
        mixed = after(lambda result: result.unflatten(-1, (-1, 2)).transpose(-1, -2).flatten(-2))
        yield Edit(tag, f"pairs made halves after {words}", owner, {call.index: mixed}, 5)
        apart = after(lambda result: result.unflatten(-1, (2, -1)).transpose(-1, -2).flatten(-2))
        yield Edit(tag, f"halves made pairs after {words}", owner, {call.index: apart}, 5)
