"""Runs what the script says on numbered rows, and compares with the choices: the script does what the table says."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import torch

from ..errors import RunningError
from .pieces import Choice, Shape, matrix
from .script import ScriptParts
from .target import Target


class _Numbered(Mapping[str, torch.Tensor]):
    """A tensor for each source key whose rows hold numbers of their own.

    Args:
        sources: The shapes.
        narrow: The keys of sources that are only cut into rows; their rows have one element, whatever their shape says.
    """

    def __init__(self, sources: Mapping[str, Shape], narrow: set[str]) -> None:
        self.sources, self.narrow = sources, narrow
        self.first: dict[str, int] = {}
        count = 0
        for key, shape in sources.items():
            self.first[key] = count
            count += matrix(shape)[0]

    def __getitem__(self, key: str) -> torch.Tensor:
        shape = self.sources[key]
        rows, columns = matrix(shape)
        numbers = torch.arange(self.first[key], self.first[key] + rows, dtype=torch.int32)
        if key in self.narrow:
            return numbers.reshape(narrowed(shape))
        return numbers[:, None].expand(rows, columns).reshape(shape)

    def __iter__(self) -> Iterator[str]:
        return iter(self.sources)

    def __len__(self) -> int:
        return len(self.sources)


def narrowed(shape: Shape) -> Shape:
    """The shape with one element in each row."""
    return (shape[0], *(1 for _ in shape[1:]))


def _narrow(choices: list[Choice], sources: Mapping[str, Shape]) -> set[str]:
    """Sources of which every target takes whole rows, so that what is in a row does not matter; they may be large."""
    found = {key for key, shape in sources.items() if len(shape) > 1 and shape[0] > 1}
    for choice in choices:
        taken = {piece.source for piece in choice.pieces}
        plain = not choice.permute and choice.shape[:1] != (1,)
        if not plain or any(sources[key][1:] != choice.shape[1:] for key in taken) or not taken <= found:
            found -= taken
    return found


def check_script(
    parts: ScriptParts, choices: list[Choice], sources: Mapping[str, Shape], config: dict[str, Any]
) -> None:
    """Run the script's conversion and compare.

    Raises:
        AssertionError: It gives something else than the choices, which would be a mistake of ours.
    """
    space = _executed(parts)
    narrow = _narrow(choices, sources)
    numbered = _Numbered(sources, narrow)
    wanted = {choice.target: choice for choice in choices if choice.pieces}
    given = (numbered, config) if "config: dict" in parts.convert else (numbered,)
    seen = set()
    for key, tensor in space["converted_tensors"](*given):
        if key not in wanted or key in seen:
            raise AssertionError(
                f"the script gives {key}, which {'is given twice' if key in seen else 'nobody asked for'}"
            )
        seen.add(key)
        choice = wanted[key]
        if choice.pieces[0].source in narrow:
            choice = replace(choice, shape=narrowed(choice.shape))
        expected = choice.build(numbered.__getitem__)
        if tensor.shape != expected.shape or not torch.equal(tensor, expected):
            raise AssertionError(f"the script makes {key} of other rows than the table says")
    if seen != wanted.keys():
        raise AssertionError(f"the script does not give {sorted(wanted.keys() - seen)[:5]}")


def check_larger(parts: ScriptParts, sources: Mapping[str, Shape] | None, target: Target) -> None:
    """Whether a script that was found with small models fits large ones, by names and shapes.

    Args:
        parts: The script.
        sources: The shapes of the large checkpoint, if there is one.
        target: The large model.

    Raises:
        RunningError: It gives other keys or shapes than the model has, or does not know a key of the checkpoint.
    """
    if sources is None:
        return
    tensors = {key: torch.empty(shape, device="meta") for key, shape in sources.items()}
    given = (tensors, target.config) if "config: dict" in parts.convert else (tensors,)
    hint = (
        "let the harness build small models that differ from the checkpoint in their sizes and numbers of blocks only"
    )
    try:
        found = {key: tuple(tensor.shape) for key, tensor in _executed(parts)["converted_tensors"](*given)}
    except (ValueError, KeyError, RuntimeError) as error:
        said = " ".join(str(error).split())[:300]
        raise RunningError(f"what the harness shows does not fit the checkpoint: {said}", hint=hint) from None
    wrong = [key for key, shape in target.shapes.items() if found.get(key) != shape] or sorted(
        found.keys() - target.shapes.keys()
    )
    if wrong:
        raise RunningError(
            f"what the harness shows does not fit the checkpoint: {len(wrong)} tensors of {target.name} come out with"
            f" another shape or not at all ({', '.join(wrong[:3])})",
            hint=hint,
        )


def _executed(parts: ScriptParts) -> dict[str, Any]:
    space: dict[str, Any] = {"re": re, "torch": torch, "Callable": Callable, "Mapping": Mapping, "Iterator": Iterator}
    exec("from __future__ import annotations\n" + parts.functions + parts.tables + parts.convert, space)
    return space
