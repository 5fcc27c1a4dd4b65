# Copyright 2026 The Foo Team and The HuggingFace Team. All rights reserved.
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

"""Blocks of Foo that encode its inputs; each of them runs on its own."""

import torch
from transformers import T5EncoderModel, T5TokenizerFast

from ...configuration_utils import FrozenDict
from ...models import AutoencoderKLWan
from ...video_processor import VideoProcessor
from ..modular_pipeline import ModularPipelineBlocks, PipelineState
from ..modular_pipeline_utils import ComponentSpec, InputParam, OutputParam
from .modular_pipeline import FooModularPipeline


# auto_docstring
class FooTextEncoderStep(ModularPipelineBlocks):
    """
    Text encoder step that generates the text embeddings that guide the video generation.

      Components:
          text_encoder (`T5EncoderModel`) tokenizer (`T5Tokenizer`)

      Inputs:
          prompt (`str`):
              The prompt or prompts to guide video generation.
          max_sequence_length (`int`, *optional*, defaults to 256):
              Maximum sequence length for prompt encoding.

      Outputs:
          prompt_embeds (`Tensor`):
              The prompt embeddings.
    """

    model_name = "foo"

    @property
    def description(self) -> str:
        return "Text encoder step that generates the text embeddings that guide the video generation."

    @property
    def expected_components(self) -> list[ComponentSpec]:
        return [
            ComponentSpec("text_encoder", T5EncoderModel),
            ComponentSpec("tokenizer", T5TokenizerFast),
        ]

    @property
    def inputs(self) -> list[InputParam]:
        return [
            InputParam.template("prompt", description="The prompt or prompts to guide video generation."),
            InputParam.template("max_sequence_length", default=256),
        ]

    @property
    def intermediate_outputs(self) -> list[OutputParam]:
        return [OutputParam.template("prompt_embeds")]

    @staticmethod
    def _get_prompt_embeds(
        text_encoder: T5EncoderModel,
        tokenizer: T5TokenizerFast,
        prompt: list[str],
        max_sequence_length: int,
        device: torch.device,
    ) -> torch.Tensor:
        # TODO(foo): encode the prompt as the reference does (prompt template, padding, which hidden states).
        text_inputs = tokenizer(
            prompt,
            padding="max_length",
            max_length=max_sequence_length,
            truncation=True,
            return_tensors="pt",
        )
        return text_encoder(text_inputs.input_ids.to(device), attention_mask=text_inputs.attention_mask.to(device))[0]

    @torch.no_grad()
    def __call__(self, components: FooModularPipeline, state: PipelineState) -> PipelineState:
        block_state = self.get_block_state(state)

        device = components._execution_device
        prompt = [block_state.prompt] if isinstance(block_state.prompt, str) else block_state.prompt

        block_state.prompt_embeds = self._get_prompt_embeds(
            components.text_encoder, components.tokenizer, prompt, block_state.max_sequence_length, device
        )

        self.set_block_state(state, block_state)
        return components, state


