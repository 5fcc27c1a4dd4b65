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

"""The modular pipeline class of Foo."""

from ..modular_pipeline import ModularPipeline


class FooModularPipeline(ModularPipeline):
    """
    A ModularPipeline for Foo.
    """

    default_blocks_name = "FooAutoBlocks"

    # Blocks that run on their own, such as the one that prepares the latents, have no VAE to ask.
    @property
    def vae_scale_factor_spatial(self):
        vae = self.components.get("vae")
        return vae.config.scale_factor_spatial if vae is not None else 8

    @property
    def vae_scale_factor_temporal(self):
        vae = self.components.get("vae")
        return vae.config.scale_factor_temporal if vae is not None else 4
