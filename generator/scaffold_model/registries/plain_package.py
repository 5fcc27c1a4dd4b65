"""The init of ``hooks`` and of ``guiders``: plain imports under ``if is_torch_available()``, which the root builds upon.

Before:
    if is_torch_available():
        from .bar_cache import BarCacheConfig, apply_bar_cache
        from .hooks import HookRegistry

Entry: Entry("plain_package", "", "FooCacheConfig", "foo_cache", backends=("torch",))

After:
    if is_torch_available():
        from .bar_cache import BarCacheConfig, apply_bar_cache
        from .foo_cache import FooCacheConfig
        from .hooks import HookRegistry
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..plan import Export
from . import init_reading, lazy_init, positions
from .base import ROOT, Entry, Listing, Subject, area
from .paths import PLAIN

if TYPE_CHECKING:
    from ..conventions import Conventions
    from ..snapshot import Snapshot

NAME = "plain_package"


def entries(subject: Subject, conventions: Conventions, snapshot: Snapshot) -> Iterable[Entry]:
    if not isinstance(subject, Export) or area(subject) not in PLAIN:
        return
    path = f"{ROOT}/{area(subject)}/__init__.py"
    if init_reading.is_plain(snapshot.read(path)):
        module = subject.path.rsplit("/", 1)[1].removesuffix(".py")
        yield Entry(NAME, path, subject.name, module, backends=("torch",), width=conventions.line_length)


def listed(source: str) -> Listing:
    return init_reading.listed(source, "types")


def insert(source: str, entry: Entry) -> str:
    return lazy_init.insert(
        source,
        entry,
        "types",
        name_position=positions.by_import_order,
        key_position=positions.by_module_order,
        guarded=False,
    )


def remove(source: str, entry: Entry) -> str:
    return lazy_init.remove(source, entry, "types")
