"""LoRA for a model that was written by hand: what discovery finds, and what is put where."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import clone_of, run_command
from test_add import change, run, tree

from scaffold_model.adding.found import find_model
from scaffold_model.adding.lora_pages import with_badge
from scaffold_model.adding.lora_tests import lora_tests
from scaffold_model.adding.pipelines import mixin_of_another, with_attention_kwargs, with_mixin
from scaffold_model.adding.transformer import is_usual, with_lora_layers, with_scale
from scaffold_model.snapshot import Snapshot

#: A transformer as somebody in a hurry writes it.
TRANSFORMER = '''\
import torch

from ...configuration_utils import ConfigMixin
from ...utils import logging
from ..modeling_utils import ModelMixin


class Krea3Transformer(ModelMixin, ConfigMixin):
    def forward(self, hidden_states, encoder_hidden_states, timestep, return_dict=True):
        """Denoises.

        Args:
            hidden_states (`torch.Tensor`): The latents.
        """
        x = self.net(hidden_states)

        if not return_dict:
            return (x,)
        return x
'''
WITH_LAYERS = TRANSFORMER.replace(
    "import ConfigMixin\n", "import ConfigMixin\nfrom ...loaders import PeftAdapterMixin\n"
).replace("(ModelMixin, ConfigMixin)", "(ModelMixin, ConfigMixin, PeftAdapterMixin)")
PIPELINE = '''\
from ...utils import logging
from ..pipeline_utils import DiffusionPipeline


class Krea3Pipeline(DiffusionPipeline):
    def __init__(self, transformer: Krea3Transformer):
        super().__init__()

    def __call__(self, prompt, return_dict=True, callback_on_step_end=None):
        """Makes a picture.

        Args:
            prompt (`str`): What it shows.
            return_dict (`bool`): Whether to wrap it.
            callback_on_step_end (`Callable`): Called after each step.
        """
        self._interrupt = False
        for t in self.steps:
            noise = self.transformer(prompt, t, return_dict=False)[0]
            other = self.refiner_transformer(
                prompt,
                t,  # the time
                return_dict=False,
            )[0]
        return noise
'''


def test_a_transformer_gets_its_layers_and_their_scale() -> None:
    text = with_lora_layers(TRANSFORMER, "Krea3Transformer", "...")
    assert text == WITH_LAYERS
    assert with_lora_layers(text, "Krea3Transformer", "...") == text
    assert is_usual(text, "Krea3Transformer")

    scaled = with_scale(text, "Krea3Transformer", "...", decorator=True, union_hints=True)
    assert scaled == (
        "from typing import Any\n\n"
        + text.replace("import logging", "import apply_lora_scale, logging")
        .replace("    def forward(", '    @apply_lora_scale("attention_kwargs")\n    def forward(')
        .replace("timestep, return_dict", "timestep, attention_kwargs: dict[str, Any] | None = None, return_dict")
        .replace(
            "The latents.\n",
            "The latents.\n"
            "            attention_kwargs (`dict`, *optional*):\n"
            "                A dictionary whose `scale` is the weight of the LoRA layers, where the model has any.\n",
        )
    )
    assert with_scale(scaled, "Krea3Transformer", "...", decorator=True, union_hints=True) == scaled


def test_an_older_checkout_has_no_decorator_and_other_hints() -> None:
    scaled = with_scale(WITH_LAYERS, "Krea3Transformer", "...", decorator=False, union_hints=False)
    assert "from typing import Any, Dict, Optional\n" in scaled
    assert "from ...utils import USE_PEFT_BACKEND, logging, scale_lora_layers, unscale_lora_layers\n" in scaled
    assert "timestep, attention_kwargs: Optional[Dict[str, Any]] = None, return_dict=True):" in scaled
    assert scaled.split('        """\n', 1)[1] == (
        "\n        if attention_kwargs is not None:\n"
        "            attention_kwargs = attention_kwargs.copy()\n"
        '            lora_scale = attention_kwargs.pop("scale", 1.0)\n'
        "        else:\n"
        "            lora_scale = 1.0\n\n"
        "        if USE_PEFT_BACKEND:\n"
        "            # weight the lora layers by setting `lora_scale` for each PEFT layer\n"
        "            scale_lora_layers(self, lora_scale)\n\n"
        "        x = self.net(hidden_states)\n\n"
        "        if USE_PEFT_BACKEND:\n"
        "            # remove `lora_scale` from each PEFT layer\n"
        "            unscale_lora_layers(self, lora_scale)\n\n"
        "        if not return_dict:\n"
        "            return (x,)\n"
        "        return x\n"
    )
    ast.parse(scaled)
    assert with_scale(scaled, "Krea3Transformer", "...", decorator=False, union_hints=False) == scaled


