"""The mapping by names, shapes and structure: right, or among the ties that are declared; never wrong in silence."""

from __future__ import annotations

import itertools
from typing import Any

import map_twins as twins
import numpy as np
import pytest
import torch

from scaffold_model.parity.running.mapping.assign import assign
from scaffold_model.parity.running.mapping.blocks import stacks
from scaffold_model.parity.running.mapping.evidence import propose
from scaffold_model.parity.running.mapping.names import meaning, words
from scaffold_model.parity.running.mapping.pieces import Choice
from scaffold_model.parity.running.mapping.target import described

#: The words of a reference, by role.
WORDS = {
    "patch": "x_embedder.proj",
    "time1": "t_embedder.mlp.0",
    "time2": "t_embedder.mlp.2",
    "text": "txt_in",
    "final_mod": "final_layer.adaLN_modulation.1",
    "final": "final_layer.linear",
    "q": "attention.wq",
    "k": "attention.wk",
    "v": "attention.wv",
    "o": "attention.wo",
    "norm_q": "attention.q_norm",
    "norm_k": "attention.k_norm",
    "mod": "adaLN_modulation.1",
    "up": "mlp.fc1",
    "down": "mlp.fc2",
    "gate": "mlp.gate",
}
FUSED = {
    "fused qkv": "attention.qkv",
    "fused qkv, grouped": "attention.qkv",
    "fused qkv, no norm": "attention.qkv",
    "fused kv": "attention.kv",
    "fused qkv and feed-forward": "linear1",
    "gate and value in one, swapped": "mlp.w12",
}


def spelled(key: str, fused: str) -> str:
    module, _, leaf = key.rpartition(".")
    if module.startswith("blocks."):
        _, index, role = module.split(".")
        return f"layers.{index}.{fused if role == 'fused' else WORDS[role]}.{leaf}"
    return f"{WORDS[module]}.{leaf}"


@pytest.mark.parametrize("layout", ["renamed", "gate and value", "swapped halves", "convolution", *FUSED])
@pytest.mark.parametrize("names", ["words of the field", "no words"])
def test_every_choice_is_right_or_a_tie_that_names_the_right_one(layout: str, names: str) -> None:
    (there, back), arguments = twins.LAYOUTS[layout]
    target = twins.TwinTransformer(**arguments)
    roles = there({key: value.detach() for key, value in target.roles().items()})
    seen = {key: spelled(key, FUSED.get(layout, "")) for key in roles}
    if names == "no words":
        opaque: dict[str, str] = {}
        for key in sorted(seen.values(), reverse=True):
            for word in key.split("."):
                opaque.setdefault(word, word if word.isdecimal() or word in twins.LEAVES else f"w{len(opaque):02}")
        seen = {key: ".".join(opaque[word] for word in name.split(".")) for key, name in seen.items()}
    ids = twins.numbered(roles)
    expected = target.filled(back(ids))
    source = {seen[key]: value for key, value in ids.items()}
    choices = propose(
        {key: tuple(source[key].shape) for key in sorted(source)}, described("Twin", target, target.config)
    )
    found: dict[str, list[str]] = {"right": [], "tie": [], "wrong": []}
    for choice in choices:
        wanted = expected[choice.target]
        options = [choice.pieces, *choice.ties]
        built = [
            Choice(choice.target, choice.shape, pieces).build(source.__getitem__) if pieces else torch.empty(0)
            for pieces in options
        ]
        same = [torch.equal(one, wanted) for one in built]
        found["right" if same[0] else "tie" if any(same) else "wrong"].append(choice.target)
    assert found["wrong"] == []
    if names == "words of the field":
        open_order = ["ff.net.0.proj"] if "gate" in layout else []
        open_order += ["norm_out"] if layout != "swapped halves" else []
        assert [key for key in found["tie"] if not any(word in key for word in open_order)] == []


def test_a_name_that_is_the_target_s_is_not_swapped() -> None:
    target = twins.TwinTransformer()
    shapes = {key: tuple(value.shape) for key, value in target.state_dict().items()}
    choices = {choice.target: choice for choice in propose(shapes, described("Twin", target, target.config))}
    assert [key for key in shapes if [piece.source for piece in choices[key].pieces] != [key]] == []
    halves = choices["norm_out.linear.weight"]
    assert [(piece.start, piece.stop) for piece in halves.pieces] == [(0, 48)]
    assert [[(piece.start, piece.stop) for piece in tie] for tie in halves.ties] == [[(24, 48), (0, 24)]]


def test_what_nothing_fits_stays_empty() -> None:
    target = twins.TwinTransformer()
    choices = propose({"a.weight": (3, 5)}, described("Twin", target, target.config))
    assert {choice.pieces for choice in choices} == {()}


def test_stacks_are_what_repeats() -> None:
    block = {
        "attn.qkv.weight": (72, 24),
        "attn.proj.weight": (24, 24),
        "mlp.0.weight": (96, 24),
        "mlp.2.weight": (24, 96),
    }
    last = {key: shape for key, shape in block.items() if "proj" not in key}
    shapes: dict[str, Any] = {f"blocks.{i}.{key}": shape for i in range(3) for key, shape in block.items()}
    shapes |= {f"blocks.3.{key}": shape for key, shape in last.items()}
    shapes |= {f"norms.{i}.weight": (24,) for i in range(4)}
    shapes |= {"embed.0.weight": (24,), "embed.1.weight": (24, 8), "embed.1.bias": (24,), "t.mlp.0.weight": (24, 8)}
    found = {stack.prefix: {index: len(keys) for index, keys in stack.blocks.items()} for stack in stacks(shapes)}
    assert found == {"blocks.#": {0: 4, 1: 4, 2: 4, 3: 3}, "norms.#": dict.fromkeys(range(4), 1), "": {0: 4}}


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("img_attn.qkv", ("image", "", "qkv", "")),
        ("prompt_attention.toqkv", ("text", "", "qkv", "")),
        ("cross_attn.k_img", ("image", "cross", "k", "")),
        ("attention.query_norm", ("", "", "norm_q", "")),
        ("attn.to_add_out", ("added", "", "o", "")),
        ("txt_mlp.fc1", ("text", "", "mlp", "text")),
        ("guidance_in.in_layer", ("", "", "", "guidance")),
        ("t5_yproj", ("text", "", "", "text")),
        ("w07.w12", ("", "", "", "")),
    ],
)
def test_what_names_say(path: str, said: tuple[str, str, str, str]) -> None:
    found = meaning(path)
    assert (found.stream, found.attention, found.role, found.embedder) == said


def test_words() -> None:
    assert words("final_layer.adaLN_modulation.1") == ["final", "layer", "ada", "ln", "modulation", "1"]


def test_the_assignment_is_the_best_one() -> None:
    random = np.random.default_rng(0)
    for _ in range(100):
        rows = int(random.integers(1, 6))
        columns = int(random.integers(rows, 7))
        scores = random.normal(size=(rows, columns))
        scores[random.random(scores.shape) < 0.2] = -np.inf
        best = max(
            sum(max(scores[row, column], -1e6) for row, column in enumerate(order))
            for order in itertools.permutations(range(columns), rows)
        )
        found = sum(scores[row, column] if column >= 0 else -1e6 for row, column in enumerate(assign(scores)))
        assert found == pytest.approx(best)
