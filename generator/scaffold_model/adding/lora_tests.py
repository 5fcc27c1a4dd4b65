"""The LoRA test of a model, in the style of the checkout.

Today it is a class more beside the tests of pipeline and transformer, which gives their settings to the house's LoRA
tests. Before that it was a file of its own in ``tests/lora``. Both take their components from the pipeline's own tests, so
that the two never differ.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from ..code.definitions import remove_definition
from ..code.splice import with_import, without_import
from ..code.syntax import parse
from ..snapshot import Snapshot
from .found import Found
from .lora_test_texts import FILE, LICENSE, MODULAR_FILE, SKIP

LORA_TESTS = "tests/lora"
_HOUSE = "tests/pipelines/testing_utils/lora.py"
_MODEL_HOUSE = "tests/models/testing_utils/lora.py"
_HELPERS = "..testing_utils"
_MIXINS = {"pipeline": ("LoraTesterMixin", "LoraMemoryTesterMixin"), "transformer": ("LoraTesterMixin",)}
#: What the layers of attention are called in most transformers.
TARGETS = ["to_q", "to_k", "to_v", "to_out.0"]
#: Tests of the older mixin that look for what only a UNet has, or for adapters of a text encoder.
_OF_UNETS = (
    "test_simple_inference_with_text_denoiser_block_scale",
    "test_simple_inference_with_text_denoiser_block_scale_for_all_dict_options",
    "test_modify_padding_mode",
)
_OF_TEXT_ENCODERS = (
    "test_simple_inference_with_partial_text_lora",
    "test_simple_inference_with_text_lora",
    "test_simple_inference_with_text_lora_and_scale",
    "test_simple_inference_with_text_lora_fused",
    "test_simple_inference_with_text_lora_save_load",
)


@dataclass(frozen=True)
class LoraTests:
    """What the test is.

    Attributes:
        files: New and changed files: path -> text.
        classes: The classes that were added to files which were there, by path.
        missing: Why there is none, or nothing.
    """

    files: dict[str, str]
    classes: dict[str, tuple[str, ...]]
    missing: str = ""


def lora_tests(snapshot: Snapshot, found: Found, year: str) -> LoraTests:
    """The LoRA test of a model; no files where it has one.

    Args:
        snapshot: The checkout, with the mixin in it.
        found: The model.
        year: The year of a new file's copyright.
    """
    if not found.pipelines and snapshot.files(LORA_TESTS):
        return _modular(snapshot, found, year)
    if snapshot.exists(_HOUSE):
        return _today(snapshot, found)
    if snapshot.exists(f"{LORA_TESTS}/utils.py"):
        return _before(snapshot, found, year)
    return LoraTests({}, {}, "this checkout has no LoRA tests to go by")


def without_lora_tests(text: str, classes: Iterable[str]) -> str:
    """A test file without the classes that were added to it, and without their imports: as it was before."""
    for name in classes:
        text = remove_definition(text, name)
    for mixin in dict.fromkeys(mixin for mixins in _MIXINS.values() for mixin in mixins):
        text = without_import(text, _HELPERS, mixin)
    return text.rstrip("\n") + "\n"


def _modular(snapshot: Snapshot, found: Found, year: str) -> LoraTests:
    """A file in ``tests/lora``: the house's LoRA tests are made for standard pipelines, which this model has none of."""
    path = _path(found)
    names = [each.name for each in found.modular]
    beside = (
        _beside(snapshot, [*_model_tests(snapshot, found)][:1], found)
        if snapshot.exists(_HOUSE)
        else LoraTests({}, {})
    )
    if snapshot.exists(path):
        return beside
    for test in snapshot.walk("tests/modular_pipelines"):
        settings = {node.name: node for node in _classes(snapshot, test)}
        for node in settings.values():
            chain = [*_chain(settings, node.name)]
            bases = {base for each in chain for base in _bases(each)}
            runs = node.name.startswith("Test") and "ModularPipelineTesterMixin" in bases
            if runs and any(_setting(each, "pipeline_class") in names for each in chain):
                text = MODULAR_FILE.format(
                    **_places(snapshot, test),
                    license=LICENSE.format(year=year),
                    prefix=found.prefix,
                    title=found.title,
                    tests=node.name,
                    targets=_shown(target_modules(snapshot, found) or TARGETS),
                )
                return LoraTests({path: text, **beside.files}, beside.classes)
    return replace(beside, missing=f"no modular test of {found.name} has settings that it could go by")


