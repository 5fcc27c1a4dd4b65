# coding=utf-8
# Copyright 2026 HuggingFace Inc.
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


import numpy as np
import PIL.Image
import pytest
import torch

from diffusers.modular_pipelines import FooAutoBlocks, FooModularPipeline

from ...testing_utils import require_accelerator, torch_device
from ..testing_utils import (
    BaseModularPipelineTesterConfig,
    ModularLoadingTesterMixin,
    ModularMemoryTesterMixin,
    ModularPipelineTesterMixin,
    ModularWorkflowTesterMixin,
)


FOO_WORKFLOWS = {
    "text2video": [
        ("text_encoder", "FooTextEncoderStep"),
        ("denoise.input", "FooTextInputStep"),
        ("denoise.set_timesteps", "FooSetTimestepsStep"),
        ("denoise.prepare_latents", "FooPrepareLatentsStep"),
        ("denoise.denoise", "FooDenoiseStep"),
        ("decode", "FooDecodeStep"),
    ],
    "image2video": [
        ("text_encoder", "FooTextEncoderStep"),
        ("vae_encoder", "FooVaeEncoderStep"),
        ("denoise.input", "FooTextInputStep"),
        ("denoise.image_input", "FooImageInputStep"),
        ("denoise.set_timesteps", "FooSetTimestepsStep"),
        ("denoise.prepare_latents", "FooPrepareLatentsStep"),
        ("denoise.prepare_first_frame", "FooPrepareFirstFrameStep"),
        ("denoise.denoise", "FooImageToVideoDenoiseStep"),
        ("decode", "FooDecodeStep"),
    ],
    "video2video": [
        ("text_encoder", "FooTextEncoderStep"),
        ("vae_encoder", "FooVideoVaeEncoderStep"),
        ("denoise.input", "FooTextInputStep"),
        ("denoise.video_input", "FooVideoInputStep"),
        ("denoise.set_timesteps", "FooSetTimestepsWithStrengthStep"),
        ("denoise.prepare_latents", "FooPrepareLatentsStep"),
        ("denoise.prepare_video_latents", "FooPrepareLatentsWithStrengthStep"),
        ("denoise.denoise", "FooDenoiseStep"),
        ("decode", "FooDecodeStep"),
    ],
}


def get_image(seed=0):
    pixels = np.random.RandomState(seed).randint(0, 256, (32, 32, 3), dtype=np.uint8)
    return PIL.Image.fromarray(pixels)


class FooModularPipelineTesterMixin(ModularPipelineTesterMixin):
    """What the tests of all workflows share."""

    def get_part(self, blocks):
        pipe = blocks.init_pipeline(self.pretrained_model_name_or_path)
        pipe.load_components(dtype=torch.float32)
        return pipe.to(torch_device)

    def run_pipe(self, pipe, **changes):
        return pipe(**{**self.get_dummy_inputs(), **changes}, output=self.output_name)

    def test_text_encoder_runs_standalone(self):
        # Encode once, then reuse the embeddings in a pipeline that has no text encoder.
        inputs = self.get_dummy_inputs()
        text_pipe = self.get_part(self.pipeline_blocks_class().sub_blocks["text_encoder"])
        text_state = text_pipe(prompt=inputs.pop("prompt"), max_sequence_length=inputs.pop("max_sequence_length"))

        blocks = self.pipeline_blocks_class()
        blocks.sub_blocks.pop("text_encoder")
        output = self.get_part(blocks)(
            prompt_embeds=text_state.get("prompt_embeds"),
            **inputs,
            output=self.output_name,
        )
        assert torch.abs(output - self.run_pipe(self.get_part(self.pipeline_blocks_class()))).max() < 1e-4

    def test_latents_input(self):
        pipe = self.get_pipeline().to(torch_device)
        # The generator draws the very same noise.
        latents = torch.randn((1, 16, 3, 4, 4), generator=self.get_generator(0))
        assert torch.abs(self.run_pipe(pipe, latents=latents) - self.run_pipe(pipe)).max() < 1e-4

    def test_inference_batch_single_identical(self):
        # An accelerator rounds convolutions to TF32, by kernels that depend on the size of the batch.
        super().test_inference_batch_single_identical(expected_max_diff=1e-4 if torch_device == "cpu" else 5e-3)

    @require_accelerator
    def test_float16_inference(self):
        # The noise itself is passed: of one generator torch may draw another in half precision.
        latents = torch.randn((1, 16, 3, 4, 4), generator=self.get_generator(0))
        outputs = []
        for dtype in (torch.float32, torch.float16):
            pipe = self.get_pipeline().to(torch_device, dtype)
            output = pipe(**self.get_dummy_inputs(), latents=latents, output=self.output_name)
            outputs.append(output.float().flatten())
        assert torch.cosine_similarity(*outputs, dim=0) > 0.95

    def test_inputs_change_the_latents(self):
        pipe = self.get_pipeline().to(torch_device)
        latents = pipe(**self.get_dummy_inputs(), output="latents")
        for name, value in self.get_changed_inputs().items():
            changed = pipe(**{**self.get_dummy_inputs(), name: value}, output="latents")
            assert torch.abs(changed - latents).max() > 1e-4, name

    def test_bad_inputs(self):
        pipe = self.get_pipeline().to(torch_device)
        for changes, match in self.get_bad_inputs():
            with pytest.raises(ValueError, match=match):
                self.run_pipe(pipe, **changes)

    def test_num_videos_per_prompt(self):
        pipe = self.get_pipeline().to(torch_device)
        output = self.run_pipe(pipe, prompt=2 * [self.get_dummy_inputs()["prompt"]], num_videos_per_prompt=2)
        assert output.shape[0] == 4


