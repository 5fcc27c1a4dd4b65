from __future__ import annotations

from pathlib import Path

import pytest

from scaffold_model.discovery import Discovery, discover
from scaffold_model.plan import Export
from scaffold_model.registries.pages import heading
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


def test_a_pipeline_of_a_shared_package_needs_what_it_borrows() -> None:
    """So KolorsPAGPipeline: its package asks for less, and every pipeline of the package that it imports from for more."""
    more = ("sentencepiece", "torch", "transformers")
    root = (
        "_import_structure = {}\n"
        "if is_torch_available() and is_transformers_available():\n"
        '    _import_structure["pipelines"] = ["BarPAGPipeline", "BarPipeline"]\n'
        "if is_torch_available() and is_transformers_available() and is_sentencepiece_available():\n"
        '    _import_structure["pipelines"].extend(["FooImg2ImgPipeline", "FooPipeline"])\n'
    )
    shared = (
        "_import_structure = {}\n"
        "if is_torch_available() and is_transformers_available():\n"
        '    _import_structure["pag"] = ["BarPAGPipeline"]\n'
    )
    pag = "from ..{0}.tokenizer import Tokenizer\n\n\nclass {1}PAGPipeline(DiffusionPipeline):\n    pass\n"
    result = found(
        INIT=root,
        pipelines__INIT=shared,
        pipelines__bar__pipeline_bar="class BarPipeline(DiffusionPipeline):\n    pass\n",
        pipelines__foo__pipeline_foo="class FooPipeline(DiffusionPipeline):\n    pass\n",
        pipelines__foo__pipeline_foo_img2img="class FooImg2ImgPipeline(DiffusionPipeline):\n    pass\n",
        pipelines__pag__pipeline_pag_bar=pag.format("bar", "Bar"),
        pipelines__pag__pipeline_pag_bar_new=pag.format("bar", "BarNew"),
        pipelines__pag__pipeline_pag_foo=pag.format("foo", "Foo"),
    )
    assert {export.name: export.backends for export in result.exports} == {
        "BarPipeline": BOTH,
        "BarPAGPipeline": BOTH,
        "BarNewPAGPipeline": BOTH,
        "FooPipeline": more,
        "FooImg2ImgPipeline": more,
        "FooPAGPipeline": more,
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


def test_lora_mixins_of_older_checkouts_have_no_base_in_common() -> None:
    result = found(
        loaders__lora="class LoraLoaderMixin:\n    pass\nclass FooLoraLoaderMixin:\n    pass\nclass Old:\n    pass\n"
    )
    assert names(result) == ["FooLoraLoaderMixin", "LoraLoaderMixin"]
    assert {(export.path, export.kind) for export in result.exports} == {(f"{SRC}/loaders/lora.py", "LoRA mixin")}


def test_other_mixins_that_a_class_takes_from_loaders_and_their_init_does_not_list() -> None:
    result = found(
        loaders__INIT='_import_structure = {}\n_import_structure["ip_adapter"] = ["IPAdapterMixin"]\n',
        loaders__ip_adapter=(
            "from ..utils import is_transformers_available\n\n\n"
            "class IPAdapterMixin:\n    pass\nclass FooIPAdapterMixin:\n    pass\nclass UnusedMixin:\n    pass\nclass InnerMixin:\n    pass\n"
        ),
        loaders__transformer_foo="class FooTransformer2DLoadersMixin:\n    pass\n",
        models__foo=(
            "from ..loaders import FooTransformer2DLoadersMixin\nfrom ..loaders.ip_adapter import InnerMixin\n\n\n"
            "class FooModel(ModelMixin, FooTransformer2DLoadersMixin, InnerMixin):\n    pass\n"
        ),
        pipelines__foo__pipeline_foo=(
            "from ...loaders import (\n    FooIPAdapterMixin,\n    IPAdapterMixin,\n)\n\n\n"
            "class FooPipeline(DiffusionPipeline, IPAdapterMixin, FooIPAdapterMixin):\n    pass\n"
        ),
    )
    assert [each for each in result.exports if each.path.startswith(f"{SRC}/loaders/")] == [
        Export("FooIPAdapterMixin", f"{SRC}/loaders/ip_adapter.py", "loader mixin", BOTH),
        Export("FooTransformer2DLoadersMixin", f"{SRC}/loaders/transformer_foo.py", "loader mixin", TORCH),
    ]


PIPELINE = """\
class FooPipeline(DiffusionPipeline):
    def __init__(
        self,
        head: FooHead | None = None,
    ):
        pass
"""


FOO = {
    f"{SRC}/__init__.py": "_import_structure = {}\n",
    f"{SRC}/models/modeling_utils.py": "class ModelMixin:\n    pass\n",
    f"{SRC}/pipelines/foo/__init__.py": "",
    f"{SRC}/pipelines/foo/pipeline_foo.py": PIPELINE,
    f"{SRC}/pipelines/foo/head.py": "class FooHead(ModelMixin):\n    pass\n",
    f"{SRC}/pipelines/foo/pipeline_output.py": "class FooPipelineOutput(BaseOutput):\n    pass\n",
}
PACKAGE = """\
_import_structure = {}
_import_structure["pipeline_foo"] = ["FooPipeline"]
_import_structure["pipeline_output"] = ["FooPipelineOutput"]
if TYPE_CHECKING:
    from .pipeline_foo import FooPipeline
    from .pipeline_output import FooPipelineOutput
"""


def test_a_component_that_its_own_test_takes_from_its_module_is_for_its_package_alone() -> None:
    test = {"tests/pipelines/foo/test_foo.py": "from diffusers.pipelines.foo import (\n    FooHead,\n)\n"}
    result = discover(Snapshot(None, {**FOO, **test}))
    assert names(result) == ["FooPipeline"]
    assert [export.name for export in result.components] == ["FooHead"]
    assert len(result.notices) == 2
    assert "head.py: FooHead is a ModelMixin inside pipelines/" in result.notices[0]
    assert "pipeline_output.py: FooPipelineOutput is an output class" in result.notices[1]


def test_a_component_that_nobody_takes_from_its_module_is_exported() -> None:
    tests = {"tests/pipelines/foo/test_foo.py": "from diffusers import FooPipeline\n"}
    result = discover(Snapshot(None, {**FOO, **tests}))
    assert names(result) == ["FooHead", "FooPipeline"]
    assert len(result.notices) == 1


def test_without_tests_nothing_is_known_about_a_component() -> None:
    result = discover(Snapshot(None, FOO))
    assert names(result) == ["FooPipeline"]
    assert "head.py: FooHead is a ModelMixin inside pipelines/" in result.notices[0]


def test_models_in_the_module_of_models_of_a_new_package_are_exported() -> None:
    lists = (
        '_import_structure = {}\n_import_structure["modeling_foo"] = ["FooEncoder"]\n'
        '_import_structure["pipeline_foo"] = ["FooPipeline"]\n'
        "if TYPE_CHECKING or DIFFUSERS_SLOW_IMPORT:\n"
        "    from .modeling_foo import FooEncoder\n    from .pipeline_foo import FooPipeline\n"
    )
    files = {
        **FOO,
        f"{SRC}/pipelines/foo/__init__.py": lists,
        f"{SRC}/pipelines/foo/modeling_foo.py": "class FooEncoder(ModelMixin):\n    pass\n",
    }
    assert names(discover(Snapshot(None, files))) == ["FooEncoder", "FooPipeline"]
    root = {f"{SRC}/__init__.py": '_import_structure = {}\n_import_structure["pipelines"] = ["FooPipeline"]\n'}
    assert names(discover(Snapshot(None, {**files, **root}))) == ["FooPipeline"], "the package is old: on purpose"
    files[f"{SRC}/pipelines/foo/__init__.py"] = lists.replace("    from .modeling_foo import FooEncoder\n", "")
    assert names(discover(Snapshot(None, files))) == ["FooPipeline"]


def test_a_new_output_beside_old_ones_is_a_notice() -> None:
    root = {f"{SRC}/__init__.py": '_import_structure = {}\n_import_structure["pipelines"] = ["OldPipeline"]\n'}
    files = {
        **FOO,
        **root,
        f"{SRC}/pipelines/foo/pipeline_old.py": "class OldPipeline(DiffusionPipeline):\n    pass\n",
    }
    files[f"{SRC}/pipelines/foo/pipeline_foo.py"] += "\n    # Gives a FooPipelineOutput.\n"
    result = discover(Snapshot(None, files))
    assert any("FooPipelineOutput is an output class" in notice for notice in result.notices)


def test_a_class_that_the_user_has_to_make_is_a_notice() -> None:
    files = dict(FOO)
    files[f"{SRC}/pipelines/foo/pipeline_foo.py"] += (
        "\n    def __call__(\n        self,\n        action: FooCondition | None = None,\n    ):\n        pass\n"
        "\n\nclass FooCondition:\n    pass\n"
    )
    result = discover(Snapshot(None, files))
    assert "FooCondition" not in names(result)
    assert any("FooCondition is public in its package" in notice for notice in result.notices)


def test_a_class_that_the_user_has_to_make_is_exported_where_a_docstring_links_to_it_by_its_bare_name() -> None:
    files = dict(FOO)
    files[f"{SRC}/pipelines/foo/pipeline_foo.py"] += (
        "\n    def __call__(\n        self,\n        action: FooCondition | None = None,\n    ):\n"
        '        """See [`FooCondition`]."""\n\n\nclass FooCondition:\n    pass\n'
    )
    assert "FooCondition" in names(discover(Snapshot(None, files)))


def test_a_class_of_an_old_package_that_a_page_documents_by_its_bare_name_is_exported() -> None:
    root = {f"{SRC}/__init__.py": '_import_structure = {}\n_import_structure["pipelines"] = ["FooPipeline"]\n'}
    files = {**FOO, **root}
    files[f"{SRC}/pipelines/foo/pipeline_foo.py"] += "\n\nclass FooCondition:\n    pass\n"
    assert names(discover(Snapshot(None, files))) == ["FooPipeline"]
    page = {"docs/source/en/api/pipelines/foo.md": "# Foo\n\n[[autodoc]] FooCondition\n"}
    assert names(discover(Snapshot(None, {**files, **page}))) == ["FooCondition", "FooPipeline"]


def test_what_a_method_of_every_model_takes_is_exported() -> None:
    modeling = (
        "class ModelMixin:\n"
        "    def enable_foo(self, *, config: Union[FooConfig, Bar, None], other: torch.Tensor) -> None:\n        pass\n\n"
        "    def _enable(self, config: Private):\n        pass\n"
    )
    files = {
        f"{SRC}/__init__.py": "_import_structure = {}\n",
        f"{SRC}/models/modeling_utils.py": modeling,
        f"{SRC}/models/_foo.py": "class FooConfig:\n    pass\n\n\nclass Bar(FooConfig):\n    pass\n\n\nclass Private:\n    pass\n",
    }
    assert discover(Snapshot(None, files)).exports == (Export("FooConfig", f"{SRC}/models/_foo.py", "model", TORCH),)


def test_the_output_of_a_new_scheduler_is_a_notice() -> None:
    result = found(
        schedulers__scheduling_foo=(
            "class FooSchedulerOutput(BaseOutput):\n    pass\n\n\nclass FooScheduler(SchedulerMixin):\n    pass\n"
        )
    )
    assert names(result) == ["FooScheduler"]
    assert result.notices == (
        f"{SRC}/schedulers/scheduling_foo.py: FooSchedulerOutput is an output class, seldom exported at the root; "
        "take it from `diffusers` in a test or docs page to have it registered",
    )


def test_the_first_pipeline_of_a_package_needs_what_the_package_asks_for() -> None:
    package = (
        "_import_structure = {}\ntry:\n    if not is_torch_available():\n        raise OptionalDependencyNotAvailable()\n"
        "except OptionalDependencyNotAvailable:\n    pass\nelse:\n"
        '    _import_structure["pipeline_foo"] = ["FooPipeline"]\n'
    )
    files = {**FOO, f"{SRC}/pipelines/foo/__init__.py": package}
    groups = {export.name: export.backends for export in discover(Snapshot(None, files)).exports}
    assert groups["FooPipeline"] == TORCH
    files[f"{SRC}/pipelines/foo/__init__.py"] = package.replace("not is_torch_available()", "DIFFUSERS_SLOW_IMPORT")
    groups = {export.name: export.backends for export in discover(Snapshot(None, files)).exports}
    assert groups["FooPipeline"] == BOTH


def test_a_class_like_two_others_of_its_module_that_the_root_exports_is_exported() -> None:
    auto = "".join(f"class AutoPipelineFor{task}(ConfigMixin):\n    pass\n\n\n" for task in ("Text", "Image", "Audio"))
    root = '_import_structure = {}\n_import_structure["pipelines"] = ["AutoPipelineForText", "AutoPipelineForImage"]\n'
    files = {
        f"{SRC}/__init__.py": root,
        f"{SRC}/models/modeling_utils.py": "class ModelMixin:\n    pass\n",
        f"{SRC}/pipelines/auto_pipeline.py": auto + "class AutoHelper(ConfigMixin):\n    pass\n",
    }
    exports = discover(Snapshot(None, files)).exports
    assert [(export.name, export.kind) for export in exports] == [("AutoPipelineForAudio", "pipeline")]
    files[f"{SRC}/__init__.py"] = root.replace(', "AutoPipelineForImage"', "")
    assert names(discover(Snapshot(None, files))) == []


def test_an_output_that_its_package_lists_and_docstrings_link_to_at_the_root_is_exported() -> None:
    files = {**FOO, f"{SRC}/pipelines/foo/__init__.py": PACKAGE}
    assert "FooPipelineOutput" not in names(discover(Snapshot(None, files)))
    files[f"{SRC}/pipelines/foo/pipeline_foo.py"] += '    """Gives a [`~FooPipelineOutput`]."""\n'
    assert "FooPipelineOutput" in names(discover(Snapshot(None, files)))
    files[f"{SRC}/pipelines/foo/__init__.py"] = PACKAGE.replace(
        "    from .pipeline_output import FooPipelineOutput\n", ""
    )
    assert "FooPipelineOutput" not in names(discover(Snapshot(None, files)))


def test_a_new_output_is_listed_in_the_halves_of_its_package_that_list_the_others() -> None:
    files = {
        **FOO,
        f"{SRC}/pipelines/foo/__init__.py": PACKAGE.replace(
            "    from .pipeline_output import FooPipelineOutput\n", "    from .other import Other\n"
        ),
        f"{SRC}/pipelines/foo/pipeline_old.py": "x = FooPipelineOutput\n",
        f"{SRC}/pipelines/foo/pipeline_foo.py": PIPELINE + "        return FooPriorOutput()\n",
    }
    files[f"{SRC}/pipelines/foo/pipeline_output.py"] += "class FooPriorOutput(BaseOutput):\n    pass\n"
    result = discover(Snapshot(None, files))
    assert [(export.name, name) for export, name in result.partial] == [("FooPriorOutput", "package_structure")]
    assert "FooPriorOutput" not in names(result)


def test_a_guider_that_the_loading_of_pipelines_looks_up_is_exported() -> None:
    table = 'LOADABLE_CLASSES = {\n    "diffusers": {\n        "BaseGuidance": ["save_pretrained"],\n    },\n}\n'
    result = found(
        guiders__INIT="if is_torch_available():\n    from .base import BaseGuidance, Helper\n",
        pipelines__pipeline_loading_utils=table,
    )
    assert names(result) == ["BaseGuidance"]


@pytest.mark.parametrize(
    "statement",
    ["from ...guiders import FooGuidance", "from ..guiders.foo import (\n    Other,\n    FooGuidance,\n)"],
)
@pytest.mark.parametrize("module", ["pipelines__foo__pipeline_foo", "modular_pipelines__foo__denoise"])
def test_a_guider_that_a_pipeline_or_a_block_can_hold_is_exported(module: str, statement: str) -> None:
    """A saved pipeline names it as a class of the library's root."""
    guiders = {
        "guiders__INIT": "if is_torch_available():\n    from .foo import FooGuidance\n    from .bar import BarGuidance\n",
        "guiders__foo": "class FooGuidance(BaseGuidance):\n    pass\n",
        "guiders__bar": "class BarGuidance(BaseGuidance):\n    pass\n",
    }
    assert names(found(**guiders)) == []
    assert names(found(**guiders, **{module: "# Not BarGuidance.\n"})) == []
    assert found(**guiders, **{module: f"import torch\n{statement}\n"}).exports == (
        Export("FooGuidance", f"{SRC}/guiders/foo.py", "model", TORCH),
    )


def test_a_guide_joins_the_others_of_its_folder_where_all_are_in_one_section() -> None:
    toctree = """\
- title: Quantization
  sections:
  - local: quantization/overview
    title: Getting started
  - local: quantization/bar
    title: Bar
- title: Training
  sections:
  - local: training/overview
    title: Overview
- title: Methods
  sections:
  - local: training/lora
    title: LoRA
"""
    files = {
        f"{SRC}/__init__.py": "_import_structure = {}\n",
        "docs/source/en/_toctree.yml": toctree,
        "docs/source/en/quantization/bar.md": "# Bar\n",
        "docs/source/en/quantization/foo.md": "<!-- # Licensed -->\n\n# Foo\n",
        "docs/source/en/training/foo.md": "# Foo\n",
        "docs/source/en/unknown/foo.md": "# Foo\n",
    }
    assert [(page.local, page.title, page.section) for page in discover(Snapshot(None, files)).pages] == [
        ("quantization/foo", "Foo", ("Quantization",))
    ]


def test_a_guide_to_something_new_joins_the_guides_that_are_called_like_pipelines() -> None:
    toctree = """\
- sections:
  - local: using/loading
    title: Loading
  title: Load
- sections:
  - local: using/bar
    title: Bar
  title: Examples
- sections:
  - local: api/pipelines/bar
    title: Bar
  - local: api/pipelines/foo
    title: Foo
  title: API
"""
    docs = {
        "docs/source/en/_toctree.yml": toctree,
        "docs/source/en/api/pipelines/bar.md": "# Bar\n",
        "docs/source/en/api/pipelines/foo.md": "# Foo\n",
        "docs/source/en/using/foo_usage.md": "# Foo in use\n\nUse FooPipeline.\n",
        "docs/source/en/using/bar_usage.md": "# Bar in use\n\nUse BarPipeline.\n",
        "docs/source/en/using/other.md": "# FooPipeline and others\n",
    }
    result = discover(Snapshot(None, {**FOO, **docs}))
    assert [(page.local, page.title, page.section) for page in result.pages] == [
        ("using/foo_usage", "Foo in use", ("Examples",))
    ]


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("# Foo-Image\n\n## FOO-Image\n", "FOO-Image"),
        ("# Foo-Image\n\n## Foo-Image\n\n## FOO-Image\n", "Foo-Image"),
        ("# FooDreamImage\n\n[FooDream-1](https://x) is new.\n\n[[autodoc]] FooDreamImagePipeline\n", "FooDream-1"),
        ("# Foo\n\n[Foo Image](https://x) is new.\n\n[[autodoc]] FooPipeline\n", "Foo"),
        ("# FooImagePipeline\n", "Foo Image"),
    ],
)
def test_the_title_of_a_page(text: str, title: str) -> None:
    assert heading(text) == title


