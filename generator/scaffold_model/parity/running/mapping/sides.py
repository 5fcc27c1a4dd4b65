"""The two models of a harness, with their tensors at hand under the names of their state dicts."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

from ..errors import RunningError
from ..harness import Harness


@dataclass
class Side:
    """One model of the harness.

    Attributes:
        role: ``reference`` or ``target``.
        model: The model, in float32 and evaluation mode.
        tensors: Its floating-point parameters and buffers by the key of its state dict; the live ones, so that what is
            written to them is what the model computes with.
        built: Their values as the harness built them; of the reference only, since those of the target are replaced.
        buffers: The keys of those that are buffers.
        others: The keys whose values are no floating-point numbers.
    """

    role: str
    model: torch.nn.Module
    harness: Harness
    inputs: Any
    tensors: dict[str, torch.Tensor]
    built: dict[str, torch.Tensor]
    buffers: frozenset[str]
    others: list[str]

    def assign(self, values: dict[str, torch.Tensor]) -> None:
        """Give tensors other values; they keep their shapes."""
        with torch.no_grad():
            for key, value in values.items():
                self.tensors[key].copy_(value.reshape(self.tensors[key].shape))

    def outputs(self) -> tuple[torch.Tensor, ...]:
        """The outputs for the harness's inputs, without gradients."""
        with torch.no_grad():
            return self._run()

    def gradients(self) -> tuple[tuple[torch.Tensor, ...], dict[str, torch.Tensor]]:
        """The outputs, and what changing each element of each tensor does to a fixed random sum of them.

        Returns:
            The outputs, and a gradient of the shape of each tensor, of zeros where a tensor has no part in them.

        Raises:
            RunningError: The outputs do not depend on any tensor, as after `detach`.
        """
        keys = list(self.tensors)
        try:
            outputs, found = self._followed(keys, contextlib.nullcontext())
        except RuntimeError as error:
            if "inplace" not in str(error):
                raise
            # Some models write into tensors that autograd still needs; it can copy them first, which is slower.
            outputs, found = self._followed(keys, torch.autograd.graph.allow_mutation_on_saved_tensors())
        if found is None:
            raise RunningError(
                f"run_{self.role} returns numbers that no gradient can follow back to the weights",
                path=str(self.harness.path),
                hint="return what the model returns, without detach(), numpy or a copy made under inference_mode",
            )
        gradients = {
            key: torch.zeros_like(self.tensors[key]) if gradient is None else gradient
            for key, gradient in zip(keys, found, strict=True)
        }
        return tuple(output.detach() for output in outputs), gradients

    def _followed(
        self, keys: list[str], context: contextlib.AbstractContextManager[Any]
    ) -> tuple[tuple[torch.Tensor, ...], tuple[torch.Tensor | None, ...] | None]:
        """The outputs, and the gradient of each tensor; None where the outputs depend on none of them."""
        for key in keys:
            self.tensors[key].requires_grad_(True)
        try:
            with _gradients_stay(), context:
                outputs = self._run()
                total = sum(
                    (output.double() * _directions(output, position)).sum() for position, output in enumerate(outputs)
                )
                if not isinstance(total, torch.Tensor) or not total.requires_grad:
                    return outputs, None
                return outputs, torch.autograd.grad(total, [self.tensors[key] for key in keys], allow_unused=True)
        finally:
            for key in keys:
                self.tensors[key].requires_grad_(False)

    def _run(self) -> tuple[torch.Tensor, ...]:
        # Some models draw noise even in evaluation mode; both sides then draw the same.
        torch.manual_seed(0)
        return self.harness.outputs(f"run_{self.role}", self.model, self.inputs)


def build_sides(harness: Harness) -> tuple[Side, Side]:
    """Build reference and target, for the same inputs.

    Raises:
        RunningError: The harness fails, or a model is none.
    """
    # Made once, since nothing says that they are the same the next time.
    inputs = harness.call("make_inputs")
    return _build(harness, "reference", inputs), _build(harness, "target", copy.deepcopy(inputs))


def _build(harness: Harness, role: str, inputs: Any) -> Side:
    """Build one side of a harness.

    Raises:
        RunningError: The harness fails, or its model is none.
    """
    model = harness.call(f"build_{role}")
    if not isinstance(model, torch.nn.Module):
        raise RunningError(
            f"build_{role} returns a {type(model).__name__}, where a torch.nn.Module is needed", path=str(harness.path)
        )
    model = model.float().eval().requires_grad_(False)
    buffers = list(model.buffers())
    live = [*model.parameters(), *buffers]
    by_place = {(one.data_ptr(), tuple(one.shape)): one for one in live if one.numel()}
    tensors, others = {}, []
    for key, value in model.state_dict().items():
        if not isinstance(value, torch.Tensor) or not value.is_floating_point() or not value.numel():
            others.append(key)
            continue
        place = (value.data_ptr(), tuple(value.shape))
        if place not in by_place:
            raise RunningError(
                f"the state dict of build_{role} has a copy of {key} in place of the model's own tensor",
                path=str(harness.path),
                hint="return the tensors of the model from state_dict, under whatever names",
            )
        tensors[key] = by_place[place]
    if not tensors:
        raise RunningError(f"the model of build_{role} has no weights", path=str(harness.path))
    return Side(
        role,
        model,
        harness,
        inputs,
        tensors,
        {key: value.detach().clone() for key, value in tensors.items()} if role == "reference" else {},
        frozenset(key for key, value in tensors.items() if any(value is one for one in buffers)),
        others,
    )


def _directions(output: torch.Tensor, position: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(97 + position)
    return torch.randn(output.shape, generator=generator, dtype=torch.float64)


@contextlib.contextmanager
def _gradients_stay() -> Iterator[None]:
    """Whoever wrote the harness wanted outputs, so its functions often run under `no_grad`, which is lifted here."""
    kept = [
        (kind, kind.__enter__, kind.__exit__) for kind in (torch.no_grad, torch.inference_mode) if kind is not None
    ]
    try:
        for kind, _, _ in kept:
            kind.__enter__ = lambda self: None
            kind.__exit__ = lambda self, *_: None
        with torch.enable_grad():
            yield
    finally:
        for kind, enter, leave in kept:
            kind.__enter__, kind.__exit__ = enter, leave
