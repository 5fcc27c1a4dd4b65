"""Copier's own door: trust, a task without scaffold-model, and the temporary renders of an update."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, git_status, run_command

FINISH = str(ROOT / "tasks" / "finish.py")
COPIER = [
    sys.executable,
    "-m",
    "copier",
    "copy",
    "--defaults",
    "--quiet",
    "--vcs-ref=HEAD",
    "--data=name=foo",
    str(ROOT),
]


@pytest.mark.checkout
def test_without_trust_copier_refuses_and_writes_nothing(checkout: Path) -> None:
    done = subprocess.run([*COPIER, "."], cwd=checkout, capture_output=True, text=True, check=False)
    assert done.returncode == 4
    assert "--trust" in done.stderr
    assert git_status(checkout) == ""


def run_task(operation: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    # -S leaves out site-packages, and with them scaffold-model; PATH has none either.
    return subprocess.run(
        [sys.executable, "-I", "-S", FINISH, operation, "foo"],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/usr/bin:/bin"},
    )


def test_the_task_prints_what_finishes_the_job_where_scaffold_model_is_missing(tmp_path: Path) -> None:
    (tmp_path / "src" / "diffusers").mkdir(parents=True)
    (tmp_path / "src" / "diffusers" / "__init__.py").write_text("")
    done = run_task("copy", tmp_path)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == (
        "scaffold-model is not installed here, so the new files are neither completed nor registered yet. Finish with:\n"
        "  scaffold-model complete foo\n"
        "  scaffold-model register\n"
    )


def test_the_task_is_silent_in_the_temporary_renders_of_an_update(tmp_path: Path) -> None:
    done = run_task("update", tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_temporary_render_is_formatted_and_nothing_else(tmp_path: Path) -> None:
    render = [*COPIER, "--trust", "--skip-tasks", "--data=class_prefix=MyVeryLongModelNameVersionFifteen"]
    subprocess.run([*render, "--data=tests=mixins", str(tmp_path)], check=True, capture_output=True)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    done = subprocess.run(
        [sys.executable, FINISH, "update", "foo"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    after = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert before.keys() == after.keys()
    changed = [path.name for path in before if before[path] != after[path]]
    assert changed
    assert all(name.endswith(".py") for name in changed)
    again = subprocess.run([sys.executable, FINISH, "update", "foo"], cwd=tmp_path, capture_output=True, check=False)
    assert again.returncode == 0
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == after


def git(root: Path, *arguments: str) -> None:
    subprocess.run(["git", "-C", str(root), *arguments], check=True, capture_output=True)


@pytest.mark.checkout
def test_copier_updates_a_scaffold_and_keeps_edits(checkout: Path, tmp_path: Path) -> None:
    template = tmp_path / "template"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(template)], check=True)
    for key, value in (("user.name", "Test"), ("user.email", "test@example.com")):
        git(template, "config", key, value)
    git(template, "tag", "v1.0.0")
    copy = [sys.executable, "-m", "copier", "copy", "--trust", "--defaults", "--quiet", "--data=name=foo"]
    subprocess.run([*copy, str(template), "."], cwd=checkout, check=True, capture_output=True)
    decoders = checkout / "src/diffusers/modular_pipelines/foo/decoders.py"
    decoders.write_text(decoders.read_text() + "\n\n# An edit of the contributor.\n")
    harness = checkout / ".scaffold/foo/parity.py"
    harness.write_bytes(harness.read_bytes() + b"# An edit of the harness.\n")
    edited = harness.read_bytes()
    script = checkout / "scripts/convert_foo_to_diffusers.py"
    script.unlink()
    git(checkout, "add", "-A")
    git(checkout, "commit", "-qm", "Add Foo")

    (source,) = template.glob("template/src/diffusers/models/transformers/transformer_*")
    source.write_text(
        source.read_text()
        .replace("import torch.nn as nn\n", "import torch.nn as nn\nimport torch.nn.functional as F\n", 1)
        .replace("num_layers: int = 24", "num_layers: int = 28")
    )
    git(template, "commit", "-qam", "Another default")
    git(template, "tag", "v1.1.0")
    update = [sys.executable, "-m", "copier", "update", "--trust", "--defaults", "-a", ".scaffold/foo/answers.yml"]
    done = subprocess.run(update, cwd=checkout, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    changed = subprocess.run(
        ["git", "-C", str(checkout), "status", "--porcelain"], capture_output=True, text=True, check=True
    ).stdout
    assert changed == " M src/diffusers/models/transformers/transformer_foo.py\n"
    diff = subprocess.run(
        ["git", "-C", str(checkout), "diff", "-U0"], capture_output=True, text=True, check=True
    ).stdout
    lines = [line for line in diff.splitlines() if line[:1] in "+-" and line[:3] not in ("+++", "---")]
    assert lines == ["-        num_layers: int = 24,", "+        num_layers: int = 28,"]
    assert "v1.1.0" in (checkout / ".scaffold/foo/answers.yml").read_text()
    assert harness.read_bytes() == edited
    assert not script.exists()
    # Nothing is registered twice: the diff above holds no registry, and there is nothing left to register.
    assert '"unchanged"' in run_command("register", "--json", cwd=checkout).stdout
