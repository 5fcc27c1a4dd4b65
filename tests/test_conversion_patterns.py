"""The five patterns of docs/conversion_patterns.py: each module's output is the same before and after, and the page embeds
the very code."""

from __future__ import annotations

import ast
import importlib.util
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

DOCS = Path(__file__).resolve().parents[1] / "docs"
SOURCE = (DOCS / "conversion_patterns.py").read_text(encoding="utf-8")
FUNCTIONS = {
    node.name: ast.get_source_segment(SOURCE, node)
    for node in ast.parse(SOURCE).body
    if isinstance(node, ast.FunctionDef)
}


def test_the_page_embeds_every_function_word_for_word() -> None:
    page = (DOCS / "conversion_patterns.md").read_text(encoding="utf-8")
    assert re.findall(r"```python\n(.*?)\n```", page, re.DOTALL) == list(FUNCTIONS.values())


def test_every_function_says_its_shapes() -> None:
    for node in ast.parse(SOURCE).body:
        if isinstance(node, ast.FunctionDef):
            docstring = ast.get_docstring(node) or ""
            assert "Args:" in docstring
            assert "Returns:" in docstring, node.name


@pytest.mark.torch
@pytest.mark.skipif(importlib.util.find_spec("torch") is not None, reason="the proofs below run in this Python itself")
def test_the_proofs_in_the_python_with_torch() -> None:
    """The tests run without torch; the proofs of this file are then run by the Python that has it."""
    python = os.environ.get("SCAFFOLD_MODEL_PYTHON", str(DOCS.parent / ".venv-diffusers" / "bin" / "python"))
    if not Path(python).exists():
        pytest.skip(f"no Python with torch ({python}): run `make test`, or set SCAFFOLD_MODEL_PYTHON")
    command = [python, "-m", "pytest", "-q", "--noconftest", "-p", "no:cacheprovider", __file__]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=DOCS.parent)
    assert done.returncode == 0, done.stdout + done.stderr
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None
    assert int(passed[1]) >= 20


@pytest.fixture(scope="module")
def torch() -> Any:
    module = pytest.importorskip("torch", reason="runs in the Python with torch, see above")
    module.manual_seed(0)
    return module


