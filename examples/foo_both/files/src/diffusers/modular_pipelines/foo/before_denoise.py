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

"""Blocks of Foo that prepare the denoising: batch, timesteps and latents."""

import torch

from ...models import FooTransformer2DModel
from ...schedulers import FooScheduler
from ...utils.torch_utils import randn_tensor
from ..modular_pipeline import ModularPipelineBlocks, PipelineState
from ..modular_pipeline_utils import ComponentSpec, InputParam, OutputParam
from .modular_pipeline import FooModularPipeline


# Copied from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion.retrieve_timesteps
def retrieve_timesteps(): ...


# auto_docstring
class FooTextInputStep(ModularPipelineBlocks):
    """
    Input step that reads the number of prompts and the dtype from `prompt_embeds`, and repeats the text embeddings
    `num_images_per_prompt` times, image by image of each prompt.

      Inputs:
          num_images_per_prompt (`int`, *optional*, defaults to 1):
              The number of images to generate per prompt.
          prompt_embeds (`Tensor`):
              text embeddings used to guide the image generation. Can be generated from text_encoder step.
          negative_prompt_embeds (`Tensor`, *optional*):
              negative text embeddings used to guide the image generation. Can be generated from text_encoder step.

      Outputs:
          batch_size (`int`):
              Number of prompts, the final batch size of model inputs is batch_size * num_images_per_prompt.
          dtype (`dtype`):
              The dtype of the model inputs, that of `prompt_embeds`.
          prompt_embeds (`Tensor`):
              The prompt embeddings. (repeated for each image)
          negative_prompt_embeds (`Tensor`):
              The negative prompt embeddings. (repeated for each image)
    """

    model_name = "foo"

    @property
    def description(self) -> str:
        return (
            "Input step that reads the number of prompts and the dtype from `prompt_embeds`, and repeats the text "
            "embeddings `num_images_per_prompt` times, image by image of each prompt."
        )

    @property
    def inputs(self) -> list[InputParam]:
        return [
            InputParam.template("num_images_per_prompt"),
            InputParam.template("prompt_embeds"),
            InputParam.template("negative_prompt_embeds"),
        ]

    @property
    def intermediate_outputs(self) -> list[OutputParam]:
        return [
            OutputParam(
                "batch_size",
                type_hint=int,
                description=(
                    "Number of prompts, the final batch size of model inputs is batch_size * num_images_per_prompt."
                ),
            ),
            OutputParam(
                "dtype", type_hint=torch.dtype, description="The dtype of the model inputs, that of `prompt_embeds`."
            ),
            OutputParam.template("prompt_embeds", note="repeated for each image"),
            OutputParam.template("negative_prompt_embeds", note="repeated for each image"),
        ]

    @torch.no_grad()
    def __call__(self, components: FooModularPipeline, state: PipelineState) -> PipelineState:
        block_state = self.get_block_state(state)

        block_state.batch_size = block_state.prompt_embeds.shape[0]
        block_state.dtype = block_state.prompt_embeds.dtype

        block_state.prompt_embeds = block_state.prompt_embeds.repeat_interleave(
            block_state.num_images_per_prompt, dim=0
        )
        if block_state.negative_prompt_embeds is not None:
            if block_state.negative_prompt_embeds.shape[0] != block_state.batch_size:
                raise ValueError(
                    f"`negative_prompt_embeds` has batch size {block_state.negative_prompt_embeds.shape[0]}, but"
                    f" `prompt_embeds` has batch size {block_state.batch_size}."
                )
            block_state.negative_prompt_embeds = block_state.negative_prompt_embeds.repeat_interleave(
                block_state.num_images_per_prompt, dim=0
            )

        self.set_block_state(state, block_state)
        return components, state


