"""Today's tests in the styles of older checkouts, as whole texts."""

from __future__ import annotations

from scaffold_model.older.styles import (
    AUTOENCODER_UNITTEST,
    MODEL_UNITTEST,
    MODULAR_COMMON,
    MODULAR_UNITTEST,
    PIPELINE_UNITTEST,
    with_helpers,
    with_new_autoencoder_mixin,
    without_assert_tensors_close,
)
from scaffold_model.older.tests import Style, restyled

MODEL = """\
import pytest
import torch

from diffusers import FooModel

from ...testing_utils import torch_device
from ..testing_utils import BaseModelTesterConfig, MemoryTesterMixin, ModelTesterMixin, TorchCompileTesterMixin


class FooTesterConfig(BaseModelTesterConfig):
    @property
    def model_class(self):
        return FooModel

    def get_dummy_inputs(self, height=8, width=8):
        return {"x": torch.zeros(1, 4, height, width, dtype=self.torch_dtype)}


class TestFoo(FooTesterConfig, ModelTesterMixin):
    @torch.no_grad()
    @pytest.mark.parametrize("name", ["x", "y"])
    def test_depends_on(self, base_model_output, name):
        assert name
        assert base_model_output is not None


class TestFooMemory(FooTesterConfig, MemoryTesterMixin):
    pass


class TestFooCompile(FooTesterConfig, TorchCompileTesterMixin):
    @property
    def different_shapes_for_compilation(self):
        return [(4, 4)]


class TestFooTraining(FooTesterConfig, TrainingTesterMixin):
    def test_gradient_checkpointing_is_applied(self):
        super().test_gradient_checkpointing_is_applied(expected_set={"FooModel"})
"""

MODEL_OLDER = """\
import unittest
import pytest
import torch

from diffusers import FooModel

from ...testing_utils import torch_device
from ..test_modeling_common import ModelTesterMixin, TorchCompileTesterMixin


class FooTesterConfig:
    uses_custom_attn_processor = True
    torch_dtype = torch.float32

    @property
    def model_class(self):
        return FooModel

    def get_dummy_inputs(self, height=8, width=8):
        return {"x": torch.zeros(1, 4, height, width, dtype=self.torch_dtype)}

    @property
    def dummy_input(self):
        return self.get_dummy_inputs()

    def prepare_init_args_and_inputs_for_common(self):
        return self.get_init_dict(), self.get_dummy_inputs()

    def prepare_dummy_input(self, height, width):
        return self.get_dummy_inputs(height=height, width=width)

    def get_base_model_output(self):
        torch.manual_seed(0)
        model = self.model_class(**self.get_init_dict()).eval().to(torch_device)
        with torch.no_grad():
            return model(**self.get_dummy_inputs(), return_dict=False)[0]


class FooTests(FooTesterConfig, ModelTesterMixin, unittest.TestCase):
    @torch.no_grad()
    def test_depends_on(self):
        base_model_output = self.get_base_model_output()
        for name in ["x", "y"]:
            with self.subTest(name=name):
                assert name
                assert base_model_output is not None

    def test_gradient_checkpointing_is_applied(self):
        super().test_gradient_checkpointing_is_applied(expected_set={"FooModel"})


class FooCompileTests(FooTesterConfig, TorchCompileTesterMixin, unittest.TestCase):
    @property
    def different_shapes_for_compilation(self):
        return [(4, 4)]
"""

PIPELINE = """\
import pytest
import torch

from ...testing_utils import torch_device
from ..pipeline_params import TEXT_TO_IMAGE_BATCH_PARAMS, TEXT_TO_IMAGE_PARAMS
from ..testing_utils import BasePipelineTesterConfig, MemoryTesterMixin, PipelineTesterMixin


class FooPipelineTesterConfig(BasePipelineTesterConfig):
    pipeline_class = FooPipeline
    required_input_params_in_call_signature = TEXT_TO_IMAGE_PARAMS
    batch_input_params = TEXT_TO_IMAGE_BATCH_PARAMS
    output_shape = (3, 16, 16)

    def get_dummy_inputs(self):
        return {"generator": self.get_generator(0), "image": image.to(torch_device), "output_type": "pt"}


class TestFooPipeline(FooPipelineTesterConfig, PipelineTesterMixin):
    def test_prompts(self, base_pipe_output):
        output = self.run_pipe(self.get_pipeline(), prompt="another")
        assert (output - base_pipe_output).abs().max() > 1e-4

    @pytest.mark.parametrize(("inputs", "message"), [({"height": 17}, "divisible")])
    def test_invalid_inputs(self, inputs, message):
        with pytest.raises(ValueError, match=message):
            self.get_pipeline()(**{**self.get_dummy_inputs(), **inputs})


class TestFooPipelineMemory(FooPipelineTesterConfig, MemoryTesterMixin):
    pass
"""

