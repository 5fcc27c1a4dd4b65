"""A plain DiT, the reference that a generated model is compared with; run by the Python with torch.

It is written without a line of diffusers, from the layout that the generated conversion script says it converts: fused
projections, [shift, scale] in the final layer, complex rotary embeddings. Parameter names are those of the original. One
model serves image, video and audio: a latent has two, three or one axes.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F


class Attention(nn.Module):
    """The projections of one stream; who attends to whom is up to the block."""

    def __init__(self, dim: int, heads: int, fused: bool = True):
        super().__init__()
        self.heads = heads
        if fused:
            self.qkv = nn.Linear(dim, 3 * dim)
        else:
            self.q, self.k, self.v = nn.Linear(dim, dim), nn.Linear(dim, dim), nn.Linear(dim, dim)
        self.q_norm = nn.RMSNorm(dim // heads, eps=1e-6)
        self.k_norm = nn.RMSNorm(dim // heads, eps=1e-6)
        self.proj = nn.Linear(dim, dim)

    def split(self, tensor: torch.Tensor) -> torch.Tensor:
        return tensor.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def project(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        query, key, value = (self.split(part) for part in self.qkv(x).chunk(3, dim=-1))
        return self.q_norm(query), self.k_norm(key), value


class Mlp(nn.Module):
    def __init__(self, dim: int):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc2(F.gelu(self.fc1(x), approximate="tanh"))


def modulation(dim: int, parts: int) -> nn.Sequential:
    return nn.Sequential(nn.SiLU(), nn.Linear(dim, parts * dim))


def normalize(x: torch.Tensor, shift: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    return F.layer_norm(x, x.shape[-1:], eps=1e-6) * (1 + scale) + shift


def rotate(x: torch.Tensor, rotation: torch.Tensor) -> torch.Tensor:
    pairs = torch.view_as_complex(x.unflatten(-1, (-1, 2)).contiguous())
    return torch.view_as_real(pairs * rotation).flatten(-2)


def attend(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    weights = (query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])).softmax(dim=-1)
    return (weights @ value).transpose(1, 2).flatten(2)


class JointBlock(nn.Module):
    """Two streams of the same layers; ``stream`` is the prefix of the one that is not text."""

    def __init__(self, dim: int, heads: int, stream: str):
        super().__init__()
        self.stream = stream
        for prefix in (stream, "txt"):
            self.add_module(f"{prefix}_mod", modulation(dim, 6))
            self.add_module(f"{prefix}_attn", Attention(dim, heads))
            self.add_module(f"{prefix}_mlp", Mlp(dim))

    def layers(self, prefix: str) -> list[Any]:
        return [getattr(self, f"{prefix}_{layer}") for layer in ("mod", "attn", "mlp")]

    def forward(
        self, sample: torch.Tensor, text: torch.Tensor, time: torch.Tensor, rotation: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        mod, attn, mlp = self.layers(self.stream)
        txt_mod, txt_attn, txt_mlp = self.layers("txt")
        shift, scale, gate, mlp_shift, mlp_scale, mlp_gate = mod(time)[:, None].chunk(6, dim=-1)
        txt_shift, txt_scale, txt_gate, txt_mlp_shift, txt_mlp_scale, txt_mlp_gate = txt_mod(time)[:, None].chunk(
            6, dim=-1
        )
        query, key, value = attn.project(normalize(sample, shift, scale))
        txt_query, txt_key, txt_value = txt_attn.project(normalize(text, txt_shift, txt_scale))
        attended = attend(
            torch.cat([txt_query, rotate(query, rotation)], dim=2),
            torch.cat([txt_key, rotate(key, rotation)], dim=2),
            torch.cat([txt_value, value], dim=2),
        )
        length = text.shape[1]
        sample = sample + gate * attn.proj(attended[:, length:])
        text = text + txt_gate * txt_attn.proj(attended[:, :length])
        sample = sample + mlp_gate * mlp(normalize(sample, mlp_shift, mlp_scale))
        text = text + txt_mlp_gate * txt_mlp(normalize(text, txt_mlp_shift, txt_mlp_scale))
        return sample, text


class CrossBlock(nn.Module):
    def __init__(self, dim: int, heads: int, _: str):
        super().__init__()
        self.modulation = modulation(dim, 6)
        self.attn = Attention(dim, heads)
        self.norm2 = nn.LayerNorm(dim, eps=1e-6)
        self.cross_attn = Attention(dim, heads, fused=False)
        self.mlp = Mlp(dim)

    def forward(
        self, sample: torch.Tensor, text: torch.Tensor, time: torch.Tensor, rotation: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        shift, scale, gate, mlp_shift, mlp_scale, mlp_gate = self.modulation(time)[:, None].chunk(6, dim=-1)
        query, key, value = self.attn.project(normalize(sample, shift, scale))
        sample = sample + gate * self.attn.proj(attend(rotate(query, rotation), rotate(key, rotation), value))
        cross = self.cross_attn
        query = cross.q_norm(cross.split(cross.q(self.norm2(sample))))
        key, value = cross.k_norm(cross.split(cross.k(text))), cross.split(cross.v(text))
        sample = sample + cross.proj(attend(query, key, value))
        return sample + mlp_gate * self.mlp(normalize(sample, mlp_shift, mlp_scale)), text


def embedder(dim: int) -> nn.Module:
    """The layers that embed a number."""
    module = nn.Module()
    module.mlp = nn.Sequential(nn.Linear(256, dim), nn.SiLU(), nn.Linear(dim, dim))
    return module


def waves(number: torch.Tensor) -> torch.Tensor:
    angle = number[:, None] * torch.exp(-math.log(10000) * torch.arange(128) / 128)
    return torch.cat([angle.cos(), angle.sin()], dim=-1)


#: By modality: how many axes a latent has, and what its stream is called.
LATENTS = {"image": (2, "img"), "video": (3, "vid"), "audio": (1, "aud")}


class PlainDiT(nn.Module):
    """The whole model, of the sizes that a parity harness names.

    Args:
        modality: ``image``, ``video`` or ``audio``.
        attention: ``joint`` or ``cross``.
        guidance: ``cfg``, or ``embedded`` where the guidance scale is an input.
        config: The ``CONFIG`` of ``parity.py``.
        planted_bug: A mistake that a comparison must notice: ``rotation``, the axes in reverse order, or the only axis
            backwards; ``guidance``, the scale as it is in place of 1000 times that.
    """

    def __init__(self, modality: str, attention: str, guidance: str, config: dict[str, Any], planted_bug: str = ""):
        super().__init__()
        heads = config["num_attention_heads"]
        dim = heads * config["attention_head_dim"]
        axes, stream = LATENTS[modality]
        patch = config["patch_size"]
        self.patch = (patch,) * axes if isinstance(patch, int) else tuple(patch)
        self.channels, self.planted_bug = config["in_channels"], planted_bug
        self.axes = config.get("axes_dims_rope", (config["attention_head_dim"],))
        self.x_embedder, self.final_layer = nn.Module(), nn.Module()
        convolution = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[axes - 1]
        self.x_embedder.proj = convolution(self.channels, dim, self.patch, self.patch)
        self.t_embedder = embedder(dim)
        if guidance == "embedded":
            self.g_embedder = embedder(dim)
        self.y_embedder = nn.Linear(config["text_embed_dim"], dim)
        block = {"joint": JointBlock, "cross": CrossBlock}[attention]
        self.blocks = nn.ModuleList(block(dim, heads, stream) for _ in range(config["num_layers"]))
        self.final_layer.modulation = modulation(dim, 2)
        self.final_layer.linear = nn.Linear(dim, math.prod(self.patch) * self.channels)

    def rotation(self, sizes: list[int]) -> torch.Tensor:
        positions = torch.cartesian_prod(*map(torch.arange, sizes)).reshape(-1, len(sizes))
        if self.planted_bug == "rotation":
            positions = positions.flip(-1) if len(sizes) > 1 else -positions
        angles = [
            positions[:, axis, None] * 10000.0 ** (-torch.arange(0, size, 2) / size)
            for axis, size in enumerate(self.axes)
        ]
        angle = torch.cat(angles, dim=-1)
        return torch.polar(torch.ones_like(angle), angle)

    def forward(
        self, latent: torch.Tensor, timestep: torch.Tensor, text: torch.Tensor, *guidance: Any
    ) -> torch.Tensor:
        sizes = [size // patch for size, patch in zip(latent.shape[2:], self.patch, strict=True)]
        time = self.t_embedder.mlp(waves(timestep))
        for scale in guidance:
            time = time + self.g_embedder.mlp(waves(scale if self.planted_bug == "guidance" else 1000 * scale))
        sample, text = self.x_embedder.proj(latent).flatten(2).transpose(1, 2), self.y_embedder(text)
        rotation = self.rotation(sizes)
        for block in self.blocks:
            sample, text = block(sample, text, time, rotation)
        shift, scale = self.final_layer.modulation(time)[:, None].chunk(2, dim=-1)
        patches = self.final_layer.linear(normalize(sample, shift, scale))
        patches = patches.unflatten(-1, (*self.patch, self.channels)).unflatten(1, sizes)
        # (batch, *sizes, *patch, channels) -> (batch, channels, size, patch, size, patch ...): every axis beside its patch
        axes = len(sizes)
        pairs = [position for axis in range(axes) for position in (1 + axis, 1 + axes + axis)]
        patches = patches.permute(0, 1 + 2 * axes, *pairs)
        return patches.reshape(latent.shape)
