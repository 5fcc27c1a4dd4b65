"""Whatever happens in the middle of a change, the next command finds the old state or the new one, to the byte."""

from __future__ import annotations

import errno
import os
import random
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import git_status, run_command

from scaffold_model import locking, transaction
from scaffold_model.checkout import apply
from scaffold_model.errors import BrokenFile, ScaffoldError
from scaffold_model.locking import Busy, locked
from scaffold_model.plan import Edit, NewFile, Plan, RemovedFile
from scaffold_model.transaction import ChangedMeanwhile, changing, recover

#: Kills at random moments: a few by default, all of them where this is set.
ALL = bool(os.environ.get("SCAFFOLD_MODEL_ALL_KILLS"))

Tree = dict[str, tuple[int, bytes]]

FILES = {
    "src/a.py": (0o644, b"a = 1\r\nb = 2\r\n"),
    "src/b.sh": (0o750, b"no line end"),
    "docs/c.md": (0o600, b"\xef\xbb\xbf# A mark in front\n"),
    "src/gone/d.py": (0o644, b"d\n"),
    "src/gone/__pycache__/d.cpython-311.pyc": (0o644, b"\0"),
    "src/stays/e.py": (0o644, b"e\n"),
    "src/stays/f.py": (0o644, b"f\n"),
}
PLAN = Plan(
    new_files=(NewFile("src/new/deep/x.py", "x\n" * 3000), NewFile("docs/y.md", "y\n")),
    edits=(
        Edit("src/a.py", "a = 1\r\nb = 2\r\n", "a = 1\r\nb = 3\r\n"),
        Edit("src/b.sh", "no line end", "still no line end"),
        Edit("docs/c.md", "\ufeff# A mark in front\n", "\ufeff# A mark in front\n\nMore.\n"),
    ),
    removed=(RemovedFile("src/gone/d.py", "d\n"), RemovedFile("src/stays/e.py", "e\n")),
)


def make(root: Path) -> Path:
    """A fresh tree in a repository."""
    shutil.rmtree(root, ignore_errors=True)
    (root / ".git").mkdir(parents=True)
    for path, (mode, data) in FILES.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)
        (root / path).chmod(mode)
    return root


def tree(root: Path) -> Tree:
    """Every file and folder, git's own place included, so that nothing can be left behind unseen."""
    found = {}
    for path in sorted(root.rglob("*")):
        data = path.read_bytes() if path.is_file() else b"/"
        found[path.relative_to(root).as_posix()] = (stat.S_IMODE(path.stat().st_mode), data)
    return found


@pytest.fixture(scope="module")
def states(tmp_path_factory: pytest.TempPathFactory) -> tuple[Tree, Tree]:
    """The tree before the plan, and after it."""
    root = make(tmp_path_factory.mktemp("states") / "tree")
    old = tree(root)
    apply(root, PLAN)
    new = tree(root)
    assert new["src/a.py"] == (0o644, b"a = 1\r\nb = 3\r\n")
    assert new["src/b.sh"] == (0o750, b"still no line end")
    assert new["docs/c.md"] == (0o600, b"\xef\xbb\xbf# A mark in front\n\nMore.\n")
    assert sorted(set(old) - set(new)) == [
        "src/gone",
        "src/gone/__pycache__",
        "src/gone/__pycache__/d.cpython-311.pyc",
        "src/gone/d.py",
        "src/stays/e.py",
    ]
    assert sorted(set(new) - set(old)) == ["docs/y.md", "src/new", "src/new/deep", "src/new/deep/x.py"]
    return old, new


OPERATIONS = ("mkdir", "replace", "rename", "link", "unlink", "rmdir", "chmod", "ftruncate", "write")


