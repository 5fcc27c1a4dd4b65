"""A read-only view of a checkout: ``{path: text}``, read lazily, with an overlay for edits that are not applied yet."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from .errors import BrokenFile

_SIZE = 1 << 16


def _content(path: str) -> bytes:
    """What a file holds. Of thousands of small files most of the time goes into making file objects: this makes none."""
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    try:
        first = os.read(descriptor, _SIZE)
        if len(first) < _SIZE:
            # A regular file gives less than was asked for only at its end.
            return first
        pieces = [first]
        while pieces[-1]:
            pieces.append(os.read(descriptor, _SIZE * len(pieces)))
    finally:
        os.close(descriptor)
    return b"".join(pieces)


class Snapshot:
    """The files of a checkout as they are, or as they will be after a plan.

    Paths are relative to the checkout and use ``/``. Files are read once; texts keep their line ends.

    Args:
        root: The checkout. ``None`` makes a snapshot of the overlay alone, for tests.
        overlay: Texts that take the place of, or are added to, what is on disk.
    """

    def __init__(self, root: Path | None, overlay: Mapping[str, str] | None = None) -> None:
        self.root = root
        self._overlay = dict(overlay or {})
        self._cache: dict[str, str | None] = {}
        self._listings: dict[str, tuple[list[str], list[str]]] = {}
        self._walks: dict[tuple[str, str], tuple[str, ...]] = {}

    def overlaid(self, texts: Mapping[str, str]) -> Snapshot:
        """This snapshot with ``texts`` on top; what was already read is shared and not read again."""
        new = Snapshot(self.root, {**self._overlay, **texts})
        new._cache = self._cache
        new._listings = self._listings
        return new

    def read(self, path: str) -> str | None:
        """The text of ``path``, or None where there is no such file.

        Raises:
            BrokenFile: The file is not valid UTF-8.
        """
        if path in self._overlay:
            return self._overlay[path]
        if path not in self._cache:
            self._cache[path] = self._read_disk(path)
        return self._cache[path]

    def _read_disk(self, path: str) -> str | None:
        if self.root is None:
            return None
        try:
            return _content(f"{self.root}/{path}").decode("utf-8")
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None
        except UnicodeDecodeError as error:
            raise BrokenFile(
                f"byte {error.start} is not valid UTF-8", path=path, hint="save the file as UTF-8 and run again"
            ) from None

    def exists(self, path: str) -> bool:
        """Whether ``path`` is a file."""
        if path in self._overlay:
            return True
        return self.root is not None and os.path.isfile(f"{self.root}/{path}")

    def folders(self, folder: str) -> list[str]:
        """Names of the folders directly in ``folder``, sorted."""
        extra = {rest.split("/", 1)[0] for rest in self._below(folder) if "/" in rest}
        return sorted(extra.union(self._list(folder)[0]))

    def files(self, folder: str) -> list[str]:
        """Names of the files directly in ``folder``, sorted."""
        extra = {rest for rest in self._below(folder) if "/" not in rest}
        return sorted(extra.union(self._list(folder)[1]))

    def walk(self, folder: str, suffix: str = ".py") -> tuple[str, ...]:
        """Paths of all files below ``folder`` that end with ``suffix``, in sorted order."""
        if (folder, suffix) not in self._walks:
            found = [f"{folder}/{name}" for name in self.files(folder) if name.endswith(suffix)]
            for name in self.folders(folder):
                if name != "__pycache__":
                    found += self.walk(f"{folder}/{name}", suffix)
            self._walks[folder, suffix] = tuple(found)
        return self._walks[folder, suffix]

    def _below(self, folder: str) -> Iterator[str]:
        prefix = folder.rstrip("/") + "/"
        return (path[len(prefix) :] for path in self._overlay if path.startswith(prefix))

    def _list(self, folder: str) -> tuple[list[str], list[str]]:
        if folder not in self._listings:
            folders: list[str] = []
            files: list[str] = []
            if self.root is not None:
                with (
                    contextlib.suppress(FileNotFoundError, NotADirectoryError),
                    os.scandir(f"{self.root}/{folder}") as entries,
                ):
                    for entry in entries:
                        (folders if entry.is_dir() else files).append(entry.name)
            self._listings[folder] = (folders, files)
        return self._listings[folder]
