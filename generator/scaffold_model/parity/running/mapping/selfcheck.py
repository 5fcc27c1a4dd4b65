"""Runs what the script says on numbered rows, and compares with the choices: the script does what the table says."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch

from .pieces import Choice, Shape, matrix
from .script import ScriptParts


class _Numbered(Mapping[str, torch.Tensor]):
    """A tensor for each source key whose rows hold numbers of their own; no memory for the columns."""

    def __init__(self, sources: Mapping[str, Shape]) -> None:
        self.sources = sources
        self.first: dict[str, int] = {}
        count = 0
        for key, shape in sources.items():
            self.first[key] = count
            count += matrix(shape)[0]

    def __getitem__(self, key: str) -> torch.Tensor:
        shape = self.sources[key]
        rows, columns = matrix(shape)
        numbers = torch.arange(self.first[key], self.first[key] + rows, dtype=torch.int32)
        # Columns have no numbers: they are as many as in the source, so that shapes can be compared.
        return numbers[:, None].expand(rows, columns).reshape(shape)

    def __iter__(self) -> Iterator[str]:
        return iter(self.sources)

    def __len__(self) -> int:
        return len(self.sources)


def check_script(
    parts: ScriptParts, choices: list[Choice], sources: Mapping[str, Shape], config: dict[str, Any]
) -> None:
    """Run the script's conversion and compare.

    Raises:
        AssertionError: It gives something else than the choices, which would be a mistake of ours.
    """
    space: dict[str, Any] = {
        "re": re,
        "torch": torch,
        "Callable": Callable,
        "Mapping": Mapping,
        "Iterator": Iterator,
    }
    exec("from __future__ import annotations\n" + parts.functions + parts.tables + parts.convert, space)
    numbered = _Numbered(sources)
    wanted = {choice.target: choice for choice in choices if choice.pieces}
    given = (numbered, config) if "config: dict" in parts.convert else (numbered,)
    seen = set()
    for key, tensor in space["converted_tensors"](*given):
        if key not in wanted or key in seen:
            raise AssertionError(
                f"the script gives {key}, which {'is given twice' if key in seen else 'nobody asked for'}"
            )
        seen.add(key)
        expected = wanted[key].build(numbered.__getitem__)
        if tensor.shape != expected.shape or not torch.equal(tensor, expected):
            raise AssertionError(f"the script makes {key} of other rows than the table says")
    if seen != wanted.keys():
        raise AssertionError(f"the script does not give {sorted(wanted.keys() - seen)[:5]}")
