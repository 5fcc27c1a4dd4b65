"""Quantization configurations in the root ``__init__.py``: each under a guard, and with placeholders, of its own.

A configuration belongs to the quantizer that ``quantizers/auto.py`` maps the same key to. The library that this quantizer,
and no other, refuses to work without guards it; one that needs no such library is guarded by torch, and its placeholders
are named after its key.

Before:
    try:
        if not is_torch_available() and not is_accelerate_available() and not is_gguf_available():
            raise OptionalDependencyNotAvailable()
    except OptionalDependencyNotAvailable:
        from .utils import dummy_gguf_objects

        _import_structure["utils.dummy_gguf_objects"] = [
            name for name in dir(dummy_gguf_objects) if not name.startswith("_")
        ]
    else:
        _import_structure["quantizers.quantization_config"].append("GGUFQuantizationConfig")

Entry: Entry("root_structure", "", "FooConfig", KEY, "dummy_foo_objects", ("torch", "accelerate", "foo"))

After: the same, and below it the same statement with ``foo`` for ``gguf`` and ``FooConfig`` for its class.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..code.splice import without_import
from ..code.syntax import last_line
from ..code.text import remove_lines
from ..errors import AnchorNotFound
from . import guards, init_reading
from .base import ROOT, Entry
from .init_blocks import Suite

if TYPE_CHECKING:
    from ..conventions import Conventions
    from ..plan import Export
    from ..snapshot import Snapshot

KEY = "quantizers.quantization_config"
FOLDER = f"{ROOT}/quantizers"
CONFIGURATIONS = f"{FOLDER}/quantization_config.py"
_AUTO = f"{FOLDER}/auto.py"
_ROOT_INIT = f"{ROOT}/__init__.py"
_TORCH = ("torch",)
_MAPPING = re.compile(r"^AUTO_QUANTIZ(ER|ATION_CONFIG)_MAPPING = \{\n(.*?)^\}", re.MULTILINE | re.DOTALL)
_ITEM = re.compile(r'^ +"([\w-]+)": (\w+),', re.MULTILINE)
_IMPORT = re.compile(r"^from \.(\w+) import (?:\(([^)]*)\)|(.*))", re.MULTILINE)
# What a quantizer refuses to work without.
_REQUIRED = re.compile(r"^ +if not is_(\w+)_available\(\)[^\n]*:\n +raise ImportError", re.MULTILINE)


def known(snapshot: Snapshot) -> list[str]:
    """The configurations that the root exports."""
    source = snapshot.read(_ROOT_INIT) or ""
    return [name for half in ("structure", "types") for suite in _suites(source, half) for name in suite[1]]


def configurations(snapshot: Snapshot) -> dict[str, str]:
    """The configurations that ``quantizers/auto.py`` maps a key to, each with its first key."""
    found: dict[str, str] = {}
    for key, name in _mapping(snapshot, "ATION_CONFIG").items():
        found.setdefault(name, key)
    return found


def guard(snapshot: Snapshot, name: str) -> tuple[str, ...] | None:
    """The backends that the TYPE_CHECKING half asks for before a configuration; None where the library can not ask for it.

    No backends where the root lists its neighbours without a guard, as it did before March 2025.
    """
    source = snapshot.read(_ROOT_INIT) or ""
    if not any(suite.guard for suite, _ in _suites(source, "types")):
        return ()
    library = _library(snapshot, configurations(snapshot)[name])
    asked = f"is_{library}_available"
    if not library:
        return _TORCH
    return (library,) if asked in (snapshot.read(f"{ROOT}/utils/__init__.py") or "") else None


def lacking(snapshot: Snapshot, name: str) -> str:
    """Why a configuration that the root does not export can not be registered, and what to do."""
    key = configurations(snapshot).get(name)
    if key is None:
        return f"that {_AUTO} maps no key to; map one to have it registered at the root"
    library = _library(snapshot, key)
    if known(snapshot):
        return f"of a library that {ROOT}/utils/__init__.py can not ask for; export is_{library}_available there"
    return f"and the root exports no other; add it to {_ROOT_INIT} by hand"


def placeholders(snapshot: Snapshot, name: str) -> str:
    """The module of a configuration's placeholders."""
    key = configurations(snapshot)[name]
    return f"dummy_{_library(snapshot, key) or key.replace('-', '_')}_objects"


