"""The reference of the tutorial: a plain DiT of two streams, whose feed-forward layers have SiLU."""

from __future__ import annotations

from typing import Any

import torch
from plain_dit import Mlp, PlainDiT
from torch.nn import functional as F


class SiluMlp(Mlp):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc2(F.silu(self.fc1(x)))


class SmallDiT(PlainDiT):
    def __init__(self, config: dict[str, Any]):
        super().__init__("image", "joint", "cfg", config)
        for block in self.blocks:
            block.img_mlp, block.txt_mlp = (SiluMlp(block.img_attn.proj.in_features) for _ in range(2))
