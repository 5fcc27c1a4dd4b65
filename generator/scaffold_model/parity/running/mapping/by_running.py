"""The mapping by running both sides of a harness: names play no part in it."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch

from ..harness import Harness
from .decide import decide
from .pieces import Choice, Shape, matrix
from .probe import AGREE, Assumption, Probe, periods, probe
from .proof import EXACT, Proof, agrees, convert, proved
from .sides import Side, build_sides

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
        closest: How far the outputs stayed apart, where no assumption made them agree.
    """

    sides: tuple[Side, Side]
    choices: list[Choice]
    max_diff: float | None
    unproved: list[str] = field(default_factory=list)
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
    sides = build_sides(harness)
    progress(f"The reference has {len(sides[0].tensors)} tensors, the target {len(sides[1].tensors)}")
    kept = list(_fixed(sides))
    target = sides[1]
    target.built = {key: target.tensors[key].clone() for fixed in kept for key in fixed["target"]}
    elements = sum(tensor.numel() for tensor in target.tensors.values())
    seeds = SEEDS if elements < LARGE else SEEDS_OF_LARGE
    closest = math.inf
    for what, assumptions in _assumptions(sides, kept):
        if math.isfinite(closest):
            progress(f"The outputs are {closest:.1e} apart; trying whether {what}")
        for assumed in assumptions:
            found = probe(sides, assumed, seeds)
            closest = min(closest, found.difference)
            if not found.difference < AGREE:
                continue
            progress(
                f"The outputs agree with weights of period {assumed.period}; comparing what each row does to them"
            )
            choices, proof = _settled(found, sides, progress)
            if agrees(proof):
                progress("Comparing the outputs with the weights of the harness")
                unproved = [key for key, error in proof.errors.items() if not error < EXACT]
                return Run(sides, choices, max_diff(choices, sides), unproved, closest)
    return Run(sides, [], None, [], closest)


def _settled(found: Probe, sides: tuple[Side, Side], progress: Progress) -> tuple[list[Choice], Proof]:
    """The choices and their proof."""
    fixed = found.assumed.fixed
    choices, fits = decide(found, sides)
    progress("Proving the choices with random weights")
    proof = proved(choices, fits, sides, fixed)
    for _ in range(REPAIRS):
        if agrees(proof) or not proof.better:
            break
        # Random weights tell apart what periodic ones do not.
        choices = [proof.better.get(choice.target, choice) for choice in choices]
        proof = proved(choices, fits, sides, fixed)
    return choices, proof


def _assumptions(sides: tuple[Side, Side], kept: list[dict[str, set[str]]]) -> Iterator[tuple[str, list[Assumption]]]:
    """What may differ besides the names, the usual first."""
    sizes = periods(sides[1])
    reshaped = frozenset(_reshaped(sides))
    even, level = _outer(sides[1])
    width = sizes[0]
    yield "names differ", [Assumption(size, kept[0], reshaped) for size in sizes]
    for fixed in kept[1:]:
        yield "a stored table is computed", [Assumption(size, fixed, reshaped) for size in sizes]
    for fixed in kept:
        patches = [Assumption(size, fixed, reshaped | even, level) for size in sizes]
        yield "patches are flattened in another order", patches
    for fixed in kept:
        other = [Assumption(size, fixed, reshaped, transposed=width) for size in sizes]
        yield "weights are stored the other way round", other


def _outer(target: Side) -> tuple[frozenset[Shape], frozenset[Shape]]:
    """The layers that read inputs, and those that write outputs: nothing else has as many features."""
    matrices = [matrix(tuple(tensor.shape)) for tensor in target.tensors.values()]
    weights = {shape for shape in matrices if shape[1] > 1}
    written, read = {rows for rows, _ in weights}, {columns for _, columns in weights}
    inputs = frozenset((rows, columns) for rows, columns in weights if columns not in written)
    outputs = {(rows, columns) for rows, columns in weights if rows not in read}
    once = {shape for shape in outputs if matrices.count(shape) == 1}
    return inputs, frozenset(once | {(rows, 1) for rows, _ in once})


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
    return (columns, rows) in others or any(size <= rows or size % rows == 0 for size in sizes)


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


def max_diff(choices: list[Choice], sides: tuple[Side, Side]) -> float:
    """The largest difference of the outputs with the weights that the harness built."""
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
    options = {
        key: [
            other
            for other in by_content[_content(tensor)]
            if torch.equal(load(other).float().reshape(-1), tensor.float().reshape(-1))
        ]
        for key, tensor in side.built.items()
    }
    pairs = {key: found[0] for key, found in options.items() if len(found) == 1}
    modules = {key.rpartition(".")[0]: other.rpartition(".")[0] for key, other in pairs.items()}
    for key, found in options.items():
        # Tensors of the same values, such as norms of ones, go with their modules.
        beside = [other for other in found if other.rpartition(".")[0] == modules.get(key.rpartition(".")[0])]
        if key not in pairs and len(beside) == 1:
            pairs[key] = beside[0]
    return pairs if pairs.keys() == options.keys() and len(set(pairs.values())) == len(pairs) else None


def _content(tensor: torch.Tensor) -> tuple[int, float, float]:
    flat = tensor.float().reshape(-1)
    return flat.numel(), float(flat[0]), float(flat[-1])
