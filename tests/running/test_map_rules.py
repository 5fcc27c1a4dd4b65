"""Rules over block indices: the fewest that say it all, exceptions included, and a script that says the same."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from scaffold_model.parity.running.mapping.pieces import Choice, Piece, Shape, matrix
from scaffold_model.parity.running.mapping.rules import make_rules
from scaffold_model.parity.running.mapping.script import ScriptParts, script_parts
from scaffold_model.parity.running.mapping.selfcheck import check_script
from scaffold_model.parity.running.mapping.sizes import count_expression, expression

CONFIG = {
    "num_attention_heads": 3,
    "attention_head_dim": 8,
    "num_key_value_heads": 1,
    "num_layers": 4,
    "in_channels": 5,
}


def parts_of(choices: list[Choice], sources: dict[str, Shape], **kinds: str) -> ScriptParts:
    found = script_parts(make_rules(choices, sources, {}), sources, CONFIG, "Model", kinds)
    check_script(found, choices, sources, CONFIG)
    return found


def whole(target: str, source: str, sources: dict[str, Shape], **more: Any) -> Choice:
    shape = sources[source]
    return Choice(target, more.pop("shape", shape), (Piece(source, 0, matrix(shape)[0]),), **more)


def table(parts: ScriptParts) -> list[str]:
    lines = [line.strip() for line in parts.tables.splitlines()]
    return [
        line for line in lines[lines.index(next(x for x in lines if x.startswith("TRANSFORMER_KEYS"))) + 1 :] if line
    ]


def test_a_rename_over_blocks_with_weight_and_bias_is_one_line() -> None:
    sources: dict[str, Shape] = {
        f"blocks.{i}.fc.{leaf}": (24, 24)[: 2 - n] for i in range(3) for n, leaf in enumerate(("weight", "bias"))
    }
    choices = [whole(key.replace("blocks", "layers").replace("fc", "proj"), key, sources) for key in sources]
    assert table(parts_of(choices, sources)) == [
        "# layers",
        r'r"blocks\.(\d+)\.fc\.(\w+)": "layers.{0}.proj.{1}",',
        "}",
    ]


def test_an_exception_in_the_last_block() -> None:
    sources: dict[str, Shape] = {f"blocks.{i}.mod.weight": (48, 24) for i in range(4)}
    choices = [whole(f"layers.{i}.norm.weight", f"blocks.{i}.mod.weight", sources) for i in range(3)]
    choices.append(whole("layers.3.last_norm.weight", "blocks.3.mod.weight", sources))
    assert table(parts_of(choices, sources)) == [
        "# layers",
        r'r"blocks\.3\.mod\.weight": "layers.3.last_norm.weight",',
        r'r"blocks\.(\d+)\.mod\.weight": "layers.{0}.norm.weight",',
        "}",
    ]


def test_sequential_indices_with_gaps() -> None:
    sources: dict[str, Shape] = {f"blocks.{i}.mlp.{j}.weight": (24, 24) for i in range(3) for j in (0, 3)}
    choices = [
        whole(f"layers.{i}.ff.net.{n}.weight", f"blocks.{i}.mlp.{j}.weight", sources)
        for i in range(3)
        for n, j in ((0, 0), (2, 3))
    ]
    assert table(parts_of(choices, sources)) == [
        "# layers",
        r'r"blocks\.(\d+)\.mlp\.0\.weight": "layers.{0}.ff.net.0.weight",',
        r'r"blocks\.(\d+)\.mlp\.3\.weight": "layers.{0}.ff.net.2.weight",',
        "}",
    ]


def test_unequal_parts_take_their_sizes_from_the_configuration() -> None:
    sources: dict[str, Shape] = {f"blocks.{i}.qkv.weight": (40, 24) for i in range(2)}
    cuts = {"to_q": (0, 24), "to_k": (24, 32), "to_v": (32, 40)}
    choices = [
        Choice(f"layers.{i}.attn.{name}.weight", (stop - start, 24), (Piece(f"blocks.{i}.qkv.weight", start, stop),))
        for i in range(2)
        for name, (start, stop) in cuts.items()
    ]
    parts = parts_of(choices, sources)
    assert "def split_qkv(tensor: torch.Tensor, config: dict) -> tuple[torch.Tensor, ...]:" in parts.functions
    assert 'size = config["num_attention_heads"] * config["attention_head_dim"]' in parts.functions
    assert 'size_2 = config["num_key_value_heads"] * config["attention_head_dim"]' in parts.functions
    assert "return tensor.split([size, size_2, tensor.shape[0] - size - size_2], dim=0)" in parts.functions
    # With another configuration the same script cuts elsewhere.
    space: dict[str, Any] = {"torch": torch}
    exec(parts.functions, space)
    larger = space["split_qkv"](torch.zeros(80, 4), {**CONFIG, "attention_head_dim": 16})
    assert [part.shape[0] for part in larger] == [48, 16, 16]


def test_one_source_for_all_blocks_a_join_and_sources_that_nothing_needs() -> None:
    sources: dict[str, Shape] = {"table": (10, 24), "pos_embed": (1, 9, 24), "freqs.0": (4,), "freqs.1": (4,)}
    sources |= {f"blocks.{i}.w{n}.weight": (32, 24) for i in range(4) for n in (1, 3)}
    choices = [whole(f"layers.{i}.embed.weight", "table", sources) for i in range(4)]
    choices += [
        Choice(
            f"layers.{i}.ff.proj.weight",
            (64, 24),
            (Piece(f"blocks.{i}.w3.weight", 0, 32), Piece(f"blocks.{i}.w1.weight", 0, 32)),
        )
        for i in range(4)
    ]
    parts = parts_of(choices, sources)
    assert '"layers.{block}.embed.weight": "num_layers",' in parts.tables
    assert r'r"blocks\.(\d+)\.w3\.weight": ("layers.{0}.ff.proj.weight", [' in parts.tables
    assert parts.tables.splitlines()[-4:] == [
        "UNUSED_KEYS: list[str] = [",
        '    r"pos_embed",',
        '    r"freqs\\.(?:0|1)",',
        "]",
    ]


def test_shapes_and_orders() -> None:
    sources: dict[str, Shape] = {"conv.weight": (24, 5, 2, 2), "table": (6, 24), "square.weight": (24, 24)}
    choices = [
        whole("embed.weight", "conv.weight", sources, shape=(24, 20)),
        whole("scale_shift_table", "table", sources, shape=(1, 6, 24)),
        whole("proj.weight", "square.weight", sources, permute=(1, 0)),
    ]
    parts = parts_of(choices, sources)
    assert "return (tensor.flatten(1),)" in parts.functions
    assert "return (tensor[None],)" in parts.functions
    assert "return (tensor.t(),)" in parts.functions


def test_a_mistake_in_a_script_is_noticed() -> None:
    sources: dict[str, Shape] = {"a.weight": (24, 24), "b.weight": (24, 24)}
    choices = [whole("x.weight", "a.weight", sources), whole("y.weight", "b.weight", sources)]
    parts = parts_of(choices, sources)
    crossed = ScriptParts(
        parts.functions, parts.tables.replace('"x.', '"z.').replace('"y.', '"x.').replace('"z.', '"y.'), parts.convert
    )
    with pytest.raises(AssertionError, match="of other rows than the table says"):
        check_script(crossed, choices, sources, CONFIG)


def test_sizes() -> None:
    heads = 'config["num_attention_heads"] * config["attention_head_dim"]'
    assert expression(24, CONFIG) == heads
    assert expression(96, CONFIG) == f"4 * {heads}"
    assert expression(5, CONFIG) == 'config["in_channels"]'
    assert expression(23, CONFIG) is None
    assert (count_expression(4, CONFIG), count_expression(7, CONFIG)) == ('config["num_layers"]', "7")
