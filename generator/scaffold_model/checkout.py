"""The only module that touches a checkout: find it, ask git about it, and apply a plan, or nothing of it."""

from __future__ import annotations

import contextlib
import os
import stat
import subprocess
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from .errors import BrokenFile, NotACheckout, ScaffoldError
from .plan import Plan
from .snapshot import Snapshot

ROOT_INIT = "src/diffusers/__init__.py"


@dataclass(frozen=True)
class Head:
    """Where a checkout stands.

    Attributes:
        commit: The full hash of HEAD.
        year: The year of HEAD's commit date, four digits.
        branch: The branch, or None on a detached HEAD.
    """

    commit: str
    year: str
    branch: str | None


def find_checkout(start: Path) -> Path:
    """The checkout of diffusers that holds ``start``.

    Raises:
        NotACheckout: There is none, or it is a checkout of another project.
    """
    start = start.resolve()
    if not start.is_dir():
        raise NotACheckout(f"{start} is no folder", hint="give a clone of huggingface/diffusers with --checkout DIR")
    for folder in (start, *start.parents):
        if (folder / ROOT_INIT).is_file():
            return _supported(folder)
        if (folder / ".git").exists():
            raise NotACheckout(
                f"{folder} is a git repository, but not one of diffusers (it has no {ROOT_INIT})",
                hint="run inside a clone of huggingface/diffusers, give one with --checkout DIR, or make one to try with `scaffold-model practice DIR`",
            )
    raise NotACheckout(
        f"{start} is not in a checkout of diffusers (no {ROOT_INIT} here or above)",
        hint="run inside a clone of huggingface/diffusers, give one with --checkout DIR, or make one to try with `scaffold-model practice DIR`",
    )


def _supported(folder: Path) -> Path:
    text = Snapshot(folder).read(ROOT_INIT) or ""
    if "_import_structure" not in text or not (folder / "src/diffusers/models/modeling_utils.py").is_file():
        raise NotACheckout(
            f"{folder} does not look like diffusers (its {ROOT_INIT} has no _import_structure, or models/modeling_utils.py is missing)",
            hint="give a clone of huggingface/diffusers with --checkout DIR",
        )
    return folder


