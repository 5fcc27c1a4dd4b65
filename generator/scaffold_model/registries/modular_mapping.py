"""MODULAR_PIPELINE_MAPPING of ``modular_pipelines/modular_pipeline.py``: the blocks' ``model_name`` -> pipeline class.

Values are ``_create_default_map_fn("...")``, in older checkouts the bare class name; what the mapping holds decides.

Before:
    MODULAR_PIPELINE_MAPPING = OrderedDict(
        [
            ("wan", _create_default_map_fn("WanModularPipeline")),
            ("flux", _create_default_map_fn("FluxModularPipeline")),
            ("qux", _create_default_map_fn("QuxModularPipeline")),
        ]
    )

Entry: Entry("modular_mapping", "", "flux2", "MODULAR_PIPELINE_MAPPING", "Flux2ModularPipeline")

After:
    MODULAR_PIPELINE_MAPPING = OrderedDict(
        [
            ("wan", _create_default_map_fn("WanModularPipeline")),
            ("flux", _create_default_map_fn("FluxModularPipeline")),
            ("flux2", _create_default_map_fn("Flux2ModularPipeline")),
            ("qux", _create_default_map_fn("QuxModularPipeline")),
        ]
    )
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..code import pairs
from ..errors import AnchorNotFound
from ..plan import Export
from . import blocks, positions
from .base import ROOT, Entry, Listed, Subject

if TYPE_CHECKING:
    from ..conventions import Conventions
    from ..snapshot import Snapshot

NAME = "modular_mapping"
PATH = f"{ROOT}/modular_pipelines/modular_pipeline.py"
MAPPING = "MODULAR_PIPELINE_MAPPING"


def entries(subject: Subject, conventions: Conventions, snapshot: Snapshot) -> Iterable[Entry]:
    if not isinstance(subject, Export) or subject.kind != "modular pipeline":
        return
    key = blocks.model_name(subject, snapshot)
    if key and not is_mapped(subject.name, snapshot) and _first(subject, snapshot) == subject.name:
        yield Entry(NAME, PATH, key, MAPPING, subject.name)


def is_mapped(name: str, snapshot: Snapshot) -> bool:
    """Whether the mapping, or a hand-written function that it calls, names the class."""
    return f'"{name}"' in (snapshot.read(PATH) or "")


def unmapped_reason(subject: Export, snapshot: Snapshot) -> str | None:
    """Why a modular pipeline can not be in the mapping without a decision by hand; None where it can."""
    if is_mapped(subject.name, snapshot) or snapshot.read(PATH) is None:
        return None
    key = blocks.model_name(subject, snapshot)
    if key is None:
        return f"{subject.name} is not in {MAPPING}: its default blocks name no model_name; add one and run again"
    return (
        f'{subject.name} shares the key "{key}" of {MAPPING} with another class; '
        f"write a map function there that tells them apart"
    )


def _first(subject: Export, snapshot: Snapshot) -> str:
    """Of the classes on one key that nothing maps yet, the one with the plainest name."""
    return next(name for name in blocks.sharing(subject, snapshot) if not is_mapped(name, snapshot))


def listed(source: str) -> list[Listed]:
    mapping = pairs.find(source, MAPPING)
    return [Listed(pair.key, MAPPING, pair.first, _shown(pair.value)) for pair in mapping.pairs] if mapping else []


def insert(source: str, entry: Entry) -> str:
    present = listed(source)
    if any(item.object == entry.object for item in present):
        return source
    bare = any(item.value.startswith("'") for item in present) or f"{blocks.DEFAULT_MAP}(" not in source
    value = f'"{entry.value}"' if bare else f'{blocks.DEFAULT_MAP}("{entry.value}")'
    edited = pairs.insert(
        source, MAPPING, entry.object, value, lambda keys: positions.in_family(keys, entry.object, entry)
    )
    if edited is None:
        raise AnchorNotFound(entry.path or PATH, MAPPING)
    return edited


def remove(source: str, entry: Entry) -> str:
    return pairs.remove(source, MAPPING, entry.object)


def _shown(value: ast.expr) -> str:
    return ast.unparse(value)
