"""Checks of generated transformers, run by the Python with torch: ``variant_checks.py REQUEST RESULT``.

The request is a JSON object: the root of a checkout, and by name the variants of the transformer in it (module, class,
modality and kind of guidance) with the checks to run on each. The result says of every variant and check either ``ok`` or
what is wrong. All of it runs on the CPU; diffusers' own tests ask the same of a model where there is an accelerator.
"""

from __future__ import annotations

import importlib
import json
import math
import sys
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import diffusers
import torch
import torch.distributed
import torch.multiprocessing
from torch.utils._python_dispatch import TorchDispatchMode

SAME = 1e-5
#: bfloat16 has 8 bits of precision, float8 4; a tiny model of two layers stays within these shares of its output's scale.
CLOSE = {torch.bfloat16: 0.05, torch.float8_e4m3fn: 0.25}

#: By modality: what differs in a tiny configuration, and the sizes of a latent.
TINY: dict[str, tuple[dict[str, Any], tuple[int, ...]]] = {
    "image": ({"patch_size": 2, "axes_dims_rope": (8, 8)}, (12, 20)),
    "video": ({"patch_size": (1, 2, 2), "axes_dims_rope": (4, 6, 6)}, (3, 8, 12)),
    "audio": ({"patch_size": 1}, (26,)),
}
LAYERS, CHANNELS, TEXT = 2, 4, 32


def tiny_config(modality: str) -> dict[str, Any]:
    """The arguments of a tiny transformer."""
    return {
        "in_channels": CHANNELS,
        "num_layers": LAYERS,
        "attention_head_dim": 16,
        "num_attention_heads": 2,
        "text_embed_dim": TEXT,
        **TINY[modality][0],
    }


def tiny_inputs(modality: str, guidance: str, sizes: tuple[int, ...] | None = None) -> dict[str, torch.Tensor]:
    """Two samples: sizes, timesteps and guidance scales that are all different."""
    generator = torch.Generator().manual_seed(1)
    inputs = {
        "hidden_states": torch.randn(2, CHANNELS, *(sizes or TINY[modality][1]), generator=generator),
        "timestep": torch.tensor([700.0, 30.0]),
        "encoder_hidden_states": torch.randn(2, 10, TEXT, generator=generator),
    }
    if guidance == "embedded":
        inputs["guidance"] = torch.tensor([3.5, 1.0])
    return inputs


@dataclass(frozen=True)
class Variant:
    """A generated transformer: the module that defines it, its class, and the answers that it was made of."""

    module: str
    cls: str
    modality: str
    guidance: str

    def model(self) -> Any:
        torch.manual_seed(0)
        return getattr(importlib.import_module(self.module), self.cls)(**tiny_config(self.modality)).eval()

    def inputs(self, sizes: tuple[int, ...] | None = None) -> dict[str, torch.Tensor]:
        return tiny_inputs(self.modality, self.guidance, sizes)

    def tokens(self) -> int:
        """The patches of a latent; a patch is two pixels wide and high."""
        sizes = TINY[self.modality][1]
        return math.prod(sizes) // (1 if self.modality == "audio" else 4)


def cast(inputs: dict[str, torch.Tensor], dtype: torch.dtype) -> dict[str, torch.Tensor]:
    """The inputs as pipelines cast them: the guidance scale stays in float32."""
    return {name: tensor if name == "guidance" else tensor.to(dtype) for name, tensor in inputs.items()}


@torch.no_grad()
def output(model: Any, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
    sample = model(**inputs).sample
    assert isinstance(sample, torch.Tensor)
    return sample


def difference(a: torch.Tensor, b: torch.Tensor) -> float:
    assert a.shape == b.shape, (a.shape, b.shape)
    return (a.float() - b.float()).abs().max().item()


def assert_same(a: torch.Tensor, b: torch.Tensor, what: str) -> None:
    assert difference(a, b) < SAME, f"{what} differs by {difference(a, b):.1e}"


def assert_close(a: torch.Tensor, b: torch.Tensor, dtype: torch.dtype) -> None:
    scale = a.float().abs().max().item()
    assert torch.isfinite(b).all(), f"not finite in {dtype}"
    assert difference(a, b) < CLOSE[dtype] * scale, f"{dtype} differs by {difference(a, b):.1e} of {scale:.1e}"


def blocks(model: Any) -> Any:
    return model.transformer_blocks


# What every transformer must do


class NoDoublePrecision(TorchDispatchMode):
    """Fails where an operator returns float64, which not all backends have."""

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, tuple | list) else [result]:
            assert not (isinstance(tensor, torch.Tensor) and tensor.dtype == torch.float64), f"{function} in float64"
        return result