def _chain(classes: Mapping[str, ast.ClassDef], name: str) -> Iterator[ast.ClassDef]:
    """A class of a test, and those of the same file that it inherits from."""
    if name in classes:
        yield classes[name]
        for base in _bases(classes[name]):
            yield from _chain(classes, base)


def _path(found: Found) -> str:
    """The file of ``tests/lora``: called like the model, or like its mixin where that is called otherwise."""
    plain, called = found.name.replace("_", ""), found.prefix.lower()
    stem = called if called != plain and called.startswith(plain) else found.name
    return f"{LORA_TESTS}/test_lora_layers_{stem}.py"


def _places(snapshot: Snapshot, test: str) -> dict[str, str]:
    """Where a file of ``tests/lora`` finds the tests of a pipeline, and the helpers of all tests."""
    package, _, module = test.split("/", 2)[2].removesuffix(".py").replace("/", ".").rpartition(".")
    helpers = "is_peft_available, require_peft_backend, torch_device"
    beside = snapshot.exists("tests/testing_utils.py")
    return {
        "package": package,
        "module": module,
        "helpers": "" if beside else f"from diffusers.utils.testing_utils import {helpers}\n",
        "own_helpers": f"from ..testing_utils import {helpers}\n" if beside else "",
    }


def _today(snapshot: Snapshot, found: Found) -> LoraTests:
    """A class beside the tests of the first pipeline, and one beside those of the transformer."""
    places = [*_pipeline_tests(snapshot, found)][:1] + [*_model_tests(snapshot, found)][:1]
    if not places:
        return LoraTests({}, {}, f"no test of {found.name} has settings that the LoRA tests could go by")
    return _beside(snapshot, places, found)


def _beside(snapshot: Snapshot, places: Iterable[tuple[str, str, str]], found: Found) -> LoraTests:
    """Test files with the house's LoRA tests for the settings in them: path, class of settings, what it is about."""
    files: dict[str, str] = {}
    classes: dict[str, tuple[str, ...]] = {}
    for path, config, what in places:
        text = (snapshot.read(path) or "").replace("\r\n", "\n")
        if "LoraTesterMixin" in text:
            continue
        stem = config.removesuffix("TesterConfig").removesuffix("Config")
        added = []
        for mixin in _MIXINS[what]:
            name = f"Test{stem}LoRA{'Memory' if 'Memory' in mixin else ''}"
            about = "LoRA tests with offloading and layerwise casting" if "Memory" in mixin else "LoRA tests"
            text = with_import(text, _HELPERS, mixin).rstrip("\n")
            text += f'\n\n\nclass {name}({config}, {mixin}):\n    """{about} for the {found.title} {what}."""\n'
            targets = target_modules(snapshot, found)
            if targets and what == "pipeline":
                text += f'\n    denoiser_target_modules = {{"transformer": {_shown(targets)}}}\n'
            added.append(name)
        files[path] = text
        classes[path] = tuple(added)
    return LoraTests(files, classes)


def _pipeline_tests(snapshot: Snapshot, found: Found) -> Iterator[tuple[str, str, str]]:
    """The settings of the pipelines' tests: path, class, what it is about. The pipeline with the plain name first."""
    for pipeline in sorted(found.pipelines, key=lambda each: len(each.name)):
        for path in _tests_of(snapshot, found):
            yield from (
                (path, node.name, "pipeline")
                for node in _classes(snapshot, path)
                if "BasePipelineTesterConfig" in _bases(node) and _setting(node, "pipeline_class") == pipeline.name
            )


def _model_tests(snapshot: Snapshot, found: Found) -> Iterator[tuple[str, str, str]]:
    """The settings of the transformer's tests, where the house has LoRA tests of models."""
    for path in snapshot.walk("tests/models") if snapshot.exists(_MODEL_HOUSE) else ():
        if found.model.name in (snapshot.read(path) or ""):
            for node in _classes(snapshot, path):
                if "BaseModelTesterConfig" in _bases(node) and found.model.name in ast.unparse(node):
                    yield path, node.name, "transformer"