def git(checkout: Path, *arguments: str) -> str:
    """The output of one git command in the checkout, without the final newline.

    Raises:
        NotACheckout: git is missing or the command failed, as it does outside a git repository.
    """
    try:
        done = subprocess.run(["git", "-C", str(checkout), *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise NotACheckout("git was not found", hint="install git and run again") from None
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise NotACheckout(
            f"git {arguments[0]} failed in {checkout}: {reason}", hint="scaffolding needs a clone with its git history"
        )
    return done.stdout.rstrip("\n")


def head(checkout: Path) -> Head:
    """What HEAD is, in one git call."""
    commit, year, refs = git(checkout, "log", "-1", "--format=%H%n%cd%n%D", "--date=format:%Y").split("\n")
    branch = next((ref.removeprefix("HEAD -> ") for ref in refs.split(", ") if ref.startswith("HEAD -> ")), None)
    return Head(commit, year, branch)


EXCLUDE_LINE = "/.scaffold/"


def before_branch(checkout: Path, paths: Iterable[str]) -> dict[str, str]:
    """The texts of ``paths`` where this branch left the upstream one; at HEAD where there is no upstream."""
    upstreams = ("upstream/main", "origin/main", "@{upstream}")
    bases = (_git_or_none(checkout, "merge-base", "HEAD", upstream) for upstream in upstreams)
    base = next((found for found in bases if found), "HEAD")
    texts = {path: _git_or_none(checkout, "show", f"{base}:{path}") for path in paths}
    return {path: text for path, text in texts.items() if text}


def _git_or_none(checkout: Path, *arguments: str) -> str | None:
    """The output of a git command that may well fail, as on a branch without an upstream."""
    try:
        return git(checkout, *arguments)
    except NotACheckout:
        return None


def exclude_state(checkout: Path) -> bool:
    """Add ``/.scaffold/`` to git's own exclude file, so that nothing of it enters a pull request; False if it was there."""
    path = _exclude_file(checkout)
    text = path.read_text() if path.is_file() else ""
    if EXCLUDE_LINE in text.splitlines():
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + ("" if not text or text.endswith("\n") else "\n") + EXCLUDE_LINE + "\n")
    return True


def _exclude_file(checkout: Path) -> Path:
    return checkout / git(checkout, "rev-parse", "--git-path", "info/exclude")


def check_writable(checkout: Path, plan: Plan) -> None:
    """Refuse, before anything is written, a plan that needs a file or a folder without its owner's write bit.

    The mode is read, since ``os.access`` says yes to root.

    Raises:
        BrokenFile: Such a file, a symbolic link in the way, or a file that a new one would overwrite.
    """
    for path in [edit.path for edit in plan.edits] + [new.path for new in plan.new_files]:
        target = checkout / path
        for parent in reversed(target.parents):
            if parent.is_symlink() and checkout in parent.parents:
                raise BrokenFile(
                    "is reached through a symbolic link",
                    path=path,
                    hint="replace the link by a real folder and run again",
                )
        if target.is_symlink():
            raise BrokenFile("is a symbolic link", path=path, hint="replace it by a real file and run again")
        if target.exists():
            _need_write_bit(target, path, "file")
        parent = target.parent
        while not parent.exists():
            parent = parent.parent
        _need_write_bit(parent, path, "folder")
    for new in plan.new_files:
        if (checkout / new.path).exists():
            raise BrokenFile("exists already", path=new.path, hint="choose another --name, or remove the file first")


def _need_write_bit(target: Path, path: str, what: str) -> None:
    mode = stat.S_IMODE(target.stat().st_mode)
    if not mode & stat.S_IWUSR:
        subject = "is read-only" if what == "file" else f"lies in a read-only folder ({target.name}/)"
        raise BrokenFile(f"{subject}, mode {mode:04o}", path=path, hint="`chmod u+w` it and run again")


class ChangedMeanwhile(ScaffoldError):
    """A file was changed by somebody else between plan and apply."""


def apply(checkout: Path, plan: Plan, prove: Callable[[Snapshot], None] | None = None) -> None:
    """Write a plan: all of it, or, when anything goes wrong, nothing.

    New texts are written beside their targets first and swapped in by rename, file modes kept. When a write or
    ``prove`` (called with a fresh snapshot of the result) fails, everything is put back as it was.

    Args:
        checkout: The root folder.
        plan: What to write.
        prove: A check of the result on disk; raises to have the plan rolled back.

    Raises:
        BrokenFile: A file can not be written.
        ChangedMeanwhile: A file no longer has the text that the plan was made for.
    """
    check_writable(checkout, plan)
    current = Snapshot(checkout)
    for edit in plan.edits:
        if current.read(edit.path) != edit.before:
            raise ChangedMeanwhile("was changed while the plan was made", path=edit.path, hint="run again")
    undo: list[Callable[[], None]] = []
    try:
        staged: list[tuple[str, Path]] = []
        for new in plan.new_files:
            _make_folders((checkout / new.path).parent, undo)
            staged.append((_stage(checkout / new.path, new.text, 0o644, undo), checkout / new.path))
        for edit in plan.edits:
            target = checkout / edit.path
            mode = stat.S_IMODE(target.stat().st_mode)
            staged.append((_stage(target, edit.after, mode, undo), target))
        originals = {target: target.read_bytes() if target.exists() else None for _, target in staged}
        for temporary, target in staged:
            undo.append(_restorer(target, originals[target]))
            os.replace(temporary, target)
        if prove is not None:
            prove(Snapshot(checkout))
    except BaseException as error:
        for step in reversed(undo):
            step()
        if isinstance(error, OSError):
            raise BrokenFile(
                f"could not be written ({error.strerror})",
                path=_relative(error.filename, checkout),
                hint="nothing was changed; mend that and run again",
            ) from error
        raise


def _relative(filename: object, checkout: Path) -> str | None:
    return os.path.relpath(filename, checkout) if isinstance(filename, str) else None


def _make_folders(folder: Path, undo: list[Callable[[], None]]) -> None:
    missing: list[Path] = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    for one in reversed(missing):
        one.mkdir()
        undo.append(one.rmdir)


def _stage(target: Path, text: str, mode: int, undo: list[Callable[[], None]]) -> str:
    """Write ``text`` to a temporary file beside ``target``; the undo step removes it if it is still there."""
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".scaffold-model")

    def remove() -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)

    undo.append(remove)
    with os.fdopen(handle, "wb") as file:
        file.write(text.encode("utf-8"))
    os.chmod(temporary, mode)
    return temporary


def _restorer(target: Path, original: bytes | None) -> Callable[[], None]:
    def restore() -> None:
        if original is None:
            with contextlib.suppress(FileNotFoundError):
                target.unlink()
        elif target.read_bytes() != original:
            mode = stat.S_IMODE(target.stat().st_mode)
            target.write_bytes(original)
            target.chmod(mode)

    return restore


def remove_created(checkout: Path, files: list[str], places: Iterable[str] = ()) -> None:
    """Remove the files of a render that is refused, and the folders that this leaves empty.

    Args:
        checkout: The folder that was rendered into.
        files: What the render created.
        places: Where a render may have left empty folders without a file, since Copier makes a folder before it sees
            that nothing goes into it.
    """
    for path in files:
        with contextlib.suppress(FileNotFoundError):
            (checkout / path).unlink()
    for path in (*files, *places):
        for parent in (checkout / path, *(checkout / path).parents):
            if parent == checkout or (parent.is_dir() and any(parent.iterdir())) or parent.is_file():
                break
            if parent.is_dir():
                parent.rmdir()
