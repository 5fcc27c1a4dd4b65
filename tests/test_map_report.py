"""What `map` shows: rows over blocks, ties, coverage, and the exit code's reason."""

from __future__ import annotations

from typing import Any

from scaffold_model.parity.map_report import Row, coverage, is_complete, map_json, rows, summary


def _piece(source: str, start: int, stop: int, of: int) -> dict[str, Any]:
    return {"source": source, "start": start, "stop": stop, "of": of}


def _choice(target: str, *pieces: dict[str, Any], **more: Any) -> dict[str, Any]:
    given = {"confidence": 1.0, "evidence": "", "ties": [], "transform": "rename", "shape": [4], **more}
    return {"target": target, "pieces": list(pieces), **given}


def _result() -> dict[str, Any]:
    choices = [
        _choice(
            f"layers.{i}.to_{one}.{leaf}", _piece(f"blocks.{i}.qkv.{leaf}", n * 4, n * 4 + 4, 12), transform="split"
        )
        for i in range(2)
        for n, one in enumerate("qk")
        for leaf in ("weight", "bias")
    ]
    halves = [_piece("final.mod.weight", 4, 8, 8), _piece("final.mod.weight", 0, 4, 8)]
    choices.append(
        _choice(
            "norm_out.weight", *halves, transform="swap", confidence=0.7, ties=[[_piece("final.mod.weight", 0, 8, 8)]]
        )
    )
    choices.append(_choice("table", transform="none", confidence=0.0))
    sources = [f"blocks.{i}.qkv.{leaf}" for i in range(2) for leaf in ("weight", "bias")]
    return {
        "target_class": "FooTransformer",
        "choices": choices,
        "sources": [
            *({"key": key, "shape": [12], "used": True} for key in [*sources, "final.mod.weight"]),
            {"key": "pos_embed", "shape": [1, 9, 4], "used": False},
        ],
    }


def test_rows_share_what_goes_the_same_way() -> None:
    both = ".(weight, bias)"
    assert rows(_result()["choices"]) == [
        Row(f"layers.#.to_q{both}", 2, f"blocks.#.qkv{both} [0:4 of 12]", "split", 1.0, ()),
        Row(f"layers.#.to_k{both}", 2, f"blocks.#.qkv{both} [4:8 of 12]", "split", 1.0, ()),
        Row(
            "norm_out.weight",
            1,
            "final.mod.weight [4:8 of 8] + final.mod.weight [0:4 of 8]",
            "swap",
            0.7,
            ("final.mod.weight",),
        ),
        Row("table", 1, "", "none", 0.0, ()),
    ]


def test_what_is_left_over_is_named_on_both_sides() -> None:
    found = coverage(_result())
    assert found["missing"] == ["table"]
    assert found["unused"] == ["pos_embed"]
    assert found["partly_used"] == {f"blocks.{i}.qkv.{leaf}": 4 for i in range(2) for leaf in ("weight", "bias")}
    assert (found["targets"], found["mapped"], found["ties"], found["guesses"]) == (10, 9, 1, 0)
    assert summary(_result(), "convert.py") == [
        "9 of 10 tensors of FooTransformer have a source, 5 of 6 of the checkpoint are used.",
        "Without a source: table.",
        "Not used: pos_embed.",
        "Partly used: 4 rows of blocks.0.qkv.weight, 4 rows of blocks.0.qkv.bias, 4 rows of blocks.1.qkv.weight, 4 rows"
        " of blocks.1.qkv.bias are left over.",
        "1 ties and 0 guesses are left, marked in the script; a harness (--harness FILE) settles them by running.",
        "Wrote convert.py.",
    ]


def test_complete_only_where_nothing_is_left_to_decide() -> None:
    result = _result()
    assert not is_complete(result)
    result["choices"] = [choice for choice in result["choices"] if not choice["ties"] and choice["pieces"]]
    assert is_complete(result)
    assert is_complete({**result, "max_diff": 1e-5, "unproved": []})
    assert not is_complete({**result, "max_diff": 1e-2, "unproved": []})
    assert not is_complete({**result, "max_diff": 1e-5, "unproved": ["layers.0.to_q.weight"]})
    result["choices"][0]["confidence"] = 0.6
    assert not is_complete(result)


def test_the_json() -> None:
    found = map_json(_result(), "convert.py")
    assert (found["status"], found["class"], found["script"]) == ("open", "FooTransformer", "convert.py")
    assert found["targets"][0] == {
        "target": "layers.0.to_q.weight",
        "shape": [4],
        "sources": ["blocks.0.qkv.weight"],
        "slices": [_piece("blocks.0.qkv.weight", 0, 4, 12)],
        "transform": "split",
        "confidence": 1.0,
        "evidence": "",
        "ties": [],
    }
