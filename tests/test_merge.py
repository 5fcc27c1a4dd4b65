"""The structural merge of registry files, whole texts; small files of our own in each shape that a registry has."""

from __future__ import annotations

import ast

import pytest

from scaffold_model.merge import merge
from scaffold_model.merge_driver import Labels
from scaffold_model.merging.result import Merged

LIB = "src/diffusers"
ROOT_INIT = """\
from typing import TYPE_CHECKING

_import_structure = {
    "models": [],
    "pipelines": [],
}

try:
    if not is_torch_available():
        raise OptionalDependencyNotAvailable()
except OptionalDependencyNotAvailable:
    from .utils import dummy_pt_objects  # noqa F403

    _import_structure["utils.dummy_pt_objects"] = [name for name in dir(dummy_pt_objects)]
else:
    _import_structure["models"].extend(
        [
            "BarModel",
            "QuxModel",
        ]
    )

if TYPE_CHECKING:
    try:
        if not is_torch_available():
            raise OptionalDependencyNotAvailable()
    except OptionalDependencyNotAvailable:
        from .utils.dummy_pt_objects import *  # noqa F403
    else:
        from .models import (
            BarModel,
            QuxModel,
        )
"""


def merged(path: str, base: str, ours: str, theirs: str, **extra: int) -> Merged:
    return merge(base, ours, theirs, path, Labels().text_merge, **extra)


def check_merge(path: str, base: str, ours: str, theirs: str, expected: str) -> None:
    """Both directions give ``expected``, which also is what merging it again gives."""
    for mine, other in ((ours, theirs), (theirs, ours)):
        assert merged(path, base, mine, other) == Merged(expected)
        assert merged(path, base, expected, other) == Merged(expected)
    if path.endswith(".py"):
        ast.parse(expected)


def edited(text: str, *changes: tuple[str, str]) -> str:
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return text


def after(line: str, new: str) -> tuple[str, str]:
    """A change that puts ``new`` behind a line, with the same indentation."""
    return line, f"{line}\n{new}"


def test_root_init_takes_both_in_order_of_each_half() -> None:
    def with_models(*names: str) -> str:
        strings = "".join(f'            "{name}",\n' for name in names)
        imports = "".join(f"            {name},\n" for name in names)
        return edited(
            ROOT_INIT,
            ('            "BarModel",\n            "QuxModel",\n', strings),
            ("            BarModel,\n            QuxModel,\n", imports),
        )

    ours = with_models("BarModel", "LTX2VideoModel", "QuxModel")
    theirs = with_models("BarModel", "LTX25Model", "QuxModel")
    strings = with_models("BarModel", "LTX25Model", "LTX2VideoModel", "QuxModel").split("if TYPE_CHECKING:")[0]
    # The structure half is sorted as plain text, the imports are in natural order.
    natural = with_models("BarModel", "LTX2VideoModel", "LTX25Model", "QuxModel").split("if TYPE_CHECKING:")[1]
    check_merge(f"{LIB}/__init__.py", ROOT_INIT, ours, theirs, f"{strings}if TYPE_CHECKING:{natural}")


def test_removal_and_additions_side_by_side() -> None:
    ours = edited(ROOT_INIT, ('            "BarModel",\n', ""), ("            BarModel,\n", ""))
    theirs = edited(
        ROOT_INIT,
        after('            "BarModel",', '            "BazModel",'),
        after("            BarModel,", "            BazModel,"),
    )
    expected = edited(
        ROOT_INIT,
        ('            "BarModel",', '            "BazModel",'),
        ("            BarModel,", "            BazModel,"),
    )
    check_merge(f"{LIB}/__init__.py", ROOT_INIT, ours, theirs, expected)


def test_what_is_no_registration_merges_as_text() -> None:
    ours = edited(ROOT_INIT, ("from typing import TYPE_CHECKING\n", "from typing import TYPE_CHECKING, Any\n"))
    theirs = edited(
        ROOT_INIT,
        after('            "QuxModel",', '            "ZapModel",'),
        after("            QuxModel,", "            ZapModel,"),
    )
    expected = edited(theirs, ("from typing import TYPE_CHECKING\n", "from typing import TYPE_CHECKING, Any\n"))
    check_merge(f"{LIB}/__init__.py", ROOT_INIT, ours, theirs, expected)


