"""The proof after an apply: every entry of a plan stands in its registry exactly once, as read from the disk again."""

from __future__ import annotations

from collections.abc import Iterable

from .plan import Registered
from .registries import OPTIONAL, REGISTRIES
from .registries.base import of_name
from .snapshot import Snapshot


def prove(snapshot: Snapshot, entries: Iterable[Registered]) -> None:
    """Count every entry in the registry that should list it.

    Raises:
        AssertionError: An entry is absent or doubled; the apply is rolled back and reported as a bug of ours.
    """
    registries = {registry.NAME: registry for registry in (*REGISTRIES, *OPTIONAL)}
    for entry in entries:
        registry = registries.get(entry.registry)
        if registry is None:
            continue
        text = snapshot.read(entry.path) or ""
        text = text.replace("\r\n", "\n") if "\r" in text else text
        named = of_name(registry.listed(text), entry.object)
        count = sum(not entry.key or item.key == entry.key for item in named)
        if count != 1:
            raise AssertionError(f"{entry.path}: {entry.object} is listed {count} times in {entry.registry}")
