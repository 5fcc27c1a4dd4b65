"""The mapping by running: every layout comes out element by element, whatever the names, and the script does it."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import map_twins as twins
import pytest
import torch
from torch import nn

from scaffold_model.parity.running.errors import RunningError
from scaffold_model.parity.running.harness import Harness
from scaffold_model.parity.running.mapping.by_running import Run, run_mapping
from scaffold_model.parity.running.mapping.rules import make_rules
from scaffold_model.parity.running.mapping.script import script_parts, whole_script
from scaffold_model.parity.running.mapping.selfcheck import check_script
from scaffold_model.parity.running.mapping.target import described


def obscured(layout: twins.Layout) -> twins.Layout:
    """The same layout under names that say nothing but which block."""
    there, back = layout
    names: dict[str, str] = {}

    def rename(w: twins.Roles) -> twins.Roles:
        source = there(w)
        words = sorted({word for key in source for word in key.split(".") if word not in twins.LEAVES})
        random.Random(3).shuffle(words)
        opaque = {word: word if word.isdecimal() else f"w{place:02}" for place, word in enumerate(words)}
        names.update({key: ".".join(opaque.get(word, word) for word in key.split(".")) for key in source})
        return {names[key]: value for key, value in source.items()}

    return rename, lambda w: back({key: w[name] for key, name in names.items()})


def mapped(layout: twins.Layout, **arguments: Any) -> tuple[Run, twins.Laid]:
    def target() -> twins.TwinTransformer:
        return twins.TwinTransformer(**arguments)

    module = twins.harness(lambda: twins.Laid(target(), *layout), target)
    run = run_mapping(Harness(Path("harness.py"), module), lambda _: None)
    reference = run.sides[0].model
    assert isinstance(reference, twins.Laid)
    return run, reference


def assert_exact(run: Run, reference: twins.Laid, target: twins.TwinTransformer) -> None:
    ids = twins.numbered(reference.state_dict())
    expected = target.filled(reference.back(ids))
    found = {choice.target: choice.build(ids.__getitem__) for choice in run.choices}
    assert found.keys() == expected.keys()
    assert [key for key in expected if not torch.equal(found[key], expected[key])] == []


@pytest.mark.parametrize("name", twins.LAYOUTS)
@pytest.mark.parametrize("words", ["roles", "obscure"])
def test_every_layout(name: str, words: str) -> None:
    layout, arguments = twins.LAYOUTS[name]
    run, reference = mapped(obscured(layout) if words == "obscure" else layout, **arguments)
    target = twins.TwinTransformer(**arguments)
    assert_exact(run, reference, target)
    assert run.max_diff is not None
    assert run.max_diff < 1e-4
    assert run.unproved == []
    # The written script does the same, and takes its sizes from the configuration.
    sources = {key: tuple(value.shape) for key, value in reference.state_dict().items()}
    described_target = described("TwinTransformer", target, target.config)
    rules = make_rules(run.choices, sources, {})
    parts = script_parts(rules, sources, target.config, "TwinTransformer", described_target.parents)
    check_script(parts, run.choices, sources, target.config)
    compile(whole_script(parts, "TwinTransformer", "map_twins", "convert.py"), "convert.py", "exec")


class _Fixed(twins.Laid):
    """A reference that stores the positions that the target computes, and weights that nothing uses."""

    def __init__(self, target: twins.TwinTransformer) -> None:
        super().__init__(target, *twins.LAYOUTS["fused qkv"][0])
        self.register_parameter("pos_embed", nn.Parameter(positions()[None]))
        self.register_parameter("unused", nn.Parameter(torch.zeros(7, 24)))
        self.names |= {"pos_embed": "pos_embed", "unused": "unused"}
        back = self.back
        self.back = lambda w: {
            **back({key: value for key, value in w.items() if key not in ("pos_embed", "unused")}),
            "position": w["pos_embed"][0],
        }


def positions() -> torch.Tensor:
    return (torch.arange(9 * twins.DIM) * 0.7).sin().reshape(9, twins.DIM)


class _Positioned(twins.TwinTransformer):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("position", positions(), persistent=False)


def test_a_table_that_one_side_computes_and_a_source_that_nothing_uses() -> None:
    module = twins.harness(lambda: _Fixed(_Positioned()), _Positioned)
    build = module.build_reference

    def built() -> nn.Module:
        model = build()
        model.pos_embed.data.copy_(positions()[None])
        return model

    module.build_reference = built
    run = run_mapping(Harness(Path("harness.py"), module), lambda _: None)
    assert run.max_diff is not None
    assert run.max_diff < 1e-4
    used = {piece.source for choice in run.choices for piece in choice.pieces}
    assert used == {key for key in run.sides[0].tensors if key not in ("pos_embed", "unused")}


def test_one_source_for_a_layer_of_every_block() -> None:
    class Target(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.ModuleList(nn.Linear(6, 8) for _ in range(3))
            self.layers = nn.ModuleList(nn.Linear(8, 8) for _ in range(3))

        def forward(self, x: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
            for embed, layer in zip(self.embed, self.layers, strict=True):
                x = x + torch.tanh(layer(x) + embed(c))
            return x

    class Reference(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.shared = nn.Linear(6, 8)
            self.steps = nn.ModuleList(nn.Linear(8, 8) for _ in range(3))

        def forward(self, x: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
            for step in self.steps:
                x = x + torch.tanh(step(x) + self.shared(c))
            return x

    module = twins.harness(Reference, Target)
    module.make_inputs = lambda: {"x": torch.randn(2, 5, 8), "c": torch.randn(2, 5, 6)}
    run = run_mapping(Harness(Path("harness.py"), module), lambda _: None)
    sources = {key: tuple(value.shape) for key, value in run.sides[0].tensors.items()}
    rules = make_rules(run.choices, sources, {})
    parts = script_parts(rules, sources, {"num_layers": 3}, "Target", dict.fromkeys(run.sides[1].tensors, ""))
    check_script(parts, run.choices, sources, {"num_layers": 3})
    assert [choice.pieces[0].source for choice in run.choices] == [
        *["shared.weight", "shared.bias"] * 3,
        *(f"steps.{i}.{leaf}" for i in range(3) for leaf in ("weight", "bias")),
    ]
    assert '"embed.{block}.{0}": "num_layers"' in parts.tables


def test_a_port_that_computes_something_else_is_said_to_be_so() -> None:
    module = twins.harness(
        lambda: twins.Laid(twins.TwinTransformer(), *twins.LAYOUTS["renamed"][0]), twins.TwinTransformer
    )
    module.run_target = lambda model, given: model(**given) ** 2
    run = run_mapping(Harness(Path("harness.py"), module), lambda _: None)
    assert (run.max_diff, run.choices) == (None, [])
    assert run.closest > 0.01


def test_outputs_without_a_gradient_are_refused() -> None:
    module = twins.harness(
        lambda: twins.Laid(twins.TwinTransformer(), *twins.LAYOUTS["renamed"][0]), twins.TwinTransformer
    )
    module.run_reference = lambda model, given: model(**given).detach()
    with pytest.raises(RunningError, match="run_reference returns numbers that no gradient can follow"):
        run_mapping(Harness(Path("harness.py"), module), lambda _: None)


def test_a_harness_that_runs_without_gradients_is_run_with_them() -> None:
    module = twins.harness(
        lambda: twins.Laid(twins.TwinTransformer(), *twins.LAYOUTS["fused qkv"][0]), twins.TwinTransformer
    )
    module.run_reference = torch.no_grad()(module.run_reference)
    module.run_target = torch.inference_mode()(module.run_target)
    run = run_mapping(Harness(Path("harness.py"), module), lambda _: None)
    assert run.max_diff is not None
    assert run.max_diff < 1e-4
