"""What `--single-file` adds to the loaders: composed from the conversion script, and behind the families that are there."""

from __future__ import annotations

import ast
import difflib
import subprocess
from pathlib import Path

import pytest
from conftest import clone_of

from scaffold_model.errors import AnchorNotFound, BadInput, BrokenFile
from scaffold_model.plan import Edit
from scaffold_model.single_file_utils import DETECTION, KEYS, PATHS, UTILS, add_single_file, remove_single_file
from scaffold_model.snapshot import Snapshot
from scaffold_model.spec import ModelSpec

SCRIPT_PATH = "scripts/convert_foo_bar_to_diffusers.py"
SPEC = ModelSpec("foo_bar", single_file="yes", hub_repo="org/foo")

# The shape of the real module.
BEFORE = """\
import re

CHECKPOINT_KEY_NAMES = {
    "v1": "model.diffusion_model.out",
    "bar": [
        "model.diffusion_model.blocks.0.attn.weight",
        "blocks.0.attn.weight",
    ],
}

DIFFUSERS_DEFAULT_PIPELINE_PATHS = {
    "v1": {"pretrained_model_name_or_path": "org/v1"},
    "bar": {
        "pretrained_model_name_or_path": "org/bar",
    },
}


def infer_diffusers_model_type(checkpoint):
    if CHECKPOINT_KEY_NAMES["v1"] in checkpoint and checkpoint[CHECKPOINT_KEY_NAMES["v1"]].shape[0] == 9:
        model_type = "v1-inpainting"

    elif any(key in checkpoint for key in CHECKPOINT_KEY_NAMES["bar"]):
        model_type = "bar"

    else:
        model_type = "v1"

    return model_type


def convert_bar_to_diffusers(checkpoint, **kwargs):
    return checkpoint
"""
AFTER = """\
import re

CHECKPOINT_KEY_NAMES = {
    "v1": "model.diffusion_model.out",
    "bar": [
        "model.diffusion_model.blocks.0.attn.weight",
        "blocks.0.attn.weight",
    ],
    # TODO(foo_bar): name a key that no original checkpoint of another model has.
    "foo-bar": ["model.diffusion_model.blocks.0.qkv.weight", "blocks.0.qkv.weight"],
}

DIFFUSERS_DEFAULT_PIPELINE_PATHS = {
    "v1": {"pretrained_model_name_or_path": "org/v1"},
    "bar": {
        "pretrained_model_name_or_path": "org/bar",
    },
    "foo-bar": {"pretrained_model_name_or_path": "org/foo"},
}


def infer_diffusers_model_type(checkpoint):
    if CHECKPOINT_KEY_NAMES["v1"] in checkpoint and checkpoint[CHECKPOINT_KEY_NAMES["v1"]].shape[0] == 9:
        model_type = "v1-inpainting"

    elif any(key in checkpoint for key in CHECKPOINT_KEY_NAMES["bar"]):
        model_type = "bar"

    elif any(key in checkpoint for key in CHECKPOINT_KEY_NAMES["foo-bar"]):
        model_type = "foo-bar"

    else:
        model_type = "v1"

    return model_type


def convert_bar_to_diffusers(checkpoint, **kwargs):
    return checkpoint


def convert_foo_bar_transformer_checkpoint_to_diffusers(checkpoint, **kwargs):
    def split(tensor, parts=2):
        # One matrix, “fused”.
        return tensor.chunk(parts)

    # TODO(foo_bar): describe the original checkpoint, as in `scripts/convert_foo_bar_to_diffusers.py`.
    TRANSFORMER_KEYS_RENAME_DICT = {
        # Embeddings
        r"t_embedder\\.mlp\\.0\\.(\\w+)": "time_embedder.{0}",
        r"blocks\\.(\\d+)\\.qkv\\.(\\w+)": (split, ["blocks.{0}.to_q.{1}", "blocks.{0}.to_k.{1}"]),
    }

    converted_state_dict = {}

    for original_key in list(checkpoint.keys()):
        for pattern, target in TRANSFORMER_KEYS_RENAME_DICT.items():
            match = re.fullmatch(pattern, original_key.removeprefix("model.diffusion_model."))
            if match is not None:
                break
        else:
            # The weights of other components, which load them from the same checkpoint.
            continue

        tensor = checkpoint.pop(original_key)
        if isinstance(target, str):
            converted_state_dict[target.format(*match.groups())] = tensor
        else:
            function, keys = target
            # The parts of a split tensor share its memory, which safetensors refuses to save.
            tensors = [part.clone() for part in function(tensor)]
            converted_state_dict.update(zip((key.format(*match.groups()) for key in keys), tensors))

    return converted_state_dict
"""
SCRIPT = """\
import torch


def split(
    tensor: "torch.Tensor",  parts: int = 2
) -> tuple[torch.Tensor, ...]:
    # One matrix, “fused”.
    return tensor.chunk(parts)


def unused(tensor):
    return tensor


# TODO(foo_bar): describe the original checkpoint.
TRANSFORMER_KEYS: dict[str, str | tuple[Callable, list[str]]] = {
    # Embeddings
    r"t_embedder\\.mlp\\.0\\.(\\w+)": "time_embedder.{0}",
    r"blocks\\.(\\d+)\\.qkv\\.(\\w+)": (
        split, ["blocks.{0}.to_q.{1}", "blocks.{0}.to_k.{1}"]
    ),
}
"""


