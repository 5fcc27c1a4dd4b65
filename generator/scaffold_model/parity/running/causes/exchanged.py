"""Two modules of one kind that have each other's weights."""

from __future__ import annotations

from typing import Any

import torch

from ..leaves import Event, owner_of
from ..trace import Call
from .base import Context, Edit, Edits


def edits(context: Context) -> Edits:
    """Hypotheses on such modules, seen by what comes after both."""
    event = context.event
    if event is None or context.place.seen is None:
        return
    taken = [context.target.origin(event.taken), *(parent for call in context.slice for parent in call.parents)]
    boundary = {origin for origin in taken if origin in context.good}
    givers = [
        each.event.path
        for each in context.observations
        if each.side == "out" and context.target.origin(each.event.given) in boundary
    ]
    for path in dict.fromkeys([event.path, *givers]):
        yield from _exchanged(context, path, event)


def _exchanged(context: Context, mine_path: str, event: Event) -> Edits:
    parent = mine_path.rpartition(".")[0]
    own = {key: value for key, value in context.pairing.weights.items() if owner_of(key) == mine_path}
    shapes = {key.rpartition(".")[2]: value.shape for key, value in own.items()}
    uses: dict[str, list[Call]] = {}
    for call in context.target.calls.values():
        for origin in call.parents:
            if not isinstance(origin, tuple) and origin.kind == "param":
                uses.setdefault(owner_of(origin.name), []).append(call)
    for path in dict.fromkeys(owner_of(key) for key in context.pairing.weights):
        near = path.rpartition(".")[0] == parent or path.split(".")[:-2] == mine_path.split(".")[:-2]
        if path == mine_path or not near:
            continue
        other = {
            key.rpartition(".")[2]: value for key, value in context.pairing.weights.items() if owner_of(key) == path
        }
        if {name: value.shape for name, value in other.items()} != shapes or path not in uses or mine_path not in uses:
            continue
        mine = {key.rpartition(".")[2]: value for key, value in own.items()}
        swap = {id(mine[name]): other[name] for name in mine} | {id(other[name]): mine[name] for name in mine}

        def patch(func: Any, args: Any, kwargs: Any, swap: Any = swap) -> Any:
            changed = [swap.get(id(each), each) if isinstance(each, torch.Tensor) else each for each in args]
            named = {
                key: swap.get(id(each), each) if isinstance(each, torch.Tensor) else each
                for key, each in kwargs.items()
            }
            return func(*changed, **named)

        patches = {call.index: patch for each in (path, mine_path) for call in uses[each]}
        vector = all(value.ndim <= 1 for value in own.values())
        listed = list(dict.fromkeys(owner_of(key) for key in context.pairing.weights))
        called = sorted((path, mine_path), key=lambda each: uses[each][0].index)
        defined = sorted((path, mine_path), key=listed.index)
        in_code = vector and (called != defined or len(uses[path]) != len(uses[mine_path]))
        tag = "qk-norm" if in_code else "weight-order"
        owner = (event.owner or "") if in_code else called[0]
        yield Edit(
            tag,
            f"the weights of {called[0]} and {called[1]} exchanged",
            owner,
            patches,
            2,
            frozenset({path, mine_path}),
        )
