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
from transformers import AutoTokenizer, T5Config, T5EncoderModel

from diffusers import AutoencoderKLWan, FlowMatchEulerDiscreteScheduler, FooPipeline, FooTransformer3DModel

from ...testing_utils import assert_tensors_close, torch_device
from ..pipeline_params import TEXT_TO_IMAGE_BATCH_PARAMS, TEXT_TO_IMAGE_PARAMS
from ..testing_utils import BasePipelineTesterConfig, MemoryTesterMixin, PipelineTesterMixin


class FooPipelineTesterConfig(BasePipelineTesterConfig):
    pipeline_class = FooPipeline
    required_input_params_in_call_signature = (TEXT_TO_IMAGE_PARAMS | {"num_frames"}) - {
        "cross_attention_kwargs",
        "negative_prompt",
        "negative_prompt_embeds",
    }
    batch_input_params = TEXT_TO_IMAGE_BATCH_PARAMS - {"negative_prompt"}
    optional_input_params = frozenset(
        ["num_inference_steps", "num_videos_per_prompt", "generator", "latents", "output_type", "return_dict"]
    )
    output_shape = (5, 3, 32, 32)

    def get_dummy_components(self):
        torch.manual_seed(0)
        transformer = FooTransformer3DModel(
            patch_size=(1, 2, 2),
            in_channels=16,
            num_layers=2,
            attention_head_dim=16,
            num_attention_heads=2,
            text_embed_dim=32,
            mlp_ratio=2.0,
            axes_dims_rope=(4, 6, 6),
        )

        torch.manual_seed(0)
        vae = AutoencoderKLWan(
            base_dim=3,
            z_dim=16,
            dim_mult=[1, 1, 1, 1],
            num_res_blocks=1,
            temperal_downsample=[False, True, True],
        )

        scheduler = FlowMatchEulerDiscreteScheduler(shift=3.0)

        torch.manual_seed(0)
        text_encoder_config = T5Config(
            vocab_size=1103,
            d_model=32,
            d_ff=37,
            d_kv=8,
            num_heads=4,
            num_layers=2,
            dropout_rate=0.0,
        )
        text_encoder = T5EncoderModel(text_encoder_config)
        tokenizer = AutoTokenizer.from_pretrained("hf-internal-testing/tiny-random-t5")

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
            "generator": self.get_generator(0),
            "num_inference_steps": 2,
            "guidance_scale": 3.5,
            "height": 32,
            "width": 32,
            "num_frames": 5,
            "max_sequence_length": 16,
            "output_type": "pt",
        }


class TestFooPipeline(FooPipelineTesterConfig, PipelineTesterMixin):
    def test_inference_batch_single_identical(self):
        # An accelerator rounds convolutions to TF32, by kernels that depend on the size of the batch.
        super().test_inference_batch_single_identical(expected_max_diff=1e-4 if torch_device == "cpu" else 5e-3)

    def test_different_prompts(self):
        pipe = self.get_pipeline().to(torch_device)
        output = self.run_pipe(pipe, prompt="a different prompt", output_type="latent")
        assert (output - self.run_pipe(pipe, output_type="latent")).abs().max() > 1e-4

    def test_guidance_changes_output(self):
        pipe = self.get_pipeline().to(torch_device)
        output = self.run_pipe(pipe, guidance_scale=1.0, output_type="latent")
        assert (output - self.run_pipe(pipe, output_type="latent")).abs().max() > 1e-4

    def test_encode_prompt_works_in_isolation(self):
        # The inherited test is for an `encode_prompt` that returns a tuple; this one returns the embeddings alone.
        components = self.get_dummy_components()
        text = {key: component for key, component in components.items() if key in ("text_encoder", "tokenizer")}
        pipe = self.get_pipeline(**{**dict.fromkeys(components), **text}).to(torch_device)
        inputs = self.get_dummy_inputs()
        with torch.no_grad():
            prompt_embeds = pipe.encode_prompt(
                inputs["prompt"], max_sequence_length=inputs["max_sequence_length"], device=torch_device
            )

        pipe = self.get_pipeline(**{**components, **dict.fromkeys(text)}).to(torch_device)
        output = self.run_pipe(pipe, prompt=None, prompt_embeds=prompt_embeds, output_type="latent")
        expected = self.run_pipe(self.get_pipeline().to(torch_device), output_type="latent")
        assert_tensors_close(output, expected, atol=1e-4, msg="`encode_prompt` in isolation changed the output.")

    def test_non_square_output(self):
        pipe = self.get_pipeline().to(torch_device)
        output = self.run_pipe(pipe, height=16, width=48)
        assert output.shape == (1, 5, 3, 16, 48)

    def test_num_videos_per_prompt(self):
        pipe = self.get_pipeline().to(torch_device)
        output = self.run_pipe(pipe, prompt=["one prompt", "another prompt"], num_videos_per_prompt=2)
        assert output.shape == (4, *self.output_shape)

    def test_latents_match_generator(self):
        pipe = self.get_pipeline().to(torch_device)
        latents = torch.randn(1, 16, 2, 4, 4, generator=self.get_generator(0))
        output = self.run_pipe(pipe, latents=latents, output_type="latent")
        expected = self.run_pipe(self.get_pipeline().to(torch_device), output_type="latent")
        assert_tensors_close(output, expected, atol=1e-4, msg="Latents are not those of the generator.")

    def test_custom_sigmas(self):
        pipe = self.get_pipeline().to(torch_device)
        output = self.run_pipe(pipe, sigmas=[1.0, 0.75, 0.25], output_type="latent")
        assert pipe.num_timesteps == 3
        assert (output - self.run_pipe(pipe, output_type="latent")).abs().max() > 1e-4

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
            ({"height": 33}, "divisible by 16"),
            ({"width": 40}, "divisible by 16"),
            ({"num_frames": 0}, "`num_frames` has to be a multiple"),
            ({"prompt": None}, "has to be passed"),
            ({"prompt": 1}, "type `str` or `list`"),
            ({"prompt_embeds": torch.zeros(1, 16, 32)}, "Only one of `prompt`"),
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
