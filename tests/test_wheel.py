"""A wheel does the whole job outside a clone of this project, and carries the template with its history."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from conftest import ROOT, run_command


def built(source: Path, out: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(source)],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of HEAD, unpacked into a folder by pip."""
    folder = tmp_path_factory.mktemp("wheel")
    clone = folder / "clone"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
    done = built(clone, folder / "dist")
    assert done.returncode == 0, done.stdout + done.stderr
    assert not list(clone.rglob("*.bundle")), "a bundle was left behind, where it would hide the template"
    (wheel,) = (folder / "dist").glob("*.whl")
    target = folder / "site"
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(target), str(wheel)],
        check=True,
    )
    assert (target / "scaffold_model" / "template.bundle").is_file()
    return target


@pytest.mark.checkout
def test_an_installed_wheel_does_the_whole_job(installed: Path, checkout: Path) -> None:
    where = subprocess.run(
        [sys.executable, "-c", "import scaffold_model; print(scaffold_model.__file__)"],
        env={**os.environ, "PYTHONPATH": str(installed)},
        cwd=checkout,
        capture_output=True,
        text=True,
        check=True,
    )
    assert where.stdout.startswith(str(installed))
    done = run_command("--name", "foo", cwd=checkout, PYTHONPATH=str(installed))
    assert done.returncode == 0, done.stderr
    answers = yaml.safe_load((checkout / ".scaffold/foo/answers.yml").read_text())
    head = subprocess.run(["git", "-C", str(ROOT), "describe", "--tags", "--always"], capture_output=True, text=True)
    assert answers["_commit"] == head.stdout.strip()
    assert answers["_src_path"] == "https://github.com/scaffold-model/scaffold-model.git"
    again = run_command("register", cwd=checkout, PYTHONPATH=str(installed))
    assert "Nothing to do" in again.stdout


@pytest.mark.checkout
def test_an_unknown_version_of_the_template_is_refused(installed: Path, checkout: Path) -> None:
    done = run_command("--name", "foo", "--vcs-ref", "v99", cwd=checkout, PYTHONPATH=str(installed))
    assert done.returncode == 2
    assert "git could not read version v99 of the template" in done.stderr


@pytest.mark.checkout
def test_an_older_version_of_the_template_comes_from_the_bundle(installed: Path) -> None:
    first = subprocess.run(
        ["git", "-C", str(ROOT), "rev-list", "--max-parents=0", "HEAD"], capture_output=True, text=True, check=True
    ).stdout.split()[0]
    bundle = installed / "scaffold_model" / "template.bundle"
    clone = bundle.with_name("from-bundle")
    subprocess.run(["git", "clone", "--quiet", "--no-checkout", str(bundle), str(clone)], check=True)
    subprocess.run(["git", "-C", str(clone), "cat-file", "-e", first], check=True)


def test_a_shallow_clone_builds_no_wheel(tmp_path: Path) -> None:
    subprocess.run(["git", "clone", "--quiet", "--depth=1", f"file://{ROOT}", str(tmp_path / "shallow")], check=True)
    done = built(tmp_path / "shallow", tmp_path / "dist")
    assert done.returncode != 0
    assert "this clone is shallow" in done.stdout + done.stderr


def test_a_tree_without_history_builds_no_wheel(tmp_path: Path) -> None:
    archive = subprocess.run(["git", "-C", str(ROOT), "archive", "HEAD"], capture_output=True, check=True).stdout
    (tmp_path / "source").mkdir()
    subprocess.run(["tar", "-x", "-C", str(tmp_path / "source")], input=archive, check=True)
    done = built(tmp_path / "source", tmp_path / "dist")
    assert done.returncode != 0
    assert "this source tree has no git history" in done.stdout + done.stderr
