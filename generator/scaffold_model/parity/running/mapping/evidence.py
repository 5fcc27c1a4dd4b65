"""The mapping by names, shapes and structure alone: what they do not decide is a tie, and never a silent guess."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from itertools import combinations

from .blocks import Stack, Unit, stacks, units
from .matching import match
from .names import likeness, meaning
from .pair import Pair
from .pieces import Choice, Shape
from .target import Target


def propose(sources: Mapping[str, Shape], target: Target) -> list[Choice]:
    """One choice for each tensor of the target.

    Args:
        sources: The shapes of the checkpoint.
        target: The model.
    """
    pairs: list[Pair] = []
    left_targets: list[tuple[str, Unit]] = []
    source_stacks, target_stacks = stacks(sources), stacks(target.shapes)
    left_sources: list[Unit] = []
    for ours, theirs in _paired(target_stacks, source_stacks, sources, target):
        solved: dict[object, list[Pair]] = {}
        for index, keys in ours.blocks.items():
            prefix = ours.prefix.replace("#", str(index))
            wanted = units(keys, target.shapes, prefix)
            given = [
                unit
                for stack in theirs
                for unit in units(
                    stack.blocks.get(index, []),
                    sources,
                    stack.prefix.replace("#", str(index)),
                    "" if stack is theirs[0] else stack.prefix.removesuffix(".#").rpartition(".")[2],
                )
            ]
            content = (
                tuple((unit.path, unit.sizes) for unit in wanted),
                tuple((unit.path, unit.sizes) for unit in given),
            )
            if content in solved:
                found = [pair.moved(wanted, given) for pair in solved[content]]
            else:
                found = match(wanted, given, target)
                solved[content] = found
            pairs += found
            matched = {id(unit) for pair in found for unit in pair.targets}
            left_targets += [(ours.prefix, unit) for unit in wanted if id(unit) not in matched]
            used = {id(unit) for pair in found for unit in pair.sources}
            left_sources += [unit for unit in given if id(unit) not in used]
    pairs += _copies(left_targets, left_sources, target)
    return _choices(pairs, sources, target)


def _paired(
    ours: list[Stack], theirs: list[Stack], sources: Mapping[str, Shape], target: Target
) -> list[tuple[Stack, list[Stack]]]:
    """The stacks of the checkpoint that make up each stack of the model; what is in no block goes together.

    A block keeps its number of elements whatever is cut or joined in it, so that number tells stacks apart without
    names. Some checkpoints keep a part of each block in a stack of its own, so several may make up one.
    """
    outside = next(stack for stack in ours if not stack.prefix)
    rest = [other for other in theirs if not other.prefix]
    result = [(outside, rest)]
    free = [stack for stack in theirs if stack.prefix]
    wanted = sorted((stack for stack in ours if stack.prefix), key=lambda stack: -_elements(stack, target.shapes))
    for stack in wanted:
        same = [other for other in free if other.count() == stack.count()]
        alone = sum(other.count() == stack.count() for other in wanted) == 1
        groups = [list(group) for size in range(1, min(4, len(same)) + 1) for group in combinations(same, size)]
        if not same:
            # Nothing has as many blocks, so they have to be looked for one by one.
            outside.blocks[0] = [*outside.blocks[0], *(key for keys in stack.blocks.values() for key in keys)]
            continue
        goal = _elements(stack, target.shapes)

        def fit(group: list[Stack], stack: Stack = stack, goal: int = goal) -> float:
            total = sum(_elements(other, sources) for other in group)
            names = max(likeness(meaning(stack.prefix), meaning(other.prefix)) for other in group)
            return -abs(total - goal) / goal - 0.02 * len(group) + 0.03 * names + 0.05 * _kind(stack, group)

        chosen = same if alone else max(groups, key=fit)
        chosen = sorted(chosen, key=lambda other: -_elements(other, sources))
        result.append((stack, chosen))
        free = [other for other in free if other not in chosen]
    # What no stack takes may still hold what the model has outside of blocks.
    rest.extend(Stack("", {0: [key for keys in stack.blocks.values() for key in keys]}) for stack in free)
    return result


def _elements(stack: Stack, shapes: Mapping[str, Shape]) -> int:
    import math

    return sum(math.prod(shapes[key]) for keys in stack.blocks.values() for key in keys)


def _kind(stack: Stack, group: list[Stack]) -> float:
    """Whether names say that both are stacks of joint, of single or of refining blocks."""
    from .names import _MEANINGS, words

    def kinds(prefix: str) -> set[str]:
        return {one for word in words(prefix) for one in _MEANINGS.get(word, ())} & {"joint", "single", "refiner"}

    ours = kinds(stack.prefix)
    theirs = set().union(*(kinds(other.prefix) for other in group))
    return 1.0 if ours & theirs else -1.0 if ours and theirs else 0.0


def _copies(left: list[tuple[str, Unit]], sources: list[Unit], target: Target) -> list[Pair]:
    """What every block of the model has and the checkpoint has once."""
    found: list[Pair] = []
    groups: dict[tuple[str, str], list[Unit]] = defaultdict(list)
    for prefix, unit in left:
        if prefix:
            groups[prefix, unit.path].append(unit)
    for (_, path), members in groups.items():
        options = [unit for unit in sources if unit.sizes == members[0].sizes]
        if not options:
            continue
        ours = meaning(path, target.kinds[members[0].keys[0][1]])
        ranked = sorted(options, key=lambda unit: -likeness(ours, meaning(unit.path)))
        others: list[tuple[Unit, ...]] = [(other,) for other in ranked[1:]]
        found += [
            Pair((unit,), (ranked[0],), 0.5, "the only layer of this size that is left", others) for unit in members
        ]
    return found


def _choices(pairs: Iterable[Pair], sources: Mapping[str, Shape], target: Target) -> list[Choice]:
    found: dict[str, Choice] = {}
    for pair in pairs:
        for choice in pair.choices(sources, target):
            found[choice.target] = choice
    return [found.get(key, Choice(key, shape, (), (), 0.0, "nothing fits")) for key, shape in target.shapes.items()]
