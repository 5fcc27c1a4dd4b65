"""The TYPE_CHECKING half of ``pipelines/__init__.py``: imports in the order of ruff"s isort rules.

Before:
    if TYPE_CHECKING or DIFFUSERS_SLOW_IMPORT:
        try:
            if not (is_torch_available() and is_transformers_available()):
                raise OptionalDependencyNotAvailable()
        except OptionalDependencyNotAvailable:
            pass
        else:
            from .bar import BarPipeline
            from .qux import QuxPipeline

            try:
                if not is_onnx_available():
                    raise OptionalDependencyNotAvailable()
            except OptionalDependencyNotAvailable:
                pass
            else:
                from .onnx_utils import OnnxRuntimeModel

            from .stray import StrayPipeline

Entry: Entry("pipelines_types", "", "FooPipeline", "zoo", backends=("torch", "transformers"))

After:
    if TYPE_CHECKING or DIFFUSERS_SLOW_IMPORT:
        try:
            if not (is_torch_available() and is_transformers_available()):
                raise OptionalDependencyNotAvailable()
        except OptionalDependencyNotAvailable:
            pass
        else:
            from .bar import BarPipeline
            from .qux import QuxPipeline
            from .zoo import FooPipeline

            try:
                if not is_onnx_available():
                    raise OptionalDependencyNotAvailable()
            except OptionalDependencyNotAvailable:
                pass
            else:
                from .onnx_utils import OnnxRuntimeModel

            from .stray import StrayPipeline
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from . import init_reading, lazy_init, paths, positions
from .base import ROOT, Entry, Listing, Subject

if TYPE_CHECKING:
    from ..conventions import Conventions
    from ..snapshot import Snapshot

NAME = "pipelines_types"
PATH = f"{ROOT}/pipelines/__init__.py"


def entries(subject: Subject, conventions: Conventions, snapshot: Snapshot) -> Iterable[Entry]:
    if paths.in_area(subject, "pipelines"):
        yield Entry(
            NAME,
            PATH,
            subject.name,
            paths.module_of(subject)[0],
            backends=subject.backends,
            width=conventions.line_length,
        )


def listed(source: str) -> Listing:
    return init_reading.listed(source, "types")


def insert(source: str, entry: Entry) -> str:
    return lazy_init.insert(
        source,
        entry,
        "types",
        name_position=positions.by_import_order,
        key_position=positions.by_module_order,
    )


def remove(source: str, entry: Entry) -> str:
    return lazy_init.remove(source, entry, "types")
