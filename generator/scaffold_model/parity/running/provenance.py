"""Where each parameter of the target comes from: `convert` is run on weights that carry their own address.

Three runs: each weight's values are the number of its parameter, then the number of its row, then that of its column.
All are small whole numbers, so a conversion may cast to float32 and nothing is lost.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

State = dict[str, torch.Tensor]


@dataclass
class Made:
    """What one parameter of the target is made of.

    Attributes:
        kind: ``copied`` (rows and columns of the reference, as they are), ``transposed`` (columns and rows),
            ``computed`` (by arithmetic, or element by element).
        keys: The reference's parameter behind each row.
        rows: Its row, of shape ``(rows,)``.
        columns: Which column of it each column is, of shape ``(columns,)``; weights are flattened to two dimensions.
        sources: The reference's parameters that it is made of.
    """

    kind: str
    keys: list[str]
    rows: torch.Tensor
    columns: torch.Tensor
    sources: list[str]


def provenance(
    convert: Callable[[State], State], state: State, converted: State, progress: Callable[[str], None]
) -> dict[str, Made]:
    """What each parameter of the target is made of.

    Args:
        convert: The conversion.
        state: The weights of the reference.
        converted: What ``convert`` makes of them.
        progress: Is told where the conversion can not be run on addresses.
    """
    keys = [key for key, value in state.items() if value.is_floating_point()]
    number = {key: float(index) for index, key in enumerate(keys)}

    def addresses(kind: str) -> State:
        made: State = {}
        for key, value in state.items():
            if key not in number:
                made[key] = value
                continue
            rows, columns = _sizes(value)
            if kind == "key":
                flat = torch.full((1, 1), number[key])
            elif kind == "row":
                flat = torch.arange(rows, dtype=torch.float32)[:, None]
            else:
                flat = torch.arange(columns, dtype=torch.float32)[None]
            made[key] = flat.expand(rows, columns).reshape(value.shape)
        return made

    facets: list[dict[str, _Facet]] = []
    for kind in ("key", "row", "column"):
        try:
            made = convert(addresses(kind))
        except Exception as error:
            # A conversion that looks at values, such as at a norm of weights, can not be run on addresses.
            progress(f"Pairing by the values of the weights, which knows less: on addresses, {error}")
            return by_values(state, converted)
        facets.append(
            {
                name: _facet(made[name])
                for name, value in converted.items()
                if name in made and made[name].shape == value.shape and made[name].is_floating_point()
            }
        )
        # A conversion makes as much as the model is large; one at a time is enough.
        del made
    found = {
        name: _made(facets[0][name], facets[1][name], facets[2][name], keys, state)
        for name in facets[0]
        if all(name in facet for facet in facets)
    }
    computed = {name: converted[name] for name, made in found.items() if made.kind == "computed"}
    if computed and not all(made.kind != "computed" for made in found.values()):
        found.update({name: made for name, made in by_values(state, computed).items() if made.kind != "computed"})
    return found


@dataclass
class _Facet:
    """One kind of address of a parameter: its first column and row, and whether all others are like them."""

    by_row: torch.Tensor
    by_column: torch.Tensor
    same_in_row: bool
    same_in_column: bool
    whole: bool
    values: list[int]
    largest: float


def _facet(value: torch.Tensor) -> _Facet:
    flat = value.float().reshape(_sizes(value))
    if not flat.numel():
        return _Facet(torch.empty(0), torch.empty(0), False, False, False, [], 0.0)
    in_row, in_column = bool((flat == flat[:, :1]).all()), bool((flat == flat[:1]).all())
    part = flat[:, 0] if in_row else flat[0] if in_column else flat
    whole = bool((part == part.round()).all()) and bool((part >= 0).all())
    values = [int(each) for each in part.unique().tolist()] if whole and part.ndim == 1 else []
    return _Facet(flat[:, 0].clone(), flat[0].clone(), in_row, in_column, whole, values, float(part.max()))


def _sizes(value: torch.Tensor) -> tuple[int, int]:
    """Rows and columns; a vector is a column."""
    rows = value.shape[0] if value.ndim else 1
    return rows, value.numel() // max(rows, 1)


def _made(key: _Facet, row: _Facet, column: _Facet, keys: list[str], state: State) -> Made:
    computed = Made("computed", [], torch.empty(0), torch.empty(0), [])
    if not (key.whole and row.whole and column.whole) or not key.same_in_row or key.largest >= len(keys):
        return computed
    sources = [keys[index] for index in key.values]
    for source in sources:
        rows, columns = _sizes(state[source])
        if row.largest >= rows or column.largest >= columns:
            return computed
    names = [keys[int(index)] for index in key.by_row.tolist()]
    if row.same_in_row and column.same_in_column:
        return Made("copied", names, row.by_row.long(), column.by_column.long(), sources)
    if row.same_in_column and column.same_in_row:
        return Made("transposed", names, column.by_row.long(), row.by_column.long(), sources)
    return Made("computed", names, torch.empty(0), torch.empty(0), sources)


def by_values(state: State, converted: State) -> dict[str, Made]:
    """The same from the weights themselves: rows of the reference that stand in the target as they are.

    It knows less, for columns have to be in their order, and needs weights that are no constants.
    """
    rows: dict[tuple[int, bytes], tuple[str, int]] = {}
    for key, value in state.items():
        if value.is_floating_point() and value.numel():
            flat = value.detach().float().reshape(_sizes(value))
            for index, row in enumerate(flat):
                rows.setdefault((row.numel(), _signature(row)), (key, index))
    found = {}
    for name, value in converted.items():
        if not value.is_floating_point() or not value.numel():
            continue
        flat = value.detach().float().reshape(_sizes(value))
        for kind, one in (("copied", flat), ("transposed", flat.t())):
            hits = [rows.get((row.numel(), _signature(row))) for row in one]
            if all(hit is not None for hit in hits):
                keys = [hit[0] for hit in hits if hit is not None]
                indices = torch.tensor([hit[1] for hit in hits if hit is not None])
                columns = torch.arange(one.shape[1])
                found[name] = Made(kind, keys, indices, columns, list(dict.fromkeys(keys)))
                break
        else:
            found[name] = Made("computed", [], torch.empty(0), torch.empty(0), [])
    return found


def _signature(row: torch.Tensor) -> bytes:
    """A row's first and last numbers, and their sum: random weights have no two alike."""
    if row.numel() == 1:
        return bytes(row.contiguous().numpy().tobytes())
    ends = torch.cat([row[:8], row[-8:], row.double().sum().float()[None]])
    return bytes(ends.contiguous().numpy().tobytes())
