"""Changes that stand next to each other are no conflict; changes of the same lines are one."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from scaffold_model.updating import merge_file

TOP = "import a\n\n\ndef one(): ...\n"
CLASS = "class A:\n    def one(self): ...\n"

#: What was there, what the contributor made of it, what the scaffold made of it, and what comes of both.
SETTLED = {
    "lines above what was changed": (
        "# Foo\n\nTODO\n",
        "# Foo\n\nMine.\n",
        "# Foo\n\n<img>\n\nTODO\n",
        "# Foo\n\n<img>\n\nMine.\n",
    ),
    "lines below what was changed": ("a\nb\n", "a\nc\n", "a\nb\nd\n", "a\nc\nd\n"),
    "lines above what the scaffold changed": ("a\nb\nz\n", "a\nmine\nb\nz\n", "a\nc\nz\n", "a\nmine\nc\nz\n"),
    "a TODO that is done and would be worded anew": (
        "# Foo\n\n<!-- TODO(foo): introduce it, and its weights. -->\n",
        "# Foo\n\nMine.\n",
        "# Foo\n\n<!-- TODO(foo): introduce it. -->\n",
        "# Foo\n\nMine.\n",
    ),
    "lines that go with what was changed": ("a\nb\n", "a\n", "a\nb\nc\n", "a\nc\n"),
    "two functions at the end": (
        TOP,
        TOP + "\n\ndef two(): ...\n",
        TOP + "\n\n@three\nclass Three: ...\n",
        TOP + "\n\ndef two(): ...\n\n\n@three\nclass Three: ...\n",
    ),
    "two methods at the end": (
        CLASS,
        CLASS + "\n    def two(self): ...\n",
        CLASS + "\n    def three(self): ...\n",
        CLASS + "\n    def two(self): ...\n\n    def three(self): ...\n",
    ),
}
CONTRADICTIONS = {
    "a TODO with a remark": ("# TODO(foo): a\n", "# TODO(foo): a, mine\n", "# TODO(foo): b\n"),
    "a TODO that code comes with": ("# TODO(foo): a\n", "mine = 1\n", "# TODO(foo): b\nb = 1\n"),
    "one line changed twice": ("a\nb\n", "a\nmine\n", "a\ntheirs\n"),
    "two parameters": ("f(\n    a,\n)\n", "f(\n    a,\n    b,\n)\n", "f(\n    a,\n    c,\n)\n"),
    "one name twice": (TOP, TOP + "\n\ndef two(): ...\n", TOP + "\n\ndef two(x): ...\n"),
    "a method and a function": (CLASS, CLASS + "\n    def two(self): ...\n", CLASS + "\n\ndef three(): ...\n"),
    "statements": (TOP, TOP + "\n\nx = one()\n", TOP + "\n\ndef three(): ...\n"),
    "one of two places": (
        "a\nb\n" + TOP,
        "a\nmine\n" + TOP + "\n\ndef two(): ...\n",
        "a\ntheirs\n" + TOP + "\n\ndef three(): ...\n",
    ),
}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    subprocess.run(["git", "init", "--quiet", str(tmp_path / "repository")], check=True)
    return tmp_path / "repository"


@pytest.mark.parametrize("case", SETTLED)
def test_changes_that_only_touch_are_both_made(repository: Path, tmp_path: Path, case: str) -> None:
    base, mine, theirs, wanted = SETTLED[case]
    assert merge_file(repository, tmp_path, mine, base, theirs, ("v1", "v2")) == (wanted, False)


@pytest.mark.parametrize("case", CONTRADICTIONS)
def test_what_contradicts_is_shown_as_git_shows_it(repository: Path, tmp_path: Path, case: str) -> None:
    base, mine, theirs = CONTRADICTIONS[case]
    text, conflict = merge_file(repository, tmp_path, mine, base, theirs, ("v1", "v2"))
    plain = [
        "git",
        "merge-file",
        "-p",
        "-L",
        "yours",
        "-L",
        "template v1",
        "-L",
        "template v2",
        "mine",
        "base",
        "theirs",
    ]
    done = subprocess.run(plain, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (text, conflict) == (done.stdout, True)
