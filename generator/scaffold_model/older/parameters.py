"""Parameters of modular blocks spelled out, for a checkout whose `InputParam` and `OutputParam` have no `template`."""

from __future__ import annotations

import ast

import libcst as cst
import libcst.matchers as m

from ..errors import ScaffoldError
from .nodes import code_of, expression

#: What `INPUT_PARAM_TEMPLATES` of diffusers says of the names that generated blocks take: expressions by argument.
INPUTS: dict[str, dict[str, str]] = {
    "prompt": {
        "type_hint": "str",
        "required": "True",
        "description": '"The prompt or prompts to guide image generation."',
    },
    "negative_prompt": {
        "type_hint": "str",
        "description": '"The prompt or prompts not to guide the image generation."',
    },
    "max_sequence_length": {
        "type_hint": "int",
        "default": "512",
        "description": '"Maximum sequence length for prompt encoding."',
    },
    "height": {"type_hint": "int", "description": '"The height in pixels of the generated image."'},
    "width": {"type_hint": "int", "description": '"The width in pixels of the generated image."'},
    "num_inference_steps": {
        "type_hint": "int",
        "default": "50",
        "description": '"The number of denoising steps."',
    },
    "num_images_per_prompt": {
        "type_hint": "int",
        "default": "1",
        "description": '"The number of images to generate per prompt."',
    },
    "generator": {
        "type_hint": "torch.Generator",
        "description": '"Torch generator for deterministic generation."',
    },
    "sigmas": {"type_hint": "list[float]", "description": '"Custom sigmas for the denoising process."'},
    "strength": {"type_hint": "float", "default": "0.9", "description": '"Strength for img2img/inpainting."'},
    "image": {
        "type_hint": "PIL.Image.Image | list[PIL.Image.Image]",
        "required": "True",
        "description": '"Reference image(s) for denoising. Can be a single image or list of images."',
    },
    "latents": {
        "type_hint": "torch.Tensor",
        "description": '"Pre-generated noisy latents for image generation."',
    },
    "timesteps": {"type_hint": "torch.Tensor", "description": '"Timesteps for the denoising process."'},
    "output_type": {
        "type_hint": "str",
        "default": '"pil"',
        "description": "\"Output format: 'pil', 'np', 'pt'.\"",
    },
    "attention_kwargs": {
        "type_hint": "dict[str, Any]",
        "description": '"Additional kwargs for attention processors."',
    },
    "denoiser_input_fields": {
        "kwargs_type": '"denoiser_input_fields"',
        "description": (
            '"conditional model inputs for the denoiser: e.g. prompt_embeds, negative_prompt_embeds, etc."'
        ),
    },
    "mask_image": {
        "type_hint": "PIL.Image.Image",
        "required": "True",
        "description": '"Mask image for inpainting."',
    },
    "padding_mask_crop": {"type_hint": "int", "description": '"Padding for mask cropping in inpainting."'},
    "prompt_embeds": {
        "type_hint": "torch.Tensor",
        "required": "True",
        "description": (
            '"text embeddings used to guide the image generation. Can be generated from text_encoder step."'
        ),
    },
    "negative_prompt_embeds": {
        "type_hint": "torch.Tensor",
        "description": (
            '"negative text embeddings used to guide the image generation. Can be generated from text_encoder step."'
        ),
    },
    "image_latents": {
        "type_hint": "torch.Tensor",
        "required": "True",
        "description": ('"image latents used to guide the image generation. Can be generated from vae_encoder step."'),
    },
    "batch_size": {
        "type_hint": "int",
        "default": "1",
        "description": (
            '"Number of prompts, the final batch size of model inputs should be batch_size * num_images_per_prompt. '
            'Can be generated in input step."'
        ),
    },
    "dtype": {
        "type_hint": "torch.dtype",
        "default": "torch.float32",
        "description": '"The dtype of the model inputs, can be generated in input step."',
    },
}

