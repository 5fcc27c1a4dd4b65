"""From what the gradients allow to one choice for each target parameter."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from dataclasses import replace

import torch

from .evidence import propose
from .indices import skeleton, transferred
from .names import likeness, meaning
from .orders import reordered as reordered_as
from .pieces import Choice, Piece, Pieces, Shape, matrix
from .probe import TRANSPOSED, Probe
from .settle import SAME, fitting
from .sides import Side
from .target import described_tensors

Fits = dict[str, list[Pieces]]
Decided = dict[str, tuple[Pieces, str, float]]


def decide(probe: Probe, sides: tuple[Side, Side]) -> tuple[list[Choice], Fits]:
    """One choice for each tensor of the target, without the proof.

    Returns:
        The choices, in the order of the target; those without pieces have no counterpart. And what the gradients allow
        for each.
    """
    reference, target = sides
    shapes = {key: tuple(one.shape) for key, one in reference.tensors.items()}
    shapes.update(
        {
            key: shapes[key.removesuffix(TRANSPOSED)][::-1]
            for key in probe.sums["reference"]
            if key.endswith(TRANSPOSED)
        }
    )
    columns = {
        "reference": {key: matrix(shape)[1] for key, shape in shapes.items()},
        "target": {key: matrix(tuple(one.shape))[1] for key, one in target.tensors.items()},
    }
    fits = fitting(probe.sums["target"], probe.sums["reference"], columns, probe.assumed.period)
    _copies(fits, probe, columns)
    reordered = _reordered(fits, probe, sides)
    decided: Decided = {}
    contested = _contested(fits, probe)
    for key, ways in fits.items():
        if len(ways) == 1 and key not in contested:
            decided[key] = (ways[0], "its gradients are those of these rows, and of no others", 1.0)
    decided.update({key: (choice.pieces, choice.evidence, 1.0) for key, choice in reordered.items()})
    _follow(decided, fits, target, shapes)
    fits = {key: [way for way in ways if way] for key, ways in fits.items()}
    while _most_alike(decided, fits):
        _follow(decided, fits, target, shapes)
    _rows_left(decided, fits, target, shapes)
    _follow(decided, fits, target, shapes)
    _hidden(decided, fits, target, shapes)
    choices = []
    for key, one in target.tensors.items():
        pieces, evidence, confidence = decided.get(key, ((), "nothing of the reference has its gradients", 0.0))
        if key in reordered:
            choices.append(reordered[key])
            continue
        ties = [way for way in fits[key] if way != pieces] if confidence <= 0.5 and pieces else []
        choice = Choice(key, tuple(one.shape), pieces, (), confidence, evidence, ties)
        choices.append(_the_right_way_round(choice, shapes))
    return choices, fits


def _follow(decided: Decided, fits: Fits, target: Side, shapes: dict[str, Shape]) -> None:
    """What follows from what is decided, as long as anything does."""
    known = -1
    while known < len(decided):
        known = len(decided)
        _by_sibling(decided, fits, target, shapes)
        _by_other_blocks(decided, fits, target, shapes)


def _contested(fits: Fits, probe: Probe) -> set[str]:
    """Targets that claim the same rows, although one of them alone has all that these rows do.

    So it is with two biases that are added: both have the gradients of either.
    """
    claims: dict[Pieces, list[str]] = defaultdict(list)
    for key, ways in fits.items():
        if len(ways) == 1:
            claims[ways[0]].append(key)
    found: set[str] = set()
    for pieces, keys in claims.items():
        total = torch.stack([probe.sums["target"][key] for key in keys]).sum(dim=0)
        rows = torch.cat([probe.sums["reference"][one.source][one.start : one.stop] for one in pieces])
        if len(keys) > 1 and float((total - rows).norm()) > SAME * float(rows.norm()):
            found.update(keys)
    for key in found:
        # What stands beside them decides, and it may name another source, whose gradient is a sum.
        fits[key] = [*fits[key], ()]
    return found


def _the_right_way_round(choice: Choice, shapes: dict[str, Shape]) -> Choice:
    """A source that is seen the other way round is transposed."""
    if not any(piece.source.endswith(TRANSPOSED) for piece in choice.pieces):
        return choice
    source = choice.pieces[0].source.removesuffix(TRANSPOSED)
    whole = Piece(source, 0, matrix(shapes[source])[0])
    return replace(choice, pieces=(whole,), permute=(1, 0), ties=[])


def _reordered(fits: Fits, probe: Probe, sides: tuple[Side, Side]) -> dict[str, Choice]:
    """Targets whose rows or columns are those of a source in another order."""
    open_keys = [key for key, ways in fits.items() if not ways and float(probe.sums["target"][key].norm())]
    if not open_keys:
        return {}
    reference, target = sides
    _, given = reference.gradients()
    _, wanted = target.gradients()
    taken = {piece.source for ways in fits.values() if len(ways) == 1 for piece in ways[0]}
    found = {}
    for key in open_keys:
        shape = tuple(target.tensors[key].shape)
        for source, gradient in given.items():
            if source in taken or matrix(tuple(gradient.shape)) != matrix(shape):
                continue
            order = reordered_as(wanted[key].reshape(matrix(shape)), gradient.reshape(matrix(shape)))
            if order is not None:
                pieces = (Piece(source, 0, matrix(shape)[0]),)
                view, axes = order if matrix(shape)[1] > 1 else (order[0][:-1], order[1][:-1])
                why = "its gradients are those of this source in another order"
                found[key] = Choice(key, shape, pieces, axes, 1.0, why, [], view)
                break
    return found


def _copies(fits: Fits, probe: Probe, columns: dict[str, dict[str, int]]) -> None:
    """One source of several targets: its gradient is the sum of theirs."""
    groups: dict[str, list[str]] = defaultdict(list)
    for key, ways in fits.items():
        if not ways and float(probe.sums["target"][key].norm()):
            groups[skeleton(key)[0]].append(key)
    for keys in groups.values():
        if len(keys) > 1:
            total = {keys[0]: torch.stack([probe.sums["target"][key] for key in keys]).sum(dim=0)}
            found = fitting(total, probe.sums["reference"], columns, probe.assumed.period)[keys[0]]
            for key in keys:
                fits[key] = list(found)


def siblings(key: str, keys: list[str]) -> list[str]:
    """The other tensors of the same module."""
    module = key.rpartition(".")[0]
    return [other for other in keys if other != key and other.rpartition(".")[0] == module]


def moved(pieces: Pieces, shapes: dict[str, Shape]) -> list[Pieces]:
    """The same rows of the other tensors of the source modules, such as the bias for the weight."""
    ways: list[list[Piece]] = [[]]
    keys = list(shapes)
    for piece in pieces:
        rows = matrix(shapes[piece.source])[0]
        others = [key for key in siblings(piece.source, keys) if matrix(shapes[key])[0] == rows]
        ways = [[*way, Piece(other, piece.start, piece.stop)] for way in ways for other in others]
    # Weight and bias of one module go together.
    return [tuple(way) for way in ways if len({piece.source.rpartition(".")[2] for piece in way}) == 1]


def _by_sibling(decided: Decided, fits: Fits, target: Side, shapes: dict[str, Shape]) -> None:
    """What a bias is made of, where only the sum of several biases shows, or none of it: what its weight says."""
    keys = list(fits)
    columns = {key: matrix(tuple(target.tensors[key].shape))[1] for key in keys}
    for key in keys:
        if key in decided:
            continue
        for sibling in siblings(key, keys):
            if sibling not in decided:
                continue
            free = not fits[key] or () in fits[key]
            ways = [way for way in moved(decided[sibling][0], shapes) if free or way in fits[key]]
            proposed = [way for way in ways if all(matrix(shapes[one.source])[1] == columns[key] for one in way)]
            if len(proposed) == 1:
                why = "only a sum that it is part of shows" if fits[key] else "it does not show in any output"
                decided[key] = (proposed[0], f"{why}; it goes with {sibling.rpartition('.')[2]} of its module", 0.95)


def _by_other_blocks(decided: Decided, fits: Fits, target: Side, shapes: dict[str, Shape]) -> None:
    """What does not show in one block, as the text stream after the last one that uses it, is as in the others."""
    for key in fits:
        if key in decided:
            continue
        rows, columns = matrix(tuple(target.tensors[key].shape))
        for known in [one for one in decided if skeleton(one)[0] == skeleton(key)[0]]:
            options = [transferred(key, known, piece.source) for piece in decided[known][0]]
            pieces = tuple(
                Piece(names[0], piece.start, piece.stop)
                for names, piece in zip(options, decided[known][0], strict=True)
                if len(names) == 1 and names[0] in shapes and piece.stop <= matrix(shapes[names[0]])[0]
            )
            fitting_columns = all(matrix(shapes[piece.source])[1] == columns for piece in pieces)
            complete = sum(piece.rows for piece in pieces) == rows and len(pieces) == len(options)
            if complete and fitting_columns and (not fits[key] or pieces in fits[key]):
                why = "several would give these gradients" if fits[key] else "it does not show in any output"
                decided[key] = (pieces, f"{why}; as in the other blocks ({known})", 0.9)
                break


def _most_alike(decided: Decided, fits: Fits) -> bool:
    """Decide one target of which several ways give the same numbers: by how the names of the others translate.

    The weights of a query's and a key's norm, say, show only as their product, and either way round computes the same.
    """
    open_keys = [key for key, ways in fits.items() if ways and key not in decided]
    if not open_keys:
        return False
    together: Counter[tuple[str, str]] = Counter()
    ours: Counter[str] = Counter()
    theirs: Counter[str] = Counter()
    for key, (pieces, _, _) in decided.items():
        target_words, source_words = set(key.split(".")), set(pieces[0].source.split("."))
        together.update((one, other) for one in target_words for other in source_words)
        ours.update(target_words)
        theirs.update(source_words)

    def alike(key: str, way: Pieces) -> float:
        known = sum(
            together[one, other] / math.sqrt(ours[one] * theirs[other])
            for one in set(key.split("."))
            for other in set(way[0].source.split("."))
            if together[one, other]
        )
        names = likeness(meaning(key.rpartition(".")[0]), meaning(way[0].source.rpartition(".")[0]))
        return known + names

    taken = {piece for pieces, _, _ in decided.values() for piece in pieces}
    best: tuple[float, str, Pieces] | None = None
    for key in open_keys:
        ways = [way for way in fits[key] if not taken & set(way)] or fits[key]
        scores = sorted(((alike(key, way), way) for way in ways), key=lambda entry: -entry[0])
        lead = scores[0][0] - max((alike(key, way) for way in fits[key] if way != scores[0][1]), default=-math.inf)
        if best is None or lead > best[0]:
            best = (lead, key, scores[0][1])
    assert best is not None
    lead, key, way = best
    told = lead > 1e-3
    why = "they go together by their names" if told else "either way round computes the same"
    decided[key] = (way, f"several sources give the same gradients; {why}", 0.9 if told else 0.5)
    return True


def _rows_left(decided: Decided, fits: Fits, target: Side, shapes: dict[str, Shape]) -> None:
    """What does not show, and is the rest of a source whose other rows do: the query, where key and value are known."""
    used: dict[str, list[Piece]] = defaultdict(list)
    for pieces, _, _ in decided.values():
        for piece in pieces:
            used[piece.source].append(piece)
    gaps: list[Piece] = []
    for source, taken in used.items():
        end = 0
        for piece in [*sorted(taken, key=lambda one: one.start), Piece(source, matrix(shapes[source])[0], 0)]:
            if piece.start > end:
                gaps.append(Piece(source, end, piece.start))
            end = max(end, piece.stop)
    groups: dict[tuple[str, int], list[str]] = defaultdict(list)
    for key in fits:
        columns = matrix(tuple(target.tensors[key].shape))[1]
        if key not in decided and columns > 1:
            groups[key.rsplit(".", 2)[0], columns].append(key)
    for (parent, columns), keys in groups.items():
        beside = {
            piece.source for key, (pieces, _, _) in decided.items() if key.startswith(f"{parent}.") for piece in pieces
        }
        sizes = [matrix(tuple(target.tensors[key].shape))[0] for key in keys]
        for count in (len(keys), 1):
            options = [
                gap
                for gap in gaps
                if gap.source in beside and gap.rows == sum(sizes[:count]) and matrix(shapes[gap.source])[1] == columns
            ]
            if len(options) == 1:
                start = options[0].start
                for key, size in list(zip(keys, sizes, strict=True))[:count]:
                    why = "it does not show in any output with these inputs; the rows left of what stands beside it"
                    decided[key] = ((Piece(options[0].source, start, start + size),), why, 0.9 if count == 1 else 0.8)
                    start += size
                gaps.remove(options[0])
                break


def _hidden(decided: Decided, fits: Fits, target: Side, shapes: dict[str, Shape]) -> None:
    """What does not show in any output, such as a branch that these inputs do not use: by names, shapes and structure."""
    left = {key: tuple(target.tensors[key].shape) for key in fits if key not in decided}
    taken = {piece.source.removesuffix(TRANSPOSED) for pieces, _, _ in decided.values() for piece in pieces}
    taken |= {key for key in shapes if key.endswith(TRANSPOSED)}
    free = {key: shape for key, shape in shapes.items() if key not in taken}
    if not left or not free:
        return
    for choice in propose(free, described_tensors(target.model, left)):
        if choice.pieces:
            confidence = 0.5 if choice.ties else min(choice.confidence, 0.85)
            why = "it does not show in any output with these inputs; by name and shape"
            decided[choice.target] = (choice.pieces, why, confidence)
