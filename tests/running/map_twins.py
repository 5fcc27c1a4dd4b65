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
    patches = (
        x.unflatten(2, (size, PATCH)).unflatten(4, (size, PATCH)).permute(0, 2, 4, 1, 3, 5).flatten(3).flatten(1, 2)
    )
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
    return torch.stack([one * angle.cos() - other * angle.sin(), one * angle.sin() + other * angle.cos()], -1).flatten(
        -2
    )


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

    def __init__(
        self, num_key_value_heads: int = HEADS, qk_norm: bool = True, gated: bool = False, **sizes: int
    ) -> None:
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

    def role_of(self, key: str) -> str:
        """The role of a parameter; of the fused layer of a gated feed-forward, that of its first half."""
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
        module, _, leaf = key.rpartition(".")
        return f"{names[module]}.{leaf}"

    def roles(self) -> Roles:
        found = {self.role_of(key): value for key, value in self.named_parameters()}
        if self.gated:
            # Of SwiGLU, the first half is the value and the second the gate.
            for i in range(LAYERS):
                for leaf in ("weight", "bias"):
                    value, gate = found[f"blocks.{i}.up.{leaf}"].chunk(2)
                    found[f"blocks.{i}.up.{leaf}"], found[f"blocks.{i}.gate.{leaf}"] = value, gate
        return found

    def filled(self, roles: Roles) -> Roles:
        """What each parameter has to be, by key, for these roles."""
        found = {}
        for key, _ in self.named_parameters():
            role = self.role_of(key)
            gate = roles.get(role.replace(".up.", ".gate.")) if ".up." in role else None
            found[key] = roles[role] if gate is None else torch.cat([roles[role], gate])
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


def numbered(tensors: Roles) -> Roles:
    """Tensors of these shapes in which every element has a number of its own."""
    found, first = {}, 0
    for key, value in tensors.items():
        found[key] = torch.arange(first, first + value.numel(), dtype=torch.float64).reshape(value.shape)
        first += value.numel()
    return found


# Layouts: from roles to the tensors of a source, and back.
Layout = tuple[Callable[[Roles], Roles], Callable[[Roles], Roles]]
LEAVES = ("weight", "bias")


def _blocks(change: Callable[[Roles, str], None]) -> Callable[[Roles], Roles]:
    """The same change in every block; the result is a new dictionary."""

    def changed(roles: Roles) -> Roles:
        found = dict(roles)
        for i in range(LAYERS):
            change(found, f"blocks.{i}.")
        return found

    return changed


def fused(*parts: str, sizes: tuple[int, ...]) -> Layout:
    """Layers of a block as one, `fused`."""

    def fuse(w: Roles, at: str) -> None:
        for leaf in LEAVES:
            w[f"{at}fused.{leaf}"] = torch.cat([w.pop(f"{at}{part}.{leaf}") for part in parts])

    def split(w: Roles, at: str) -> None:
        for leaf in LEAVES:
            tensors = w.pop(f"{at}fused.{leaf}").split(list(sizes))
            w.update({f"{at}{part}.{leaf}": tensor for part, tensor in zip(parts, tensors, strict=True)})

    return _blocks(fuse), _blocks(split)


def _interleave(w: Roles, at: str) -> None:
    for leaf in LEAVES:
        parts = [w.pop(f"{at}{one}.{leaf}").unflatten(0, (HEADS, HEAD)) for one in "qkv"]
        w[f"{at}fused.{leaf}"] = torch.stack(parts, 1).flatten(0, 2)


def _apart(w: Roles, at: str) -> None:
    for leaf in LEAVES:
        by_head = w.pop(f"{at}fused.{leaf}").unflatten(0, (HEADS, 3, HEAD))
        w.update({f"{at}{one}.{leaf}": by_head[:, index].flatten(0, 1) for index, one in enumerate("qkv")})


def changed(
    key: str, there: Callable[[torch.Tensor], torch.Tensor], back: Callable[[torch.Tensor], torch.Tensor]
) -> Layout:
    """One tensor, or all whose key ends so, in another form."""

    def apply(function: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[Roles], Roles]:
        return lambda w: {name: function(value) if name.endswith(key) else value for name, value in w.items()}

    return apply(there), apply(back)


def both(*layouts: Layout) -> Layout:
    """One layout after the other."""

    def there(w: Roles) -> Roles:
        for layout, _ in layouts:
            w = layout(w)
        return w

    def back(w: Roles) -> Roles:
        for _, roles in reversed(layouts):
            w = roles(w)
        return w

    return there, back


def swap_halves(tensor: torch.Tensor) -> torch.Tensor:
    return torch.cat(tensor.chunk(2)[::-1])


def channels_last(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.unflatten(1, (CHANNELS, PATCH, PATCH)).permute(0, 2, 3, 1).flatten(1)


def channels_first(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.unflatten(1, (PATCH, PATCH, CHANNELS)).permute(0, 3, 1, 2).flatten(1)


def rows_channels_last(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.unflatten(0, (CHANNELS, PATCH, PATCH)).movedim(0, 2).flatten(0, 2)


def rows_channels_first(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.unflatten(0, (PATCH, PATCH, CHANNELS)).movedim(2, 0).flatten(0, 2)


def same(tensor: torch.Tensor) -> torch.Tensor:
    return tensor


#: By name, the layout and the arguments of the target.
LAYOUTS: dict[str, tuple[Layout, dict[str, Any]]] = {
    "renamed": (changed("", same, same), {}),
    "fused qkv": (fused("q", "k", "v", sizes=(24, 24, 24)), {}),
    "fused qkv, grouped": (fused("q", "k", "v", sizes=(24, 8, 8)), {"num_key_value_heads": 1}),
    "fused kv": (fused("k", "v", sizes=(24, 24)), {}),
    "fused kqv": (fused("k", "q", "v", sizes=(24, 24, 24)), {}),
    "fused qkv, no norm": (fused("q", "k", "v", sizes=(24, 24, 24)), {"qk_norm": False}),
    "fused qkv and feed-forward": (fused("q", "k", "v", "up", sizes=(24, 24, 24, 64)), {}),
    "interleaved heads": ((_blocks(_interleave), _blocks(_apart)), {}),
    "swapped halves": (
        both(
            changed("final_mod.weight", swap_halves, swap_halves), changed("final_mod.bias", swap_halves, swap_halves)
        ),
        {},
    ),
    "gate and value": (changed("", same, same), {"gated": True}),
    "gate and value in one, swapped": (fused("gate", "up", sizes=(64, 64)), {"gated": True}),
    "convolution": (
        changed(
            "patch.weight",
            lambda tensor: tensor.unflatten(1, (CHANNELS, PATCH, PATCH)),
            lambda tensor: tensor.flatten(1),
        ),
        {},
    ),
    "patches with the channels last": (changed("patch.weight", channels_last, channels_first), {}),
    "output with the channels last": (
        both(
            changed("final.weight", rows_channels_last, rows_channels_first),
            changed("final.bias", rows_channels_last, rows_channels_first),
        ),
        {},
    ),
    "transposed": (changed("down.weight", lambda tensor: tensor.t(), lambda tensor: tensor.t()), {}),
    "transposed square": (changed(".o.weight", lambda tensor: tensor.t(), lambda tensor: tensor.t()), {}),
}
