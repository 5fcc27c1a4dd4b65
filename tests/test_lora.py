"""The LoRA mixin: composed by us, with bodies from the checkout."""

from __future__ import annotations

import ast
import difflib
import os
import subprocess
from pathlib import Path

import pytest
from conftest import clone_of

from scaffold_model.errors import AnchorNotFound, CopySourceError
from scaffold_model.lora import LORA_PIPELINE, PEFT, Wanted, add_lora_mixin
from scaffold_model.plan import Edit
from scaffold_model.snapshot import Snapshot

# The shape of the real module: a mixin that converts, one to copy from, one that copies, one with two components, and
# a deprecated class at the end.
MIXINS = """\
from .lora_base import LoraBaseMixin, fetch


TRANSFORMER_NAME = "transformer"


class TwoLoraLoaderMixin(LoraBaseMixin):
    _lora_loadable_modules = ["transformer", "text_encoder"]

    def load(self, a, b):
        return fetch(a, b)


class BarLoraLoaderMixin(LoraBaseMixin):
    _lora_loadable_modules = ["transformer"]

    @classmethod
    def state(cls, path):
        return fetch(path)

    # Copied from diffusers.loaders.lora_pipeline.GoneLoraLoaderMixin.load
    def load(self, path):
        return self.state(path)


class QuuxLoraLoaderMixin(LoraBaseMixin):
    _lora_loadable_modules = ["transformer"]

    @classmethod
    # Copied from diffusers.loaders.lora_pipeline.BarLoraLoaderMixin.state with BarTransformer3DModel->QuuxTransformer2DModel
    def state(cls, path):
        return fetch(path)

    def load(self, path):
        return self.state(path)

    def only_here(self):
        pass


class ZapLoraLoaderMixin(LoraBaseMixin):
    _lora_loadable_modules = ["transformer"]

    @classmethod
    def state(cls, path):
        return _convert_zap(fetch(path))

    # Copied from diffusers.loaders.lora_pipeline.QuuxLoraLoaderMixin.load
    def load(self, path):
        return self.state(path)


class LoraLoaderMixin(TwoLoraLoaderMixin):
    pass
"""
ADDED = '''\
class FooLoraLoaderMixin(LoraBaseMixin):
    r"""
    Load LoRA layers into [`FooTransformer2DModel`]. Specific to the Foo One pipelines.
    """

    _lora_loadable_modules = ["transformer"]
    transformer_name = TRANSFORMER_NAME

    @classmethod
    # Copied from diffusers.loaders.lora_pipeline.BarLoraLoaderMixin.state with BarTransformer3DModel->FooTransformer2DModel
    def state(cls, path):
        return fetch(path)

    # Copied from diffusers.loaders.lora_pipeline.QuuxLoraLoaderMixin.load
    def load(self, path):
        return self.state(path)


'''
TABLE = """\
_SET_ADAPTER_SCALE_FN_MAPPING = {
    "BarTransformer2DModel": lambda model_cls, weights: weights,
}
"""
DEFAULTING = """\
_SET_ADAPTER_SCALE_FN_MAPPING = defaultdict(
    lambda: (lambda model_cls, weights: weights),
    {"UNet2DConditionModel": expand},
)
"""


def edits_of(mixins: str = MIXINS, table: str = TABLE, model: str = "FooTransformer2DModel") -> list[Edit]:
    snapshot = Snapshot(None, {LORA_PIPELINE: mixins, PEFT: table})
    return add_lora_mixin(snapshot, Wanted("foo", "Foo", model, "Foo One"))


def added_lines(edit: Edit) -> list[str]:
    """The lines that an edit adds; it must not remove any."""
    difference = list(difflib.ndiff(edit.before.splitlines(), edit.after.splitlines()))
    assert [line for line in difference if line.startswith("- ")] == []
    return [line[2:] for line in difference if line.startswith("+ ")]


def test_the_mixin_stands_before_the_deprecated_class() -> None:
    mixins, table = edits_of()
    head, tail = MIXINS.split("class LoraLoaderMixin(")
    assert mixins == Edit(LORA_PIPELINE, MIXINS, f"{head}{ADDED}class LoraLoaderMixin({tail}")
    row = '    "FooTransformer2DModel": lambda model_cls, weights: weights,\n'
    assert table == Edit(PEFT, TABLE, TABLE.replace("}\n", f"{row}}}\n"))


def test_a_second_run_changes_nothing() -> None:
    mixins, table = edits_of()
    assert edits_of(mixins.after, table.after) == []