class Points:
    """Counts file operations, half-written files among them, and does something before one of them."""

    def __init__(self, at: int, act: Callable[[], None]) -> None:
        self.at, self.act, self.count = at, act, 0

    def step(self) -> None:
        self.count += 1
        if self.count == self.at:
            self.act()

    def __enter__(self) -> Points:
        self.patch = pytest.MonkeyPatch()
        for name in OPERATIONS:
            self.patch.setattr(os, name, self._counted(getattr(os, name)))
        self.patch.setattr(transaction, "_write", self._write)
        return self

    def __exit__(self, *_: object) -> None:
        self.patch.undo()

    def _counted(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            self.step()
            return real(*arguments, **options)

        return call

    def _write(self, path: Path, data: bytes) -> None:
        self.step()
        with open(path, "wb", buffering=0) as file:
            self.step()
            file.write(data[: len(data) // 2])
            self.step()
            file.write(data[len(data) // 2 :])


def settle(root: Path) -> None:
    """What the next command does: put things in order, and, if it is one that writes, clear a dead process's lock away."""
    recover(root)
    assert not (root / ".git/scaffold-model/journal.json").exists()
    with changing(root):
        pass


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def killed_at(point: int, action: Callable[[], None]) -> bool:
    """Run ``action`` in a child that is killed before its file operation number ``point``; False when it had fewer."""
    child = os.fork()
    if child == 0:
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        with Points(point, die):
            action()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


def test_a_kill_at_every_file_operation_leaves_the_old_state_or_the_new_one(
    tmp_path: Path, states: tuple[Tree, Tree], capfd: pytest.CaptureFixture[str]
) -> None:
    seen = [0, 0]
    root = make(tmp_path / "tree")
    while killed_at(sum(seen) + 1, lambda: apply(root, PLAN)):
        settle(root)
        found = tree(root)
        assert found in states, f"operation {sum(seen) + 1}"
        seen[states.index(found)] += 1
        make(root)
    assert min(seen) > 5
    assert sum(seen) > 55
    assert "an interrupted run was undone" in capfd.readouterr().err


def test_a_kill_of_the_recovery_itself_at_every_operation_is_recovered_from(
    tmp_path: Path, states: tuple[Tree, Tree]
) -> None:
    root = tmp_path / "tree"
    points = range(1, 200) if ALL else range(7, 200, 6)
    kills = 0
    for first in points:
        make(root)
        if not killed_at(first, lambda: apply(root, PLAN)):
            break
        shutil.copytree(root, tmp_path / "torn")
        second = 1
        while killed_at(second, lambda: recover(root)):
            kills += 1
            settle(root)
            assert tree(root) in states, (first, second)
            shutil.rmtree(root)
            shutil.copytree(tmp_path / "torn", root)
            second += 1
        shutil.rmtree(tmp_path / "torn")
        settle(root)
        assert tree(root) in states
    assert kills > (300 if ALL else 30)


def test_kills_at_random_moments(tmp_path: Path, states: tuple[Tree, Tree]) -> None:
    chance = random.Random(20260823)
    root = make(tmp_path / "tree")
    back = Plan(
        new_files=tuple(NewFile(gone.path, gone.before) for gone in PLAN.removed),
        edits=tuple(Edit(edit.path, edit.after, edit.before) for edit in PLAN.edits),
        removed=tuple(RemovedFile(new.path, new.text) for new in PLAN.new_files),
    )
    old, new = (_without_bytecode(state) for state in states)
    torn = kills = 0
    # How many of them tear a change is up to the machine, so they go on until enough have.
    while kills < (400 if ALL else 60) or torn <= 10:
        kills += 1
        assert kills < 2_000, torn
        child = os.fork()
        if child == 0:
            while True:
                for plan in (PLAN, back) if (root / "src/gone").exists() else (back, PLAN):
                    apply(root, plan)
        time.sleep(chance.random() * 0.02)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        torn += (root / ".git/scaffold-model/journal.json").exists()
        settle(root)
        assert _without_bytecode(tree(root)) in (old, new)


def _without_bytecode(state: Tree) -> Tree:
    """The tree without what is not restored, since Python makes it again."""
    return {path: held for path, held in state.items() if "__pycache__" not in path}


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EACCES])
def test_an_error_of_every_file_operation_puts_everything_back_at_once(
    tmp_path: Path, states: tuple[Tree, Tree], code: int
) -> None:
    def fail() -> None:
        raise OSError(code, os.strerror(code), str(tmp_path / "tree/src/a.py"))

    old, new = states
    point, undone = 0, 0
    while True:
        point += 1
        root = make(tmp_path / "tree")
        points = Points(point, fail)
        try:
            with points:
                apply(root, PLAN)
        except ScaffoldError:
            # A failure while the old texts are cleared away comes when the change has happened.
            settle(root)
            assert tree(root) in states, point
            undone += tree(root) == old
            continue
        settle(root)
        # An empty folder that could not be removed is all that may be left; git does not see it.
        assert {path: held for path, held in tree(root).items() if held[1] != b"/" or path in new} == new
        if points.count < point:
            break
    assert undone > 30


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 kB, where we may mount one."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(place)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("a tmpfs can not be mounted here; a fake writer without space is tested in any case")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def test_a_full_disk_changes_nothing(small_disk: Path, states: tuple[Tree, Tree]) -> None:
    refused = 0
    for free in range(0, 17):
        root = make(small_disk / "tree")
        filler = small_disk / "filler"
        with open(filler, "wb", buffering=0) as file:
            try:
                while True:
                    file.write(b"\0" * 4096)
            except OSError:
                file.truncate(max(0, file.tell() - free * 4096))
        try:
            apply(root, PLAN)
        except BrokenFile:
            refused += 1
            assert tree(root) == states[0]
        else:
            assert tree(root) == states[1]
        filler.unlink()
    assert 0 < refused < 17


@pytest.mark.parametrize("in_place", [True, False], ids=["in place", "by rename"])
def test_a_file_that_somebody_writes_meanwhile_is_never_lost(tmp_path: Path, in_place: bool) -> None:
    """At every moment: their text is in the file in the end, whether the change went through or was undone."""
    theirs = b"theirs = 1\n"
    point = 0
    refused = 0
    while True:
        point += 1
        root = make(tmp_path / "tree")
        target = root / "src/a.py"

        def write(target: Path = target, root: Path = root) -> None:
            if in_place:
                with open(target, "r+b") as file:
                    file.truncate()
                    file.write(theirs)
            else:
                shutil.copy2(target, root / "beside")
                (root / "beside").write_bytes(theirs)
                subprocess.run(["mv", "-f", str(root / "beside"), str(target)], check=True)

        points = Points(point, write)
        try:
            with points:
                apply(root, PLAN)
        except ChangedMeanwhile:
            refused += 1
            assert (root / "src/b.sh").read_bytes() == FILES["src/b.sh"][1]
        if points.count < point:
            break
        recover(root)
        if target.read_bytes() != theirs:
            # Between the last look at the file and its replacement, some microseconds, no system call is left in between.
            assert not in_place
            assert refused + 1 == point
    assert refused > 10


def test_an_edit_after_the_kill_stays_and_the_old_text_is_kept(
    tmp_path: Path, states: tuple[Tree, Tree], capfd: pytest.CaptureFixture[str]
) -> None:
    root = make(tmp_path / "tree")
    assert killed_at(_swapped(root), lambda: apply(root, PLAN))
    assert (root / "src/a.py").read_bytes() == b"a = 1\r\nb = 3\r\n"
    (root / "src/a.py").write_bytes(b"edited = 1\n")
    recover(root)
    assert (root / "src/a.py").read_bytes() == b"edited = 1\n"
    (kept,) = (root / ".git/scaffold-model/kept").iterdir()
    assert kept.read_bytes() == FILES["src/a.py"][1]
    assert (
        f"src/a.py was written to after the interrupted run, and stays; its old text is {kept}"
        in capfd.readouterr().err
    )
    assert (root / "src/b.sh").read_bytes() == FILES["src/b.sh"][1]
    assert not (root / "src/new").exists()


def _swapped(root: Path) -> int:
    """The operation before which all files have been swapped: the renaming of the journal."""
    with pytest.MonkeyPatch.context() as patch:
        real, points = os.rename, Points(-1, die)
        at: list[int] = []

        def rename(*arguments: Any) -> None:
            at.append(points.count)
            real(*arguments)

        with points:
            patch.setattr(os, "rename", rename)
            apply(root, PLAN)
    make(root)
    return at[0] + 1


def test_a_file_system_without_hard_links(
    tmp_path: Path, states: tuple[Tree, Tree], monkeypatch: pytest.MonkeyPatch
) -> None:
    def link(*_: Any, **__: Any) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", link)
    root = make(tmp_path / "tree")

    def prove(_: object) -> None:
        raise RuntimeError("not proven")

    with pytest.raises(RuntimeError):
        apply(root, PLAN, prove)
    assert tree(root) == states[0]
    apply(root, PLAN)
    assert tree(root) == states[1]


def test_forms_that_could_not_be_kept_are_refused(tmp_path: Path, states: tuple[Tree, Tree]) -> None:
    root = make(tmp_path / "tree")
    os.link(root / "src/a.py", tmp_path / "second name")
    with pytest.raises(BrokenFile, match="has a second name"):
        apply(root, PLAN)
    (tmp_path / "second name").unlink()
    for path in ("../out.py", "src/../../out.py", str(tmp_path / "out.py")):
        with pytest.raises(BrokenFile, match="leads out of the checkout"):
            apply(root, Plan(new_files=(NewFile(path, ""),)))
    assert not (tmp_path / "out.py").exists()
    assert tree(root) == states[0]


def test_a_second_run_waits_and_is_refused_with_the_name_of_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make(tmp_path / "tree")
    script = (
        "import sys, time; from pathlib import Path; from scaffold_model.locking import locked\n"
        "with locked(Path(sys.argv[2])): print('held', flush=True); time.sleep(1)"
    )
    holder = subprocess.Popen([sys.executable, "-c", script, "register", str(root)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    monkeypatch.setattr(locking, "WAIT", 0.1)
    with pytest.raises(Busy, match=rf"is being changed by process {holder.pid} \(scaffold-model register "):
        apply(root, PLAN)
    monkeypatch.setattr(locking, "WAIT", 30.0)
    apply(root, PLAN)
    assert holder.wait() == 0
    assert not (root / ".git/scaffold-model").exists()


def test_the_lock_goes_with_a_killed_holder(tmp_path: Path) -> None:
    root = make(tmp_path / "tree")
    child = os.fork()
    if child == 0:
        with locked(root):
            die()
    os.waitpid(child, 0)
    assert (root / ".git/scaffold-model/lock").exists()
    apply(root, PLAN)
    assert not (root / ".git/scaffold-model").exists()


def test_git_at_work_is_waited_for(tmp_path: Path, states: tuple[Tree, Tree], monkeypatch: pytest.MonkeyPatch) -> None:
    root = make(tmp_path / "tree")
    (root / ".git/index.lock").write_bytes(b"")
    monkeypatch.setattr(locking, "WAIT", 0.1)
    with pytest.raises(Busy, match="git is at work in this checkout"):
        apply(root, PLAN)
    (root / ".git/index.lock").unlink()
    assert tree(root) == states[0]


def test_lock_and_journal_of_a_linked_worktree_are_its_own(tmp_path: Path) -> None:
    main = tmp_path / "main"
    command = ["git", "-C", str(main), "-c", "user.name=x", "-c", "user.email=x@y"]
    subprocess.run(["git", "init", "-q", str(main)], check=True)
    subprocess.run([*command, "commit", "-q", "--allow-empty", "-m", "x"], check=True)
    subprocess.run([*command, "worktree", "add", "-q", str(tmp_path / "linked")], check=True, capture_output=True)
    for root in (main, tmp_path / "linked"):
        for name, ours in (("scaffold-model", locking.home(root)), ("info/exclude", None)):
            said = subprocess.run(
                ["git", "-C", str(root), "rev-parse", "--git-path", name], capture_output=True, text=True, check=True
            ).stdout.strip()
            common = locking.common_folder(root)
            assert common is not None
            assert (root / said).resolve() == (ours or common / name).resolve()


@pytest.mark.checkout
def test_the_command_itself_is_killed_and_any_command_puts_it_in_order(checkout: Path) -> None:
    """The real thing: a whole scaffold, killed as soon as its journal is there, or at a random moment after that."""
    chance = random.Random(5)
    journal = checkout / ".git/scaffold-model/journal.json"
    run_command("--name", "foo", "-y", cwd=checkout)
    new = _state(checkout)
    run_command("remove", "foo", cwd=checkout)
    assert git_status(checkout) == ""
    old = _state(checkout)
    torn = 0
    for _ in range(40 if ALL else 3):
        process = subprocess.Popen(
            [sys.executable, "-m", "scaffold_model", "--name", "foo", "-y"],
            cwd=checkout,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        while process.poll() is None and not journal.exists():
            time.sleep(0.0005)
        time.sleep(chance.random() * 0.03)
        process.kill()
        process.wait()
        torn += journal.exists()
        assert run_command("conventions", cwd=checkout).returncode == 0
        found = _state(checkout)
        assert found in (old, new)
        if found == new:
            assert run_command("remove", "foo", cwd=checkout).returncode == 0
        assert _state(checkout) == old
    assert torn or not ALL


def _state(root: Path) -> str:
    diff = subprocess.run(["git", "-C", str(root), "diff"], capture_output=True, text=True, check=True).stdout
    return git_status(root) + diff


@pytest.mark.checkout
def test_two_runs_at_once_both_come_through(checkout: Path) -> None:
    command = [sys.executable, "-m", "scaffold_model", "-y", "--name"]
    runs = [
        subprocess.Popen([*command, name], cwd=checkout, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        for name in ("foo", "bar")
    ]
    for one in runs:
        _, told = one.communicate()
        assert one.returncode == 0, told
    assert '"unchanged"' in run_command("register", "--json", cwd=checkout).stdout
    for name in ("foo", "bar"):
        assert run_command("remove", name, cwd=checkout).returncode == 0
    assert git_status(checkout) == ""


@pytest.mark.checkout
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_signal_in_the_prompt_writes_nothing(checkout: Path, number: signal.Signals) -> None:
    import pty

    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "scaffold_model"],
        cwd=checkout,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        # Test runners start their workers with SIGINT ignored, which a child would inherit.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    shown = b""
    while b"snake_case" not in shown:
        shown += os.read(ours, 1000)
    # A signal in the instant before the terminal is read would wait for a line.
    time.sleep(0.5)
    process.send_signal(number)
    code = process.wait(timeout=60)
    os.close(theirs)
    if number == signal.SIGINT:
        assert code == 2
        assert b"stopped; nothing was written" in os.read(ours, 1000)
    os.close(ours)
    assert git_status(checkout) == ""
    assert not (checkout / ".git/scaffold-model").exists()
