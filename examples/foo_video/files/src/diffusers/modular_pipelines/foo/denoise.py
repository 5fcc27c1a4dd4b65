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

"""The denoising loop of Foo and its steps."""

import inspect

import torch

from ...models import FooTransformer3DModel
from ...schedulers import FlowMatchEulerDiscreteScheduler
from ..modular_pipeline import BlockState, LoopSequentialPipelineBlocks, ModularPipelineBlocks, PipelineState
from ..modular_pipeline_utils import ComponentSpec, InputParam, OutputParam
from .modular_pipeline import FooModularPipeline


class FooLoopBeforeDenoiser(ModularPipelineBlocks):
    model_name = "foo"

    @property
    def description(self) -> str:
        return (
            "Step of the denoising loop that prepares the latents and the timestep for the transformer. It belongs "
            "into the `sub_blocks` of a `FooDenoiseLoopWrapper`."
        )

    @property
    def inputs(self) -> list[InputParam]:
        return [
            InputParam.template(
                "latents", required=True, description="Pre-generated noisy latents for video generation."
            ),
            InputParam.template("dtype", required=True),
        ]

    @property
    def intermediate_outputs(self) -> list[OutputParam]:
        return [
            OutputParam(
                "latent_model_input", type_hint=torch.Tensor, description="The latents as the denoiser gets them."
            ),
            OutputParam("timestep", type_hint=torch.Tensor, description="The current timestep, one for each sample."),
        ]

    @torch.no_grad()
    def __call__(self, components: FooModularPipeline, block_state: BlockState, i: int, t: torch.Tensor):
        # TODO(foo): pass latents and timestep as the reference does (range and direction of the timestep).
        block_state.latent_model_input = block_state.latents.to(block_state.dtype)
        block_state.timestep = t.expand(block_state.latents.shape[0]).to(block_state.dtype)
        return components, block_state


class FooLoopDenoiser(ModularPipelineBlocks):
    model_name = "foo"

    @property
    def description(self) -> str:
        return (
            "Step of the denoising loop that runs the transformer, with the guidance scale as an input. It belongs "
            "into the `sub_blocks` of a `FooDenoiseLoopWrapper`."
        )

    @property
    def expected_components(self) -> list[ComponentSpec]:
        return [ComponentSpec("transformer", FooTransformer3DModel)]

    @property
    def inputs(self) -> list[InputParam]:
        return [
            InputParam(
                "guidance_scale",
                default=3.5,
                type_hint=float,
                description="The guidance scale, an input of the distilled transformer.",
            ),
            InputParam.template("denoiser_input_fields"),
            InputParam.template(
                "prompt_embeds",
                description=(
                    "text embeddings used to guide the video generation. Can be generated from text_encoder step."
                ),
            ),
            InputParam(
                "latent_model_input",
                required=True,
                type_hint=torch.Tensor,
                description="The latents as the denoiser gets them.",
            ),
            InputParam(
                "timestep",
                required=True,
                type_hint=torch.Tensor,
                description="The current timestep, one for each sample.",
            ),
        ]

    @property
    def intermediate_outputs(self) -> list[OutputParam]:
        return [OutputParam("noise_pred", type_hint=torch.Tensor, description="The prediction of the transformer.")]

    @torch.no_grad()
    def __call__(self, components: FooModularPipeline, block_state: BlockState, i: int, t: torch.Tensor):
        guidance = torch.full_like(block_state.timestep, block_state.guidance_scale, dtype=torch.float32)

        # A block reaches the transformer by tagging an output as a denoiser input field: no change is needed here.
        transformer_args = inspect.signature(components.transformer.forward).parameters
        additional_kwargs = {
            name: value
            for name, value in block_state.denoiser_input_fields.items()
            if name in transformer_args and name != "encoder_hidden_states"
        }

        with components.transformer.cache_context("cond"):
            block_state.noise_pred = components.transformer(
                hidden_states=block_state.latent_model_input,
                timestep=block_state.timestep,
                encoder_hidden_states=block_state.prompt_embeds,
                guidance=guidance,
                return_dict=False,
                **additional_kwargs,
            )[0]
        return components, block_state


class FooLoopAfterDenoiser(ModularPipelineBlocks):
    model_name = "foo"

    @property
    def description(self) -> str:
        return (
            "Step of the denoising loop that moves the latents on to the next timestep. It belongs into the "
            "`sub_blocks` of a `FooDenoiseLoopWrapper`."
        )

    @property
    def expected_components(self) -> list[ComponentSpec]:
        return [ComponentSpec("scheduler", FlowMatchEulerDiscreteScheduler)]

    @property
    def inputs(self) -> list[InputParam]:
        return [
            InputParam.template(
                "latents", required=True, description="Pre-generated noisy latents for video generation."
            ),
            InputParam(
                "noise_pred", required=True, type_hint=torch.Tensor, description="The prediction of the transformer."
            ),
        ]

    @property
    def intermediate_outputs(self) -> list[OutputParam]:
        return [OutputParam.template("latents")]

    @torch.no_grad()
    def __call__(self, components: FooModularPipeline, block_state: BlockState, i: int, t: torch.Tensor):
        latents_dtype = block_state.latents.dtype
        block_state.latents = components.scheduler.step(
            block_state.noise_pred, t, block_state.latents, return_dict=False
        )[0]
        block_state.latents = block_state.latents.to(latents_dtype)
        return components, block_state


