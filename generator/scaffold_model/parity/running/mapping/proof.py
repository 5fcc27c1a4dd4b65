"""The proof of a mapping: random weights, converted by it, give the same outputs and the same gradients."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

from .pieces import Choice, Pieces, Shape
from .probe import AGREE, TRANSPOSED, difference, generic
from .sides import Side

#: Gradients of corresponding elements agree within this share of their length, whatever the order of summation.
EXACT = 1e-2


@dataclass
class Proof:
    """What random weights show.

    Attributes:
        difference: How far the outputs are apart, as a share of how much they vary.
        errors: By target key, how far the gradients of its elements are from those of the source elements that it is
            made of, as a share of their length.
        better: Other choices, of those that periodic weights allow, whose gradients are nearer.
    """

    difference: float
    errors: dict[str, float]
    better: dict[str, Choice]


def proved(
    choices: list[Choice], fits: dict[str, list[Pieces]], sides: tuple[Side, Side], fixed: dict[str, set[str]]
) -> Proof:
    """Give both sides the same random weights, converted by the choices, and compare outputs and gradients."""
    reference, target = sides
    generator = torch.Generator().manual_seed(1)
    for key, tensor in reference.tensors.items():
        if key not in fixed["reference"]:
            reference.assign({key: generic(tuple(tensor.shape), generator)})
    convert(choices, reference.tensors.__getitem__, target)
    ours, expected = reference.gradients()
    theirs, found = target.gradients()
    takers: dict[tuple[Pieces, Shape], list[str]] = defaultdict(list)
    by_key = {choice.target: choice for choice in choices if choice.pieces}
    for choice in by_key.values():
        takers[choice.pieces, choice.permute].append(choice.target)
    errors, better = {}, {}
    for keys in takers.values():
        wanted = by_key[keys[0]].build(expected.__getitem__)
        total = found[keys[0]].reshape(wanted.shape)
        for key in keys[1:]:
            total = total + found[key].reshape(wanted.shape)
        scale = float(wanted.norm())
        gap = float((wanted - total).norm())
        errors.update(dict.fromkeys(keys, gap / scale if scale else gap))
        if len(keys) > 1 or errors[keys[0]] < EXACT:
            continue
        ways = [way for way in fits.get(keys[0], []) if not any(one.source.endswith(TRANSPOSED) for one in way)]
        others = [replace(by_key[keys[0]], pieces=way) for way in ways]
        nearest = min(
            others, key=lambda one: float((one.build(expected.__getitem__) - total).norm()), default=by_key[keys[0]]
        )
        if nearest.pieces != by_key[keys[0]].pieces:
            better[keys[0]] = nearest
    return Proof(difference(ours, theirs), errors, better)


def convert(choices: list[Choice], load: Callable[[str], torch.Tensor], target: Side) -> None:
    """Give the target what the choices say; what they leave open keeps its values."""
    with torch.no_grad():
        for choice in choices:
            if choice.pieces:
                target.assign({choice.target: choice.build(load)})


def agrees(proof: Proof) -> bool:
    """Whether a proof has succeeded."""
    return proof.difference < AGREE
