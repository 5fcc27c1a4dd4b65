"""A reference-style model of two kinds of joint blocks, with which diffusers' Flux transformer agrees after a conversion.

Our own code: fused projections, other names, shift before scale everywhere, complex rotations. Weights are scaled so that
small mistakes show.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

HEADS, HEAD, AXES = 3, 16, (4, 6, 6)
DIM = HEADS * HEAD
CHANNELS, TEXT, POOLED = 20, 36, 28


def embed(number: torch.Tensor) -> torch.Tensor:
    """Waves of a number between 0 and 1: (batch,) -> (batch, 256)."""
    angle = 1000 * number[:, None] * torch.exp(-math.log(10000) * torch.arange(128) / 128)
    return torch.cat([angle.cos(), angle.sin()], -1)


def rotation(places: torch.Tensor) -> torch.Tensor:
    """Complex rotations of tokens at some places: (tokens, 3) -> (tokens, pairs)."""
    angles = [
        places[:, axis, None].double() * 10000.0 ** -(torch.arange(0, size, 2, dtype=torch.float64) / size)
        for axis, size in enumerate(AXES)
    ]
    angle = torch.cat(angles, -1)
    return torch.polar(torch.ones_like(angle), angle).to(torch.complex64)


def rotate(x: torch.Tensor, by: torch.Tensor) -> torch.Tensor:
    return torch.view_as_real(torch.view_as_complex(x.unflatten(-1, (-1, 2)).contiguous()) * by).flatten(-2)


class Rms(nn.Module):
    def __init__(self, size: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(size))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * (x.square().mean(-1, keepdim=True) + 1e-6).rsqrt() * self.gain


def plain(x: torch.Tensor) -> torch.Tensor:
    return F.layer_norm(x, x.shape[-1:], eps=1e-6)


def heads(x: torch.Tensor) -> torch.Tensor:
    return x.unflatten(-1, (HEADS, -1)).transpose(1, 2)


def attend(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, by: torch.Tensor) -> torch.Tensor:
    mixed = F.scaled_dot_product_attention(rotate(query, by), rotate(key, by), value)
    return mixed.transpose(1, 2).flatten(2)


class Mlp2(nn.Module):
    def __init__(self, taken: int) -> None:
        super().__init__()
        self.one, self.two = nn.Linear(taken, DIM), nn.Linear(DIM, DIM)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.two(F.silu(self.one(x)))


class Stream(nn.Module):
    """The layers of one of two streams."""

    def __init__(self) -> None:
        super().__init__()
        self.mod, self.qkv = nn.Linear(DIM, 6 * DIM), nn.Linear(DIM, 3 * DIM)
        self.q_rms, self.k_rms = Rms(HEAD), Rms(HEAD)
        self.out, self.up, self.down = nn.Linear(DIM, DIM), nn.Linear(DIM, 4 * DIM), nn.Linear(4 * DIM, DIM)

    def parts(self, x: torch.Tensor, m: Any) -> tuple[torch.Tensor, ...]:
        query, key, value = map(heads, self.qkv(plain(x) * (1 + m[1]) + m[0]).chunk(3, -1))
        return self.q_rms(query), self.k_rms(key), value

    def end(self, x: torch.Tensor, mixed: torch.Tensor, m: Any) -> torch.Tensor:
        x = x + m[2] * self.out(mixed)
        return x + m[5] * self.down(F.gelu(self.up(plain(x) * (1 + m[4]) + m[3]), approximate="tanh"))


class Double(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.x, self.c = Stream(), Stream()

    def forward(self, x: torch.Tensor, c: torch.Tensor, time: torch.Tensor, by: torch.Tensor) -> Any:
        modulation = [stream.mod(F.silu(time))[:, None].chunk(6, -1) for stream in (self.x, self.c)]
        own = [stream.parts(each, m) for stream, each, m in zip((self.x, self.c), (x, c), modulation, strict=True)]
        mixed = attend(*(torch.cat([text, image], 2) for image, text in zip(*own, strict=True)), by)
        length = c.shape[1]
        return self.x.end(x, mixed[:, length:], modulation[0]), self.c.end(c, mixed[:, :length], modulation[1])


class Single(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.mod, self.wide = nn.Linear(DIM, 3 * DIM), nn.Linear(DIM, 7 * DIM)
        self.q_rms, self.k_rms, self.narrow = Rms(HEAD), Rms(HEAD), nn.Linear(5 * DIM, DIM)

    def forward(self, x: torch.Tensor, time: torch.Tensor, by: torch.Tensor) -> torch.Tensor:
        shift, scale, gate = self.mod(F.silu(time))[:, None].chunk(3, -1)
        query, key, value, inner = self.wide(plain(x) * (1 + scale) + shift).split([DIM, DIM, DIM, 4 * DIM], -1)
        mixed = attend(self.q_rms(heads(query)), self.k_rms(heads(key)), heads(value), by)
        return x + gate * self.narrow(torch.cat([mixed, F.gelu(inner, approximate="tanh")], -1))


class Twin(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.x_in, self.c_in = nn.Linear(CHANNELS, DIM), nn.Linear(TEXT, DIM)
        self.time, self.guide, self.pooled = Mlp2(256), Mlp2(256), Mlp2(POOLED)
        self.doubles, self.singles = (
            nn.ModuleList(Double() for _ in range(2)),
            nn.ModuleList(Single() for _ in range(3)),
        )
        self.end_mod, self.end = nn.Linear(DIM, 2 * DIM), nn.Linear(DIM, CHANNELS)

    def forward(
        self, x: Any, c: Any, pooled: Any, t: Any, guidance: Any, x_places: Any, c_places: Any
    ) -> torch.Tensor:
        x, c = self.x_in(x), self.c_in(c)
        time = self.time(embed(t)) + self.guide(embed(guidance))
        time = time + self.pooled(pooled)
        by = rotation(torch.cat([c_places, x_places]))
        for block in self.doubles:
            x, c = block(x, c, time, by)
        x = torch.cat([c, x], 1)
        for block in self.singles:
            x = block(x, time, by)
        x = x[:, c.shape[1] :]
        shift, scale = self.end_mod(F.silu(time))[:, None].chunk(2, -1)
        return self.end(plain(x) * (1 + scale) + shift)


#: Activations near eps at the first norms, sharp attention and strong feed-forward layers.
SCALED = {
    "x_in.": 0.01,
    "c_in.": 0.01,
    "0.x.qkv": 0.01,
    "0.c.qkv": 0.01,
    "_rms": 2.5,
    "down.weight": 8,
    "narrow.weight": 8,
    "end.": 3,
}


def randomize(model: nn.Module, scaled: dict[str, float]) -> nn.Module:
    """Seeded weights under which every parameter and every small mistake shows."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if parameter.ndim >= 2 and name.endswith("weight"):
                value = noise / parameter[0].numel() ** 0.5
            elif name.endswith(("gain", "norm.weight", "norm_in.weight", "norm_out.weight")):
                value = 1 + 0.3 * noise
            else:
                value = (0.5 if parameter.ndim >= 2 else 0.2) * noise
            for part, factor in scaled.items():
                value = value * factor if part in name else value
            parameter.copy_(value)
    return model