class FooModularPipelineTesterConfig(BaseModularPipelineTesterConfig):
    pipeline_class = FooModularPipeline
    pipeline_blocks_class = FooAutoBlocks
    pretrained_model_name_or_path = "hf-internal-testing/tiny-foo-modular-pipe"
    params = frozenset(["prompt", "guidance_scale", "height", "width", "num_frames"])
    batch_params = frozenset(["prompt"])
    optional_params = frozenset(["num_inference_steps", "num_videos_per_prompt", "latents", "output_type"])
    not_params = frozenset(["negative_prompt"])
    expected_workflow_blocks = FOO_WORKFLOWS
    output_name = "videos"

    def get_dummy_inputs(self, seed=0):
        generator = self.get_generator(seed)
        inputs = {
            "prompt": "A painting of a squirrel eating a burger",
            "generator": generator,
            "num_inference_steps": 2,
            "guidance_scale": 3.5,
            "height": 32,
            "width": 32,
            "num_frames": 9,
            "max_sequence_length": 16,
            "output_type": "pt",
        }
        return inputs


class TestFooModularPipelineFast(FooModularPipelineTesterConfig, FooModularPipelineTesterMixin):
    def get_changed_inputs(self):
        return {
            "prompt": "A red car in the desert",
            "guidance_scale": 7.0,
        }

    def get_bad_inputs(self):
        return [
            ({"height": 33}, "divisible"),
            ({"num_frames": 10}, "num_frames"),
            ({"latents": torch.zeros(1, 1, 1, 1)}, "latents"),
        ]

    def test_num_frames(self):
        assert self.run_pipe(self.get_pipeline().to(torch_device)).shape == (1, 9, 3, 32, 32)


class TestFooModularPipelineLoading(FooModularPipelineTesterConfig, ModularLoadingTesterMixin):
    pass


class TestFooModularPipelineWorkflow(FooModularPipelineTesterConfig, ModularWorkflowTesterMixin):
    pass


class TestFooModularPipelineMemory(FooModularPipelineTesterConfig, ModularMemoryTesterMixin):
    pass


class FooImageToVideoModularPipelineTesterConfig(BaseModularPipelineTesterConfig):
    pipeline_class = FooModularPipeline
    pipeline_blocks_class = FooAutoBlocks
    pretrained_model_name_or_path = "hf-internal-testing/tiny-foo-modular-pipe"
    params = frozenset(["prompt", "guidance_scale", "height", "width", "num_frames", "image"])
    batch_params = frozenset(["prompt", "image"])
    optional_params = frozenset(["num_inference_steps", "num_videos_per_prompt", "latents", "output_type"])
    not_params = frozenset(["negative_prompt"])
    expected_workflow_blocks = FOO_WORKFLOWS
    output_name = "videos"

    def get_dummy_inputs(self, seed=0):
        generator = self.get_generator(seed)
        inputs = {
            "prompt": "A painting of a squirrel eating a burger",
            "image": get_image(),
            "generator": generator,
            "num_inference_steps": 2,
            "guidance_scale": 3.5,
            "height": 32,
            "width": 32,
            "num_frames": 9,
            "max_sequence_length": 16,
            "output_type": "pt",
        }
        return inputs


