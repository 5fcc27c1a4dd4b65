"""Updating a scaffold in a checkout: what has to be so before it, both renders, and git's own merge of files."""

from __future__ import annotations

import locale
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .checkout import git, head
from .errors import BadInput, NotACheckout, ScaffoldError
from .locking import git_folder
from .manifest import Manifest, manifest_path, read_manifest
from .neighbours import MARKER_SIZE, settled
from .plan import Plan
from .preflight import house_answers
from .render import RenderError, render
from .scaffold import parse_answers
from .snapshot import Snapshot
from .spec import ModelSpec
from .update import Updated, finish_both, update
from .versions import newest_version, recorded_version

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

#: What git leaves in its folder while it is in the middle of something.
_UNFINISHED = {
    "MERGE_HEAD": "a merge",
    "rebase-merge": "a rebase",
    "rebase-apply": "a rebase",
    "CHERRY_PICK_HEAD": "a cherry-pick",
    "REVERT_HEAD": "a revert",
}
#: Stored answers that are no convention: they stay as they were when the scaffold was made.
_NO_CONVENTIONS = ("year",)


@dataclass(frozen=True)
class Scaffold:
    """A scaffold as it is recorded.

    Attributes:
        name: Its name.
        answers: The stored answers, Copier's own keys among them.
        version: The version of the template.
        manifest: What was written.
    """

    name: str
    answers: dict[str, Any]
    version: str
    manifest: Manifest


def read_scaffold(snapshot: Snapshot, name: str) -> Scaffold:
    """The record of a scaffold.

    Raises:
        BadInput: There is none, or it is one of another template.
    """
    path = f".scaffold/{name}/answers.yml"
    text = snapshot.read(path)
    manifest = read_manifest(snapshot, name)
    if text is None or manifest is None:
        raise BadInput(
            f"there is no scaffold named {name} here (no {path if text is None else manifest_path(name)})",
            hint=f"run in the checkout that it was made in, or rebuild the record with `scaffold-model adopt {name}`",
        )
    answers = parse_answers(text, path)
    return Scaffold(name, answers, recorded_version(answers, path), manifest)


def scaffolds(snapshot: Snapshot) -> list[str]:
    """The names of all scaffolds here."""
    return [name for name in snapshot.folders(".scaffold") if snapshot.exists(f".scaffold/{name}/answers.yml")]


def check_place(root: Path) -> None:
    """Refuse a checkout in which an update could not be told from something else.

    Raises:
        BadInput: Git is in the middle of something, the checkout is sparse, or the locale is not UTF-8.
    """
    encoding = locale.getpreferredencoding(False)
    if not sys.flags.utf8_mode and encoding.lower().replace("-", "") != "utf8":
        raise BadInput(
            f"the locale's encoding is {encoding}, in which git and Copier would read the files wrongly",
            hint="run with PYTHONUTF8=1, or in a UTF-8 locale",
        )
    folder = git_folder(root)
    if folder is None:
        raise NotACheckout(f"{root} is no git repository", hint="an update needs a clone with its git history")
    for name, what in _UNFINISHED.items():
        if (folder / name).exists():
            raise BadInput(f"{what} is not finished in this checkout", hint="finish or abort it and run again")
    if _setting(root, "core.sparseCheckout") == "true":
        raise BadInput(
            "this checkout is sparse, so that files which are missing can not be told from files that were deleted",
            hint="run `git sparse-checkout disable` first",
        )


def _setting(root: Path, name: str) -> str:
    try:
        return git(root, "config", "--get", "--type=bool", name)
    except NotACheckout:
        return ""


def check_files(root: Path, snapshot: Snapshot, scaffold: Scaffold) -> None:
    """Refuse a scaffold whose files are on another branch, or whose record is not the contributor's own.

    Raises:
        BadInput: Says which branch and commit the scaffold was made on.
    """
    answers = f".scaffold/{scaffold.name}/answers.yml"
    if git(root, "ls-files", "--", answers):
        raise BadInput(
            f"git tracks {answers}, so that it may be somebody else's",
            hint="take it out of the index with `git rm --cached` when you trust it; it is no part of a pull request",
        )
    manifest = scaffold.manifest
    ours = [path for path in manifest.created if not path.startswith(".scaffold/")]
    missing = [path for path in ours if not snapshot.exists(path)]
    if missing and (len(missing) == len(ours) or not _were_deleted(root, manifest, missing)):
        branch = manifest.branch or "a detached HEAD"
        raise BadInput(
            f"{len(missing)} of the {len(ours)} files of {scaffold.name} are not in this tree, such as {missing[0]}",
            hint=f"the scaffold was made on {branch}, at commit {manifest.base_commit[:12]}; go there and run again",
        )