def guarded(*backends: str) -> str:
    """A lazy init with a block for each backend, in both halves."""

    def block(indent: str, backend: str, imported: str, registered: str) -> str:
        return "".join(
            f"{indent}{row}\n"
            for row in (
                "try:",
                f"    if not is_{backend}_available():",
                "        raise OptionalDependencyNotAvailable()",
                "except OptionalDependencyNotAvailable:",
                f"    {imported}",
                "else:",
                f"    {registered}",
            )
        )

    structure = (
        block(
            "",
            name,
            f"from .utils import dummy_{name}_objects",
            f'_import_structure["x"].append("{name.title()}Config")',
        )
        for name in backends
    )
    types = (
        block("    ", name, f"from .utils.dummy_{name}_objects import *", f"from .x import {name.title()}Config")
        for name in backends
    )
    return '_import_structure = {"x": []}\n\n' + "\n".join(structure) + "\nif TYPE_CHECKING:\n" + "\n".join(types)


@pytest.mark.parametrize("place", [0, 1, 2])
def test_new_backend_blocks_in_one_place(place: int) -> None:
    def with_backend(*names: str) -> str:
        present = ["torch", "onnx"]
        present[place:place] = names
        return guarded(*present)

    base, path = guarded("torch", "onnx"), f"{LIB}/__init__.py"
    result = merged(path, base, with_backend("apple"), with_backend("nova"))
    assert result == Merged(with_backend("apple", "nova"))


def test_a_backend_block_gone_and_one_before_it() -> None:
    check_merge(
        f"{LIB}/__init__.py",
        guarded("torch", "onnx", "flax"),
        guarded("onnx", "flax"),
        guarded("nova", "torch", "onnx"),
        guarded("nova", "onnx"),
    )


def test_both_sides_add_the_first_block_of_a_backend() -> None:
    base, ours = guarded("torch"), guarded("torch", "sde")
    theirs = ours.replace("SdeConfig", "OtherSdeConfig")
    result = merged(f"{LIB}/__init__.py", base, ours, theirs)
    assert not result.conflicts
    assert result.text.count("SdeConfig") == 4
    assert result.text.count("is_sde_available") == 2


PIPELINES = """\
_import_structure = {
    "wan": [],
    "dit": ["DiTPipeline"],
}
if is_torch_available():
    _import_structure["wan"].extend(["WanPipeline"])
    _import_structure["zed"] = ["ZedPipeline"]
    _import_structure["bar"] = [
        "BarPipeline",
        "BarInpaintPipeline",
    ]
"""


def test_keys_of_an_unsorted_list_stay_where_they_were_put() -> None:
    ours = edited(
        PIPELINES, after('        "BarInpaintPipeline",\n    ]', '    _import_structure["sky"] = ["SkyPipeline"]')
    )
    theirs = edited(
        PIPELINES, after('        "BarInpaintPipeline",\n    ]', '    _import_structure["barn"] = ["BarnPipeline"]')
    )
    # A name that begins like its neighbour stands beside it, on whichever side it is.
    expected = edited(theirs, after('["BarnPipeline"]', '    _import_structure["sky"] = ["SkyPipeline"]'))
    check_merge(f"{LIB}/pipelines/__init__.py", PIPELINES, ours, theirs, expected)


def test_unlike_additions_at_the_end_ours_first() -> None:
    path, tail = f"{LIB}/pipelines/__init__.py", '        "BarInpaintPipeline",\n    ]'
    ours = edited(PIPELINES, after(tail, '    _import_structure["sky"] = ["SkyPipeline"]'))
    theirs = edited(PIPELINES, after(tail, '    _import_structure["alt"] = ["AltPipeline"]'))
    both = edited(ours, after('["SkyPipeline"]', '    _import_structure["alt"] = ["AltPipeline"]'))
    assert merged(path, PIPELINES, ours, theirs) == Merged(both)


def test_names_on_one_line() -> None:
    path = f"{LIB}/pipelines/__init__.py"
    ours = edited(
        PIPELINES,
        ('["DiTPipeline"]', '["DiTAPipeline", "DiTPipeline"]'),
        ('["ZedPipeline"]', '["ZedA", "ZedPipeline"]'),
    )
    theirs = edited(
        PIPELINES,
        ('["DiTPipeline"]', '["DiTPipeline", "DiTZPipeline"]'),
        ('["WanPipeline"]', '["WanPipeline", "WanZ"]'),
    )
    expected = edited(
        ours,
        ('["DiTAPipeline", "DiTPipeline"]', '["DiTAPipeline", "DiTPipeline", "DiTZPipeline"]'),
        ('["WanPipeline"]', '["WanPipeline", "WanZ"]'),
    )
    check_merge(path, PIPELINES, ours, theirs, expected)


