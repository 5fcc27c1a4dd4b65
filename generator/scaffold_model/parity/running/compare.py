"""`parity`: both sides in one process, on the same weights and inputs, compared module by module."""

from __future__ import annotations

import dataclasses
import inspect
import math
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from .aligned import AGREES, compare, measure
from .errors import RunningError
from .harness import Harness, load_harness
from .leaves import Observation, Pairing
from .locate import Divergence, diverge
from .loop import denoise, drift
from .provenance import Made, State, provenance
from .trace import Trace, Visit, tensors_in

TOLERANCE = 1e-3

Progress = Callable[[str], None]


def main(request: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Compare.

    Args:
        request: ``harness``, the file; ``seconds``, how long causes may be tried; ``threads``; ``device`` and ``dtype``,
            for the drift beside float32; ``steps`` of the denoising loop.
        progress: Is told what goes on.
    """
    if request.get("threads"):
        torch.set_num_threads(int(request["threads"]))
    harness = component(load_harness(Path(request["harness"])), request.get("component"))
    progress(f"Building both sides of {harness.path.name}")
    reference = _prepared(harness.call("build_reference"), harness, "build_reference")
    target = _prepared(harness.call("build_target"), harness, "build_target")
    state = {key: value.detach() for key, value in reference.state_dict().items()}
    progress(f"Converting {len(state)} weights, {sum(value.numel() for value in state.values()) / 1e6:,.1f} M numbers")
    converted = _converted(harness, state)
    mismatches = load(target, converted, harness)
    inputs = harness.call("make_inputs")
    if not isinstance(inputs, dict):
        raise RunningError(
            f"make_inputs returns a {type(inputs).__name__}, where a dict is needed",
            path=str(harness.path),
            hint="return the inputs by name",
        )
    progress("Running the reference")
    theirs = Trace(reference, inputs)
    with theirs.recording():
        expected = harness.outputs("run_reference", reference, inputs)
    progress("Running the target")
    ours = Trace(target, inputs)
    with ours.recording():
        actual = harness.outputs("run_target", target, inputs)
    outputs = _outputs(expected, actual, harness)
    largest = max(each["max_diff"] for each in outputs)
    passed = largest < TOLERANCE and not mismatches
    progress("Pairing the modules of both sides by their weights")
    made = with_own_names(
        provenance(lambda weights: harness.call("convert", weights), state, converted, progress), reference, state
    )
    pairing = Pairing(made, target, reference)
    observations = pairing.observe(ours, theirs)
    result: dict[str, Any] = {
        "max_diff": _number(largest),
        "passed": passed,
        "tolerance": TOLERANCE,
        "outputs": [{**each, "max_diff": _number(each["max_diff"])} for each in outputs],
        "mismatches": mismatches,
        "first_divergence": None,
        "layers": layers(ours, theirs, pairing, observations),
    }
    if largest >= TOLERANCE:
        unknown = {each["key"]: converted[each["key"]] for each in mismatches if each["kind"] == "unexpected"}
        found = diverge(
            ours, theirs, pairing, observations, (expected, actual),
            lambda: harness.outputs("run_target", target, inputs), inputs, unknown, TOLERANCE,
            float(request.get("seconds", 60)), progress,
        )  # fmt: skip
        result["first_divergence"] = _shown(found)
    shape = tuple(expected[0].shape)
    loop = denoise(harness, reference, target, inputs, shape, int(request.get("steps") or 0), 40.0, progress)
    result["loop"] = {**loop, "steps": [_finite(each) for each in loop["steps"]]}
    result["drift"] = []
    for device, dtype in _drifts(request):
        progress(f"Running the target in {dtype} on {device}")
        try:
            one = drift(harness, target, ours, inputs, actual, device, getattr(torch, dtype))
        except (RuntimeError, AssertionError) as error:
            # No such device, or an operation that it does not have in this dtype.
            raise RunningError(
                f"{dtype} on {device} does not run: {error}".splitlines()[0], hint="name another --device or --dtype"
            ) from error
        result["drift"].append({**_finite(one), "layers": [_finite(each) for each in one["layers"]]})
    return result


def with_own_names(made: dict[str, Made], reference: torch.nn.Module, state: State) -> dict[str, Made]:
    """The provenance with the names that the reference's modules have, where its checkpoint spells them otherwise."""
    tensors = {
        **dict(reference.named_buffers(remove_duplicate=False)),
        **dict(reference.named_parameters(remove_duplicate=False)),
    }
    by_place = {(value.data_ptr(), value.shape): name for name, value in tensors.items()}
    own = {
        key: key if key in tensors else by_place.get((value.data_ptr(), value.shape), key)
        for key, value in state.items()
    }
    return {
        name: dataclasses.replace(
            one, keys=[own.get(key, key) for key in one.keys], sources=[own.get(key, key) for key in one.sources]
        )
        for name, one in made.items()
    }


def component(harness: Harness, name: str | None) -> Harness:
    """The harness of one component of a scaffold: its ``COMPONENTS`` names the five functions of each.

    Raises:
        RunningError: There is no such component.
    """
    components = getattr(harness.module, "COMPONENTS", None)
    if not isinstance(components, dict):
        if name:
            raise RunningError(
                f"has no components, so no {name}", path=str(harness.path), hint="leave --component away"
            )
        return harness
    chosen = name or next(iter(components))
    if chosen not in components:
        raise RunningError(
            f"has no component {chosen}", path=str(harness.path), hint=f"name one of {', '.join(components)}"
        )
    functions = dict(
        zip(
            ("build_reference", "build_target", "make_inputs", "run_reference", "run_target"),
            components[chosen],
            strict=True,
        )
    )
    convert = harness.module.convert
    if len(inspect.signature(convert).parameters) == 2:
        functions["convert"] = lambda state_dict: convert(chosen, state_dict)
    if chosen == next(iter(components)) and harness.has("step_inputs"):
        functions["step_inputs"] = harness.module.step_inputs
    return Harness(harness.path, SimpleNamespace(**{"convert": convert, **functions}))


def _drifts(request: dict[str, Any]) -> list[tuple[str, str]]:
    device, dtype = request.get("device"), request.get("dtype")
    if device:
        return [(device, each) for each in dict.fromkeys(("float32", dtype or "bfloat16"))]
    return [("cpu", dtype)] if dtype and dtype != "float32" else []


def _finite(values: dict[str, Any]) -> dict[str, Any]:
    return {key: _number(value) if isinstance(value, float) else value for key, value in values.items()}


def _prepared(model: Any, harness: Harness, function: str) -> torch.nn.Module:
    if not isinstance(model, torch.nn.Module):
        raise RunningError(
            f"{function} returns a {type(model).__name__}, where a torch.nn.Module is needed",
            path=str(harness.path),
            hint="return the model itself",
        )
    return model.float().eval().requires_grad_(False)


def _converted(harness: Harness, state: State) -> State:
    converted = harness.call("convert", dict(state))
    if not isinstance(converted, dict):
        raise RunningError(
            f"convert returns a {type(converted).__name__}, where a dict is needed",
            path=str(harness.path),
            hint="return the target's weights by name",
        )
    return {str(key): value for key, value in converted.items() if isinstance(value, torch.Tensor)}


def load(target: torch.nn.Module, converted: State, harness: Harness) -> list[dict[str, Any]]:
    """Load converted weights; what does not fit.

    Returns:
        The keys that the target lacks or that it does not get, each with its kind; none where loading is strict.

    Raises:
        RunningError: Shapes differ, so there is nothing to compare.
    """
    own = target.state_dict()
    wrong = [
        f"{key} is {tuple(value.shape)}, but {tuple(own[key].shape)} is needed"
        for key, value in converted.items()
        if key in own and own[key].shape != value.shape
    ]
    if wrong:
        more = f", and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise RunningError(
            f"convert makes weights of other shapes: {'; '.join(wrong[:3])}{more}",
            path=str(harness.path),
            hint="mend the conversion, or the sizes in build_target",
        )
    missing = [key for key in own if key not in converted]
    unexpected = [key for key in converted if key not in own]
    if missing and len(missing) == len(own):
        raise RunningError(
            f"convert makes no weight of the target; it makes {', '.join(unexpected[:3]) or 'none at all'} ..., but {', '.join(missing[:3])} ... are needed",
            path=str(harness.path), hint="mend the conversion",
        )  # fmt: skip
    target.load_state_dict(converted, strict=False)
    return [{"key": key, "kind": "missing"} for key in missing] + [
        {"key": key, "kind": "unexpected"} for key in unexpected
    ]


