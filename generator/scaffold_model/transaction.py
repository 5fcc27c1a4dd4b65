"""A change of many files that happens as a whole or not at all, also when the process is killed in the middle.

1. The journal is written: every file with the hashes of both texts, and the folders that will be made.
2. The new texts are written beside their targets, and what is to be replaced gets a second name beside itself.
3. The new texts are swapped in by renaming. Whoever reads meanwhile sees the old text or the new one of a file.
4. The journal is renamed to ``done``: that is the moment in which the change has happened.
5. The old texts go, then ``done``.

Whoever finds a journal puts everything back, whoever finds ``done`` finishes the last step. Both can be interrupted and
repeated. Putting back needs renames only, so that a full disk does not stand in the way. Nothing is waited for to reach
the platter: it is the death of the process that is provided for, not that of the machine.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import stat
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from .errors import BrokenFile, ScaffoldError
from .locking import home, locked

JOURNAL = "journal.json"
DONE = "done.json"
#: Where a text goes that can not be put back, since somebody has written to its file after the interrupted run.
KEPT = "kept"


class ChangedMeanwhile(ScaffoldError):
    """A file was changed by somebody else between plan and apply."""


@dataclass(frozen=True)
class Change:
    """What is to happen to one file.

    Attributes:
        path: The file, relative to the checkout.
        before: What it holds; None when it must not exist.
        after: What it will hold; None when it is to go.
    """

    path: str
    before: bytes | None
    after: bytes | None


@dataclass(frozen=True)
class _Step:
    """A change as the journal has it: hashes, and the names beside the target."""

    path: str
    before: str | None
    after: str | None
    new: str
    old: str


def run(root: Path, changes: Sequence[Change], prove: Callable[[], None] | None = None) -> None:
    """Make all changes, or, when anything goes wrong, none. The caller holds the lock and has looked for an older journal.

    Args:
        root: The checkout.
        changes: At most one for each file.
        prove: Called when everything is in its place; what it raises undoes the change.

    Raises:
        ChangedMeanwhile: A file does not hold what the change was made for.
        OSError: A file could not be written; everything is as it was.
    """
    token = os.urandom(4).hex()
    steps = [_step(change, token) for change in changes]
    folder = home(root)
    folder.mkdir(exist_ok=True)
    folders = _missing_folders(root, changes)
    journal = {"folders": folders, "steps": [asdict(step) for step in steps]}
    try:
        _write(folder / f"{JOURNAL}.new", json.dumps(journal, indent=1).encode())
        os.replace(folder / f"{JOURNAL}.new", folder / JOURNAL)
        for name in folders:
            (root / name).mkdir()
        for change, step in zip(changes, steps, strict=True):
            _stage(root, change, step)
        for change, step in zip(changes, steps, strict=True):
            _swap(root, change, step)
        for change, step in zip(changes, steps, strict=True):
            # An editor that wrote into the old file while it was swapped out wrote into what has the second name now.
            if change.before is not None and _content(root / step.old) != change.before:
                raise _changed(step.path)
        if prove is not None:
            prove()
        os.rename(folder / JOURNAL, folder / DONE)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(folder / f"{JOURNAL}.new")
        if (folder / JOURNAL).exists():
            _undo(root)
        raise
    with contextlib.suppress(OSError):
        # The change has happened; what can not be cleared away now is for the next command.
        _clear(root)


@contextlib.contextmanager
def changing(root: Path) -> Iterator[None]:
    """Hold the checkout from the first look at it to the last byte, with what an older run left there put in order.

    Raises:
        Busy: Another run, or git, is at it and does not come to an end.
        BrokenFile: The lock can not be written, or an interrupted run can not be put back.
    """
    with locked(root):
        _settle(root)
        yield


def recover(root: Path) -> None:
    """Put an interrupted run back, or finish its last step; waits for a run that is still at it.

    Costs two looks at the disk where there is nothing to do.
    """
    folder = home(root)
    if (folder / JOURNAL).exists() or (folder / DONE).exists():
        with locked(root):
            _settle(root)


def _settle(root: Path) -> None:
    folder = home(root)
    if (folder / JOURNAL).exists():
        for line in ("an interrupted run was undone", *_undo(root)):
            # On standard error, so that a JSON object on standard output stays alone.
            print(f"scaffold-model: {line}", file=sys.stderr)
    with contextlib.suppress(OSError):
        if (folder / DONE).exists():
            _clear(root)
        # A journal that was never in force.
        (folder / f"{JOURNAL}.new").unlink(missing_ok=True)


def _undo(root: Path) -> list[str]:
    try:
        return _roll_back(root)
    except OSError as error:
        raise BrokenFile(
            f"an interrupted change could not be put back ({error.strerror})",
            path=os.path.relpath(error.filename, root) if isinstance(error.filename, str) else None,
            hint="mend that and run any command again, which goes on with it; nothing is lost",
        ) from error


def _step(change: Change, token: str) -> _Step:
    place, _, name = change.path.rpartition("/")
    beside = f"{place}/.{name}.{token}" if place else f".{name}.{token}"
    return _Step(change.path, _digest(change.before), _digest(change.after), f"{beside}.new", f"{beside}.old")


def _digest(data: bytes | None) -> str | None:
    return None if data is None else hashlib.sha256(data).hexdigest()


def _hash(path: Path) -> str | None:
    return _digest(_content(path))


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None


def _write(path: Path, data: bytes) -> None:
    with open(path, "wb", buffering=0) as file:
        view = memoryview(data)
        while view:
            view = view[file.write(view) :]


def _missing_folders(root: Path, changes: Sequence[Change]) -> list[str]:
    """The folders that have to be made, outer ones first."""
    missing: dict[str, None] = {}
    for change in changes:
        parents = [parent.as_posix() for parent in Path(change.path).parents if parent != Path(".")]
        for parent in reversed(parents):
            if change.after is not None and not (root / parent).is_dir():
                missing[parent] = None
    return list(missing)


def _stage(root: Path, change: Change, step: _Step) -> None:
    target = root / change.path
    if change.after is not None:
        _write(root / step.new, change.after)
        if change.before is None:
            os.chmod(root / step.new, 0o644)
        else:
            _like(root / step.new, target.stat())
    if change.before is not None:
        try:
            os.link(target, root / step.old, follow_symlinks=False)
        except OSError:
            # A file system without hard links: a copy does, which is there before anything is swapped.
            shutil.copy2(target, root / step.old, follow_symlinks=False)


def _like(path: Path, model: os.stat_result) -> None:
    """Give a new file the mode of the one that it replaces, and its owner where we are root."""
    os.chmod(path, stat.S_IMODE(model.st_mode))
    if sys.platform != "win32" and os.geteuid() == 0 and (model.st_uid, model.st_gid) != (0, 0):
        os.chown(path, model.st_uid, model.st_gid)


def _swap(root: Path, change: Change, step: _Step) -> None:
    target = root / change.path
    if _content(target) != change.before:
        raise _changed(change.path)
    if change.after is None:
        os.unlink(target)
    else:
        os.replace(root / step.new, target)


def _changed(path: str) -> ChangedMeanwhile:
    return ChangedMeanwhile("was changed while the plan was made", path=path, hint="run again")


def _read(path: Path) -> tuple[list[str], list[_Step]]:
    data = json.loads(path.read_text(encoding="utf-8"))
    return data["folders"], [_Step(**step) for step in data["steps"]]


def _roll_back(root: Path) -> list[str]:
    """Put everything back; what somebody has written to since stays, and its old text is kept."""
    folder = home(root)
    folders, steps = _read(folder / JOURNAL)
    told: list[str] = []
    for number, step in reversed(list(enumerate(steps))):
        target, old, new = root / step.path, root / step.old, root / step.new
        now = _hash(target)
        if step.before is None:
            if now is not None and now == step.after and not new.exists():
                os.unlink(target)
            elif now is not None and not new.exists():
                told.append(f"{step.path} was written to after the interrupted run, and stays")
        elif old.exists():
            if now == step.before or new.exists():
                # Not swapped yet.
                os.unlink(old)
            elif now == step.after:
                os.replace(old, target)
            else:
                (folder / KEPT).mkdir(exist_ok=True)
                place = folder / KEPT / f"{number}-{target.name}"
                shutil.move(old, place)
                told.append(
                    f"{step.path} was written to after the interrupted run, and stays; its old text is {place}"
                )
        with contextlib.suppress(FileNotFoundError):
            os.unlink(new)
    for name in reversed(folders):
        with contextlib.suppress(OSError):
            (root / name).rmdir()
    os.unlink(folder / JOURNAL)
    return told


def _clear(root: Path) -> None:
    """Take the old texts away, and the folders and the bytecode that removed files leave behind."""
    folder = home(root)
    _, steps = _read(folder / DONE)
    for step in steps:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(root / step.old)
        if step.after is None:
            _tidy(root, Path(step.path))
    os.unlink(folder / DONE)


def _tidy(root: Path, path: Path) -> None:
    cache = root / path.parent / "__pycache__"
    if path.suffix == ".py" and cache.is_dir():
        for compiled in cache.glob(f"{path.stem}.*.pyc"):
            compiled.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            cache.rmdir()
    for parent in path.parents:
        if parent == Path("."):
            break
        try:
            (root / parent).rmdir()
        except FileNotFoundError:
            continue
        except OSError:
            break
