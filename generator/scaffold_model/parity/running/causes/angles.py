"""The angles of rotary embeddings: found in the calls of either side, brought into one form, and compared."""

from __future__ import annotations

import itertools
from typing import Any

import torch

from ..trace import Call, Trace
from .base import Context, operands


def rotations(context: Context) -> list[tuple[Call, int]]:
    """The products of a query or key with sines and cosines, and which operand those are."""
    found = []
    for call in context.suspects:
        if call.name in ("mul", "matmul") and len(call.parents) == 2:
            for position, origin in operands(call):
                value = call.args[position]
                if (
                    isinstance(value, torch.Tensor)
                    and _angles(context.target, origin, value)
                    and "param" in call.roots
                ):
                    found.append((call, position))
    return found


def _angles(trace: Trace, origin: Any, value: torch.Tensor) -> bool:
    roots = trace.roots([origin])
    if (
        "param" in roots
        or value.ndim < 2
        or value.numel() < 4
        or not (value.is_floating_point() or value.is_complex())
    ):
        return False
    return float(value.abs().max()) <= 1.001


def halves(context: Context) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """The cosines and sines of the reference, each of shape (tokens, pairs), as it multiplies with them."""
    found: list[tuple[torch.Tensor, torch.Tensor]] = []
    singles: list[torch.Tensor] = []
    trace = context.reference
    for call in trace.calls.values():
        if call.name not in ("mul", "matmul", "einsum") or len(call.parents) != 2 or "param" not in call.roots:
            continue
        for position, origin in operands(call):
            value = call.args[position]
            if not isinstance(value, torch.Tensor) or not _angles(trace, origin, value):
                continue
            if value.is_complex():
                whole = flat(value)
                if whole is not None:
                    found.append((whole.real.float(), whole.imag.float()))
                continue
            for part in value.unbind(-1) if value.shape[-1] == 2 and value.ndim > 3 else [value]:
                one = flat(part)
                if one is not None and not any(
                    one.shape == other.shape and torch.equal(one, other) for other in singles
                ):
                    singles.append(one.float())
    for one, other in itertools.permutations(singles, 2):
        if (
            one.shape == other.shape
            and float((one.square() + other.square() - 1).abs().max()) < 1e-3
            and one.mean() > other.mean()
        ):
            found.append((one, other))
    unique: list[tuple[torch.Tensor, torch.Tensor]] = []
    for pair in found:
        once = tuple(narrow(each) for each in pair)
        known = any(
            once[0].shape == other[0].shape
            and all(torch.allclose(a, b.to(a.dtype), atol=1e-6) for a, b in zip(once, other, strict=True))
            for other in unique
        )
        if not known:
            unique.append((once[0], once[1]))
    return unique[:4]


def flat(value: torch.Tensor) -> torch.Tensor | None:
    """Angles as (tokens, width): axes of size one taken out, and those over which they are the same."""
    value = value.squeeze()
    while value.ndim > 2:
        if not bool((value == value[:1]).all()):
            return None
        value = value[0]
    return value if value.ndim == 2 else None


def narrow(value: torch.Tensor) -> torch.Tensor:
    """Each pair's angle once."""
    half = value.shape[-1] // 2
    if value.shape[-1] % 2 == 0 and half:
        if torch.equal(value[:, :half], value[:, half:]):
            return value[:, :half]
        if torch.equal(value[:, 0::2], value[:, 1::2]):
            return value[:, 0::2]
    return value


def shaped(value: torch.Tensor, like: torch.Tensor, layout: str) -> torch.Tensor | None:
    """Angles (tokens, pairs) in the shape of the target's, or None where they do not fit."""
    width = like.shape[-1]
    if value.shape[-1] * 2 == width:
        value = value.repeat_interleave(2, -1) if layout == "pairs" else torch.cat([value, value], -1)
    elif value.shape[-1] != width:
        return None
    old = flat(like)
    if old is None or old.shape[0] > value.shape[0]:
        return None
    value = value[-old.shape[0] :]
    shape = [1] * like.ndim
    shape[-1] = width
    axes = [axis for axis in range(like.ndim - 1) if like.shape[axis] == old.shape[0]]
    if not axes:
        return None
    shape[axes[-1]] = old.shape[0]
    return value.reshape(shape).expand(like.shape).to(like.dtype)


def are_those_of(theirs: list[tuple[torch.Tensor, torch.Tensor]], values: list[torch.Tensor]) -> bool:
    """Whether the target's angles are those of the reference, so that what is wrong is done with them."""
    for value in values:
        if value.is_complex():
            return False
        fits = (
            fitted is not None and torch.allclose(fitted.float(), value.float(), atol=1e-5)
            for pair in theirs
            for one in pair
            for layout in ("pairs", "halves")
            for fitted in [shaped(one, value, layout)]
        )
        if not any(fits):
            return False
    return True


def difference(news: list[tuple[torch.Tensor, torch.Tensor]]) -> str | None:
    """What the angles are wrong in, from the target's and the reference's, or None where they are the same."""
    apart = max(float((old - new).abs().max()) for old, new in news)
    if apart < 1e-7:
        return None
    old, new = max(news, key=lambda pair: float((pair[0] - pair[1]).abs().max()))
    if old.is_complex():
        old, new = old.real, new.real
    if float((old + new).abs().max()) < 1e-5 or all(
        float((torch.minimum((a - b).abs(), (a + b).abs())).max()) < 1e-5 for a, b in news if not a.is_complex()
    ):
        return "rope-layout"
    one, other = flat(old.float()), flat(new.float())
    if one is None or other is None or one.shape != other.shape:
        return "rope-frequency"
    if float((one.sort(-1).values - other.sort(-1).values).abs().max()) < 1e-5 and one.shape[-1] % 2 == 0:
        # The same angles at every token. Whole pairs elsewhere are axes in another order, torn pairs another layout.
        paired = [torch.equal(each[:, 0::2], each[:, 1::2]) for each in (one, other)]
        return "rope-axes" if paired[0] == paired[1] else "rope-layout"
    if (
        all(bool((a == a.bfloat16().to(a.dtype)).all()) or bool((a == a.half().to(a.dtype)).all()) for a in [one])
        or apart < 2e-2
    ):
        return "rope-precision"
    # A column of angles is constant along the axes that it does not encode; which those are does not depend on the base.
    for column in range(one.shape[-1]):
        groups = [torch.unique((each[:, column] * 1e4).round(), return_inverse=True)[1] for each in (one, other)]
        pairs = len(torch.unique(groups[0] * (int(groups[1].max()) + 1) + groups[1]))
        if pairs > max(int(group.max()) + 1 for group in groups):
            return "rope-axes"
    return "rope-frequency"