@pytest.mark.parametrize(
    ("local", "title", "registered"),
    [
        ("foo_one", "Foo One Pipelines for Very Many Tasks", "Foo One"),
        ("foo_one", "Foo-One 1.5", "Foo-One"),
        ("foo_one", "Text-to-Image Generation with FooOne", "FooOne"),
        ("foo", "Painting with Foo (Fast Object Oil)", "Foo"),
        ("foo", "Foo (Fast Object Oil)", "Foo (Fast Object Oil)"),
        ("foo", "Foo1 for Painting", "Foo1 for Painting"),
        ("foo", "FOO", "FOO"),
    ],
)
def test_the_words_of_a_heading_that_are_the_name_of_the_page_are_its_title(
    local: str, title: str, registered: str
) -> None:
    files = {
        f"{SRC}/__init__.py": "_import_structure = {}\n",
        "docs/source/en/_toctree.yml": "- title: API\n  sections:\n  - local: api/pipelines/bar\n    title: Bar\n",
        f"docs/source/en/api/pipelines/{local}.md": f"# {title}\n",
    }
    assert [page.title for page in discover(Snapshot(None, files)).pages] == [registered]


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


NESTED = """\
- sections:
  - sections:
    - local: api/pipelines/bar
      title: Bar
    - sections:
      - local: api/pipelines/old/bar
        title: Old Bar
      - local: api/pipelines/old/qux
        title: Old Qux
      title: Old
    title: Pipelines
  title: API
"""


