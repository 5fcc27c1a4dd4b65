"""Why the numbers part: hypotheses, each tried on the target alone, by running the guilty part again with one change.

A hypothesis is a change of one or a few function calls (`base.Edit`): another epsilon, two parts of a modulation
exchanged, a mask inverted. No name of a module is looked at; what a call is for is seen from what it takes and gives.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from ..aligned import AGREES, compare, measure
from ..errors import RunningError
from ..leaves import Observation
from ..replay import Point, Stage
from . import (
    absent,
    activations,
    attention,
    blocks,
    exchanged,
    modulation,
    norms,
    numbers_in,
    patches,
    rope,
    structure,
    weights,
)
from .base import Context, Edit

MAKERS = (
    blocks.edits,
    numbers_in.edits,
    weights.edits,
    exchanged.edits,
    activations.edits,
    absent.edits,
    norms.edits,
    attention.edits,
    attention.masks_inside,
    modulation.edits,
    rope.edits,
    structure.edits,
    patches.edits,
    structure.dropped,
)


#: What a model raises that is given what does not fit, another shape or type, by itself or through the harness, which ran
#: well without the change. Out of memory is none of it.
MISFITS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    RunningError,
    RuntimeError,
    TypeError,
    ValueError,
)


@dataclass
class Fit:
    """A hypothesis that was tried.

    Attributes:
        edit: The change.
        max_diff, relative: How far the target is from the reference with it.
        remaining: How many later uses in the same part still differ with it.
    """

    edit: Edit
    max_diff: float
    relative: float
    remaining: int = 0


def hypotheses(context: Context, progress: Callable[[str], None]) -> Iterator[Edit]:
    """All of them, the simplest first."""
    made: list[Edit] = []
    for maker in MAKERS:
        try:
            made += maker(context)
        except Exception as error:
            # A reference may hold anything. Where one kind of hypotheses can not be made, the others still are, and a
            # line of progress says so.
            if os.environ.get("SCAFFOLD_MODEL_TRACEBACK"):
                raise
            progress(
                f"Hypotheses of {maker.__module__.rpartition('.')[2]} can not be made: {type(error).__name__}: {error}"
            )
    return iter(sorted(made, key=lambda edit: edit.rank))


def try_all(context: Context, stage: Stage, seconds: float, progress: Callable[[str], None]) -> list[Fit]:
    """The hypotheses with which the target agrees, best first, or the nearest ones where none does."""
    found: list[Fit] = []
    near: list[Fit] = []
    ends = time.monotonic() + seconds
    tried, misfits = 0, 0
    last = 0.0
    for edit in hypotheses(context, progress):
        best = min((fit.edit.rank for fit in found), default=99)
        if edit.rank > best + 1 or time.monotonic() > ends:
            break
        tried += 1
        if time.monotonic() - last > 2:
            progress(f"Trying causes: {tried}, now {edit.tag}")
            last = time.monotonic()
        result = attempt(context, stage, edit)
        if result is None:
            misfits += 1
            continue
        largest, relative, before = result
        fit = Fit(edit, largest, relative)
        if relative <= max(AGREES, min(0.02 * before, 1e-3)) and relative < 0.3 * before:
            found.append(fit)
        elif relative < 0.5 * before:
            near.append(fit)
    progress(f"Tried {tried} causes: {misfits} do not fit the model, {len(found)} make it agree")
    if not found:
        return sorted(near, key=lambda fit: fit.relative)[:5]
    for fit in found[:24]:
        fit.remaining = _remaining(context, stage, fit.edit) if len(found) > 1 else 0
    distinct: dict[tuple[str, str], Fit] = {}
    for fit in sorted(found, key=lambda fit: (fit.remaining, fit.edit.rank, _place(fit.edit))):
        distinct.setdefault((fit.edit.tag, fit.edit.owner), fit)
    return list(distinct.values())[:5]


def _place(edit: Edit) -> int:
    """Where to put what is missing: a residual as early as it can be, for its block has it; all else as late as it can be."""
    index = max(edit.patches, default=0)
    return index if edit.tag in ("residual", "branch-missing") else -index


def _before(context: Context) -> float:
    seen = context.place.seen
    if seen is not None:
        return seen.compared.relative
    return measure(context.place.expected, context.place.actual)[1]


def _objective(context: Context, edit: Edit) -> Observation | None:
    seen = context.place.seen
    if seen is None:
        return None
    if edit.skips or edit.hooks or edit.later:
        for each in context.observations:
            if each.at >= seen.at and each.event.path not in edit.skips:
                if edit.later and (each.event is not seen.event or each.side != "out"):
                    continue
                if not edit.later and each.compared.agrees:
                    continue
                return each
        return None if edit.skips or edit.hooks else seen
    return seen


def _stage(stage: Stage, edit: Edit) -> Stage:
    """Blocks are run, or not, by the model around them; so a change of which are run needs all of it."""
    return stage.whole() if edit.hooks else stage


def _seen(stage: Stage, edit: Edit, points: list[Point]) -> dict[int, Any] | None:
    """What the target gives at some points with a change, or None where it can not run so, which refutes the change."""
    try:
        return stage.run(edit.patches, points, hooks=edit.hooks)
    except MISFITS:
        return None


def attempt(context: Context, stage: Stage, edit: Edit) -> tuple[float, float, float] | None:
    """How far the target is from the reference with a change, and was, or None where it can not run so.

    Returns:
        The largest difference and the relative one, and the relative one without the change.
    """
    objective = _objective(context, edit)
    stage = _stage(stage, edit)
    points = [Point(objective.event.path, objective.event.number, objective.side)] if objective else []
    seen = _seen(stage, edit, points)
    if seen is None:
        return None
    if objective is None:
        outputs = seen.get(-1)
        if outputs is None or stage.visit is not None or context.place.output >= len(outputs):
            return None
        actual = outputs[context.place.output]
        if actual.shape != context.place.expected.shape:
            return None
        return *measure(context.place.expected, actual), _before(context)
    actual = seen.get(0)
    if actual is None:
        return None
    measured = _measured(context, objective, actual)
    return (*measured, objective.compared.relative) if measured else None


def _measured(context: Context, objective: Observation, actual: Any) -> tuple[float, float] | None:
    weight = context.pairing.weights[context.pairing.keys[objective.event.path]]
    shaped = context.pairing.laid_out(objective.side, actual, weight)
    if shaped is None or shaped.shape[-1] != objective.wanted.shape[-1]:
        return None
    # In whatever layout fits: which one it is could not be told while the numbers were wrong.
    compared = compare(objective.wanted, shaped)
    return (compared.max_diff, compared.relative) if compared else None


def _remaining(context: Context, stage: Stage, edit: Edit) -> int:
    """How many uses still differ in the part that is run again."""
    stage = _stage(stage, edit)
    ends = stage.visit.end if stage.visit else context.ends
    later = [
        each
        for each in context.observations
        if context.until <= each.at <= ends and not each.compared.agrees and each.event.path not in edit.skips
    ][:12]
    points = [Point(each.event.path, each.event.number, each.side) for each in later]
    seen = _seen(stage, edit, points)
    if seen is None:
        return len(later)
    count = 0
    for index, each in enumerate(later):
        measured = _measured(context, each, seen[index]) if seen.get(index) is not None else None
        count += measured is None or measured[1] > max(AGREES, min(0.02 * each.compared.relative, 1e-3))
    return count
