from __future__ import annotations

import ast
from pathlib import Path

import pytest

from scaffold_model.older.parameters import INPUTS, OUTPUTS, UnknownTemplate, spelled_out

TODAY = '''\
"""Blocks."""

from ..modular_pipeline_utils import InputParam, OutputParam


inputs = [
    InputParam.template("latents", required=True),
    InputParam.template("height", default=1024),
    InputParam.template("attention_kwargs"),
    InputParam.template("denoiser_input_fields"),
    InputParam("own", type_hint=int),
    OutputParam.template("prompt_embeds", note="repeated"),
]
'''

OLDER = '''\
"""Blocks."""
import torch
from typing import Any

from ..modular_pipeline_utils import InputParam, OutputParam


inputs = [
    InputParam('latents', required=True, type_hint=torch.Tensor, description="Pre-generated noisy latents for image generation."),
    InputParam('height', type_hint=int, default=1024, description="The height in pixels of the generated image."),
    InputParam('attention_kwargs', type_hint=dict[str, Any], description="Additional kwargs for attention processors."),
    InputParam(kwargs_type="denoiser_input_fields", description="conditional model inputs for the denoiser: e.g. prompt_embeds, negative_prompt_embeds, etc."),
    InputParam("own", type_hint=int),
    OutputParam('prompt_embeds', type_hint=torch.Tensor, kwargs_type="denoiser_input_fields", description='The prompt embeddings. (repeated)'),
]
'''


def test_every_field_is_named() -> None:
    assert spelled_out(TODAY) == OLDER
    assert spelled_out(OLDER) == OLDER


def test_a_name_that_is_not_known_is_refused() -> None:
    with pytest.raises(UnknownTemplate, match="the fields of InputParam 'layers' are not known"):
        spelled_out('x = InputParam.template("layers")\n')


@pytest.mark.checkout
@pytest.mark.parametrize(
    ("variable", "table"), [("INPUT_PARAM_TEMPLATES", INPUTS), ("OUTPUT_PARAM_TEMPLATES", OUTPUTS)]
)
def test_the_fields_are_those_of_diffusers(pristine: Path, variable: str, table: dict[str, dict[str, str]]) -> None:
    source = (pristine / "src/diffusers/modular_pipelines/modular_pipeline_utils.py").read_text(encoding="utf-8")
    assigned = next(
        node.value
        for node in ast.parse(source).body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == variable
    )
    assert isinstance(assigned, ast.Dict)
    theirs = {
        ast.literal_eval(key): {
            ast.literal_eval(field): ast.unparse(value)
            for field, value in zip(fields.keys, fields.values, strict=True)
        }
        for key, fields in zip(assigned.keys, assigned.values, strict=True)
    }
    for fields in theirs.values():
        # The name of the parameters that are passed on as they are: spelled out, there is none.
        fields.pop("name", None)
    ours = {
        name: {field: ast.unparse(ast.parse(value, mode="eval").body) for field, value in fields.items()}
        for name, fields in table.items()
    }
    assert ours == {name: theirs[name] for name in ours}
