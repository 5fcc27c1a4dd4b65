"""Editing lazy ``__init__`` modules; the registries of init files differ only in the suite and order they ask for."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from ..code import names as code_names
from ..code.folding import unfolded
from ..code.syntax import last_line
from ..code.text import get_lines, indent_of, insert_before, line_count, remove_lines
from ..errors import AnchorNotFound
from ..plan import Export
from . import guards
from .base import ROOT, Entry
from .init_blocks import Key, Suite
from .init_reading import STRUCTURE, blocks, holding, keys, listed, suites
from .paths import package_inits

if TYPE_CHECKING:
    from ..snapshot import Snapshot

_EMPTY = f"{STRUCTURE} = {{}}"
Position = Callable[[Sequence[str], str, Entry], int]


def insert(
    source: str, entry: Entry, half: str, *, name_position: Position, key_position: Position, guarded: bool = True
) -> str:
    """Register ``entry.object`` under ``entry.key`` in the suite of ``entry.backends``.

    Args:
        source: The init module.
        entry: What to register.
        half: ``structure`` or ``types``.
        name_position: Where among the names of its module it goes.
        key_position: Where among the modules a new one goes.
        guarded: Whether the suite must have exactly the entry's backends; if not, the fullest suite will do.

    A module that asks for these backends nowhere gets a guard of its own for them, below the one most like it.
    """
    if holding(source, half, entry.object):
        return source
    suite = _choose(source, entry, half, guarded)
    if suite is None:
        return _with_guard(source, entry, half)
    present = [key for block in blocks(source, half) if block.suite.index == suite.index for key in block.keys]
    same = [key for key in present if key.module == entry.key and key.has_list]
    if same:
        return _insert_name(source, entry, half, same[0], name_position)
    if half == "types":
        present = _first_run(present)
    return _new_key(source, entry, half, suite, present, key_position)


def _insert_name(source: str, entry: Entry, half: str, key: Key, name_position: Position) -> str:
    """Insert the entry's name among those of its module."""
    if key.plain and key.plain.below:
        index = name_position(key.names, entry.object, entry)
        name = entry.object if half == "types" else f'"{entry.object}"'
        row = key.first + key.plain.below
        return insert_before(source, row + index, f"{indent_of(source, row)}{name},")
    statement, brackets = _parsed(source, key)
    index = name_position([name for name, _ in code_names.elements(brackets)], entry.object, entry)
    # A list on one line breaks where it gets too long, or where the lists around it are broken anyway.
    early = half == "structure" and key.assigns and key.item is None
    width = 0 if early and _breaks_early(source, key, entry.width) else entry.width
    return code_names.insert_name(source, statement, brackets, entry.object, index, width)


def _parsed(source: str, key: Key) -> tuple[ast.stmt, code_names.Brackets]:
    """The statement and the brackets of a key, as the parser reads them."""
    if key.plain:
        return unfolded(source, key.first, key.last)
    assert key.statement is not None
    assert key.brackets is not None
    return key.statement, key.brackets


def remove(source: str, entry: Entry, half: str) -> str:
    """Take ``entry.object`` out of its module, and the module's statement when nothing is left in it."""
    for key in holding(source, half, entry.object):
        if key.module == entry.key:
            if key.count > 1:
                statement, brackets = _parsed(source, key)
                broken_from = _broken_from(key, half, entry)
                return code_names.remove_name(source, statement, brackets, entry.object, entry.width, broken_from)
            if key.item is not None and _was_in_one_line(source, key, entry):
                return _in_one_line(
                    source, key, lambda rows: [row for row in rows if f'"{entry.object}"' not in row], entry
                )
            if key.item is not None:
                return _without_item(source, key.item, key.brackets or key.item)
            if key.suite.lines == (key.first, key.last):
                return _with_pass(source, key)
            return _without(source, key)
    return source


def _was_in_one_line(source: str, key: Key, entry: Entry) -> bool:
    """Whether a dict literal of two items is broken only because both do not fit, and one does."""
    head, rows, tail = _literal(source, key)
    whole = f"{head}{{{', '.join(rows)}}}{tail}"
    return len(rows) == 2 and key.last > key.first and len(whole) > entry.width and "#" not in head + "".join(rows)


def _without_item(source: str, item: ast.expr, value: ast.expr | ast.ImportFrom) -> str:
    """The source without an item of a dict literal, which may share its lines with the statement or with other items."""
    before = get_lines(source, item.lineno, item.lineno).encode()[: item.col_offset].decode()
    line = get_lines(source, last_line(value), last_line(value)).rstrip("\n").encode()
    after = line[value.end_col_offset or 0 :].decode()
    if not before.strip() and not after.removeprefix(",").strip():
        return remove_lines(source, item.lineno, last_line(value))
    if after.startswith(","):
        after = after[1:].lstrip()
    else:
        before = before.rstrip().removesuffix(",")
    shorter = remove_lines(source, item.lineno, last_line(value))
    return insert_before(shorter, item.lineno, before + after)