def test_the_model_is_that_of_the_modality() -> None:
    image, audio = edits_of(), edits_of(model="FooTransformer1DModel")
    assert [edit.after.replace("FooTransformer1D", "FooTransformer2D") for edit in audio] == [
        edit.after for edit in image
    ]
    assert all("FooTransformer2D" not in edit.after for edit in audio)


def test_without_a_deprecated_class_it_stands_at_the_end() -> None:
    (mixins, _) = edits_of(MIXINS.split("\n\nclass LoraLoaderMixin(")[0])
    assert mixins.after == MIXINS.split("class LoraLoaderMixin(")[0] + ADDED.rstrip("\n") + "\n"


def test_a_table_with_a_default_needs_no_row() -> None:
    assert [edit.path for edit in edits_of(table=DEFAULTING)] == [LORA_PIPELINE]
    assert [edit.path for edit in edits_of(table="")] == [LORA_PIPELINE]


def test_a_long_docstring_is_wrapped() -> None:
    snapshot = Snapshot(None, {LORA_PIPELINE: MIXINS, PEFT: TABLE})
    prefix = "MyVeryLongModelNameV15"
    wanted = Wanted(
        "my_very_long_model_name_v15", prefix, f"{prefix}Transformer2DModel", "My Very Long Model Name V15"
    )
    edit = add_lora_mixin(snapshot, wanted)[0]
    docstring = [line for line in added_lines(edit) if "Copied from" not in line][:5]
    assert docstring[2:4] == [
        "    Load LoRA layers into [`MyVeryLongModelNameV15Transformer2DModel`]. Specific to the My Very Long Model Name V15",
        "    pipelines.",
    ]
    assert max(map(len, docstring)) <= 119


READERS = """\
from .lora_base import LoraBaseMixin, fetch


TRANSFORMER_NAME = "transformer"


class BarLoraLoaderMixin(LoraBaseMixin):
    _lora_loadable_modules = ["transformer"]

    @classmethod
    def lora_state_dict(cls, path):
        state_dict, metadata = fetch(path)
        out = (state_dict, metadata)
        return out


class QuuxLoraLoaderMixin(LoraBaseMixin):
    _lora_loadable_modules = ["transformer"]

    @classmethod
    # Copied from diffusers.loaders.lora_pipeline.BarLoraLoaderMixin.lora_state_dict
    def lora_state_dict(cls, path):
        state_dict, metadata = fetch(path)
        out = (state_dict, metadata)
        return out


class ZapLoraLoaderMixin(LoraBaseMixin):
    _lora_loadable_modules = ["transformer"]

    @classmethod
    def lora_state_dict(cls, path):
        state_dict, metadata = _convert_zap(fetch(path))
        out = (state_dict, metadata)
        return out
"""
ZAP = "class ZapPipeline(DiffusionPipeline, FromSingleFileMixin, ZapLoraLoaderMixin):\n    pass\n"


@pytest.mark.parametrize(("single_file", "others"), [(False, ZAP), (True, ""), (True, ZAP)])
def test_the_place_for_other_layouts_is_marked(single_file: bool, others: str) -> None:
    files = {LORA_PIPELINE: READERS, PEFT: TABLE, "src/diffusers/pipelines/zap/pipeline_zap.py": others}
    wanted = Wanted("foo", "Foo", "FooTransformer2DModel", "Foo", single_file)
    added = add_lora_mixin(Snapshot(None, files), wanted)[0].after.removeprefix(READERS)
    body = added.split("transformer_name = TRANSFORMER_NAME\n\n")[1]
    if single_file and others:
        # As those do whose pipelines load original checkpoints: written out, so that something can be added.
        assert body == (
            "    @classmethod\n"
            "    def lora_state_dict(cls, path):\n"
            "        state_dict, metadata = fetch(path)\n"
            "        # TODO(foo): convert LoRAs in the layout of the original checkpoints here, if there are any.\n"
            "        out = (state_dict, metadata)\n"
            "        return out\n"
        )
    else:
        assert body == (
            "    # TODO(foo): LoRAs in other layouts than that of diffusers are not read; if there are any, drop the header of this\n"
            "    # method and convert them in it.\n"
            "    @classmethod\n"
            "    # Copied from diffusers.loaders.lora_pipeline.BarLoraLoaderMixin.lora_state_dict\n"
            "    def lora_state_dict(cls, path):\n"
            "        state_dict, metadata = fetch(path)\n"
            "        out = (state_dict, metadata)\n"
            "        return out\n"
        )


