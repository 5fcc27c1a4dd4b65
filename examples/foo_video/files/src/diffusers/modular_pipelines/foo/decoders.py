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

"""The block of Foo that decodes the denoised latents."""

import torch

from ...configuration_utils import FrozenDict
from ...models import AutoencoderKLWan
from ...video_processor import VideoProcessor
from ..modular_pipeline import ModularPipelineBlocks, PipelineState
from ..modular_pipeline_utils import ComponentSpec, InputParam, OutputParam
from .modular_pipeline import FooModularPipeline


# auto_docstring
class FooDecodeStep(ModularPipelineBlocks):
    """
    Step that decodes the denoised latents into videos.

      Components:
          vae (`AutoencoderKLWan`) video_processor (`VideoProcessor`)

      Inputs:
          latents (`Tensor`):
              The denoised latents to decode.
          output_type (`str`, *optional*, defaults to pil):
              Output format: 'pil', 'np', 'pt'.

      Outputs:
          videos (`list`):
              The generated videos.
    """

    model_name = "foo"

    @property
    def description(self) -> str:
        return "Step that decodes the denoised latents into videos."

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
                "latents", required=True, type_hint=torch.Tensor, description="The denoised latents to decode."
            ),
            InputParam.template("output_type"),
        ]

    @property
    def intermediate_outputs(self) -> list[OutputParam]:
        return [OutputParam.template("videos")]

    @torch.no_grad()
    def __call__(self, components: FooModularPipeline, state: PipelineState) -> PipelineState:
        block_state = self.get_block_state(state)

        # TODO(foo): undo the normalization of the latents as the reference does.
        latents = block_state.latents.to(components.vae.dtype)
        latents_mean = torch.tensor(components.vae.config.latents_mean).view(1, -1, 1, 1, 1).to(latents)
        latents_std = torch.tensor(components.vae.config.latents_std).view(1, -1, 1, 1, 1).to(latents)
        latents = latents * latents_std + latents_mean

        videos = components.vae.decode(latents, return_dict=False)[0]
        block_state.videos = components.video_processor.postprocess_video(videos, output_type=block_state.output_type)

        self.set_block_state(state, block_state)
        return components, state
