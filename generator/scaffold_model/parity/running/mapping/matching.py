"""The modules of one block of the model, and the modules of the checkpoint that hold their weights."""

from __future__ import annotations

import math
import re
from collections import Counter

from .assign import assign
from .blocks import Unit
from .fusions import Given, Wanted, cover, holders_of, with_joins
from .indices import skeleton
from .names import Meaning, likeness, meaning
from .pair import Pair
from .target import Target

#: Two ways whose scores differ by less are a tie.
MARGIN = 0.5


def match(targets: list[Unit], sources: list[Unit], target: Target) -> list[Pair]:
    """The pairs of one block.

    Args:
        targets: The modules of the model's block.
        sources: Those of the checkpoint's block.
        target: The model.
    """
    meanings = {id(unit): _meaning(unit, target) for unit in targets}
    holders = holders_of([unit.path for unit in sources])
    given = [Given((unit,), unit.sizes, meaning(unit.path), holders[unit.path]) for unit in sources]
    wanted = cover(targets, given, meanings)
    given = with_joins(wanted, given)
    scores = {
        (position, other): likeness(one.meaning, two.meaning) + _order(one, two, wanted, given)
        for position, one in enumerate(wanted)
        for other, two in enumerate(given)
        if one.sizes == two.sizes
    }
    bonus = {pair: 0.4 * _structure(wanted, wanted[pair[0]], given, given[pair[1]]) for pair in scores}
    assigned: dict[int, int] = {}
    for _ in range(3):
        total = {pair: score + bonus[pair] for pair, score in scores.items()}
        assigned = _assigned(wanted, given, total)
        for pair in bonus:
            bonus[pair] = 0.4 * _structure(wanted, wanted[pair[0]], given, given[pair[1]])
        for level in (0, 1):
            together = Counter(
                (wanted[one].groups[level], given[other].groups[level]) for one, other in assigned.items()
            )
            sizes = Counter(one.groups[level] for one in wanted)
            for one, other in bonus:
                group = wanted[one].groups[level]
                known = together[group, given[other].groups[level]] - (assigned.get(one) == other)
                bonus[one, other] += 0.4 * known / max(1, sizes[group] - 1)
    close = _close(assigned, scores)
    return [_pair(one, other, wanted, given, assigned, scores, close) for one, other in assigned.items()]


def _meaning(unit: Unit, target: Target) -> Meaning:
    key = unit.keys[0][1]
    kind, parent = target.kinds[key], target.parents[key]
    if unit.keys[0][0] == "":
        return meaning(unit.path, "", "")
    return meaning(unit.path, kind, parent)


def _assigned(wanted: list[Wanted], given: list[Given], total: dict[tuple[int, int], float]) -> dict[int, int]:
    """The best assignment of every size on its own, since only modules of the same size correspond."""
    found: dict[int, int] = {}
    for sizes in {one.sizes for one in wanted}:
        ours = [position for position, one in enumerate(wanted) if one.sizes == sizes]
        theirs = [position for position, one in enumerate(given) if one.sizes == sizes]
        if not theirs:
            continue
        # Columns without a source stand for targets that stay without one.
        scores = [[total[one, other] + 10 for other in theirs] + [0.0] * len(ours) for one in ours]
        for one, column in zip(ours, assign(scores), strict=True):
            if 0 <= column < len(theirs):
                found[one] = theirs[column]
    return found


def _structure(wanted: list[Wanted], one: Wanted, given: list[Given], two: Given) -> float:
    """How alike what stands beside them is, by sizes: from 0 to 1."""
    score = 0.0
    for level in (0, 1):
        ours = Counter(other.sizes for other in wanted if other.groups[level] == one.groups[level])
        theirs = Counter(other.sizes for other in given if other.groups[level] == two.groups[level])
        score += (ours & theirs).total() / (ours | theirs).total() / 2
    return score


