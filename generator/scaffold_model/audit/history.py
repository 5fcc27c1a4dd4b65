"""What git says of a checkout: the files of a revision, and what the branch adds to the upstream one."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Collection, Mapping
from pathlib import Path

from ..checkout import git
from ..errors import BadInput, BrokenFile, NotACheckout
from ..manifest import read_manifest
from ..snapshot import Snapshot
from .shipping import Branch

PLACES = ("src", "tests", "docs/source/en", "scripts", ".scaffold", "pyproject.toml")
_UPSTREAM = ("refs/remotes/upstream/main", "refs/remotes/origin/main", "refs/remotes/origin/HEAD")


class PastSnapshot(Snapshot):
    """A checkout as it was: some texts differ, some files were not there.

    Args:
        now: The checkout as it is.
        texts: What differed.
        absent: Files that are there now and were not then.
    """

    def __init__(self, now: Snapshot, texts: Mapping[str, str], absent: Collection[str] = ()) -> None:
        super().__init__(now.root, {**now._overlay, **texts})
        self._cache = now._cache
        self._listings = now._listings
        self.absent = frozenset(absent)

    def read(self, path: str) -> str | None:
        return None if path in self.absent else super().read(path)

    def exists(self, path: str) -> bool:
        return path not in self.absent and super().exists(path)

    def files(self, folder: str) -> list[str]:
        return [name for name in super().files(folder) if f"{folder.rstrip('/')}/{name}" not in self.absent]

    def folders(self, folder: str) -> list[str]:
        names = super().folders(folder)
        if not any(path.startswith(f"{folder.rstrip('/')}/") for path in self.absent):
            return names
        return [name for name in names if any(True for _ in self.walk(f"{folder.rstrip('/')}/{name}", ""))]


def past(root: Path, snapshot: Snapshot, revision: str) -> tuple[PastSnapshot, list[str]]:
    """The checkout at a revision, and the files that differ from it.

    Raises:
        BadInput: There is no such revision.
    """
    try:
        commit = git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    except NotACheckout:
        raise BadInput(f"--baseline {revision} is no revision of {root}", hint="`git log` shows them") from None
    rows = _split(git(root, "diff", "--name-status", "--no-renames", "-z", commit, "--", *PLACES))
    changed = {path: status for status, path in zip(rows[::2], rows[1::2], strict=True)}
    fresh = _untracked(root)
    absent = {path for path, status in changed.items() if status == "A"} | set(fresh)
    old = [path for path, status in changed.items() if status != "A"]
    return PastSnapshot(snapshot, texts_at(root, commit, old), absent), sorted({*changed, *fresh})


def branch(root: Path, snapshot: Snapshot) -> Branch | None:
    """What the branch adds; None where there is nothing to compare with, or no git."""
    try:
        base = _merge_base(root) or _manifest_base(root, snapshot)
        if base is None:
            return None
        # Everywhere: what must not ship may lie beside the places that are audited.
        added = _split(git(root, "diff", "--name-only", "--no-renames", "--diff-filter=A", "-z", base, "--", "."))
        return Branch(frozenset({*added, *_untracked(root, ".")}))
    except NotACheckout:
        return None


def _merge_base(root: Path) -> str | None:
    known = git(root, "for-each-ref", "--format=%(refname)", *_UPSTREAM).split()
    for reference in _UPSTREAM:
        if reference in known:
            try:
                return git(root, "merge-base", "HEAD", reference)
            except NotACheckout:
                continue
    return None


def _manifest_base(root: Path, snapshot: Snapshot) -> str | None:
    """The oldest base of the scaffolds here."""
    bases = []
    for name in snapshot.folders(".scaffold"):
        try:
            manifest = read_manifest(snapshot, name)
        except BrokenFile:
            continue
        if manifest is not None:
            bases.append(manifest.base_commit)
    if not bases:
        return None
    return git(root, "merge-base", "--octopus", "HEAD", *bases)


def _untracked(root: Path, *places: str) -> list[str]:
    return _split(git(root, "ls-files", "--others", "--exclude-standard", "-z", "--", *(places or PLACES)))


def _split(text: str) -> list[str]:
    return [part for part in text.split("\0") if part]


def texts_at(root: Path, commit: str, paths: list[str]) -> dict[str, str]:
    """The texts of some files at a commit, from one process; what is no text is left as it is now."""
    if not paths:
        return {}
    asked = "".join(f"{commit}:{path}\n" for path in paths).encode("utf-8")
    command = ["git", "-C", str(root), "cat-file", "--batch"]
    output = subprocess.run(command, input=asked, capture_output=True, check=True).stdout
    texts: dict[str, str] = {}
    position = 0
    for path in paths:
        end = output.index(b"\n", position)
        header = output[position:end].split()
        position = end + 1
        if header[-1] == b"missing":
            continue
        size = int(header[2])
        with contextlib.suppress(UnicodeDecodeError):
            texts[path] = output[position : position + size].decode("utf-8")
        position += size + 1
    return texts