@pytest.fixture(scope="module")
def patterns(torch: Any) -> Any:
    spec = importlib.util.spec_from_file_location("conversion_patterns", DOCS / "conversion_patterns.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def attention(torch: Any, query: Any, key: Any, value: Any, heads: int, kv_heads: int) -> Any:
    """Attention over (batch, tokens, heads * dim) projections, with grouped queries."""
    query, key, value = (
        part.unflatten(-1, (count, -1)).transpose(1, 2)
        for part, count in ((query, heads), (key, kv_heads), (value, kv_heads))
    )
    key, value = (part.repeat_interleave(heads // kv_heads, dim=1) for part in (key, value))
    return torch.nn.functional.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)


def close(torch: Any, one: Any, other: Any) -> bool:
    return bool(torch.allclose(one, other, atol=1e-5, rtol=1e-5))


@pytest.mark.torch
@pytest.mark.parametrize(("heads", "kv_heads"), [(4, 4), (4, 2), (4, 1)])
def test_fused_projection_is_split(torch: Any, patterns: Any, heads: int, kv_heads: int) -> None:
    dim, width = 8, 12
    fused = torch.nn.Linear(width, (heads + 2 * kv_heads) * dim)
    x = torch.randn(2, 5, width)
    weights = patterns.split_fused_qkv(fused.weight.data, heads, kv_heads, dim)
    biases = patterns.split_fused_qkv(fused.bias.data, heads, kv_heads, dim)
    parts = [torch.nn.functional.linear(x, weight, bias) for weight, bias in zip(weights, biases, strict=True)]
    reference = fused(x).split([heads * dim, kv_heads * dim, kv_heads * dim], dim=-1)
    before = attention(torch, *reference, heads, kv_heads)
    assert close(torch, attention(torch, *parts, heads, kv_heads), before)
    assert all(part.untyped_storage().nbytes() == part.nbytes for part in weights)


@pytest.mark.torch
def test_grouped_queries_are_not_three_equal_parts(torch: Any, patterns: Any) -> None:
    """The mistake that the function is there for: its result differs from `chunk(3)`."""
    fused = torch.randn((4 + 2 * 1) * 8, 12)
    assert patterns.split_fused_qkv(fused, 4, 1, 8)[0].shape == (32, 12)
    assert fused.chunk(3)[0].shape == (16, 12)


@pytest.mark.torch
def test_shift_and_scale_are_reordered(torch: Any, patterns: Any) -> None:
    dim = 6
    linear = torch.nn.Linear(10, 2 * dim)
    x, condition = torch.randn(2, 3, dim), torch.randn(2, 1, 10)
    shift, scale = linear(condition).chunk(2, dim=-1)
    before = x * (1 + scale) + shift
    weight = patterns.reorder_modulation(linear.weight.data, (1, 0))
    bias = patterns.reorder_modulation(linear.bias.data, (1, 0))
    scale, shift = torch.nn.functional.linear(condition, weight, bias).chunk(2, dim=-1)
    assert close(torch, x * (1 + scale) + shift, before)


@pytest.mark.torch
def test_six_chunks_are_reordered_and_back(torch: Any, patterns: Any) -> None:
    weight = torch.arange(12.0)[:, None]
    swapped = patterns.reorder_modulation(weight, (1, 0, 2, 4, 3, 5))
    assert swapped.flatten().tolist() == [2, 3, 0, 1, 4, 5, 8, 9, 6, 7, 10, 11]
    assert torch.equal(patterns.reorder_modulation(swapped, (1, 0, 2, 4, 3, 5)), weight)


@pytest.mark.torch
@pytest.mark.parametrize(("rows", "order"), [(4, (0, 0)), (4, (1, 2)), (5, (1, 0))])
def test_an_impossible_order_is_refused(torch: Any, patterns: Any, rows: int, order: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"order must name each chunk once|no 2 chunks of equal size"):
        patterns.reorder_modulation(torch.zeros(rows, 3), order)


@pytest.mark.torch
def test_transposed_weight_becomes_linear(torch: Any, patterns: Any) -> None:
    weight, x = torch.randn(6, 9), torch.randn(2, 4, 6)
    converted = patterns.linear_from_transposed(weight)
    assert close(torch, torch.nn.functional.linear(x, converted), x @ weight)
    assert converted.is_contiguous()


@pytest.mark.torch
def test_pointwise_convolution_becomes_linear(torch: Any, patterns: Any) -> None:
    convolution = torch.nn.Conv1d(6, 9, kernel_size=1)
    x = torch.randn(2, 6, 7)
    weight = patterns.linear_from_convolution(convolution.weight.data)
    after = torch.nn.functional.linear(x.transpose(1, 2), weight, convolution.bias)
    assert close(torch, after.transpose(1, 2), convolution(x))


@pytest.mark.torch
def test_patch_embedding_becomes_linear(torch: Any, patterns: Any) -> None:
    size = 2
    convolution = torch.nn.Conv2d(3, 8, kernel_size=size, stride=size)
    x = torch.randn(2, 3, 4, 6)
    before = convolution(x).flatten(2).transpose(1, 2)
    patches = torch.nn.functional.unfold(x, size, stride=size).transpose(1, 2)
    weight = patterns.linear_from_convolution(convolution.weight.data)
    assert close(torch, torch.nn.functional.linear(patches, weight, convolution.bias), before)


@pytest.mark.torch
def test_interleaved_heads_are_split(torch: Any, patterns: Any) -> None:
    heads, dim, width = 3, 4, 10
    fused = torch.nn.Linear(width, heads * 3 * dim)
    x = torch.randn(2, 5, width)
    by_head = fused(x).unflatten(-1, (heads, 3, dim))
    before = attention(torch, *(by_head[..., index, :].flatten(2) for index in range(3)), heads, heads)
    weights = patterns.split_interleaved_qkv(fused.weight.data, heads)
    biases = patterns.split_interleaved_qkv(fused.bias.data, heads)
    parts = [torch.nn.functional.linear(x, weight, bias) for weight, bias in zip(weights, biases, strict=True)]
    assert close(torch, attention(torch, *parts, heads, heads), before)


@pytest.mark.torch
def test_rotary_pairs_become_halves(torch: Any, patterns: Any) -> None:
    """The scores of a reference that rotates pairs equal those of one that rotates halves, after the reordering."""
    heads, dim, width, tokens = 2, 8, 10, 5
    query, key = torch.nn.Linear(width, heads * dim), torch.nn.Linear(width, heads * dim)
    x = torch.randn(2, tokens, width)
    angles = torch.arange(tokens)[:, None, None] * 10.0 ** -torch.arange(dim // 2)
    cosine, sine = angles.cos(), angles.sin()

    def rotate_pairs(projected: Any) -> Any:
        first, second = projected.unflatten(-1, (heads, -1, 2)).unbind(-1)
        return torch.stack([first * cosine - second * sine, second * cosine + first * sine], dim=-1).flatten(-2)

    def rotate_halves(projected: Any) -> Any:
        first, second = projected.unflatten(-1, (heads, 2, -1)).unbind(-2)
        return torch.cat([first * cosine - second * sine, second * cosine + first * sine], dim=-1)

    def scores(one: Any, other: Any) -> Any:
        return torch.einsum("bthd,bshd->bhts", one, other)

    before = scores(rotate_pairs(query(x)), rotate_pairs(key(x)))
    unconverted = scores(rotate_halves(query(x)), rotate_halves(key(x)))
    for layer in (query, key):
        layer.weight.data = patterns.halves_from_pairs(layer.weight.data, heads)
        layer.bias.data = patterns.halves_from_pairs(layer.bias.data, heads)
    assert close(torch, scores(rotate_halves(query(x)), rotate_halves(key(x))), before)
    assert not close(torch, unconverted, before)


@pytest.mark.torch
@pytest.mark.parametrize("has_bias", [True, False])
def test_value_bias_is_moved(torch: Any, patterns: Any, has_bias: bool) -> None:
    heads, dim, width = 2, 4, 6
    query, key, value = (torch.nn.Linear(width, heads * dim) for _ in range(3))
    out = torch.nn.Linear(heads * dim, width, bias=has_bias)
    x = torch.randn(2, 5, width)
    before = out(attention(torch, query(x), key(x), value(x), heads, heads))
    bias = patterns.move_value_bias(value.bias.data, out.weight.data, out.bias.data if has_bias else None)
    unbiased = torch.nn.functional.linear(x, value.weight)
    attended = attention(torch, query(x), key(x), unbiased, heads, heads)
    assert close(torch, torch.nn.functional.linear(attended, out.weight, bias), before)


@pytest.mark.torch
@pytest.mark.parametrize("has_bias", [True, False])
def test_norm_is_folded(torch: Any, patterns: Any, has_bias: bool) -> None:
    norm, linear = torch.nn.LayerNorm(6), torch.nn.Linear(6, 9, bias=has_bias)
    torch.nn.init.normal_(norm.weight)
    torch.nn.init.normal_(norm.bias)
    x = torch.randn(2, 5, 6)
    weight, bias = patterns.fold_norm_into_linear(
        norm.weight.data, norm.bias.data, linear.weight.data, linear.bias.data if has_bias else None
    )
    plain = torch.nn.functional.layer_norm(x, (6,))
    assert close(torch, torch.nn.functional.linear(plain, weight, bias), linear(norm(x)))
