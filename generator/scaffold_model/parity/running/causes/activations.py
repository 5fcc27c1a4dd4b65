"""Activations: another one, none, or one where there is none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F

from .base import Context, Edit, Edits, after, instead
from .numbers_in import same_tensor

ACTIVATIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "GELU": F.gelu,
    "the tanh approximation of GELU": lambda x: F.gelu(x, approximate="tanh"),
    "SiLU": F.silu,
    "ReLU": F.relu,
    "the sigmoid approximation of GELU": lambda x: x * torch.sigmoid(1.702 * x),
    "squared ReLU": lambda x: F.relu(x).square(),
    "Mish": F.mish,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
}
_ACTIVATES = {"gelu", "silu", "relu", "relu_", "mish", "sigmoid", "tanh", "softplus", "elu", "leaky_relu", "hardswish"}


def edits(context: Context) -> Edits:
    for call in context.suspects:
        owner, words = call.owner or "", context.words(call)
        if call.name in _ACTIVATES:
            for name, function in ACTIVATIONS.items():
                patch = instead(lambda x, *_, function=function, **__: function(x))
                yield Edit("activation", f"{name} in place of {words}", owner, {call.index: patch}, 2)
            yield Edit("activation", f"without {words}", owner, {call.index: instead(same_tensor)}, 3)
        elif call.results[0] is not None and call.results[0].is_floating_point() and "param" in call.roots:
            for name in ("SiLU", "GELU", "the tanh approximation of GELU", "ReLU"):
                yield Edit("activation", f"{name} after {words}", owner, {call.index: after(ACTIVATIONS[name])}, 8)
    event = context.event
    if event is not None and context.place.seen is not None and context.place.seen.side == "in":
        for name in ("SiLU", "GELU", "the tanh approximation of GELU", "ReLU"):

            def patch(func: Any, args: Any, kwargs: Any, function: Any = ACTIVATIONS[name]) -> Any:
                return func(function(args[0]), *args[1:], **kwargs)

            yield Edit(
                "activation", f"{name} before {event.path}", event.owner or "", {event.start: patch}, 4, later=True
            )
