"""Plans: diffs and merging; and the overlay of a snapshot."""

from __future__ import annotations

from pathlib import Path

import pytest

from scaffold_model.errors import BrokenFile
from scaffold_model.plan import Edit, NewFile, Plan, Registered, merge_plans
from scaffold_model.snapshot import Snapshot


def test_diff_is_one_that_git_can_apply() -> None:
    plan = Plan(new_files=(NewFile("new.py", "x = 1\n"),), edits=(Edit("old.py", "a\nb\n", "a\nc\nb\n"),))
    assert plan.diff() == (
        "diff --git a/new.py b/new.py\nnew file mode 100644\n--- /dev/null\n+++ b/new.py\n@@ -0,0 +1 @@\n+x = 1\n"
        "diff --git a/old.py b/old.py\n--- a/old.py\n+++ b/old.py\n@@ -1,2 +1,3 @@\n a\n+c\n b\n"
    )


def test_diff_says_where_the_final_newline_is_missing() -> None:
    plan = Plan(edits=(Edit("old.py", "a", "b"),))
    assert plan.diff().endswith("-a\n\\ No newline at end of file\n+b\n\\ No newline at end of file\n")


def test_merging_folds_edits_of_created_files_and_keeps_the_first_before() -> None:
    first = Plan(new_files=(NewFile("new.py", "1"),), edits=(Edit("old.py", "a", "b"),), notices=("n",))
    second = Plan(
        edits=(Edit("new.py", "1", "2"), Edit("old.py", "b", "c")), entries=(Registered("r", "o", "old.py"),)
    )
    assert merge_plans(first, second) == Plan(
        new_files=(NewFile("new.py", "2"),),
        edits=(Edit("old.py", "a", "c"),),
        entries=(Registered("r", "o", "old.py"),),
        notices=("n",),
    )


def test_an_edit_that_changes_nothing_is_no_edit() -> None:
    assert not merge_plans(Plan(edits=(Edit("a", "1", "2"),)), Plan(edits=(Edit("a", "2", "1"),)))


def test_snapshot_reads_lists_and_overlays(tmp_path: Path) -> None:
    (tmp_path / "a" / "__pycache__").mkdir(parents=True)
    (tmp_path / "a" / "x.py").write_bytes(b"one\r\n")
    (tmp_path / "a" / "__pycache__" / "x.py").write_text("no")
    snapshot = Snapshot(tmp_path)
    assert snapshot.read("a/x.py") == "one\r\n"
    assert snapshot.read("a") is None
    assert snapshot.read("a/none.py") is None
    over = snapshot.overlaid({"a/b/y.py": "two", "a/x.py": "three"})
    assert (over.read("a/x.py"), snapshot.read("a/x.py")) == ("three", "one\r\n")
    assert list(over.walk("a")) == ["a/x.py", "a/b/y.py"]
    assert list(snapshot.walk("a")) == ["a/x.py"]
    assert over.exists("a/b/y.py")
    assert not snapshot.exists("a/b/y.py")


def test_snapshot_refuses_other_encodings(tmp_path: Path) -> None:
    (tmp_path / "x.py").write_bytes(b"caf\xe9")
    with pytest.raises(BrokenFile, match="not valid UTF-8"):
        Snapshot(tmp_path).read("x.py")
