"""Shapes that only some checkouts have: what is right in them is no finding."""

from __future__ import annotations

from scaffold_model.audit import View
from scaffold_model.audit import dummies as audit_dummies
from scaffold_model.audit import inits as audit_inits
from scaffold_model.audit import mappings as audit_mappings
from scaffold_model.plan import Finding
from scaffold_model.registries.dummy_objects import CLASS
from scaffold_model.snapshot import Snapshot

SRC = "src/diffusers"


def guarded(guard: str, structure: str, types: str) -> str:
    """A lazy init with one guard in both halves."""
    body = (
        "{indent}try:\n{indent}    if not ({guard}):\n{indent}        raise OptionalDependencyNotAvailable()\n"
        "{indent}except OptionalDependencyNotAvailable:\n{indent}    pass\n{indent}else:\n"
    )
    upper, lower = (body.replace("{indent}", " " * width).replace("{guard}", guard) for width in (0, 4))
    rows = "".join(f"    {row}\n" for row in structure.split("\n"))
    return f"_import_structure = {{}}\n\n{upper}{rows}\nif TYPE_CHECKING or DIFFUSERS_SLOW_IMPORT:\n{lower}        {types}\n"


def test_a_condition_beside_the_backends_has_no_part_in_the_name_of_the_placeholders() -> None:
    init = guarded(
        "is_flax_available() and is_transformers_flax_compatible()",
        '_import_structure["pipelines"] = ["FooPipeline"]',
        "from .pipelines import FooPipeline",
    )
    dummy = CLASS.format(name="FooPipeline", backends='["flax"]')
    texts = {f"{SRC}/__init__.py": init, f"{SRC}/utils/dummy_flax_objects.py": dummy}
    assert list(audit_dummies.check(View(Snapshot(None, texts)), set())) == []
    stray = f"{SRC}/utils/dummy_flax_and_transformers_flax_compatible_objects.py"
    found = [each.finding for each in audit_dummies.check(View(Snapshot(None, {**texts, stray: dummy})), set())]
    message = f"a second placeholder of FooPipeline: it belongs in {SRC}/utils/dummy_flax_objects.py"
    assert found == [Finding("dummy_objects", "FooPipeline", stray, 1, message, "warning", True)]


def test_a_class_that_is_listed_under_another_package_too_is_not_missing_from_that_one() -> None:
    torch = "is_torch_available()"
    texts = {
        f"{SRC}/__init__.py": guarded(
            torch, '_import_structure["pipelines"] = ["FooPipeline"]', "from .pipelines import FooPipeline"
        ),
        f"{SRC}/pipelines/__init__.py": guarded(
            torch,
            '_import_structure["bar"] = ["BarPipeline", "FooPipeline"]\n_import_structure["foo"] = ["FooPipeline"]',
            "from .foo import FooPipeline",
        ),
        f"{SRC}/pipelines/bar/__init__.py": guarded(
            torch, '_import_structure["pipeline_bar"] = ["BarPipeline"]', "from .pipeline_bar import BarPipeline"
        ),
        f"{SRC}/pipelines/foo/__init__.py": guarded(
            torch, '_import_structure["pipeline_foo"] = ["FooPipeline"]', "from .pipeline_foo import FooPipeline"
        ),
        f"{SRC}/pipelines/foo/pipeline_foo.py": "class FooPipeline(DiffusionPipeline):\n    pass\n",
        f"{SRC}/pipelines/bar/pipeline_bar.py": "class BarPipeline(DiffusionPipeline):\n    pass\n",
    }
    found = [each.finding for each in audit_inits.check(View(Snapshot(None, texts)))]
    assert [(each.path, each.message) for each in found if each.object == "FooPipeline"] == [
        (f"{SRC}/pipelines/__init__.py", "FooPipeline is a duplicate: already in line 9")
    ]


def test_a_gap_of_the_single_files_is_one_of_the_class_and_none_of_its_alias_in_an_older_module() -> None:
    real = f"{SRC}/models/controlnets/controlnet_foo.py"
    texts = {
        f"{SRC}/__init__.py": "_import_structure = {}\n",
        f"{SRC}/loaders/single_file_model.py": 'SINGLE_FILE_LOADABLE_CLASSES = {\n    "BarModel": {},\n}\n',
        f"{SRC}/models/bar.py": "class BarModel(ModelMixin, FromOriginalModelMixin):\n    pass\n",
        real: "class FooControlNet(ModelMixin, FromOriginalModelMixin):\n    pass\n",
        f"{SRC}/models/controlnet_foo.py": "class FooControlNet(FooControlNet):\n    pass\n",
        f"{SRC}/hooks/__init__.py": "if is_torch_available():\n    from .foo import FooConfig\n",
    }
    found = [each.finding for each in audit_mappings.check(View(Snapshot(None, texts)))]
    assert [(each.object, each.path, each.severity) for each in found] == [("FooControlNet", real, "hint")]
