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

from ...models import FooTransformer3DModel
from ...schedulers import FlowMatchEulerDiscreteScheduler
from ...utils.torch_utils import randn_tensor
from ..modular_pipeline import ModularPipelineBlocks, PipelineState
from ..modular_pipeline_utils import ComponentSpec, InputParam, OutputParam
from .modular_pipeline import FooModularPipeline


# Copied from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion.retrieve_timesteps
def retrieve_timesteps(): ...


# Copied from diffusers.modular_pipelines.qwenimage.before_denoise.get_timesteps
def get_timesteps(): ...


# Copied from diffusers.modular_pipelines.qwenimage.inputs.repeat_tensor_to_batch_size
def repeat_tensor_to_batch_size(): ...


# auto_docstring
class FooTextInputStep(ModularPipelineBlocks):
    """
    Input step that reads the number of prompts and the dtype from `prompt_embeds`, and repeats the text embeddings
    `num_videos_per_prompt` times, video by video of each prompt.

      Inputs:
          num_videos_per_prompt (`int`, *optional*, defaults to 1):
              The number of videos to generate per prompt.
          prompt_embeds (`Tensor`):
              text embeddings used to guide the video generation. Can be generated from text_encoder step.

      Outputs:
          batch_size (`int`):
              Number of prompts, the final batch size of model inputs is batch_size * num_videos_per_prompt.
          dtype (`dtype`):
              The dtype of the model inputs, that of `prompt_embeds`.
          prompt_embeds (`Tensor`):
              The prompt embeddings. (repeated for each video)
    """

    model_name = "foo"

    @property
    def description(self) -> str:
        return (
            "Input step that reads the number of prompts and the dtype from `prompt_embeds`, and repeats the text "
            "embeddings `num_videos_per_prompt` times, video by video of each prompt."
        )

    @property
    def inputs(self) -> list[InputParam]:
        return [
            InputParam(
                "num_videos_per_prompt",
                default=1,
                type_hint=int,
                description="The number of videos to generate per prompt.",
            ),
            InputParam.template(
                "prompt_embeds",
                description=(
                    "text embeddings used to guide the video generation. Can be generated from text_encoder step."
                ),
            ),
        ]

    @property
    def intermediate_outputs(self) -> list[OutputParam]:
        return [
            OutputParam(
                "batch_size",
                type_hint=int,
                description=(
                    "Number of prompts, the final batch size of model inputs is batch_size * num_videos_per_prompt."
                ),
            ),
            OutputParam(
                "dtype", type_hint=torch.dtype, description="The dtype of the model inputs, that of `prompt_embeds`."
            ),
            OutputParam.template("prompt_embeds", note="repeated for each video"),
        ]

    @torch.no_grad()
    def __call__(self, components: FooModularPipeline, state: PipelineState) -> PipelineState:
        block_state = self.get_block_state(state)

        block_state.batch_size = block_state.prompt_embeds.shape[0]
        block_state.dtype = block_state.prompt_embeds.dtype

        block_state.prompt_embeds = block_state.prompt_embeds.repeat_interleave(
            block_state.num_videos_per_prompt, dim=0
        )

        self.set_block_state(state, block_state)
        return components, state