# auto_docstring
class FooSetTimestepsStep(ModularPipelineBlocks):
    """
    Step that sets the scheduler's timesteps for inference.

      Components:
          scheduler (`FooScheduler`)

      Inputs:
          num_inference_steps (`int`, *optional*, defaults to 50):
              The number of denoising steps.
          sigmas (`list`, *optional*):
              Custom sigmas for the denoising process.

      Outputs:
          timesteps (`Tensor`):
              The timesteps to denoise at, in order.
          num_inference_steps (`int`):
              The number of denoising steps.
    """

    model_name = "foo"

    @property
    def description(self) -> str:
        return "Step that sets the scheduler's timesteps for inference."

    @property
    def expected_components(self) -> list[ComponentSpec]:
        return [ComponentSpec("scheduler", FooScheduler)]

    @property
    def inputs(self) -> list[InputParam]:
        return [
            InputParam.template("num_inference_steps"),
            InputParam.template("sigmas"),
        ]

    @property
    def intermediate_outputs(self) -> list[OutputParam]:
        return [
            OutputParam("timesteps", type_hint=torch.Tensor, description="The timesteps to denoise at, in order."),
            OutputParam("num_inference_steps", type_hint=int, description="The number of denoising steps."),
        ]

    @torch.no_grad()
    def __call__(self, components: FooModularPipeline, state: PipelineState) -> PipelineState:
        block_state = self.get_block_state(state)

        block_state.timesteps, block_state.num_inference_steps = retrieve_timesteps(
            components.scheduler,
            block_state.num_inference_steps,
            components._execution_device,
            sigmas=block_state.sigmas,
        )

        self.set_block_state(state, block_state)
        return components, state


# auto_docstring
class FooPrepareLatentsStep(ModularPipelineBlocks):
    """
    Step that draws the noise that the denoising process starts from, unless `latents` are passed.

      Components:
          transformer (`FooTransformer2DModel`)

      Inputs:
          height (`int`, *optional*, defaults to 1024):
              The height in pixels of the generated image.
          width (`int`, *optional*, defaults to 1024):
              The width in pixels of the generated image.
          num_images_per_prompt (`int`, *optional*, defaults to 1):
              The number of images to generate per prompt.
          generator (`Generator`, *optional*):
              Torch generator for deterministic generation.
          latents (`Tensor`, *optional*):
              Pre-generated noisy latents for image generation.
          batch_size (`int`, *optional*, defaults to 1):
              Number of prompts, the final batch size of model inputs should be batch_size * num_images_per_prompt. Can
              be generated in input step.
          dtype (`dtype`, *optional*, defaults to torch.float32):
              The dtype of the model inputs, can be generated in input step.

      Outputs:
          latents (`Tensor`):
              The initial noisy latents of the denoising process.
    """

    model_name = "foo"

    @property
    def description(self) -> str:
        return "Step that draws the noise that the denoising process starts from, unless `latents` are passed."

    @property
    def expected_components(self) -> list[ComponentSpec]:
        return [ComponentSpec("transformer", FooTransformer2DModel)]

    @property
    def inputs(self) -> list[InputParam]:
        return [
            InputParam.template("height", default=1024),
            InputParam.template("width", default=1024),
            InputParam.template("num_images_per_prompt"),
            InputParam.template("generator"),
            InputParam.template("latents"),
            InputParam.template("batch_size"),
            InputParam.template("dtype"),
        ]

    @property
    def intermediate_outputs(self) -> list[OutputParam]:
        return [
            OutputParam(
                "latents", type_hint=torch.Tensor, description="The initial noisy latents of the denoising process."
            )
        ]

    @torch.no_grad()
    def __call__(self, components: FooModularPipeline, state: PipelineState) -> PipelineState:
        block_state = self.get_block_state(state)

        multiple_of = components.vae_scale_factor * components.transformer.config.patch_size
        if block_state.height % multiple_of != 0 or block_state.width % multiple_of != 0:
            raise ValueError(
                f"`height` and `width` have to be divisible by {multiple_of} but are {block_state.height} and"
                f" {block_state.width}."
            )

        batch_size = block_state.batch_size * block_state.num_images_per_prompt
        shape = (
            batch_size,
            components.transformer.config.in_channels,
            block_state.height // components.vae_scale_factor,
            block_state.width // components.vae_scale_factor,
        )

        if block_state.latents is not None:
            if block_state.latents.shape != shape:
                raise ValueError(
                    f"`latents` have to be of shape {shape} but are of shape {tuple(block_state.latents.shape)}."
                )
            block_state.latents = block_state.latents.to(components._execution_device, dtype=block_state.dtype)
        else:
            if isinstance(block_state.generator, list) and len(block_state.generator) != batch_size:
                raise ValueError(
                    f"`generator` is a list of length {len(block_state.generator)}, but the batch size is"
                    f" {batch_size}."
                )
            block_state.latents = randn_tensor(
                shape, generator=block_state.generator, device=components._execution_device, dtype=block_state.dtype
            )

        self.set_block_state(state, block_state)
        return components, state