def _order(one: Wanted, two: Given, wanted: list[Wanted], given: list[Given]) -> float:
    """Whether both are the first, or both the second, of the layers of their size beside each other."""
    theirs = [other.sources[0].path for other in given if (other.groups[0], other.sizes) == (two.groups[0], two.sizes)]
    ours = [other for other in wanted if (other.groups[0], other.sizes) == (one.groups[0], one.sizes)]
    ranks = _ranks(theirs)
    if ranks is not None and len(ours) == len(theirs):
        return 0.3 if ours.index(one) == ranks[two.sources[0].path] else -0.3
    # Or what holds them is numbered, as the parts of a block are.
    text, mine = skeleton(two.sources[0].path)
    numbers = sorted(
        skeleton(other.sources[0].path)[1]
        for other in given
        if other.sizes == two.sizes and skeleton(other.sources[0].path)[0] == text
    )
    role = [other for other in wanted if other.sizes == one.sizes and other.meaning.role == one.meaning.role]
    if len(role) == len(set(numbers)) == len(numbers) > 1:
        return 0.3 if role.index(one) == numbers.index(mine) else -0.3
    return 0.0


def _ranks(paths: list[str]) -> dict[str, int] | None:
    """The places of layers that are numbered, or called in and out; None where the names give no order."""
    found: dict[str, int] = {}
    for path in paths:
        for part in reversed(path.split(".")):
            match = re.fullmatch(r"(.*?)(\d+)", part)
            if (match and not part.startswith("0")) or part == "0":
                found[path] = int(match[2]) if match else 0
                break
            named = {"in", "out"} & set(re.split(r"_", part))
            if len(named) == 1:
                found[path] = int(named == {"out"})
                break
    numbers = sorted(found.values())
    whole = all(any(part.isdecimal() for part in path.split(".")) for path in paths)
    if len(paths) < 2 or len(set(numbers)) < len(paths):
        return None
    if not whole and numbers not in (list(range(len(paths))), list(range(1, len(paths) + 1))):
        return None
    return {path: numbers.index(number) for path, number in found.items()}


def _rivals(one: int, assigned: dict[int, int], scores: dict[tuple[int, int], float]) -> list[tuple[float, int]]:
    """Other sources of a target, with how much worse the whole gets if it took that one, the nearest first."""
    other = assigned[one]
    holder = {source: position for position, source in assigned.items()}
    rivals: list[tuple[float, int]] = []
    for (position, candidate), score in scores.items():
        if position != one or candidate == other:
            continue
        loss = scores[one, other] - score
        if candidate in holder:
            back = scores.get((holder[candidate], other))
            if back is None:
                continue
            loss += scores[holder[candidate], candidate] - back
        else:
            loss *= 2
        rivals.append((loss, candidate))
    return sorted(rivals)


def _close(assigned: dict[int, int], scores: dict[tuple[int, int], float]) -> dict[int, set[int]]:
    """By source, those that it is a tie with, and those that they are a tie with."""
    together: dict[int, set[int]] = {source: {source} for source in assigned.values()}
    for one in assigned:
        for loss, candidate in _rivals(one, assigned, scores):
            if loss < MARGIN:
                merged = together.get(assigned[one], set()) | together.get(candidate, {candidate})
                together.update(dict.fromkeys(merged, merged))
    return together


def _pair(
    one: int,
    other: int,
    wanted: list[Wanted],
    given: list[Given],
    assigned: dict[int, int],
    scores: dict[tuple[int, int], float],
    close: dict[int, set[int]],
) -> Pair:
    """The pair with its confidence: how much worse the next best way is."""
    rivals = _rivals(one, assigned, scores)
    same = sorted(close[other] - {other}, key=lambda candidate: -scores.get((one, candidate), -math.inf))
    if not rivals:
        confidence, why = 0.95 if scores[one, other] > -0.5 else 0.8, "the only one of its size"
    else:
        margin = rivals[0][0]
        confidence, why = min(0.97, 0.5 + margin / 4), f"names and structure ({margin:.1f} ahead of the next)"
    mine = wanted[one]
    fused = len(mine.targets) > 1
    named = given[other].meaning.role in ("qkv", "kv") and mine.meaning.role == given[other].meaning.role
    return Pair(
        mine.targets,
        given[other].sources,
        min(confidence, 0.5) if same else confidence,
        f"{why}; cut out of a fused layer" if fused else why,
        [given[candidate].sources for candidate in same],
        fused and not named,
    )
