from __future__ import annotations

import registry_checks as checks

from scaffold_model.conventions import detect
from scaffold_model.plan import Export
from scaffold_model.registries import peft_scale
from scaffold_model.snapshot import Snapshot

PATH = "src/diffusers/models/foo.py"
EXPORT = Export("FooModel", PATH, "model", ("torch",))
MODEL = "class FooModel(ModelMixin, PeftAdapterMixin):\n    pass\n"


def entries(mapping: str, model: str = MODEL) -> list[str]:
    snapshot = Snapshot(None, {PATH: model, peft_scale.PATH: mapping})
    return [entry.object for entry in peft_scale.entries(EXPORT, detect(snapshot), snapshot)]


def test_only_models_that_take_a_lora_and_only_where_all_of_them_are_listed() -> None:
    before = checks.example("peft_scale").before
    assert entries(before) == ["FooModel"]
    assert entries(before, "class FooModel(ModelMixin):\n    pass\n") == []
    default = (
        "_SET_ADAPTER_SCALE_FN_MAPPING = defaultdict(\n    lambda: (lambda model_cls, weights: weights),\n"
        '    {\n        "BarUNet": _maybe_expand_lora_scales,\n    },\n)\n'
    )
    assert entries(default) == []