def check_output(variant: Variant) -> None:
    """Shape, dtype, contiguity, the tuple and the samples of a batch are right, and nothing is computed in float64."""
    model, inputs = variant.model(), variant.inputs()
    with NoDoublePrecision():
        whole = output(model, inputs)
    assert whole.shape == inputs["hidden_states"].shape, f"shape {tuple(whole.shape)}"
    assert whole.is_contiguous(), "not contiguous"
    assert torch.isfinite(whole).all(), "not finite"
    with torch.no_grad():
        assert_same(whole, model(**inputs, return_dict=False)[0], "the tuple")
    single = output(model, {name: tensor[1:] for name, tensor in inputs.items()})
    assert_same(whole[1:], single, "a sample alone")


def check_bfloat16(variant: Variant) -> None:
    """The model runs in bfloat16 and gives about the same."""
    model, inputs = variant.model(), variant.inputs()
    expected = output(model, inputs)
    half = output(model.to(torch.bfloat16), cast(inputs, torch.bfloat16))
    assert half.dtype == torch.bfloat16, f"{half.dtype} comes out"
    assert_close(expected, half, torch.bfloat16)


def check_compile(variant: Variant) -> None:
    """One graph, compiled once for one shape, and once for several; and block by block."""
    model = variant.model()
    sizes = TINY[variant.modality][1]
    several = [variant.inputs(tuple(factor * size for size in sizes)) for factor in (1, 2, 3)]
    expected = [output(model, inputs) for inputs in several]
    torch._dynamo.reset()
    with torch._dynamo.config.patch(error_on_recompile=True):
        compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
        for _ in range(2):
            assert_same(expected[0], output(compiled, several[0]), "the compiled model")
    torch._dynamo.reset()
    with (
        torch._dynamo.config.patch(error_on_recompile=True),
        torch.fx.experimental._config.patch(use_duck_shape=False),
    ):
        compiled = torch.compile(model, fullgraph=True, dynamic=True, backend="aot_eager")
        for inputs, wanted in zip(several, expected, strict=True):
            assert_same(wanted, output(compiled, inputs), "the model compiled for several shapes")
    torch._dynamo.reset()
    with torch._dynamo.config.patch(error_on_recompile=True):
        model.compile_repeated_blocks(fullgraph=True, backend="aot_eager")
        assert_same(expected[0], output(model, several[0]), "the model with compiled blocks")


