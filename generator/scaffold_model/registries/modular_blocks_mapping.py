"""MODULAR_PIPELINE_BLOCKS_MAPPING of older checkouts: pipeline class -> its default blocks.

Before:
    MODULAR_PIPELINE_BLOCKS_MAPPING = OrderedDict(
        [
            ("BarModularPipeline", "BarAutoBlocks"),
            ("QuxModularPipeline", "QuxAutoBlocks"),
        ]
    )

Entry: Entry("modular_blocks_mapping", "", "FooModularPipeline", "MODULAR_PIPELINE_BLOCKS_MAPPING", "FooAutoBlocks")

After:
    MODULAR_PIPELINE_BLOCKS_MAPPING = OrderedDict(
        [
            ("BarModularPipeline", "BarAutoBlocks"),
            ("FooModularPipeline", "FooAutoBlocks"),
            ("QuxModularPipeline", "QuxAutoBlocks"),
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

NAME = "modular_blocks_mapping"
PATH = f"{ROOT}/modular_pipelines/modular_pipeline.py"
MAPPING = "MODULAR_PIPELINE_BLOCKS_MAPPING"


def entries(subject: Subject, conventions: Conventions, snapshot: Snapshot) -> Iterable[Entry]:
    if not isinstance(subject, Export) or subject.kind != "modular pipeline" or not conventions.blocks_mapping:
        return
    value = blocks.default_blocks(subject, snapshot)
    if value:
        yield Entry(NAME, PATH, subject.name, MAPPING, value)


def listed(source: str) -> list[Listed]:
    mapping = pairs.find(source, MAPPING)
    return [Listed(p.key, MAPPING, p.first, ast.unparse(p.value)) for p in mapping.pairs] if mapping else []


def insert(source: str, entry: Entry) -> str:
    if any(item.object == entry.object for item in listed(source)):
        return source
    edited = pairs.insert(
        source,
        MAPPING,
        entry.object,
        f'"{entry.value}"',
        lambda keys: positions.in_family(keys, entry.object, entry),
    )
    if edited is None:
        raise AnchorNotFound(entry.path or PATH, MAPPING)
    return edited


def remove(source: str, entry: Entry) -> str:
    return pairs.remove(source, MAPPING, entry.object)
