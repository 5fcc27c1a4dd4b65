from __future__ import annotations

from pathlib import Path

import pytest

from scaffold_model.discovery import Discovery, discover
from scaffold_model.plan import Export
from scaffold_model.snapshot import Snapshot

SRC = "src/diffusers"
TORCH = ("torch",)
BOTH = ("torch", "transformers")


def found(**files: str) -> Discovery:
    """What is discovered in a tree; ``__`` in a name stands for a slash, INIT for ``__init__``."""
    base = {
        f"{SRC}/__init__.py": "_import_structure = {}\n",
        f"{SRC}/models/modeling_utils.py": "class ModelMixin:\n    pass\n\n\nclass LegacyModel(ModelMixin):\n    pass\n",
    }
    tree = {f"{SRC}/{name.replace('__', '/').replace('INIT', '__init__')}.py": text for name, text in files.items()}
    return discover(Snapshot(None, {**base, **tree}))


def names(discovery: Discovery) -> list[str]:
    return [export.name for export in discovery.exports]


def test_models_by_their_bases_across_files() -> None:
    result = found(
        models__base_foo="from x import ModelMixin\nclass FooBase(\n    ModelMixin,\n    metaclass=M,\n):\n    pass\n",
        models__transformers__transformer_foo="class Foo2DModel(base_foo.FooBase, Other):\n    pass\n",
        models__other="class Helper(nn.Module):\n    pass\n",
    )
    assert result.exports == (
        Export("Foo2DModel", f"{SRC}/models/transformers/transformer_foo.py", "model", TORCH),
        Export("FooBase", f"{SRC}/models/base_foo.py", "model", TORCH),
    )


def test_private_classes_mixins_and_the_module_of_the_base_class_are_left_out() -> None:
    assert names(found(models__foo="class _Foo(ModelMixin):\n  pass\nclass FooMixin(ModelMixin):\n  pass\n")) == []


def test_a_class_that_its_folder_lists_and_the_root_does_not_is_held_back_unless_a_test_takes_it_from_the_root() -> (
    None
):
    files = {
        f"{SRC}/__init__.py": "_import_structure = {}\n",
        f"{SRC}/models/__init__.py": '_import_structure = {}\n_import_structure["foo"] = ["Foo"]\n',
        f"{SRC}/models/modeling_utils.py": "class ModelMixin:\n    pass\n",
        f"{SRC}/models/foo.py": "class Foo(ModelMixin):\n    pass\n",
    }
    assert names(discover(Snapshot(None, files))) == []
    test = {"tests/models/test_foo.py": "from diffusers import (\n    Bar,\n    Foo,\n)\n"}
    assert names(discover(Snapshot(None, {**files, **test}))) == ["Foo"]
    page = {"docs/source/en/api/models/foo.md": "# Foo\n\n[[autodoc]] Foo\n"}
    assert names(discover(Snapshot(None, {**files, **page}))) == ["Foo"]
    deep = {"docs/source/en/api/models/foo.md": "# Foo\n\n[[autodoc]] models.foo.Foo\n"}
    assert names(discover(Snapshot(None, {**files, **deep}))) == []


def test_a_scheduler_that_leads_to_torchsde_needs_it() -> None:
    result = found(
        schedulers__scheduling_bar="import torchsde\n\n\nclass BarScheduler(SchedulerMixin):\n    pass\n",
        schedulers__scheduling_foo="from .scheduling_bar import Bar\n\n\nclass FooScheduler(SchedulerMixin):\n    pass\n",
        schedulers__scheduling_qux="class QuxScheduler(SchedulerMixin):\n    pass\n",
    )
    assert {export.name: export.backends for export in result.exports} == {
        "BarScheduler": ("torch", "torchsde"),
        "FooScheduler": ("torch", "torchsde"),
        "QuxScheduler": TORCH,
    }


def test_a_pipeline_joins_the_group_of_its_package() -> None:
    result = found(
        pipelines__INIT=(
            "_import_structure = {}\n"
            "if is_torch_available() and is_transformers_available() and is_sentencepiece_available():\n"
            '    _import_structure["foo"] = ["FooPipeline"]\n'
        ),
        pipelines__foo__pipeline_foo_new="class FooNewPipeline(DiffusionPipeline):\n    pass\n",
        pipelines__bar__pipeline_bar="class BarPipeline(DiffusionPipeline):\n    pass\n",
    )
    assert {export.name: export.backends for export in result.exports} == {
        "BarPipeline": BOTH,
        "FooNewPipeline": ("torch", "transformers", "sentencepiece"),
    }