# auto_docstring
class FooImageInputStep(ModularPipelineBlocks):
    """
    Input step that repeats the image latents to the batch size of the model inputs.

      Inputs:
          image_latents (`Tensor`):
              image latents used to guide the video generation. Can be generated from vae_encoder step.
          num_videos_per_prompt (`int`, *optional*, defaults to 1):
              The number of videos to generate per prompt.
          batch_size (`int`, *optional*, defaults to 1):
              Number of prompts, the final batch size of model inputs should be batch_size * num_videos_per_prompt. Can
              be generated in input step.
          dtype (`dtype`, *optional*, defaults to torch.float32):
              The dtype of the model inputs, can be generated in input step.

      Outputs:
          image_latents (`Tensor`):
              The latent representation of the input image. (repeated for each video)
    """

    model_name = "foo"

    @property
    def description(self) -> str:
        return "Input step that repeats the image latents to the batch size of the model inputs."

    @property
    def inputs(self) -> list[InputParam]:
        return [
            InputParam.template(
                "image_latents",
                description=(
                    "image latents used to guide the video generation. Can be generated from vae_encoder step."
                ),
            ),
            InputParam(
                "num_videos_per_prompt",
                default=1,
                type_hint=int,
                description="The number of videos to generate per prompt.",
            ),
            InputParam.template(
                "batch_size",
                description=(
                    "Number of prompts, the final batch size of model inputs should be batch_size * "
                    "num_videos_per_prompt. Can be generated in input step."
                ),
            ),
            InputParam.template("dtype"),
        ]

    @property
    def intermediate_outputs(self) -> list[OutputParam]:
        return [OutputParam.template("image_latents", note="repeated for each video")]

    @torch.no_grad()
    def __call__(self, components: FooModularPipeline, state: PipelineState) -> PipelineState:
        block_state = self.get_block_state(state)

        block_state.image_latents = repeat_tensor_to_batch_size(
            "image_latents",
            block_state.image_latents.to(components._execution_device, dtype=block_state.dtype),
            batch_size=block_state.batch_size,
            num_images_per_prompt=block_state.num_videos_per_prompt,
        )

        self.set_block_state(state, block_state)
        return components, state


# auto_docstring
class FooVideoInputStep(ModularPipelineBlocks):
    """
    Input step that repeats the video latents to the batch size of the model inputs, and reads the number of frames
    from them.

      Inputs:
          video_latents (`Tensor`):
              The latents of the video to start from. Can be generated from vae_encoder step.
          num_videos_per_prompt (`int`, *optional*, defaults to 1):
              The number of videos to generate per prompt.
          batch_size (`int`, *optional*, defaults to 1):
              Number of prompts, the final batch size of model inputs should be batch_size * num_videos_per_prompt. Can
              be generated in input step.
          dtype (`dtype`, *optional*, defaults to torch.float32):
              The dtype of the model inputs, can be generated in input step.

      Outputs:
          video_latents (`Tensor`):
              The latent representation of the input video. (repeated for each video)
          num_frames (`int`):
              The number of frames that the latents stand for.
    """

    model_name = "foo"

    @property
    def description(self) -> str:
        return (
            "Input step that repeats the video latents to the batch size of the model inputs, and reads the number of "
            "frames from them."
        )

    @property
    def inputs(self) -> list[InputParam]:
        return [
            InputParam(
                "video_latents",
                required=True,
                type_hint=torch.Tensor,
                description="The latents of the video to start from. Can be generated from vae_encoder step.",
            ),
            InputParam(
                "num_videos_per_prompt",
                default=1,
                type_hint=int,
                description="The number of videos to generate per prompt.",
            ),
            InputParam.template(
                "batch_size",
                description=(
                    "Number of prompts, the final batch size of model inputs should be batch_size * "
                    "num_videos_per_prompt. Can be generated in input step."
                ),
            ),
            InputParam.template("dtype"),
        ]

    @property
    def intermediate_outputs(self) -> list[OutputParam]:
        return [
            OutputParam(
                "video_latents",
                type_hint=torch.Tensor,
                description="The latent representation of the input video. (repeated for each video)",
            ),
            OutputParam("num_frames", type_hint=int, description="The number of frames that the latents stand for."),
        ]

    @torch.no_grad()
    def __call__(self, components: FooModularPipeline, state: PipelineState) -> PipelineState:
        block_state = self.get_block_state(state)

        block_state.video_latents = repeat_tensor_to_batch_size(
            "video_latents",
            block_state.video_latents.to(components._execution_device, dtype=block_state.dtype),
            batch_size=block_state.batch_size,
            num_images_per_prompt=block_state.num_videos_per_prompt,
        )
        block_state.num_frames = (block_state.video_latents.shape[2] - 1) * components.vae_scale_factor_temporal + 1

        self.set_block_state(state, block_state)
        return components, state