@pytest.mark.parametrize(
    ("base", "ours", "theirs", "expected"),
    [
        (
            '_import_structure["wan"] = ["WanAPipeline"]\n',
            '_import_structure["wan"] = ["WanAPipeline", "WanBPipeline"]\n',
            '_import_structure["wan"] = ["WanAPipeline", "WanCPipeline"]\n',
            '_import_structure["wan"] = [\n    "WanAPipeline",\n    "WanBPipeline",\n    "WanCPipeline",\n]\n',
        ),
        (
            '_import_structure["wan"].extend(["WanAPipe"])\n',
            '_import_structure["wan"].extend(["WanAPipe", "WanBPipe"])\n',
            '_import_structure["wan"].extend(["WanAPipe", "WanCPipe"])\n',
            '_import_structure["wan"].extend(\n    [\n        "WanAPipe",\n        "WanBPipe",\n        "WanCPipe",\n    ]\n)\n',
        ),
        (
            "from .wan import WanAPipeline, WanZPipeline\n",
            "from .wan import WanAPipeline, WanBPipeline, WanZPipeline\n",
            "from .wan import WanAPipeline, WanCPipeline, WanZPipeline\n",
            "from .wan import (\n    WanAPipeline,\n    WanBPipeline,\n    WanCPipeline,\n    WanZPipeline,\n)\n",
        ),
    ],
)
def test_a_line_that_gets_too_long_breaks_as_the_formatter_does(
    base: str, ours: str, theirs: str, expected: str
) -> None:
    for mine, other in ((ours, theirs), (theirs, ours)):
        assert merged(f"{LIB}/pipelines/__init__.py", base, mine, other, width=60) == Merged(expected)


def test_one_side_on_one_line_the_other_broken() -> None:
    base = "from .bar import BarPipeline\n"
    ours = "from .bar import (\n    BarInpaintPipeline,\n    BarPipeline,\n)\n"
    theirs = "from .bar import BarPipeline, BarVideoPipeline\n"
    expected = "from .bar import (\n    BarInpaintPipeline,\n    BarPipeline,\n    BarVideoPipeline,\n)\n"
    check_merge(f"{LIB}/pipelines/bar/__init__.py", base, ours, theirs, expected)


def test_comments_move_with_their_names() -> None:
    base = "from .bar import (\n    BarPipeline,\n)\n"
    ours = "from .bar import (\n    # the first\n    BarAPipeline,\n    BarPipeline,\n)\n"
    theirs = "from .bar import (\n    BarBPipeline,  # the second\n    BarPipeline,\n)\n"
    expected = "from .bar import (\n    # the first\n    BarAPipeline,\n    BarBPipeline,  # the second\n    BarPipeline,\n)\n"
    check_merge(f"{LIB}/pipelines/bar/__init__.py", base, ours, theirs, expected)


MODELS = """\
if is_torch_available():
    from .transformer_bar import BarTransformer2DModel
    from .transformer_qux import QuxTransformer2DModel
"""


def test_imports_in_one_gap() -> None:
    line = "    from .transformer_bar import BarTransformer2DModel"
    ours = edited(MODELS, after(line, "    from .transformer_foo import FooTransformer2DModel"))
    theirs = edited(MODELS, after(line, "    from .transformer_cat import CatTransformer2DModel"))
    expected = edited(ours, after(line, "    from .transformer_cat import CatTransformer2DModel"))
    check_merge(f"{LIB}/models/transformers/__init__.py", MODELS, ours, theirs, expected)


def test_both_add_the_same_module_with_names_of_their_own() -> None:
    ours = MODELS + "    from .zed import ZedA\n"
    theirs = MODELS + "    from .zed import ZedB\n"
    check_merge(
        f"{LIB}/models/transformers/__init__.py", MODELS, ours, theirs, MODELS + "    from .zed import ZedA, ZedB\n"
    )


def test_both_make_the_same_edit() -> None:
    both = MODELS + "    from .zed import ZedA\n"
    assert merged(f"{LIB}/models/transformers/__init__.py", MODELS, both, both) == Merged(both)


