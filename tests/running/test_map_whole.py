"""The running half as a whole: a harness with the checkpoint, with one in other words, and with a larger one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import map_twins as twins
import pytest
import torch
from safetensors.torch import save_file

from scaffold_model.parity.running import map as running
from scaffold_model.parity.running.errors import RunningError

HARNESS = """
import map_twins as twins

LAYOUT = twins.LAYOUTS["fused qkv, grouped"][0]
WORDS = {words!r}


class Reference(twins.Laid):
    def state_dict(self, *args, **kwargs):
        state = super().state_dict()
        return {{".".join(WORDS.get(word, word) for word in key.split(".")): state[key] for key in state}}


def target():
    return twins.TwinTransformer(num_key_value_heads=1)


_made = twins.harness(lambda: Reference(target(), *LAYOUT), target)
build_reference, build_target, make_inputs = _made.build_reference, _made.build_target, _made.make_inputs
run_reference, run_target = _made.run_reference, _made.run_target
"""


def request(folder: Path, words: dict[str, str], checkpoint: dict[str, torch.Tensor], **config: Any) -> dict[str, Any]:
    harness = folder / "harness.py"
    harness.write_text(HARNESS.format(words=words))
    save_file({key: value.contiguous() for key, value in checkpoint.items()}, folder / "model.safetensors")
    asked = {"weights": str(folder / "model.safetensors"), "harness": str(harness), "script": "convert.py"}
    if config:
        (folder / "config.json").write_text(json.dumps(config))
        return {**asked, "against": "map_twins:TwinTransformer", "config": str(folder / "config.json")}
    return {**asked, "against": None, "config": None}


def reference() -> dict[str, torch.Tensor]:
    layout = twins.LAYOUTS["fused qkv, grouped"][0]
    model = twins.randomized(twins.Laid(twins.TwinTransformer(num_key_value_heads=1), *layout))
    return {key: value.clone() for key, value in model.state_dict().items()}


@pytest.mark.parametrize("spelling", ["the same", "a prefix", "others"])
def test_the_script_is_in_the_words_of_the_checkpoint(spelling: str, tmp_path: Path) -> None:
    words = {"blocks": "layers", "fused": "qkv", "patch": "x_embedder"} if spelling == "others" else {}
    checkpoint = {("model." if spelling == "a prefix" else "") + key: value for key, value in reference().items()}
    result = running.main(request(tmp_path, words, checkpoint), lambda _: None)
    assert result["max_diff"] < 1e-4
    assert {source["key"] for source in result["sources"] if source["used"]} == checkpoint.keys()


def test_other_names_and_other_values_are_refused(tmp_path: Path) -> None:
    checkpoint = {f"{key}x": torch.randn(value.shape) for key, value in reference().items()}
    with pytest.raises(RunningError, match="other names than the harness's reference, and other values"):
        running.main(request(tmp_path, {}, checkpoint), lambda _: None)