@pytest.mark.parametrize(
    ("local", "section"),
    [
        ("api/pipelines/old/foo", ("API", "Pipelines", "Old")),
        ("api/pipelines/foo", ("API", "Pipelines")),
        ("api/pipelines/new/foo", ("API", "Pipelines")),
    ],
)
def test_a_page_in_a_folder_joins_the_pages_there(local: str, section: tuple[str, ...]) -> None:
    assert (
        _section(NESTED, local, "pipelines/foo/pipeline_foo", "class FooPipeline(DiffusionPipeline):\n    pass\n")
        == section
    )


def test_a_page_of_any_folder_of_the_reference_belongs_in_the_table_of_contents() -> None:
    toctree = NESTED.replace(
        "  title: API",
        "  - sections:\n    - local: api/loaders/lora\n      title: LoRA\n    title: Loaders\n  title: API",
    )
    assert _section(toctree, "api/loaders/foo", "loaders/foo", "class Foo:\n    pass\n") == ("API", "Loaders")
    assert not discover(
        Snapshot(None, {"docs/source/en/_toctree.yml": toctree, "docs/source/en/api/new/foo.md": "# Foo\n"})
    ).pages


BY_KIND = NESTED.replace(
    "    - sections:\n      - local: api/pipelines/old",
    "    - sections:\n      - sections:\n        - local: api/pipelines/old/bar\n          title: Old Bar\n        title: Old\n"
    "      - local: api/pipelines/image\n        title: Image of Foo\n      title: Image\n"
    "    - sections:\n      - local: api/pipelines/song\n        title: Song\n      title: Audio\n"
    "    - sections:\n      - local: api/pipelines/older",
)