# auto_docstring
class FooSetTimestepsStep(ModularPipelineBlocks):
    """
    Step that sets the scheduler's timesteps for inference.

      Components:
          scheduler (`FlowMatchEulerDiscreteScheduler`)

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
        return [ComponentSpec("scheduler", FlowMatchEulerDiscreteScheduler)]

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
class FooSetTimestepsWithStrengthStep(ModularPipelineBlocks):
    """
    Step that sets the scheduler's timesteps, and keeps the last of them by `strength`.

      Components:
          scheduler (`FlowMatchEulerDiscreteScheduler`)

      Inputs:
          num_inference_steps (`int`, *optional*, defaults to 50):
              The number of denoising steps.
          sigmas (`list`, *optional*):
              Custom sigmas for the denoising process.
          strength (`float`, *optional*, defaults to 0.9):
              How far to go from the input, from 0 to 1: the part of the denoising steps that is taken.

      Outputs:
          timesteps (`Tensor`):
              The timesteps to denoise at, in order.
          num_inference_steps (`int`):
              The number of denoising steps.
    """

    model_name = "foo"

    @property
    def description(self) -> str:
        return "Step that sets the scheduler's timesteps, and keeps the last of them by `strength`."

    @property
    def expected_components(self) -> list[ComponentSpec]:
        return [ComponentSpec("scheduler", FlowMatchEulerDiscreteScheduler)]

    @property
    def inputs(self) -> list[InputParam]:
        return [
            InputParam.template("num_inference_steps"),
            InputParam.template("sigmas"),
            InputParam.template(
                "strength",
                description=(
                    "How far to go from the input, from 0 to 1: the part of the denoising steps that is taken."
                ),
            ),
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

        if block_state.strength < 0 or block_state.strength > 1:
            raise ValueError(f"`strength` has to be between 0 and 1 but is {block_state.strength}.")

        _, num_inference_steps = retrieve_timesteps(
            components.scheduler,
            block_state.num_inference_steps,
            components._execution_device,
            sigmas=block_state.sigmas,
        )
        block_state.timesteps, block_state.num_inference_steps = get_timesteps(
            components.scheduler, num_inference_steps, block_state.strength
        )
        if block_state.num_inference_steps < 1:
            raise ValueError(
                f"A `strength` of {block_state.strength} leaves none of {num_inference_steps} inference steps."
            )

        self.set_block_state(state, block_state)
        return components, state


# auto_docstring
class FooPrepareLatentsStep(ModularPipelineBlocks):
    """
    Step that draws the noise that the denoising process starts from, unless `latents` are passed.

      Components:
          transformer (`FooTransformer3DModel`)

      Inputs:
          height (`int`, *optional*, defaults to 512):
              The height in pixels of the generated video.
          width (`int`, *optional*, defaults to 768):
              The width in pixels of the generated video.
          num_frames (`int`, *optional*, defaults to 81):
              The number of frames of the generated video.
          num_videos_per_prompt (`int`, *optional*, defaults to 1):
              The number of videos to generate per prompt.
          generator (`Generator`, *optional*):
              Torch generator for deterministic generation.
          latents (`Tensor`, *optional*):
              Pre-generated noisy latents for video generation.
          batch_size (`int`, *optional*, defaults to 1):
              Number of prompts, the final batch size of model inputs should be batch_size * num_videos_per_prompt. Can
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
        return [ComponentSpec("transformer", FooTransformer3DModel)]

    @property
    def inputs(self) -> list[InputParam]:
        return [
            InputParam.template("height", default=512, description="The height in pixels of the generated video."),
            InputParam.template("width", default=768, description="The width in pixels of the generated video."),
            InputParam(
                "num_frames", default=81, type_hint=int, description="The number of frames of the generated video."
            ),
            InputParam(
                "num_videos_per_prompt",
                default=1,
                type_hint=int,
                description="The number of videos to generate per prompt.",
            ),
            InputParam.template("generator"),
            InputParam.template("latents", description="Pre-generated noisy latents for video generation."),
            InputParam.template(
                "batch_size",
                description=(
                    "Number of prompts, the final batch size of model inputs should be batch_size * "
                    "num_videos_per_prompt. Can be generated in input step."
                ),
            ),
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

        _, patch_height, patch_width = components.transformer.config.patch_size
        height_multiple_of = components.vae_scale_factor_spatial * patch_height
        width_multiple_of = components.vae_scale_factor_spatial * patch_width
        if block_state.height % height_multiple_of != 0 or block_state.width % width_multiple_of != 0:
            raise ValueError(
                f"`height` and `width` have to be divisible by {height_multiple_of} and {width_multiple_of} but are"
                f" {block_state.height} and {block_state.width}."
            )
        if block_state.num_frames < 1 or (block_state.num_frames - 1) % components.vae_scale_factor_temporal != 0:
            raise ValueError(
                f"`num_frames` has to be a multiple of {components.vae_scale_factor_temporal} plus 1 but is"
                f" {block_state.num_frames}."
            )

        batch_size = block_state.batch_size * block_state.num_videos_per_prompt
        shape = (
            batch_size,
            components.transformer.config.in_channels,
            (block_state.num_frames - 1) // components.vae_scale_factor_temporal + 1,
            block_state.height // components.vae_scale_factor_spatial,
            block_state.width // components.vae_scale_factor_spatial,
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


# auto_docstring
class FooPrepareLatentsWithStrengthStep(ModularPipelineBlocks):
    """
    Step that mixes the noise into the video latents, as much of it as the first timestep asks for.

      Components:
          scheduler (`FlowMatchEulerDiscreteScheduler`)

      Inputs:
          latents (`Tensor`):
              The noise that the denoising process starts from.
          video_latents (`Tensor`):
              The latents of the video to start from. Can be generated from vae_encoder step.
          timesteps (`Tensor`):
              Timesteps for the denoising process.

      Outputs:
          latents (`Tensor`):
              The initial noisy latents of the denoising process.
    """

    model_name = "foo"

    @property
    def description(self) -> str:
        return "Step that mixes the noise into the video latents, as much of it as the first timestep asks for."

    @property
    def expected_components(self) -> list[ComponentSpec]:
        return [ComponentSpec("scheduler", FlowMatchEulerDiscreteScheduler)]

    @property
    def inputs(self) -> list[InputParam]:
        return [
            InputParam(
                "latents",
                required=True,
                type_hint=torch.Tensor,
                description="The noise that the denoising process starts from.",
            ),
            InputParam(
                "video_latents",
                required=True,
                type_hint=torch.Tensor,
                description="The latents of the video to start from. Can be generated from vae_encoder step.",
            ),
            InputParam.template("timesteps", required=True),
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

        if block_state.video_latents.shape != block_state.latents.shape:
            raise ValueError(
                f"`video_latents` have to be of shape {tuple(block_state.latents.shape)} but are of shape"
                f" {tuple(block_state.video_latents.shape)}."
            )

        latent_timestep = block_state.timesteps[:1].repeat(block_state.latents.shape[0])
        block_state.latents = components.scheduler.scale_noise(
            block_state.video_latents, latent_timestep, block_state.latents
        )

        self.set_block_state(state, block_state)
        return components, state


# auto_docstring
class FooPrepareFirstFrameStep(ModularPipelineBlocks):
    """
    Step that puts the image latents in the place of the first latent frame.

      Inputs:
          latents (`Tensor`):
              The noise that the denoising process starts from.
          image_latents (`Tensor`):
              image latents used to guide the video generation. Can be generated from vae_encoder step.

      Outputs:
          latents (`Tensor`):
              The initial noisy latents of the denoising process.
    """

    model_name = "foo"

    @property
    def description(self) -> str:
        return "Step that puts the image latents in the place of the first latent frame."

    @property
    def inputs(self) -> list[InputParam]:
        return [
            InputParam(
                "latents",
                required=True,
                type_hint=torch.Tensor,
                description="The noise that the denoising process starts from.",
            ),
            InputParam.template(
                "image_latents",
                description=(
                    "image latents used to guide the video generation. Can be generated from vae_encoder step."
                ),
            ),
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

        if block_state.latents.shape[2] < 2:
            raise ValueError("`num_frames` leaves no latent frame to generate beside that of the image.")

        # TODO(foo): condition on the image as the reference does (concatenated channels, an image encoder ...).
        first_frame = block_state.latents[:, :, :1]
        if block_state.image_latents.shape != first_frame.shape:
            raise ValueError(
                f"`image_latents` have to be of shape {tuple(first_frame.shape)} but are of shape"
                f" {tuple(block_state.image_latents.shape)}."
            )
        block_state.latents = torch.cat([block_state.image_latents, block_state.latents[:, :, 1:]], dim=2)

        self.set_block_state(state, block_state)
        return components, state