def dummies(*names: str) -> str:
    head = "# This file is autogenerated\nfrom ..utils import DummyObject, requires_backends\n"
    return head + "".join(
        f"\n\nclass {name}(metaclass=DummyObject):\n"
        '    _backends = ["torch"]\n\n'
        "    def __init__(self, *args, **kwargs):\n"
        '        requires_backends(self, ["torch"])\n'
        for name in names
    )


@pytest.mark.parametrize("name", ["dummy_pt_objects.py", "dummy_torch_and_transformers_objects.py"])
def test_dummies(name: str) -> None:
    check_merge(
        f"{LIB}/utils/{name}",
        dummies("BarModel", "QuxModel"),
        dummies("BarModel", "LTX2Model", "QuxModel"),
        dummies("BarModel", "LTX25Model", "QuxModel"),
        dummies("BarModel", "LTX2Model", "LTX25Model", "QuxModel"),
    )
    # Behind the last one, and the last one gone.
    check_merge(
        f"{LIB}/utils/{name}",
        dummies("BarModel", "QuxModel"),
        dummies("BarModel", "QuxModel", "ZapModel"),
        dummies("BarModel", "YakModel"),
        dummies("BarModel", "YakModel", "ZapModel"),
    )


MAPPING = """\
MODULAR_PIPELINE_MAPPING = OrderedDict(
    [
        ("wan", _create_default_map_fn("WanModularPipeline")),
        ("flux", _create_default_map_fn("FluxModularPipeline")),
    ]
)
"""


def test_mapping() -> None:
    last = '        ("flux", _create_default_map_fn("FluxModularPipeline")),'
    row = '        ("{}", _create_default_map_fn("{}ModularPipeline")),'
    ours = edited(MAPPING, after(last, row.format("flux2", "Flux2")))
    theirs = edited(MAPPING, after(last, row.format("bar", "Bar")))
    expected = edited(ours, after(row.format("flux2", "Flux2"), row.format("bar", "Bar")))
    check_merge(f"{LIB}/modular_pipelines/modular_pipeline.py", MAPPING, ours, theirs, expected)


def test_one_key_with_two_values_is_a_contradiction() -> None:
    last = '        ("flux", _create_default_map_fn("FluxModularPipeline")),'
    ours = edited(MAPPING, after(last, '        ("bar", _create_default_map_fn("BarModularPipeline")),'))
    theirs = edited(MAPPING, after(last, '        ("bar", _create_default_map_fn("BarnModularPipeline")),'))
    expected = edited(
        MAPPING,
        after(
            last,
            "<<<<<<< ours\n"
            '        ("bar", _create_default_map_fn("BarModularPipeline")),\n'
            "=======\n"
            '        ("bar", _create_default_map_fn("BarnModularPipeline")),\n'
            ">>>>>>> theirs",
        ),
    )
    assert merged(f"{LIB}/modular_pipelines/modular_pipeline.py", MAPPING, ours, theirs) == Merged(expected, True)


AUTO = """\
from .bar import BarPipeline
from .qux import QuxPipeline


AUTO_TEXT2IMAGE_PIPELINES_MAPPING = OrderedDict(
    [
        ("qux", QuxPipeline),
        ("bar", BarPipeline),
    ]
)
"""


def test_auto_pipeline() -> None:
    imported, mapped = "from .bar import BarPipeline", '        ("bar", BarPipeline),'
    ours = edited(
        AUTO, after(imported, "from .foo import FooPipeline"), after(mapped, '        ("foo", FooPipeline),')
    )
    theirs = edited(
        AUTO, after(imported, "from .cat import CatPipeline"), after(mapped, '        ("bar-x", CatPipeline),')
    )
    expected = edited(
        ours, after(imported, "from .cat import CatPipeline"), after(mapped, '        ("bar-x", CatPipeline),')
    )
    check_merge(f"{LIB}/pipelines/auto_pipeline.py", AUTO, ours, theirs, expected)


SINGLE_FILE = """\
from .single_file_utils import (
    convert_bar,
)


SINGLE_FILE_LOADABLE_CLASSES = {
    "BarModel": {
        "checkpoint_mapping_fn": convert_bar,
        "default_subfolder": "unet",
    },
}
"""


