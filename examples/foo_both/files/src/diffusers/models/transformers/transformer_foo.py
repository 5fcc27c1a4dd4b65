# Copyright 2026 The Foo Team and The HuggingFace Team. All rights reserved.
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

"""The image transformer of Foo and its layers."""

from typing import Any

import torch
import torch.nn as nn

from ...configuration_utils import ConfigMixin, register_to_config
from ...loaders import PeftAdapterMixin
from ...utils import apply_lora_scale
from ...utils.torch_utils import maybe_allow_in_graph
from .._modeling_parallel import ContextParallelInput, ContextParallelOutput
from ..attention import AttentionMixin, AttentionModuleMixin, FeedForward
from ..attention_dispatch import dispatch_attention_fn
from ..cache_utils import CacheMixin
from ..embeddings import TimestepEmbedding, Timesteps, apply_rotary_emb, get_1d_rotary_pos_embed
from ..modeling_outputs import Transformer2DModelOutput
from ..modeling_utils import ModelMixin
from ..normalization import AdaLayerNormContinuous, AdaLayerNormZero


class FooAttnProcessor:
    """Self-attention over the image tokens with rotary embeddings, or cross-attention from image to text tokens."""

    _attention_backend = None
    _parallel_config = None

    def __call__(
        self,
        attn: "FooAttention",
        hidden_states: torch.Tensor,
        encoder_hidden_states: torch.Tensor | None = None,
        image_rotary_emb: tuple[torch.Tensor, torch.Tensor] | None = None,
    ) -> torch.Tensor:
        is_cross_attention = encoder_hidden_states is not None
        if not is_cross_attention:
            encoder_hidden_states = hidden_states

        # (batch, seq_len, heads * head_dim) -> (batch, seq_len, heads, head_dim)
        query = attn.to_q(hidden_states).unflatten(-1, (-1, attn.head_dim))
        key = attn.to_k(encoder_hidden_states).unflatten(-1, (-1, attn.head_dim))
        value = attn.to_v(encoder_hidden_states).unflatten(-1, (-1, attn.head_dim))

        query = attn.norm_q(query)
        key = attn.norm_k(key)

        if image_rotary_emb is not None:
            query = apply_rotary_emb(query, image_rotary_emb, sequence_dim=1)
            key = apply_rotary_emb(key, image_rotary_emb, sequence_dim=1)

        hidden_states = dispatch_attention_fn(
            query,
            key,
            value,
            backend=self._attention_backend,
            # Under context parallelism only the image tokens are sharded. Every rank holds all text tokens, so
            # cross-attention is local.
            parallel_config=None if is_cross_attention else self._parallel_config,
        )
        hidden_states = hidden_states.flatten(2, 3).to(query.dtype)

        hidden_states = attn.to_out[0](hidden_states)
        hidden_states = attn.to_out[1](hidden_states)
        return hidden_states


# TODO(foo): match the projections of the reference (biases, norm of query and key, number of key/value heads).
class FooAttention(nn.Module, AttentionModuleMixin):
    _default_processor_cls = FooAttnProcessor
    _available_processors = [FooAttnProcessor]
    _supports_qkv_fusion = False

    def __init__(self, dim: int, heads: int, dim_head: int, eps: float = 1e-6):
        super().__init__()
        self.heads = heads
        self.head_dim = dim_head
        inner_dim = heads * dim_head

        self.to_q = nn.Linear(dim, inner_dim)
        self.to_k = nn.Linear(dim, inner_dim)
        self.to_v = nn.Linear(dim, inner_dim)
        self.norm_q = nn.RMSNorm(dim_head, eps=eps)
        self.norm_k = nn.RMSNorm(dim_head, eps=eps)
        self.to_out = nn.ModuleList([nn.Linear(inner_dim, dim), nn.Dropout(0.0)])

        self.set_processor(self._default_processor_cls())

    def forward(
        self,
        hidden_states: torch.Tensor,
        encoder_hidden_states: torch.Tensor | None = None,
        image_rotary_emb: tuple[torch.Tensor, torch.Tensor] | None = None,
    ) -> torch.Tensor:
        return self.processor(self, hidden_states, encoder_hidden_states, image_rotary_emb)


