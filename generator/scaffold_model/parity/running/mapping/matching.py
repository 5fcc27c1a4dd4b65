"""The modules of one block of the model, and the modules of the checkpoint that hold their weights."""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from .assign import assign
from .blocks import Sizes, Unit
from .indices import skeleton
from .names import Meaning, likeness, meaning
from .pieces import Choice, Piece, Pieces, Shape, matrix
from .target import Target

#: Two ways whose scores differ by less are a tie.
MARGIN = 0.5
#: Fused layers that a checkpoint may have, by the roles of their parts in the order that the field has.
FUSIONS = (("q", "k", "v", "mlp"), ("q", "k", "v"), ("k", "v"), ("mod", "mod"))


@dataclass
class Pair:
    """Targets and the sources that hold them: one of both, or several of one of them.

    Attributes:
        targets: The modules of the model, in the order in which a fused source holds them.
        sources: The modules of the checkpoint, in the order in which a fused target holds them.
        confidence: Between 0 and 1.
        evidence: Why.
        others: Other sources that may hold them.
        unsure: Whether the order of the parts is not told by names.
    """

    targets: tuple[Unit, ...]
    sources: tuple[Unit, ...]
    confidence: float
    evidence: str
    others: list[tuple[Unit, ...]] = field(default_factory=list)
    unsure: bool = False

    def moved(self, targets: Sequence[Unit], sources: Sequence[Unit]) -> Pair:
        """The same in another block."""
        ours = {unit.path: unit for unit in targets}
        theirs = {unit.path: unit for unit in sources}
        return replace(
            self,
            targets=tuple(ours[unit.path] for unit in self.targets),
            sources=tuple(theirs[unit.path] for unit in self.sources),
            others=[tuple(theirs[unit.path] for unit in other) for other in self.others],
        )

    def choices(self, sources: Mapping[str, Shape], target: Target) -> list[Choice]:
        """What each tensor of the targets is made of."""
        found = []
        for unit in self.targets:
            for position, (leaf, key) in enumerate(unit.keys):
                pieces = self._pieces(self.sources, unit, leaf, position, sources, target)
                ties = [
                    tied
                    for other in self.others
                    if (tied := self._pieces(other, unit, leaf, position, sources, target)) and tied != pieces
                ]
                choice = Choice(key, target.shapes[key], pieces, (), self.confidence, self.evidence, ties)
                found.append(_completed(choice, self.unsure, sources, target))
        return found

    def _pieces(
        self,
        given: tuple[Unit, ...],
        unit: Unit,
        leaf: str,
        position: int,
        sources: Mapping[str, Shape],
        target: Target,
    ) -> Pieces:
        start = 0
        for other in self.targets:
            if other is unit:
                break
            start += matrix(target.shapes[_tensor(other, leaf, position)])[0]
        rows = matrix(target.shapes[_tensor(unit, leaf, position)])[0]
        keys = [
            _tensor(one, leaf, position, matrix(target.shapes[_tensor(unit, leaf, position)])[1], sources)
            for one in given
        ]
        if len(given) > 1:
            return tuple(Piece(key, 0, matrix(sources[key])[0]) for key in keys)
        return (Piece(keys[0], start, start + rows),)


def _tensor(
    unit: Unit, leaf: str, position: int, columns: int | None = None, shapes: Mapping[str, Shape] | None = None
) -> str:
    """The tensor of a module that corresponds: of the same last word, else of as many columns, else at the same place."""
    named = dict(unit.keys)
    if leaf in named:
        return named[leaf]
    if shapes is not None:
        same = [key for _, key in unit.keys if matrix(shapes[key])[1] == columns]
        if len(same) == 1:
            return same[0]
    return unit.keys[min(position, len(unit.keys) - 1)][1]


def _completed(choice: Choice, unsure: bool, sources: Mapping[str, Shape], target: Target) -> Choice:
    """With the ties that the kind of layer brings: halves that may be swapped, parts in another order."""
    first = choice.pieces[0]
    rows = matrix(sources[first.source])[0]
    whole = len(choice.pieces) == 1 and (first.start, first.stop) == (0, rows)
    half = rows // 2
    parent, kind = target.parents[choice.target], target.kinds[choice.target]
    if whole and rows % 2 == 0 and parent == "AdaLayerNormContinuous":
        swapped: Pieces = (Piece(first.source, half, rows), Piece(first.source, 0, half))
        if first.source == choice.target:
            return replace(choice, ties=[swapped, *choice.ties], confidence=min(choice.confidence, 0.7))
        return replace(
            choice,
            pieces=swapped,
            ties=[choice.pieces, *(_swapped(tie) for tie in choice.ties)],
            confidence=min(choice.confidence, 0.7),
            evidence=f"{choice.evidence}; references predict [shift, scale], {parent} expects [scale, shift]",
        )
    if whole and rows % 2 == 0 and parent in ("GEGLU", "SwiGLU") and kind == "Linear":
        # References mostly split a SwiGLU into gate and value, and a GEGLU into value and gate, as diffusers does both.
        turned: Pieces = (Piece(first.source, half, rows), Piece(first.source, 0, half))
        one, other = (turned, choice.pieces) if parent == "SwiGLU" else (choice.pieces, turned)
        if first.source == choice.target:
            one, other = choice.pieces, turned
        return replace(choice, pieces=one, ties=[other, *choice.ties], confidence=min(choice.confidence, 0.6))
    if len(choice.pieces) > 1:
        return replace(choice, ties=[tuple(reversed(choice.pieces)), *choice.ties], confidence=0.6)
    if unsure and not whole:
        others: list[Pieces] = [
            (Piece(first.source, start, start + first.rows),)
            for start in range(0, rows - first.rows + 1, first.rows)
            if start != first.start
        ]
        if first.rows * 2 == rows and rows % 4 == 0 and "Norm" in target.parents[choice.target]:
            # Two modulations in one: those of the first stream for both, then those of the second stream for both.
            quarter = rows // 4
            step = (0, 2) if first.start == 0 else (1, 3)
            taken = tuple(Piece(first.source, one * quarter, (one + 1) * quarter) for one in step)
            others = [choice.pieces, *others]
            choice = replace(choice, pieces=taken)
        return replace(choice, ties=[*others, *choice.ties], confidence=min(choice.confidence, 0.6))
    return choice