def test_a_dictionary_that_is_there_is_used() -> None:
    text = WITH_LAYERS.replace("timestep, return_dict", "timestep, joint_attention_kwargs=None, return_dict")
    scaled = with_scale(text, "Krea3Transformer", "...", decorator=True, union_hints=True)
    assert '    @apply_lora_scale("joint_attention_kwargs")\n' in scaled
    assert " attention_kwargs" not in scaled
    assert "typing" not in scaled


def test_a_pipeline_gets_the_mixin_and_passes_the_scale_on() -> None:
    text = with_mixin(PIPELINE, "Krea3Pipeline", "Krea3LoraLoaderMixin", "...", None)
    assert text == "from ...loaders import Krea3LoraLoaderMixin\n" + PIPELINE.replace(
        "(DiffusionPipeline)", "(DiffusionPipeline, Krea3LoraLoaderMixin)"
    )
    wired = with_attention_kwargs(text, "Krea3Pipeline", "attention_kwargs", True)
    assert wired == "from typing import Any\n\n" + (
        text.replace(
            "return_dict=True, callback", "return_dict=True, attention_kwargs: dict[str, Any] | None = None, callback"
        )
        .replace(
            "Whether to wrap it.\n",
            "Whether to wrap it.\n"
            "            attention_kwargs (`dict`, *optional*):\n"
            "                A dictionary that is passed along to the transformer. Its `scale` is the weight of the LoRA layers.\n",
        )
        .replace(
            "        self._interrupt", "        self._attention_kwargs = attention_kwargs\n\n        self._interrupt"
        )
        .replace(
            "    def __call__",
            "    @property\n    def attention_kwargs(self):\n        return self._attention_kwargs\n\n    def __call__",
        )
        .replace("t, return_dict=False)", "t, attention_kwargs=self.attention_kwargs, return_dict=False)")
        .replace(
            "                return_dict=False,\n",
            "                attention_kwargs=self.attention_kwargs,\n                return_dict=False,\n",
        )
    )
    assert with_attention_kwargs(wired, "Krea3Pipeline", "attention_kwargs", True) == wired


def test_the_mixin_of_another_model_makes_room() -> None:
    text = "from ...loaders import FromSingleFileMixin, OldLoraLoaderMixin\n\n\n" + (
        "class Krea3Pipeline(DiffusionPipeline, FromSingleFileMixin, OldLoraLoaderMixin):\n    pass\n"
    )
    assert mixin_of_another(text, "Krea3Pipeline", "Krea3LoraLoaderMixin") == "OldLoraLoaderMixin"
    assert with_mixin(text, "Krea3Pipeline", "Krea3LoraLoaderMixin", "...", "OldLoraLoaderMixin") == text.replace(
        "OldLora", "Krea3Lora"
    )


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("# Foo\n\nText.\n", '# Foo\n\n<div class="flex flex-wrap space-x-1">\n  BADGE\n</div>\n\nText.\n'),
        (
            '# Foo\n\n<div class="flex flex-wrap space-x-1">\n  <img alt="MPS">\n</div>\n',
            '# Foo\n\n<div class="flex flex-wrap space-x-1">\n  BADGE\n  <img alt="MPS">\n</div>\n',
        ),
        ("No heading.\n", "No heading.\n"),
    ],
)
def test_a_page_gets_the_badge(before: str, after: str) -> None:
    badge = '<img alt="LoRA" src="https://img.shields.io/badge/LoRA-d8b4fe?style=flat"/>'
    assert with_badge(before) == after.replace("BADGE", badge)
    assert with_badge(with_badge(before)) == with_badge(before)


@pytest.mark.checkout
def test_hand_written_files_become_what_the_template_would_have_made(checkout: Path) -> None:
    run(checkout, "--name", "foo", "--standard", "--lora", "-y")
    wanted = tree(checkout)
    run(checkout, "remove", "foo")
    run(checkout, "--name", "foo", "--standard", "-y")
    shutil.rmtree(checkout / ".scaffold")
    shown = change(checkout, "add", "foo", "--lora")
    assert shown["notices"][0].startswith("the LoRA test comes after the model's first pull request")
    assert tree(checkout) == wanted
    assert change(checkout, "add", "foo", "--lora")["status"] == "unchanged"
    assert {each["severity"] for each in change(checkout, "check", "foo")["findings"]} == {"hint"}
    run(checkout, "remove", "foo", "--force")
    assert json.loads(run(checkout, "register", "--json"))["status"] == "unchanged"


