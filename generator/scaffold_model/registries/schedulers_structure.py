"""The ``_import_structure`` half of ``schedulers/__init__.py``: one key per module, in order.

Before:
    _import_structure = {}

    if is_torch_available():
        _import_structure["scheduling_bar"] = ["BarScheduler"]
        _import_structure["scheduling_qux"] = ["QuxScheduler"]

Entry: Entry("schedulers_structure", "", "FooScheduler", "scheduling_foo", backends=("torch",))

After:
    _import_structure = {}

    if is_torch_available():
        _import_structure["scheduling_bar"] = ["BarScheduler"]
        _import_structure["scheduling_foo"] = ["FooScheduler"]
        _import_structure["scheduling_qux"] = ["QuxScheduler"]
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from . import init_reading, lazy_init, paths, positions
from .base import ROOT, Entry, Listing, Subject

if TYPE_CHECKING:
    from ..conventions import Conventions
    from ..snapshot import Snapshot

NAME = "schedulers_structure"
PATH = f"{ROOT}/schedulers/__init__.py"


def entries(subject: Subject, conventions: Conventions, snapshot: Snapshot) -> Iterable[Entry]:
    if paths.in_area(subject, "schedulers"):
        key = paths.module_of(subject)[0]
        yield Entry(NAME, PATH, subject.name, key, backends=subject.backends, width=conventions.line_length)


def listed(source: str) -> Listing:
    return init_reading.listed(source, "structure")


def insert(source: str, entry: Entry) -> str:
    return lazy_init.insert(
        source,
        entry,
        "structure",
        name_position=positions.by_object_order,
        key_position=positions.by_ascii,
    )


def remove(source: str, entry: Entry) -> str:
    return lazy_init.remove(source, entry, "structure")
