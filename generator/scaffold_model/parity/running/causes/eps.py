"""The small number in a norm that keeps it from dividing by zero."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from ..replay import Patch
from ..trace import Call
from .base import Context, Edit, Edits, after, numbers

#: Norms that torch computes in one call, and the position of their eps.
NORMS = {"layer_norm": 4, "rms_norm": 3, "group_norm": 4, "batch_norm": 7}
_EPS = (1e-6, 1e-5, 1e-8, 1e-12, 1e-3, 1e-7, 1e-4, 1e-2, 0.0, 1e-10)


def edits(context: Context) -> Edits:
    """Another eps: those of the reference first, then the usual ones."""
    theirs = set()
    for call in context.reference.calls.values():
        theirs |= {value for _, value in numbers(call) if 0 < value < 0.02}
        if isinstance(call.kwargs.get("eps"), float):
            theirs.add(call.kwargs["eps"])
    candidates = list(dict.fromkeys([*sorted(theirs), *_EPS]))
    for call in context.suspects:
        for now, changed in _changes_of_eps(call):
            for eps in candidates:
                if eps != now:
                    told = f"eps {eps:g} in place of {now if now is None else f'{now:g}'} in {context.words(call)}"
                    yield Edit("norm-eps", told, call.owner or "", {call.index: changed(eps)}, 2)


def _changes_of_eps(call: Call) -> Iterator[tuple[float | None, Callable[[float], Patch]]]:
    """What a call has as eps, and how it gets another: an argument of a norm, or a number added or clamped to."""
    if call.name in NORMS:
        position = NORMS[call.name]
        now = call.kwargs.get("eps", call.args[position] if len(call.args) > position else None)
        yield now, lambda eps: _with_eps(position, eps)
    elif call.name in ("add", "clamp", "clamp_min"):
        for _, value in numbers(call):
            if 0 < value < 0.02:
                yield value, _moved_from(value)


def _with_eps(position: int, eps: float) -> Patch:
    def patch(func: Any, args: Any, kwargs: Any) -> Any:
        if "eps" in kwargs or len(args) <= position:
            return func(*args, **{**kwargs, "eps": eps})
        return func(*args[:position], eps, *args[position + 1 :], **kwargs)

    return patch


def _moved_from(value: float) -> Callable[[float], Patch]:
    """From the number that is added, or clamped to, to another."""
    return lambda eps: after(lambda result: result + (eps - value))