def build_reference() -> nn.Module:
    return randomize(Twin(), SCALED)


def build_target() -> nn.Module:
    from diffusers import FluxTransformer2DModel

    return FluxTransformer2DModel(
        patch_size=1, in_channels=CHANNELS, num_layers=2, num_single_layers=3, attention_head_dim=HEAD,
        num_attention_heads=HEADS, joint_attention_dim=TEXT, pooled_projection_dim=POOLED, guidance_embeds=True,
        axes_dims_rope=AXES,
    )  # fmt: skip


def make_inputs() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    places = torch.stack(torch.meshgrid(torch.arange(6) * 7.0, torch.arange(5) * 11.0, indexing="ij"), -1).reshape(
        -1, 2
    )
    return {
        "x": torch.randn(2, 30, CHANNELS, generator=generator),
        "c": torch.randn(2, 7, TEXT, generator=generator),
        "pooled": torch.randn(2, POOLED, generator=generator),
        "t": torch.tensor([0.7345, 0.2127]),
        "guidance": torch.tensor([3.5, 1.75]),
        "x_places": torch.cat([torch.zeros(30, 1), places], 1),
        "c_places": torch.cat([torch.arange(7.0)[:, None], torch.zeros(7, 2)], 1),
    }


def run_reference(model: nn.Module, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
    return model(**inputs)


def run_target(model: nn.Module, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
    return model(
        hidden_states=inputs["x"], encoder_hidden_states=inputs["c"], pooled_projections=inputs["pooled"],
        timestep=inputs["t"], img_ids=inputs["x_places"], txt_ids=inputs["c_places"], guidance=inputs["guidance"],
        return_dict=False,
    )[0]  # fmt: skip


def step_inputs(inputs: dict[str, Any], sample: torch.Tensor, sigma: float) -> dict[str, Any]:
    """The inputs of one step of the denoising loop."""
    return {**inputs, "x": sample, "t": torch.full((2,), sigma)}


def convert(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    made: dict[str, torch.Tensor] = {}

    def put(name: str, key: str) -> None:
        for kind in ("weight", "bias"):
            made[f"{name}.{kind}"] = state[f"{key}.{kind}"]

    def cut(names: list[str], key: str, sizes: list[int]) -> None:
        for kind in ("weight", "bias"):
            for name, part in zip(names, state[f"{key}.{kind}"].split(sizes), strict=True):
                made[f"{name}.{kind}"] = part

    put("x_embedder", "x_in")
    put("context_embedder", "c_in")
    for name, key in (("timestep", "time"), ("guidance", "guide"), ("text", "pooled")):
        put(f"time_text_embed.{name}_embedder.linear_1", f"{key}.one")
        put(f"time_text_embed.{name}_embedder.linear_2", f"{key}.two")
    doubles, singles = (
        {key.split(".")[1] for key in state if key.startswith(name)} for name in ("doubles.", "singles.")
    )
    for index in map(int, doubles):
        block = f"transformer_blocks.{index}"
        for stream, norm, names, out, added, ff in (
            ("x", "norm1", [f"to_{letter}" for letter in "qkv"], "to_out.0", "", "ff"),
            ("c", "norm1_context", [f"add_{letter}_proj" for letter in "qkv"], "to_add_out", "added_", "ff_context"),
        ):
            key = f"doubles.{index}.{stream}"
            put(f"{block}.{norm}.linear", f"{key}.mod")
            cut([f"{block}.attn.{name}" for name in names], f"{key}.qkv", [DIM] * 3)
            for letter in "qk":
                made[f"{block}.attn.norm_{added}{letter}.weight"] = state[f"{key}.{letter}_rms.gain"]
            put(f"{block}.attn.{out}", f"{key}.out")
            put(f"{block}.{ff}.net.0.proj", f"{key}.up")
            put(f"{block}.{ff}.net.2", f"{key}.down")
    for index in map(int, singles):
        block, key = f"single_transformer_blocks.{index}", f"singles.{index}"
        put(f"{block}.norm.linear", f"{key}.mod")
        names = [f"{block}.attn.to_{letter}" for letter in "qkv"]
        cut([*names, f"{block}.proj_mlp"], f"{key}.wide", [DIM, DIM, DIM, 4 * DIM])
        for letter in "qk":
            made[f"{block}.attn.norm_{letter}.weight"] = state[f"{key}.{letter}_rms.gain"]
        put(f"{block}.proj_out", f"{key}.narrow")
    for kind in ("weight", "bias"):
        shift, scale = state[f"end_mod.{kind}"].chunk(2)
        made[f"norm_out.linear.{kind}"] = torch.cat([scale, shift])
    put("proj_out", "end")
    return made