@pytest.mark.parametrize(
    ("block", "local", "section"),
    [
        ("", "api/pipelines/old/foo", ("API", "Pipelines", "Image", "Old")),
        ("", "api/pipelines/foo", ("API", "Pipelines", "Image")),
        ('OutputParam("audios", type_hint=Tensor)', "api/pipelines/foo", ("API", "Pipelines", "Audio")),
        ('OutputParam(\n  name="audio",\n)', "api/pipelines/foo", ("API", "Pipelines", "Audio")),
        ('OutputParam.template("audio")', "api/pipelines/old/foo", ("API", "Pipelines", "Audio")),
        ('OutputParam("audio_latents")', "api/pipelines/foo", ("API", "Pipelines", "Image")),
        ("", "api/pipelines/song_of_foo", ("API", "Pipelines", "Audio")),
        ("", "api/pipelines/songs_of_foo", ("API", "Pipelines", "Image")),
        ('OutputParam("audios")', "api/pipelines/old/bar_two", ("API", "Pipelines", "Image", "Old")),
    ],
)
def test_a_page_in_a_checkout_that_parts_them_by_what_they_make(
    block: str, local: str, section: tuple[str, ...]
) -> None:
    pipeline = f"class FooPipeline(ModularPipeline):\n    pass\n{block}\n"
    assert _section(BY_KIND, local, "modular_pipelines/foo/modular_pipeline", pipeline) == section


