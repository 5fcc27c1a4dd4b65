"""Checkouts of earlier days: a scaffold follows what the checkout does, is registered, and is green there.

By default two of the days are tried, in which every older style occurs; SCAFFOLD_MODEL_ALL_DATES=1 tries all of them.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from conftest import clone_of, git_status, run_command

from scaffold_model.copied import unfilled
from scaffold_model.older.hints import with_typing
from scaffold_model.older.styles import MODULAR_UNITTEST
from scaffold_model.older.tests import restyled
from scaffold_model.practice import NoRelease
from scaffold_model.practice import practice as make_practice
from scaffold_model.spec import ModelSpec

#: The ends of the days.
DAYS = ("2025-10-31", "2026-02-28", "2026-06-30", "2026-07-31")
FEW = ("2025-10-31", "2026-07-31")
#: At least so many tests must pass in the file of each layer.
LAYERS = {"models": 25, "pipelines": 25, "modular_pipelines": 10}
ALL = bool(os.environ.get("SCAFFOLD_MODEL_ALL_DATES"))

days = pytest.mark.parametrize("day", DAYS if ALL else FEW)


def checkout_of(pristine: Path, target: Path, day: str) -> Path:
    command = ["git", "-C", str(pristine), "rev-list", "-1", "--first-parent", f"--before={day}T23:59:59Z", "HEAD"]
    found = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    return clone_of(pristine, target, found)


def new_python(root: Path) -> list[str]:
    command = ["git", "-C", str(root), "ls-files", "--others", "--exclude-standard"]
    files = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return [path for path in files if path.endswith(".py")]


@pytest.mark.checkout
@days
@pytest.mark.parametrize("modality", ["image", "video", "audio"])
def test_copies_are_filled_and_the_code_is_clean(
    modality: str, day: str, pristine: Path, tmp_path: Path, torch_python: str
) -> None:
    root = checkout_of(pristine, tmp_path / "diffusers", day)
    options = ["--both", "--lora", "--scheduler", "new", "--vae", "new", "--modality", modality]
    done = run_command("--name", "foo", *options, "--python", torch_python, cwd=root)
    assert done.returncode == 0, done.stderr
    files = new_python(root)
    assert len(files) >= 15
    for path in files:
        text = (root / path).read_text(encoding="utf-8")
        assert unfilled(text, path) == [], path
        if day < "2026-02":
            # A Python that is older than such hints could not even import the file.
            assert with_typing(text) == text, path
    ruff = str(Path(torch_python).with_name("ruff"))
    # F401 and F821 are among the checkout's own rules; they are named in case they should leave them.
    subprocess.run([ruff, "check", "--no-cache", *files], cwd=root, check=True)
    subprocess.run([ruff, "check", "--no-cache", "--select=F821", *files], cwd=root, check=True)
    subprocess.run([ruff, "format", "--no-cache", "--check", *files], cwd=root, check=True)
    env = {**os.environ, "PATH": f"{Path(torch_python).parent}{os.pathsep}{os.environ['PATH']}"}
    subprocess.run([torch_python, "utils/check_copies.py"], cwd=root, check=True, env=env)


@pytest.mark.checkout
@pytest.mark.torch
@days
def test_green_where_it_is_scaffolded(
    day: str, pristine: Path, tmp_path: Path, torch_python: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = checkout_of(pristine, tmp_path / "diffusers", day)
    done = run_command("--name", "foo", "--both", "--lora", "--python", torch_python, cwd=root)
    assert done.returncode == 0, done.stderr
    before = git_status(root)
    again = run_command("register", "--json", cwd=root)
    assert json.loads(again.stdout)["status"] == "unchanged"
    hub = str(tmp_path_factory.mktemp("hub"))
    verified = run_command("verify", "foo", "--python", torch_python, "--json", cwd=root, HF_HOME=hub)
    assert verified.returncode == 0, verified.stdout + verified.stderr
    gates = {gate["name"]: gate for gate in json.loads(verified.stdout)["gates"]}
    # Red in the untouched tree too: what is not installed is imported there, and three LoRA tests need the network.
    assert {gate["status"] for gate in gates.values()} <= {"passed", "baseline", "absent"}
    for layer, least in LAYERS.items():
        counts = next(gate for name, gate in gates.items() if f"tests/{layer}/" in name)
        assert counts["passed"] >= least, counts
    assert git_status(root) == before, "verify left something behind"


@pytest.mark.checkout
@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--modular", "this checkout has no modular pipelines (they came in July 2025); update the checkout\n"),
        (
            "--standard",
            "src/diffusers/models/attention.py: this checkout has no AttentionMixin, "
            "which the generated models/transformers/transformer_foo.py needs; update the checkout",
        ),
    ],
)
def test_what_a_checkout_can_not_do_is_refused(flag: str, message: str, pristine: Path, tmp_path: Path) -> None:
    root = checkout_of(pristine, tmp_path / "diffusers", "2025-05-01")
    done = run_command("--name", "foo", flag, cwd=root)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert git_status(root) == ""


@pytest.mark.torch
@pytest.mark.parametrize("format_name", ["modular", "standard"])
def test_the_newest_release(
    format_name: str, tmp_path: Path, torch_python: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    try:
        root = make_practice(tmp_path / "diffusers", lambda _: None).directory
    except NoRelease as error:
        pytest.skip(f"the release can not be had: {error.message}")
    done = run_command("--name", "foo", f"--{format_name}", "--python", torch_python, cwd=root)
    assert done.returncode == 0, done.stderr
    again = run_command("register", "--json", cwd=root)
    assert json.loads(again.stdout)["status"] == "unchanged"
    ruff = str(Path(torch_python).with_name("ruff"))
    # Released sources have no pyproject.toml; names that a package imports are its exports.
    rules = ["--isolated", "--select=F,E9", "--per-file-ignores=__init__.py:F401,__init__.py:F403"]
    subprocess.run([ruff, "check", *rules, *new_python(root)], cwd=root, check=True)
    code = "import diffusers\n" + "".join(
        f"assert diffusers.{name}.__name__ == {name!r}\n"
        for name in ModelSpec("foo", format=format_name).public_classes
    )
    for slow in ("", "1"):
        environment = {**os.environ, "PYTHONPATH": str(root / "src"), "DIFFUSERS_SLOW_IMPORT": slow}
        subprocess.run([torch_python, "-c", code], check=True, env=environment, cwd=root)
    picture = tmp_path / "picture.png"
    hub = str(tmp_path_factory.mktemp("hub"))
    drawn = run_command("tiny", "foo", "--generate", str(picture), "--python", torch_python, cwd=root, HF_HOME=hub)
    assert drawn.returncode == 0, drawn.stderr
    assert picture.read_bytes().startswith(b"\x89PNG")


EXTENDING = """
import pytest
import torch

from ...testing_utils import torch_device
from ..testing_utils import BaseModularPipelineTesterConfig, ModularPipelineTesterMixin


class FooTesterConfig(BaseModularPipelineTesterConfig):
    output_name = "{output}"

    def get_dummy_inputs(self, seed=0):
        return {{}}


class TestFooFast(FooTesterConfig, ModularPipelineTesterMixin):
    def test_inference_batch_single_identical(self):
        super().test_inference_batch_single_identical(expected_max_diff=5e-3)

    def test_num_frames(self):
        assert super().output_name
"""


@pytest.mark.parametrize(("output", "extends"), [("images", True), ("videos", False)])
def test_tests_that_stand_alone_extend_no_inherited_test(output: str, extends: bool) -> None:
    older = restyled(EXTENDING.format(output=output), MODULAR_UNITTEST)
    assert ("test_inference_batch_single_identical" in older) is extends
    assert "def test_num_frames(self):" in older