def test_modular_pipelines_with_the_blocks_that_they_name() -> None:
    result = found(
        modular_pipelines__modular_pipeline="class ModularPipelineBlocks:\n    pass\nclass ModularPipeline:\n    pass\n",
        modular_pipelines__foo__modular_pipeline=(
            'class FooModularPipeline(ModularPipeline):\n    default_blocks_name = "FooBlocks"\n'
        ),
        modular_pipelines__foo__blocks=(
            "class FooBlocks(SequentialPipelineBlocks):\n    pass\n"
            "class FooStep(ModularPipelineBlocks):\n    pass\n"
            "class FooOtherAutoBlocks(ModularPipelineBlocks):\n    pass\n"
        ),
    )
    assert [(export.name, export.kind, export.backends) for export in result.exports] == [
        ("FooBlocks", "blocks", BOTH),
        ("FooModularPipeline", "modular pipeline", BOTH),
        ("FooOtherAutoBlocks", "blocks", BOTH),
    ]


def test_lora_mixins() -> None:
    result = found(
        loaders__lora_base="class LoraBaseMixin:\n    pass\n",
        loaders__lora_pipeline="class FooLoraLoaderMixin(LoraBaseMixin):\n    pass\nclass Helper:\n    pass\n",
    )
    assert result.exports == (Export("FooLoraLoaderMixin", f"{SRC}/loaders/lora_pipeline.py", "LoRA mixin", BOTH),)


PIPELINE = """\
class FooPipeline(DiffusionPipeline):
    def __init__(
        self,
        head: FooHead | None = None,
    ):
        pass
"""


def test_a_component_is_for_its_package_and_what_nothing_decides_is_a_notice_with_the_reason() -> None:
    result = found(
        pipelines__foo__pipeline_foo=PIPELINE,
        pipelines__foo__head="class FooHead(ModelMixin):\n    pass\n",
        pipelines__foo__pipeline_output="class FooPipelineOutput(BaseOutput):\n    pass\n",
        pipelines__foo__INIT="",
    )
    assert names(result) == ["FooPipeline"]
    assert [export.name for export in result.components] == ["FooHead"]
    assert len(result.notices) == 2
    assert "head.py: FooHead is a ModelMixin inside pipelines/" in result.notices[0]
    assert "pipeline_output.py: FooPipelineOutput is an output class" in result.notices[1]


def test_hooks_with_a_config_are_exported_and_others_not() -> None:
    result = found(
        hooks__INIT="if is_torch_available():\n    from .foo import FooConfig, apply_foo\n    from .hooks import ModelHook\n"
    )
    assert names(result) == ["FooConfig", "apply_foo"]


def test_pages_that_the_table_of_contents_lacks() -> None:
    toctree = """\
- sections:
  - sections:
    - sections:
      - local: api/models/bar
        title: Bar2DModel
      title: Transformers
    - sections:
      - local: api/models/vae
        title: VAE
      title: VAEs
    title: Models
  - sections:
    - local: api/pipelines/overview
      title: Overview
    - sections:
      - local: api/pipelines/bar
        title: Bar
      title: Image
    - sections:
      - local: api/pipelines/tv
        title: TV
      title: Video
    title: Pipelines
  title: API
"""
    pages = {
        "docs/source/en/_toctree.yml": toctree,
        "docs/source/en/api/models/foo.md": "<!--\n# Licensed\n-->\n\n# Foo2DModel\n\n[[autodoc]] Foo2DModel\n",
        "docs/source/en/api/models/bar.md": "# Bar2DModel\n",
        "docs/source/en/api/pipelines/foo.md": "# Foo: Fast Films\n\n[[autodoc]] FooPipeline\n  - all\n",
        f"{SRC}/__init__.py": "_import_structure = {}\n",
        f"{SRC}/models/modeling_utils.py": "class ModelMixin:\n    pass\n",
        f"{SRC}/models/transformers/bar.py": "class Bar2DModel(ModelMixin):\n    pass\n",
        f"{SRC}/models/transformers/foo.py": "class Foo2DModel(ModelMixin):\n    pass\n",
        f"{SRC}/models/autoencoders/vae.py": "class VAE(ModelMixin):\n    pass\n",
        f"{SRC}/pipelines/foo/pipeline_foo.py": "from x import VideoProcessor\nclass FooPipeline(DiffusionPipeline):\n  pass\n",
    }
    assert [(page.local, page.title, page.section) for page in discover(Snapshot(None, pages)).pages] == [
        ("api/models/foo", "Foo2DModel", ("API", "Models", "Transformers")),
        ("api/pipelines/foo", "Foo", ("API", "Pipelines", "Video")),
    ]


@pytest.mark.checkout
def test_on_an_untouched_head_everything_is_registered(pristine: Path) -> None:
    result = discover(Snapshot(pristine))
    missing = [export.name for export in result.exports if export.name not in result.registered]
    assert (missing, result.components, result.pages, result.notices) == ([], (), (), ())
    assert len(result.exports) > 500
