"""What every registry is held to; the test modules beside this file add the shapes of their own registry."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import textwrap
from dataclasses import dataclass

from scaffold_model.registries.base import Entry, Registry


@dataclass(frozen=True)
class Example:
    """The before -> after example of a registry's docstring."""

    before: str
    entry: Entry
    after: str


def load(name: str) -> Registry:
    """The registry module ``name``."""
    module: Registry = importlib.import_module(f"scaffold_model.registries.{name}")  # type: ignore[assignment]
    return module


def example(name: str) -> Example:
    """The example in the docstring of the registry ``name``."""
    text = importlib.import_module(f"scaffold_model.registries.{name}").__doc__ or ""
    _, rest = text.split("\nBefore:\n", 1)
    before, rest = rest.split("\nEntry: ", 1)
    expression, after = rest.split("\nAfter:\n", 1)
    entry = eval(expression.strip(), {"Entry": Entry})
    assert isinstance(entry, Entry)
    return Example(source(before), entry, source(after))


def replaced(entry: Entry, **changes: str) -> Entry:
    """The entry with other values."""
    return dataclasses.replace(entry, **changes)  # type: ignore[arg-type]


def source(text: str) -> str:
    """An indented text as a file: no indentation, no blank line at its ends, one line end."""
    return textwrap.dedent(text).strip("\n") + "\n"


def check(registry: Registry, before: str, entry: Entry, after: str, *, python: bool = True) -> None:
    """``insert`` gives exactly ``after``, a second one changes nothing, and ``remove`` gives ``before`` back."""
    inserted = registry.insert(before, entry)
    assert inserted == after
    assert registry.insert(inserted, entry) == inserted
    listed = [item for item in registry.listed(inserted) if item.object == entry.object]
    assert len(listed) == 1
    assert entry.object in inserted.split("\n")[listed[0].line - 1]
    assert registry.remove(inserted, entry) == before
    assert registry.remove(before, entry) == before
    if python:
        ast.parse(inserted)


def check_adds_lines_only(before: str, after: str) -> None:
    """Every line of ``before`` is in ``after``, in the same order."""
    rows = iter(after.split("\n"))
    assert all(row in rows for row in before.split("\n"))
