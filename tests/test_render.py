"""Our renders are Copier's: the same files, and answers that record the version as Copier itself records it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from conftest import ROOT

from scaffold_model.render import ADDRESS, recorded
from scaffold_model.spec import ModelSpec

RENDER = (
    "import json, sys; from scaffold_model.render import render;"
    "print(json.dumps(render(json.loads(sys.argv[1]), sys.argv[2] or None)))"
)


@pytest.mark.parametrize("tagged", [False, True])
def test_a_render_is_what_copier_makes_of_the_address(tagged: bool, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
    if tagged:
        subprocess.run(["git", "-C", str(clone), "tag", "v1.2.0"], check=True)
    answers = json.dumps(ModelSpec("foo", format="both", lora="yes").answers())
    environment = {
        **os.environ,
        "PYTHONPATH": str(clone / "generator"),
        # Where a hook names a repository, another one is meant.
        "GIT_DIR": str(tmp_path / "elsewhere"),
    }
    ours = subprocess.run(
        [sys.executable, "-c", RENDER, answers, ""], env=environment, check=False, capture_output=True, text=True
    )
    assert ours.returncode == 0, ours.stderr
    theirs = tmp_path / "theirs"
    (tmp_path / "answers.json").write_text(answers, encoding="utf-8")
    environment = {
        **os.environ,
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.{clone}.insteadOf",
        "GIT_CONFIG_VALUE_0": ADDRESS,
        "COPIER_CACHE_DIR": str(tmp_path / "cache"),
    }
    copy = ["copy", "--trust", "--skip-tasks", "--defaults", "--quiet", "--vcs-ref=HEAD"]
    command = [sys.executable, "-m", "copier", *copy, f"--data-file={tmp_path / 'answers.json'}", ADDRESS, str(theirs)]
    done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    files = {path.relative_to(theirs).as_posix(): path for path in theirs.rglob("*") if path.is_file()}
    assert json.loads(ours.stdout) == {path: file.read_text(encoding="utf-8") for path, file in files.items()}
    if tagged:
        assert "_commit: v1.2.0\n" in json.loads(ours.stdout)[".scaffold/foo/answers.yml"]


@pytest.mark.parametrize("version", ["v1.2.0", "v1.2.0-3-g0314013", "0314013", "1234567", "12345e6", "a1b2c3d"])
def test_a_version_is_recorded_as_text(version: str) -> None:
    """Some hashes look like numbers to YAML, `0314013` like one in base eight."""
    assert yaml.safe_load(recorded(version)) == {"_commit": version, "_src_path": ADDRESS}
    assert yaml.dump({"_commit": version, "_src_path": ADDRESS}).rstrip("\n") == recorded(version)
