from __future__ import annotations

import registry_checks as checks

from scaffold_model.conventions import detect
from scaffold_model.plan import Export
from scaffold_model.registries import single_file
from scaffold_model.snapshot import Snapshot

PATH = "src/diffusers/models/transformers/transformer_foo.py"
EXPORT = Export("FooModel", PATH, "model", ("torch",))
MODEL = "class FooModel(ModelMixin, FromOriginalModelMixin):\n    pass\n"


def entries(utils: str, model: str = MODEL) -> list[tuple[str, str]]:
    files = {PATH: model, single_file.UTILS: utils, single_file.PATH: checks.example("single_file").before}
    snapshot = Snapshot(None, files)
    found = single_file.entries(EXPORT, detect(snapshot), snapshot)
    return [(entry.text_key, entry.value) for entry in found]


def test_the_conversion_is_the_function_that_is_called_like_the_model() -> None:
    conversion = "def convert_foo_transformer_checkpoint_to_diffusers(checkpoint):\n    pass\n"
    assert entries(conversion) == [("transformer", "convert_foo_transformer_checkpoint_to_diffusers")]
    assert entries("def convert_bar_to_diffusers(checkpoint):\n    pass\n") == [("transformer", "")]
    longer = "def convert_foo_bar_transformer_to_diffusers(checkpoint):\n    pass\n"
    assert entries(longer + conversion) == [("transformer", "convert_foo_transformer_checkpoint_to_diffusers")]
    assert entries(conversion, "class FooModel(ModelMixin):\n    pass\n") == []


def test_a_class_without_a_conversion_takes_the_checkpoint_as_it_is() -> None:
    shown = checks.example("single_file")
    entry = checks.replaced(shown.entry, key="", value="")
    row = '    "FooModel": {\n        "checkpoint_mapping_fn": lambda checkpoint, **kwargs: checkpoint,\n    },\n}\n'
    checks.check(single_file, shown.before, entry, shown.before.removesuffix("}\n") + row)