class FooLoopAfterDenoiserFirstFrame(ModularPipelineBlocks):
    model_name = "foo"

    @property
    def description(self) -> str:
        return (
            "Step of the denoising loop that moves all latent frames but the first one on to the next timestep. It "
            "belongs into the `sub_blocks` of a `FooDenoiseLoopWrapper`."
        )

    @property
    def expected_components(self) -> list[ComponentSpec]:
        return [ComponentSpec("scheduler", FlowMatchEulerDiscreteScheduler)]

    @property
    def inputs(self) -> list[InputParam]:
        return [
            InputParam.template(
                "latents", required=True, description="Pre-generated noisy latents for video generation."
            ),
            InputParam(
                "noise_pred", required=True, type_hint=torch.Tensor, description="The prediction of the transformer."
            ),
        ]

    @property
    def intermediate_outputs(self) -> list[OutputParam]:
        return [OutputParam.template("latents")]

    @torch.no_grad()
    def __call__(self, components: FooModularPipeline, block_state: BlockState, i: int, t: torch.Tensor):
        first_frame, latents = block_state.latents[:, :, :1], block_state.latents[:, :, 1:]
        latents = components.scheduler.step(block_state.noise_pred[:, :, 1:], t, latents, return_dict=False)[0]
        block_state.latents = torch.cat([first_frame, latents.to(first_frame.dtype)], dim=2)
        return components, block_state


class FooDenoiseLoopWrapper(LoopSequentialPipelineBlocks):
    model_name = "foo"

    @property
    def description(self) -> str:
        return (
            "Denoising loop over `timesteps`. What happens at each timestep is up to the `sub_blocks`, which run in "
            "their order."
        )

    @property
    def loop_expected_components(self) -> list[ComponentSpec]:
        return [ComponentSpec("scheduler", FlowMatchEulerDiscreteScheduler)]

    @property
    def loop_inputs(self) -> list[InputParam]:
        return [
            InputParam.template("timesteps", required=True),
            InputParam.template("num_inference_steps", required=True),
        ]

    @torch.no_grad()
    def __call__(self, components: FooModularPipeline, state: PipelineState) -> PipelineState:
        block_state = self.get_block_state(state)

        num_warmup_steps = max(
            len(block_state.timesteps) - block_state.num_inference_steps * components.scheduler.order, 0
        )
        with self.progress_bar(total=block_state.num_inference_steps) as progress_bar:
            for i, t in enumerate(block_state.timesteps):
                components, block_state = self.loop_step(components, block_state, i=i, t=t)
                if i == len(block_state.timesteps) - 1 or (
                    (i + 1) > num_warmup_steps and (i + 1) % components.scheduler.order == 0
                ):
                    progress_bar.update()

        self.set_block_state(state, block_state)
        return components, state


# auto_docstring
class FooDenoiseStep(FooDenoiseLoopWrapper):
    """
    Denoise step that iteratively denoises the latents over `timesteps`. At each iteration it prepares the model
    inputs, runs the transformer, and updates the latents with the scheduler.

      Components:
          transformer (`FooTransformer3DModel`) scheduler (`FlowMatchEulerDiscreteScheduler`)

      Inputs:
          timesteps (`Tensor`):
              Timesteps for the denoising process.
          num_inference_steps (`int`):
              The number of denoising steps.
          latents (`Tensor`):
              Pre-generated noisy latents for video generation.
          dtype (`dtype`):
              The dtype of the model inputs, can be generated in input step.
          guidance_scale (`float`, *optional*, defaults to 3.5):
              The guidance scale, an input of the distilled transformer.
          **denoiser_input_fields (`None`, *optional*):
              conditional model inputs for the denoiser: e.g. prompt_embeds, negative_prompt_embeds, etc.
          prompt_embeds (`Tensor`):
              text embeddings used to guide the video generation. Can be generated from text_encoder step.

      Outputs:
          latents (`Tensor`):
              Denoised latents.
    """

    model_name = "foo"
    block_classes = [FooLoopBeforeDenoiser, FooLoopDenoiser, FooLoopAfterDenoiser]
    block_names = ["before_denoiser", "denoiser", "after_denoiser"]

    @property
    def description(self) -> str:
        return (
            "Denoise step that iteratively denoises the latents over `timesteps`. At each iteration it prepares the "
            "model inputs, runs the transformer, and updates the latents with the scheduler."
        )


# auto_docstring
class FooImageToVideoDenoiseStep(FooDenoiseLoopWrapper):
    """
    Denoise step that iteratively denoises the latents over `timesteps`. At each iteration it prepares the model
    inputs, runs the transformer, and updates all latent frames but the first one with the scheduler.

      Components:
          transformer (`FooTransformer3DModel`) scheduler (`FlowMatchEulerDiscreteScheduler`)

      Inputs:
          timesteps (`Tensor`):
              Timesteps for the denoising process.
          num_inference_steps (`int`):
              The number of denoising steps.
          latents (`Tensor`):
              Pre-generated noisy latents for video generation.
          dtype (`dtype`):
              The dtype of the model inputs, can be generated in input step.
          guidance_scale (`float`, *optional*, defaults to 3.5):
              The guidance scale, an input of the distilled transformer.
          **denoiser_input_fields (`None`, *optional*):
              conditional model inputs for the denoiser: e.g. prompt_embeds, negative_prompt_embeds, etc.
          prompt_embeds (`Tensor`):
              text embeddings used to guide the video generation. Can be generated from text_encoder step.

      Outputs:
          latents (`Tensor`):
              Denoised latents.
    """

    model_name = "foo"
    block_classes = [FooLoopBeforeDenoiser, FooLoopDenoiser, FooLoopAfterDenoiserFirstFrame]
    block_names = ["before_denoiser", "denoiser", "after_denoiser"]

    @property
    def description(self) -> str:
        return (
            "Denoise step that iteratively denoises the latents over `timesteps`. At each iteration it prepares the "
            "model inputs, runs the transformer, and updates all latent frames but the first one with the scheduler."
        )
