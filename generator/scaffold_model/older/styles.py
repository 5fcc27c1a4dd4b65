"""The styles of tests that older checkouts have, as data, and the helpers that their test bases do not have yet."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import replace

import libcst as cst
import libcst.matchers as m

from .nodes import spaced, statements
from .tests import Style

_OUTPUT = "self.run_pipe(self.get_pipeline().to(torch_device))"

_INPUTS = '{**self.get_dummy_inputs(torch_device), "output_type": "pt"}'

_GET_PIPELINE = """
def get_pipeline(self, **components):
    pipe = self.pipeline_class(**(components or self.get_dummy_components()))
    for component in pipe.components.values():
        if hasattr(component, "eval"):
            component.eval()
    pipe.set_progress_bar_config(disable=None)
    return pipe
"""

#: `ModelTesterMixin` of `tests/models/test_modeling_common.py`.
MODEL_UNITTEST = Style(
    config="BaseModelTesterConfig",
    module="..test_modeling_common",
    mixins=("ModelTesterMixin", "TorchCompileTesterMixin"),
    apart=("TorchCompileTesterMixin",),
    unittest=True,
    ending="Tests",
    settings="""
uses_custom_attn_processor = True
torch_dtype = torch.float32

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
""",
    fixtures={"base_model_output": "self.get_base_model_output()"},
)

#: The same with the mixin for slicing and tiling, of `tests/models/autoencoders/testing_utils.py`.
AUTOENCODER_UNITTEST = replace(MODEL_UNITTEST, mixins=("ModelTesterMixin", "AutoencoderTesterMixin"), apart=())

#: `PipelineTesterMixin` of `tests/pipelines/test_pipelines_common.py`.
PIPELINE_UNITTEST = Style(
    config="BasePipelineTesterConfig",
    module="..test_pipelines_common",
    mixins=("PipelineTesterMixin",),
    unittest=True,
    ending="FastTests",
    renamed={
        "required_input_params_in_call_signature": "params",
        "batch_input_params": "batch_params",
        "optional_input_params": "required_optional_params",
        "output_shape": None,
    },
    settings=f"""
test_xformers_attention = False
test_layerwise_casting = True
test_group_offloading = True

def get_generator(self, seed=0):
    return torch.Generator("cpu").manual_seed(seed)

{_GET_PIPELINE}

def run_pipe(self, pipe, **extra_inputs):
    inputs = {{**self.get_dummy_inputs(torch_device), "output_type": "pt", **extra_inputs}}
    torch.manual_seed(0)
    return pipe(**inputs)[0]
""",
    fixtures={"base_pipe_output": _OUTPUT},
    inputs=_INPUTS,
)

#: `ModularPipelineTesterMixin` of `tests/modular_pipelines/test_modular_pipelines_common.py`, for pytest.
MODULAR_COMMON = Style(
    config="BaseModularPipelineTesterConfig",
    module="..test_modular_pipelines_common",
    mixins=("ModularPipelineTesterMixin", "ModularGuiderTesterMixin"),
    helpers="""
@pytest.fixture(scope="class")
def base_pipe_output(self):
    return self.get_pipeline().to(torch_device)(**self.get_dummy_inputs(), output=self.output_name)
""",
    output="images",
    other_output="""
@pytest.mark.skip(reason="The common test is for images.")
def test_num_images_per_prompt(self):
    pass
""",
)

#: The same of an earlier day, for `unittest`.
MODULAR_UNITTEST = Style(
    config="BaseModularPipelineTesterConfig",
    module="..test_modular_pipelines_common",
    mixins=("ModularPipelineTesterMixin",),
    unittest=True,
    ending="Tests",
    renamed={"expected_workflow_blocks": None},
    settings="""
output_name = "images"

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
""",
    fixtures={"base_pipe_output": f"self.get_pipeline().to(torch_device)(**{_INPUTS}, output=self.output_name)"},
    inputs=_INPUTS,
    output="images",
)

#: What the settings of a test define themselves where the base that they derive from does not: helper, base, code.
HELPERS: dict[str, tuple[str, str]] = {
    "model_torch_dtype": (
        "BaseModelTesterConfig",
        """
@property
def torch_dtype(self) -> torch.dtype:
    return torch.float32