def _with_pass(source: str, key: Key) -> str:
    """The source with ``pass`` for a statement that is the only one under its guard."""
    indent = indent_of(source, key.first)
    return insert_before(remove_lines(source, key.first, key.last), key.first, f"{indent}pass")


def _broken_from(key: Key, half: str, entry: Entry) -> int:
    """The length from which a list counts as broken for the sake of its last name alone; see ``insert``."""
    if half == "types":
        return entry.width
    if key.assigns:
        return 0 if key.count == 2 and key.item is None else entry.width
    return entry.width if key.count == 2 else sys.maxsize


def _without(source: str, key: Key) -> str:
    """The source without a statement, and without one of two blank lines that would meet."""
    first, last = key.first, key.last
    blank_above = first > 1 and not get_lines(source, first - 1, first - 1).strip()
    blank_below = last < line_count(source) and not get_lines(source, last + 1, last + 1).strip()
    if blank_above and (blank_below or last == line_count(source)):
        return remove_lines(source, first - 1, last)
    if blank_below and not blank_above and _opens_spaced(source, key):
        return remove_lines(source, first, last + 1)
    return remove_lines(source, first, last)


def _opens_spaced(source: str, key: Key) -> bool:
    """Whether the statement is the first of its suite, whose other statements have blank lines between them."""
    body = [(statement.lineno, last_line(statement)) for statement in key.suite.body]
    # A run of several statements has no blank lines between them.
    return body[0] == (key.first, key.last) and len(body) > 2 and not key.suite.dense and _spaced(source, body)


def package_order(export: Export, snapshot: Snapshot) -> tuple[str, ...]:
    """The names that the export's own package registers, in its order."""
    for path, _ in package_inits(export):
        source = snapshot.read(path)
        return tuple(item.object for item in listed(source, "structure")) if source else ()
    return ()


def _choose(source: str, entry: Entry, half: str, guarded: bool) -> Suite | None:
    """The suite that the entry belongs in; the first that registers anything, else the first; None where there is none."""
    wanted = tuple(sorted(entry.backends))
    candidates = [suite for suite in suites(source) if suite.half == half]
    counts = {suite.index: 0 for suite in candidates}
    modules: dict[int, set[str]] = {suite.index: set() for suite in candidates}
    for key in keys(source, half):
        counts[key.suite.index] += key.count
        if key.has_list:
            modules[key.suite.index].add(key.module)
    matching = [suite for suite in candidates if suite.backends == wanted]
    known = [suite for suite in candidates if suite.backends and entry.key in modules[suite.index]]
    if entry.path != f"{ROOT}/__init__.py" and len(known) == 1 and set(known[0].backends) < set(wanted):
        # A package with one statement keeps it, though its other classes ask for less: its own init guards the class.
        matching = known
    if not guarded:
        matching = [suite for suite in candidates if entry.key in modules[suite.index]] or matching
    if not guarded and not any(counts[suite.index] or _is_emptied(source, suite) for suite in matching):
        matching = sorted(candidates, key=lambda suite: -counts[suite.index])[:1]
    if not matching:
        return None
    for suite in matching:
        if entry.key in modules[suite.index]:
            return suite
    # What a suite lost last is what comes back to it.
    return max(matching, key=lambda suite: (_is_emptied(source, suite), counts[suite.index]))


def _with_guard(source: str, entry: Entry, half: str) -> str:
    """The module with a guard for the entry's backends, below the last of those that ask for most of them and no others.

    That for torch, with transformers or without, is in every module that has guards: where it is gone, something is broken.
    """
    wanted = set(entry.backends)
    guarding = (suite for suite in suites(source) if suite.half == half and suite.guard and suite.body)
    beside = [suite for suite in guarding if set(suite.guard) < wanted]
    edited = None
    if beside and wanted - {"torch", "transformers"}:
        neighbour = max(beside, key=lambda suite: (len(suite.guard), suite.index))
        registration = _registration(source, entry, half, indent_of(source, neighbour.lines[0]))
        dummies = guards.placeholders(entry.backends)
        edited = guards.below(source, neighbour, entry.backends, registration, dummies=dummies, width=entry.width)
    if edited is None:
        guard = " and ".join(f"is_{backend}_available()" for backend in entry.backends) or "a module"
        raise AnchorNotFound(entry.path, f"the suite for {guard} in the {half} half")
    return edited


def _registration(source: str, entry: Entry, half: str, indent: str) -> str:
    """The statement that registers the entry under a key that its suite does not have yet."""
    module, name = entry.text_key, entry.object
    if half == "types":
        text = f"{indent}from .{module} import {name}"
    elif any(key.module == module for key in keys(source, half)):
        text = f'{indent}{STRUCTURE}["{module}"].extend(["{name}"])'
    else:
        text = f'{indent}{STRUCTURE}["{module}"] = ["{name}"]'
    return code_names.explode(text) if len(text) > entry.width else text


