"""A scaffold of March 2026 lives to see today: edited, rebased, updated, in the style that its checkout has now."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from conftest import clone_of, run_command
from test_update import Template, git, replace

TRANSFORMER = "src/diffusers/models/transformers/transformer_foo.py"
PIPELINE = "src/diffusers/pipelines/foo/pipeline_foo.py"
MODULAR = "src/diffusers/modular_pipelines/foo"
PAGE = "docs/source/en/api/pipelines/foo.md"
SCRIPT = "scripts/convert_foo_to_diffusers.py"
MODULAR_TEST = "tests/modular_pipelines/foo/test_modular_pipeline_foo.py"
PIPELINE_TEST = "tests/pipelines/foo/test_pipeline_foo.py"
MODEL_TEST = "tests/models/transformers/test_models_transformer_foo.py"
#: Ten edits: the file, what is there, and what the contributor makes of it.
EDITS = (
    (TRANSFORMER, "num_layers: int = 24", "num_layers: int = 28"),
    (TRANSFORMER, "class FooAttnProcessor", "# Mine: a comment.\nclass FooAttnProcessor"),
    (PIPELINE, "num_inference_steps: int = 50", "num_inference_steps: int = 40"),
    (PIPELINE, "        # 4. ", "        # My note.\n        # 4. "),
    (f"{MODULAR}/denoise.py", "class FooLoopDenoiser", "# My loop.\nclass FooLoopDenoiser"),
    (f"{MODULAR}/encoders.py", "class FooTextEncoderStep", "# My encoder.\nclass FooTextEncoderStep"),
    (SCRIPT, "\nimport argparse", "\n# Mine too.\nimport argparse"),
    (MODULAR_TEST, '"A painting of a squirrel eating a burger"', '"A painting of my own"'),
    (PIPELINE_TEST, "num_attention_heads=2", "num_attention_heads=4"),
    # The line that the checkout writes otherwise now.
    (PAGE, "torch_dtype=torch.bfloat16", "torch_dtype=torch.float16"),
)


@dataclass(frozen=True)
class Aged:
    """What became of the scaffold.

    Attributes:
        checkout: The checkout at the end.
        found: The findings of `check` after the rebase.
        update: What `update --conventions` said.
        texts: The edited files right after it.
    """

    checkout: Path
    found: list[dict[str, object]]
    update: dict[str, object]
    texts: dict[str, str]


@pytest.fixture(scope="module")
def aged(pristine: Path, tmp_path_factory: pytest.TempPathFactory) -> Aged:
    command = ["git", "-C", str(pristine), "rev-list", "-1", "--before=2026-03-15", "HEAD"]
    revision = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    if not revision:
        pytest.skip("the clone has no history of March 2026")
    template = Template(tmp_path_factory.mktemp("template") / "clone")
    checkout = clone_of(pristine, tmp_path_factory.mktemp("history") / "diffusers")
    newest = git(checkout, "rev-parse", "HEAD").strip()
    git(checkout, "checkout", "-q", "-b", "add-foo", revision)
    template.run(checkout, "--name", "foo", "--both", "-y")
    git(checkout, "add", "-A")
    git(checkout, "commit", "-qm", "Add foo")
    for path, old, new in EDITS:
        replace(checkout / path, old, new)
    git(checkout, "commit", "-qam", "Port foo")

    # Five months later. The registries are merged by their structure, so that the rebase has no conflicts.
    template.run(checkout, "merge-driver", "--install")
    driver = git(checkout, "config", "merge.scaffold-model.driver")
    assert "scaffold" in driver
    subprocess.run(
        ["git", "-C", str(checkout), "rebase", "-q", newest],
        check=True,
        capture_output=True,
        env={**os.environ, "PYTHONPATH": str(template.folder / "generator")},
    )
    assert '"unchanged"' in template.run(checkout, "register", "--json")
    found = json.loads(template.run(checkout, "check", "foo", "--json", code=1))["findings"]

    template.change(
        "src/diffusers/models/transformers/transformer_*",
        ("import torch.nn as nn\n", "import torch.nn as nn\nimport torch.nn.functional as F\n"),
        ("mlp_ratio: float = 4.0", "mlp_ratio: float = 3.0"),
    )
    shown = template.run(checkout, "update", "foo", "--conventions", "--json", code=1)
    texts = {path: (checkout / path).read_text(encoding="utf-8") for path, _, _ in EDITS}
    _settle(checkout / PAGE)
    assert '"unchanged"' in template.run(checkout, "register", "--json")
    return Aged(checkout, found, json.loads(shown)["updates"][0], texts)


def _settle(page: Path) -> None:
    """Take the checkout's new word and the contributor's type."""
    text = page.read_text(encoding="utf-8")
    while "<<<<<<< yours\n" in text:
        before, _, rest = text.partition("<<<<<<< yours\n")
        _, _, rest = rest.partition("=======\n")
        theirs, _, rest = rest.partition(">>>>>>> template ")
        text = before + theirs.replace("bfloat16", "float16") + rest.partition("\n")[2]
    page.write_text(text, encoding="utf-8")


@pytest.mark.checkout
def test_what_changed_meanwhile_is_named_with_what_to_do(aged: Aged) -> None:
    said = {str(each["path"]): each for each in aged.found if each["registry"] == "conventions"}
    modular = said[MODULAR_TEST]
    assert modular["severity"] == "error"
    assert modular["message"] == (
        "the checkout's modular tests are made of tests/modular_pipelines/testing_utils/common.py by now (style config), "
        "this one is of style common; tests/modular_pipelines/test_modular_pipelines_common.py is gone, so that this test "
        "can not be imported: `scaffold-model update foo --conventions` moves the model's files there"
    )
    assert said[PIPELINE_TEST]["severity"] == "warning"
    assert "dtype_argument" in str(said[".scaffold/foo/answers.yml"]["message"])


@pytest.mark.checkout
def test_no_edit_is_lost_and_what_can_not_be_merged_is_listed(aged: Aged) -> None:
    assert aged.update["conflicts"] == [PAGE]
    for path, _, new in EDITS:
        assert new in aged.texts[path]
    assert "\nfrom ..testing_utils import (\n    BaseModularPipelineTesterConfig,\n" in aged.texts[MODULAR_TEST]
    assert "class FooPipelineTesterConfig(BasePipelineTesterConfig):" in aged.texts[PIPELINE_TEST]
    assert "mlp_ratio: float = 3.0" in aged.texts[TRANSFORMER]
    findings = json.loads(run_command("check", "foo", "--json", cwd=aged.checkout).stdout)["findings"]
    assert [each for each in findings if each["severity"] != "hint"] == []
    assert [each for each in findings if each["registry"] == "conventions"] == []


@pytest.mark.checkout
@pytest.mark.torch
def test_gates_and_tests_are_green(aged: Aged, torch_python: str) -> None:
    done = run_command("verify", "foo", "--python", torch_python, "--json", cwd=aged.checkout)
    assert done.returncode == 0, done.stdout + done.stderr
    assert {gate["status"] for gate in json.loads(done.stdout)["gates"]} == {"passed"}
