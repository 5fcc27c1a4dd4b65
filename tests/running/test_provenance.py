"""Where each parameter of the target comes from, told by running the conversion on addresses, or else by the values."""

from __future__ import annotations

import torch

from scaffold_model.parity.running.provenance import State, provenance

STATE = {
    "qkv.weight": torch.randn(6, 4, generator=torch.Generator().manual_seed(0)),
    "norm.weight": torch.randn(5, generator=torch.Generator().manual_seed(1)),
}


def convert(state: State) -> State:
    query, key, value = state["qkv.weight"].chunk(3)
    return {"q": query, "k": key, "v": value, "norm": state["norm.weight"].flip(0)}


def looking(state: State) -> State:
    """A conversion that looks at the weights."""
    if state["norm.weight"].std() > 1.5 or bool((state["norm.weight"] == state["norm.weight"][0]).all()):
        raise ValueError("these are no weights of a norm")
    return convert(state)


def shown(made: dict[str, object]) -> dict[str, tuple[str, list[str], list[int]]]:
    return {name: (one.kind, one.keys, one.rows.tolist()) for name, one in made.items()}  # type: ignore[attr-defined]


EXPECTED = {
    "q": ("copied", ["qkv.weight"] * 2, [0, 1]),
    "k": ("copied", ["qkv.weight"] * 2, [2, 3]),
    "v": ("copied", ["qkv.weight"] * 2, [4, 5]),
    "norm": ("copied", ["norm.weight"] * 5, [4, 3, 2, 1, 0]),
}


def test_addresses_tell_rows_of_fused_and_turned_weights() -> None:
    said: list[str] = []
    assert shown(provenance(convert, STATE, convert(STATE), said.append)) == EXPECTED
    assert said == []


def test_a_conversion_that_looks_at_the_weights_is_read_by_their_values_and_says_so() -> None:
    said: list[str] = []
    assert shown(provenance(looking, STATE, looking(STATE), said.append)) == EXPECTED
    assert said == [
        "Pairing by the values of the weights, which knows less: on addresses, these are no weights of a norm"
    ]
