"""A reference-style video model with cross-attention to text and an image, with which diffusers' Wan transformer agrees.

Our own code, as `joint_twin`: fused projections, other names, a convolution in place of nothing, angles in float64.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from joint_twin import randomize
from torch import nn

HEADS, HEAD, FFN, TEXT, FREQ, IMAGE, LAYERS = 3, 20, 88, 36, 32, 40, 3
DIM = HEADS * HEAD
SPLIT = (HEAD // 2 - 2 * (HEAD // 6), HEAD // 6, HEAD // 6)


def embed(number: torch.Tensor) -> torch.Tensor:
    angle = number.double()[:, None] * 10000.0 ** -(torch.arange(FREQ // 2, dtype=torch.float64) / (FREQ // 2))
    return torch.cat([angle.cos(), angle.sin()], 1).float()


def rotation(sizes: list[int]) -> torch.Tensor:
    places = torch.cartesian_prod(*map(torch.arange, sizes))
    angles = [
        places[:, axis, None] * 10000.0 ** -(torch.arange(pairs, dtype=torch.float64) / pairs)
        for axis, pairs in enumerate(SPLIT)
    ]
    angle = torch.cat(angles, 1)
    return torch.polar(torch.ones_like(angle), angle)


def rotate(x: torch.Tensor, by: torch.Tensor) -> torch.Tensor:
    """(batch, tokens, heads, channels), turned in float64."""
    pairs = torch.view_as_complex(x.double().unflatten(-1, (-1, 2)))
    return torch.view_as_real(pairs * by[:, None]).flatten(-2).float()


class Rms(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(DIM))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6) * self.gain


def plain(x: torch.Tensor) -> torch.Tensor:
    return F.layer_norm(x, (DIM,), eps=1e-6)


def heads(x: torch.Tensor) -> torch.Tensor:
    return x.unflatten(-1, (HEADS, -1))


def attend(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    query, key, value = (each.transpose(1, 2) for each in (query, key, value))
    return F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.zeros(1, 6, DIM))
        self.qkv, self.q_rms, self.k_rms, self.out = nn.Linear(DIM, 3 * DIM), Rms(), Rms(), nn.Linear(DIM, DIM)
        self.cross_norm = nn.LayerNorm(DIM, eps=1e-6)
        self.cross_q, self.cross_kv, self.image_kv = (
            nn.Linear(DIM, DIM),
            nn.Linear(DIM, 2 * DIM),
            nn.Linear(DIM, 2 * DIM),
        )
        self.cross_q_rms, self.cross_k_rms, self.image_k_rms, self.cross_out = Rms(), Rms(), Rms(), nn.Linear(DIM, DIM)
        self.up, self.down = nn.Linear(DIM, FFN), nn.Linear(FFN, DIM)

    def forward(self, x: Any, text: Any, image: Any, modulation: Any, by: Any) -> torch.Tensor:
        shift, scale, gate, shift2, scale2, gate2 = (self.table + modulation).unbind(1)
        normed = plain(x) * (1 + scale[:, None]) + shift[:, None]
        query, key, value = self.qkv(normed).chunk(3, -1)
        query, key = rotate(heads(self.q_rms(query)), by), rotate(heads(self.k_rms(key)), by)
        x = x + self.out(attend(query, key, heads(value))) * gate[:, None]
        query = heads(self.cross_q_rms(self.cross_q(self.cross_norm(x))))
        key, value = self.cross_kv(text).chunk(2, -1)
        image_key, image_value = self.image_kv(image).chunk(2, -1)
        mixed = attend(query, heads(self.cross_k_rms(key)), heads(value))
        mixed = mixed + attend(query, heads(self.image_k_rms(image_key)), heads(image_value))
        x = x + self.cross_out(mixed)
        inner = F.gelu(self.up(plain(x) * (1 + scale2[:, None]) + shift2[:, None]), approximate="tanh")
        return x + self.down(inner) * gate2[:, None]


class Twin(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.patch = nn.Conv3d(10, DIM, (1, 2, 2), (1, 2, 2))
        self.time_1, self.time_2, self.time_mod = nn.Linear(FREQ, DIM), nn.Linear(DIM, DIM), nn.Linear(DIM, 6 * DIM)
        self.text_1, self.text_2 = nn.Linear(TEXT, DIM), nn.Linear(DIM, DIM)
        self.image_norm_in, self.image_1 = nn.LayerNorm(IMAGE), nn.Linear(IMAGE, IMAGE)
        self.image_2, self.image_norm_out = nn.Linear(IMAGE, DIM), nn.LayerNorm(DIM)
        self.layers = nn.ModuleList(Block() for _ in range(LAYERS))
        self.end_table, self.end = nn.Parameter(torch.zeros(1, 2, DIM)), nn.Linear(DIM, 4 * 4)

    def forward(self, latent: Any, t: Any, text: Any, image: Any) -> torch.Tensor:
        x = self.patch(latent)
        sizes = list(x.shape[2:])
        x = x.flatten(2).transpose(1, 2)
        time = self.time_2(F.silu(self.time_1(embed(t))))
        modulation = self.time_mod(F.silu(time)).unflatten(1, (6, DIM))
        text = self.text_2(F.gelu(self.text_1(text), approximate="tanh"))
        image = self.image_norm_out(self.image_2(F.gelu(self.image_1(self.image_norm_in(image)))))
        by = rotation(sizes)
        for layer in self.layers:
            x = layer(x, text, image, modulation, by)
        shift, scale = (self.end_table + time[:, None]).chunk(2, 1)
        x = self.end(plain(x) * (1 + scale) + shift).unflatten(1, sizes).unflatten(-1, (1, 2, 2, 4))
        return x.permute(0, 7, 1, 4, 2, 5, 3, 6).reshape(latent.shape[0], 4, *latent.shape[2:])


SCALED = {
    "patch.": 0.02,
    "layers.0.qkv": 0.02,
    "layers.0.cross_kv": 0.02,
    "_rms": 2.5,
    "down.weight": 8,
    "end.weight": 2,
}


def build_reference() -> nn.Module:
    return randomize(Twin(), SCALED)


def build_target() -> nn.Module:
    from diffusers import WanTransformer3DModel

    return WanTransformer3DModel(
        patch_size=(1, 2, 2), num_attention_heads=HEADS, attention_head_dim=HEAD, in_channels=10, out_channels=4,
        text_dim=TEXT, freq_dim=FREQ, ffn_dim=FFN, num_layers=LAYERS, cross_attn_norm=True,
        qk_norm="rms_norm_across_heads", eps=1e-6, image_dim=IMAGE, added_kv_proj_dim=DIM,
    )  # fmt: skip


def make_inputs() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return {
        "latent": torch.randn(1, 10, 3, 6, 8, generator=generator),
        # diffusers' layer takes the last 512 tokens for text, whatever there are.
        "text": torch.randn(1, 512, TEXT, generator=generator),
        "image": torch.randn(1, 9, IMAGE, generator=generator),
        "t": torch.tensor([734.5]),
    }


def run_reference(model: nn.Module, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
    return model(inputs["latent"], inputs["t"], inputs["text"], inputs["image"])


def run_target(model: nn.Module, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
    return model(
        hidden_states=inputs["latent"], timestep=inputs["t"], encoder_hidden_states=inputs["text"],
        encoder_hidden_states_image=inputs["image"], return_dict=False,
    )[0]  # fmt: skip


def step_inputs(inputs: dict[str, Any], sample: torch.Tensor, sigma: float) -> dict[str, Any]:
    """The inputs of one step of the denoising loop: the sample takes the place of the first four channels."""
    return {**inputs, "latent": torch.cat([sample, inputs["latent"][:, 4:]], 1), "t": torch.tensor([1000 * sigma])}


def convert(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    made: dict[str, torch.Tensor] = {}

    def put(name: str, key: str) -> None:
        for kind in ("weight", "bias"):
            made[f"{name}.{kind}"] = state[f"{key}.{kind}"]

    def cut(names: list[str], key: str) -> None:
        for kind in ("weight", "bias"):
            for name, part in zip(names, state[f"{key}.{kind}"].chunk(len(names)), strict=True):
                made[f"{name}.{kind}"] = part

    put("patch_embedding", "patch")
    for name, key in {
        "time_embedder.linear_1": "time_1", "time_embedder.linear_2": "time_2", "time_proj": "time_mod",
        "text_embedder.linear_1": "text_1", "text_embedder.linear_2": "text_2", "image_embedder.norm1": "image_norm_in",
        "image_embedder.ff.net.0.proj": "image_1", "image_embedder.ff.net.2": "image_2", "image_embedder.norm2": "image_norm_out",
    }.items():  # fmt: skip
        put(f"condition_embedder.{name}", key)
    for index in range(LAYERS):
        block, key = f"blocks.{index}", f"layers.{index}"
        made[f"{block}.scale_shift_table"] = state[f"{key}.table"]
        cut([f"{block}.attn1.to_{letter}" for letter in "qkv"], f"{key}.qkv")
        put(f"{block}.attn1.to_out.0", f"{key}.out")
        put(f"{block}.norm2", f"{key}.cross_norm")
        put(f"{block}.attn2.to_q", f"{key}.cross_q")
        cut([f"{block}.attn2.to_k", f"{block}.attn2.to_v"], f"{key}.cross_kv")
        cut([f"{block}.attn2.add_k_proj", f"{block}.attn2.add_v_proj"], f"{key}.image_kv")
        put(f"{block}.attn2.to_out.0", f"{key}.cross_out")
        put(f"{block}.ffn.net.0.proj", f"{key}.up")
        put(f"{block}.ffn.net.2", f"{key}.down")
        for name, gain in {
            "attn1.norm_q": "q_rms", "attn1.norm_k": "k_rms", "attn2.norm_q": "cross_q_rms", "attn2.norm_k": "cross_k_rms",
            "attn2.norm_added_k": "image_k_rms",
        }.items():  # fmt: skip
            made[f"{block}.{name}.weight"] = state[f"{key}.{gain}.gain"]
    made["scale_shift_table"] = state["end_table"]
    put("proj_out", "end")
    return made