#: The same of `OUTPUT_PARAM_TEMPLATES`.
OUTPUTS: dict[str, dict[str, str]] = {
    "images": {"type_hint": "list[PIL.Image.Image]", "description": '"Generated images."'},
    "videos": {"type_hint": "list[PIL.Image.Image]", "description": '"The generated videos."'},
    "latents": {"type_hint": "torch.Tensor", "description": '"Denoised latents."'},
    "prompt_embeds": {
        "type_hint": "torch.Tensor",
        "kwargs_type": '"denoiser_input_fields"',
        "description": '"The prompt embeddings."',
    },
    "negative_prompt_embeds": {
        "type_hint": "torch.Tensor",
        "kwargs_type": '"denoiser_input_fields"',
        "description": '"The negative prompt embeddings."',
    },
    "image_latents": {
        "type_hint": "torch.Tensor",
        "description": '"The latent representation of the input image."',
    },
}

_TABLES = {"InputParam": INPUTS, "OutputParam": OUTPUTS}

#: What an expression of the tables needs, with the word that shows it.
_IMPORTS = {"PIL.": "import PIL.Image", "torch.": "import torch", "Any]": "from typing import Any"}


class UnknownTemplate(ScaffoldError):
    """A parameter of the generated code whose fields are not in the tables."""


def spelled_out(text: str) -> str:
    """A module whose parameters name their fields.

        InputParam.template("latents", required=True)

    becomes

        InputParam("latents", required=True, type_hint=torch.Tensor, description="Pre-generated noisy ...")

    Raises:
        UnknownTemplate: A name is not in the tables.
    """
    module = cst.parse_module(text).visit(_Parameters())
    return _with_imports(module, text).code


class _Parameters(m.MatcherDecoratableTransformer):
    @m.leave(m.Call(func=m.Attribute(value=m.Name("InputParam") | m.Name("OutputParam"), attr=m.Name("template"))))
    def _template(self, original_node: cst.Call, updated_node: cst.Call) -> cst.Call:
        function = cst.ensure_type(updated_node.func, cst.Attribute)
        kind = cst.ensure_type(function.value, cst.Name).value
        name = str(ast.literal_eval(cst.ensure_type(updated_node.args[0].value, cst.SimpleString).value))
        if name not in _TABLES[kind]:
            raise UnknownTemplate(
                f"this checkout has no parameter templates, and the fields of {kind} {name!r} are not known",
                hint="use --standard, or update the checkout",
            )
        fields = dict(_TABLES[kind][name])
        given = {
            argument.keyword.value: code_of(argument.value)
            for argument in updated_node.args[1:]
            if argument.keyword is not None
        }
        note = given.pop("note", None)
        if note is not None:
            fields["description"] = repr(f"{ast.literal_eval(fields['description'])} ({ast.literal_eval(note)})")
        fields.update(given)
        first = [] if "kwargs_type" in fields and kind == "InputParam" else [cst.Arg(expression(repr(name)))]
        named = [
            cst.Arg(expression(fields[field]), keyword=cst.Name(field), equal=_EQUAL, comma=cst.MaybeSentinel.DEFAULT)
            for field in ("required", "type_hint", "default", "kwargs_type", "description")
            if field in fields
        ]
        return cst.Call(cst.Name(kind), [*first, *named])


_EQUAL = cst.AssignEqual(cst.SimpleWhitespace(""), cst.SimpleWhitespace(""))


def _with_imports(module: cst.Module, before: str) -> cst.Module:
    """Imports of what the fields name; the formatter puts them in their place, and drops those that were there."""
    after = module.code
    needed = [line for word, line in _IMPORTS.items() if after.count(word) > before.count(word) and line not in before]
    place = next(
        index for index, one in enumerate(module.body) if not m.matches(one, m.SimpleStatementLine(body=[m.Expr()]))
    )
    added = [cst.parse_statement(f"{line}\n") for line in needed]
    return module.with_changes(body=[*module.body[:place], *added, *module.body[place:]])
