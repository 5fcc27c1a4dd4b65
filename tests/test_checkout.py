"""Applying a plan is all or nothing."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest

from scaffold_model.checkout import (
    ChangedMeanwhile,
    apply,
    exclude_state,
    find_checkout,
    head,
    remove_created,
)
from scaffold_model.errors import BrokenFile, NotACheckout
from scaffold_model.plan import Edit, NewFile, Plan
from scaffold_model.snapshot import Snapshot


def tree(root: Path) -> dict[str, tuple[int, bytes]]:
    return {
        str(path.relative_to(root)): (stat.S_IMODE(path.stat().st_mode), path.read_bytes() if path.is_file() else b"")
        for path in sorted(root.rglob("*"))
    }


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "a.py").write_bytes(b"a = 1\r\n")
    (tmp_path / "src" / "b.sh").write_text("b\n")
    (tmp_path / "src" / "b.sh").chmod(0o750)
    return tmp_path


PLAN = Plan(
    new_files=(NewFile("src/new/deep/x.py", "x\n"), NewFile("docs/y.md", "y\n")),
    edits=(Edit("src/a.py", "a = 1\r\n", "a = 2\r\n"), Edit("src/b.sh", "b\n", "c\n")),
)


def test_apply_writes_everything_and_keeps_modes_and_line_ends(root: Path) -> None:
    apply(root, PLAN)
    after = tree(root)
    assert after["src/a.py"][1] == b"a = 2\r\n"
    assert after["src/b.sh"] == (0o750, b"c\n")
    assert after["src/new/deep/x.py"] == (0o644, b"x\n")
    assert after["docs/y.md"][1] == b"y\n"
    assert not [path for path in after if "scaffold-model" in path]


@pytest.mark.parametrize("fail_at", range(4))
def test_a_failing_swap_puts_everything_back(root: Path, monkeypatch: pytest.MonkeyPatch, fail_at: int) -> None:
    before = tree(root)
    calls = 0
    real = os.replace

    def replace(source: Any, target: Any) -> None:
        nonlocal calls
        calls += 1
        if calls > fail_at:
            raise OSError(28, "No space left on device", str(target))
        real(source, target)

    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(BrokenFile, match="No space left on device"):
        apply(root, PLAN)
    assert tree(root) == before


def test_a_failing_proof_puts_everything_back(root: Path) -> None:
    before = tree(root)

    def prove(snapshot: Snapshot) -> None:
        assert snapshot.read("src/a.py") == "a = 2\r\n"
        raise RuntimeError("not proven")

    with pytest.raises(RuntimeError, match="not proven"):
        apply(root, PLAN, prove)
    assert tree(root) == before


def test_a_file_that_was_changed_meanwhile_is_refused(root: Path) -> None:
    (root / "src" / "a.py").write_text("a = 3\n")
    before = tree(root)
    with pytest.raises(ChangedMeanwhile, match="was changed while the plan was made"):
        apply(root, PLAN)
    assert tree(root) == before


def test_read_only_is_refused_by_mode_even_for_root(root: Path) -> None:
    (root / "src" / "b.sh").chmod(0o440)
    before = tree(root)
    with pytest.raises(BrokenFile, match="is read-only, mode 0440") as caught:
        apply(root, PLAN)
    assert caught.value.path == "src/b.sh"
    assert tree(root) == before


def test_a_read_only_folder_is_refused(root: Path) -> None:
    (root / "src").chmod(0o555)
    with pytest.raises(BrokenFile, match=r"read-only folder \(src/\)"):
        apply(root, Plan(new_files=(NewFile("src/z.py", ""),)))
    (root / "src").chmod(0o755)
    assert not (root / "src" / "z.py").exists()


def test_an_existing_file_is_never_overwritten_by_a_new_one(root: Path) -> None:
    with pytest.raises(BrokenFile, match="exists already"):
        apply(root, Plan(new_files=(NewFile("src/a.py", ""),)))


def test_symbolic_links_are_refused(root: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    outside = tmp_path_factory.mktemp("outside")
    (root / "docs").symlink_to(outside)
    with pytest.raises(BrokenFile, match="symbolic link"):
        apply(root, PLAN)
    assert list(outside.iterdir()) == []


def test_remove_created_takes_empty_folders_along(root: Path) -> None:
    apply(root, PLAN)
    remove_created(root, ["src/new/deep/x.py", "docs/y.md", "docs/never.md"])
    assert sorted(path.name for path in root.rglob("*")) == ["a.py", "b.sh", "src"]


def git(root: Path, *arguments: str) -> None:
    subprocess.run(["git", "-C", str(root), *arguments], check=True, capture_output=True)


def test_head_and_exclude(root: Path) -> None:
    git(root, "init", "-q", "-b", "trunk")
    git(
        root,
        "-c",
        "user.name=x",
        "-c",
        "user.email=x@y",
        "commit",
        "-q",
        "--allow-empty",
        "-m",
        "x",
        "--date=2020-01-01",
    )
    stand = head(root)
    assert len(stand.commit) == 40
    assert stand.branch == "trunk"
    assert exclude_state(root)
    assert not exclude_state(root)
    exclude = root / ".git" / "info" / "exclude"
    assert exclude.read_text().endswith("\n/.scaffold/\n")


def test_places_that_are_no_checkout(root: Path) -> None:
    with pytest.raises(NotACheckout, match="is not in a checkout of diffusers"):
        find_checkout(root)
    git(root, "init", "-q")
    with pytest.raises(NotACheckout, match="is a git repository, but not one of diffusers"):
        find_checkout(root / "src")
    (root / "src" / "diffusers").mkdir()
    (root / "src" / "diffusers" / "__init__.py").write_text("")
    with pytest.raises(NotACheckout, match="does not look like diffusers"):
        find_checkout(root / "src")
    with pytest.raises(NotACheckout, match="is no folder"):
        find_checkout(root / "nowhere")