def _section(toctree: str, local: str, module: str, source: str) -> tuple[str, ...]:
    pages = {
        "docs/source/en/_toctree.yml": toctree,
        f"docs/source/en/{local}.md": "# Foo\n\n[[autodoc]] FooPipeline\n",
        f"{SRC}/__init__.py": "_import_structure = {}\n",
        f"{SRC}/{module}.py": source,
    }
    (page,) = discover(Snapshot(None, pages)).pages
    return page.section


@pytest.mark.checkout
def test_on_an_untouched_head_everything_is_registered(pristine: Path) -> None:
    result = discover(Snapshot(pristine))
    missing = [export.name for export in result.exports if export.name not in result.registered]
    assert (missing, result.components, result.pages, result.notices) == ([], (), (), ())
    assert len(result.exports) > 500


def test_a_new_module_of_hooks_gives_what_is_called_alike_and_its_folder_lists_the_rest() -> None:
    result = found(
        hooks__INIT="if is_torch_available():\n    from .hooks import ModelHook\n    from .old import apply_old\n",
        hooks__hooks="class ModelHook:\n    pass\n",
        hooks__old="class OldConfig:\n    pass\n\n\ndef apply_old(module):\n    pass\n",
        hooks__text_kv_cache=(
            "class TextKVCacheConfig:\n    pass\n\n\nclass HelperConfig:\n    pass\n\n\n"
            "def apply_text_kv_cache(module):\n    pass\n\n\ndef apply_other(module):\n    pass\n"
        ),
        hooks___helpers="class InnerConfig:\n    pass\n\n\ndef apply_inner(module):\n    pass\n",
    )
    path = f"{SRC}/hooks/text_kv_cache.py"
    assert result.exports == (
        Export("TextKVCacheConfig", path, "model", TORCH),
        Export("apply_text_kv_cache", path, "model", TORCH),
    )
    assert result.partial == ((Export("apply_other", path, "model", TORCH), "plain_package"),)


