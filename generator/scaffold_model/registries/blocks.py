"""What a modular pipeline says of itself: its default blocks and the ``model_name`` that all its blocks share."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING

from ..code.syntax import parse
from ..plan import Export

if TYPE_CHECKING:
    from ..snapshot import Snapshot

DEFAULT_MAP = "_create_default_map_fn"


def default_blocks(export: Export, snapshot: Snapshot) -> str | None:
    """The class that the pipeline names as ``default_blocks_name``, itself or through a base in its package.

    Where nothing is named (older checkouts), the blocks that are called like the pipeline.
    """
    seen: list[str] = []
    pending = [export.name]
    found = _package_classes(export, snapshot)
    while pending:
        name = pending.pop(0)
        attributes, bases = found.get(name, ({}, ()))
        seen.append(name)
        if "default_blocks_name" in attributes:
            return attributes["default_blocks_name"]
        pending.extend(base for base in bases if base not in seen)
    stem = export.name.removesuffix("ModularPipeline")
    return next((name for name in (f"{stem}AutoBlocks", f"{stem}Blocks") if name in found), None)


def model_name(export: Export, snapshot: Snapshot) -> str | None:
    """The ``model_name`` of the default blocks, of their bases, or else of the blocks that they are made of."""
    first = default_blocks(export, snapshot)
    if first is None:
        return None
    found = _package_classes(export, snapshot)
    pending, seen = [first], [first]
    while pending:
        attributes, bases = found.get(pending.pop(0), ({}, ()))
        if "model_name" in attributes:
            return attributes["model_name"]
        fresh = [base for base in bases if base not in seen]
        pending.extend(fresh)
        seen.extend(fresh)
    names = Counter(attributes["model_name"] for attributes, _ in found.values() if "model_name" in attributes)
    return next(iter(names)) if len(names) == 1 else None


def sharing(export: Export, snapshot: Snapshot) -> list[str]:
    """The modular pipelines of the package that have the same ``model_name``, the plainest name first."""
    key = model_name(export, snapshot)
    names = [name for name in _package_classes(export, snapshot) if name.endswith("ModularPipeline")]
    same = [name for name in names if model_name(replace(export, name=name), snapshot) == key]
    return sorted({*same, export.name}, key=lambda name: (len(name), name))


_Class = tuple[dict[str, str], tuple[str, ...]]


def _package_classes(export: Export, snapshot: Snapshot) -> dict[str, _Class]:
    folder = export.path.rsplit("/", 1)[0]
    found: dict[str, _Class] = {}
    for name in snapshot.files(folder):
        if name.endswith(".py"):
            found.update(_classes(snapshot.read(f"{folder}/{name}") or ""))
    return found


@lru_cache(maxsize=32)
def _classes(source: str) -> dict[str, _Class]:
    """String attributes and bases of the classes of a module."""
    return {
        node.name: (dict(_attributes(node)), tuple(ast.unparse(base).split(".")[-1] for base in node.bases))
        for node in parse(source).body
        if isinstance(node, ast.ClassDef)
    }


def _attributes(node: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for statement in node.body:
        if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Constant):
            value = statement.value.value
            for target in statement.targets:
                if isinstance(target, ast.Name) and isinstance(value, str):
                    yield target.id, value
