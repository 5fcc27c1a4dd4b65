"""How the difference grows over a denoising loop, and beside it how far another dtype or device drifts from float32."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch

from .aligned import measure
from .harness import Harness
from .trace import Trace, tensors_in


def denoise(
    harness: Harness,
    reference: torch.nn.Module,
    target: torch.nn.Module,
    inputs: dict[str, Any],
    shape: tuple[int, ...],
    steps: int,
    seconds: float,
    progress: Callable[[str], None],
) -> dict[str, Any]:
    """Euler steps from noise to nothing, each side on its own samples.

    The harness says with ``step_inputs(inputs, sample, sigma) -> dict`` what the inputs of a step are; without it there
    is no telling which input is the sample.

    Args:
        harness: The harness.
        reference, target: Both sides.
        inputs: The inputs of the comparison.
        shape: That of a sample, and of the first output.
        steps: How many steps.
        seconds: After how long to stop.
        progress: Is told of each step.

    Returns:
        ``steps``, with the sigma that each step ends at and how far the samples are apart then; ``reason``, where it was
        not done, or not to the end.
    """  # fmt: skip
    if not steps:
        return {"steps": [], "reason": "it was not asked for"}
    if not harness.has("step_inputs"):
        return {"steps": [], "reason": "the harness defines no step_inputs(inputs, sample, sigma)"}
    sigmas = torch.linspace(1.0, 0.0, steps + 1).tolist()
    noise = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    samples = [noise.clone(), noise.clone()]
    found: list[dict[str, Any]] = []
    reason = None
    ends = time.monotonic() + seconds
    for number, (sigma, following) in enumerate(pairwise(sigmas), 1):
        if time.monotonic() > ends:
            reason = f"stopped after {number - 1} of {steps} steps, for want of time"
            break
        progress(f"Denoising loop: step {number} of {steps}")
        sides = (("run_reference", reference), ("run_target", target))
        with torch.no_grad():
            for side, (function, model) in enumerate(sides):
                velocity = harness.outputs(function, model, harness.call("step_inputs", inputs, samples[side], sigma))[
                    0
                ]
                samples[side] = samples[side] + (following - sigma) * velocity
        largest, relative = measure(*samples)
        found.append({"sigma": following, "max_diff": largest, "relative": relative})
    return {"steps": found, "reason": reason}


def drift(
    harness: Harness,
    target: torch.nn.Module,
    trace: Trace,
    inputs: dict[str, Any],
    expected: tuple[torch.Tensor, ...],
    device: str,
    dtype: torch.dtype,
) -> dict[str, Any]:
    """How far the target in a dtype, on a device, is from itself in float32 on the CPU. The target is left there.

    Args:
        harness: The harness.
        target: The target.
        trace: Its run in float32.
        inputs: The inputs of the comparison. Times and other vectors keep their dtype, as pipelines pass them.
        expected: Its outputs in float32.
        device, dtype: Where and in what.
    """  # fmt: skip
    target.to(device=device, dtype=dtype)
    moved = _moved(inputs, device, dtype)
    other = Trace(target, moved, budget=4e9)
    with other.recording():
        outputs = harness.outputs("run_target", target, moved)
    apart = [measure(one.float(), two.float().cpu()) for one, two in zip(expected, outputs, strict=True)]
    known = {(visit.path, visit.number): visit.output for visit in trace.visits}
    layers = []
    for visit in sorted(other.visits, key=lambda each: (each.end, -each.start)):
        before, after = (list(tensors_in(each)) for each in (known.get((visit.path, visit.number)), visit.output))
        pairs = [
            (one, two.cpu())
            for one, two in zip(before, after, strict=False)
            if one.shape == two.shape and one.is_floating_point()
        ]
        if visit.path and pairs:
            worst = max((measure(one.float(), two.float()) for one, two in pairs), key=lambda each: each[1])
            layers.append({"target_module": visit.path, "max_diff": worst[0], "relative": worst[1]})
    return {
        "device": device,
        "dtype": str(dtype).removeprefix("torch."),
        "max_diff": max(each[0] for each in apart),
        "relative": max(each[1] for each in apart),
        "layers": layers,
    }


def _moved(value: Any, device: str, dtype: torch.dtype) -> Any:
    if isinstance(value, torch.Tensor):
        changes = value.is_floating_point() and value.ndim >= 2
        return value.to(device=device, dtype=dtype if changes else value.dtype)
    if isinstance(value, dict):
        return {key: _moved(each, device, dtype) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_moved(each, device, dtype) for each in value)
    return value