def _were_deleted(root: Path, manifest: Manifest, missing: list[str]) -> bool:
    """Whether files that are missing were on this branch once: then the contributor has deleted them."""
    if head(root).branch == manifest.branch is not None:
        return True
    try:
        added = git(root, "log", "--format=", "--name-only", "--diff-filter=A", f"{manifest.base_commit}..HEAD")
    except NotACheckout:
        return False
    return set(missing) <= set(added.splitlines())


def update_scaffold(
    root: Path, snapshot: Snapshot, scaffold: Scaffold, ruff: str | None, *, conventions: bool = False
) -> Updated:
    """The plan that brings a scaffold to the newest template, and with ``conventions`` to those of the checkout."""
    check_files(root, snapshot, scaffold)
    newest = newest_version()
    stored = {key: value for key, value in scaffold.answers.items() if not key.startswith("_")}
    spec = ModelSpec.from_answers(stored)
    detected = house_answers(snapshot, head(root)) if conventions else {}
    changed = {key: value for key, value in detected.items() if key not in _NO_CONVENTIONS}
    new = ModelSpec.from_answers({**stored, **changed})
    if newest.is_recorded_as(scaffold.version) and new == spec:
        return Updated(Plan(), ())
    base, theirs = renders((stored, scaffold.version), (new.answers(), None))
    base, theirs = finish_both(snapshot, spec, base, new, theirs, ruff)
    with tempfile.TemporaryDirectory(prefix="scaffold-model-merge-") as folder:

        def merge(mine: str, old: str, other: str) -> tuple[str, bool]:
            return merge_file(root, Path(folder), mine, old, other, (scaffold.version, newest.name))

        return update(snapshot, new, scaffold.manifest, base, theirs, merge, ruff)


Request = tuple[dict[str, Any], str | None]


def renders(first: Request, second: Request) -> tuple[dict[str, str], dict[str, str]]:
    """Two renders at once: most of an update's time goes into them, and they have nothing in common."""
    if sys.platform != "linux":
        # Elsewhere a second process would have to import everything anew, which takes as long as the render.
        return render(*first), render(*second)
    import multiprocessing

    import copier  # noqa: F401  # Once for both.

    ours, theirs = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(target=_send_render, args=(theirs, first), daemon=True)
    process.start()
    theirs.close()
    rendered = render(*second)
    try:
        other = ours.recv()
    except EOFError:
        raise RenderError("the process that renders the old version has died", hint="run again") from None
    process.join()
    if isinstance(other, ScaffoldError):
        raise other
    return other, rendered


def _send_render(pipe: Connection, request: Request) -> None:
    try:
        pipe.send(render(*request))
    except ScaffoldError as error:
        pipe.send(error)


def merge_file(
    root: Path, folder: Path, mine: str, base: str, theirs: str, versions: tuple[str, str], what: str = "template"
) -> tuple[str, bool]:
    """``git merge-file`` in the conflict style of the repository: the text, and whether it holds conflicts.

    Changes that only stand next to each other are none.
    """
    labels = ("yours", f"{what} {versions[0]}", f"{what} {versions[1]}")
    paths = [folder / name for name in ("mine", "base", "theirs")]
    for path, text in zip(paths, (mine, base, theirs), strict=True):
        path.write_bytes(text.encode("utf-8"))
    named = [part for label in labels for part in ("-L", label)]
    merged, conflicts = _merge_files(root, paths, named)
    if conflicts:
        texts, _ = _merge_files(root, paths, ["--diff3", f"--marker-size={MARKER_SIZE}"])
        both = settled(texts)
        if both is not None:
            return both, False
    return merged, conflicts


def _merge_files(root: Path, paths: Sequence[Path], options: Sequence[str]) -> tuple[str, bool]:
    command = ["git", "-C", str(root), "merge-file", "-p", "--quiet", *options, *map(str, paths)]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode < 0 or done.returncode > 127:
        raise NotACheckout(
            f"git merge-file failed: {done.stderr.decode('utf-8', 'replace').strip()}", hint="nothing was changed"
        )
    return done.stdout.decode("utf-8"), done.returncode > 0
