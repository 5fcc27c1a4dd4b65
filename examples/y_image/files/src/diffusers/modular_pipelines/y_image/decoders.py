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

"""The block of Y Image that decodes the denoised latents."""

import torch

from ...configuration_utils import FrozenDict
from ...image_processor import VaeImageProcessor
from ...models import AutoencoderKL
from ..modular_pipeline import ModularPipelineBlocks, PipelineState
from ..modular_pipeline_utils import ComponentSpec, InputParam, OutputParam
from .modular_pipeline import YImageModularPipeline


# auto_docstring
class YImageDecodeStep(ModularPipelineBlocks):
    """
    Step that decodes the denoised latents into images.

      Components:
          vae (`AutoencoderKL`) image_processor (`VaeImageProcessor`)

      Inputs:
          latents (`Tensor`):
              The denoised latents to decode.
          output_type (`str`, *optional*, defaults to pil):
              Output format: 'pil', 'np', 'pt'.

      Outputs:
          images (`list`):
              Generated images.
    """

    model_name = "y-image"

    @property
    def description(self) -> str:
        return "Step that decodes the denoised latents into images."

    @property
    def expected_components(self) -> list[ComponentSpec]:
        return [
            ComponentSpec("vae", AutoencoderKL),
            ComponentSpec(
                "image_processor",
                VaeImageProcessor,
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
        return [OutputParam.template("images")]

    @torch.no_grad()
    def __call__(self, components: YImageModularPipeline, state: PipelineState) -> PipelineState:
        block_state = self.get_block_state(state)

        # TODO(y_image): undo the normalization of the latents as the reference does.
        latents = block_state.latents.to(components.vae.dtype)
        latents = latents / components.vae.config.scaling_factor + components.vae.config.shift_factor

        images = components.vae.decode(latents, return_dict=False)[0]
        block_state.images = components.image_processor.postprocess(images, output_type=block_state.output_type)

        self.set_block_state(state, block_state)
        return components, state