def _first_run(present: list[Key]) -> list[Key]:
    """The first contiguous run of imports: what stands behind another statement is no neighbour."""
    run: list[Key] = []
    for key in present:
        if run and key.place != run[-1].place + 1:
            break
        run.append(key)
    return run


def _new_key(source: str, entry: Entry, half: str, suite: Suite, present: list[Key], key_position: Position) -> str:
    module = entry.text_key
    anchors = [key for key in present if key.item is None]
    if not anchors and half == "structure" and any(key.item is not None for key in present):
        return _new_item(source, entry, present, key_position)
    index = key_position([key.module for key in anchors], module, entry)
    indent = indent_of(source, anchors[0].first if anchors else suite.body[0].lineno)
    text = _registration(source, entry, half, indent)
    if not anchors:
        return _first_key(source, entry, suite, text)
    line = anchors[index].first if index == 0 else anchors[index - 1].last + 1
    if _spaced(source, [(key.first, key.last) for key in anchors]):
        text = f"{text}\n" if index == 0 else f"\n{text}"
        return insert_before(source, line, text + "\n")
    return insert_before(source, line, text)


def _first_key(source: str, entry: Entry, suite: Suite, text: str) -> str:
    """The source with the first registration of a suite: in an empty dict literal, for ``pass``, else behind all that is there."""
    first, last = suite.lines
    if _is_emptied(source, suite):
        return insert_before(remove_lines(source, first, last), first, text)
    for statement in suite.body:
        if isinstance(statement, ast.Assign) and get_lines(source, statement.lineno, statement.lineno) == _EMPTY:
            key = Key("", suite, 0, statement.lineno, statement.lineno)
            return _in_one_line(source, key, lambda _: [f'"{entry.text_key}": ["{entry.object}"]'], entry)
    return insert_before(source, last + 1, text)


def _is_emptied(source: str, suite: Suite) -> bool:
    """Whether nothing but ``pass`` is left under a guard."""
    # An ``if`` without an ``else`` has a suite without statements.
    return len(suite.body) == 1 and get_lines(source, *suite.lines).strip() == "pass"


def _breaks_early(source: str, key: Key, width: int) -> bool:
    """Whether a list has one name per line although it would fit on one: as the list above it, else as most."""
    votes = 0
    for other in keys(source, "structure"):
        if other.assigns and other.item is None and other.count > 1:
            text = get_lines(source, other.first, other.last)
            if len(code_names.collapse(text)) <= width:
                vote = 1 if "\n" in text else -1
                if other.last == key.first - 1:
                    return vote > 0
                votes += vote
    return votes > 0


def _spaced(source: str, statements: Sequence[tuple[int, int]]) -> bool:
    """Whether a blank line stands between all statements, given by their lines, of which there are two at least."""
    gaps = (
        later - end == 2 and not get_lines(source, later - 1, later - 1).strip()
        for (_, end), (later, _) in pairwise(statements)
    )
    return len(statements) > 1 and all(gaps)


def _new_item(source: str, entry: Entry, present: list[Key], key_position: Position) -> str:
    """A new item of ``_import_structure = {...}`` in a module that has no other statement."""
    index = key_position([key.module for key in present], entry.text_key, entry)
    items = [key.item for key in present if key.item is not None]
    text = f'"{entry.key}": ["{entry.object}"]'
    if items[0].lineno == present[0].first:
        return _in_one_line(source, present[0], lambda rows: [*rows[:index], text, *rows[index:]], entry)
    before = present[index - 1]
    line = items[index].lineno if index == 0 else last_line(before.brackets or items[index - 1]) + 1
    return insert_before(source, line, f"{indent_of(source, items[0].lineno)}{text},")


def _in_one_line(source: str, key: Key, change: Callable[[list[str]], list[str]], entry: Entry) -> str:
    """The source with other items in a dict literal, all on one line where there is room, as the formatter writes it."""
    head, rows, tail = _literal(source, key)
    rows = change(rows)
    text = f"{head}{{{', '.join(rows)}}}{tail}"
    if len(text) > entry.width:
        indent = indent_of(source, key.first)
        text = "\n".join([f"{head}{{", *(f"{indent}    {row}," for row in rows), f"{indent}}}{tail}"])
    return insert_before(remove_lines(source, key.first, key.last), key.first, text)


def _literal(source: str, key: Key) -> tuple[str, list[str], str]:
    """What stands before a dict literal, the texts of its items, and what stands behind it."""
    statement = get_lines(source, key.first, key.last)
    text = statement.strip()
    literal = next(node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Dict))
    pairs = [(name, value) for name, value in zip(literal.keys, literal.values, strict=True) if name is not None]
    rows = [": ".join(ast.get_source_segment(text, node) or "" for node in pair) for pair in pairs]
    return statement.split("{", 1)[0], rows, statement.rsplit("}", 1)[1]