def test_single_file_model() -> None:
    def pair(name: str) -> str:
        return f'    "{name.title()}Model": {{\n        "checkpoint_mapping_fn": convert_{name},\n    }},'

    end = '        "default_subfolder": "unet",\n    },'
    ours = edited(SINGLE_FILE, after("    convert_bar,", "    convert_foo,"), after(end, pair("foo")))
    theirs = edited(SINGLE_FILE, after("    convert_bar,", "    convert_cat,"), after(end, pair("cat")))
    expected = edited(
        SINGLE_FILE,
        after("    convert_bar,", "    convert_cat,\n    convert_foo,"),
        after(end, f"{pair('cat')}\n{pair('foo')}"),
    )
    check_merge(f"{LIB}/loaders/single_file_model.py", SINGLE_FILE, ours, theirs, expected)


def mixins(*names: str) -> str:
    return '"""Mixins."""\n' + "".join(
        f"\n\nclass {name}LoraLoaderMixin(LoraBaseMixin):\n"
        '    r"""\n    Loads LoRA layers.\n    """\n\n'
        f'    transformer_name = "{name.lower()}"\n\n'
        "    @classmethod\n    def lora_state_dict(cls):\n        return {}\n"
        for name in names
    )


def test_mixin_classes_at_the_end_of_one_module() -> None:
    path = f"{LIB}/loaders/lora_pipeline.py"
    ours, theirs = mixins("Bar", "Foo"), mixins("Bar", "Cat")
    assert Labels().text_merge(mixins("Bar"), ours, theirs).conflicts
    assert merged(path, mixins("Bar"), ours, theirs) == Merged(mixins("Bar", "Foo", "Cat"))
    changed = edited(theirs, ('"bar"', '"transformer"'))
    assert merged(path, mixins("Bar"), ours, changed) == Merged(
        edited(mixins("Bar", "Foo", "Cat"), ('"bar"', '"transformer"'))
    )


PEFT = """\
_SET_ADAPTER_SCALE_FN_MAPPING = defaultdict(
    lambda: (lambda model_cls, weights: weights),
    {
        "BarModel": _maybe_expand_lora_scales,
        "FooModel": _maybe_expand_lora_scales,
    },
)
"""


def test_peft_and_hooks() -> None:
    last = '        "FooModel": _maybe_expand_lora_scales,'
    ours = edited(PEFT, after(last, '        "ZapModel": _maybe_expand_lora_scales,'))
    theirs = edited(PEFT, after(last, '        "FoxModel": _maybe_expand_lora_scales,'))
    expected = edited(ours, after(last, '        "FoxModel": _maybe_expand_lora_scales,'))
    check_merge(f"{LIB}/loaders/peft.py", PEFT, ours, theirs, expected)

    def hooks(*names: str) -> str:
        return (
            "def _register():\n"
            + "".join(f"    from ..models.{n.lower()} import {n}\n" for n in sorted(names))
            + "".join(
                f"\n    # {name}\n    TransformerBlockRegistry.register(\n        model_class={name},\n        metadata=Metadata(1),\n    )\n"
                for name in names
            )
        )

    assert merged(f"{LIB}/hooks/_helpers.py", hooks("Bar"), hooks("Bar", "Zap"), hooks("Bar", "Cat")) == Merged(
        hooks("Bar", "Zap", "Cat")
    )


TOCTREE = """\
- sections:
  - sections:
    - local: api/pipelines/overview
      title: Overview
    - local: api/pipelines/bar
      title: Bar
    - sections:
      - local: api/pipelines/wan
        title: Wan
      title: Video
    title: Pipelines
  title: API
"""


def test_toctree() -> None:
    page = "    - local: api/pipelines/{}\n      title: {}\n"
    bar, wan = page.format("bar", "Bar"), "      - local: api/pipelines/wan\n        title: Wan\n"
    ours = edited(
        TOCTREE,
        (bar, bar + page.format("foo", "Foo")),
        (wan, wan + "      - local: api/pipelines/yak\n        title: Yak\n"),
    )
    theirs = edited(
        TOCTREE,
        (bar, bar + page.format("cat", "cat")),
        (wan, "      - local: api/pipelines/ant\n        title: Ant\n" + wan),
    )
    expected = edited(
        TOCTREE,
        (bar, bar + page.format("cat", "cat") + page.format("foo", "Foo")),
        (
            wan,
            "      - local: api/pipelines/ant\n        title: Ant\n"
            + wan
            + "      - local: api/pipelines/yak\n        title: Yak\n",
        ),
    )
    check_merge("docs/source/en/_toctree.yml", TOCTREE, ours, theirs, expected)


