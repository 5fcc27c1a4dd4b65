"""What touches a checkout: find it, ask git about it, and apply a plan, or nothing of it."""

from __future__ import annotations

import contextlib
import os
import stat
import subprocess
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from . import transaction
from .errors import BrokenFile, NotACheckout, ScaffoldError
from .locking import common_folder
from .plan import Plan
from .snapshot import Snapshot
from .transaction import Change, ChangedMeanwhile, changing

ROOT_INIT = "src/diffusers/__init__.py"

__all__ = [
    "ROOT_INIT",
    "ChangedMeanwhile",
    "Head",
    "apply",
    "before_branch",
    "changing",
    "exclude_state",
    "find_checkout",
    "git",
    "head",
    "remove_created",
    "state_excluded",
]


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
    """The checkout of diffusers that holds ``start``; what an interrupted run left there is put in order first.

    Raises:
        NotACheckout: There is none, or it is a checkout of another project.
    """
    start = start.resolve()
    if not start.is_dir():
        raise NotACheckout(f"{start} is no folder", hint="give a clone of huggingface/diffusers with --checkout DIR")
    for folder in (start, *start.parents):
        if (folder / ROOT_INIT).is_file():
            transaction.recover(folder)
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


EXCLUDE_LINE = "/.scaffold/"


@contextlib.contextmanager
def state_excluded(checkout: Path) -> Iterator[None]:
    """Exclude the state folder before something is written into it, and no longer when that is refused."""
    folder = common_folder(checkout)
    path = folder / "info" / "exclude" if folder else None
    before = path.read_bytes() if path and path.is_file() else None
    added = exclude_state(checkout)
    try:
        yield
    except ScaffoldError:
        if added and path:
            if before is None:
                path.unlink(missing_ok=True)
            else:
                path.write_bytes(before)
        raise


def exclude_state(checkout: Path) -> bool:
    """Add ``/.scaffold/`` to git's own exclude file, so that nothing of it enters a pull request; False if it was there.

    Raises:
        BrokenFile: The file can not be written.
    """
    folder = common_folder(checkout)
    if folder is None:
        raise NotACheckout(f"{checkout} is no git repository", hint="scaffolding needs a clone with its git history")
    path = folder / "info" / "exclude"
    text = path.read_bytes() if path.is_file() else b""
    if EXCLUDE_LINE.encode() in text.splitlines():
        return False
    if path.is_symlink():
        raise BrokenFile("is a symbolic link", path=str(path), hint=f"add the line {EXCLUDE_LINE} to it and run again")
    separator = b"" if not text or text.endswith(b"\n") else b"\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name("exclude.scaffold-model")
        beside.write_bytes(text + separator + EXCLUDE_LINE.encode() + b"\n")
        os.replace(beside, path)
    except OSError as error:
        raise BrokenFile(
            f"could not be written ({error.strerror})", path=str(path), hint="mend that and run again"
        ) from error
    return True


def check_writable(checkout: Path, plan: Plan) -> None:
    """Refuse, before anything is written, a plan for files that could not be kept in the form that they have.

    The mode is read, since ``os.access`` says yes to root.

    Raises:
        BrokenFile: A file or folder without its owner's write bit, a symbolic link in the way, a file with a second
            name, a path that leads out of the checkout, or a file that a new one would overwrite.
    """
    for path in _paths(plan):
        target = checkout / path
        if Path(path).is_absolute() or ".." in Path(path).parts:
            raise BrokenFile("leads out of the checkout", path=path, hint="report this; nothing was written")
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
            if target.is_file() and target.stat().st_nlink > 1:
                raise BrokenFile(
                    "has a second name (a hard link), which would keep the old text",
                    path=path,
                    hint="replace it by a copy of its own and run again",
                )
        parent = target.parent
        while not parent.exists():
            parent = parent.parent
        _need_write_bit(parent, path, "folder")
    for new in plan.new_files:
        if (checkout / new.path).exists():
            raise BrokenFile("exists already", path=new.path, hint="choose another --name, or remove the file first")


def _paths(plan: Plan) -> list[str]:
    return [item.path for items in (plan.edits, plan.new_files, plan.removed) for item in items]


def _need_write_bit(target: Path, path: str, what: str) -> None:
    mode = stat.S_IMODE(target.stat().st_mode)
    if not mode & stat.S_IWUSR:
        subject = "is read-only" if what == "file" else f"lies in a read-only folder ({target.name}/)"
        raise BrokenFile(f"{subject}, mode {mode:04o}", path=path, hint="`chmod u+w` it and run again")


def apply(checkout: Path, plan: Plan, prove: Callable[[Snapshot], None] | None = None) -> None:
    """Write a plan: all of it, or, when anything goes wrong or the process dies, nothing. See `transaction`.

    Args:
        checkout: The root folder.
        plan: What to write.
        prove: A check of the result on disk, given a fresh snapshot; raises to have the plan rolled back.

    Raises:
        BrokenFile: A file can not be written.
        ChangedMeanwhile: A file no longer has the text that the plan was made for.
    """
    changes = [Change(new.path, None, new.text.encode("utf-8")) for new in plan.new_files]
    changes += [Change(edit.path, edit.before.encode("utf-8"), edit.after.encode("utf-8")) for edit in plan.edits]
    changes += [Change(gone.path, gone.before.encode("utf-8"), None) for gone in plan.removed]
    if not changes:
        return
    with changing(checkout):
        check_writable(checkout, plan)
        try:
            transaction.run(checkout, changes, None if prove is None else lambda: prove(Snapshot(checkout)))
        except OSError as error:
            raise BrokenFile(
                f"could not be written ({error.strerror})",
                path=os.path.relpath(error.filename, checkout) if isinstance(error.filename, str) else None,
                hint="nothing was changed; mend that and run again",
            ) from error


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
