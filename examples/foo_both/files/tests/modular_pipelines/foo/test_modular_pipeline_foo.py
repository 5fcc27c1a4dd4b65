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


import pytest
import torch

from diffusers.guiders import ClassifierFreeGuidance
from diffusers.modular_pipelines import FooAutoBlocks, FooModularPipeline

from ...testing_utils import require_accelerator, torch_device
from ..testing_utils import (
    BaseModularPipelineTesterConfig,
    ModularGuiderTesterMixin,
    ModularLoadingTesterMixin,
    ModularMemoryTesterMixin,
    ModularPipelineTesterMixin,
    ModularWorkflowTesterMixin,
)


FOO_WORKFLOWS = {
    "text2image": [
        ("text_encoder", "FooTextEncoderStep"),
        ("denoise.input", "FooTextInputStep"),
        ("denoise.set_timesteps", "FooSetTimestepsStep"),
        ("denoise.prepare_latents", "FooPrepareLatentsStep"),
        ("denoise.denoise", "FooDenoiseStep"),
        ("decode", "FooDecodeStep"),
    ],
}


class FooModularPipelineTesterConfig(BaseModularPipelineTesterConfig):
    pipeline_class = FooModularPipeline
    pipeline_blocks_class = FooAutoBlocks
    pretrained_model_name_or_path = "hf-internal-testing/tiny-foo-modular-pipe"
    params = frozenset(["prompt", "negative_prompt", "height", "width"])
    batch_params = frozenset(["prompt", "negative_prompt"])
    expected_workflow_blocks = FOO_WORKFLOWS

    def get_dummy_inputs(self, seed=0):
        generator = self.get_generator(seed)
        inputs = {
            "prompt": "A painting of a squirrel eating a burger",
            "generator": generator,
            "num_inference_steps": 2,
            "height": 64,
            "width": 64,
            "max_sequence_length": 16,
            "output_type": "pt",
        }
        return inputs


class TestFooModularPipelineFast(FooModularPipelineTesterConfig, ModularPipelineTesterMixin):
    def get_changed_inputs(self):
        return {
            "prompt": "A red car in the desert",
        }

    def get_bad_inputs(self):
        return [
            ({"height": 65}, "divisible"),
            ({"negative_prompt": ["blurry", "dark"]}, "negative_prompt"),
            ({"latents": torch.zeros(1, 1, 1, 1)}, "latents"),
        ]

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
            negative_prompt_embeds=text_state.get("negative_prompt_embeds"),
            **inputs,
            output=self.output_name,
        )
        assert torch.abs(output - self.run_pipe(self.get_part(self.pipeline_blocks_class()))).max() < 1e-4

    def test_latents_input(self):
        pipe = self.get_pipeline().to(torch_device)
        # The generator draws the very same noise.
        latents = torch.randn((1, 4, 8, 8), generator=self.get_generator(0))
        assert torch.abs(self.run_pipe(pipe, latents=latents) - self.run_pipe(pipe)).max() < 1e-4

    def test_inference_batch_single_identical(self):
        # An accelerator rounds convolutions to TF32, by kernels that depend on the size of the batch.
        super().test_inference_batch_single_identical(expected_max_diff=1e-4 if torch_device == "cpu" else 5e-3)

    @require_accelerator
    def test_float16_inference(self):
        # The noise itself is passed: of one generator torch may draw another in half precision.
        latents = torch.randn((1, 4, 8, 8), generator=self.get_generator(0))
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


class TestFooModularPipelineLoading(FooModularPipelineTesterConfig, ModularLoadingTesterMixin):
    pass


class TestFooModularPipelineWorkflow(FooModularPipelineTesterConfig, ModularWorkflowTesterMixin):
    pass


class TestFooModularPipelineMemory(FooModularPipelineTesterConfig, ModularMemoryTesterMixin):
    pass


class TestFooModularPipelineGuider(FooModularPipelineTesterConfig, ModularGuiderTesterMixin):
    def test_guidance_interval_repeats(self):
        pipe = self.get_pipeline().to(torch_device)
        pipe.update_components(guider=ClassifierFreeGuidance(guidance_scale=5.0, stop=0.5))

        # The second call starts with a guider that has left its interval.
        first = pipe(**self.get_dummy_inputs(), output=self.output_name)
        second = pipe(**self.get_dummy_inputs(), output=self.output_name)
        assert torch.abs(first - second).max() < 1e-4