PIPELINE_OLDER = """\
import unittest
import pytest
import torch

from ...testing_utils import torch_device
from ..pipeline_params import TEXT_TO_IMAGE_BATCH_PARAMS, TEXT_TO_IMAGE_PARAMS
from ..test_pipelines_common import PipelineTesterMixin


class FooPipelineTesterConfig:
    pipeline_class = FooPipeline
    params = TEXT_TO_IMAGE_PARAMS
    batch_params = TEXT_TO_IMAGE_BATCH_PARAMS
    test_xformers_attention = False
    test_layerwise_casting = True
    test_group_offloading = True

    def get_dummy_inputs(self, device, seed = 0):
        return {"generator": self.get_generator(seed), "image": image.to(device), "output_type": "np"}

    def get_generator(self, seed=0):
        return torch.Generator("cpu").manual_seed(seed)

    def get_pipeline(self, **components):
        pipe = self.pipeline_class(**(components or self.get_dummy_components()))
        for component in pipe.components.values():
            if hasattr(component, "eval"):
                component.eval()
        pipe.set_progress_bar_config(disable=None)
        return pipe

    def run_pipe(self, pipe, **extra_inputs):
        inputs = {**self.get_dummy_inputs(torch_device), "output_type": "pt", **extra_inputs}
        torch.manual_seed(0)
        return pipe(**inputs)[0]


class FooPipelineFastTests(FooPipelineTesterConfig, PipelineTesterMixin, unittest.TestCase):
    def test_prompts(self):
        base_pipe_output = self.run_pipe(self.get_pipeline().to(torch_device))
        output = self.run_pipe(self.get_pipeline(), prompt="another")
        assert (output - base_pipe_output).abs().max() > 1e-4

    def test_invalid_inputs(self):
        for inputs, message in [({"height": 17}, "divisible")]:
            with self.subTest(inputs=inputs, message=message):
                with pytest.raises(ValueError, match=message):
                    self.get_pipeline()(**{**{**self.get_dummy_inputs(torch_device), "output_type": "pt"}, **inputs})
"""

MODULAR = """\
import torch

from ..testing_utils import (
    BaseModularPipelineTesterConfig,
    ModularGuiderTesterMixin,
    ModularPipelineTesterMixin,
    ModularWorkflowTesterMixin,
)


FOO_WORKFLOWS = {
    "text2image": [],
}


class FooModularPipelineTesterConfig(BaseModularPipelineTesterConfig):
    pipeline_class = FooModularPipeline
    expected_workflow_blocks = FOO_WORKFLOWS

    def get_dummy_inputs(self, seed=0):
        return {"generator": self.get_generator(seed), "output_type": "pt"}


class TestFooModularPipelineFast(FooModularPipelineTesterConfig, ModularPipelineTesterMixin):
    pass


class TestFooModularPipelineWorkflow(FooModularPipelineTesterConfig, ModularWorkflowTesterMixin):
    pass


class TestFooModularPipelineGuider(FooModularPipelineTesterConfig, ModularGuiderTesterMixin):
    def test_repeats(self):
        pipe = self.get_pipeline()
        assert pipe(**self.get_dummy_inputs()).max() < 1
"""

MODULAR_OLDER = """\
import torch

from ..test_modular_pipelines_common import ModularPipelineTesterMixin, ModularGuiderTesterMixin


FOO_WORKFLOWS = {
    "text2image": [],
}


class FooModularPipelineTesterConfig:
    pipeline_class = FooModularPipeline
    expected_workflow_blocks = FOO_WORKFLOWS

    def get_dummy_inputs(self, seed=0):
        return {"generator": self.get_generator(seed), "output_type": "pt"}


class TestFooModularPipelineFast(FooModularPipelineTesterConfig, ModularPipelineTesterMixin, ModularGuiderTesterMixin):
    def test_repeats(self):
        pipe = self.get_pipeline()
        assert pipe(**self.get_dummy_inputs()).max() < 1
"""

