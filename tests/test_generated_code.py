"""Generated code computes what it should: conversion, parity, both pipelines, LoRA, single files, scheduler."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from conftest import QUICKLY, ROOT, clone_of, git_status, run_command

from scaffold_model.questions import CHOICES
from scaffold_model.spec import ModelSpec

pytestmark = pytest.mark.checkout

CHECKS = ROOT / "tests" / "generated_checks.py"
HEUN = "FlowMatchHeunDiscreteScheduler"

PIPELINES = ["standard equals modular", "inputs matter", "saving"]
#: These depend on the transformer only, and the last one on which pipeline is the first.
TRANSFORMER = ["conversion", "conversion errors", "parity", "converted pipeline"]

#: The model and its flags, and what is checked of it. Names differ, since the cells share a Hub cache.
CELLS = {
    "joint-t5-lora": (
        ModelSpec(
            "aspen", format="both", task=("t2i", "i2i", "inpaint"), lora="yes", single_file="yes", hub_repo="org/aspen"
        ),
        [*TRANSFORMER, *PIPELINES, "lora", "single file"],
    ),
    "cross-qwen3-new": (
        ModelSpec("birch", format="both", attention="cross", text_encoder="qwen3", scheduler="new"),
        [*TRANSFORMER, *PIPELINES, "scheduler"],
    ),
    "joint-clip-heun": (
        ModelSpec("cedar", format="both", text_encoder="clip", scheduler=HEUN),
        PIPELINES,
    ),
    "image-embedded": (
        ModelSpec("alder", format="both", task=("t2i", "i2i", "inpaint"), guidance="embedded"),
        PIPELINES,
    ),
    "video": (
        ModelSpec("hazel", format="both", modality="video", task=("t2v", "i2v", "v2v"), attention="cross"),
        PIPELINES,
    ),
    "audio": (
        ModelSpec("larch", format="both", modality="audio", lora="yes"),
        [*PIPELINES, "lora"],
    ),
    "cross-clip-lora": (
        ModelSpec(
            "maple",
            format="both",
            attention="cross",
            text_encoder="clip",
            lora="yes",
            single_file="yes",
            hub_repo="org/maple",
        ),
        ["standard equals modular", "lora", "single file"],
    ),
    "video-embedded-new": (
        ModelSpec("spruce", format="standard", modality="video", task=("i2v",), vae="new", guidance="embedded"),
        [*TRANSFORMER, "converted autoencoder", "autoencoder parity"],
    ),
    "audio-cross-embedded": (
        ModelSpec("rowan", modality="audio", attention="cross", guidance="embedded"),
        TRANSFORMER,
    ),
}


@pytest.fixture(scope="session")
def hub(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A Hub cache of the tests' own."""
    return str(tmp_path_factory.mktemp("hub"))


def scaffold(spec: ModelSpec, root: Path, *more: str) -> None:
    done = run_command(
        *("--name", spec.name, f"--{spec.format}", "--modality", spec.modality, "--attention", spec.attention),
        *("--text-encoder", spec.text_encoder, "--scheduler", spec.scheduler, "--guidance", spec.guidance),
        *("--vae", spec.vae, *(word for task in spec.task for word in ("--task", task))),
        *(["--lora"] if spec.lora == "yes" else []),
        *(["--single-file", "--hub-repo", spec.hub_repo] if spec.single_file == "yes" else []),
        *more,
        cwd=root,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.torch
@pytest.mark.parametrize("cell", CELLS)
def test_generated_code_computes_what_it_should(
    cell: str, pristine: Path, tmp_path: Path, torch_python: str, hub: str
) -> None:
    spec, checks = CELLS[cell]
    root = clone_of(pristine, tmp_path / "diffusers")
    scaffold(spec, root, "--python", torch_python)
    tiny = run_command("tiny", spec.name, "--python", torch_python, cwd=root, HF_HOME=hub)
    assert tiny.returncode == 0, tiny.stderr
    before = git_status(root)

    answers = ("name", "class_prefix", "modality", "task", "attention", "guidance", "tiny_repo")
    model = {
        **{answer: getattr(spec, answer) for answer in answers},
        "vae": spec.vae_class,
        "pipeline": spec.pipeline_classes[0] if spec.has_standard else f"{spec.class_prefix}ModularPipeline",
    }
    (tmp_path / "request.json").write_text(json.dumps({"root": str(root), "model": model, "checks": checks}))
    environment = {
        **os.environ,
        "PYTHONPATH": str(root / "src"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "HF_HOME": hub,
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(
        [torch_python, "-c", QUICKLY, str(CHECKS), str(tmp_path / "request.json"), str(tmp_path / "result.json")],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "result.json").read_text()) == checks
    assert git_status(root) == before


def test_the_cells_cover_every_answer() -> None:
    specs = [spec for spec, _ in CELLS.values()]
    assert {task for spec, checks in CELLS.values() for task in spec.task if "inputs matter" in checks} == set(
        CHOICES["task"]
    )
    assert {spec.modality for spec in specs} == {"image", "video", "audio"}
    assert {spec.attention for spec in specs} == {"joint", "cross"}
    assert {spec.guidance for spec in specs} == {"cfg", "embedded"}
    assert {spec.text_encoder for spec in specs} == {"t5", "clip", "qwen3"}
    assert {spec.scheduler for spec in specs} == {"FlowMatchEulerDiscreteScheduler", HEUN, "new"}
    assert {spec.lora for spec in specs} == {"yes", "no"}


@pytest.mark.parametrize("attention", ["joint", "cross"])
def test_a_modular_scaffold_is_a_small_pull_request(attention: str, checkout: Path) -> None:
    scaffold(ModelSpec("foo", attention=attention), checkout)
    subprocess.run(["git", "-C", str(checkout), "add", "--all"], check=True)
    numstat = subprocess.run(
        ["git", "-C", str(checkout), "diff", "--cached", "--numstat", "--no-renames"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    rows = [line.split("\t") for line in numstat.splitlines()]
    added = {path: int(lines) for lines, _, path in rows if not path.startswith(("tests/", "docs/"))}
    assert "src/diffusers/modular_pipelines/foo/denoise.py" in added
    assert sum(added.values()) < 2000, added