def entries(registry: str, half: str, export: Export, conventions: Conventions, snapshot: Snapshot) -> Iterator[Entry]:
    """What a half of the root must hold for a configuration."""
    source = snapshot.read(_ROOT_INIT) or ""
    asked = _lazy_guard(source, export.backends) if half == "structure" else export.backends
    dummies = placeholders(snapshot, export.name) if asked else ""
    yield Entry(registry, _ROOT_INIT, export.name, KEY, dummies, asked, width=conventions.line_length)


def is_new_guard(source: str, entry: Entry, half: str) -> bool:
    """Whether the entry needs a statement ``try`` of its own: a library that guards another configuration has one."""
    if entry.key != KEY or not entry.backends:
        return False
    shared = sorted(entry.backends) != sorted(_TORCH)
    return not (shared and any(sorted(suite.guard) == sorted(entry.backends) for suite, _ in _suites(source, half)))


def insert(source: str, entry: Entry, half: str) -> str:
    """The root with the entry in a ``try`` statement of its own, below those of the other configurations."""
    lazy = half == "structure"
    registration = (
        f'_import_structure["{KEY}"].append("{entry.object}")' if lazy else f"from .{KEY} import {entry.object}"
    )
    edited = guards.below(
        source,
        _suites(source, half)[-1][0],
        entry.backends,
        registration,
        dummies=entry.value,
        width=entry.width,
        each=lazy,
    )
    if edited is None:
        raise AnchorNotFound(entry.path, f"the try statement of a configuration in the {half} half")
    return edited


def remove(source: str, entry: Entry, half: str) -> str | None:
    """The root without the entry's ``try`` statement and what only that asks for; None where the entry has none of its own."""
    keys = init_reading.holding(source, half, entry.object)
    if not keys or entry.key != KEY or not keys[0].suite.guard or keys[0].suite.lines != (keys[0].first, keys[0].last):
        return None
    statement = guards.statement_of(source, keys[0].suite)
    if statement is None or keys[0].count > 1:
        return None
    source = remove_lines(source, statement.lineno - 1, last_line(statement))
    for backend in keys[0].suite.guard:
        source = without_import(source, ".utils", f"is_{backend}_available")
    return source


def _lazy_guard(source: str, backends: tuple[str, ...]) -> tuple[str, ...]:
    """What the structure half asks for: most configurations with a library of their own say what stands before it."""
    if backends in ((), _TORCH):
        return backends
    before = Counter(suite.guard[:-1] for suite, _ in _suites(source, "structure") if suite.guard not in ((), _TORCH))
    return (*(before.most_common(1)[0][0] if before else ()), *backends)


def _suites(source: str, half: str) -> list[tuple[Suite, list[str]]]:
    """The suites of a half that register configurations, each with their names."""
    found: dict[int, tuple[Suite, list[str]]] = {}
    for key in init_reading.keys(source, half):
        if key.module == KEY and key.names:
            found.setdefault(key.suite.index, (key.suite, []))[1].extend(key.names)
    return list(found.values())


def _mapping(snapshot: Snapshot, kind: str) -> dict[str, str]:
    """The class of each key, in ``AUTO_QUANTIZER_MAPPING`` or ``AUTO_QUANTIZATION_CONFIG_MAPPING``."""
    found = (items for which, items in _MAPPING.findall(snapshot.read(_AUTO) or "") if which == kind)
    return {key: name for items in found for key, name in _ITEM.findall(items)}


def _library(snapshot: Snapshot, key: str) -> str:
    """The library that the quantizer of a key refuses to work without and that no other asks for; empty without one."""
    quantizer = _mapping(snapshot, "ER").get(key, "")
    folders = {
        name: folder
        for folder, many, one in _IMPORT.findall(snapshot.read(_AUTO) or "")
        for name in re.findall(r"\w+", many or one)
    }
    own = folders.get(quantizer, "")
    others = "".join(_text(snapshot, folder) for folder in set(folders.values()) - {own})
    libraries = _REQUIRED.findall(_text(snapshot, own)) if own else []
    return next((library for library in libraries if f"is_{library}_available" not in others), "")


def _text(snapshot: Snapshot, folder: str) -> str:
    return "".join(snapshot.read(path) or "" for path in snapshot.walk(f"{FOLDER}/{folder}"))
