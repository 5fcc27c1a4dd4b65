"""What a planted mistake is called where neither of the large ports can have it: masks, with an attention of our own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from scaffold_model.parity.running import compare
from scaffold_model.parity.running.causes.base import TAGS

HARNESS = """
import torch
import torch.nn.functional as F
from torch import nn

class Attention(nn.Module):
    def __init__(self, fused):
        super().__init__()
        names = ["qkv", "out"] if fused else ["to_q", "to_k", "to_v", "to_out"]
        for name in names:
            self.add_module(name, nn.Linear(16, 48 if name == "qkv" else 16))

    def project(self, x):
        parts = self.qkv(x).chunk(3, -1) if hasattr(self, "qkv") else (self.to_q(x), self.to_k(x), self.to_v(x))
        return [part.unflatten(-1, (2, 8)).transpose(1, 2) for part in parts]

    def forward(self, x, mask):
        query, key, value = self.project(x)
        {mask}
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        return (self.out if hasattr(self, "out") else self.to_out)(mixed.transpose(1, 2).flatten(2))

class Reference(Attention):
    def forward(self, x, mask):
        query, key, value = self.project(x)
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=mask[:, None, None])
        return self.out(mixed.transpose(1, 2).flatten(2))

class Model(nn.Module):
    def __init__(self, attention):
        super().__init__()
        self.attn = attention

    def forward(self, x, mask):
        return x + self.attn(x, mask)

def build_reference():
    torch.manual_seed(0)
    return Model(Reference(True))

def build_target():
    return Model(Attention(False))

def make_inputs():
    torch.manual_seed(1)
    return {{"x": 3 * torch.randn(2, 6, 16), "mask": torch.tensor([[1, 1, 1, 1, 0, 0], [1, 1, 1, 1, 1, 0]]).bool()}}

def run_reference(model, inputs):
    return model(inputs["x"], inputs["mask"])

run_target = run_reference

def convert(state):
    made = {{}}
    for kind in ("weight", "bias"):
        for name, part in zip("qkv", state[f"attn.qkv.{{kind}}"].chunk(3)):
            made[f"attn.to_{{name}}.{{kind}}"] = part
        made[f"attn.to_out.{{kind}}"] = state[f"attn.out.{{kind}}"]
    return made
"""


def _compared(folder: Path, mask: str, **changes: str) -> dict[str, Any]:
    text = HARNESS.format(mask=mask)
    for old, new in changes.values():
        assert old in text
        text = text.replace(old, new)
    path = folder / "parity.py"
    path.write_text(text, encoding="utf-8")
    return compare.main({"harness": str(path)}, lambda _: None)


def test_the_attention_without_a_mistake(tmp_path: Path) -> None:
    result = _compared(tmp_path, "mask = mask[:, None, None]")
    assert result["passed"]
    assert result["first_divergence"] is None
    assert [layer["target_module"] for layer in result["layers"]] == [
        "attn.to_q",
        "attn.to_k",
        "attn.to_v",
        "attn.to_out",
        "attn",
    ]
    assert max(layer["max_diff"] for layer in result["layers"]) < 1e-6


@pytest.mark.parametrize(
    ("mask", "tag"),
    [
        ("mask = ~mask[:, None, None]", "mask-polarity"),
        ("mask = None", "mask-ignored"),
        ("mask = torch.zeros(2, 1, 1, 6).masked_fill(mask[:, None, None], -1e4)", "mask-polarity"),
    ],
)
def test_masks(tmp_path: Path, mask: str, tag: str) -> None:
    result = _compared(tmp_path, mask)
    found = result["first_divergence"]
    assert not result["passed"]
    assert found["target_module"] == "attn"
    assert found["causes"][0]["tag"] == tag
    assert found["causes"][0]["max_diff_after"] < 1e-5
    assert {cause["tag"] for cause in found["causes"]} <= set(TAGS)


def test_a_weight_that_the_target_has_no_place_for(tmp_path: Path) -> None:
    old, new = 'made[f"attn.to_out.{kind}"] =', 'made[f"attn.to_out.{kind}"] = made[f"attn.gate.{kind}"] ='
    result = _compared(tmp_path, "mask = mask[:, None, None]", key=(old, new))
    assert not result["passed"]
    assert result["max_diff"] < 1e-3
    assert result["mismatches"] == [
        {"key": "attn.gate.weight", "kind": "unexpected"},
        {"key": "attn.gate.bias", "kind": "unexpected"},
    ]


def test_an_output_that_is_not_finite(tmp_path: Path) -> None:
    result = _compared(tmp_path, "mask = torch.zeros(2, 1, 1, 6, dtype=torch.bool); query = query / 0")
    assert not result["passed"]
    assert result["max_diff"] is None
    assert result["first_divergence"]["target_module"] == "attn"


def test_drift_and_loop(tmp_path: Path) -> None:
    path = tmp_path / "parity.py"
    text = HARNESS.format(mask="mask = mask[:, None, None]")
    path.write_text(
        text + "\ndef step_inputs(inputs, sample, sigma): return {**inputs, 'x': sample}\n", encoding="utf-8"
    )
    result = compare.main({"harness": str(path), "steps": 4, "dtype": "bfloat16"}, lambda _: None)
    assert [step["sigma"] for step in result["loop"]["steps"]] == pytest.approx([0.75, 0.5, 0.25, 0])
    assert all(step["max_diff"] < 1e-5 for step in result["loop"]["steps"])
    assert result["loop"]["reason"] is None
    (drift,) = result["drift"]
    assert (drift["device"], drift["dtype"]) == ("cpu", "bfloat16")
    assert 1e-4 < drift["relative"] < 0.1
    assert [layer["target_module"] for layer in drift["layers"]] == [
        "attn.to_q",
        "attn.to_k",
        "attn.to_v",
        "attn.to_out",
        "attn",
    ]


def test_without_step_inputs_it_says_so(tmp_path: Path) -> None:
    path = tmp_path / "parity.py"
    path.write_text(HARNESS.format(mask="mask = mask[:, None, None]"), encoding="utf-8")
    result = compare.main({"harness": str(path), "steps": 4}, lambda _: None)
    assert result["loop"] == {"steps": [], "reason": "the harness defines no step_inputs(inputs, sample, sigma)"}
