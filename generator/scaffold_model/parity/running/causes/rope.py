"""Rotary embeddings: base and precision of the angles, order of the axes, and pairs or halves.

The angles of the reference are put in the place of the target's, in every layout that exists. Where that makes it agree,
the two are compared, and their difference says what is wrong with them.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

from ..trace import Call
from .angles import are_those_of, difference, halves, narrow, rotations, shaped
from .base import Context, Edit, Edits, after, giving, instead, numbers, operands, same_kind
from .modulation import VIEWS
from .numbers_in import CASTS, constants, same_tensor

_BASES = [10000.0, 256.0, 100.0, 1000.0, 2000.0, 5000.0, 100000.0, 500000.0, 1000000.0]
_AS_IT_IS = "as it is"
_INPUTS = (_AS_IT_IS, "pairs to halves", "halves to pairs")
_CARRIES = VIEWS | {"neg", "stack", "cat", "view_as_complex", "view_as_real", "empty_like", "setitem", "zeros_like"}


def edits(context: Context) -> Edits:
    """Hypotheses on rotary embeddings."""
    yield from _positions(context)
    products = rotations(context)
    if products:
        yield from _transplants(context, products)


def _positions(context: Context) -> Edits:
    """Changes of the calls that make the angles, and of casts of what they are computed from."""
    making = [call for call in context.suspects if context.of_position(call)]
    if making:
        yield _all_in_float64(context, making)
    known = constants(context)
    for call in making:
        if call.name in CASTS:
            yield _uncast(context, call, "rope-precision", [call], f"positions uncast in {context.words(call)}", 2)
        yield from _frequencies(context, call, known)
        yield from _orders(context, call)
        yield from _orders_of_axes(context, call)
    for call in context.suspects:
        if call.name in CASTS and "param" in call.roots and _is_lossy(call):
            tag = "timestep-cast" if context.conditioning(call) else "rope-precision"
            for calls in ([call], same_kind(context, call)):
                yield _uncast(context, call, tag, calls, f"uncast in {context.words(call)}", 3)


def _all_in_float64(context: Context, making: list[Call]) -> Edit:
    """Everything that makes the angles in float64; to blame is what loses digits first, or casts last."""
    patches = {call.index: _in_float64 for call in making}
    for call, position in rotations(context):
        patches[call.index] = _cast_back(position)
    lossy = [call for call in making if _is_lossy(call)]
    casts = [call for call in making if call.name in CASTS or "dtype" in call.kwargs]
    owner = (lossy[0].owner if lossy else (casts or making)[-1].owner) or ""
    return Edit("rope-precision", "all that makes the angles in float64", owner, patches, 2)


def _is_lossy(call: Call) -> bool:
    value = call.results[0]
    return value is not None and value.dtype in (torch.bfloat16, torch.float16)


def _uncast(context: Context, call: Call, tag: str, calls: list[Call], words: str, size: int) -> Edit:
    return Edit(tag, words, call.owner or "", {each.index: instead(same_tensor) for each in calls}, size)


def _frequencies(context: Context, call: Call, known: list[float]) -> Edits:
    """Other numbers in place of those that the angles are computed with."""
    if call.name not in ("pow", "rpow", "mul", "div", "add", "sub", "rdiv"):
        return
    owner, words = call.owner or "", context.words(call)
    for position, value in numbers(call):
        is_base = call.name in ("pow", "rpow") or value > 50
        others = _BASES if is_base else [value + 1, value - 1, value * 2, value / 2]
        for new in dict.fromkeys([*known, *others]):
            if new and new != value:
                patch = {call.index: giving(position, new)}
                yield Edit("rope-frequency", f"{new:g} in place of {value:g} in {words}", owner, patch, 3)
    if call.name in ("mul", "div") and numbers(call):
        left_out = f"without {words} by {numbers(call)[0][1]:g}"
        yield Edit("rope-frequency", left_out, owner, {call.index: instead(same_tensor)}, 3)


def _orders(context: Context, call: Call) -> Edits:
    """The parts that a call joins in every other order, and a flip left out."""
    owner, words = call.owner or "", context.words(call)
    if call.name in ("cat", "concat", "stack") and isinstance(call.args[0], (list, tuple)):
        tokens = not context.trig[call.index] and call.name == "cat"
        tag = "concat-order" if tokens and _axis(call) != len(call.shape) - 1 else "rope-axes"
        for order in _permutations(len(call.args[0])):
            told = f"the parts of {words} in the order {', '.join(map(str, order))}"
            yield Edit(tag, told, owner, {call.index: _with_parts(order)}, 3)
    if call.name == "flip":
        yield Edit("rope-axes", f"without {words}", owner, {call.index: instead(same_tensor)}, 2)


def _orders_of_axes(context: Context, call: Call) -> Edits:
    """A list of positions, one row a token, with its columns in every other order."""
    value = call.results[0]
    if value is None or value.ndim != 2 or not 2 <= value.shape[-1] <= 4 or context.trig[call.index]:
        return
    for order in _permutations(value.shape[-1]):
        told = f"the axes of positions in the order {', '.join(map(str, order))} after {context.words(call)}"
        reorder = after(lambda x, order=order: x[..., list(order)])
        yield Edit("rope-axes", told, call.owner or "", {call.index: reorder}, 3)


def _permutations(count: int) -> list[tuple[int, ...]]:
    """Every order of a few parts but the one that they have; none of many, which would be too many to try."""
    return list(itertools.permutations(range(count)))[1:] if count <= 4 else []


def _with_parts(order: tuple[int, ...]) -> Any:
    return lambda func, args, kwargs: func([args[0][index] for index in order], *args[1:], **kwargs)


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


@dataclass(frozen=True)
class _Trial:
    """One way to rotate: with these angles (None: with those that are there), and queries and keys in this order."""

    angles: tuple[torch.Tensor, torch.Tensor] | None
    layout: str
    sign: int
    inputs: str

    @property
    def reorders(self) -> bool:
        return self.inputs != _AS_IT_IS

    @property
    def words(self) -> str:
        angles = f"the angles of the reference, {self.layout}" if self.angles else "the same angles, as they are"
        return angles + (f", queries and keys {self.inputs}" if self.reorders else "")


def _transplants(context: Context, products: list[tuple[Call, int]]) -> Edits:
    theirs = halves(context)
    for users in _by_owner(products):
        for trial in _trials(theirs):
            edit = _transplanted(context, users, trial, theirs)
            if edit is not None:
                yield edit


def _trials(theirs: list[tuple[torch.Tensor, torch.Tensor]]) -> Iterator[_Trial]:
    """Every layout and sign of every pair of angles of the reference, and every order of queries and keys."""
    options: list[tuple[torch.Tensor, torch.Tensor] | None] = [*theirs] or [None]
    for index, angles in enumerate(options):
        for layout, sign, inputs in itertools.product(("pairs", "halves"), (1, -1), _INPUTS):
            if angles is not None:
                yield _Trial(angles, layout, sign, inputs)
            if index == 0 and inputs != _AS_IT_IS and (layout, sign) == ("pairs", 1):
                yield _Trial(None, layout, sign, inputs)


def _transplanted(context: Context, users: list[tuple[Call, int]], trial: _Trial, theirs: Any) -> Edit | None:
    """The edit that tries it out; None where the angles do not fit, or are no others."""
    values = [call.args[position] for call, position in users]
    news = _in_their_place(trial, values) if trial.angles else []
    if news is None:
        return None
    patches = {call.index: giving(position, new) for (call, position), new in zip(users, news, strict=False)}
    if trial.reorders:
        change = after(_repaired(trial.inputs, _dim(users)))
        patches.update({source.index: change for source in _sources(context, users)})
    tag = "rope-layout" if trial.reorders else difference(list(zip(values, news, strict=True)))
    if not patches or tag is None:
        return None
    angles_are_right = trial.reorders or (trial.sign == -1 and are_those_of(theirs, values))
    guilty = (users[0][0].owner or "") if angles_are_right else _made_by(context, users)
    return Edit(tag, trial.words, guilty, patches, 5 if trial.reorders else 4)


def _in_their_place(trial: _Trial, values: list[torch.Tensor]) -> list[torch.Tensor] | None:
    """The angles of a trial in the shape of each of those that are used; None where one can not have it.

    Of cosines and sines the cosines are those with the greater mean: angles begin at zero.
    """
    assert trial.angles is not None
    cosine, sine = trial.angles[0], trial.sign * trial.angles[1]
    means = [float(value.float().mean()) for value in values if not value.is_complex()]
    news = []
    for value in values:
        if value.is_complex():
            new = _complex(cosine, sine, value, trial.layout)
        else:
            is_cosine = float(value.float().mean()) == max(means)
            new = shaped(cosine if is_cosine else sine, value, trial.layout)
        if new is None:
            return None
        news.append(new)
    return news


def _complex(cosine: torch.Tensor, sine: torch.Tensor, value: torch.Tensor, layout: str) -> torch.Tensor | None:
    real, imaginary = shaped(cosine, value.real, layout), shaped(sine, value.real, layout)
    if real is None or imaginary is None:
        return None
    return torch.complex(real.float(), imaginary.float()).to(value.dtype)


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
