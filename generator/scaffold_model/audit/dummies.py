"""The placeholders of ``utils/dummy_*_objects.py``: one per name of the root, in the order of its TYPE_CHECKING half."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Literal

from ..registries import dummy_objects, init_reading, quantization
from ..registries.base import Entry, Listed, Listing
from .order import misplaced
from .problem import Problem, Repair, problem
from .view import DUMMIES, ROOT_INIT, View

NAME = dummy_objects.NAME


def check(view: View, stale: set[str]) -> Iterator[Problem]:
    """Missing, stale, misplaced and duplicate placeholders.

    Args:
        view: The checkout.
        stale: Names that the root lists in vain.
    """
    listed = {
        f"{DUMMIES}/{name}": dummy_objects.listed(view.text(f"{DUMMIES}/{name}"))
        for name in view.snapshot.files(DUMMIES)
        if name.startswith("dummy_") and name.endswith("_objects.py")
    }
    wanted, tolerated = _wanted(view)
    have: dict[str, list[tuple[str, Listed]]] = defaultdict(list)
    for path, items in listed.items():
        for item in items:
            have[item.object].append((path, item))
    for name, places in sorted(wanted.items()):
        if name in stale:
            continue
        for path in places:
            if path not in listed or any(where in (path, *tolerated[name]) for where, _ in have[name]):
                continue
            strays = [(where, item) for where, item in have[name] if where not in places]
            if strays:
                where, item = strays[0]
                yield problem(
                    NAME, name, where, item.line, f"the placeholder of {name} belongs in {path}", "warning",
                    Repair("move", NAME, Entry(NAME, path, name), Entry(NAME, where, name)),
                )  # fmt: skip
                have[name] = [pair for pair in have[name] if pair[0] != where]
                continue
            message = f"the placeholder of {name} is missing"
            action: Literal["register", "insert"] = "register" if name in view.exports else "insert"
            yield problem(NAME, name, path, None, message, "error", Repair(action, NAME, Entry(NAME, path, name)))
    for name, pairs in sorted(have.items()):
        for path, item in pairs:
            if name not in wanted or name in stale:
                message = f"the placeholder of {name} stands for nothing that the root exports"
                yield problem(
                    NAME, name, path, item.line, message, "error", Repair("remove", NAME, Entry(NAME, path, name))
                )
            elif path not in (*wanted[name], *tolerated[name]):
                message = f"a second placeholder of {name}: it belongs in {wanted[name][0]}"
                yield problem(
                    NAME, name, path, item.line, message, "warning", Repair("remove", NAME, Entry(NAME, path, name))
                )
    yield from _duplicates_and_order(view, listed)


def _wanted(view: View) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Name -> the modules that must hold its placeholder, by the TYPE_CHECKING half, and those that may, by the other.

    Where the halves disagree about the group, that is the finding; the placeholder follows when it is settled.
    """
    source = view.text(ROOT_INIT)
    root = view.inits[ROOT_INIT]
    found: dict[str, list[str]] = {}
    modules = _modules(source)
    halves: dict[str, dict[str, list[str]]] = {}
    for half in ("types", "structure"):
        names: dict[str, list[str]] = defaultdict(list)
        for spot in root.spots[half]:
            if spot.backends and modules[spot.suite] not in names[spot.name]:
                names[spot.name].append(modules[spot.suite])
        halves[half] = names
        for name, places in names.items():
            found.setdefault(name, places)
    for export in view.exports.values():
        if export.kind == "quantization":
            module = quantization.placeholders(view.snapshot, export.name)
            found.setdefault(export.name, [f"{DUMMIES}/{module}.py"])
        elif export.kind not in ("LoRA mixin", "loader mixin"):
            guard = init_reading.guard_of(source, tuple(sorted(export.backends)))
            found.setdefault(export.name, [dummy_objects.path_for(guard)])
    return {name: places for name, places in found.items() if places}, halves["structure"]


def _modules(source: str) -> list[str]:
    """The module that stands in for each suite of the root."""
    return [dummy_objects.path_of(source, suite) for suite in init_reading.suites(source)]


def _duplicates_and_order(view: View, listed: dict[str, Listing]) -> Iterator[Problem]:
    rank: dict[str, dict[str, int]] = defaultdict(dict)
    modules = _modules(view.text(ROOT_INIT))
    for index, spot in enumerate(view.inits[ROOT_INIT].spots["types"]):
        if spot.backends:
            rank[modules[spot.suite]].setdefault(spot.name, index)
    for path, items in listed.items():
        seen: dict[str, int] = {}
        ranked: list[Listed] = []
        for item in items:
            if item.object in seen:
                message = f"the placeholder of {item.object} is a duplicate: already in line {seen[item.object]}"
                yield problem(
                    NAME, item.object, path, item.line, message, "warning",
                    Repair("remove", NAME, Entry(NAME, path, item.object)),
                )  # fmt: skip
            elif item.object in rank[path]:
                ranked.append(item)
            seen.setdefault(item.object, item.line)
        for index in misplaced([rank[path][item.object] for item in ranked]):
            item = ranked[index]
            order = tuple(rank[path])
            entry = Entry(NAME, path, item.object, order=order)
            yield problem(
                NAME, item.object, path, item.line, f"the placeholder of {item.object} stands out of order", "warning",
                Repair("move", NAME, entry, entry),
            )  # fmt: skip