def test_a_guider_of_a_new_module_is_listed_in_its_folder_and_at_the_root_where_a_test_takes_it_from_there() -> None:
    files = {
        f"{SRC}/__init__.py": "_import_structure = {}\n",
        f"{SRC}/guiders/__init__.py": "if is_torch_available():\n    from .old import OldGuidance\n",
        f"{SRC}/guiders/old.py": "class OldGuidance(BaseGuidance):\n    pass\n",
        f"{SRC}/guiders/fresh.py": "class Buffer:\n    pass\n\n\nclass FreshGuidance(BaseGuidance):\n    pass\n",
    }
    guider = Export("FreshGuidance", f"{SRC}/guiders/fresh.py", "model", TORCH)
    result = discover(Snapshot(None, files))
    assert (result.exports, result.partial) == ((), ((guider, "plain_package"),))
    assert result.notices == (
        f"{SRC}/guiders/fresh.py: FreshGuidance is a guider, and the root exports most but not all of them; take it from "
        "`diffusers` in a test to have it registered there",
    )
    test = {"tests/pipelines/test_foo.py": "from diffusers import FreshGuidance\n"}
    result = discover(Snapshot(None, {**files, **test}))
    assert (result.exports, result.partial, result.notices) == ((guider,), (), ())


def test_helper_classes_that_nothing_decides_are_named_with_the_reason() -> None:
    result = found(
        INIT='_import_structure = {}\n_import_structure["quantizers.quantization_config"] = ["OldConfig"]\n',
        quantizers__quantization_config=(
            "class OldConfig(QuantizationConfigMixin):\n    pass\n\n\n"
            "class NewConfig(QuantizationConfigMixin):\n    pass\n\n\nclass Helper:\n    pass\n"
        ),
        modular_pipelines__INIT=(
            '_import_structure = {}\n_import_structure["modular_pipeline"] = ["OneBlocks", "TwoBlocks"]\n'
            "if TYPE_CHECKING:\n    from .modular_pipeline import OneBlocks, TwoBlocks\n"
        ),
        modular_pipelines__modular_pipeline="".join(
            f"class {name}({base}):\n    pass\n\n\n"
            for name, base in [
                ("OneBlocks", "Base"),
                ("TwoBlocks", "Base"),
                ("ThreeBlocks", "Base"),
                ("_FourBlocks", "Base"),
                ("Other", "Another"),
            ]
        ),
    )
    assert [notice.split(": ", 1)[0].removeprefix(f"{SRC}/") for notice in result.notices] == [
        "quantizers/quantization_config.py",
        "modular_pipelines/modular_pipeline.py",
    ]
    assert [notice.split(": ", 1)[1].split(" ", 1)[0] for notice in result.notices] == [
        "NewConfig",
        "ThreeBlocks",
    ]
    assert "auto.py maps no key to" in result.notices[0]


def test_a_condition_on_a_version_is_no_backend_of_a_new_package() -> None:
    guard = "is_torch_available() and is_librosa_available() and is_torch_version('>=', '2.0')"
    result = found(
        pipelines__foo__INIT=(
            f"_import_structure = {{}}\ntry:\n    if not ({guard}):\n        raise OptionalDependencyNotAvailable()\n"
            "except OptionalDependencyNotAvailable:\n    pass\nelse:\n"
            '    _import_structure["pipeline_foo"] = ["FooPipeline"]\n'
        ),
        pipelines__foo__pipeline_foo="class FooPipeline(DiffusionPipeline):\n    pass\n",
    )
    assert [export.backends for export in result.exports] == [("torch", "librosa")]