# TODO(foo): match the rotary embeddings of the reference (base, order of the axes, interleaved or split halves,
# positions of the text tokens).
class FooRotaryPosEmbed(nn.Module):
    """
    Two-dimensional rotary position embedding of the patches of a latent.

    Args:
        patch_size (`int`): Side of a patch, in latent pixels.
        axes_dim (`tuple[int, int]`): Channels of an attention head that encode the row and the column of a patch.
        theta (`float`, defaults to 10000.0): Base of the frequencies.
    """

    def __init__(self, patch_size: int, axes_dim: tuple[int, int], theta: float = 10000.0):
        super().__init__()
        self.patch_size = patch_size
        self.axes_dim = axes_dim
        self.theta = theta

    def forward(self, hidden_states: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        height, width = hidden_states.shape[-2:]
        rows = torch.arange(height // self.patch_size, device=hidden_states.device, dtype=torch.float32)
        columns = torch.arange(width // self.patch_size, device=hidden_states.device, dtype=torch.float32)
        # Patches in row-major order, as the patch embedding flattens them: (image_seq_len, 2)
        positions = torch.stack(torch.meshgrid(rows, columns, indexing="ij"), dim=-1).flatten(0, 1)

        freqs_cos, freqs_sin = [], []
        for axis, dim in enumerate(self.axes_dim):
            cos, sin = get_1d_rotary_pos_embed(dim, positions[:, axis], theta=self.theta, use_real=True)
            freqs_cos.append(cos)
            freqs_sin.append(sin)

        # Each of shape (image_seq_len, attention_head_dim)
        return torch.cat(freqs_cos, dim=-1), torch.cat(freqs_sin, dim=-1)


# TODO(foo): replace the block by that of the reference: order of norms and gates, order of shift and scale in the
# modulation, kind of feed-forward.
@maybe_allow_in_graph
class FooTransformerBlock(nn.Module):
    """Image self-attention, cross-attention to the text tokens and a feed-forward layer, modulated by the timestep."""

    def __init__(self, dim: int, num_attention_heads: int, attention_head_dim: int, mlp_ratio: float):
        super().__init__()
        # 1. Self-attention
        self.norm1 = AdaLayerNormZero(dim)
        self.attn1 = FooAttention(dim, num_attention_heads, attention_head_dim)

        # 2. Cross-attention
        self.norm2 = nn.LayerNorm(dim, eps=1e-6)
        self.attn2 = FooAttention(dim, num_attention_heads, attention_head_dim)

        # 3. Feed-forward
        self.norm3 = nn.LayerNorm(dim, elementwise_affine=False, eps=1e-6)
        self.ff = FeedForward(dim, mult=mlp_ratio, activation_fn="gelu-approximate")

    def forward(
        self,
        hidden_states: torch.Tensor,
        encoder_hidden_states: torch.Tensor,
        temb: torch.Tensor,
        image_rotary_emb: tuple[torch.Tensor, torch.Tensor],
    ) -> torch.Tensor:
        # 1. Self-attention
        norm_hidden_states, gate_msa, shift_mlp, scale_mlp, gate_mlp = self.norm1(hidden_states, emb=temb)
        attn_output = self.attn1(norm_hidden_states, image_rotary_emb=image_rotary_emb)
        hidden_states = hidden_states + gate_msa.unsqueeze(1) * attn_output

        # 2. Cross-attention
        hidden_states = hidden_states + self.attn2(self.norm2(hidden_states), encoder_hidden_states)

        # 3. Feed-forward
        norm_hidden_states = self.norm3(hidden_states)
        norm_hidden_states = norm_hidden_states * (1 + scale_mlp[:, None]) + shift_mlp[:, None]
        hidden_states = hidden_states + gate_mlp.unsqueeze(1) * self.ff(norm_hidden_states)

        return hidden_states


class FooTransformer2DModel(ModelMixin, ConfigMixin, AttentionMixin, PeftAdapterMixin, CacheMixin):
    r"""
    The flow-matching diffusion transformer of Foo. It predicts the velocity that carries noise to the latent of an
    image, given the timestep and the text embeddings.

    Args:
        patch_size (`int`, defaults to `2`):
            Side of the square patches that the latent is cut into, in latent pixels.
        in_channels (`int`, defaults to `16`):
            The number of channels of the latent.
        out_channels (`int`, *optional*):
            The number of channels of the output. If not specified, it is `in_channels`.
        num_layers (`int`, defaults to `24`):
            The number of transformer blocks.
        attention_head_dim (`int`, defaults to `64`):
            The number of channels of each attention head.
        num_attention_heads (`int`, defaults to `24`):
            The number of attention heads.
        text_embed_dim (`int`, defaults to `768`):
            The number of channels of the text embeddings.
        mlp_ratio (`float`, defaults to `4.0`):
            The ratio of the hidden size of the feed-forward layers to the size of their input.
        axes_dims_rope (`tuple[int, int]`, defaults to `(32, 32)`):
            The channels of an attention head that encode the row and the column of a patch. They add up to
            `attention_head_dim`.
    """

    _supports_gradient_checkpointing = True
    _no_split_modules = ["FooTransformerBlock", "AdaLayerNormContinuous"]
    _repeated_blocks = ["FooTransformerBlock"]
    _skip_layerwise_casting_patterns = ["patch_embed", "time_embed", "norm"]
    # The latent is cut into patches inside the model, so the sequence is split where it enters the blocks.
    # The text tokens are not: every rank attends to all of them.
    _cp_plan = {
        "pos_embed": {
            0: ContextParallelInput(split_dim=0, expected_dims=2, split_output=True),
            1: ContextParallelInput(split_dim=0, expected_dims=2, split_output=True),
        },
        "transformer_blocks.0": {
            "hidden_states": ContextParallelInput(split_dim=1, expected_dims=3, split_output=False),
        },
        "proj_out": ContextParallelOutput(gather_dim=1, expected_dims=3),
    }

    # TODO(foo): set the defaults to the configuration of the reference checkpoint.
    @register_to_config
    def __init__(
        self,
        patch_size: int = 2,
        in_channels: int = 16,
        out_channels: int | None = None,
        num_layers: int = 24,
        attention_head_dim: int = 64,
        num_attention_heads: int = 24,
        text_embed_dim: int = 768,
        mlp_ratio: float = 4.0,
        axes_dims_rope: tuple[int, int] = (32, 32),
    ):
        super().__init__()
        if sum(axes_dims_rope) != attention_head_dim:
            raise ValueError(f"`axes_dims_rope` has to add up to {attention_head_dim=} but is {axes_dims_rope}.")

        inner_dim = num_attention_heads * attention_head_dim
        self.out_channels = out_channels or in_channels

        # 1. Patch, position, timestep and text embeddings
        self.patch_embed = nn.Conv2d(in_channels, inner_dim, kernel_size=patch_size, stride=patch_size)
        self.pos_embed = FooRotaryPosEmbed(patch_size, axes_dims_rope)
        self.time_proj = Timesteps(num_channels=256, flip_sin_to_cos=True, downscale_freq_shift=0)
        self.time_embedder = TimestepEmbedding(in_channels=256, time_embed_dim=inner_dim)
        self.context_embedder = nn.Linear(text_embed_dim, inner_dim)

        # 2. Transformer blocks
        self.transformer_blocks = nn.ModuleList(
            [
                FooTransformerBlock(inner_dim, num_attention_heads, attention_head_dim, mlp_ratio)
                for _ in range(num_layers)
            ]
        )

        # 3. Output norm and projection
        self.norm_out = AdaLayerNormContinuous(inner_dim, inner_dim, elementwise_affine=False, eps=1e-6)
        self.proj_out = nn.Linear(inner_dim, patch_size * patch_size * self.out_channels)

        self.gradient_checkpointing = False

    @apply_lora_scale("attention_kwargs")
    def forward(
        self,
        hidden_states: torch.Tensor,
        timestep: torch.Tensor,
        encoder_hidden_states: torch.Tensor,
        attention_kwargs: dict[str, Any] | None = None,
        return_dict: bool = True,
    ) -> Transformer2DModelOutput | tuple[torch.Tensor]:
        r"""
        The [`FooTransformer2DModel`] forward method.

        Args:
            hidden_states (`torch.Tensor` of shape `(batch_size, in_channels, height, width)`):
                The noisy latent. Height and width are in latent pixels and multiples of `patch_size`.
            timestep (`torch.Tensor` of shape `(batch_size,)`):
                The timesteps of the scheduler, from 0 (an image) to 1000 (noise).
            encoder_hidden_states (`torch.Tensor` of shape `(batch_size, text_seq_len, text_embed_dim)`):
                The text embeddings. Padding tokens are attended to like any other token.
            attention_kwargs (`dict`, *optional*):
                A dictionary whose `scale` is the weight of the LoRA layers, where the model has any.
            return_dict (`bool`, *optional*, defaults to `True`):
                Whether to return a [`~models.modeling_outputs.Transformer2DModelOutput`] instead of a plain tuple.

        Returns:
            [`~models.modeling_outputs.Transformer2DModelOutput`] or `tuple`:
                The velocity, of shape `(batch_size, out_channels, height, width)`, in the sign convention of the
                scheduler's `step`. It is the first element of the tuple if `return_dict` is False.
        """
        batch_size, _, height, width = hidden_states.shape
        patch_size = self.config.patch_size

        # 1. Embeddings
        image_rotary_emb = self.pos_embed(hidden_states)

        # (batch_size, in_channels, height, width) -> (batch_size, image_seq_len, inner_dim)
        hidden_states = self.patch_embed(hidden_states)
        hidden_states = hidden_states.flatten(2).transpose(1, 2).contiguous()

        # TODO(foo): match the timesteps that the reference embeds (0 to 1000 here) and their frequencies.
        temb = self.time_proj(timestep).to(hidden_states.dtype)
        temb = self.time_embedder(temb)
        encoder_hidden_states = self.context_embedder(encoder_hidden_states)

        # 2. Transformer blocks
        for block in self.transformer_blocks:
            if torch.is_grad_enabled() and self.gradient_checkpointing:
                hidden_states = self._gradient_checkpointing_func(
                    block, hidden_states, encoder_hidden_states, temb, image_rotary_emb
                )
            else:
                hidden_states = block(hidden_states, encoder_hidden_states, temb, image_rotary_emb)

        # 3. Output
        # TODO(foo): negate the output if the reference predicts image - noise; the scheduler expects noise - image.
        hidden_states = self.norm_out(hidden_states, temb)
        hidden_states = self.proj_out(hidden_states)

        # (batch_size, image_seq_len, patch_size**2 * out_channels) -> (batch_size, out_channels, height, width)
        hidden_states = hidden_states.reshape(
            batch_size, height // patch_size, width // patch_size, patch_size, patch_size, self.out_channels
        )
        hidden_states = hidden_states.permute(0, 5, 1, 3, 2, 4)
        output = hidden_states.reshape(batch_size, self.out_channels, height, width)

        if not return_dict:
            return (output,)

        return Transformer2DModelOutput(sample=output)
