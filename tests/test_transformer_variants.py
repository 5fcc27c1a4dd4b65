"""The generated transformer of every modality, attention and kind of guidance does what diffusers' guides ask of a model."""

from __future__ import annotations

import itertools
import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from conftest import QUICKLY, ROOT, clone_of

from scaffold_model.questions import CHOICES
from scaffold_model.render import render
from scaffold_model.spec import ModelSpec

pytestmark = pytest.mark.checkout

MODEL = "src/diffusers/models/transformers/transformer_{}.py"
TEST = "tests/models/transformers/test_models_transformer_{}.py"
SCRIPT = ROOT / "tests" / "variant_checks.py"
CHECKS = [
    "output",
    "bfloat16",
    "gradient checkpointing",
    "group offloading",
    "layerwise casting",
    "context parallel",
    "compile",
]
AXES = ("modality", "attention", "guidance")

#: With the twelve of them a run takes minutes; these have every modality once and the other answers in each place.
FEW = [("image", "cross", "embedded"), ("video", "joint", "embedded"), ("audio", "joint", "cfg")]
VARIANTS = (
    list(itertools.product(*(CHOICES[axis] for axis in AXES)))
    if os.environ.get("SCAFFOLD_MODEL_VARIANTS") == "all"
    else FEW
)

#: A fault planted in the model of the first variant, and the check that has to find it.
FAULTS = {
    "output": ("dtype=torch.float32)", "dtype=torch.float64)"),
    "bfloat16": ("dtype: torch.dtype) -> torch.Tensor:", "_) -> torch.Tensor:\n        dtype = torch.float32"),
    "gradient checkpointing": ("and self.gradient_checkpointing", "and not self.gradient_checkpointing"),
    "group offloading": (
        "self.proj_out(hidden_states)",
        "nn.functional.linear(hidden_states, self.proj_out.weight.detach())",
    ),
    "layerwise casting": ('"time_guidance_embed", ', ""),
    "context parallel": ("split_dim=0, expected_dims=2", "split_dim=1, expected_dims=2"),
    "compile": ("temb = self.time_guidance_embed(", "print(timestep)\n        temb = self.time_guidance_embed("),
}


def spec_of(variant: tuple[str, str, str]) -> ModelSpec:
    """LoRA and single files change only a decorator and a base class, so that half of the variants have them."""
    more = "yes" if variant[1] == "cross" else "no"
    answers = dict(zip(AXES, variant, strict=True))
    return ModelSpec("_".join(variant), **answers, lora=more, single_file=more, hub_repo="org/name")


def transformer_of(spec: ModelSpec) -> str:
    return render(spec.answers())[MODEL.format(spec.name)]


def request_of(spec: ModelSpec, module: str, checks: list[str]) -> tuple[dict[str, str], list[str]]:
    variant = {
        "module": f"diffusers.models.transformers.{module}",
        "cls": spec.transformer_class,
        "modality": spec.modality,
        "guidance": spec.guidance,
    }
    return variant, checks


def run_checks(root: Path, python: str, variants: Mapping[str, tuple[Any, list[str]]]) -> dict[str, dict[str, str]]:
    request, result = root.with_name("request.json"), root.with_name("result.json")
    request.write_text(json.dumps({"root": str(root), "variants": variants}))
    environment = {**os.environ, "PYTHONPATH": str(root / "src"), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [python, "-c", QUICKLY, str(SCRIPT), str(request), str(result)],
        env=environment,
        cwd=root.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(result.read_text()))


@pytest.mark.torch
def test_every_check_passes_on_every_variant(pristine: Path, tmp_path: Path, torch_python: str) -> None:
    root = clone_of(pristine, tmp_path / "diffusers")
    specs = [spec_of(variant) for variant in VARIANTS]
    for spec in specs:
        (root / MODEL.format(spec.name)).write_text(transformer_of(spec))
    requests = {spec.name: request_of(spec, f"transformer_{spec.name}", CHECKS) for spec in specs}
    results = run_checks(root, torch_python, requests)
    assert results == {spec.name: dict.fromkeys(CHECKS, "ok") for spec in specs}


@pytest.mark.torch
def test_every_check_finds_the_fault_that_it_is_for(pristine: Path, tmp_path: Path, torch_python: str) -> None:
    assert list(FAULTS) == CHECKS
    root = clone_of(pristine, tmp_path / "diffusers")
    spec = spec_of(FEW[0])
    sound = transformer_of(spec)
    requests = {}
    for number, (check, (before, after)) in enumerate(FAULTS.items()):
        assert before in sound, before
        (root / f"src/diffusers/models/transformers/faulty_{number}.py").write_text(sound.replace(before, after))
        requests[check] = request_of(spec, f"faulty_{number}", [check])
    results = run_checks(root, torch_python, requests)
    missed = [check for check in CHECKS if results[check][check] == "ok"]
    assert not missed, missed


def test_the_model_test_has_the_testers_that_diffusers_would_generate(pristine: Path, tmp_path: Path) -> None:
    for variant in itertools.product(*(CHOICES[axis] for axis in AXES)):
        spec = spec_of(variant)
        files = render(spec.answers())
        model = tmp_path / f"transformer_{spec.name}.py"
        model.write_text(files[MODEL.format(spec.name)])
        done = subprocess.run(
            [sys.executable, str(pristine / "utils" / "generate_model_tests.py"), str(model), "--dry-run"],
            capture_output=True,
            text=True,
            check=True,
        )
        named = mixins_of(done.stdout)
        # The guide has them stripped from a first pull request.
        assert "LoraTesterMixin" in named
        assert mixins_of(files[TEST.format(spec.name)]) == named - {
            "LoraTesterMixin",
            "LoraHotSwappingForModelTesterMixin",
        }


def mixins_of(source: str) -> set[str]:
    return set(re.findall(r"^class Test\w+\(\w+, (\w+)\):", source, re.MULTILINE))