@pytest.mark.checkout
def test_line_ends_and_files_that_nobody_formatted_stay_as_they_are(checkout: Path) -> None:
    run(checkout, "--name", "foo", "--standard", "-y")
    shutil.rmtree(checkout / ".scaffold")
    pipeline = checkout / "src/diffusers/pipelines/foo/pipeline_foo.py"
    model = checkout / "src/diffusers/models/transformers/transformer_foo.py"
    odd = pipeline.read_text(encoding="utf-8").replace("import torch\n", "import torch\nX   =  {'a':1}\n", 1)
    pipeline.write_text(odd, encoding="utf-8")
    model.write_bytes(model.read_bytes().replace(b"\n", b"\r\n"))
    run(checkout, "add", "foo", "--lora")
    text = pipeline.read_text(encoding="utf-8")
    assert "X   =  {'a':1}\n" in text
    assert "FooLoraLoaderMixin" in text
    assert b"PeftAdapterMixin" in model.read_bytes()
    assert b"\n" not in model.read_bytes().replace(b"\r\n", b"")


@pytest.mark.checkout
def test_broken_files_are_refused_and_nothing_is_written(checkout: Path) -> None:
    run(checkout, "--name", "foo", "--standard", "-y")
    shutil.rmtree(checkout / ".scaffold")
    before = tree(checkout)
    pipeline = checkout / "src/diffusers/pipelines/foo/pipeline_foo.py"
    text = pipeline.read_text(encoding="utf-8")
    pipeline.write_text(text + "def broken(:\n", encoding="utf-8")
    line = run(checkout, "add", "foo", "--lora", code=2)
    assert "src/diffusers/pipelines/foo/pipeline_foo.py" in line
    pipeline.write_text(text, encoding="utf-8")
    assert tree(checkout) == before


@pytest.mark.checkout
def test_entries_of_any_model(checkout: Path) -> None:
    shown = change(checkout, "add", "longcat_image", "--auto-pipeline")
    assert [edit["path"] for edit in shown["edited"]] == ["src/diffusers/pipelines/auto_pipeline.py"]
    assert change(checkout, "add", "longcat_image", "--auto-pipeline")["status"] == "unchanged"
    shown = change(checkout, "add", "longcat_image", "--single-file")
    assert [edit["entries"] for edit in shown["edited"]] == [
        [{"registry": "single_file", "object": "LongCatImageTransformer2DModel"}]
    ]
    assert shown["notices"] == [
        "src/diffusers/loaders/single_file_model.py: original checkpoints are read as they are, unless single_file_utils.py "
        "has a function that converts them; see to that"
    ]
    line = run(checkout, "add", "allegro", "--single-file", code=2)
    assert "has no FromOriginalModelMixin, and how its checkpoints are converted is not known" in line


@pytest.mark.checkout
def test_models_of_diffusers_that_have_lora_stay_as_they_are(pristine: Path) -> None:
    for name, mixin in (
        ("sana", "SanaLoraLoaderMixin"),
        ("ltx", "LTXVideoLoraLoaderMixin"),
        ("mochi", "Mochi1LoraLoaderMixin"),
        ("stable_diffusion_3", "SD3LoraLoaderMixin"),
        ("lucy", "WanLoraLoaderMixin"),
        ("anima", "AnimaLoraLoaderMixin"),
        ("krea2", "Krea2LoraLoaderMixin"),
    ):
        assert find_model(Snapshot(pristine), name).mixin == mixin
    for name in ("sana", "ltx", "mochi"):
        done = run_command("add", name, "--lora", "--dry-run", "--json", cwd=pristine)
        assert json.loads(done.stdout)["status"] == "unchanged"


# The state before the pull request that gave a model its LoRA, where tests were in another style.
@pytest.mark.checkout
@pytest.mark.parametrize(
    ("revision", "name", "files"),
    [
        ("HEAD", "longcat_image", {"tests/models/transformers/test_models_transformer_longcat_image.py"}),
        ("8c3dcd6da1^", "minimax_h3", {"tests/lora/test_lora_layers_minimax_h3.py"}),
        ("3993de59e3^", "krea2", {"tests/lora/test_lora_layers_krea2.py"}),
        ("9c1d4e3be1^", "qwenimage", {"tests/lora/test_lora_layers_qwenimage.py"}),
        ("ac86393487^", "ltx", {"tests/lora/test_lora_layers_ltxvideo.py"}),
    ],
)
def test_the_test_is_in_the_style_of_the_checkout(
    pristine: Path, tmp_path: Path, revision: str, name: str, files: set[str]
) -> None:
    known = subprocess.run(["git", "-C", str(pristine), "cat-file", "-e", revision], capture_output=True, check=False)
    if known.returncode:
        pytest.skip(f"the clone has no {revision}")
    checkout = clone_of(pristine, tmp_path / "diffusers", revision)
    snapshot = Snapshot(checkout)
    made = lora_tests(snapshot, find_model(snapshot, name), "2026")
    assert set(made.files) == files
    for text in made.files.values():
        ast.parse(text)
    again = snapshot.overlaid(made.files)
    assert lora_tests(again, find_model(again, name), "2026").files == {}
