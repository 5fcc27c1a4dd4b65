"""The order of names and modules in init modules, where somebody keeps it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

from ..code.ordering import import_module_key, import_name_key, object_key, plain_key
from ..registries.base import Entry
from .order import misplaced
from .problem import Problem, Repair, problem
from .view import REGISTRY_BY_NAME, Init, Spot, View

# The lists that nobody keeps sorted; everything else in an init is.
_UNSORTED_NAMES = ("pipelines_structure", "modular_structure", "loaders_structure")
_UNSORTED_MODULES = (*_UNSORTED_NAMES, "root_structure", "root_types", "loaders_types")


def order_problems(view: View, init: Init, half: str, registry: str | None = None) -> Iterator[Problem]:
    registry = registry or init.registry(half)
    spots = init.spots[half]
    if "/deprecated/" in init.path:
        # A museum: nothing is added there, and nobody dusts it.
        return
    if registry not in _UNSORTED_NAMES:
        for group in _by_statement(spots):
            if not any(view.concerns(spot.name) for spot in group):
                continue
            unique = list({spot.name: spot for spot in group}.values())
            for index in _misplaced([spot.name for spot in unique], *_name_keys(registry, half)):
                yield _out_of_order(view, init, registry, unique[index])
    if registry not in _UNSORTED_MODULES:
        for run in _runs(init, half):
            if not any(view.concerns(spot.name) for spot in run):
                continue
            for index in _misplaced([spot.module for spot in run], *_module_keys(registry, half)):
                yield _out_of_order(view, init, registry, run[index], module=True)


_Key = Callable[[str], Any]


def _name_keys(registry: str, half: str) -> tuple[_Key, ...]:
    # No tool sorts the structure of a package, and people write LTX2 before LTX25 as often as after it.
    if registry == "package_structure":
        return object_key, import_name_key
    return (object_key,) if half == "structure" else (import_name_key,)


def _module_keys(registry: str, half: str) -> tuple[_Key, ...]:
    if registry == "package_structure":
        return plain_key, import_module_key
    return (plain_key,) if half == "structure" else (import_module_key,)


def _misplaced(names: list[str], *keys: _Key) -> list[int]:
    """The indices that are out of order whichever of the keys one sorts by; none if one of them is content."""
    found = [misplaced([key(name) for name in names]) for key in keys]
    return [] if any(not each for each in found) else found[0]


def _by_statement(spots: tuple[Spot, ...]) -> list[list[Spot]]:
    groups: dict[tuple[int, str], list[Spot]] = defaultdict(list)
    for spot in spots:
        groups[(spot.statement, spot.module)].append(spot)
    return list(groups.values())


def _runs(init: Init, half: str) -> list[list[Spot]]:
    """The first spot of each module, in runs: a run ends where something else than a registration stands between."""
    firsts: dict[tuple[int, str, int], Spot] = {}
    for spot in init.spots[half]:
        firsts.setdefault((spot.suite, spot.module, spot.statement), spot)
    runs: list[list[Spot]] = []
    ordered = sorted(firsts.values(), key=lambda spot: (spot.suite, spot.statement, spot.line))
    for spot in ordered:
        before = runs[-1][-1] if runs else None
        if before is None or before.suite != spot.suite or (half == "types" and before.place + 1 != spot.place):
            runs.append([])
        runs[-1].append(spot)
    return runs


def _out_of_order(view: View, init: Init, registry: str, spot: Spot, *, module: bool = False) -> Problem:
    what = f"the module of {spot.name}, {spot.module}," if module else spot.name
    repair = None
    count = sum(each.name == spot.name for each in init.spots["types" if registry.endswith("types") else "structure"])
    if not module and registry in REGISTRY_BY_NAME and count == 1:
        entry = Entry(
            registry,
            init.path,
            spot.name,
            spot.module,
            backends=spot.backends,
            width=view.conventions.line_length,
        )
        repair = Repair("move", registry, entry, entry)
    return problem(registry, spot.name, init.path, spot.line, f"{what} stands out of order", "warning", repair)
