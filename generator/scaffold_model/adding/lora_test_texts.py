"""The LoRA tests that are files of their own, as texts to be filled in."""

from __future__ import annotations

LICENSE = """\
# Copyright {year} HuggingFace Inc.
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
"""
FILE = """\
{license}
import unittest

import torch

from diffusers import {names}
{helpers}
from ..pipelines.{package} import {module}
{own_helpers}

if is_peft_available():
    from peft import LoraConfig


from .utils import PeftLoraLoaderMixinTests  # noqa: E402


@require_peft_backend
class {prefix}LoRATests(unittest.TestCase, PeftLoraLoaderMixinTests):
    pipeline_class = {pipeline}
    scheduler_cls = {scheduler}
{classes}    scheduler_kwargs = {{}}
    transformer_cls = {model}
{settings}
    @property
    def output_shape(self):
        return self.get_dummy_output().shape

    def get_dummy_output(self):
        components, _, _ = self.get_dummy_components()
        pipe = self.pipeline_class(**components).to(torch_device)
        pipe.set_progress_bar_config(disable=None)
        _, _, inputs = self.get_dummy_inputs()
        return pipe(**inputs)[0]

    def get_dummy_components(self, scheduler_cls=None, use_dora=False, lora_alpha=None):
        # The components of the pipeline's own tests.
        components = {module}.{tests}().get_dummy_components()
        rank = 4
        options = {{
            "r": rank,
            "lora_alpha": rank if lora_alpha is None else lora_alpha,
            "init_lora_weights": False,
            "use_dora": use_dora,
        }}
        text_lora_config = LoraConfig(target_modules=["q_proj", "k_proj", "v_proj", "out_proj"], **options)
        denoiser_lora_config = LoraConfig(target_modules={targets}, **options)
        return components, text_lora_config, denoiser_lora_config

    def get_dummy_inputs(self, with_generator=True):
        pipeline_inputs = {module}.{tests}().get_dummy_inputs({device})
        pipeline_inputs["output_type"] = "np"
        pipeline_inputs.pop("generator")
        if with_generator:
            pipeline_inputs["generator"] = torch.manual_seed(0)
        return None, None, pipeline_inputs
{skipped}"""
SKIP = """
    @unittest.skip("{reason}")
    def {name}(self):
        pass
"""
MODULAR_FILE = '''\
{license}
import torch

{helpers}from ..modular_pipelines.{package} import {module}
{own_helpers}

if is_peft_available():
    from peft import LoraConfig
    from peft.utils import get_peft_model_state_dict


@require_peft_backend
class Test{prefix}LoraLayers:
    """LoRA layers of the {title} modular pipeline, on the components of the pipeline's own tests."""

    settings = {module}.{tests}

    def get_pipeline(self):
        return self.settings().get_pipeline().to(torch_device)

    def run_pipe(self, pipe):
        settings = self.settings()
        return pipe(**settings.get_dummy_inputs(), output=settings.output_name)

    def add_adapter(self, pipe):
        # Without the usual initial weights, which change nothing.
        config = LoraConfig(r=4, lora_alpha=4, target_modules={targets}, init_lora_weights=False)
        pipe.transformer.add_adapter(config)
        return get_peft_model_state_dict(pipe.transformer)

    def test_layers_change_the_output_until_they_are_unloaded(self):
        pipe = self.get_pipeline()
        base_output = self.run_pipe(pipe)
        self.add_adapter(pipe)
        assert not torch.allclose(self.run_pipe(pipe), base_output, atol=1e-3, rtol=1e-3)

        pipe.unload_lora_weights()
        assert torch.allclose(self.run_pipe(pipe), base_output, atol=1e-3, rtol=1e-3)

    def test_layers_that_are_saved_load_again(self, tmp_path):
        pipe = self.get_pipeline()
        layers = self.add_adapter(pipe)
        output = self.run_pipe(pipe)
        pipe.save_lora_weights(save_directory=tmp_path, transformer_lora_layers=layers)

        pipe = self.get_pipeline()
        pipe.load_lora_weights(tmp_path, weight_name="pytorch_lora_weights.safetensors")
        assert torch.allclose(self.run_pipe(pipe), output, atol=1e-3, rtol=1e-3)
'''
