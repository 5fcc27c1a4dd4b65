"""Backend groups: names that different places list under different guards."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from ..registries.base import ROOT, Entry
from ..scanning import TORCH_AND_TRANSFORMERS
from .problem import Problem, Repair, problem, shown
from .view import HALVES, ROOT_INIT, Init, Spot, View

GROUPED = ("models", "schedulers", "pipelines", "modular_pipelines")


@dataclass(frozen=True)
class _Vote:
    registry: str
    path: str
    spot: Spot


def group_problems(view: View) -> Iterator[Problem]:
    """Names whose backend group differs between the places that list them."""
    root = view.inits.get(ROOT_INIT)
    if root is None:
        return
    areas = {spot.name: spot.module for half in HALVES for spot in root.spots[half] if spot.module in GROUPED}
    for name, folder in sorted(areas.items()):
        if not view.concerns(name):
            continue
        votes = [*_votes(root, name)]
        init = view.inits.get(f"{ROOT}/{folder}/__init__.py")
        rule = _rule(view, name, folder)
        borrowed = _borrowed(view, name) if folder == "pipelines" else ()
        if borrowed and init is not None:
            # The root asks for what the class borrows, and its package is listed in one statement that asks for less.
            yield from _odd_ones(view, name, [*_votes(init, name)], rule)
            rule = tuple(sorted(borrowed))
        elif folder == "pipelines" and init is not None:
            votes.extend(_votes(init, name))
        elif init is not None:
            # Modular pipelines need transformers at the root, and only torch in their own init.
            inner = ("torch",) if folder == "modular_pipelines" else rule
            yield from _odd_ones(view, name, [*_votes(init, name)], inner)
        yield from _odd_ones(view, name, votes, rule)
    for init in view.inits.values():
        if init.registry("types") == "package_types":
            for name in sorted(init.names("structure").keys() & init.names("types").keys()):
                guarded = [vote for vote in _votes(init, name) if vote.spot.backends]
                yield from _odd_ones(view, name, guarded, None)


def _borrowed(view: View, name: str) -> tuple[str, ...]:
    """The group of what a pipeline borrows from another package, where the root asks for more than of most."""
    path = view.path_of(name)
    asked = set(view.scanner.root.get(name, ()))
    return view.scanner.borrowed_group(path) if path and asked > set(TORCH_AND_TRANSFORMERS) else ()


def _rule(view: View, name: str, folder: str) -> tuple[str, ...]:
    """The group that nearly all classes of a folder are in."""
    if folder in ("pipelines", "modular_pipelines"):
        return ("torch", "transformers")
    path = view.path_of(name)
    extra = next((each for each in ("torchsde", "scipy") if path and f"import {each}" in view.text(path)), None)
    return ("torch", extra) if extra == "torchsde" else (extra, "torch") if extra else ("torch",)


def _votes(init: Init, name: str) -> Iterator[_Vote]:
    """One vote per half that lists the name once; a duplicate is reported as such."""
    for half in HALVES:
        spots = [spot for spot in init.by_name.get(name, ()) if spot in init.half_of[half]]
        if len(spots) == 1:
            yield _Vote(init.registry(half), init.path, spots[0])


def _odd_ones(view: View, name: str, votes: list[_Vote], rule: tuple[str, ...] | None) -> Iterator[Problem]:
    counted = Counter(vote.spot.backends for vote in votes)
    if len(counted) < 2:
        return
    (best, most), *others = sorted(counted.items(), key=lambda pair: (-pair[1], pair[0] != rule))
    # Between one and one the rule decides; two against two have had their reasons.
    tied = any(count == most for _, count in others) and (best != rule or most > 1)
    if tied:
        # Nothing tells which is wrong: one finding for the disagreement, and people decide.
        first = next(vote for vote in votes if vote.spot.backends != best)
        second = next(vote for vote in votes if vote.spot.backends == best)
        message = (
            f"{name} is listed under {shown(first.spot.backends)}, "
            f"but under {shown(best)} in line {second.spot.line} of {second.path}"
        )
        yield problem(first.registry, name, first.path, first.spot.line, message, "warning")
        return
    for vote in votes:
        if vote.spot.backends != best:
            width = view.conventions.line_length
            old, new = (
                Entry(vote.registry, vote.path, name, vote.spot.module, backends=group, width=width)
                for group in (vote.spot.backends, best)
            )
            message = f"{name} is listed under {shown(vote.spot.backends)}, but elsewhere under {shown(best)}"
            half = "types" if vote.registry.endswith("_types") else "structure"
            known = any(spot.backends == best for spot in view.inits[vote.path].spots[half])
            repair = Repair("move", vote.registry, new, old) if known else None
            yield problem(vote.registry, name, vote.path, vote.spot.line, message, "warning", repair)