def _outputs(
    expected: tuple[torch.Tensor, ...], actual: tuple[torch.Tensor, ...], harness: Harness
) -> list[dict[str, Any]]:
    shapes = [[tuple(each.shape) for each in side] for side in (expected, actual)]
    if shapes[0] != shapes[1]:
        raise RunningError(
            f"run_reference returns {shapes[0]}, but run_target returns {shapes[1]}",
            path=str(harness.path), hint="bring both to one layout there",
        )  # fmt: skip
    return [
        {
            "index": index,
            "shape": list(one.shape),
            "max_diff": measure(one, other)[0],
            "mean_abs": float(one.float().abs().mean()),
        }
        for index, (one, other) in enumerate(zip(expected, actual, strict=True))
    ]


def layers(ours: Trace, theirs: Trace, pairing: Pairing, observations: list[Observation]) -> list[dict[str, Any]]:
    """The difference of every module that can be compared, in execution order."""
    found: list[tuple[int, dict[str, Any]]] = []
    for each in observations:
        if each.side == "out":
            found.append(
                (
                    each.event.end,
                    _layer(each.event.path, each.reference, each.compared.max_diff, each.compared.relative),
                )
            )
    leaves = {each.event.path for each in observations}
    parted = min((each.at for each in observations if not each.compared.agrees), default=ours.count)
    by_path: dict[str, list[Visit]] = {}
    for visit in theirs.visits:
        by_path.setdefault(visit.path, []).append(visit)
    for visit in ours.visits:
        if visit.path in leaves or not visit.path:
            continue
        counterpart = pairing.counterpart(visit.path)
        if not counterpart or len(by_path.get(counterpart, ())) <= visit.number:
            continue
        around = visit.path.rpartition(".")[0]
        if around and pairing.counterpart(around) == counterpart:
            # The module around stands for it; this one is only a part.
            continue
        other = by_path[counterpart][visit.number]
        given = [each for each in tensors_in(visit.output) if each.is_floating_point()]
        made = [each for each in tensors_in(other.output) if each.is_floating_point()]
        worst: tuple[float, float] | None = None
        for one in given:
            fits = [
                compare(each, one)
                for each in made
                if each.shape[-1:] == one.shape[-1:] and each.numel() == one.numel()
            ]
            best = min((fit for fit in fits if fit is not None), key=lambda fit: fit.relative, default=None)
            if best is None:
                worst = None
                break
            worst = max(worst or (0.0, 0.0), (best.max_diff, best.relative))
        if worst is not None and (worst[1] <= AGREES or visit.end > parted):
            # Where everything after it agrees it gives something else than its counterpart, and rightly so.
            found.append((visit.end, _layer(visit.path, counterpart, *worst)))
    return [layer for _, layer in sorted(found, key=lambda each: each[0])]


def _layer(path: str, reference: str, largest: float, relative: float) -> dict[str, Any]:
    return {
        "target_module": path,
        "reference_module": reference,
        "max_diff": _number(largest),
        "relative": _number(relative),
    }


def _number(value: float) -> float | None:
    """JSON has no infinity: what is not finite is null, as a NaN in an output is."""
    return value if math.isfinite(value) else None


def _shown(found: Divergence) -> dict[str, Any]:
    return {
        "target_module": found.target_module,
        "reference_module": found.reference_module,
        "max_diff": _number(found.max_diff),
        "causes": [
            {
                "tag": fit.edit.tag,
                "evidence": f"with {fit.edit.evidence} it agrees"
                if fit.relative < 1e-3
                else f"with {fit.edit.evidence} it comes nearest"
                if math.isfinite(fit.relative)
                else f"it lacks {fit.edit.evidence}",
                "max_diff_after": _number(fit.max_diff),
            }
            for fit in found.causes
        ],
    }