class TestFooImageToVideoModularPipelineFast(
    FooImageToVideoModularPipelineTesterConfig, FooModularPipelineTesterMixin
):
    def get_changed_inputs(self):
        return {
            "prompt": "A red car in the desert",
            "guidance_scale": 7.0,
            "image": get_image(seed=1),
        }

    def get_bad_inputs(self):
        return [
            ({"height": 33}, "divisible"),
            ({"num_frames": 10}, "num_frames"),
            ({"num_frames": 1}, "num_frames"),
            ({"image": 3 * [get_image()]}, "batch size"),
            ({"latents": torch.zeros(1, 1, 1, 1)}, "latents"),
        ]

    def test_vae_encoder_runs_standalone(self):
        # Encode once, then reuse the latents in a pipeline that has no VAE encoder.
        inputs = self.get_dummy_inputs()
        vae_pipe = self.get_part(self.pipeline_blocks_class().sub_blocks["vae_encoder"])
        vae_state = vae_pipe(
            image=inputs.pop("image"),
            height=inputs["height"],
            width=inputs["width"],
        )

        blocks = self.pipeline_blocks_class()
        blocks.sub_blocks.pop("vae_encoder")
        output = self.get_part(blocks)(
            image_latents=vae_state.get("image_latents"),
            **inputs,
            output=self.output_name,
        )
        assert torch.abs(output - self.run_pipe(self.get_part(self.pipeline_blocks_class()))).max() < 1e-4

    def test_first_frame_keeps_the_image(self):
        state = self.get_pipeline().to(torch_device)(**self.get_dummy_inputs())
        assert torch.equal(state.get("latents")[:, :, :1], state.get("image_latents"))

    def test_num_frames(self):
        assert self.run_pipe(self.get_pipeline().to(torch_device)).shape == (1, 9, 3, 32, 32)


class FooVideoToVideoModularPipelineTesterConfig(BaseModularPipelineTesterConfig):
    pipeline_class = FooModularPipeline
    pipeline_blocks_class = FooAutoBlocks
    pretrained_model_name_or_path = "hf-internal-testing/tiny-foo-modular-pipe"
    params = frozenset(["prompt", "guidance_scale", "height", "width", "video", "strength"])
    batch_params = frozenset(["prompt", "video"])
    optional_params = frozenset(["num_inference_steps", "num_videos_per_prompt", "latents", "output_type"])
    not_params = frozenset(["negative_prompt"])
    expected_workflow_blocks = FOO_WORKFLOWS
    output_name = "videos"

    def get_dummy_inputs(self, seed=0):
        generator = self.get_generator(seed)
        inputs = {
            "prompt": "A painting of a squirrel eating a burger",
            "video": [get_image(frame) for frame in range(9)],
            "generator": generator,
            "num_inference_steps": 4,
            "strength": 0.5,
            "guidance_scale": 3.5,
            "height": 32,
            "width": 32,
            "max_sequence_length": 16,
            "output_type": "pt",
        }
        return inputs


class TestFooVideoToVideoModularPipelineFast(
    FooVideoToVideoModularPipelineTesterConfig, FooModularPipelineTesterMixin
):
    def get_changed_inputs(self):
        return {
            "prompt": "A red car in the desert",
            "guidance_scale": 7.0,
            "video": [get_image(seed) for seed in range(100, 109)],
            "strength": 0.75,
        }

    def get_bad_inputs(self):
        return [
            ({"height": 33}, "divisible"),
            ({"video": [get_image()] * 10}, "number of frames"),
            ({"strength": 1.5}, "strength"),
            ({"strength": 0.0}, "strength"),
            ({"video": 3 * [[get_image()] * 9]}, "batch size"),
            ({"latents": torch.zeros(1, 1, 1, 1)}, "latents"),
        ]

    def test_vae_encoder_runs_standalone(self):
        # Encode once, then reuse the latents in a pipeline that has no VAE encoder.
        inputs = self.get_dummy_inputs()
        vae_pipe = self.get_part(self.pipeline_blocks_class().sub_blocks["vae_encoder"])
        vae_state = vae_pipe(
            video=inputs.pop("video"),
            height=inputs["height"],
            width=inputs["width"],
        )

        blocks = self.pipeline_blocks_class()
        blocks.sub_blocks.pop("vae_encoder")
        output = self.get_part(blocks)(
            video_latents=vae_state.get("video_latents"),
            **inputs,
            output=self.output_name,
        )
        assert torch.abs(output - self.run_pipe(self.get_part(self.pipeline_blocks_class()))).max() < 1e-4

    def test_num_frames(self):
        assert self.run_pipe(self.get_pipeline().to(torch_device)).shape == (1, 9, 3, 32, 32)
