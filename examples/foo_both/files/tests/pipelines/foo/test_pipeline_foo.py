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

import pytest
import torch
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from diffusers import AutoencoderKL, FooPipeline, FooScheduler, FooTransformer2DModel

from ...testing_utils import assert_tensors_close, torch_device
from ..pipeline_params import TEXT_TO_IMAGE_BATCH_PARAMS, TEXT_TO_IMAGE_PARAMS
from ..testing_utils import BasePipelineTesterConfig, MemoryTesterMixin, PipelineTesterMixin


class FooPipelineTesterConfig(BasePipelineTesterConfig):
    pipeline_class = FooPipeline
    required_input_params_in_call_signature = TEXT_TO_IMAGE_PARAMS - {"cross_attention_kwargs"}
    batch_input_params = TEXT_TO_IMAGE_BATCH_PARAMS
    output_shape = (3, 64, 64)

    def get_dummy_components(self):
        torch.manual_seed(0)
        transformer = FooTransformer2DModel(
            patch_size=2,
            in_channels=4,
            num_layers=2,
            attention_head_dim=16,
            num_attention_heads=2,
            text_embed_dim=32,
            mlp_ratio=2.0,
            axes_dims_rope=(8, 8),
        )

        torch.manual_seed(0)
        vae = AutoencoderKL(
            sample_size=32,
            in_channels=3,
            out_channels=3,
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            block_out_channels=(4, 8, 8, 8),
            layers_per_block=1,
            latent_channels=4,
            norm_num_groups=2,
            use_quant_conv=False,
            use_post_quant_conv=False,
            shift_factor=0.0609,
            scaling_factor=1.5035,
        )

        scheduler = FooScheduler(shift=3.0)

        torch.manual_seed(0)
        text_encoder_config = CLIPTextConfig(
            bos_token_id=0,
            eos_token_id=2,
            pad_token_id=1,
            vocab_size=1000,
            hidden_size=32,
            intermediate_size=37,
            num_attention_heads=4,
            num_hidden_layers=2,
        )
        text_encoder = CLIPTextModel(text_encoder_config)
        tokenizer = CLIPTokenizer.from_pretrained("hf-internal-testing/tiny-random-clip")

        return {
            "transformer": transformer,
            "scheduler": scheduler,
            "vae": vae,
            "text_encoder": text_encoder,
            "tokenizer": tokenizer,
        }

    def get_dummy_inputs(self):
        return {
            "prompt": "A painting of a squirrel eating a burger",
            "negative_prompt": "bad quality",
            "generator": self.get_generator(0),
            "num_inference_steps": 2,
            "guidance_scale": 5.0,
            "height": 64,
            "width": 64,
            "max_sequence_length": 16,
            "output_type": "pt",
        }


class TestFooPipeline(FooPipelineTesterConfig, PipelineTesterMixin):
    def test_inference_batch_single_identical(self):
        # An accelerator rounds convolutions to TF32, by kernels that depend on the size of the batch.
        super().test_inference_batch_single_identical(expected_max_diff=1e-4 if torch_device == "cpu" else 5e-3)

    def test_different_prompts(self, base_pipe_output):
        pipe = self.get_pipeline().to(torch_device)
        output = self.run_pipe(pipe, prompt="a different prompt")
        assert (output - base_pipe_output).abs().max() > 1e-4

    def test_different_negative_prompts(self, base_pipe_output):
        pipe = self.get_pipeline().to(torch_device)
        output = self.run_pipe(pipe, negative_prompt="a different prompt")
        assert (output - base_pipe_output).abs().max() > 1e-4

    def test_guidance_changes_output(self, base_pipe_output):
        pipe = self.get_pipeline().to(torch_device)
        output = self.run_pipe(pipe, guidance_scale=1.0)
        assert not pipe.do_classifier_free_guidance
        assert (output - base_pipe_output).abs().max() > 1e-4

    def test_non_square_output(self):
        pipe = self.get_pipeline().to(torch_device)
        output = self.run_pipe(pipe, height=32, width=128)
        assert output.shape == (1, 3, 32, 128)

    def test_latents_match_generator(self, base_pipe_output):
        pipe = self.get_pipeline().to(torch_device)
        latents = torch.randn(1, 4, 8, 8, generator=self.get_generator(0))
        output = self.run_pipe(pipe, latents=latents)
        assert_tensors_close(output, base_pipe_output, atol=1e-4, msg="Latents are not those of the generator.")

    def test_custom_sigmas(self, base_pipe_output):
        pipe = self.get_pipeline().to(torch_device)
        output = self.run_pipe(pipe, sigmas=[1.0, 0.75, 0.25])
        assert pipe.num_timesteps == 3
        assert (output - base_pipe_output).abs().max() > 1e-4

    def test_interrupt(self):
        pipe = self.get_pipeline().to(torch_device)
        steps = []

        def interrupt_after_first_step(pipe, step, timestep, callback_kwargs):
            steps.append(step)
            pipe._interrupt = True
            return callback_kwargs

        self.run_pipe(pipe, num_inference_steps=4, callback_on_step_end=interrupt_after_first_step)
        assert steps == [0]

    @pytest.mark.parametrize(
        ("invalid_inputs", "message"),
        [
            ({"height": 65}, "divisible by 16"),
            ({"width": 72}, "divisible by 16"),
            ({"prompt": None}, "has to be passed"),
            ({"prompt": 1}, "type `str` or `list`"),
            ({"prompt_embeds": torch.zeros(1, 16, 32)}, "Only one of `prompt`"),
            ({"negative_prompt_embeds": torch.zeros(1, 16, 32)}, "Only one of `negative_prompt`"),
            ({"negative_prompt": ["one", "two"]}, "as many entries"),
            ({"max_sequence_length": 10_000}, "cannot be greater"),
            ({"callback_on_step_end_tensor_inputs": ["noise_pred"]}, "has to be in"),
        ],
    )
    def test_invalid_inputs(self, invalid_inputs, message):
        pipe = self.get_pipeline()
        with pytest.raises(ValueError, match=message):
            pipe(**{**self.get_dummy_inputs(), **invalid_inputs})


class TestFooPipelineMemory(FooPipelineTesterConfig, MemoryTesterMixin):
    pass
