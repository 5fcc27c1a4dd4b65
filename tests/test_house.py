"""The conventions of real checkouts of several dates, and the command that shows them."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
from conftest import clone_of, run_command

from scaffold_model.house import conventions, stored_conventions
from scaffold_model.snapshot import Snapshot

#: What changed when, as seen in the tree: the newest commit before a day, and what it does.
DATES = {
    "2025-05-01": {
        "modular": False,
        "attention_dispatch": False,
        "union_hints": False,
        "model_tests": "unittest",
        "modular_tests": "none",
        "toctree_sections": ("Stable Diffusion",),
    },
    "2025-10-15": {
        "modular": True,
        "attention_dispatch": True,
        "parallel_config": True,
        "union_hints": False,
        "default_map": False,
        "lora_scale_decorator": False,
        "parameter_templates": False,
        "auto_docstrings": False,
        "workflow_map": False,
        "model_tests": "unittest",
        "modular_tests": "unittest",
        "assert_tensors_close": False,
    },
    "2026-02-15": {
        "parameter_templates": True,
        "base_model_output": False,
        "union_hints": True,
        "default_map": True,
        "lora_scale_decorator": True,
        "auto_docstrings": True,
        "forward_docstrings": False,
        "model_tests": "mixins",
        "pipeline_tests": "unittest",
    },
    "2026-06-15": {
        "workflow_map": True,
        "forward_docstrings": True,
        "pipeline_tests": "unittest",
        "dtype_argument": False,
        "lora_tests": "lora",
    },
    "2026-07-20": {
        "pipeline_tests": "config",
        "run_pipe": False,
        "modular_tests": "common",
        "toctree_sections": ("Audio", "Image", "Text", "Video"),
    },
    "2026-08-23": {
        "modular_tests": "config",
        "lora_tests": "pipelines",
        "dtype_argument": True,
        "blocks_mapping": False,
    },
}


@pytest.mark.checkout
@pytest.mark.parametrize("date", DATES)
def test_a_checkout_of_a_date(pristine: Path, tmp_path: Path, date: str) -> None:
    command = ["git", "-C", str(pristine), "rev-list", "-1", f"--before={date}T00:00:00Z", "HEAD"]
    commit = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    found = {one.name: one for one in conventions(Snapshot(clone_of(pristine, tmp_path / "diffusers", commit)))}
    assert {name: found[name].value for name in DATES[date]} == DATES[date]
    for one in found.values():
        # What is there can be looked up.
        if one.value not in (False, "none"):
            assert (tmp_path / "diffusers" / one.path).exists(), one


@pytest.mark.checkout
def test_a_checkout_of_today_lacks_nothing(pristine: Path) -> None:
    assert stored_conventions(Snapshot(pristine)) == {
        "tests": "mixins",
        "pipeline_tests": "config",
        "modular_tests": "config",
        "lacks": (),
    }


def test_what_a_file_says_that_is_not_there_is_not_lacking() -> None:
    released = {
        "src/diffusers/utils/peft_utils.py": "def scale_lora_layers(): ...\n",
        "src/diffusers/modular_pipelines/modular_pipeline.py": "    _workflow_map = None\n",
    }
    stored = stored_conventions(Snapshot(None, released))
    assert (stored["tests"], stored["pipeline_tests"], stored["modular_tests"]) == ("none", "none", "none")
    lacks = stored["lacks"]
    assert "lora_scale_decorator" in lacks
    assert "workflow_map" not in lacks
    assert not {"union_hints", "run_pipe", "assert_tensors_close"} & {*lacks}


def test_nothing_is_expected_of_nothing() -> None:
    values = {one.name: one.value for one in conventions(Snapshot(None))}
    assert values.pop("line_length") == 119
    assert set(values.values()) == {False, "none", ()}


@pytest.mark.checkout
def test_the_command(pristine: Path) -> None:
    done = run_command("conventions", "--checkout", str(pristine), "--json", cwd=pristine.parent)
    assert done.returncode == 0, done.stderr
    shown = json.loads(done.stdout)["conventions"]
    assert {tuple(one) for one in shown} == {("name", "value", "path", "meaning")}
    assert next(one for one in shown if one["name"] == "line_length") == {
        "name": "line_length",
        "value": 119,
        "path": "pyproject.toml",
        "meaning": "the longest line that the formatter leaves alone",
    }
    text = run_command("conventions", "--checkout", str(pristine), cwd=pristine.parent).stdout
    assert re.search(r"^line_length +119$", text, re.MULTILINE)
    assert re.search(r"^modular +yes$", text, re.MULTILINE)


def test_outside_a_checkout(tmp_path: Path) -> None:
    done = run_command("conventions", "--json", cwd=tmp_path)
    assert done.returncode == 2
    assert json.loads(done.stdout)["status"] == "refused"
