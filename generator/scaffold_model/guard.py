"""The promise of an insertion, kept for any text: exactly the asked-for entry more, in a file that parses, or a refusal.

Registries understand the shapes that diffusers has. What people and tools make of a file is more than that, so the
result is read again, and what is not as it should be is refused before anything is written.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from .errors import BrokenFile, ScaffoldError
from .registries.base import Entry, Registry, changes, of_name
from .sound import check_text


def insert(registry: Registry, source: str, entry: Entry) -> str:
    """``registry.insert``, which leaves a text alone only where it lists the entry; `check_insertions` proves what it made.

    Raises:
        ScaffoldError: The registry lacks what the entry goes beside, or is written in a form that can not be edited.
    """
    with understood(entry, source):
        edited = registry.insert(source, entry)
    if edited == source:
        check_listed(registry, source, entry)
    return edited


@contextmanager
def understood(entry: Entry, source: str) -> Iterator[None]:
    """Turn whatever a registry stumbles over into a refusal that names the file."""
    try:
        yield
    except ScaffoldError as error:
        error.object = entry.object
        raise
    except Exception as error:
        # The file is as it was; where it is broken, the line says so, and else that its form is not understood.
        check_text(entry.path, source)
        raise _refusal(entry) from error


def check_insertions(registry: Registry, before: str, after: str, entries: Sequence[Entry]) -> None:
    """Refuse an edited registry that holds anything but the entries more, or anything less.

    Raises:
        BrokenFile: The registry is written in a form that is not understood.
    """
    if not entries:
        return
    with understood(entries[0], before):
        changed = changes(registry.listed(before), registry.listed(after))
    if entries[0].path.endswith(".yml"):
        # Modules are proven by whoever edits them, since several registries may edit one.
        _check_yaml(entries[0], after)
    wanted = Counter(entry.object for entry in entries)
    found: Counter[str] = Counter()
    for fact, count in changed.items():
        found[fact[0]] += count
    if any(count < 0 for count in changed.values()) or found != wanted:
        lacking = next((entry for entry in entries if found[entry.object] != wanted[entry.object]), entries[0])
        raise _refusal(lacking)


def _check_yaml(entry: Entry, after: str) -> None:
    try:
        check_text(entry.path, after)
    except BrokenFile:
        raise _refusal(entry) from None


def check_listed(registry: Registry, source: str, entry: Entry) -> None:
    """Refuse a registry that an insertion left alone although the entry is not in it.

    Raises:
        BrokenFile: The registry is written in a form that is not understood.
    """
    with understood(entry, source):
        listed = any(entry.is_listed_as(item) for item in of_name(registry.listed(source), entry.object))
    if not listed:
        raise _refusal(entry)


def _refusal(entry: Entry) -> BrokenFile:
    return BrokenFile(
        f"{entry.object} can not be added to {entry.registry}, which is written in a form that is not understood",
        path=entry.path,
        hint="format the file as the repository does and run again, or report it if the file is untouched",
    )