MODULAR_OLDEST = """\
import unittest
import torch

from ..test_modular_pipelines_common import ModularPipelineTesterMixin


class FooModularPipelineTesterConfig:
    pipeline_class = FooModularPipeline
    output_name = "images"

    def get_dummy_inputs(self, device, seed = 0):
        return {"generator": self.get_generator(seed), "output_type": "np"}

    @property
    def repo(self):
        return self.pretrained_model_name_or_path

    def get_generator(self, seed=0):
        return torch.Generator("cpu").manual_seed(seed)

    def get_pipeline(self, components_manager=None, torch_dtype=torch.float32):
        pipeline = self.pipeline_blocks_class().init_pipeline(
            self.pretrained_model_name_or_path, components_manager=components_manager
        )
        pipeline.load_components(torch_dtype=torch_dtype)
        pipeline.set_progress_bar_config(disable=None)
        return pipeline


class FooModularPipelineFastTests(FooModularPipelineTesterConfig, ModularPipelineTesterMixin, unittest.TestCase):
    def test_repeats(self):
        pipe = self.get_pipeline()
        assert pipe(**{**self.get_dummy_inputs(torch_device), "output_type": "pt"}).max() < 1
"""


def check(today: str, style: Style, older: str) -> None:
    assert restyled(today, style) == older
    assert restyled(older, style) == older


def test_model_tests_for_unittest() -> None:
    check(MODEL, MODEL_UNITTEST, MODEL_OLDER)


def test_pipeline_tests_for_unittest() -> None:
    check(PIPELINE, PIPELINE_UNITTEST, PIPELINE_OLDER)


def test_modular_tests_with_one_mixin() -> None:
    check(MODULAR, MODULAR_COMMON, MODULAR_OLDER)


def test_modular_tests_for_unittest() -> None:
    check(MODULAR, MODULAR_UNITTEST, MODULAR_OLDEST)


SHARED = '''\
import torch

from ..testing_utils import BaseModularPipelineTesterConfig, ModularLoadingTesterMixin, ModularPipelineTesterMixin


class FooModularPipelineTesterMixin(ModularPipelineTesterMixin):
    """What the tests of all workflows share."""

    def run_pipe(self, pipe, **changes):
        return pipe(**{**self.get_dummy_inputs(), **changes}, output=self.output_name)


class FooTesterConfig(BaseModularPipelineTesterConfig):
    output_name = "videos"


class TestFoo(FooTesterConfig, FooModularPipelineTesterMixin):
    pass


class TestFooLoading(FooTesterConfig, ModularLoadingTesterMixin):
    def test_save_from_pretrained(self, tmp_path, base_pipe_output):
        self.get_pipeline().save_pretrained(str(tmp_path))
        assert base_pipe_output is not None
'''


def test_a_mixin_of_the_models_own_and_the_fixtures_of_pytest() -> None:
    assert restyled(SHARED, MODULAR_COMMON) == (
        SHARED.replace(
            "from ..testing_utils import BaseModularPipelineTesterConfig, ModularLoadingTesterMixin, "
            "ModularPipelineTesterMixin",
            "from ..test_modular_pipelines_common import ModularPipelineTesterMixin",
        )
        .replace("FooTesterConfig(BaseModularPipelineTesterConfig):", "FooTesterConfig:")
        .replace(
            '    output_name = "videos"\n',
            '    output_name = "videos"\n'
            "\n"
            '    @pytest.fixture(scope="class")\n'
            "    def base_pipe_output(self):\n"
            "        return self.get_pipeline().to(torch_device)(**self.get_dummy_inputs(), output=self.output_name)\n"
            "\n"
            '    @pytest.mark.skip(reason="The common test is for images.")\n'
            "    def test_num_images_per_prompt(self):\n"
            "        pass\n",
        )
        .replace("    pass\n\n\nclass TestFooLoading(FooTesterConfig, ModularLoadingTesterMixin):\n", "")
    )