def edits_of(utils: str = BEFORE, script: str = SCRIPT, spec: ModelSpec = SPEC) -> list[Edit]:
    return add_single_file(Snapshot(None, {UTILS: utils, SCRIPT_PATH: script}), spec, None)


def changed_lines(before: str, after: str, sign: str) -> list[str]:
    """The lines that an edit adds (``+``) or takes out (``-``)."""
    difference = difflib.unified_diff(before.split("\n"), after.split("\n"), n=0)
    return [line[1:] for line in difference if line.startswith(sign) and not line.startswith(sign * 3)]


def test_every_part_goes_behind_the_families_that_are_there_and_out_again() -> None:
    assert edits_of() == [Edit(UTILS, BEFORE, AFTER)]
    assert remove_single_file(AFTER, SPEC) == BEFORE
    assert remove_single_file(BEFORE, SPEC) == BEFORE


def test_a_second_run_changes_nothing_and_needs_no_script() -> None:
    assert add_single_file(Snapshot(None, {UTILS: AFTER}), SPEC, None) == []


def test_only_what_is_missing_is_added() -> None:
    path = '    "foo-bar": {"pretrained_model_name_or_path": "org/foo"},\n'
    branch = '    elif any(key in checkpoint for key in CHECKPOINT_KEY_NAMES["foo-bar"]):\n        model_type = "foo-bar"\n\n'
    for part in (path, branch):
        incomplete = AFTER.replace(part, "")
        assert incomplete != AFTER
        assert edits_of(incomplete) == [Edit(UTILS, incomplete, AFTER)]


def test_a_finer_condition_of_the_contributor_is_left() -> None:
    finer = AFTER.replace(
        'elif any(key in checkpoint for key in CHECKPOINT_KEY_NAMES["foo-bar"]):\n        model_type = "foo-bar"',
        'elif CHECKPOINT_KEY_NAMES["foo-bar"][0] in checkpoint:\n        model_type = "foo-bar-large"',
    )
    assert finer != AFTER
    assert edits_of(finer) == []


def test_line_ends_are_kept() -> None:
    (edit,) = edits_of(BEFORE.replace("\n", "\r\n"))
    assert edit.after == AFTER.replace("\n", "\r\n")


def test_long_rows_are_broken_as_the_formatter_would() -> None:
    repository = f"org/{'x' * 60}"
    (edit,) = edits_of(spec=ModelSpec("foo_bar", single_file="yes", hub_repo=repository, line_length=80))
    keys = [f'        "{prefix}blocks.0.qkv.weight",' for prefix in ("model.diffusion_model.", "")]
    todo = ["    # TODO(foo_bar): name a key that no original checkpoint of another model", "    # has."]
    path = ['    "foo-bar": {', f'        "pretrained_model_name_or_path": "{repository}",', "    },"]
    assert "\n".join([*todo, '    "foo-bar": [', *keys, "    ],", "}"]) in edit.after
    assert "\n".join([*path, "}"]) in edit.after
    assert changed_lines(BEFORE, edit.after, "-") == []


