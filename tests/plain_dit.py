"""A plain DiT, the reference that a generated model is compared with; run by the Python with torch.

It is written without a line of diffusers, from the layout that the generated conversion script says it converts: fused
projections, [shift, scale] in the final layer, complex rotary embeddings. Parameter names are those of the original.
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
    def __init__(self, dim: int, heads: int):
        super().__init__()
        self.img_mod, self.txt_mod = modulation(dim, 6), modulation(dim, 6)
        self.img_attn, self.txt_attn = Attention(dim, heads), Attention(dim, heads)
        self.img_mlp, self.txt_mlp = Mlp(dim), Mlp(dim)

    def forward(
        self, image: torch.Tensor, text: torch.Tensor, time: torch.Tensor, rotation: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        shift, scale, gate, mlp_shift, mlp_scale, mlp_gate = self.img_mod(time)[:, None].chunk(6, dim=-1)
        txt_shift, txt_scale, txt_gate, txt_mlp_shift, txt_mlp_scale, txt_mlp_gate = self.txt_mod(time)[:, None].chunk(
            6, dim=-1
        )
        query, key, value = self.img_attn.project(normalize(image, shift, scale))
        txt_query, txt_key, txt_value = self.txt_attn.project(normalize(text, txt_shift, txt_scale))
        attended = attend(
            torch.cat([txt_query, rotate(query, rotation)], dim=2),
            torch.cat([txt_key, rotate(key, rotation)], dim=2),
            torch.cat([txt_value, value], dim=2),
        )
        length = text.shape[1]
        image = image + gate * self.img_attn.proj(attended[:, length:])
        text = text + txt_gate * self.txt_attn.proj(attended[:, :length])
        image = image + mlp_gate * self.img_mlp(normalize(image, mlp_shift, mlp_scale))
        text = text + txt_mlp_gate * self.txt_mlp(normalize(text, txt_mlp_shift, txt_mlp_scale))
        return image, text


class CrossBlock(nn.Module):
    def __init__(self, dim: int, heads: int):
        super().__init__()
        self.modulation = modulation(dim, 6)
        self.attn = Attention(dim, heads)
        self.norm2 = nn.LayerNorm(dim, eps=1e-6)
        self.cross_attn = Attention(dim, heads, fused=False)
        self.mlp = Mlp(dim)

    def forward(
        self, image: torch.Tensor, text: torch.Tensor, time: torch.Tensor, rotation: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        shift, scale, gate, mlp_shift, mlp_scale, mlp_gate = self.modulation(time)[:, None].chunk(6, dim=-1)
        query, key, value = self.attn.project(normalize(image, shift, scale))
        image = image + gate * self.attn.proj(attend(rotate(query, rotation), rotate(key, rotation), value))
        cross = self.cross_attn
        query = cross.q_norm(cross.split(cross.q(self.norm2(image))))
        key, value = cross.k_norm(cross.split(cross.k(text))), cross.split(cross.v(text))
        image = image + cross.proj(attend(query, key, value))
        return image + mlp_gate * self.mlp(normalize(image, mlp_shift, mlp_scale)), text


class PlainDiT(nn.Module):
    """The whole model, of the sizes that a parity harness names.

    Args:
        attention: ``joint`` or ``cross``.
        config: The ``CONFIG`` of ``parity.py``.
        planted_bug: Rotate by (column, row) in place of (row, column): the mistake that a comparison must notice.
    """

    def __init__(self, attention: str, config: dict[str, Any], planted_bug: bool = False):
        super().__init__()
        heads = config["num_attention_heads"]
        dim = heads * config["attention_head_dim"]
        self.patch, self.channels = config["patch_size"], config["in_channels"]
        self.axes, self.planted_bug = config["axes_dims_rope"], planted_bug
        self.x_embedder, self.t_embedder, self.final_layer = nn.Module(), nn.Module(), nn.Module()
        self.x_embedder.proj = nn.Conv2d(self.channels, dim, self.patch, self.patch)
        self.t_embedder.mlp = nn.Sequential(nn.Linear(256, dim), nn.SiLU(), nn.Linear(dim, dim))
        self.y_embedder = nn.Linear(config["text_embed_dim"], dim)
        block = {"joint": JointBlock, "cross": CrossBlock}[attention]
        self.blocks = nn.ModuleList(block(dim, heads) for _ in range(config["num_layers"]))
        self.final_layer.modulation = modulation(dim, 2)
        self.final_layer.linear = nn.Linear(dim, self.patch**2 * self.channels)

    def rotation(self, height: int, width: int) -> torch.Tensor:
        positions = torch.cartesian_prod(torch.arange(height), torch.arange(width))
        if self.planted_bug:
            positions = positions.flip(-1)
        angles = [
            positions[:, axis, None] * 10000.0 ** (-torch.arange(0, size, 2) / size)
            for axis, size in enumerate(self.axes)
        ]
        angle = torch.cat(angles, dim=-1)
        return torch.polar(torch.ones_like(angle), angle)

    def forward(self, latent: torch.Tensor, timestep: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
        height, width = latent.shape[-2] // self.patch, latent.shape[-1] // self.patch
        angle = timestep[:, None] * torch.exp(-math.log(10000) * torch.arange(128) / 128)
        time = self.t_embedder.mlp(torch.cat([angle.cos(), angle.sin()], dim=-1))
        image, text = self.x_embedder.proj(latent).flatten(2).transpose(1, 2), self.y_embedder(text)
        rotation = self.rotation(height, width)
        for block in self.blocks:
            image, text = block(image, text, time, rotation)
        shift, scale = self.final_layer.modulation(time)[:, None].chunk(2, dim=-1)
        patches = self.final_layer.linear(normalize(image, shift, scale))
        patches = patches.unflatten(-1, (self.patch, self.patch, self.channels)).unflatten(1, (height, width))
        # (batch, rows, columns, patch, patch, channels) -> (batch, channels, rows * patch, columns * patch)
        return patches.permute(0, 5, 1, 3, 2, 4).flatten(4, 5).flatten(2, 3)
