"""What the guides ask of the files of a model: each broken alone is the one open line, with its place."""

from __future__ import annotations

import pytest

from scaffold_model.audit.guidelines import Advice, of_models, of_pipelines
from scaffold_model.audit.view import View
from scaffold_model.snapshot import Snapshot

SRC = "src/diffusers"
MODEL = f"{SRC}/models/transformers/transformer_foo.py"
PIPELINE = f"{SRC}/pipelines/foo/pipeline_foo.py"
MODEL_TEXT = '''\
from x import y


class FooModel(ModelMixin, ConfigMixin):
    """
    >>> FooModel.from_pretrained("foo"); torch.randn(1)
    """

    _no_split_modules = ["FooBlock"]

    def forward(self, x):
        # F.scaled_dot_product_attention() would be another way
        return dispatch_attention_fn(x)
'''
PIPELINE_TEXT = '''\
class FooPipeline(DiffusionPipeline):
    def encode_prompt(self, prompt):
        return load_file_names(prompt)

    @torch.no_grad()
    @replace_example_docstring(EXAMPLE)
    def __call__(self, prompt):
        """
        >>> torch.randn(1)
        """
        latents = randn_tensor(prompt)
        for k in names:
            kwargs[k] = locals()[k]
'''


def view(model: str = MODEL_TEXT, pipeline: str = PIPELINE_TEXT) -> View:
    texts = {
        f"{SRC}/__init__.py": "_import_structure = {}\n",
        f"{SRC}/models/modeling_utils.py": "class ModelMixin:\n    pass\n",
        f"{SRC}/models/attention_dispatch.py": "",
        MODEL: model,
        PIPELINE: pipeline,
    }
    return View(Snapshot(None, texts))


def open_lines(looked_at: View) -> list[Advice]:
    exports = looked_at.found.exports
    models = [export for export in exports if export.kind == "model"]
    pipelines = [export for export in exports if export.kind == "pipeline"]
    assert models
    assert pipelines
    advice = [*of_models(looked_at, models), *of_pipelines(looked_at, pipelines)]
    assert len(advice) == 8
    return [each for each in advice if not each.done]


def test_files_that_follow_the_guides_have_no_open_line() -> None:
    assert open_lines(view()) == []


@pytest.mark.parametrize(
    ("old", "new", "item", "note"),
    [
        (
            "    def forward",
            "    def from_pretrained(cls):\n        pass\n\n    def forward",
            "load weights through from_pretrained and from_single_file alone",
            "line 11: def from_pretrained(",
        ),
        (
            "return dispatch",
            'hf_hub_download("foo")\n        return dispatch',
            "load weights through from_pretrained and from_single_file alone",
            "line 13: hf_hub_download(",
        ),
        ("from x import y", "import einops", "no new mandatory dependency, such as einops", "line 1: import einops"),
        (
            "return dispatch_attention_fn(",
            "return F.scaled_dot_product_attention(",
            "attention through dispatch_attention_fn",
            "line 13: F.scaled_dot_product_attention(",
        ),
        ("_no_split_modules", "_repeated_blocks", "declare _no_split_modules", "it declares none"),
    ],
)
def test_a_model(old: str, new: str, item: str, note: str) -> None:
    assert open_lines(view(model=MODEL_TEXT.replace(old, new))) == [Advice(item, False, MODEL, note)]


@pytest.mark.parametrize(
    ("old", "new", "item", "note"),
    [
        ("    @torch.no_grad()\n", "", "@torch.no_grad() on __call__", "FooPipeline has none"),
        (
            "randn_tensor(prompt)",
            "torch.randn(1)",
            "noise from randn_tensor, so that generators of the CPU work",
            "line 11: torch.randn(",
        ),
        (
            "latents =",
            "kwargs = {k: locals()[k] for k in names}\n        latents =",
            "callback_kwargs from a loop, not from a comprehension",
            "line 11: {k: locals()[k] for k in",
        ),
        (
            "class FooPipeline",
            "class FooOtherPipeline(FooPipeline):\n    pass\n\n\nclass FooPipeline",
            "each pipeline a class of its own, no variant of another pipeline",
            "FooOtherPipeline inherits from FooPipeline",
        ),
    ],
)
def test_a_pipeline(old: str, new: str, item: str, note: str) -> None:
    assert open_lines(view(pipeline=PIPELINE_TEXT.replace(old, new))) == [Advice(item, False, PIPELINE, note)]


def test_a_modular_pipeline_has_no_call_of_its_own() -> None:
    assert list(of_pipelines(view(), [])) == []
