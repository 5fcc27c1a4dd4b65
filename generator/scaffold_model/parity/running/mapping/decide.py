"""From what the gradients allow to one choice for each target parameter, proved with random weights."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator

import torch

from .indices import skeleton, transferred
from .pieces import Choice, Piece, Pieces, Shape, matrix
from .probe import AGREE, Probe, difference, generic
from .settle import fitting
from .sides import Side

#: Gradients of corresponding elements agree within this share of their length, whatever the order of summation.
EXACT = 1e-2

Fits = dict[str, list[Pieces]]
Decided = dict[str, tuple[Pieces, str, float]]


def decide(probe: Probe, sides: tuple[Side, Side]) -> tuple[list[Choice], Fits]:
    """One choice for each tensor of the target, without the proof.

    Returns:
        The choices, in the order of the target; those without pieces have no counterpart that shows. And what the
        gradients allow for each.
    """
    reference, target = sides
    columns = {side.role: {key: matrix(tuple(one.shape))[1] for key, one in side.tensors.items()} for side in sides}
    fits = fitting(probe.sums["target"], probe.sums["reference"], columns, probe.period)
    _copies(fits, probe, columns)
    decided: Decided = {}
    for key, ways in fits.items():
        if len(ways) == 1:
            decided[key] = (ways[0], "its gradients are those of these rows, and of no others", 1.0)
    shapes = {key: tuple(one.shape) for key, one in reference.tensors.items()}
    _by_sibling(decided, fits, shapes)
    _by_other_blocks(decided, fits, target, shapes)
    _by_sibling(decided, fits, shapes)
    _whatever_fits(decided, fits)
    choices = []
    for key, one in target.tensors.items():
        pieces, evidence, confidence = decided.get(key, ((), "nothing of the reference has its gradients", 0.0))
        choices.append(Choice(key, tuple(one.shape), pieces, (), confidence, evidence))
    return choices, fits


def _copies(fits: Fits, probe: Probe, columns: dict[str, dict[str, int]]) -> None:
    """One source of several targets: its gradient is the sum of theirs."""
    groups: dict[str, list[str]] = defaultdict(list)
    for key, ways in fits.items():
        if not ways and float(probe.sums["target"][key].norm()):
            groups[skeleton(key)[0]].append(key)
    for keys in groups.values():
        if len(keys) > 1:
            total = {keys[0]: torch.stack([probe.sums["target"][key] for key in keys]).sum(dim=0)}
            found = fitting(total, probe.sums["reference"], columns, probe.period)[keys[0]]
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


def _by_sibling(decided: Decided, fits: Fits, shapes: dict[str, Shape]) -> None:
    """What a bias is made of, where only the sum of several biases shows, or none of it: what its weight says."""
    keys = list(fits)
    for key in keys:
        if key in decided:
            continue
        for sibling in siblings(key, keys):
            if sibling not in decided:
                continue
            proposed = [way for way in moved(decided[sibling][0], shapes) if way in fits[key] or not fits[key]]
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


def _whatever_fits(decided: Decided, fits: Fits) -> None:
    """Of several that give the same numbers, the one that no other target takes; the rest stays a tie."""
    for key, ways in fits.items():
        if key in decided or not ways:
            continue
        taken = {piece for pieces, _, _ in decided.values() for piece in pieces}
        free = [way for way in ways if not taken & set(way)]
        chosen = (free or ways)[0]
        decided[key] = (chosen, "several sources give the same gradients", 0.5)


def proved(
    choices: list[Choice], sides: tuple[Side, Side], fixed: dict[str, set[str]]
) -> tuple[float, dict[str, float]]:
    """Give both sides the same random weights, converted by the choices.

    Returns:
        How far the outputs are apart as a share of how much they vary, and by target key how far the gradients of its
        elements are from those of the source elements that it is made of.
    """
    reference, target = sides
    generator = torch.Generator().manual_seed(1)
    for key, tensor in reference.tensors.items():
        if key not in fixed["reference"]:
            reference.assign({key: generic(tuple(tensor.shape), generator)})
    convert(choices, reference.tensors.__getitem__, target)
    ours, expected = reference.gradients()
    theirs, found = target.gradients()
    takers: dict[Pieces, list[str]] = defaultdict(list)
    by_key = {choice.target: choice for choice in choices if choice.pieces}
    for choice in by_key.values():
        takers[choice.pieces].append(choice.target)
    errors = {}
    for keys in takers.values():
        wanted = by_key[keys[0]].build(expected.__getitem__)
        total = sum((found[key].reshape(wanted.shape) for key in keys), torch.zeros_like(wanted))
        scale = float(wanted.norm())
        gap = float((wanted - total).norm())
        errors.update(dict.fromkeys(keys, gap / scale if scale else gap))
    return difference(ours, theirs), errors


def convert(choices: list[Choice], load: Callable[[str], torch.Tensor], target: Side) -> None:
    """Give the target what the choices say; what they leave open keeps its values."""
    with torch.no_grad():
        for choice in choices:
            if choice.pieces:
                target.assign({choice.target: choice.build(load)})


def repaired(
    choices: list[Choice], fits: Fits, sides: tuple[Side, Side], fixed: dict[str, set[str]]
) -> Iterator[list[Choice]]:
    """Other assignments of what the gradients leave open, one exchange at a time."""
    open_keys = [choice for choice in choices if len(fits.get(choice.target, [])) > 1]
    for one in open_keys:
        for other in open_keys:
            if one.target < other.target and one.pieces != other.pieces and one.pieces in fits[other.target]:
                one.pieces, other.pieces = other.pieces, one.pieces
                yield choices
                one.pieces, other.pieces = other.pieces, one.pieces


def agrees(result: tuple[float, dict[str, float]]) -> bool:
    """Whether a proof has succeeded."""
    return result[0] < AGREE
