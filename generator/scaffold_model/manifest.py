"""The manifest of a scaffold: what was created and edited, with hashes, and where the checkout stood."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .checkout import Head
from .errors import BrokenFile
from .plan import Registered
from .snapshot import Snapshot
from .spec import ModelSpec

VERSION = 1


@dataclass
class Manifest:
    """What one scaffold did to a checkout.

    Attributes:
        base_commit: HEAD when the scaffold was made.
        branch: The branch then, or None on a detached HEAD.
        created: SHA-256 of every created file as it was written, by path.
        edited: The entries that were added to existing files, ``[registry, object]`` by path.
    """

    base_commit: str
    branch: str | None
    created: dict[str, str] = field(default_factory=dict)
    edited: dict[str, list[list[str]]] = field(default_factory=dict)

    def record_created(self, files: Mapping[str, str]) -> None:
        """Remember new files by the hash of their text."""
        for path, text in sorted(files.items()):
            self.created[path] = fingerprint(text)

    def record_entries(self, entries: Iterable[Registered]) -> bool:
        """Remember registrations; True when one of them is new."""
        new = False
        for entry in entries:
            known = self.edited.setdefault(entry.path, [])
            if [entry.registry, entry.object] not in known:
                known.append([entry.registry, entry.object])
                new = True
        return new

    def forget_entries(self, texts: Mapping[str, str]) -> bool:
        """Forget registrations whose name an edit took out; True when there was one.

        Args:
            texts: The edited files as they are now, by path.
        """
        gone = False
        for path, text in texts.items():
            known = self.edited.get(path, [])
            left = [entry for entry in known if entry[1] in text]
            if left != known:
                self.edited[path] = left
                gone = True
        self.edited = {path: entries for path, entries in self.edited.items() if entries}
        return gone

    def text(self) -> str:
        """The manifest as a JSON file."""
        return (
            json.dumps(
                {
                    "version": VERSION,
                    "base_commit": self.base_commit,
                    "branch": self.branch,
                    "created": dict(sorted(self.created.items())),
                    "edited": {path: sorted(entries) for path, entries in sorted(self.edited.items())},
                },
                indent=2,
            )
            + "\n"
        )


def fingerprint(text: str) -> str:
    """What the manifest remembers of a file: the SHA-256 of its text."""
    import hashlib

    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def manifest_path(name: str) -> str:
    """``.scaffold/y_image/manifest.json``."""
    return f".scaffold/{name}/manifest.json"


def new_manifest(head: Head) -> Manifest:
    """An empty manifest of a scaffold that is being made on ``head``."""
    return Manifest(head.commit, head.branch)


def read_manifest(snapshot: Snapshot, name: str) -> Manifest | None:
    """The manifest of a scaffold, or None where there is none.

    Raises:
        BrokenFile: The file is no manifest.
    """
    path = manifest_path(name)
    text = snapshot.read(path)
    if text is None:
        return None
    try:
        data: dict[str, Any] = json.loads(text)
        return Manifest(data["base_commit"], data["branch"], dict(data["created"]), dict(data["edited"]))
    except (ValueError, KeyError, TypeError):
        raise BrokenFile("is no manifest of scaffold-model", path=path, hint="remove it and run again") from None


def owned_texts(spec: ModelSpec, snapshot: Snapshot) -> dict[str, str]:
    """The files of a scaffold that are on disk: those of the pull request and the state folder's Python files."""
    found: dict[str, str] = {}
    for place in spec.owned_places():
        text = snapshot.read(place)
        if text is not None:
            found[place] = text
        else:
            found.update({path: snapshot.read(path) or "" for path in snapshot.walk(place, "")})
    for path in snapshot.walk(spec.state_folder, ".py"):
        found[path] = snapshot.read(path) or ""
    return found
