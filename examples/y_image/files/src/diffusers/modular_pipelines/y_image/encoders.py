# Copyright 2026 The Y Image Team and The HuggingFace Team. All rights reserved.
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

"""Blocks of Y Image that encode its inputs; each of them runs on its own."""

import torch
from transformers import T5EncoderModel, T5TokenizerFast

from ...configuration_utils import FrozenDict
from ...guiders import ClassifierFreeGuidance
from ..modular_pipeline import ModularPipelineBlocks, PipelineState
from ..modular_pipeline_utils import ComponentSpec, InputParam, OutputParam
from .modular_pipeline import YImageModularPipeline


# auto_docstring
class YImageTextEncoderStep(ModularPipelineBlocks):
    """
    Text encoder step that generates the text embeddings that guide the image generation. The negative prompt is
    encoded only when the guider asks for an unconditional prediction.

      Components:
          text_encoder (`T5EncoderModel`) tokenizer (`T5Tokenizer`) guider (`ClassifierFreeGuidance`)

      Inputs:
          prompt (`str`):
              The prompt or prompts to guide image generation.
          negative_prompt (`str`, *optional*):
              The prompt or prompts not to guide the image generation.
          max_sequence_length (`int`, *optional*, defaults to 256):
              Maximum sequence length for prompt encoding.

      Outputs:
          prompt_embeds (`Tensor`):
              The prompt embeddings.
          negative_prompt_embeds (`Tensor`):
              The negative prompt embeddings.
    """

    model_name = "y-image"

    @property
    def description(self) -> str:
        return (
            "Text encoder step that generates the text embeddings that guide the image generation. The negative "
            "prompt is encoded only when the guider asks for an unconditional prediction."
        )

    @property
    def expected_components(self) -> list[ComponentSpec]:
        return [
            ComponentSpec("text_encoder", T5EncoderModel),
            ComponentSpec("tokenizer", T5TokenizerFast),
            ComponentSpec(
                "guider",
                ClassifierFreeGuidance,
                config=FrozenDict({"guidance_scale": 5.0}),
                default_creation_method="from_config",
            ),
        ]

    @property
    def inputs(self) -> list[InputParam]:
        return [
            InputParam.template("prompt"),
            InputParam.template("negative_prompt"),
            InputParam.template("max_sequence_length", default=256),
        ]

    @property
    def intermediate_outputs(self) -> list[OutputParam]:
        return [
            OutputParam.template("prompt_embeds"),
            OutputParam.template("negative_prompt_embeds"),
        ]

    @staticmethod
    def _get_prompt_embeds(
        text_encoder: T5EncoderModel,
        tokenizer: T5TokenizerFast,
        prompt: list[str],
        max_sequence_length: int,
        device: torch.device,
    ) -> torch.Tensor:
        # TODO(y_image): encode the prompt as the reference does (prompt template, padding, which hidden states).
        text_inputs = tokenizer(
            prompt,
            padding="max_length",
            max_length=max_sequence_length,
            truncation=True,
            return_tensors="pt",
        )
        return text_encoder(text_inputs.input_ids.to(device), attention_mask=text_inputs.attention_mask.to(device))[0]

    @torch.no_grad()
    def __call__(self, components: YImageModularPipeline, state: PipelineState) -> PipelineState:
        block_state = self.get_block_state(state)

        device = components._execution_device
        prompt = [block_state.prompt] if isinstance(block_state.prompt, str) else block_state.prompt

        block_state.prompt_embeds = self._get_prompt_embeds(
            components.text_encoder, components.tokenizer, prompt, block_state.max_sequence_length, device
        )

        # The guider may still be at the last step of an earlier call, where its guidance interval has ended.
        components.guider.set_state(step=None, num_inference_steps=None, timestep=None)
        block_state.negative_prompt_embeds = None
        if components.requires_unconditional_embeds:
            negative_prompt = block_state.negative_prompt or ""
            if isinstance(negative_prompt, str):
                negative_prompt = len(prompt) * [negative_prompt]
            if len(negative_prompt) != len(prompt):
                raise ValueError(
                    f"`negative_prompt` has batch size {len(negative_prompt)}, but `prompt` has batch size"
                    f" {len(prompt)}. Pass one negative prompt, or one for each prompt."
                )
            block_state.negative_prompt_embeds = self._get_prompt_embeds(
                components.text_encoder, components.tokenizer, negative_prompt, block_state.max_sequence_length, device
            )

        self.set_block_state(state, block_state)
        return components, state
