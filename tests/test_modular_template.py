"""The modular template over every set of tasks: docstrings as diffusers generates them, nothing unused or undefined."""

from __future__ import annotations

import itertools
import json
import subprocess
from pathlib import Path

import pytest
from conftest import QUICKLY, ROOT, clone_of
from jinja2 import FileSystemLoader, StrictUndefined
from jinja2.sandbox import SandboxedEnvironment

from scaffold_model.questions import TASKS
from scaffold_model.spec import ModelSpec

pytestmark = pytest.mark.checkout

PIPELINES = Path("src/diffusers/modular_pipelines")
TESTS = Path("tests/modular_pipelines")
SOURCES = sorted((ROOT / "template/src/diffusers").glob("*modular_pipelines*/*/*.jinja"))
TEST_SOURCES = sorted((ROOT / "template/tests").glob("*modular_pipelines*/*/*.jinja"))
TEXT_ENCODERS = ("t5", "clip", "qwen3")


def variants() -> list[ModelSpec]:
    """Every set of tasks with either guidance; the other axes in turn."""
    task_sets = [
        (modality, tasks)
        for modality, known in TASKS.items()
        for size in range(1, len(known) + 1)
        for tasks in itertools.combinations(known, size)
    ]
    return [
        ModelSpec(
            f"model_{number}",
            modality=modality,
            task=tasks,
            guidance=guidance,
            lora=("no", "yes")[number % 2],
            text_encoder=TEXT_ENCODERS[number % 3],
            scheduler=("FlowMatchEulerDiscreteScheduler", "new")[number % 2],
            class_prefix=f"Model{number}" + (number % 4) * "VeryLong",
        )
        for number, ((modality, tasks), guidance) in enumerate(itertools.product(task_sets, ("cfg", "embedded")))
    ]


def render(spec: ModelSpec, sources: list[Path], folder: Path) -> None:
    """The files of a model, with stubs where a scaffold has text of the checkout."""
    loader = FileSystemLoader(ROOT)
    environment = SandboxedEnvironment(loader=loader, undefined=StrictUndefined, keep_trailing_newline=True)
    folder.mkdir()
    for path in sources:
        template = environment.get_template(path.relative_to(ROOT).as_posix())
        name = path.name.removesuffix(".jinja").replace("{{ name }}", spec.name)
        (folder / name).write_text(template.render(spec.answers()), encoding="utf-8")


def run(*command: str, cwd: Path) -> None:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_blocks_are_what_their_docstrings_say(
    pristine: Path, tmp_path: Path, torch_python: str, pinned_ruff: str
) -> None:
    root = clone_of(pristine, tmp_path / "diffusers")
    specs = variants()
    assert len(specs) == 30
    for spec in specs:
        render(spec, SOURCES, root / PIPELINES / spec.name)
        render(spec, TEST_SOURCES, root / TESTS / spec.name)
    folders = [str(parent / spec.name) for spec in specs for parent in (PIPELINES, TESTS)]

    # As every render is formatted; what is unused or undefined stays, and is found.
    run(pinned_ruff, "check", "--select", "I", "--fix", *folders, cwd=root)
    run(pinned_ruff, "format", *folders, cwd=root)
    run(pinned_ruff, "check", *folders, cwd=root)

    generated = tmp_path / "generated"
    request = {
        "names": [spec.name for spec in specs],
        "stubs": {
            "models": [spec.transformer_class for spec in specs],
            "schedulers": [f"{spec.class_prefix}Scheduler" for spec in specs],
            "loaders": [f"{spec.class_prefix}LoraLoaderMixin" for spec in specs],
        },
        "out": str(generated),
    }
    (tmp_path / "request.json").write_text(json.dumps(request), encoding="utf-8")
    run(
        torch_python,
        "-c",
        QUICKLY,
        str(ROOT / "tests/modular_docstrings.py"),
        str(tmp_path / "request.json"),
        cwd=root,
    )
    doc_builder = str(Path(torch_python).with_name("doc-builder"))
    run(pinned_ruff, "format", "--config", str(root / "pyproject.toml"), str(generated), cwd=root)
    run(doc_builder, "style", str(generated), "--max_len", "119", cwd=root)

    for spec in specs:
        for path in sorted((generated / spec.name).glob("*.py")):
            committed = (root / PIPELINES / spec.name / path.name).read_text(encoding="utf-8")
            assert path.read_text(encoding="utf-8") == committed, (spec.task, path.name)
