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

from dataclasses import dataclass

import numpy as np
import PIL.Image
import torch

from ...utils import BaseOutput


@dataclass
class FooPipelineOutput(BaseOutput):
    """
    Output class of the Foo pipelines.

    Args:
        frames (`list[list[PIL.Image.Image]]`, `np.ndarray` or `torch.Tensor`):
            The generated videos, `batch_size * num_videos_per_prompt` of them: a list of PIL images for each, an array
            of shape `(batch_size, num_frames, height, width, channels)` or a tensor of shape `(batch_size, num_frames,
            channels, height, width)`, depending on `output_type`. With `output_type="latent"` it is the latents.
    """

    frames: list[list[PIL.Image.Image]] | np.ndarray | torch.Tensor