def test_a_model_without_blocks_is_told_by_its_first_plain_key() -> None:
    (edit,) = edits_of(script=SCRIPT.replace(r"blocks\.(\d+)", "block"))
    assert '"model.diffusion_model.t_embedder.mlp.0.weight", "t_embedder.mlp.0.weight"' in edit.after


@pytest.mark.parametrize(
    ("utils", "script", "error", "message"),
    [
        (BEFORE.replace(KEYS, "NAMES"), SCRIPT, AnchorNotFound, f"{UTILS}: {KEYS} was not found"),
        (BEFORE.replace(PATHS, "P"), SCRIPT, AnchorNotFound, f"{UTILS}: {PATHS} was not found"),
        (BEFORE.replace(DETECTION, "infer"), SCRIPT, AnchorNotFound, f"{UTILS}: an if with an else in {DETECTION}"),
        (
            BEFORE,
            SCRIPT.replace("_KEYS:", "_NAMES:"),
            AnchorNotFound,
            f"{SCRIPT_PATH}: TRANSFORMER_KEYS was not found",
        ),
        (BEFORE, "TRANSFORMER_KEYS = {}\n", AnchorNotFound, f"{SCRIPT_PATH}: a plain key in TRANSFORMER_KEYS"),
        (BEFORE + "(\n", SCRIPT, BrokenFile, f"{UTILS}: syntax error"),
        (BEFORE.replace('"v1": ', '"foo-bar": '), SCRIPT, BadInput, f"{UTILS}: {KEYS} has a foo-bar already; choose"),
        (
            BEFORE.replace("0.attn", "0.qkv"),
            SCRIPT,
            BadInput,
            f"{UTILS}: blocks.0.qkv.weight tells the checkpoints of bar, for which those of foo_bar would be taken; give",
        ),
    ],
)
def test_refusals(utils: str, script: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        edits_of(utils, script)
    assert caught.value.line.startswith(message)  # type: ignore[attr-defined]


@pytest.mark.parametrize("path", [UTILS, SCRIPT_PATH])
def test_a_missing_file_is_named(path: str) -> None:
    files = {UTILS: BEFORE, SCRIPT_PATH: SCRIPT}
    del files[path]
    with pytest.raises(AnchorNotFound, match="the file was not found"):
        add_single_file(Snapshot(None, files), SPEC, None)


# The checkout itself.


# Trees in which other families are the last ones.
@pytest.mark.checkout
@pytest.mark.parametrize("until", ["HEAD", "2026-03-01", "2025-08-01"])
def test_real_checkouts_of_several_ages(pristine: Path, tmp_path: Path, pinned_ruff: str, until: str) -> None:
    revision = until
    if until != "HEAD":
        command = ["git", "-C", str(pristine), "rev-list", "-1", f"--before={until}", "HEAD"]
        revision = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
        if not revision:
            pytest.skip(f"the clone has no history of {until}")
    checkout = clone_of(pristine, tmp_path / "diffusers", revision)
    snapshot = Snapshot(checkout).overlaid({SCRIPT_PATH: SCRIPT})
    (edit,) = add_single_file(snapshot, SPEC, pinned_ruff)
    assert edit.before == (checkout / UTILS).read_text(encoding="utf-8")
    assert add_single_file(snapshot.overlaid({UTILS: edit.after}), SPEC, pinned_ruff) == []
    assert remove_single_file(edit.after, SPEC) == edit.before

    # What is added there is what is added to the small module.
    assert changed_lines(edit.before, edit.after, "+") == changed_lines(BEFORE, AFTER, "+")
    assert changed_lines(edit.before, edit.after, "-") == []
    last = ast.parse(edit.after).body[-1]
    assert isinstance(last, ast.FunctionDef)
    assert last.name == "convert_foo_bar_transformer_checkpoint_to_diffusers"
    (checkout / UTILS).write_text(edit.after, encoding="utf-8")
    subprocess.run([pinned_ruff, "check", "--quiet", UTILS], cwd=checkout, check=True)
    subprocess.run([pinned_ruff, "format", "--check", "--quiet", UTILS], cwd=checkout, check=True)