def test_a_section_with_a_new_title_and_a_new_page() -> None:
    wan = "      - local: api/pipelines/wan\n        title: Wan\n"
    yak = "      - local: api/pipelines/yak\n        title: Yak\n"
    ours = edited(TOCTREE, ("title: Video", "title: Moving pictures"), ("title: API", "title: Reference"))
    theirs = edited(TOCTREE, (wan, wan + yak))
    check_merge("docs/source/en/_toctree.yml", TOCTREE, ours, theirs, edited(ours, (wan, wan + yak)))


def test_a_page_that_both_move_elsewhere_conflicts() -> None:
    bar = "    - local: api/pipelines/bar\n      title: Bar\n"
    other = "- sections:\n  - local: api/pipelines/bar\n    title: Bar\n  title: {}\n"
    result = merged(
        "docs/source/en/_toctree.yml",
        TOCTREE,
        edited(TOCTREE, (bar, "")) + other.format("New"),
        edited(TOCTREE, (bar, "")) + other.format("Newer"),
    )
    assert result.conflicts
    assert "<<<<<<<" in result.text


LORA = """\
# LoRA

- [`BarLoraLoaderMixin`] is for Bar.
- [`LoraBaseMixin`] is the base.

## BarLoraLoaderMixin

[[autodoc]] loaders.lora_pipeline.BarLoraLoaderMixin

## LoraBaseMixin

[[autodoc]] loaders.lora_base.LoraBaseMixin
"""


def test_lora_page() -> None:
    def with_mixins(*names: str) -> str:
        text = LORA
        for name in names:
            text = edited(
                text,
                ("- [`LoraBaseMixin`]", f"- [`{name}LoraLoaderMixin`] is for {name}.\n- [`LoraBaseMixin`]"),
                (
                    "## LoraBaseMixin\n",
                    f"## {name}LoraLoaderMixin\n\n[[autodoc]] loaders.lora_pipeline.{name}LoraLoaderMixin\n\n## LoraBaseMixin\n",
                ),
            )
        return text

    result = merged("docs/source/en/api/loaders/lora.md", LORA, with_mixins("Foo"), with_mixins("Cat"))
    assert result == Merged(with_mixins("Foo", "Cat"))


def test_table_of_an_overview() -> None:
    base = "# Pipelines\n\n| Pipeline | Tasks |\n|---|---|\n| [Bar](bar) | text2image |\n| [Qux](qux) | text2image |\n\nMore.\n"
    ours = edited(base, after("| [Bar](bar) | text2image |", "| [Foo](foo) | text2image |"))
    theirs = edited(base, after("| [Bar](bar) | text2image |", "| [Cat](cat) | text2video |"))
    result = merged("docs/source/en/api/pipelines/overview.md", base, ours, theirs)
    assert result == Merged(edited(ours, after("| [Foo](foo) | text2image |", "| [Cat](cat) | text2video |")))


# ------------------------------------------------------------------------------------------ contradictions and the proof


def test_removed_here_and_extended_there_is_a_contradiction() -> None:
    ours = edited(PIPELINES, ('    _import_structure["zed"] = ["ZedPipeline"]\n', ""))
    theirs = edited(PIPELINES, ('["ZedPipeline"]', '["ZedPipeline", "ZedVideoPipeline"]'))
    result = merged(f"{LIB}/pipelines/__init__.py", PIPELINES, ours, theirs)
    assert result.conflicts
    assert result.text == edited(
        PIPELINES,
        (
            '    _import_structure["zed"] = ["ZedPipeline"]\n',
            "<<<<<<< ours\n=======\n"
            '    _import_structure["zed"] = ["ZedPipeline", "ZedVideoPipeline"]\n'
            ">>>>>>> theirs\n",
        ),
    )


def test_an_entry_that_each_side_replaces_by_another_is_a_contradiction() -> None:
    ours = edited(MODELS, ("QuxTransformer2DModel", "QuxaTransformer2DModel"))
    theirs = edited(MODELS, ("QuxTransformer2DModel", "QuxbTransformer2DModel"))
    result = merged(f"{LIB}/models/transformers/__init__.py", MODELS, ours, theirs)
    assert result.conflicts
    assert "<<<<<<< ours" in result.text


