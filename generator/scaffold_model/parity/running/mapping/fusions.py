"""Which modules of the model the checkpoint has as one, and which of the checkpoint the model has as one."""

from __future__ import annotations

import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from .blocks import Sizes, Unit
from .names import Meaning

#: Fused layers that a checkpoint may have, by the roles of their parts in the order that the field has.
FUSIONS = (("q", "k", "v", "mlp"), ("q", "k", "v"), ("k", "v"), ("mod", "mod"))


@dataclass(frozen=True)
class Wanted:
    """One or several modules of the model that one source, or several, hold."""

    targets: tuple[Unit, ...]
    sizes: Sizes
    meaning: Meaning
    groups: tuple[str, str]


@dataclass(frozen=True)
class Given:
    """One or several modules of the checkpoint that together have the size of one of the model."""

    sources: tuple[Unit, ...]
    sizes: Sizes
    meaning: Meaning
    groups: tuple[str, str]


def holders_of(paths: Sequence[str]) -> dict[str, tuple[str, str]]:
    """By path, the nearest thing around it that holds several modules, and the outermost one."""
    inside = Counter(ancestor for path in paths for ancestor in _ancestors(path))
    found = {}
    for path in paths:
        several = [ancestor for ancestor in _ancestors(path) if inside[ancestor] > 1]
        found[path] = (several[0], several[-1]) if several else ("", "")
    return found


def _ancestors(path: str) -> list[str]:
    parts = path.split(".")
    return [".".join(parts[:count]) for count in range(len(parts) - 1, 0, -1)]


def cover(targets: list[Unit], given: list[Given], meanings: dict[int, Meaning]) -> list[Wanted]:
    """The modules of the model, those together that the checkpoint has fused.

    Which of them are fused is seen by counting: a size that the model has more often than the checkpoint must come from
    somewhere else.
    """
    available = Counter(one.sizes for one in given)
    holders = holders_of([unit.path for unit in targets])
    options: list[list[tuple[Unit, ...]]] = []
    bundles = _bundles(targets, meanings)
    for bundle in bundles:
        found: list[tuple[Unit, ...]] = [()]
        for roles in FUSIONS:
            for parts in _parts(roles, bundle, targets, meanings):
                sizes = _fused(parts)
                if sizes is not None and available[sizes]:
                    found.append(parts)
        options.append(found)
    if math.prod(len(found) for found in options) > 5000:
        options = [found[:2] for found in options]
    best: tuple[float, list[Wanted]] | None = None
    for combination in itertools.product(*options):
        fused = [parts for parts in combination if parts]
        inside = [id(unit) for parts in fused for unit in parts]
        if len(set(inside)) < len(inside):
            continue
        wanted = [_wanted((unit,), meanings, holders) for unit in targets if id(unit) not in set(inside)]
        wanted += [_wanted(parts, meanings, holders) for parts in fused]
        score = _coverage(wanted, available)
        if best is None or score > best[0]:
            best = (score, wanted)
    assert best is not None
    return best[1]


def _wanted(parts: tuple[Unit, ...], meanings: dict[int, Meaning], holders: dict[str, tuple[str, str]]) -> Wanted:
    first = meanings[id(parts[0])]
    sizes = _fused(parts)
    assert sizes is not None
    if len(parts) > 1:
        roles = [meanings[id(unit)].role for unit in parts]
        role = {("q", "k", "v"): "qkv", ("k", "v"): "kv"}.get(tuple(roles), "")
        words = frozenset(word for unit in parts for word in meanings[id(unit)].words)
        first = replace(first, role=role, words=words)
    stream = first.stream if first.stream in ("added", "text") else ""
    near, outer = holders[parts[0].path]
    # Layers of the second stream of an attention stand beside those of the first, but go together.
    return Wanted(parts, sizes, first, (f"{near}/{stream}", f"{outer}/{stream}"))


def _coverage(wanted: list[Wanted], available: Counter[Sizes]) -> float:
    """How much of both sides finds its size, in elements."""
    needed = Counter(one.sizes for one in wanted)
    found = 0.0
    for sizes, count in needed.items():
        elements = sum(rows * columns for rows, columns in sizes)
        found += min(count, available[sizes]) * elements - 0.5 * max(0, count - available[sizes]) * elements
        found -= 0.1 * max(0, available[sizes] - count) * elements
    for sizes, count in available.items():
        if sizes not in needed:
            found -= 0.5 * count * sum(rows * columns for rows, columns in sizes)
    return found


def _bundles(targets: list[Unit], meanings: dict[int, Meaning]) -> list[dict[str, Unit]]:
    """Query, key and value of each attention and stream."""
    groups: dict[tuple[str, str, str], dict[str, Unit]] = defaultdict(dict)
    for unit in targets:
        one = meanings[id(unit)]
        if one.role in ("q", "k", "v"):
            groups[unit.parent, one.stream, one.attention].setdefault(one.role, unit)
    bundles = [bundle for bundle in groups.values() if len(bundle) > 1]
    modulations = [unit for unit in targets if meanings[id(unit)].role == "mod"]
    if len(modulations) == 2 and modulations[0].sizes == modulations[1].sizes:
        bundles.append({"mod": modulations[0], "other": modulations[1]})
    return bundles


def _parts(
    roles: tuple[str, ...], bundle: dict[str, Unit], targets: list[Unit], meanings: dict[int, Meaning]
) -> list[tuple[Unit, ...]]:
    options: list[list[Unit]] = []
    if roles == ("mod", "mod"):
        return [(bundle["mod"], bundle["other"])] if "other" in bundle else []
    for role in roles:
        if role == "mlp":
            columns = {size[1] for unit in bundle.values() for size in unit.sizes}
            options.append(
                [
                    unit
                    for unit in targets
                    if meanings[id(unit)].role == "mlp" and {size[1] for size in unit.sizes} == columns
                ]
            )
        elif role in bundle:
            options.append([bundle[role]])
        else:
            return []
    return list(itertools.product(*options))


def _fused(parts: Sequence[Unit]) -> Sizes | None:
    """The sizes of one module that holds the rows of all, or None where they do not go together."""
    if len(parts) == 1:
        return parts[0].sizes
    if len({tuple(leaf for leaf, _ in unit.keys) for unit in parts}) > 1:
        return None
    rows: dict[int, int] = defaultdict(int)
    for unit in parts:
        columns = [size[1] for size in unit.sizes]
        if len(set(columns)) < len(columns):
            return None
        for count, column in unit.sizes:
            rows[column] += count
    columns_of = {frozenset(size[1] for size in unit.sizes) for unit in parts}
    return tuple(sorted((count, column) for column, count in rows.items())) if len(columns_of) == 1 else None


def with_joins(wanted: list[Wanted], given: list[Given]) -> list[Given]:
    """Where the model has a fused layer and the checkpoint its parts, such as gate and value of a feed-forward."""
    have = Counter(one.sizes for one in given)
    result = list(given)
    for sizes, count in Counter(one.sizes for one in wanted).items():
        if have[sizes] >= count:
            continue
        groups: dict[tuple[str, Sizes], list[Given]] = defaultdict(list)
        for one in given:
            groups[one.groups[0], one.sizes].append(one)
        for members in groups.values():
            for number in (2, 3):
                if len(members) >= number:
                    # Of a gated feed-forward, the second layer is the value and the first the gate.
                    parts = tuple(
                        one.sources[0] for one in sorted(members, key=lambda one: one.sources[0].path)[:number]
                    )
                    parts = parts[::-1] if number == 2 else parts
                    if _fused(parts) == sizes:
                        result.append(Given(parts, sizes, members[0].meaning, members[0].groups))
    return result