def test_an_output_that_the_older_mixin_can_not_look_at() -> None:
    inputs = '{**self.get_dummy_inputs(torch_device), "output_type": "pt"}'
    text = restyled(SHARED, MODULAR_UNITTEST)
    head, _, tests = text.partition("class FooTesterConfig:\n")
    assert head == (
        "import unittest\n"
        "import tempfile\n"
        "from pathlib import Path\n"
        "import torch\n"
        "\n\n"
        "class FooModularPipelineTesterMixin:\n"
        '    """What the tests of all workflows share."""\n'
        "\n"
        "    def run_pipe(self, pipe, **changes):\n"
        f"        return pipe(**{{**{inputs}, **changes}}, output=self.output_name)\n"
        "\n\n"
    )
    assert tests.partition("class FooTests")[2] == (
        "(FooTesterConfig, FooModularPipelineTesterMixin, unittest.TestCase):\n"
        "    def test_save_from_pretrained(self):\n"
        f"        base_pipe_output = self.get_pipeline().to(torch_device)(**{inputs}, output=self.output_name)\n"
        "        with tempfile.TemporaryDirectory() as folder:\n"
        "            tmp_path = Path(folder)\n"
        "            self.get_pipeline().save_pretrained(str(tmp_path))\n"
        "            assert base_pipe_output is not None\n"
    )


def test_a_setting_that_a_test_asks_for_stays() -> None:
    asking = PIPELINE.replace(
        "    def test_prompts(self, base_pipe_output):\n",
        "    def test_prompts(self, base_pipe_output):\n        print(self.output_shape)\n",
    )
    assert "    output_shape = (3, 16, 16)\n" in restyled(asking, PIPELINE_UNITTEST)
    assert with_helpers(asking, ["pipeline_output_shape"]) == asking


def test_autoencoders() -> None:
    text = (
        "import torch\n\n"
        "from ..testing_utils import BaseModelTesterConfig, ModelTesterMixin\n"
        "from .testing_utils import AutoencoderTesterMixin\n\n\n"
        "class FooTesterConfig(BaseModelTesterConfig):\n    main_input_name = 'sample'\n\n\n"
        "class TestFoo(FooTesterConfig, ModelTesterMixin):\n    pass\n\n\n"
        "class TestFooTiling(FooTesterConfig, AutoencoderTesterMixin):\n    pass\n"
    )
    older = restyled(text, AUTOENCODER_UNITTEST)
    assert older.startswith(
        "import unittest\nimport torch\n\n"
        "from ..test_modeling_common import ModelTesterMixin\n"
        "from .testing_utils import AutoencoderTesterMixin\n"
    )
    assert older.endswith(
        "class FooTests(FooTesterConfig, ModelTesterMixin, AutoencoderTesterMixin, unittest.TestCase):\n    pass\n"
    )
    assert with_new_autoencoder_mixin(text) == text.replace("AutoencoderTesterMixin", "NewAutoencoderTesterMixin")


def test_helpers_that_the_base_does_not_have_yet() -> None:
    assert with_helpers(PIPELINE, ["run_pipe", "pipeline_output_shape", "base_model_output"]) == PIPELINE.replace(
        "    output_shape = (3, 16, 16)\n", ""
    ).replace(
        '"output_type": "pt"}\n\n\nclass TestFooPipeline(',
        '"output_type": "pt"}\n'
        "\n"
        "    def run_pipe(self, pipe, **extra_inputs):\n"
        "        inputs = {**self.get_dummy_inputs(), **extra_inputs}\n"
        "        torch.manual_seed(0)\n"
        "        return pipe(**inputs)[0]\n"
        "\n\nclass TestFooPipeline(",
    )
    assert with_helpers(MODULAR, ["run_pipe", "model_torch_dtype"]) == MODULAR


def test_tensors_are_compared_with_what_torch_has() -> None:
    assert without_assert_tensors_close(
        'assert_tensors_close(a, b, atol=1e-4, msg="No.")\nassert_tensors_close(a, b)\n'
    ) == ('torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-5, msg="No.")\ntorch.testing.assert_close(a, b)\n')