def test_one_name_under_two_modules_is_a_contradiction() -> None:
    ours = edited(
        MODELS, ("    from .transformer_qux", "    from .transformer_foo import FooModel\n    from .transformer_qux")
    )
    theirs = MODELS + "    from .zed import FooModel\n"
    result = merged(f"{LIB}/models/transformers/__init__.py", MODELS, ours, theirs)
    assert result.conflicts
    assert "<<<<<<< ours" in result.text


def test_one_name_in_two_places_of_an_unsorted_list_is_a_contradiction() -> None:
    base = "from .x import (\n    B,\n    A,\n    C,\n)\n"
    ours = "from .x import (\n    B,\n    New,\n    A,\n    C,\n)\n"
    theirs = "from .x import (\n    B,\n    A,\n    New,\n    C,\n)\n"
    result = merged(f"{LIB}/pipelines/x/__init__.py", base, ours, theirs)
    assert result.conflicts
    assert "<<<<<<< ours" in result.text


def test_registrations_are_settled_beside_a_conflict_in_the_text() -> None:
    base = "VERSION = 1\n\n\n" + MODELS
    line = "    from .transformer_bar import BarTransformer2DModel"
    ours = edited(base, ("VERSION = 1", "VERSION = 2"), after(line, "    from .transformer_foo import Foo"))
    theirs = edited(base, ("VERSION = 1", "VERSION = 3"), after(line, "    from .transformer_cat import Cat"))
    settled = edited(MODELS, after(line, "    from .transformer_cat import Cat\n    from .transformer_foo import Foo"))
    expected = f"<<<<<<< ours\nVERSION = 2\n=======\nVERSION = 3\n>>>>>>> theirs\n\n\n{settled}"
    assert merged(f"{LIB}/models/__init__.py", base, ours, theirs) == Merged(expected, True)


def test_a_text_merge_that_doubles_an_entry_does_not_get_through() -> None:
    # Git merges it without a conflict, with the new name twice.
    base = "from .x import (\n    A,\n    B,\n    C,\n    D,\n)\n"
    ours = edited(base, after("    A,", "    New,"))
    theirs = edited(base, after("    D,", "    New,"))
    assert not Labels().text_merge(base, ours, theirs).conflicts
    assert merged(f"{LIB}/pipelines/x/__init__.py", base, ours, theirs).conflicts


def test_what_is_no_python_merges_as_text() -> None:
    base, path = "a = (\n1\n2\n3\n4\n", f"{LIB}/pipelines/__init__.py"
    assert merged(path, base, "a = (\n0\n1\n2\n3\n4\n", base).text == "a = (\n0\n1\n2\n3\n4\n"
    result = merged(path, base, "a = (\n0\n1\n2\n3\n4\n", "a = (\n1\n2\n3\n4\n5\n")
    assert result.conflicts


# --------------------------------------------------------------------------------------------------------------- bytes


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("final", [True, False])
def test_line_ends_are_kept(ending: str, final: bool) -> None:
    def shaped(text: str) -> str:
        return (text if final else text.removesuffix("\n")).replace("\n", ending)

    ours, theirs = MODELS + "    from .y import Y\n", MODELS + "    from .z import Z\n"
    expected = MODELS + "    from .y import Y\n    from .z import Z\n"
    path = f"{LIB}/models/transformers/__init__.py"
    assert merged(path, shaped(MODELS), shaped(ours), shaped(theirs)) == Merged(shaped(expected))


def test_line_ends_that_one_side_changes() -> None:
    ours, theirs = MODELS.replace("\n", "\r\n"), MODELS + "    from .z import Z\n"
    path = f"{LIB}/models/transformers/__init__.py"
    for mine, other in ((ours, theirs), (theirs, ours)):
        assert merged(path, MODELS, mine, other) == Merged(theirs.replace("\n", "\r\n"))


def test_letters_beyond_ascii_and_form_feeds() -> None:
    base = f'"""Größe\x0c und mehr."""\n\n{MODELS}'
    ours, theirs = base + "    from .y import Y\n", base + "    from .z import Z\n"
    check_merge(f"{LIB}/models/transformers/__init__.py", base, ours, theirs, ours + "    from .z import Z\n")


def test_a_file_that_both_sides_add() -> None:
    ours, theirs = MODELS + "    from .y import Y\n", MODELS + "    from .z import Z\n"
    path = f"{LIB}/models/transformers/__init__.py"
    assert merged(path, "", ours, theirs) == Merged(ours + "    from .z import Z\n")
