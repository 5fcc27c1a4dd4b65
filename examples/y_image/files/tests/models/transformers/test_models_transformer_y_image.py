# Copyright 2026 The HuggingFace Team. All rights reserved.
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

"""Model tests of YImageTransformer2DModel."""

import pytest
import torch

from diffusers import YImageTransformer2DModel
from diffusers.utils.torch_utils import randn_tensor

from ...testing_utils import enable_full_determinism, torch_device
from ..testing_utils import (
    AttentionTesterMixin,
    BaseModelTesterConfig,
    ContextParallelTesterMixin,
    MemoryTesterMixin,
    ModelTesterMixin,
    TorchCompileTesterMixin,
    TrainingTesterMixin,
)


enable_full_determinism()


class YImageTransformerTesterConfig(BaseModelTesterConfig):
    @property
    def model_class(self):
        return YImageTransformer2DModel

    @property
    def output_shape(self) -> tuple[int, ...]:
        return (4, 8, 8)

    @property
    def main_input_name(self) -> str:
        return "hidden_states"

    @property
    def generator(self):
        return torch.Generator("cpu").manual_seed(0)

    def get_init_dict(self) -> dict:
        return {
            "patch_size": 2,
            "in_channels": 4,
            "num_layers": 2,
            "attention_head_dim": 16,
            "num_attention_heads": 2,
            "text_embed_dim": 32,
            "mlp_ratio": 2.0,
            "axes_dims_rope": (8, 8),
        }

    def get_dummy_inputs(self, batch_size: int = 1, height: int = 8, width: int = 8) -> dict[str, torch.Tensor]:
        num_channels = 4
        sequence_length = 16
        embedding_dim = 32

        return {
            "hidden_states": randn_tensor(
                (batch_size, num_channels, height, width),
                generator=self.generator,
                device=torch_device,
                dtype=self.torch_dtype,
            ),
            "encoder_hidden_states": randn_tensor(
                (batch_size, sequence_length, embedding_dim),
                generator=self.generator,
                device=torch_device,
                dtype=self.torch_dtype,
            ),
            "timestep": torch.tensor([500.0]).to(torch_device, self.torch_dtype).expand(batch_size),
        }


class TestYImageTransformer(YImageTransformerTesterConfig, ModelTesterMixin):
    def get_model(self, **kwargs):
        torch.manual_seed(0)
        return self.model_class(**{**self.get_init_dict(), **kwargs}).to(torch_device).eval()

    @torch.no_grad()
    def test_non_square_input(self):
        inputs = self.get_dummy_inputs(batch_size=2, height=4, width=12)
        output = self.get_model()(**inputs).sample
        assert output.shape == inputs["hidden_states"].shape

    @torch.no_grad()
    def test_out_channels(self):
        output = self.get_model(out_channels=6)(**self.get_dummy_inputs()).sample
        assert output.shape == (1, 6, 8, 8)

    @torch.no_grad()
    @pytest.mark.parametrize("name", ["hidden_states", "timestep", "encoder_hidden_states"])
    def test_output_depends_on_input(self, base_model_output, name):
        inputs = self.get_dummy_inputs()
        inputs[name] = 0.5 * inputs[name]
        output = self.get_model()(**inputs).sample
        assert not torch.allclose(output, base_model_output, atol=1e-4)

    @torch.no_grad()
    @pytest.mark.parametrize("dim", [-2, -1])
    def test_output_depends_on_patch_position(self, base_model_output, dim):
        # Without position embeddings, the model would be equivariant to a permutation of the patches.
        inputs = self.get_dummy_inputs()
        inputs["hidden_states"] = inputs["hidden_states"].roll(2, dims=dim)
        output = self.get_model()(**inputs).sample
        assert not torch.allclose(output.roll(-2, dims=dim), base_model_output, atol=1e-4)

    @torch.no_grad()
    def test_batch_matches_single(self, base_model_output):
        inputs = self.get_dummy_inputs()
        batch = {name: torch.cat([value, 0.5 * value]) for name, value in inputs.items()}
        output = self.get_model()(**batch).sample
        torch.testing.assert_close(output[:1], base_model_output, atol=1e-4, rtol=1e-4)

    def test_axes_dims_rope_has_to_match_head_dim(self):
        with pytest.raises(ValueError, match="axes_dims_rope"):
            self.get_model(axes_dims_rope=(8, 4))


class TestYImageTransformerMemory(YImageTransformerTesterConfig, MemoryTesterMixin):
    pass


class TestYImageTransformerCompile(YImageTransformerTesterConfig, TorchCompileTesterMixin):
    @property
    def different_shapes_for_compilation(self) -> list[tuple[int, int]]:
        return [(4, 4), (4, 8), (8, 8)]


class TestYImageTransformerTraining(YImageTransformerTesterConfig, TrainingTesterMixin):
    def test_gradient_checkpointing_is_applied(self):
        super().test_gradient_checkpointing_is_applied(expected_set={"YImageTransformer2DModel"})


class TestYImageTransformerContextParallel(YImageTransformerTesterConfig, ContextParallelTesterMixin):
    pass


class TestYImageTransformerAttention(YImageTransformerTesterConfig, AttentionTesterMixin):
    pass