# auto_docstring
class FooVaeEncoderStep(ModularPipelineBlocks):
    """
    VAE encoder step that encodes the image into the latents of the first frame.

      Components:
          vae (`AutoencoderKLWan`) video_processor (`VideoProcessor`)

      Inputs:
          image (`Image | list`):
              The first frame of the video. Can be a single image or list of images.
          height (`int`, *optional*, defaults to 512):
              The height in pixels of the generated video.
          width (`int`, *optional*, defaults to 768):
              The width in pixels of the generated video.

      Outputs:
          image_latents (`Tensor`):
              The latent representation of the input image.
    """

    model_name = "foo"

    @property
    def description(self) -> str:
        return "VAE encoder step that encodes the image into the latents of the first frame."

    @property
    def expected_components(self) -> list[ComponentSpec]:
        return [
            ComponentSpec("vae", AutoencoderKLWan),
            ComponentSpec(
                "video_processor",
                VideoProcessor,
                config=FrozenDict({"vae_scale_factor": 8}),
                default_creation_method="from_config",
            ),
        ]

    @property
    def inputs(self) -> list[InputParam]:
        return [
            InputParam.template(
                "image", description="The first frame of the video. Can be a single image or list of images."
            ),
            InputParam.template("height", default=512, description="The height in pixels of the generated video."),
            InputParam.template("width", default=768, description="The width in pixels of the generated video."),
        ]

    @property
    def intermediate_outputs(self) -> list[OutputParam]:
        return [OutputParam.template("image_latents")]

    @torch.no_grad()
    def __call__(self, components: FooModularPipeline, state: PipelineState) -> PipelineState:
        block_state = self.get_block_state(state)

        image = components.video_processor.preprocess(
            block_state.image, height=block_state.height, width=block_state.width
        )
        image = image.to(device=components._execution_device, dtype=components.vae.dtype)

        # TODO(foo): normalize the latents as the reference does.
        image_latents = components.vae.encode(image.unsqueeze(2)).latent_dist.mode()
        latents_mean = torch.tensor(components.vae.config.latents_mean).view(1, -1, 1, 1, 1).to(image_latents)
        latents_std = torch.tensor(components.vae.config.latents_std).view(1, -1, 1, 1, 1).to(image_latents)
        image_latents = (image_latents - latents_mean) / latents_std
        block_state.image_latents = image_latents

        self.set_block_state(state, block_state)
        return components, state


# auto_docstring
class FooVideoVaeEncoderStep(ModularPipelineBlocks):
    """
    VAE encoder step that encodes the video into latents.

      Components:
          vae (`AutoencoderKLWan`) video_processor (`VideoProcessor`)

      Inputs:
          video (`list`):
              The video to start from, as a list of frames, or a list of such videos.
          height (`int`, *optional*, defaults to 512):
              The height in pixels of the generated video.
          width (`int`, *optional*, defaults to 768):
              The width in pixels of the generated video.

      Outputs:
          video_latents (`Tensor`):
              The latent representation of the input video.
    """

    model_name = "foo"

    @property
    def description(self) -> str:
        return "VAE encoder step that encodes the video into latents."

    @property
    def expected_components(self) -> list[ComponentSpec]:
        return [
            ComponentSpec("vae", AutoencoderKLWan),
            ComponentSpec(
                "video_processor",
                VideoProcessor,
                config=FrozenDict({"vae_scale_factor": 8}),
                default_creation_method="from_config",
            ),
        ]

    @property
    def inputs(self) -> list[InputParam]:
        return [
            InputParam(
                "video",
                required=True,
                type_hint=list,
                description="The video to start from, as a list of frames, or a list of such videos.",
            ),
            InputParam.template("height", default=512, description="The height in pixels of the generated video."),
            InputParam.template("width", default=768, description="The width in pixels of the generated video."),
        ]

    @property
    def intermediate_outputs(self) -> list[OutputParam]:
        return [
            OutputParam(
                "video_latents", type_hint=torch.Tensor, description="The latent representation of the input video."
            )
        ]

    @torch.no_grad()
    def __call__(self, components: FooModularPipeline, state: PipelineState) -> PipelineState:
        block_state = self.get_block_state(state)

        video = components.video_processor.preprocess_video(
            block_state.video, height=block_state.height, width=block_state.width
        )
        if (video.shape[2] - 1) % components.vae_scale_factor_temporal != 0:
            raise ValueError(
                f"The number of frames of `video` has to be a multiple of {components.vae_scale_factor_temporal} plus 1"
                f" but is {video.shape[2]}."
            )
        video = video.to(device=components._execution_device, dtype=components.vae.dtype)

        # TODO(foo): normalize the latents as the reference does.
        video_latents = components.vae.encode(video).latent_dist.mode()
        latents_mean = torch.tensor(components.vae.config.latents_mean).view(1, -1, 1, 1, 1).to(video_latents)
        latents_std = torch.tensor(components.vae.config.latents_std).view(1, -1, 1, 1, 1).to(video_latents)
        video_latents = (video_latents - latents_mean) / latents_std
        block_state.video_latents = video_latents

        self.set_block_state(state, block_state)
        return components, state
