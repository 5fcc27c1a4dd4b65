"""Where the numbers part first, and why."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch

from .aligned import AGREES, compare, measure
from .causes import Fit, blocks, try_all
from .causes.base import Context, Edit, Place
from .leaves import Observation, Pairing
from .replay import Stage
from .trace import Trace, Visit, tensors_in


@dataclass
class Divergence:
    """The first module that disagrees.

    Attributes:
        target_module: Its name; "" is the model's own forward.
        reference_module: What stands for it in the reference, or None where nothing does.
        max_diff: How far it is off.
        causes: What was tried, best first.
    """

    target_module: str
    reference_module: str | None
    max_diff: float
    causes: list[Fit] = field(default_factory=list)


def first_place(
    observations: list[Observation],
    expected: tuple[torch.Tensor, ...],
    actual: tuple[torch.Tensor, ...],
    tolerance: float,
) -> Place:
    """The first use that differs by more than rounding and what rounding had grown to before; else the output that differs."""
    largest = 0.0
    for each in observations:
        if each.compared.relative > max(AGREES, 8 * largest):
            given = each.event.given if each.side == "out" else each.event.taken
            return Place(each, each.expected, given)
        largest = max(largest, each.compared.relative)
    index = max(range(len(expected)), key=lambda at: measure(expected[at], actual[at])[0])
    for at, (one, other) in enumerate(zip(expected, actual, strict=True)):
        if measure(one, other)[0] >= tolerance:
            index = at
            break
    return Place(None, expected[index], actual[index], index)


def diverge(
    target: Trace,
    reference: Trace,
    pairing: Pairing,
    observations: list[Observation],
    outputs: tuple[tuple[torch.Tensor, ...], tuple[torch.Tensor, ...]],
    run: Callable[[], tuple[torch.Tensor, ...]],
    inputs: dict[str, Any],
    unknown: dict[str, torch.Tensor],
    tolerance: float,
    seconds: float,
    progress: Callable[[str], None],
) -> Divergence:
    """Where and why the target parts from the reference.

    Args:
        target, reference: The recorded runs.
        pairing: Which modules have their weights from where.
        observations: Every compared use of a module with weights.
        outputs: Those of the reference and of the target.
        run: Runs the whole target again.
        inputs: The harness's inputs.
        unknown: Converted weights that the target has no place for.
        tolerance: What outputs may differ by.
        seconds: How long causes may be tried.
        progress: Is told what goes on.
    """
    expected, actual = outputs
    place = first_place(observations, expected, actual, tolerance)
    until = place.seen.at if place.seen else target.count
    context = Context(
        target, reference, pairing, observations, place, agreeing_blocks(target, reference, pairing, until)
    )
    context.inputs, context.outputs, context.unknown = inputs, list(actual), unknown
    context.ends = target.count
    context.until = until
    stage_visit = _stage(context)
    context.around = [
        visit
        for visit in reversed(target.visits)
        if visit.start <= context.until <= visit.end and visit.args is not None
    ]
    context.around = [visit for visit in context.around if _holds(visit, context)]
    context.stage_owner = stage_visit.path if stage_visit else ""
    stage = Stage(target.model, run, stage_visit, target.visits)
    where = f"{place.seen.side}put of {place.seen.event.path}" if place.seen else f"output {place.output}"
    progress(f"The first difference is in the {where}; trying causes")
    fits = try_all(context, stage, seconds, progress)
    pool = Pool(reference)
    agreeing = [fit for fit in fits if fit.relative <= max(AGREES, 0.02 * _size(context))]
    if agreeing:
        best = _given_right(context, pool, agreeing)
        fits = [best, *(fit for fit in fits if fit is not best)]
        guilty = _owner(context, pool, best)
    elif homeless := blocks.homeless(context):
        # A block of another kind than its neighbours can not be built here, but that it is not there is certain.
        guilty, names = homeless
        words = f"a module for {', '.join(names)}, for which there are weights; it could not be tried"
        fits = [Fit(Edit("layer-count", words, guilty), math.inf, math.inf), *fits]
    else:
        guilty = _by_flow(context, pool)
    largest = place.seen.compared.max_diff if place.seen else measure(place.expected, place.actual)[0]
    return Divergence(guilty, _counterpart(pairing, guilty), largest, fits)


def agreeing_blocks(target: Trace, reference: Trace, pairing: Pairing, until: int) -> set[tuple[int, int]]:
    """What made the outputs of modules that, whole, give what their counterparts give."""
    theirs: dict[str, list[Visit]] = {}
    for visit in reference.visits:
        theirs.setdefault(visit.path, []).append(visit)
    found: set[tuple[int, int]] = set()
    for visit in target.visits:
        counterpart = pairing.counterpart(visit.path) if visit.path and visit.end <= until else None
        if (
            not counterpart
            or len(theirs.get(counterpart, ())) <= visit.number
            or (visit.path in pairing.keys and not _nested(target, visit))
        ):
            continue
        made = [each for each in tensors_in(theirs[counterpart][visit.number].output) if each.is_floating_point()]
        given = [each for each in tensors_in(visit.output) if each.is_floating_point()]
        for one in given:
            fits = (
                compare(other, one)
                for other in made
                if other.shape[-1:] == one.shape[-1:] and other.numel() >= one.numel()
            )
            if any(fit is not None and fit.agrees and fit.how != "rolled" for fit in fits):
                origin = target.origin(one)
                if isinstance(origin, tuple):
                    found.add(origin)
    return found


def _nested(target: Trace, visit: Visit) -> bool:
    return any(True for _ in target.model.get_submodule(visit.path).children())


def _size(context: Context) -> float:
    seen = context.place.seen
    return seen.compared.relative if seen else measure(context.place.expected, context.place.actual)[1]


def _holds(visit: Visit, context: Context) -> bool:
    event = context.event
    return event is None or visit.path != event.path


def _stage(context: Context) -> Visit | None:
    """The smallest forward that holds everything that may be wrong and where it shows."""
    first = min((call.index for call in context.suspects), default=context.until)
    if context.place.seen is None:
        return None
    event = context.place.seen.event
    last = event.end
    best: Visit | None = None
    for visit in context.target.visits:
        if visit.path and visit.path != event.path and visit.start <= first and visit.end >= last:
            if not list(tensors_in((visit.args, visit.kwargs))):
                continue
            if best is None or visit.start >= best.start:
                best = visit
    return best


def _counterpart(pairing: Pairing, path: str) -> str | None:
    if not path:
        return ""
    found = pairing.counterpart(path)
    while found is None and path:
        path = path.rpartition(".")[0]
        found = pairing.counterpart(path) if path else None
    return found


class Pool:
    """Every tensor that the reference has had, in whatever order its elements are."""

    def __init__(self, trace: Trace) -> None:
        self.tensors: dict[int, list[torch.Tensor]] = {}
        #: Computed when something of that size is asked for; most never is.
        self.known: dict[int, list[tuple[float, float, float]]] = {}
        self.ordered: dict[int, list[tuple[float, float]]] = {}
        for call in trace.calls.values():
            for value in call.results:
                if value is not None:
                    self._add(value)
        for visit in trace.visits:
            for value in tensors_in((visit.args, visit.kwargs, visit.output)):
                self._add(value)

    def _add(self, value: torch.Tensor) -> None:
        if value.is_complex():
            self._add(value.real)
            self._add(value.imag)
        elif value.is_floating_point() and value.numel() > 1:
            self.tensors.setdefault(value.numel(), []).append(value)
            if value.ndim > 2 and value.shape[0] > 1 and value.numel() < 1 << 16 and bool((value == value[:1]).all()):
                # What is the same for every sample of a batch may stand there once.
                self._add(value[0])

    def in_order(self, value: torch.Tensor) -> bool:
        """Whether the reference has had a tensor with the same elements in the same order."""
        if not value.is_floating_point() or value.numel() <= 1:
            return True
        one, size = _weighted(value), value.numel()
        if size not in self.ordered:
            self.ordered[size] = [_weighted(each) for each in self.tensors.get(size, ())]
        return any(
            abs(one[0] - other[0]) <= 2e-5 * max(other[1], 1e-9) for other in self.ordered.get(value.numel(), ())
        )

    def __contains__(self, value: torch.Tensor) -> bool:
        if not value.is_floating_point() or value.numel() <= 1:
            return True
        one, size_ = _moments(value), value.numel()
        if size_ not in self.known:
            self.known[size_] = [_moments(each) for each in self.tensors.get(size_, ())]
        for other in self.known.get(value.numel(), ()):
            size = max(abs(other[1]), 1e-12)
            if all(abs(a - b) <= 2e-5 * max(abs(b), size**0.5 * 0.1) for a, b in zip(one, other, strict=True)):
                return True
        return False


def _weighted(value: torch.Tensor) -> tuple[float, float]:
    """A sum in which every place counts differently, and its size."""
    flat = value.double().reshape(-1)
    return float(flat @ _places(flat.numel())), float(flat.norm())


@functools.lru_cache(4)
def _places(count: int) -> torch.Tensor:
    return torch.cos(torch.arange(count, dtype=torch.float64) * 1.7)


def _moments(value: torch.Tensor) -> tuple[float, float, float]:
    value = value.double()
    return (
        float(value.abs().sum()),
        float(value.square().sum()),
        float((value * value.abs()).sum() + value.pow(3).sum()),
    )


def _given_right(context: Context, pool: Pool, fits: list[Fit]) -> Fit:
    """Of the simplest changes the one in a module that was given what the reference has, too."""
    best = fits[0]
    if not best.edit.tag.startswith("rope-"):
        return best
    alike = [
        fit
        for fit in fits
        if (fit.remaining, fit.edit.rank, fit.edit.tag) == (best.remaining, best.edit.rank, best.edit.tag)
    ]
    for fit in alike:
        index = max(fit.edit.patches, default=-1)
        visits = [
            visit
            for visit in context.target.visits
            if visit.path == fit.edit.owner and visit.start <= index <= visit.end
        ]
        taken = list(tensors_in((visits[-1].args, visits[-1].kwargs))) if visits and fit.edit.owner else []
        if all(pool.in_order(each) for each in taken):
            return fit
    return best


def _owner(context: Context, pool: Pool, fit: Fit) -> str:
    """The module whose own forward a change is in; the one around it, where all that it gives is known to the reference."""
    owner = fit.edit.owner
    if not fit.edit.patches or fit.edit.hooks:
        return owner
    index = max(fit.edit.patches)
    call = context.target.calls.get(index)
    if call is None or len(call.shapes) < 2:
        # Only of several results the wrong one may have been taken outside.
        return owner
    visits = [visit for visit in context.target.visits if visit.path == owner and visit.start <= index <= visit.end]
    if owner and visits:
        visit: Visit | None = visits[-1]
        while visit is not None and visit.path and visit.end <= context.until:
            given = [each for each in tensors_in(visit.output) if each.is_floating_point()]
            if not given or not all(pool.in_order(each) for each in given):
                break
            visit = visit.parent
        return visit.path if visit is not None else ""
    return owner


def _by_flow(context: Context, pool: Pool) -> str:
    """Without a cause: the first module that gives something which the reference never has."""
    seen = context.place.seen
    if seen is not None and seen.side == "out":
        before = [each for each in context.observations if each.event is seen.event and each.side == "in"]
        if not before or before[0].compared.agrees:
            return seen.event.path
    owners = {call.owner for call in context.suspects if call.index not in context.cleared}
    ended = [
        visit for visit in context.target.visits if visit.path and visit.path in owners and visit.end <= context.until
    ]
    for visit in sorted(ended, key=lambda each: each.end):
        inside = any(call.owner == visit.path and visit.start <= call.index < visit.end for call in context.suspects)
        given = [each for each in tensors_in(visit.output) if each.is_floating_point()]
        taken = [each for each in tensors_in((visit.args, visit.kwargs)) if each.is_floating_point()]
        if inside and given and not all(each in pool for each in given) and all(each in pool for each in taken):
            return visit.path
    if seen is not None:
        return seen.event.owner or ""
    return ""
