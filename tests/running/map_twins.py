"""Small models for the tests of the mapping: one target, in the layout of diffusers, and references in other layouts.

All compute the same function of the same roles, so that what is tested is how the weights are laid out.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

DIM, HEADS, HEAD, FF, TEXT, CHANNELS, PATCH, LAYERS = 24, 3, 8, 64, 20, 4, 2, 2
Roles = dict[str, torch.Tensor]


def linear(w: Roles, name: str, x: torch.Tensor) -> torch.Tensor:
    return F.linear(x, w[f"{name}.weight"], w.get(f"{name}.bias"))


def dit(w: Roles, x: torch.Tensor, t: torch.Tensor, text: torch.Tensor, kv_heads: int) -> torch.Tensor:
    """The function of all twins.

    Args:
        w: Weights by role.
        x: ``(batch, channels, height, width)``.
        t: ``(batch,)``.
        text: ``(batch, tokens, TEXT)``.
        kv_heads: Heads of key and value.
    """
    size = x.shape[2] // PATCH
    patches = x.unflatten(2, (size, PATCH)).unflatten(4, (size, PATCH)).permute(0, 2, 4, 1, 3, 5).flatten(3).flatten(1, 2)
    x = linear(w, "patch", patches)
    if "position" in w:
        x = x + w["position"]
    waves = t[:, None] * torch.arange(1, 17) / 16
    time = linear(w, "time2", F.silu(linear(w, "time1", torch.cat([waves.cos(), waves.sin()], -1))))
    context = linear(w, "text", text)
    for i in range(LAYERS):
        at = f"blocks.{i}."
        shift, scale, gate, shift2, scale2, gate2 = linear(w, f"{at}mod", F.silu(time))[:, None].chunk(6, -1)
        y = F.layer_norm(x, (DIM,)) * (1 + scale) + shift
        both = torch.cat([y, context], 1)
        q, k, v = (linear(w, at + one, both).unflatten(-1, (-1, HEAD)).transpose(1, 2) for one in "qkv")
        if f"{at}norm_q.weight" in w:
            q, k = (F.rms_norm(one, (HEAD,), w[f"{at}norm_{name}.weight"], 1e-6) for one, name in ((q, "q"), (k, "k")))
        # A rotation, so that query and key do not only show as their product.
        angle = torch.arange(both.shape[1])[:, None] * 0.3 ** torch.arange(HEAD // 2)
        q, k = (rotate(one, angle) for one in (q, k))
        k, v = (one.repeat_interleave(HEADS // kv_heads, 1) for one in (k, v))
        out = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)[:, : x.shape[1]]
        x = x + gate * linear(w, f"{at}o", out)
        y = F.layer_norm(x, (DIM,)) * (1 + scale2) + shift2
        if f"{at}gate.weight" in w:
            y = F.silu(linear(w, f"{at}gate", y)) * linear(w, f"{at}up", y)
        else:
            y = F.gelu(linear(w, f"{at}up", y))
        x = x + gate2 * linear(w, f"{at}down", y)
    scale, shift = linear(w, "final_mod", F.silu(time))[:, None].chunk(2, -1)
    return linear(w, "final", F.layer_norm(x, (DIM,)) * (1 + scale) + shift)


def rotate(x: torch.Tensor, angle: torch.Tensor) -> torch.Tensor:
    one, other = x[..., 0::2], x[..., 1::2]
    return torch.stack([one * angle.cos() - other * angle.sin(), one * angle.sin() + other * angle.cos()], -1).flatten(-2)


class AdaLayerNormContinuous(nn.Module):
    def __init__(self, dim: int, parts: int = 2) -> None:
        super().__init__()
        self.linear = nn.Linear(dim, parts * dim)


class AdaLayerNormZero(AdaLayerNormContinuous):
    pass


class SwiGLU(nn.Module):
    def __init__(self, dim: int, inner: int) -> None:
        super().__init__()
        self.proj = nn.Linear(dim, 2 * inner)


class GELU(nn.Module):
    def __init__(self, dim: int, inner: int) -> None:
        super().__init__()
        self.proj = nn.Linear(dim, inner)


class Attention(nn.Module):
    def __init__(self, kv_heads: int, qk_norm: bool) -> None:
        super().__init__()
        self.to_q = nn.Linear(DIM, HEADS * HEAD)
        self.to_k = nn.Linear(DIM, kv_heads * HEAD)
        self.to_v = nn.Linear(DIM, kv_heads * HEAD)
        self.to_out = nn.ModuleList([nn.Linear(HEADS * HEAD, DIM), nn.Dropout(0.0)])
        if qk_norm:
            self.norm_q, self.norm_k = nn.RMSNorm(HEAD), nn.RMSNorm(HEAD)


class FeedForward(nn.Module):
    def __init__(self, gated: bool) -> None:
        super().__init__()
        self.net = nn.ModuleList([(SwiGLU if gated else GELU)(DIM, FF), nn.Dropout(0.0), nn.Linear(FF, DIM)])


class Block(nn.Module):
    def __init__(self, kv_heads: int, qk_norm: bool, gated: bool) -> None:
        super().__init__()
        self.norm1 = AdaLayerNormZero(DIM, 6)
        self.attn = Attention(kv_heads, qk_norm)
        self.ff = FeedForward(gated)


class TwinTransformer(nn.Module):
    """The target, in the layout and with the names of diffusers."""

    def __init__(self, num_key_value_heads: int = HEADS, qk_norm: bool = True, gated: bool = False, **sizes: int) -> None:
        super().__init__()
        self.kv_heads, self.gated = num_key_value_heads, gated
        self.config = {
            "num_attention_heads": HEADS,
            "attention_head_dim": HEAD,
            "num_key_value_heads": num_key_value_heads,
            "num_layers": LAYERS,
            "qk_norm": qk_norm,
            "gated": gated,
        }
        self.patch_embed = nn.Linear(CHANNELS * PATCH**2, DIM)
        self.time_embedder = nn.Module()
        self.time_embedder.linear_1, self.time_embedder.linear_2 = nn.Linear(32, DIM), nn.Linear(DIM, DIM)
        self.context_embedder = nn.Linear(TEXT, DIM)
        self.transformer_blocks = nn.ModuleList(Block(num_key_value_heads, qk_norm, gated) for _ in range(LAYERS))
        self.norm_out = AdaLayerNormContinuous(DIM)
        self.proj_out = nn.Linear(DIM, CHANNELS * PATCH**2)

    def roles(self) -> Roles:
        names = {
            "patch_embed": "patch",
            "time_embedder.linear_1": "time1",
            "time_embedder.linear_2": "time2",
            "context_embedder": "text",
            "norm_out.linear": "final_mod",
            "proj_out": "final",
        }
        for i in range(LAYERS):
            at = f"transformer_blocks.{i}."
            for one in "qkv":
                names[f"{at}attn.to_{one}"] = f"blocks.{i}.{one}"
            names[f"{at}attn.to_out.0"] = f"blocks.{i}.o"
            names[f"{at}attn.norm_q"], names[f"{at}attn.norm_k"] = f"blocks.{i}.norm_q", f"blocks.{i}.norm_k"
            names[f"{at}norm1.linear"] = f"blocks.{i}.mod"
            names[f"{at}ff.net.0.proj"], names[f"{at}ff.net.2"] = f"blocks.{i}.up", f"blocks.{i}.down"
        found = {}
        for key, value in self.named_parameters():
            module, _, leaf = key.rpartition(".")
            found[f"{names[module]}.{leaf}"] = value
        if self.gated:
            # Of SwiGLU, the first half is the value and the second the gate.
            for i in range(LAYERS):
                for leaf in ("weight", "bias"):
                    value, gate = found[f"blocks.{i}.up.{leaf}"].chunk(2)
                    found[f"blocks.{i}.up.{leaf}"], found[f"blocks.{i}.gate.{leaf}"] = value, gate
        return found

    def forward(self, x: torch.Tensor, t: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
        roles = self.roles()
        if hasattr(self, "position"):
            roles["position"] = self.position
        return dit(roles, x, t, text, self.kv_heads)


class Laid(nn.Module):
    """A reference in some layout.

    Args:
        target: A target, whose weights it takes over.
        layout: From the target's roles to the source's tensors by key.
        roles: From the source's tensors back to roles, inside of the computation.
    """

    def __init__(
        self, target: TwinTransformer, layout: Callable[[Roles], Roles], roles: Callable[[Roles], Roles]
    ) -> None:
        super().__init__()
        self.kv_heads, self.back = target.kv_heads, roles
        with torch.no_grad():
            source = layout(target.roles())
        self.names = {key: key.replace(".", "/") for key in source}
        for key, value in source.items():
            self.register_parameter(self.names[key], nn.Parameter(value.detach().clone()))

    def state_dict(self, *args: Any, **kwargs: Any) -> Any:
        return {key: getattr(self, name).data for key, name in self.names.items()}

    def forward(self, x: torch.Tensor, t: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
        source = {key: getattr(self, name) for key, name in self.names.items()}
        return dit(self.back(source), x, t, text, self.kv_heads)


def randomized(model: nn.Module, seed: int = 0) -> nn.Module:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for value in model.parameters():
            noise = torch.randn(value.shape, generator=generator)
            value.copy_(noise / math.sqrt(value[0].numel()) if value.ndim > 1 else 0.5 + 0.3 * noise)
    return model


def harness(reference: Callable[[], nn.Module], target: Callable[[], nn.Module]) -> Any:
    """The functions of a harness, as a module has them."""
    generator = torch.Generator().manual_seed(5)
    inputs = {
        "x": torch.randn(2, CHANNELS, 6, 6, generator=generator),
        "t": torch.tensor([0.7, 3.1]),
        "text": torch.randn(2, 5, TEXT, generator=generator),
    }
    return SimpleNamespace(
        build_reference=lambda: randomized(reference()),
        build_target=target,
        make_inputs=lambda: inputs,
        run_reference=lambda model, given: model(**given),
        run_target=lambda model, given: model(**given),
    )
