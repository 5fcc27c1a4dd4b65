"""The promise of an insertion, kept for any text: exactly the asked-for entry more, in a file that parses, or a refusal.

Registries understand the shapes that diffusers has. What people and tools make of a file is more than that, so the
result is read again, and what is not as it should be is refused before anything is written.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from .code.syntax import parse
from .errors import BrokenFile, ScaffoldError
from .registries.base import Entry, Listed, Registry
from .sound import check_text


def guarded_insert(registry: Registry, source: str, entry: Entry) -> str:
    """``registry.insert`` with its promise proven.

    Raises:
        ScaffoldError: The registry lacks what the entry goes beside, or is written in a form that can not be edited.
    """
    try:
        after = registry.insert(source, entry)
        before = registry.listed(source)
        if after == source and any(entry.is_listed_as(item) for item in before):
            return source
        added = _facts(registry.listed(after))
        added.subtract(_facts(before))
        if entry.path.endswith(".py"):
            parse(after)
    except ScaffoldError:
        raise
    except Exception as error:
        # Whatever it was that a registry stumbled over: the file is as it was, and the user is told which one it is.
        check_text(entry.path, source)
        raise _refusal(entry) from error
    changes = {fact: count for fact, count in added.items() if count}
    if list(changes.values()) != [1] or next(iter(changes))[0] != entry.object:
        raise _refusal(entry)
    return after


def _facts(items: Iterable[Listed]) -> Counter[tuple[str, str | tuple[str, ...], str, tuple[str, ...]]]:
    return Counter((item.object, item.key, item.value, item.backends) for item in items)


def _refusal(entry: Entry) -> BrokenFile:
    return BrokenFile(
        f"{entry.object} can not be added to {entry.registry}, which is written in a form that is not understood",
        path=entry.path,
        hint="format the file as the repository does and run again, or report it if the file is untouched",
    )
