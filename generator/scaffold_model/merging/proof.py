"""What a registry file lists, and whether a merge lists what it must."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator, Sequence

from ..code.syntax import parse
from ..registries import (
    auto_pipeline,
    dummy_objects,
    init_reading,
    lora_docs,
    modular_blocks_mapping,
    modular_mapping,
    toctree,
)
from ..registries.base import Listed, Registry
from . import MIXINS, reader_for

# An entry is what must be unique (a list and a name in it), and what belongs to it (module, value, backends).
Entry = tuple[str, str, str]

_MAPPINGS: tuple[Registry, ...] = (modular_mapping, modular_blocks_mapping, auto_pipeline)


def entries(source: str, path: str) -> Counter[Entry]:
    """All that a registry file lists.

    Raises:
        SyntaxError: The file can not be read.
    """
    return Counter(_entries(source, path))


def contradicts(base: str, ours: str, theirs: str, choices: Sequence[str], path: str) -> str:
    """Why a merge has the wrong entries; empty where they are right.

    An entry must be there as often as the side has it that changed it. What is listed under one name must not be there
    more often than in any version, so that two different registrations of one name contradict each other.

    Args:
        base: The file at the merge base.
        ours: The file on our side.
        theirs: The file on theirs.
        choices: The merged text; of one with conflicts, what it is with all of ours and with all of theirs.
        path: The file's path.
    """
    try:
        before, mine, other, *after = (entries(text, path) for text in (base, ours, theirs, *choices))
    except SyntaxError as error:
        return f"a version can not be read: {error}"
    for entry in {**before, **mine, **other, **{key: 1 for found in after for key in found}}:
        counts = before[entry], mine[entry], other[entry]
        wanted = {counts[2] if counts[1] == counts[0] else counts[1]}
        if counts[1] != counts[2] and counts[0] not in counts[1:]:
            wanted = {*counts[1:]}
        present = [found[entry] for found in after]
        if not min(present) <= min(wanted) <= max(wanted) <= max(present):
            return f"{entry[1]} is listed {max(present)} times, not {max(wanted)}"
    names = [_names(side) for side in (before, mine, other)]
    for name, count in [pair for found in after for pair in _names(found).items()]:
        if count > max(side[name] for side in names):
            return f"{name[1]} is listed twice"
    return ""


def _names(found: Counter[Entry]) -> Counter[tuple[str, str]]:
    result: Counter[tuple[str, str]] = Counter()
    for (place, name, _), count in found.items():
        result[place, name] += count
    return result


def _entries(source: str, path: str) -> Iterator[Entry]:
    if path.endswith(".yml"):
        # Without the titles of the sections, since one side may change them; a page is in one of the same depth.
        yield from (_entry("toctree", item, (len(item.key), item.value)) for item in toctree.listed(source))
    elif path.endswith(".md"):
        yield from (_entry("lora_docs", item, ()) for item in lora_docs.listed(source))
        yield from _regions(source, path)
    elif path.endswith("__init__.py"):
        for half in ("structure", "types"):
            yield from (_entry(half, item, (item.key, item.backends)) for item in init_reading.listed(source, half))
            for key in init_reading.keys(source, half):
                if not key.objects:
                    yield half, f"{key.module} without names", repr(key.suite.backends)
    elif path == MIXINS:
        # Its 7,000 lines are code; the classes are all that each side adds.
        yield from _regions(source, path)
    else:
        parse(source)
        if "DummyObject" in source or "requires_backends(" in source:
            yield from (_entry("dummies", item, (item.key, item.backends)) for item in dummy_objects.listed(source))
        for registry in _MAPPINGS:
            yield from (_entry(str(item.key), item, (item.value,)) for item in registry.listed(source))
        yield from _imports(source)
        yield from _regions(source, path)


def _entry(place: str, item: Listed, extra: tuple[object, ...]) -> Entry:
    return place, item.object, repr(extra)


def _imports(source: str) -> Iterator[Entry]:
    """The names that a module imports, each with the module and the function that it is imported from and in."""
    pending: list[tuple[str, ast.AST]] = [("", node) for node in parse(source).body]
    while pending:
        place, node = pending.pop()
        if isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            yield from (
                (f"imports {place}", alias.asname or alias.name, f"{module} {alias.name}") for alias in node.names
            )
        elif isinstance(node, ast.If | ast.Try):
            pending.extend((place, inner) for inner in [*node.body, *node.orelse])
        elif isinstance(node, ast.FunctionDef):
            pending.extend((f"{place}{node.name}", inner) for inner in node.body)


def _regions(source: str, path: str) -> Iterator[Entry]:
    """The keys of the regions, in which also registries are seen that have no reader of their own."""
    for region in reader_for(path)(source):
        if region.place.endswith(("/import", "/structure")):
            continue
        for item in region.items:
            yield region.place, item.key, ""
