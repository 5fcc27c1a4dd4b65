"""The tutorial: every command is run, every edit made, and every output is what the page shows.

``SCAFFOLD_MODEL_WRITE_TUTORIAL=1 pytest tests/test_tutorial.py`` writes the outputs into the page.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, clone_of

PAGE = ROOT / "docs" / "tutorial.md"
_BLOCK = re.compile(r"```(console|diff)\n(.*?)```\n", re.DOTALL)


def follow(page: str, checkout: Path, environment: dict[str, str]) -> str:
    """Do what a page says, in a checkout; the page with what came out of it."""

    def done(match: re.Match[str]) -> str:
        kind, body = match.groups()
        if kind == "diff":
            _edit(checkout, body)
            return match[0]
        command = body.splitlines()[0].removeprefix("$ ")
        run = subprocess.run(
            [
                "bash",
                "-o",
                "pipefail",
                "-c",
                command.replace("scaffold-model ", f"{sys.executable} -m scaffold_model ", 1),
            ],
            cwd=checkout,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert run.returncode in (0, 1), run.stderr
        output = "\n".join(line.rstrip() for line in run.stdout.replace(str(checkout.parent), "..").splitlines())
        return f"```console\n$ {command}\n{output}\n```\n"

    return _BLOCK.sub(done, page)


def _edit(checkout: Path, body: str) -> None:
    """Make the edit that a block shows: its lines with a minus become those with a plus."""
    head, *lines = body.splitlines()
    path = checkout / head.removeprefix("--- ")
    old, new = ("".join(f"{line[1:]}\n" for line in lines if line.startswith(sign)) for sign in "-+")
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{path.name} has no\n{old}"
    path.write_text(text.replace(old, new), encoding="utf-8")


def _alike(page: str) -> str:
    """A page without what differs between machines: the last digits of rounding."""
    return re.sub(r"\d\.\d+e[+-]\d+", "N", page)


@pytest.mark.torch
@pytest.mark.checkout
def test_the_tutorial(pinned: Path, tmp_path: Path, torch_python: str) -> None:
    checkout = clone_of(pinned, tmp_path / "diffusers")
    (tmp_path / "scaffold-model").symlink_to(ROOT)
    environment = {key: value for key, value in os.environ.items() if key != "VIRTUAL_ENV"}
    environment |= {"SCAFFOLD_MODEL_PYTHON": torch_python, "COLUMNS": "110", "OMP_NUM_THREADS": "1"}
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT / "generator"), os.environ.get("PYTHONPATH", "")])
    page = PAGE.read_text(encoding="utf-8")
    followed = follow(page, checkout, environment)
    if os.environ.get("SCAFFOLD_MODEL_WRITE_TUTORIAL"):
        PAGE.write_text(followed, encoding="utf-8")
    assert _alike(followed) == _alike(page)
    assert (checkout / "oak.html").is_file()