def _tests_of(snapshot: Snapshot, found: Found) -> list[str]:
    """The tests of the packages that the pipelines are in, whatever the folder of the tests is called."""
    names = [each.name for each in found.pipelines]
    return [
        path
        for path in snapshot.walk("tests/pipelines")
        if any(re.search(rf"\bpipeline_class = {name}\b", snapshot.read(path) or "") for name in names)
    ]


def _classes(snapshot: Snapshot, path: str) -> list[ast.ClassDef]:
    text = (snapshot.read(path) or "").replace("\r\n", "\n")
    try:
        return [node for node in parse(text).body if isinstance(node, ast.ClassDef)]
    except SyntaxError:
        # Somebody else's test, or one in the making: there is nothing to go by.
        return []


def _bases(node: ast.ClassDef) -> list[str]:
    return [ast.unparse(base) for base in node.bases]


def _setting(node: ast.ClassDef, name: str) -> str | None:
    for each in node.body:
        if isinstance(each, ast.Assign) and ast.unparse(each.targets[0]) == name:
            return ast.unparse(each.value)
    return None


def target_modules(snapshot: Snapshot, found: Found) -> list[str]:
    """The layers of the transformer's attention, where they are not called as the house's tests expect."""
    text = snapshot.read(found.model.path) or ""
    if "to_q" in text or re.search(r"\bAttention\(", text):
        return []
    names = re.findall(r"self\.(\w+) = (?:nn\.|torch\.nn\.)?Linear\(", text)
    return list(dict.fromkeys(name for name in names if re.search(r"(?:^|_)(?:q|k|v|qkv|kv|o|out)(?:_|$)", name)))


def _shown(names: list[str]) -> str:
    return "[" + ", ".join(f'"{name}"' for name in names) + "]"


def _before(snapshot: Snapshot, found: Found, year: str) -> LoraTests:
    """A file in ``tests/lora`` that asks the pipeline's tests for components and inputs."""
    path = _path(found)
    same = [
        other
        for other in snapshot.walk(LORA_TESTS)
        if f"pipeline_class = {found.prefix}" in (snapshot.read(other) or "")
    ]
    if same or snapshot.exists(path):
        return LoraTests({}, {})
    for pipeline in sorted(found.pipelines, key=lambda each: len(each.name)):
        for test in _tests_of(snapshot, found):
            for node in _classes(snapshot, test):
                methods = {each.name: each for each in node.body if isinstance(each, ast.FunctionDef)}
                if _setting(node, "pipeline_class") == pipeline.name and "get_dummy_components" in methods:
                    inputs = methods.get("get_dummy_inputs")
                    text = _file(snapshot, found, pipeline.name, test, node.name, inputs, year)
                    return LoraTests({path: text}, {})
    return LoraTests({}, {}, f"no pipeline test of {found.name} has the tiny components that it is made of")


def _file(
    snapshot: Snapshot, found: Found, pipeline: str, test: str, tests: str, inputs: ast.FunctionDef | None, year: str
) -> str:
    utils = snapshot.read(f"{LORA_TESTS}/utils.py") or ""
    source = snapshot.read(test) or ""
    schedulers = re.findall(r"\b(\w+Scheduler)\(", source)
    scheduler = schedulers[0] if schedulers else "FlowMatchEulerDiscreteScheduler"
    knows = "supports_text_encoder_loras" in utils
    skipped = [(name, f"Not supported in {found.title}.") for name in _OF_UNETS]
    if not knows:
        skipped += [(name, f"Text encoder LoRA is not supported in {found.title}.") for name in _OF_TEXT_ENCODERS]
    return FILE.format(
        license=LICENSE.format(year=year),
        names=", ".join(sorted({scheduler, pipeline, found.model.name})),
        **_places(snapshot, test),
        prefix=found.prefix,
        pipeline=pipeline,
        scheduler=scheduler,
        classes=f"    scheduler_classes = [{scheduler}]\n" if "scheduler_classes" in utils else "",
        model=found.model.name,
        settings=(
            "    # The mixin loads layers into the transformer alone.\n    supports_text_encoder_loras = False\n"
            if knows
            else ""
        ),
        tests=tests,
        targets=_shown(target_modules(snapshot, found) or TARGETS),
        device="torch_device" if inputs and len(inputs.args.args) > 1 else "",
        skipped="".join(SKIP.format(name=name, reason=reason) for name, reason in skipped if f"def {name}(" in utils),
    )
