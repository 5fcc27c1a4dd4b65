"""The committed examples are what the template and the registration give today, for the pinned commit of diffusers."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import yaml
from conftest import ROOT, clone_of, run_command

sys.path.insert(0, str(ROOT / "tools"))

pytestmark = pytest.mark.checkout


@pytest.mark.parametrize("folder", sorted((ROOT / "examples").glob("*/")), ids=lambda folder: folder.name)
def test_an_example_is_up_to_date(folder: Path, pinned: Path) -> None:
    import examples

    expected = examples.example(yaml.safe_load((folder / "answers.yml").read_text()), pinned)
    committed = {
        str(path.relative_to(folder)): path.read_bytes().decode("utf-8")
        for path in folder.rglob("*")
        if path.is_file()
    }
    assert committed == expected, "run `make examples` and look at the difference"


def test_the_picture_in_the_readme_is_what_the_terminal_shows(pinned: Path, tmp_path: Path) -> None:
    clone = clone_of(pinned, tmp_path / "diffusers")
    done = run_command("--name", "y_image", "--modular", cwd=clone)
    assert done.returncode == 0, done.stderr
    assert f"```text\n{done.stdout}```\n" in (ROOT / "README.md").read_text()
