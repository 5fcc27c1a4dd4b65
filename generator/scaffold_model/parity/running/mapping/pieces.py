"""What a target parameter is made of: rows of source tensors, one after the other, in another shape where need be."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

Shape = tuple[int, ...]


def matrix(shape: Shape) -> tuple[int, int]:
    """Rows and columns of a tensor seen as a matrix: axes of size one do not count, all but the first are columns.

    >>> matrix((1, 6, 60)), matrix((48, 16, 2, 2)), matrix((48,)), matrix(())
    ((6, 60), (48, 64), (48, 1), (1, 1))
    """
    sizes = [size for size in shape if size != 1]
    return (sizes[0], math.prod(sizes[1:])) if sizes else (1, 1)


@dataclass(frozen=True)
class Piece:
    """Rows ``start`` to ``stop`` of a source tensor seen as a matrix."""

    source: str
    start: int
    stop: int

    @property
    def rows(self) -> int:
        return self.stop - self.start


Pieces = tuple[Piece, ...]


@dataclass
class Choice:
    """What one target parameter is made of.

    Attributes:
        target: The key in the target's state dict.
        shape: Its shape.
        pieces: The rows that it consists of, in order; empty where nothing of the source fits.
        permute: The order of the axes of the only source before it is brought into the target's shape; empty for the
            order that they have.
        view: The shape that the source is seen in before its axes are ordered; empty for its own.
        confidence: Between 0 and 1.
        evidence: Why, a sentence.
        ties: Other pieces that the evidence does not rule out.
    """

    target: str
    shape: Shape
    pieces: Pieces
    permute: Shape = ()
    confidence: float = 1.0
    evidence: str = ""
    ties: list[Pieces] = field(default_factory=list)
    view: Shape = ()

    def build(self, load: Callable[[str], Any]) -> Any:
        """The target's tensor, from the source tensors that ``load`` gives by key."""
        import torch

        if self.permute:
            tensor = load(self.pieces[0].source)
            return (tensor.reshape(self.view) if self.view else tensor).permute(self.permute).reshape(self.shape)
        parts = []
        for piece in self.pieces:
            tensor = load(piece.source)
            rows, columns = matrix(tuple(tensor.shape))
            parts.append(tensor.reshape(rows, columns)[piece.start : piece.stop])
        return (parts[0] if len(parts) == 1 else torch.cat(parts)).reshape(self.shape)


def joined(pieces: Sequence[Piece]) -> Pieces:
    """The same rows in as few pieces as possible."""
    found: list[Piece] = []
    for piece in pieces:
        if found and found[-1].source == piece.source and found[-1].stop == piece.start:
            found[-1] = Piece(piece.source, found[-1].start, piece.stop)
        else:
            found.append(piece)
    return tuple(found)
