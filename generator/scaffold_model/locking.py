"""Who may change a checkout: one process at a time, and none while git itself is at work on it."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from .errors import BrokenFile, ScaffoldError

#: Seconds that a second run waits for the first one, or for git, before it is refused.
WAIT = 30.0
_PATIENCE = 1.0
_POLL = 0.02

#: Checkouts that this process holds the lock of; a change within a change takes no second one.
_held: set[Path] = set()


class Busy(ScaffoldError):
    """Another process is changing the checkout."""


def git_folder(root: Path) -> Path | None:
    """What ``git rev-parse --git-dir`` says, without a subprocess; None outside a git repository."""
    marker = root / ".git"
    if marker.is_dir():
        return marker
    with contextlib.suppress(OSError, UnicodeDecodeError):
        text = marker.read_text(encoding="utf-8")
        if text.startswith("gitdir: "):
            # A linked worktree, or a submodule.
            return root / text.removeprefix("gitdir: ").rstrip("\n")
    return None


def common_folder(root: Path) -> Path | None:
    """What ``git rev-parse --git-common-dir`` says: where the linked worktrees of a repository share their files."""
    folder = git_folder(root)
    if folder is None:
        return None
    try:
        return folder / (folder / "commondir").read_text(encoding="utf-8").rstrip("\n")
    except OSError:
        return folder


def home(root: Path) -> Path:
    """Where lock and journal of a checkout lie: ``git rev-parse --git-path scaffold-model``, out of sight of its files."""
    return (git_folder(root) or root) / ("scaffold-model" if git_folder(root) else ".scaffold-model")


@contextlib.contextmanager
def locked(root: Path) -> Iterator[None]:
    """Hold the checkout from the first look at it to the last byte, so that two runs never mix.

    The second run waits for the first and then sees what that one wrote. The lock is the kernel's: it goes with the
    process, however that ends. The name of the holder is in the file.

    Raises:
        Busy: The other run, or git, does not come to an end.
        BrokenFile: The lock can not be written.
    """
    root = root.resolve()
    if root in _held:
        yield
        return
    path = home(root) / "lock"
    try:
        descriptor = _acquire(root, path)
    except OSError as error:
        raise BrokenFile(
            f"the lock {path} could not be written ({error.strerror})", hint="nothing was changed; mend that"
        ) from error
    _held.add(root)
    try:
        yield
    finally:
        _held.discard(root)
        _release(descriptor, path)


def _release(descriptor: int, path: Path) -> None:
    """Taken away while it is held: whoever waits for this very file finds that it has gone, and tries again."""
    with contextlib.suppress(OSError):
        os.unlink(path)
    os.close(descriptor)
    with contextlib.suppress(OSError):
        path.parent.rmdir()


def _acquire(root: Path, path: Path) -> int:
    start = time.monotonic()
    told = False
    git = git_folder(root)
    while True:
        try:
            path.parent.mkdir(exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        except FileNotFoundError:
            # The one who held it has just cleared the folder away.
            continue
        if _lock(descriptor) and _is_at(descriptor, path):
            if git is None or not (git / "index.lock").exists():
                try:
                    os.ftruncate(descriptor, 0)
                    os.write(descriptor, f"{os.getpid()} {_command()}\n".encode())
                except OSError:
                    _release(descriptor, path)
                    raise
                return descriptor
            busy = "git is at work in this checkout (index.lock exists)"
            hint = f"wait for it, or remove {git / 'index.lock'} if no git process runs"
            _release(descriptor, path)
        else:
            busy = f"the checkout is being changed by {_holder(path)}"
            hint = "wait for it and run again"
            os.close(descriptor)
        waited = time.monotonic() - start
        if waited > WAIT:
            raise Busy(busy, hint=hint)
        if waited > _PATIENCE and not told:
            print(f"scaffold-model: waiting: {busy}", file=sys.stderr)
            told = True
        time.sleep(_POLL)


def _is_at(descriptor: int, path: Path) -> bool:
    """Whether the file that was locked is still the one at ``path``."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


def _holder(path: Path) -> str:
    try:
        process, _, command = path.read_text(encoding="utf-8", errors="replace").strip().partition(" ")
    except OSError:
        process, command = "", ""
    return f"process {process} ({command})" if process else "another process"


def _command() -> str:
    return " ".join(["scaffold-model", *sys.argv[1:]])[:200].replace("\n", " ").encode("utf-8", "replace").decode()


if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> bool:
        try:
            # Far behind the holder's name, since a locked byte can not be read.
            os.lseek(descriptor, 1 << 20, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        os.lseek(descriptor, 0, os.SEEK_SET)
        return True

else:
    import fcntl

    def _lock(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