def test_renames_of_components_stay() -> None:
    mixins = MIXINS.replace(
        "BarLoraLoaderMixin.state with BarTransformer3DModel->QuuxTransformer2DModel",
        "BarLoraLoaderMixin.state with unet->transformer, BarTransformer3DModel->QuuxTransformer2DModel, Bar->Quux",
    )
    assert "BarLoraLoaderMixin.state with unet->transformer, BarTransformer3DModel->FooTransformer2DModel\n" in (
        edits_of(mixins)[0].after
    )


def test_line_ends_are_kept() -> None:
    for edit in edits_of(MIXINS.replace("\n", "\r\n"), TABLE.replace("\n", "\r\n")):
        assert "\n" not in edit.after.replace("\r\n", "")


@pytest.mark.parametrize(
    ("mixins", "table", "error", "message"),
    [
        ("x = 1\n", TABLE, AnchorNotFound, "a class that derives from LoraBaseMixin was not found"),
        (MIXINS.replace("TRANSFORMER_NAME =", "NAME ="), TABLE, AnchorNotFound, "TRANSFORMER_NAME was not found"),
        (MIXINS.replace('["transformer"]', '["unet"]'), TABLE, CopySourceError, "no mixin for a lone transformer"),
        (MIXINS.replace("fetch(path)", "_convert_x(path)"), TABLE, CopySourceError, "that could be copied"),
        (MIXINS, "_SET_ADAPTER_SCALE_FN_MAPPING = make()\n", AnchorNotFound, "as a dictionary was not found"),
        (MIXINS, '_SET_ADAPTER_SCALE_FN_MAPPING = {"A": f}\n', AnchorNotFound, "with one row a line was not found"),
    ],
)
def test_refusals(mixins: str, table: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        edits_of(mixins, table)


# The checkout itself.

METHODS = [
    "lora_state_dict",
    "load_lora_weights",
    "load_lora_into_transformer",
    "save_lora_weights",
    "fuse_lora",
    "unfuse_lora",
]


def mixin_of(text: str) -> ast.ClassDef:
    return next(
        node for node in ast.parse(text).body if isinstance(node, ast.ClassDef) and node.name == "FooLoraLoaderMixin"
    )


# Trees from before and after the table of scales got its default, and from before `X | None` hints.
@pytest.mark.checkout
@pytest.mark.parametrize(("until", "rows"), [("HEAD", 0), ("2026-03-01", 1), ("2025-08-01", 1)])
def test_real_checkouts_of_several_ages(
    pristine: Path, tmp_path: Path, pinned_ruff: str, until: str, rows: int
) -> None:
    revision = until
    if until != "HEAD":
        command = ["git", "-C", str(pristine), "rev-list", "-1", f"--before={until}", "HEAD"]
        revision = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
        if not revision:
            pytest.skip(f"the clone has no history of {until}")
    checkout = clone_of(pristine, tmp_path / "diffusers", revision)
    snapshot = Snapshot(checkout)
    wanted = Wanted("foo", "Foo", "FooTransformer2DModel", "Foo")
    edits = add_lora_mixin(snapshot, wanted)
    assert [edit.path for edit in edits] == [LORA_PIPELINE, PEFT][: 1 + rows]
    assert all(added_lines(edit) for edit in edits)
    assert add_lora_mixin(snapshot.overlaid({edit.path: edit.after for edit in edits}), wanted) == []

    methods = [node.name for node in mixin_of(edits[0].after).body if isinstance(node, ast.FunctionDef)]
    assert methods == METHODS
    assert "CogVideoX" not in ast.unparse(mixin_of(edits[0].after))
    for edit in edits:
        (checkout / edit.path).write_text(edit.after, encoding="utf-8")
    # The script calls `ruff` by name.
    environment = {**os.environ, "PATH": f"{Path(pinned_ruff).parent}{os.pathsep}{os.environ['PATH']}"}
    code = (
        "import sys; sys.path.insert(0, 'utils'); import check_copies\n"
        f"assert check_copies.is_copy_consistent('{LORA_PIPELINE}') == []"
    )
    subprocess.run(["python3", "-c", code], cwd=checkout, check=True, env=environment)
    subprocess.run([pinned_ruff, "check", "--quiet", "src/diffusers/loaders"], cwd=checkout, check=True)
    subprocess.run([pinned_ruff, "format", "--check", "--quiet", "src/diffusers/loaders"], cwd=checkout, check=True)
