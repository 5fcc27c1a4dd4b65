"""The TYPE_CHECKING half of ``schedulers/__init__.py``: one key per module, in order.

Before:
    if TYPE_CHECKING or DIFFUSERS_SLOW_IMPORT:
        if is_torch_available():
            from .scheduling_bar import BarScheduler
            from .scheduling_qux import QuxScheduler

Entry: Entry("schedulers_types", "", "FooScheduler", "scheduling_foo", backends=("torch",))

After:
    if TYPE_CHECKING or DIFFUSERS_SLOW_IMPORT:
        if is_torch_available():
            from .scheduling_bar import BarScheduler
            from .scheduling_foo import FooScheduler
            from .scheduling_qux import QuxScheduler
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from . import init_reading, lazy_init, paths, positions
from .base import ROOT, Entry, Listing, Subject

if TYPE_CHECKING:
    from ..conventions import Conventions
    from ..snapshot import Snapshot

NAME = "schedulers_types"
PATH = f"{ROOT}/schedulers/__init__.py"


def entries(subject: Subject, conventions: Conventions, snapshot: Snapshot) -> Iterable[Entry]:
    if paths.in_area(subject, "schedulers"):
        key = paths.module_of(subject)[0]
        yield Entry(NAME, PATH, subject.name, key, backends=subject.backends, width=conventions.line_length)


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