""",
    ),
    "base_model_output": (
        "BaseModelTesterConfig",
        """
@pytest.fixture(scope="class")
def base_model_output(self):
    torch.manual_seed(0)
    model = self.model_class(**self.get_init_dict()).eval().to(torch_device)
    with torch.no_grad():
        return model(**self.get_dummy_inputs(), return_dict=False)[0]
""",
    ),
    "run_pipe": (
        "BasePipelineTesterConfig",
        """
def run_pipe(self, pipe, **extra_inputs):
    inputs = {**self.get_dummy_inputs(), **extra_inputs}
    torch.manual_seed(0)
    return pipe(**inputs)[0]
""",
    ),
}


#: The older styles by folder of the tests and answer.
STYLES: dict[tuple[str, str], Style] = {
    ("tests/models/", "unittest"): MODEL_UNITTEST,
    ("tests/models/autoencoders/", "unittest"): AUTOENCODER_UNITTEST,
    ("tests/pipelines/", "unittest"): PIPELINE_UNITTEST,
    ("tests/modular_pipelines/", "common"): MODULAR_COMMON,
    ("tests/modular_pipelines/", "unittest"): MODULAR_UNITTEST,
}


def with_helpers(text: str, missing: Collection[str]) -> str:
    """A test file whose settings define the helpers that are missing; those that it does not use are left out."""
    for name in [helper for helper in HELPERS if helper in missing]:
        base, code = HELPERS[name]
        defined = cst.ensure_type(statements(code)[0], cst.FunctionDef)
        if defined.name.value in text:
            text = cst.parse_module(text).visit(_Helper(base, defined)).code
    if "pipeline_output_shape" in missing and "self.output_shape" not in text:
        text = cst.parse_module(text).visit(_NoOutputShape()).code
    return text


def with_new_autoencoder_mixin(text: str) -> str:
    """A test file that takes the mixin for slicing and tiling by the name that it had beside its predecessor."""
    return re.sub(r"\bAutoencoderTesterMixin\b", "NewAutoencoderTesterMixin", text)


def without_assert_tensors_close(text: str) -> str:
    """A test file that compares tensors with what torch has."""
    return cst.parse_module(text).visit(_TorchTesting()).code


class _Helper(cst.CSTTransformer):
    def __init__(self, base: str, function: cst.FunctionDef) -> None:
        super().__init__()
        self._base, self._function = base, function

    def leave_ClassDef(self, original_node: cst.ClassDef, updated_node: cst.ClassDef) -> cst.ClassDef:
        if all(getattr(argument.value, "value", None) != self._base for argument in updated_node.bases):
            return updated_node
        body = [*updated_node.body.body, spaced(self._function)]
        return updated_node.with_changes(body=updated_node.body.with_changes(body=body))


class _NoOutputShape(m.MatcherDecoratableTransformer):
    """The settings of a pipeline test whose base does not check the shape of the output."""

    @m.call_if_inside(m.ClassDef(bases=[m.Arg(m.Name("BasePipelineTesterConfig"))]))
    @m.leave(m.SimpleStatementLine(body=[m.Assign(targets=[m.AssignTarget(m.Name("output_shape"))])]))
    def _shape(
        self, original_node: cst.SimpleStatementLine, updated_node: cst.SimpleStatementLine
    ) -> cst.RemovalSentinel:
        return cst.RemoveFromParent()


class _TorchTesting(m.MatcherDecoratableTransformer):
    @m.leave(m.Call(func=m.Name("assert_tensors_close")))
    def _assertion(self, original_node: cst.Call, updated_node: cst.Call) -> cst.Call:
        # torch wants both tolerances or none; this is the other default of `assert_tensors_close`.
        named = {
            one.keyword.value: one.with_changes(comma=cst.MaybeSentinel.DEFAULT)
            for one in updated_node.args
            if one.keyword
        }
        plain = [one for one in updated_node.args if one.keyword is None]
        both = {name: named[name] for name in named if name != "msg"}
        if "atol" in both and "rtol" not in both:
            both["rtol"] = both["atol"].with_changes(keyword=cst.Name("rtol"), value=cst.Float("1e-5"))
        arguments = [*plain, *both.values(), *(named[name] for name in named if name == "msg")]
        return cst.Call(cst.parse_expression("torch.testing.assert_close"), arguments)