def _swapped(pieces: Pieces) -> Pieces:
    piece = pieces[0]
    half = (piece.stop - piece.start) // 2
    return (Piece(piece.source, half, piece.stop), Piece(piece.source, 0, half)) if len(pieces) == 1 else pieces


@dataclass(frozen=True)
class _Wanted:
    """One or several modules of the model that one source, or several, hold."""

    targets: tuple[Unit, ...]
    sizes: Sizes
    meaning: Meaning
    groups: tuple[str, str]


@dataclass(frozen=True)
class _Given:
    """One or several modules of the checkpoint that together have the size of one of the model."""

    sources: tuple[Unit, ...]
    sizes: Sizes
    meaning: Meaning
    groups: tuple[str, str]


def match(
    targets: list[Unit], sources: list[Unit], target: Target, shapes: Mapping[str, Shape], outside: bool
) -> list[Pair]:
    """The pairs of one block.

    Args:
        targets: The modules of the model's block.
        sources: Those of the checkpoint's block.
        target: The model.
        shapes: The shapes of the checkpoint.
        outside: Whether this is what stands in no block.
    """
    meanings = {id(unit): _meaning(unit, target) for unit in targets}
    holders = _holders([unit.path for unit in sources])
    given = [_Given((unit,), unit.sizes, meaning(unit.path), holders[unit.path]) for unit in sources]
    wanted = _cover(targets, given, meanings)
    given = _with_joins(wanted, given)
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


def _holders(paths: Sequence[str]) -> dict[str, tuple[str, str]]:
    """By path, the nearest thing around it that holds several modules, and the outermost one."""
    inside = Counter(ancestor for path in paths for ancestor in _ancestors(path))
    found = {}
    for path in paths:
        several = [ancestor for ancestor in _ancestors(path) if inside[ancestor] > 1]
        found[path] = (several[0], several[-1]) if several else ("", "")
    return found


def _ancestors(path: str) -> list[str]:
    parts = path.split(".")
    return [".".join(parts[:count]) for count in range(len(parts) - 1, 0, -1)]


def _cover(targets: list[Unit], given: list[_Given], meanings: dict[int, Meaning]) -> list[_Wanted]:
    """The modules of the model, those together that the checkpoint has fused.

    Which of them are fused is seen by counting: a size that the model has more often than the checkpoint must come from
    somewhere else.
    """
    available = Counter(one.sizes for one in given)
    holders = _holders([unit.path for unit in targets])
    options: list[list[tuple[Unit, ...]]] = []
    bundles = _bundles(targets, meanings)
    for bundle in bundles:
        found: list[tuple[Unit, ...]] = [()]
        for roles in FUSIONS:
            for parts in _parts(roles, bundle, targets, meanings):
                sizes = _fused(parts)
                if sizes is not None and available[sizes]:
                    found.append(parts)
        options.append(found)
    if math.prod(len(found) for found in options) > 5000:
        options = [found[:2] for found in options]
    best: tuple[float, list[_Wanted]] | None = None
    for combination in itertools.product(*options):
        fused = [parts for parts in combination if parts]
        inside = [id(unit) for parts in fused for unit in parts]
        if len(set(inside)) < len(inside):
            continue
        wanted = [_wanted((unit,), meanings, holders) for unit in targets if id(unit) not in set(inside)]
        wanted += [_wanted(parts, meanings, holders) for parts in fused]
        score = _coverage(wanted, available)
        if best is None or score > best[0]:
            best = (score, wanted)
    assert best is not None
    return best[1]


