from __future__ import annotations

import registry_checks as checks

from scaffold_model.conventions import detect
from scaffold_model.plan import Export
from scaffold_model.registries import hooks_processors
from scaffold_model.snapshot import Snapshot

PATH = "src/diffusers/models/transformers/transformer_foo.py"


def test_the_processors_of_a_model_and_what_they_return() -> None:
    model = (
        "class FooAttnProcessor2_0:\n    def __call__(self):\n        return hidden_states\n\n\n"
        "class FooJointAttnProcessor:\n    def __call__(self):\n        return hidden_states, encoder_hidden_states\n\n\n"
        "class FooModel(ModelMixin):\n    pass\n"
    )
    snapshot = Snapshot(None, {PATH: model, hooks_processors.PATH: checks.example("hooks_processors").before})
    found = hooks_processors.entries(Export("FooModel", PATH, "model", ("torch",)), detect(snapshot), snapshot)
    assert [(entry.object, entry.value) for entry in found] == [
        ("FooAttnProcessor2_0", "hidden_states"),
        ("FooJointAttnProcessor", "hidden_states___encoder_hidden_states"),
    ]


def test_a_call_that_somebody_is_about_to_write_lists_nothing() -> None:
    before = checks.example("hooks_processors").before
    start = before.index("    AttentionProcessorRegistry.register(")
    unfinished = before[:start] + "    AttentionProcessorRegistry.register()\n" + before[start:]
    shown = [(item.object, item.value) for item in hooks_processors.listed(before)]
    assert [(item.object, item.value) for item in hooks_processors.listed(unfinished)] == shown
