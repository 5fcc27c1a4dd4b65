"""The conventions of a checkout, each with the file that it was read from: what ``scaffold-model conventions`` shows.

Seen by the shape of files and never by a version. `conventions.detect` holds those that the registries ask for.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from .code import toc
from .conventions import MODULAR, PYPROJECT, TOCTREE, detect
from .questions import LACKS
from .snapshot import Snapshot

SOURCES = "src/diffusers"
_MODEL_TESTS = "tests/models/testing_utils/__init__.py"
_PIPELINE_TESTS = "tests/pipelines/testing_utils/common.py"
_OLD_PIPELINE_TESTS = "tests/pipelines/test_pipelines_common.py"
_MODULAR_TESTS = "tests/modular_pipelines/testing_utils"
_OLD_MODULAR_TESTS = "tests/modular_pipelines/test_modular_pipelines_common.py"
_AUTOENCODER_TESTS = "tests/models/autoencoders/testing_utils.py"
_NEW_AUTOENCODER_MIXIN = "class NewAutoencoderTesterMixin"
_OLD_INPUTS = "prepare_init_args_and_inputs_for_common"
_LORA_TESTS = "tests/pipelines/testing_utils/lora.py"

#: What the generated tests ask of the house's test bases: the file, the word in it that shows it, and what it is.
_TEST_HELPERS = {
    "model_torch_dtype": (
        "tests/models/testing_utils/common.py",
        "def torch_dtype(",
        "settings of model tests have a torch_dtype",
    ),
    "base_model_output": (
        "tests/models/testing_utils/common.py",
        "def base_model_output(",
        "model tests compare with the fixture base_model_output",
    ),
    "pipeline_output_shape": (_PIPELINE_TESTS, "def output_shape(", "settings of pipeline tests have an output_shape"),
    "run_pipe": (_PIPELINE_TESTS, "def run_pipe(", "pipeline tests run self.run_pipe(pipe, ...)"),
    "assert_tensors_close": (
        "tests/testing_utils.py",
        "def assert_tensors_close(",
        "tests compare with assert_tensors_close",
    ),
}

Value = bool | int | str | tuple[str, ...]


@dataclass(frozen=True)
class Convention:
    """One convention.

    Attributes:
        name: What it is about.
        value: What this checkout does.
        path: The file or folder that says so; it may be absent, which then says it.
        meaning: The convention in words.
    """

    name: str
    value: Value
    path: str
    meaning: str


def stored_conventions(snapshot: Snapshot) -> dict[str, str | tuple[str, ...]]:
    """Those that change a rendered file, by question of the template.

    Released sources have no ``setup.py``, scripts or tests: what those would say is not said, and does not count as lacking.
    """
    found = {one.name: one for one in conventions(snapshot)}
    said = {
        name
        for name, one in found.items()
        if one.path.startswith(SOURCES)
        or snapshot.exists(one.path)
        or ("/" in one.path and snapshot.files(one.path.rpartition("/")[0]))
    }
    return {
        "tests": str(found["model_tests"].value),
        "pipeline_tests": str(found["pipeline_tests"].value),
        "modular_tests": str(found["modular_tests"].value),
        "lacks": tuple(name for name in LACKS if name in said and found[name].value is False),
    }


def conventions(snapshot: Snapshot) -> tuple[Convention, ...]:
    """All conventions of a checkout."""
    found = detect(snapshot)
    read = _reader(snapshot)
    flux = f"{SOURCES}/models/transformers/transformer_flux.py"
    peft = f"{SOURCES}/utils/peft_utils.py"
    loading = f"{SOURCES}/models/modeling_utils.py"
    tiling = f"{SOURCES}/models/autoencoders/autoencoder_kl_hunyuanvideo15.py"
    autoencoders = read(_AUTOENCODER_TESTS)
    parameters = f"{SOURCES}/modular_pipelines/modular_pipeline_utils.py"
    return (
        Convention("line_length", found.line_length, PYPROJECT, "the longest line that the formatter leaves alone"),
        Convention("union_hints", _union_hints(read("setup.py")), "setup.py", "an optional type is `X | None`"),
        Convention("models_layout", found.models_layout, f"{SOURCES}/models", "the packages below models/"),
        Convention(
            "attention_dispatch",
            snapshot.exists(f"{SOURCES}/models/attention_dispatch.py"),
            f"{SOURCES}/models/attention_dispatch.py",
            "processors call dispatch_attention_fn",
        ),
        Convention(
            "parallel_config",
            "_parallel_config" in read(flux),
            flux,
            "processors have a _parallel_config, for _cp_plan",
        ),
        Convention(
            "video_tiling",
            "class AutoencoderKLHunyuanVideo15(" in read(tiling),
            tiling,
            "a new autoencoder of videos copies its tiling from AutoencoderKLHunyuanVideo15",
        ),
        Convention(
            "lora_scale_decorator", "def apply_lora_scale" in read(peft), peft, "forward has @apply_lora_scale"
        ),
        Convention("modular", found.modular, MODULAR, "there are modular pipelines"),
        Convention("default_map", found.default_map, MODULAR, "values of the mapping are _create_default_map_fn(...)"),
        Convention("blocks_mapping", found.blocks_mapping, MODULAR, "there is a MODULAR_PIPELINE_BLOCKS_MAPPING too"),
        Convention(
            "workflow_map",
            "    _workflow_map = None" in read(MODULAR),
            MODULAR,
            "blocks name their workflows in _workflow_map",
        ),
        Convention(
            "parameter_templates",
            "INPUT_PARAM_TEMPLATES = {" in read(parameters),
            parameters,
            "parameters of blocks are InputParam.template(...)",
        ),
        Convention(
            "auto_docstrings",
            snapshot.exists("utils/modular_auto_docstring.py"),
            "utils/modular_auto_docstring.py",
            "docstrings of blocks are generated and checked",
        ),
        Convention(
            "forward_docstrings",
            snapshot.exists("utils/check_forward_call_docstrings.py"),
            "utils/check_forward_call_docstrings.py",
            "every argument of forward and __call__ is documented",
        ),
        Convention(
            "dtype_argument",
            'kwargs.pop("dtype"' in read(loading),
            loading,
            "docs and examples write dtype=, not torch_dtype=",
        ),
        Convention("toctree_sections", _sections(read(TOCTREE)), TOCTREE, "the sections of the pipelines' pages"),
        Convention("model_tests", *_model_tests(snapshot), "what a model test is made of"),
        Convention("pipeline_tests", *_pipeline_tests(snapshot, read), "what a pipeline test is made of"),
        Convention("modular_tests", *_modular_tests(snapshot), "what a modular test is made of"),
        Convention("lora_tests", *_lora_tests(snapshot), "where LoRA tests stand"),
        Convention(
            "autoencoder_config_tests",
            bool(autoencoders) and (_NEW_AUTOENCODER_MIXIN in autoencoders or _OLD_INPUTS not in autoencoders),
            _AUTOENCODER_TESTS,
            "tests of autoencoders are made as those of other models",
        ),
        Convention(
            "autoencoder_mixin_name",
            bool(autoencoders) and _NEW_AUTOENCODER_MIXIN not in autoencoders,
            _AUTOENCODER_TESTS,
            "slicing and tiling are tested by AutoencoderTesterMixin, not by a new one beside an old",
        ),
        *(
            Convention(name, word in read(path), path, meaning)
            for name, (path, word, meaning) in _TEST_HELPERS.items()
        ),
    )


def _reader(snapshot: Snapshot) -> Callable[[str], str]:
    return lambda path: snapshot.read(path) or ""


def _union_hints(setup: str) -> bool:
    """Whether the oldest Python that is supported knows ``X | None``."""
    match = re.search(r"python_requires=\">=3\.(\d+)", setup)
    return match is not None and int(match[1]) >= 10


def _first_with(snapshot: Snapshot, folder: str, word: str) -> str | None:
    """The first file below a folder that holds a word."""
    return next((path for path in snapshot.walk(folder) if word in (snapshot.read(path) or "")), None)


def _sections(toctree: str) -> tuple[str, ...]:
    pages = [item for item in toc.items(toctree) if item.local.startswith("api/pipelines/")]
    top = min((len(item.section) for item in pages), default=0)
    return tuple(dict.fromkeys(item.section[top] for item in pages if len(item.section) > top))


def _model_tests(snapshot: Snapshot) -> tuple[str, str]:
    if snapshot.exists(_MODEL_TESTS):
        return "mixins", _MODEL_TESTS
    old = "tests/models/test_modeling_common.py"
    return ("unittest" if snapshot.exists(old) else "none"), old


def _pipeline_tests(snapshot: Snapshot, read: Callable[[str], str]) -> tuple[str, str]:
    if "class BasePipelineTesterConfig" in read(_PIPELINE_TESTS):
        return "config", _PIPELINE_TESTS
    return ("unittest" if snapshot.exists(_OLD_PIPELINE_TESTS) else "none"), _OLD_PIPELINE_TESTS


def _modular_tests(snapshot: Snapshot) -> tuple[str, str]:
    found = _first_with(snapshot, _MODULAR_TESTS, "class BaseModularPipelineTesterConfig")
    if found:
        return "config", found
    old = snapshot.read(_OLD_MODULAR_TESTS)
    style = "none" if old is None else "unittest" if "\nimport unittest\n" in old else "common"
    return style, _OLD_MODULAR_TESTS


def _lora_tests(snapshot: Snapshot) -> tuple[str, str]:
    if snapshot.exists(_LORA_TESTS):
        return "pipelines", _LORA_TESTS
    return ("lora" if "lora" in snapshot.folders("tests") else "none"), "tests/lora"