def _wanted(parts: tuple[Unit, ...], meanings: dict[int, Meaning], holders: dict[str, tuple[str, str]]) -> _Wanted:
    first = meanings[id(parts[0])]
    sizes = _fused(parts)
    assert sizes is not None
    if len(parts) > 1:
        roles = [meanings[id(unit)].role for unit in parts]
        role = {("q", "k", "v"): "qkv", ("k", "v"): "kv"}.get(tuple(roles), "")
        words = frozenset(word for unit in parts for word in meanings[id(unit)].words)
        first = replace(first, role=role, words=words)
    stream = first.stream if first.stream in ("added", "text") else ""
    near, outer = holders[parts[0].path]
    # Layers of the second stream of an attention stand beside those of the first, but go together.
    return _Wanted(parts, sizes, first, (f"{near}/{stream}", f"{outer}/{stream}"))


def _coverage(wanted: list[_Wanted], available: Counter[Sizes]) -> float:
    """How much of both sides finds its size, in elements."""
    needed = Counter(one.sizes for one in wanted)
    found = 0.0
    for sizes, count in needed.items():
        elements = sum(rows * columns for rows, columns in sizes)
        found += min(count, available[sizes]) * elements - 0.5 * max(0, count - available[sizes]) * elements
        found -= 0.1 * max(0, available[sizes] - count) * elements
    for sizes, count in available.items():
        if sizes not in needed:
            found -= 0.5 * count * sum(rows * columns for rows, columns in sizes)
    return found


def _bundles(targets: list[Unit], meanings: dict[int, Meaning]) -> list[dict[str, Unit]]:
    """Query, key and value of each attention and stream."""
    groups: dict[tuple[str, str, str], dict[str, Unit]] = defaultdict(dict)
    for unit in targets:
        one = meanings[id(unit)]
        if one.role in ("q", "k", "v"):
            groups[unit.parent, one.stream, one.attention].setdefault(one.role, unit)
    bundles = [bundle for bundle in groups.values() if len(bundle) > 1]
    modulations = [unit for unit in targets if meanings[id(unit)].role == "mod"]
    if len(modulations) == 2 and modulations[0].sizes == modulations[1].sizes:
        bundles.append({"mod": modulations[0], "other": modulations[1]})
    return bundles


def _parts(
    roles: tuple[str, ...], bundle: dict[str, Unit], targets: list[Unit], meanings: dict[int, Meaning]
) -> list[tuple[Unit, ...]]:
    options: list[list[Unit]] = []
    if roles == ("mod", "mod"):
        return [(bundle["mod"], bundle["other"])] if "other" in bundle else []
    for role in roles:
        if role == "mlp":
            columns = {size[1] for unit in bundle.values() for size in unit.sizes}
            options.append(
                [
                    unit
                    for unit in targets
                    if meanings[id(unit)].role == "mlp" and {size[1] for size in unit.sizes} == columns
                ]
            )
        elif role in bundle:
            options.append([bundle[role]])
        else:
            return []
    return list(itertools.product(*options))


def _fused(parts: Sequence[Unit]) -> Sizes | None:
    """The sizes of one module that holds the rows of all, or None where they do not go together."""
    if len(parts) == 1:
        return parts[0].sizes
    if len({tuple(leaf for leaf, _ in unit.keys) for unit in parts}) > 1:
        return None
    rows: dict[int, int] = defaultdict(int)
    for unit in parts:
        columns = [size[1] for size in unit.sizes]
        if len(set(columns)) < len(columns):
            return None
        for count, column in unit.sizes:
            rows[column] += count
    columns_of = {frozenset(size[1] for size in unit.sizes) for unit in parts}
    return tuple(sorted((count, column) for column, count in rows.items())) if len(columns_of) == 1 else None


def _with_joins(wanted: list[_Wanted], given: list[_Given]) -> list[_Given]:
    """Where the model has a fused layer and the checkpoint its parts, such as gate and value of a feed-forward."""
    have = Counter(one.sizes for one in given)
    result = list(given)
    for sizes, count in Counter(one.sizes for one in wanted).items():
        if have[sizes] >= count:
            continue
        groups: dict[tuple[str, Sizes], list[_Given]] = defaultdict(list)
        for one in given:
            groups[one.groups[0], one.sizes].append(one)
        for members in groups.values():
            for number in (2, 3):
                if len(members) >= number:
                    # Of a gated feed-forward, the second layer is the value and the first the gate.
                    parts = tuple(
                        one.sources[0] for one in sorted(members, key=lambda one: one.sources[0].path)[:number]
                    )
                    parts = parts[::-1] if number == 2 else parts
                    if _fused(parts) == sizes:
                        result.append(_Given(parts, sizes, members[0].meaning, members[0].groups))
    return result


def _assigned(wanted: list[_Wanted], given: list[_Given], total: dict[tuple[int, int], float]) -> dict[int, int]:
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


def _structure(wanted: list[_Wanted], one: _Wanted, given: list[_Given], two: _Given) -> float:
    """How alike what stands beside them is, by sizes: from 0 to 1."""
    score = 0.0
    for level in (0, 1):
        ours = Counter(other.sizes for other in wanted if other.groups[level] == one.groups[level])
        theirs = Counter(other.sizes for other in given if other.groups[level] == two.groups[level])
        score += (ours & theirs).total() / (ours | theirs).total() / 2
    return score


def _order(one: _Wanted, two: _Given, wanted: list[_Wanted], given: list[_Given]) -> float:
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
    wanted: list[_Wanted],
    given: list[_Given],
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
