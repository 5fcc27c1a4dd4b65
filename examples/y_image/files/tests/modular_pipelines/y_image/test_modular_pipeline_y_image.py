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
from diffusers.modular_pipelines import YImageAutoBlocks, YImageModularPipeline

from ...testing_utils import torch_device
from ..testing_utils import (
    BaseModularPipelineTesterConfig,
    ModularGuiderTesterMixin,
    ModularLoadingTesterMixin,
    ModularMemoryTesterMixin,
    ModularPipelineTesterMixin,
    ModularWorkflowTesterMixin,
)


Y_IMAGE_WORKFLOWS = {
    "text2image": [
        ("text_encoder", "YImageTextEncoderStep"),
        ("denoise.input", "YImageTextInputStep"),
        ("denoise.set_timesteps", "YImageSetTimestepsStep"),
        ("denoise.prepare_latents", "YImagePrepareLatentsStep"),
        ("denoise.denoise", "YImageDenoiseStep"),
        ("decode", "YImageDecodeStep"),
    ],
}


class YImageModularPipelineTesterConfig(BaseModularPipelineTesterConfig):
    pipeline_class = YImageModularPipeline
    pipeline_blocks_class = YImageAutoBlocks
    pretrained_model_name_or_path = "hf-internal-testing/tiny-y-image-modular-pipe"
    params = frozenset(["prompt", "negative_prompt", "height", "width"])
    batch_params = frozenset(["prompt", "negative_prompt"])
    expected_workflow_blocks = Y_IMAGE_WORKFLOWS

    def get_dummy_inputs(self, seed=0):
        generator = self.get_generator(seed)
        inputs = {
            "prompt": "A painting of a squirrel eating a burger",
            "generator": generator,
            "num_inference_steps": 2,
            "height": 32,
            "width": 32,
            "max_sequence_length": 16,
            "output_type": "pt",
        }
        return inputs


class TestYImageModularPipelineFast(YImageModularPipelineTesterConfig, ModularPipelineTesterMixin):
    def test_text_encoder_runs_standalone(self):
        pipe = self.get_pipeline().to(torch_device)
        inputs = self.get_dummy_inputs()
        expected = pipe(**inputs, output=self.output_name)

        # Encode once, then reuse the embeddings in a pipeline that has no text encoder.
        text_pipe = (
            self.pipeline_blocks_class().sub_blocks["text_encoder"].init_pipeline(self.pretrained_model_name_or_path)
        )
        text_pipe.load_components(dtype=torch.float32)
        text_pipe.to(torch_device)
        text_state = text_pipe(prompt=inputs["prompt"], max_sequence_length=inputs["max_sequence_length"])

        blocks = self.pipeline_blocks_class()
        blocks.sub_blocks.pop("text_encoder")
        image_pipe = blocks.init_pipeline(self.pretrained_model_name_or_path)
        image_pipe.load_components(dtype=torch.float32)
        image_pipe.to(torch_device)

        inputs = self.get_dummy_inputs()
        image = image_pipe(
            prompt_embeds=text_state.get("prompt_embeds"),
            negative_prompt_embeds=text_state.get("negative_prompt_embeds"),
            generator=inputs["generator"],
            num_inference_steps=inputs["num_inference_steps"],
            height=inputs["height"],
            width=inputs["width"],
            output_type=inputs["output_type"],
            output=self.output_name,
        )
        assert torch.abs(image - expected).max() < 1e-4

    def test_latents_input(self):
        pipe = self.get_pipeline().to(torch_device)
        inputs = self.get_dummy_inputs()
        latents = torch.randn(
            (
                1,
                pipe.transformer.config.in_channels,
                inputs["height"] // pipe.vae_scale_factor,
                inputs["width"] // pipe.vae_scale_factor,
            ),
            generator=self.get_generator(0),
        )
        image = pipe(**inputs, latents=latents, output=self.output_name)
        # The generator draws the very same noise.
        expected = pipe(**self.get_dummy_inputs(), output=self.output_name)
        assert torch.abs(image - expected).max() < 1e-4

    def test_bad_inputs(self):
        pipe = self.get_pipeline().to(torch_device)
        inputs = self.get_dummy_inputs()
        with pytest.raises(ValueError, match="divisible"):
            pipe(**{**inputs, "height": inputs["height"] + 1})
        with pytest.raises(ValueError, match="negative_prompt"):
            pipe(**{**inputs, "negative_prompt": ["blurry", "dark"]})
        with pytest.raises(ValueError, match="latents"):
            pipe(**inputs, latents=torch.zeros(1, 1, 1, 1))


class TestYImageModularPipelineLoading(YImageModularPipelineTesterConfig, ModularLoadingTesterMixin):
    pass


class TestYImageModularPipelineWorkflow(YImageModularPipelineTesterConfig, ModularWorkflowTesterMixin):
    pass


class TestYImageModularPipelineMemory(YImageModularPipelineTesterConfig, ModularMemoryTesterMixin):
    pass


class TestYImageModularPipelineGuider(YImageModularPipelineTesterConfig, ModularGuiderTesterMixin):
    def test_guidance_interval_repeats(self):
        pipe = self.get_pipeline().to(torch_device)
        pipe.update_components(guider=ClassifierFreeGuidance(guidance_scale=5.0, stop=0.5))

        # The second call starts with a guider that has left its interval.
        first = pipe(**self.get_dummy_inputs(), output=self.output_name)
        second = pipe(**self.get_dummy_inputs(), output=self.output_name)
        assert torch.abs(first - second).max() < 1e-4
