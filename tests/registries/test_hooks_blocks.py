from __future__ import annotations

import pytest
import registry_checks as checks

from scaffold_model.conventions import detect
from scaffold_model.errors import AnchorNotFound
from scaffold_model.plan import Export
from scaffold_model.registries import hooks_blocks
from scaffold_model.snapshot import Snapshot

PATH = "src/diffusers/models/transformers/transformer_foo.py"
MODEL = """\
class FooRefinerBlock(nn.Module):
    def forward(self):
        return hidden_states


class FooRefiner(nn.Module):
    def __init__(self):
        self.blocks = [FooRefinerBlock()]


class FooBlock(nn.Module):
    def forward(self):
        return encoder_hidden_states, hidden_states


class FooSingleBlock(nn.Module):
    def forward(self):
        return hidden_states


class FooModel(ModelMixin):
    def __init__(self):
        self.refiner = FooRefiner()
        self.blocks = [FooBlock()]
        self.single = [FooSingleBlock()]
"""


def test_the_blocks_that_a_model_is_made_of_and_where_its_hidden_states_are() -> None:
    snapshot = Snapshot(None, {PATH: MODEL, hooks_blocks.PATH: checks.example("hooks_blocks").before})
    export = Export("FooModel", PATH, "model", ("torch",))
    found = hooks_blocks.entries(export, detect(snapshot), snapshot)
    assert [(entry.object, entry.key, entry.value) for entry in found] == [
        ("FooBlock", "models.transformers.transformer_foo", "1,0"),
        ("FooSingleBlock", "models.transformers.transformer_foo", "0,None"),
    ]


def test_a_checkout_without_the_registry_has_no_entries_and_an_empty_one_no_anchor() -> None:
    snapshot = Snapshot(None, {PATH: MODEL})
    export = Export("FooModel", PATH, "model", ("torch",))
    assert list(hooks_blocks.entries(export, detect(snapshot), snapshot)) == []
    with pytest.raises(AnchorNotFound):
        hooks_blocks.insert("x = 1\n", checks.example("hooks_blocks").entry)


def test_a_second_block_of_a_module_joins_its_import() -> None:
    shown = checks.example("hooks_blocks")
    entry = checks.replaced(shown.entry, object="BarSingleBlock", key="models.bar", value="0,None")
    after = hooks_blocks.insert(shown.before, entry)
    assert "    from ..models.bar import BarBlock, BarSingleBlock\n" in after
    assert hooks_blocks.remove(after, entry) == shown.before
