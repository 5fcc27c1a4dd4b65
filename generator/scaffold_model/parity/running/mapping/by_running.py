"""The mapping by running both sides of a harness: names play no part in it."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch

from ..harness import Harness
from .decide import EXACT, agrees, convert, decide, proved
from .pieces import Choice, Shape, matrix
from .probe import AGREE, Probe, periods, probe
from .sides import Side, build_side

Progress = Callable[[str], None]

#: How many runs with periodic weights are compared: a second one rules out chance where it costs nothing.
SEEDS, SEEDS_OF_LARGE, LARGE = 2, 1, 50_000_000

#: How often choices are made anew where the proof fails.
REPAIRS = 4


@dataclass
class Run:
    """What running has shown.

    Attributes:
        sides: Reference and target.
        choices: What each target tensor is made of.
        max_diff: The largest difference of the outputs with the weights that the harness built, or None where the two
            sides could not be brought to agree.
        unproved: The targets whose elements could not be proved.
        fixed: By side, the keys that kept the values they were built with.
        closest: How far the outputs stayed apart, where no assumption made them agree.
    """

    sides: tuple[Side, Side]
    choices: list[Choice]
    max_diff: float | None
    unproved: list[str] = field(default_factory=list)
    fixed: dict[str, set[str]] = field(default_factory=dict)
    closest: float = math.inf


def run_mapping(harness: Harness, progress: Progress) -> Run:
    """Map by running.

    Args:
        harness: The harness; its ``convert`` is not used.
        progress: Is told of each step.

    Raises:
        RunningError: The harness fails.
    """
    progress("Building both sides of the harness")
    sides = (build_side(harness, "reference"), build_side(harness, "target"))
    progress(f"The reference has {len(sides[0].tensors)} tensors, the target {len(sides[1].tensors)}")
    found, fixed, closest = _agreeing(sides, progress)
    if found is None:
        return Run(sides, [], None, [], fixed, closest)
    progress(f"The outputs agree with weights of period {found.period}; comparing what each row does to them")
    choices, fits = decide(found, sides)
    progress("Proving the choices with random weights")
    result = proved(choices, fits, sides, fixed)
    for _ in range(REPAIRS):
        if agrees(result) or not result.better:
            break
        # Random weights tell apart what periodic ones do not.
        choices = [result.better.get(choice.target, choice) for choice in choices]
        result = proved(choices, fits, sides, fixed)
    unproved = [key for key, error in result.errors.items() if not (error < EXACT and agrees(result))]
    progress("Comparing the outputs with the weights of the harness")
    return Run(sides, choices, _max_diff(choices, sides), unproved, fixed, result.difference)


def _agreeing(sides: tuple[Side, Side], progress: Progress) -> tuple[Probe | None, dict[str, set[str]], float]:
    """The first assumption under which the outputs agree, before anything is known of the mapping."""
    closest = math.inf
    elements = sum(tensor.numel() for tensor in sides[1].tensors.values())
    seeds = SEEDS if elements < LARGE else SEEDS_OF_LARGE
    even = _reshaped(sides)
    fixed: dict[str, set[str]] = {}
    for fixed in _fixed(sides):
        for period in periods(sides[1]):
            found = probe(sides, period, fixed, even, seeds)
            if found.difference < AGREE:
                return found, fixed, found.difference
            closest = min(closest, found.difference)
        progress(f"The outputs are {closest:.1e} apart; trying what else may differ")
    return None, fixed, closest


def _fixed(sides: tuple[Side, Side]) -> Iterator[dict[str, set[str]]]:
    """What keeps its values, as tables of positions do that one side stores and the other computes."""
    tried: list[dict[str, set[str]]] = []
    for strict in (False, True):
        fixed: dict[str, set[str]] = {}
        for one, other in (sides, sides[::-1]):
            shapes = {matrix(tuple(tensor.shape)) for tensor in other.tensors.values()}
            fixed[one.role] = {
                key
                for key, tensor in one.tensors.items()
                if not _may_come_from(matrix(tuple(tensor.shape)), shapes)
                or (strict and matrix(tuple(tensor.shape)) not in shapes and _is_table(key, one))
            }
        if fixed not in tried:
            tried.append(fixed)
            yield fixed


def _may_come_from(shape: tuple[int, int], others: set[tuple[int, int]]) -> bool:
    """Whether the other side has anything with as many columns that is a part or a whole of this."""
    rows, columns = shape
    sizes = [other_rows for other_rows, other_columns in others if other_columns == columns]
    return any(size <= rows or size % rows == 0 for size in sizes)


def _is_table(key: str, side: Side) -> bool:
    shape = tuple(side.tensors[key].shape)
    return key in side.buffers or (len(shape) > 2 and shape[0] == 1)


def _reshaped(sides: tuple[Side, Side]) -> set[Shape]:
    """Matrices that one side has in another shape, as a convolution in place of a linear layer."""
    raw: list[dict[Shape, set[Shape]]] = []
    for side in sides:
        found: dict[Shape, set[Shape]] = defaultdict(set)
        for tensor in side.tensors.values():
            found[matrix(tuple(tensor.shape))].add(tuple(size for size in tensor.shape if size != 1))
        raw.append(found)
    return {shape for shape in raw[0].keys() & raw[1].keys() if raw[0][shape] != raw[1][shape]}


def _max_diff(choices: list[Choice], sides: tuple[Side, Side]) -> float:
    reference, target = sides
    reference.assign(reference.built)
    convert(choices, reference.tensors.__getitem__, target)
    differences = [
        float((one.double() - other.double()).abs().max()) if one.shape == other.shape else math.inf
        for one, other in zip(reference.outputs(), target.outputs(), strict=True)
    ]
    return max(differences)


def pair_keys(side: Side, checkpoint: dict[str, Shape], load: Callable[[str], torch.Tensor]) -> dict[str, str] | None:
    """The checkpoint's key of each tensor of the reference, or None where they can not be told.

    The names may be the same, or the same below a prefix; otherwise the values tell.
    """
    shapes = {key: tuple(tensor.shape) for key, tensor in side.built.items()}
    for prefix in sorted(
        {key[: -len(own)] for own in list(shapes)[:1] for key in checkpoint if key.endswith(own)}, key=len
    ):
        if all(checkpoint.get(prefix + key) == shape for key, shape in shapes.items()):
            return {key: prefix + key for key in shapes}
    by_content: dict[tuple[int, float, float], list[str]] = defaultdict(list)
    for key in checkpoint:
        tensor = load(key)
        if tensor.is_floating_point() and tensor.numel():
            by_content[_content(tensor)].append(key)
    pairs = {}
    for key, tensor in side.built.items():
        candidates = [
            other
            for other in by_content[_content(tensor)]
            if torch.equal(load(other).float().reshape(-1), tensor.float().reshape(-1))
        ]
        if len(candidates) != 1:
            return None
        pairs[key] = candidates[0]
    return pairs


def _content(tensor: torch.Tensor) -> tuple[int, float, float]:
    flat = tensor.float().reshape(-1)
    return flat.numel(), float(flat[0]), float(flat[-1])
