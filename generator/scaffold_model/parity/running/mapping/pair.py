"""A pair of modules, and what each tensor of the model is made of by it; with the ties that the kind of layer brings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from .blocks import Unit
from .pieces import Choice, Piece, Pieces, Shape, matrix
from .target import Target


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