def gradients(model: Any, inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    model.zero_grad()
    model(**inputs).sample.square().mean().backward()
    return {name: parameter.grad.clone() for name, parameter in model.named_parameters() if parameter.grad is not None}


def check_gradient_checkpointing(variant: Variant) -> None:
    """Blocks run again in the backward pass, and the gradients are the same."""
    model, inputs = variant.model().train(), variant.inputs()
    calls: list[str] = []
    for block in blocks(model):
        block.register_forward_pre_hook(lambda *_: calls.append("block"))
    expected = gradients(model, inputs)
    assert len(calls) == LAYERS
    model.enable_gradient_checkpointing()
    actual = gradients(model, inputs)
    assert len(calls) == 3 * LAYERS, f"{len(calls) - LAYERS} calls of {LAYERS} blocks: nothing is computed again"
    assert expected.keys() == actual.keys()
    for name, gradient in expected.items():
        assert_same(gradient, actual[name], f"the gradient of {name}")


def check_group_offloading(variant: Variant) -> None:
    """Weights that are on the disk, but for the modules that run, give the same."""
    cpu = torch.device("cpu")
    for how in ({"offload_type": "block_level", "num_blocks_per_group": 1}, {"offload_type": "leaf_level"}):
        model, inputs = variant.model(), variant.inputs()
        expected = output(model, inputs)
        with (
            tempfile.TemporaryDirectory(prefix="variant-") as folder,
            # The hooks ask for an accelerator even where they move nothing but to the CPU.
            mock.patch.object(torch.accelerator, "current_accelerator", return_value=cpu),
        ):
            model.enable_group_offload(cpu, cpu, offload_to_disk_path=folder, **how)
            assert all(parameter.isnan().all() for parameter in blocks(model).parameters()), "weights are still there"
            assert_same(expected, output(model, inputs), f"{how['offload_type']} offloading")


def check_layerwise_casting(variant: Variant) -> None:
    """Weights stored in float8, but for the embeddings and norms, give about the same."""
    for compute in (torch.float32, torch.bfloat16):
        model, inputs = variant.model(), variant.inputs()
        expected = output(model, inputs)
        model.to(compute).enable_layerwise_casting(storage_dtype=torch.float8_e4m3fn, compute_dtype=compute)
        stored = {name: parameter.dtype for name, parameter in model.named_parameters()}
        precise = ("patch_embed", "time_", "norm", "proj_out")
        wanted = {name: compute if any(part in name for part in precise) else torch.float8_e4m3fn for name in stored}
        wrong = sorted(name for name in stored if stored[name] != wanted[name])
        assert not wrong, f"stored as {stored[wrong[0]]}: {', '.join(wrong[:3])}"
        actual = output(model, cast(inputs, compute))
        assert actual.dtype == compute, f"{actual.dtype} comes out"
        assert_close(expected, actual, torch.float8_e4m3fn)


# Context parallelism


def parallel_rank(
    rank: int, variant: Variant, folder: str, expected: torch.Tensor, whole: dict[str, torch.Tensor]
) -> None:
    """One of two processes: half of the tokens in the blocks, all of the output in the end, its part of the gradients."""
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2)
    torch.set_num_threads(1)
    model, inputs = variant.model(), variant.inputs()
    model.enable_parallelism(config=diffusers.ContextParallelConfig(ulysses_degree=2))
    tokens: list[int] = []
    blocks(model)[-1].register_forward_pre_hook(lambda _, arguments: tokens.append(arguments[0].shape[1]))
    assert_same(expected, output(model, inputs), f"rank {rank}")
    assert tokens == [variant.tokens() // 2], f"{tokens} of {variant.tokens()} tokens on rank {rank}"
    parts = gradients(model, inputs)
    assert parts.keys() == whole.keys()
    for name, part in parts.items():
        torch.distributed.all_reduce(part)
        assert_same(whole[name], part, f"the gradient of {name}")
    torch.distributed.destroy_process_group()


def check_context_parallel(variant: Variant) -> None:
    """Two processes that share the sequence (Ulysses) compute what one does, forward and backward."""
    model, inputs = variant.model(), variant.inputs()
    arguments = (output(model, inputs), gradients(model, inputs))
    with tempfile.TemporaryDirectory(prefix="variant-") as folder:
        torch.multiprocessing.start_processes(
            parallel_rank, (variant, folder, *arguments), nprocs=2, start_method="fork"
        )


CHECKS: dict[str, Callable[[Variant], None]] = {
    "output": check_output,
    "bfloat16": check_bfloat16,
    "gradient checkpointing": check_gradient_checkpointing,
    "group offloading": check_group_offloading,
    "layerwise casting": check_layerwise_casting,
    "context parallel": check_context_parallel,
    "compile": check_compile,
}


def run(check: str, variant: Variant) -> str:
    """``ok``, or the last line of what went wrong: one failure must not hide the others."""
    try:
        CHECKS[check](variant)
    except Exception as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        return f"{type(error).__name__}: {lines[-1] if lines else ''}"
    return "ok"


def run_checks(request: dict[str, Any]) -> dict[str, dict[str, str]]:
    root = Path(request["root"]).resolve()
    assert root in Path(diffusers.__file__).resolve().parents, f"diffusers comes from {diffusers.__file__}"
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    # New memory is then filled with NaN, so that it shows where a weight is used that is offloaded or was never set.
    torch.use_deterministic_algorithms(True)
    return {
        name: {check: run(check, Variant(**variant)) for check in checks}
        for name, (variant, checks) in request["variants"].items()
    }


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(json.dumps(run_checks(json.loads(Path(sys.argv[1]).read_text()))))
