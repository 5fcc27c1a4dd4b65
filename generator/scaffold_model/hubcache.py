"""The local Hub cache: where it is, what is in it, and how a folder becomes a repository that loads offline.

A cached repository is ``models--ORG--NAME/refs/main`` (a commit hash) and ``snapshots/<hash>/`` (its files); reading
needs no more than that.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from .errors import BadInput

#: Marks a snapshot as ours. The Hub's own upload command leaves this folder out, so the mark is never published.
MARKER = ".cache/huggingface/scaffold-model.json"

Status = Literal["created", "replaced", "unchanged", "kept"]


@dataclass(frozen=True)
class Cached:
    """A repository of the local cache: the snapshot that its main branch points to, and whether we made it."""

    repo: str
    folder: Path
    ours: bool


@dataclass(frozen=True)
class Placed:
    """What became of one repository.

    Attributes:
        repo: ``ORG/NAME``.
        folder: The snapshot that loads now.
        status: ``created``, ``replaced`` (ours, or forced), ``unchanged``, or ``kept``: a downloaded repository of that name is
            in the cache, and stays what loads.
    """

    repo: str
    folder: Path
    status: Status


def hub_cache(environ: Mapping[str, str] | None = None) -> Path:
    """The folder of the cache, by the variables that huggingface_hub itself reads, in its order."""
    environ = os.environ if environ is None else environ
    for name, below in (("HF_HUB_CACHE", ""), ("HUGGINGFACE_HUB_CACHE", ""), ("HF_HOME", "hub")):
        if environ.get(name):
            return Path(os.path.expanduser(os.path.expandvars(environ[name])), below)
    home = environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(os.path.expanduser(home), "huggingface", "hub")


def repository_folder(cache: Path, repo: str) -> Path:
    """``models--ORG--NAME`` in the cache."""
    return cache / ("models--" + repo.replace("/", "--"))


def find(cache: Path, repo: str) -> Cached | None:
    """What ``repo`` loads from this cache offline, or None where nothing is there."""
    folder = repository_folder(cache, repo)
    try:
        commit = (folder / "refs" / "main").read_text().strip()
    except OSError:
        return None
    snapshot = folder / "snapshots" / commit
    if not commit or not snapshot.is_dir():
        return None
    return Cached(repo, snapshot, (snapshot / MARKER).is_file())


def place(cache: Path, repo: str, files: Mapping[str, bytes], *, force: bool = False) -> Placed:
    """Lay ``files`` out in the cache as repository ``repo``, as a download would have left it.

    A downloaded repository of that name is kept, unless ``force``; even then its files stay in the cache, and only the
    branch points elsewhere. The same files give the same hash, so a second run changes nothing.

    Raises:
        BadInput: The cache can not be written.
    """
    before = find(cache, repo)
    if before is not None and not before.ours and not force:
        return Placed(repo, before.folder, "kept")
    commit = _commit(files)
    folder = repository_folder(cache, repo)
    snapshot = folder / "snapshots" / commit
    if before is not None and before.folder == snapshot and _same(snapshot, files):
        return Placed(repo, snapshot, "unchanged")
    try:
        (folder / "refs").mkdir(parents=True, exist_ok=True)
        snapshot.parent.mkdir(exist_ok=True)
        _write_snapshot(snapshot, files)
        (folder / "refs" / "main").write_text(commit)
        if before is not None and before.ours and before.folder != snapshot:
            shutil.rmtree(before.folder)
    except OSError as error:
        raise BadInput(
            f"the Hub cache {cache} can not be written ({error.strerror})", hint="set HF_HOME to a folder of yours"
        ) from None
    return Placed(repo, snapshot, "created" if before is None else "replaced")


def _write_snapshot(snapshot: Path, files: Mapping[str, bytes]) -> None:
    """Write beside the target and rename, so that a run that is stopped leaves no half of a repository."""
    temporary = Path(tempfile.mkdtemp(dir=snapshot.parent, prefix=".scaffold-model-"))
    try:
        temporary.chmod(0o755)
        marker = json.dumps({"made_by": "scaffold-model"}) + "\n"
        for path, content in {**files, MARKER: marker.encode()}.items():
            target = temporary / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        if snapshot.exists():
            shutil.rmtree(snapshot)
        temporary.rename(snapshot)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def read_folder(folder: Path) -> dict[str, bytes]:
    """The files below ``folder`` by relative path, as `place` takes them."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.relative_to(folder).as_posix() != MARKER
    }


def _same(snapshot: Path, files: Mapping[str, bytes]) -> bool:
    return read_folder(snapshot) == dict(files)


def _commit(files: Mapping[str, bytes]) -> str:
    """Forty hexadecimal digits, as a commit on the Hub has; they depend on names and contents only."""
    digest = hashlib.sha1(usedforsecurity=False)
    for path, content in sorted(files.items()):
        digest.update(f"{path}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()
