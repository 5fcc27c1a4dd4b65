"""The parts of the structural merge: what the registry files list, and the proof that a merge lists what it must."""

from __future__ import annotations

from .docs import read_page, read_toctree
from .python import read_classes, read_python
from .regions import Reader

MIXINS = "src/diffusers/loaders/lora_pipeline.py"


def reader_for(path: str) -> Reader:
    """What reads the regions of a registry file."""
    if path.endswith(".yml"):
        return read_toctree
    if path.endswith(".md"):
        return read_page
    return read_classes if path == MIXINS else read_python
