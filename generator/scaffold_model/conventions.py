"""What a checkout expects, detected by the shape of its files and never by its version."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .snapshot import Snapshot

MODULAR = "src/diffusers/modular_pipelines/modular_pipeline.py"
TOCTREE = "docs/source/en/_toctree.yml"
PYPROJECT = "pyproject.toml"
DEFAULT_LINE_LENGTH = 119


@dataclass(frozen=True)
class Conventions:
    """The conventions that the registries ask for.

    Attributes:
        line_length: The longest line that the formatter leaves alone.
        modular: Whether there are modular pipelines.
        default_map: Whether values of MODULAR_PIPELINE_MAPPING are made by ``_create_default_map_fn``.
        blocks_mapping: Whether there is a MODULAR_PIPELINE_BLOCKS_MAPPING.
        models_layout: The folders of ``models/`` that are packages; empty in the flat layout.
        toctree: Whether there is a table of contents.
        sources: For each of these names the file that it was read from.
    """

    line_length: int
    modular: bool
    default_map: bool
    blocks_mapping: bool
    models_layout: tuple[str, ...]
    toctree: bool
    sources: dict[str, str]


def detect(snapshot: Snapshot) -> Conventions:
    """The conventions of a checkout."""
    pyproject = snapshot.read(PYPROJECT) or ""
    length = re.search(r"^line-length\s*=\s*(\d+)", pyproject, re.MULTILINE)
    modular = snapshot.read(MODULAR) or ""
    layout = tuple(
        folder
        for folder in snapshot.folders("src/diffusers/models")
        if snapshot.exists(f"src/diffusers/models/{folder}/__init__.py")
    )
    return Conventions(
        line_length=int(length[1]) if length else DEFAULT_LINE_LENGTH,
        modular=bool(modular),
        default_map="def _create_default_map_fn(" in modular,
        blocks_mapping=bool(re.search(r"^MODULAR_PIPELINE_BLOCKS_MAPPING\b", modular, re.MULTILINE)),
        models_layout=layout,
        toctree=snapshot.exists(TOCTREE),
        sources={
            "line_length": PYPROJECT,
            "modular": MODULAR,
            "default_map": MODULAR,
            "blocks_mapping": MODULAR,
            "models_layout": "src/diffusers/models",
            "toctree": TOCTREE,
        },
    )
