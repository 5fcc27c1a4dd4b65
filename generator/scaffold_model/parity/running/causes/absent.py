"""Modules of the reference that nothing in the target stands for: put where the reference has them."""

from __future__ import annotations

import torch

from ..aligned import layouts, measure
from ..leaves import events, owner_of
from ..replay import Patch
from .base import Context, Edit, Edits, after
from .norms import tag_of, user_of


def edits(context: Context) -> Edits:
    """Modules of the reference that nothing in the target stands for: put where the reference has them."""
    trace = context.reference
    used = {
        source
        for observation in context.observations
        for key in context.pairing.made
        if owner_of(key) == observation.event.path
        for source in map(owner_of, context.pairing.made[key].sources)
    }
    modules = {owner_of(key) for key in context.pairing.reference_weights} - used
    patches: dict[int, Patch] = {}
    words, owners, tags, alone = [], [], [], []
    for path, uses in events(trace, modules).items():
        weights = [value for key, value in context.pairing.reference_weights.items() if owner_of(key) == path]
        for use in uses:
            for call in context.suspects:
                value = call.results[0]
                if value is None or call.index in patches or value.numel() != use.taken.numel():
                    continue
                put = _carried(use.taken, use.given, value)
                if put is not None:
                    norm = all(weight.ndim <= 1 for weight in weights)
                    tag = tag_of(context, call, "norm-missing") if norm else "branch-missing"
                    patches[call.index] = after(lambda result, put=put: put.to(result.dtype))
                    words.append(path)
                    owners.append(call.owner or "")
                    tags.append(tag)
                    alone.append(call)
                    break
    if not patches:
        return
    for index, call in enumerate(alone):
        yield Edit(
            tags[index],
            f"what {words[index]} of the reference makes of it, after {context.words(call)}",
            user_of(context, alone[index]),
            {call.index: patches[call.index]},
            2,
        )
    if len(patches) > 1:
        names = ", ".join(words)
        yield Edit(
            tags[0], f"what {names} of the reference make of it, put in", user_of(context, alone[0]), patches, 2
        )


def _carried(taken: torch.Tensor, given: torch.Tensor, value: torch.Tensor) -> torch.Tensor | None:
    """What a module of the reference gives, in the layout in which the target has what it takes."""
    for (_, before), (_, result) in zip(
        layouts(taken, tuple(value.shape)), layouts(given, (*value.shape[:-1], given.shape[-1])), strict=False
    ):
        if measure(before, value)[1] <= 1e-5:
            return result
    # Heads are apart from each other on one side only.
    apart = taken.shape == given.shape and taken.shape[-1] != value.shape[-1]
    if apart and measure(taken.reshape(value.shape), value)[1] <= 1e-5:
        return given.reshape(value.shape)
    return None
