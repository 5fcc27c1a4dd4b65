"""The places that the contributor must port: the ``TODO(<name>):`` marks in a model's files.

# TODO(foo): replace this block       ->  Todo(path, 12, "replace this block by the layers of the reference")
# by the layers of the reference
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from .errors import BadInput
from .manifest import read_manifest
from .snapshot import Snapshot
from .spec import ModelSpec


@dataclass(frozen=True, order=True)
class Todo:
    """One place to port: the file, the line of the mark, and what to do."""

    path: str
    line: int
    text: str


def todos(snapshot: Snapshot, name: str) -> list[Todo]:
    """All marks of the model ``name``, in the order of paths and lines.

    Looked at are the files of the manifest (created or edited) and whatever lies at the model's own paths.

    Raises:
        BadInput: There is no file of such a model here.
    """
    paths = sorted(_paths(snapshot, name))
    if not paths:
        raise BadInput(
            f"there are no files of a model named {name} here", hint="check the name, or give --checkout DIR"
        )
    return [todo for path in paths for todo in find_marks(snapshot.read(path) or "", path, name)]


def _paths(snapshot: Snapshot, name: str) -> set[str]:
    spec = ModelSpec(name)
    found: set[str] = set()
    for place in (*spec.owned_places(), spec.state_folder):
        if snapshot.exists(place):
            found.add(place)
        else:
            found.update(path for suffix in (".py", ".md") for path in snapshot.walk(place, suffix))
    manifest = read_manifest(snapshot, name)
    if manifest is not None:
        found.update(path for path in (*manifest.created, *manifest.edited) if snapshot.exists(path))
    return found


def find_marks(source: str, path: str, name: str) -> Iterator[Todo]:
    """The marks in one file; ``# `` comments and ``<!-- -->`` may run over several lines."""
    mark = f"TODO({name}):"
    lines = source.splitlines()
    for index, line in enumerate(lines):
        before, found, text = line.partition(mark)
        if not found:
            continue
        if before.rstrip().endswith("<!--"):
            parts: Iterable[str] = _html_comment(text, lines[index + 1 :])
        elif before.rstrip().endswith("#"):
            parts = [text, *_comment_lines(lines[index + 1 :], before.rindex("#"))]
        else:
            # In a docstring or a message nothing tells where the text of the mark ends, but for the line.
            parts = [text]
        yield Todo(path, index + 1, " ".join(part.strip() for part in parts if part.strip()))


def _html_comment(first: str, following: list[str]) -> Iterator[str]:
    for line in (first, *following):
        text, end, _ = line.partition("-->")
        yield text
        if end:
            return


def _comment_lines(following: list[str], column: int) -> Iterator[str]:
    """The comment lines that continue one at ``column``: directly below it, until another comment begins."""
    for line in following:
        text = line[column + 1 :].strip()
        if line[:column].strip() or line[column : column + 1] != "#":
            return
        if not text or text.startswith(("TODO", "Copied from ", "or, in an older checkout", "-----")):
            return
        yield text
