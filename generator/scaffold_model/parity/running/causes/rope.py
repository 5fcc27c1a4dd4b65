"""Rotary embeddings: base and precision of the angles, order of the axes, and pairs or halves.

The angles of the reference are put in the place of the target's, in every layout that exists. Where that makes it agree,
the two are compared, and their difference says what is wrong with them.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import torch

from ..trace import Call
from .angles import are_those_of, difference, halves, narrow, rotations, shaped
from .base import Context, Edit, Edits, after, instead, numbers, operands, same_kind
from .modulation import VIEWS
from .numbers_in import CASTS, constants, same_tensor

_BASES = [10000.0, 256.0, 100.0, 1000.0, 2000.0, 5000.0, 100000.0, 500000.0, 1000000.0]
_CARRIES = VIEWS | {"neg", "stack", "cat", "view_as_complex", "view_as_real", "empty_like", "setitem", "zeros_like"}


def edits(context: Context) -> Edits:
    """Hypotheses on rotary embeddings."""
    yield from _positions(context)
    products = rotations(context)
    if products:
        yield from _transplants(context, products)


def _positions(context: Context) -> Edits:
    """Changes of the calls that make the angles."""
    known = constants(context)
    making = [call for call in context.suspects if context.of_position(call)]
    if making:
        patches = {call.index: _in_float64 for call in making}
        for call, position in rotations(context):
            patches[call.index] = _cast_back(position)
        casts = [call for call in making if call.name in CASTS or "dtype" in call.kwargs]
        owner = casts[-1].owner if casts else making[-1].owner
        lossy = [
            call
            for call in making
            if (value := call.results[0]) is not None and value.dtype in (torch.bfloat16, torch.float16)
        ]
        yield Edit(
            "rope-precision",
            "all that makes the angles in float64",
            (lossy[0].owner if lossy else owner) or "",
            patches,
            2,
        )
    for call in making:
        owner, words = call.owner or "", context.words(call)
        if call.name in CASTS:
            yield Edit("rope-precision", f"positions uncast in {words}", owner, {call.index: instead(same_tensor)}, 2)
        if call.name in ("pow", "rpow", "mul", "div", "add", "sub", "rdiv"):
            for position, value in numbers(call):
                candidates = (
                    [*known, *_BASES]
                    if call.name in ("pow", "rpow") or value > 50
                    else [*known, value + 1, value - 1, value * 2, value / 2]
                )
                for new in dict.fromkeys(candidates):
                    if new != value and new:
                        patch = lambda func, args, kwargs, at=position, new=new: func(
                            *args[:at], new, *args[at + 1 :], **kwargs
                        )
                        yield Edit(
                            "rope-frequency",
                            f"{new:g} in place of {value:g} in {words}",
                            owner,
                            {call.index: patch},
                            3,
                        )
            if call.name in ("mul", "div") and numbers(call):
                yield Edit(
                    "rope-frequency",
                    f"without {words} by {numbers(call)[0][1]:g}",
                    owner,
                    {call.index: instead(same_tensor)},
                    3,
                )
        if call.name in ("cat", "concat", "stack") and isinstance(call.args[0], (list, tuple)):
            tokens = not context.trig[call.index] and call.name == "cat"
            tag = "concat-order" if tokens and _axis(call) != len(call.shape) - 1 else "rope-axes"
            count = len(call.args[0])
            for order in itertools.permutations(range(count)) if count <= 4 else ():
                if order != tuple(range(count)):
                    patch_ = lambda func, args, kwargs, order=order: func(
                        [args[0][index] for index in order], *args[1:], **kwargs
                    )
                    yield Edit(
                        tag,
                        f"the parts of {words} in the order {', '.join(map(str, order))}",
                        owner,
                        {call.index: patch_},
                        3,
                    )
        if call.name == "flip":
            yield Edit("rope-axes", f"without {words}", owner, {call.index: instead(same_tensor)}, 2)
        value = call.results[0]
        if value is not None and value.ndim == 2 and 2 <= value.shape[-1] <= 4 and not context.trig[call.index]:
            for order in itertools.permutations(range(value.shape[-1])):
                if order != tuple(range(value.shape[-1])):
                    reorder = after(lambda x, order=order: x[..., list(order)])
                    yield Edit(
                        "rope-axes",
                        f"the axes of positions in the order {', '.join(map(str, order))} after {words}",
                        owner,
                        {call.index: reorder},
                        3,
                    )
    for call in context.suspects:
        if (
            call.name in CASTS
            and "param" in call.roots
            and call.results[0] is not None
            and call.results[0].dtype in (torch.bfloat16, torch.float16)
        ):
            group = same_kind(context, call)
            tag = "rope-precision" if not context.conditioning(call) else "timestep-cast"
            for calls in ([call], group):
                yield Edit(
                    tag,
                    f"uncast in {context.words(call)}",
                    call.owner or "",
                    {each.index: instead(same_tensor) for each in calls},
                    3,
                )


def _axis(call: Call) -> int:
    axis = call.kwargs.get("dim", call.args[1] if len(call.args) > 1 else 0)
    return int(axis) % len(call.shape)


def _in_float64(func: Any, args: Any, kwargs: Any) -> Any:
    """A call with everything in float64, and casts to less left out."""

    def wide(value: Any) -> Any:
        if isinstance(value, torch.Tensor) and value.is_floating_point():
            return value.double()
        if isinstance(value, (list, tuple)):
            return type(value)(wide(each) for each in value)
        if isinstance(value, torch.dtype) and value.is_floating_point:
            return torch.float64
        return value

    name = getattr(func, "__name__", "")
    if name in ("float", "half", "bfloat16"):
        return args[0].double()
    if name in ("arange", "linspace"):
        kwargs = {**kwargs, "dtype": torch.float64}
    return func(*(wide(each) for each in args), **{key: wide(each) for key, each in kwargs.items()})


def _cast_back(position: int) -> Any:
    def patch(func: Any, args: Any, kwargs: Any) -> Any:
        changed = list(args)
        other = changed[1 - position]
        if changed[position].dtype == torch.float64 and other.dtype != torch.complex128:
            changed[position] = changed[position].to(other.dtype)
        return func(*changed, **kwargs)

    return patch


def _transplants(context: Context, products: list[tuple[Call, int]]) -> Edits:
    theirs = halves(context)
    used: dict[int, torch.Tensor] = {}
    for call, position in products:
        used[call.index] = call.args[position]
    for users in _by_owner(products):
        owner = users[0][0].owner or ""
        values = [call.args[position] for call, position in users]
        plain = [value for value in values if not value.is_complex()]
        if plain:
            order = sorted({float(value.float().mean()) for value in plain})
            cosine_mean = order[-1]
        for cosine, sine in theirs or [(None, None)]:
            for layout, sign, inputs in itertools.product(
                ("pairs", "halves"), (1, -1), ("as it is", "pairs to halves", "halves to pairs")
            ):
                for put in (True, False):
                    if not put and (inputs == "as it is" or layout == "halves" or sign == -1):
                        continue
                    if put and cosine is None:
                        continue
                    patches: dict[int, Any] = {}
                    news: list[tuple[torch.Tensor, torch.Tensor]] = []
                    for (call, position), value in zip(users, values, strict=True) if put else ():
                        if value.is_complex():
                            real, imaginary = (
                                shaped(cosine, value.real, layout),
                                shaped(sign * sine, value.real, layout),
                            )
                            new = (
                                None
                                if real is None or imaginary is None
                                else torch.complex(real.float(), imaginary.float()).to(value.dtype)
                            )
                        else:
                            is_cosine = float(value.float().mean()) == cosine_mean
                            new = shaped(cosine if is_cosine else sign * sine, value, layout)
                        if new is None:
                            break
                        news.append((value, new))
                        patches[call.index] = lambda func, args, kwargs, at=position, new=new: func(
                            *[new if index == at else each for index, each in enumerate(args)], **kwargs
                        )
                    else:
                        if inputs != "as it is":
                            for source in _sources(context, users):
                                patches[source.index] = after(_repaired(inputs, _dim(users)))
                        if not patches:
                            continue
                        tag = "rope-layout" if inputs != "as it is" else difference(news)
                        if tag is None:
                            continue
                        right = inputs != "as it is" or (sign == -1 and are_those_of(theirs, values))
                        guilty = owner if right else _made_by(context, users)
                        what = "the angles of the reference" if put else "the same angles"
                        words = f"{what}, {layout if put else 'as they are'}" + (
                            f", queries and keys {inputs}" if inputs != "as it is" else ""
                        )
                        yield Edit(tag, words, guilty, patches, 4 if inputs == "as it is" else 5)


def _by_owner(products: list[tuple[Call, int]]) -> Iterator[list[tuple[Call, int]]]:
    owners = dict.fromkeys(call.owner for call, _ in products)
    for owner in owners:
        yield [(call, position) for call, position in products if call.owner == owner]


def _dim(users: list[tuple[Call, int]]) -> int:
    """The size of what is rotated: a head, or a part of one."""
    call, position = users[0]
    value, other = call.args[position], call.args[1 - position]
    if value.is_complex():
        return 2 * int(other.shape[-1])
    names = (
        2
        if other.shape[-1] == value.shape[-1]
        and narrow(value.reshape(-1, value.shape[-1])).shape[-1] == value.shape[-1]
        else 1
    )
    return names * int(value.shape[-1])


def _sources(context: Context, users: list[tuple[Call, int]]) -> list[Call]:
    """The calls that give the queries and keys before anything is rotated."""
    found: dict[int, Call] = {}
    for call, position in users:
        waiting = [origin for at, origin in operands(call) if at != position]
        while waiting:
            origin = waiting.pop()
            if not isinstance(origin, tuple):
                continue
            each = context.target.calls[origin[0]]
            if each.name in _CARRIES or each.name in CASTS:
                waiting += each.parents
            elif "param" in each.roots:
                found[each.index] = each
    return list(found.values())


def _repaired(how: str, dim: int) -> Any:
    def change(x: torch.Tensor) -> torch.Tensor:
        parts = x.unflatten(-1, (-1, dim))
        parts = parts.unflatten(-1, (-1, 2) if how == "pairs to halves" else (2, -1))
        return parts.transpose(-1, -2).flatten(-3)

    return change


def _made_by(context: Context, users: list[tuple[Call, int]]) -> str:
    """The module that gives the angles to where they are used."""
    call, position = users[0]
    origin = dict(operands(call))[position]
    while isinstance(origin, tuple):
        each = context.target.calls[origin[0]]
        if each.owner != call.owner:
            return _outermost(context, each, call)
        tensors = [parent for parent in each.parents if isinstance(parent, tuple)]
        if each.name not in VIEWS or not tensors:
            return each.owner or ""
        origin = tensors[0]
    return ""


def _outermost(context: Context, made: Call, user: Call) -> str:
    """The module around a call whose forward ended before the module began that uses it."""
    around = [
        visit for visit in context.target.visits if visit.start <= made.index < visit.end and visit.end <= user.index
    ]
    return around[0].path if around else made.owner or ""
