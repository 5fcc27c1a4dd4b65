"""`scaffold_model.parity.running` runs in the Python that has torch, and so do its tests, those of ``tests/running/``."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.mark.torch
@pytest.mark.checkout
@pytest.mark.parametrize("file", sorted(path.name for path in (HERE / "running").glob("test_*.py")))
def test_running(file: str, torch_python: str, pristine: Path) -> None:
    """One file of tests, with the checkout's diffusers."""
    paths = [str(HERE.parent / "generator"), str(HERE / "running"), str(pristine / "src")]
    done = subprocess.run(
        [torch_python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(HERE / "running"), file],
        cwd=HERE / "running",
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
