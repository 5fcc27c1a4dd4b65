# Copyright 2026 The Y Image Team and The HuggingFace Team. All rights reserved.
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

"""The image transformer of Y Image and its layers."""

import torch
import torch.nn as nn

from ...configuration_utils import ConfigMixin, register_to_config
from ...loaders import PeftAdapterMixin
from ...utils.torch_utils import maybe_allow_in_graph
from .._modeling_parallel import ContextParallelInput, ContextParallelOutput
from ..attention import AttentionMixin, AttentionModuleMixin, FeedForward
from ..attention_dispatch import dispatch_attention_fn
from ..cache_utils import CacheMixin
from ..embeddings import TimestepEmbedding, Timesteps, apply_rotary_emb, get_1d_rotary_pos_embed
from ..modeling_outputs import Transformer2DModelOutput
from ..modeling_utils import ModelMixin
from ..normalization import AdaLayerNormContinuous, AdaLayerNormZero


class YImageAttnProcessor:
    """Joint attention over the text and image tokens; rotary embeddings are applied to the image tokens."""

    _attention_backend = None
    _parallel_config = None

    def __call__(
        self,
        attn: "YImageAttention",
        hidden_states: torch.Tensor,
        encoder_hidden_states: torch.Tensor,
        image_rotary_emb: tuple[torch.Tensor, torch.Tensor],
    ) -> tuple[torch.Tensor, torch.Tensor]:
        # (batch, seq_len, heads * head_dim) -> (batch, seq_len, heads, head_dim)
        query = attn.to_q(hidden_states).unflatten(-1, (-1, attn.head_dim))
        key = attn.to_k(hidden_states).unflatten(-1, (-1, attn.head_dim))
        value = attn.to_v(hidden_states).unflatten(-1, (-1, attn.head_dim))

        encoder_query = attn.add_q_proj(encoder_hidden_states).unflatten(-1, (-1, attn.head_dim))
        encoder_key = attn.add_k_proj(encoder_hidden_states).unflatten(-1, (-1, attn.head_dim))
        encoder_value = attn.add_v_proj(encoder_hidden_states).unflatten(-1, (-1, attn.head_dim))

        query = attn.norm_q(query)
        key = attn.norm_k(key)
        encoder_query = attn.norm_added_q(encoder_query)
        encoder_key = attn.norm_added_k(encoder_key)

        # Text tokens sit at position 0, where the rotation is the identity, so only the image tokens are rotated.
        query = apply_rotary_emb(query, image_rotary_emb, sequence_dim=1)
        key = apply_rotary_emb(key, image_rotary_emb, sequence_dim=1)

        # The joint sequence is [text, image].
        query = torch.cat([encoder_query, query], dim=1)
        key = torch.cat([encoder_key, key], dim=1)
        value = torch.cat([encoder_value, value], dim=1)

        joint_hidden_states = dispatch_attention_fn(
            query,
            key,
            value,
            backend=self._attention_backend,
            parallel_config=self._parallel_config,
        )
        joint_hidden_states = joint_hidden_states.flatten(2, 3).to(query.dtype)

        encoder_hidden_states, hidden_states = joint_hidden_states.split_with_sizes(
            [encoder_hidden_states.shape[1], hidden_states.shape[1]], dim=1
        )
        hidden_states = attn.to_out[0](hidden_states.contiguous())
        hidden_states = attn.to_out[1](hidden_states)
        encoder_hidden_states = attn.to_add_out(encoder_hidden_states.contiguous())

        return hidden_states, encoder_hidden_states


# TODO(y_image): match the projections of the reference (biases, norm of query and key, number of key/value heads).
class YImageAttention(nn.Module, AttentionModuleMixin):
    _default_processor_cls = YImageAttnProcessor
    _available_processors = [YImageAttnProcessor]
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

        self.add_q_proj = nn.Linear(dim, inner_dim)
        self.add_k_proj = nn.Linear(dim, inner_dim)
        self.add_v_proj = nn.Linear(dim, inner_dim)
        self.norm_added_q = nn.RMSNorm(dim_head, eps=eps)
        self.norm_added_k = nn.RMSNorm(dim_head, eps=eps)
        self.to_add_out = nn.Linear(inner_dim, dim)

        self.set_processor(self._default_processor_cls())

    def forward(
        self,
        hidden_states: torch.Tensor,
        encoder_hidden_states: torch.Tensor,
        image_rotary_emb: tuple[torch.Tensor, torch.Tensor],
    ) -> tuple[torch.Tensor, torch.Tensor]:
        return self.processor(self, hidden_states, encoder_hidden_states, image_rotary_emb)


# TODO(y_image): match the rotary embeddings of the reference (base, order of the axes, interleaved or split halves,
# positions of the text tokens).
class YImageRotaryPosEmbed(nn.Module):
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


# TODO(y_image): replace the block by that of the reference: order of norms and gates, order of shift and scale in the
# modulation, kind of feed-forward.
@maybe_allow_in_graph
class YImageTransformerBlock(nn.Module):
    """Double-stream block: joint attention over the text and image tokens, with separate weights for either stream."""

    def __init__(self, dim: int, num_attention_heads: int, attention_head_dim: int, mlp_ratio: float):
        super().__init__()
        self.norm1 = AdaLayerNormZero(dim)
        self.norm1_context = AdaLayerNormZero(dim)
        self.attn = YImageAttention(dim, num_attention_heads, attention_head_dim)

        self.norm2 = nn.LayerNorm(dim, elementwise_affine=False, eps=1e-6)
        self.ff = FeedForward(dim, mult=mlp_ratio, activation_fn="gelu-approximate")

        self.norm2_context = nn.LayerNorm(dim, elementwise_affine=False, eps=1e-6)
        self.ff_context = FeedForward(dim, mult=mlp_ratio, activation_fn="gelu-approximate")

    def forward(
        self,
        hidden_states: torch.Tensor,
        encoder_hidden_states: torch.Tensor,
        temb: torch.Tensor,
        image_rotary_emb: tuple[torch.Tensor, torch.Tensor],
    ) -> tuple[torch.Tensor, torch.Tensor]:
        norm_hidden_states, gate_msa, shift_mlp, scale_mlp, gate_mlp = self.norm1(hidden_states, emb=temb)
        norm_encoder_hidden_states, c_gate_msa, c_shift_mlp, c_scale_mlp, c_gate_mlp = self.norm1_context(
            encoder_hidden_states, emb=temb
        )

        attn_output, context_attn_output = self.attn(
            norm_hidden_states, norm_encoder_hidden_states, image_rotary_emb=image_rotary_emb
        )

        # Image stream
        hidden_states = hidden_states + gate_msa.unsqueeze(1) * attn_output
        norm_hidden_states = self.norm2(hidden_states)
        norm_hidden_states = norm_hidden_states * (1 + scale_mlp[:, None]) + shift_mlp[:, None]
        hidden_states = hidden_states + gate_mlp.unsqueeze(1) * self.ff(norm_hidden_states)

        # Text stream
        encoder_hidden_states = encoder_hidden_states + c_gate_msa.unsqueeze(1) * context_attn_output
        norm_encoder_hidden_states = self.norm2_context(encoder_hidden_states)
        norm_encoder_hidden_states = norm_encoder_hidden_states * (1 + c_scale_mlp[:, None]) + c_shift_mlp[:, None]
        encoder_hidden_states = encoder_hidden_states + c_gate_mlp.unsqueeze(1) * self.ff_context(
            norm_encoder_hidden_states
        )

        return encoder_hidden_states, hidden_states


class YImageTransformer2DModel(ModelMixin, ConfigMixin, AttentionMixin, PeftAdapterMixin, CacheMixin):
    r"""
    The flow-matching diffusion transformer of Y Image. It predicts the velocity that carries noise to the latent of an
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
        text_embed_dim (`int`, defaults to `4096`):
            The number of channels of the text embeddings.
        mlp_ratio (`float`, defaults to `4.0`):
            The ratio of the hidden size of the feed-forward layers to the size of their input.
        axes_dims_rope (`tuple[int, int]`, defaults to `(32, 32)`):
            The channels of an attention head that encode the row and the column of a patch. They add up to
            `attention_head_dim`.
    """

    _supports_gradient_checkpointing = True
    _no_split_modules = ["YImageTransformerBlock", "AdaLayerNormContinuous"]
    _repeated_blocks = ["YImageTransformerBlock"]
    _skip_layerwise_casting_patterns = ["patch_embed", "time_embed", "norm"]
    # The latent is cut into patches inside the model, so the sequences are split where they enter the blocks.
    # The text tokens are split as well: the ranks exchange their parts of the joint sequence inside the attention.
    _cp_plan = {
        "pos_embed": {
            0: ContextParallelInput(split_dim=0, expected_dims=2, split_output=True),
            1: ContextParallelInput(split_dim=0, expected_dims=2, split_output=True),
        },
        "transformer_blocks.0": {
            "hidden_states": ContextParallelInput(split_dim=1, expected_dims=3, split_output=False),
            "encoder_hidden_states": ContextParallelInput(split_dim=1, expected_dims=3, split_output=False),
        },
        "proj_out": ContextParallelOutput(gather_dim=1, expected_dims=3),
    }

    # TODO(y_image): set the defaults to the configuration of the reference checkpoint.
    @register_to_config
    def __init__(
        self,
        patch_size: int = 2,
        in_channels: int = 16,
        out_channels: int | None = None,
        num_layers: int = 24,
        attention_head_dim: int = 64,
        num_attention_heads: int = 24,
        text_embed_dim: int = 4096,
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
        self.pos_embed = YImageRotaryPosEmbed(patch_size, axes_dims_rope)
        self.time_proj = Timesteps(num_channels=256, flip_sin_to_cos=True, downscale_freq_shift=0)
        self.time_embedder = TimestepEmbedding(in_channels=256, time_embed_dim=inner_dim)
        self.context_embedder = nn.Linear(text_embed_dim, inner_dim)

        # 2. Transformer blocks
        self.transformer_blocks = nn.ModuleList(
            [
                YImageTransformerBlock(inner_dim, num_attention_heads, attention_head_dim, mlp_ratio)
                for _ in range(num_layers)
            ]
        )

        # 3. Output norm and projection
        self.norm_out = AdaLayerNormContinuous(inner_dim, inner_dim, elementwise_affine=False, eps=1e-6)
        self.proj_out = nn.Linear(inner_dim, patch_size * patch_size * self.out_channels)

        self.gradient_checkpointing = False

    def forward(
        self,
        hidden_states: torch.Tensor,
        timestep: torch.Tensor,
        encoder_hidden_states: torch.Tensor,
        return_dict: bool = True,
    ) -> Transformer2DModelOutput | tuple[torch.Tensor]:
        r"""
        The [`YImageTransformer2DModel`] forward method.

        Args:
            hidden_states (`torch.Tensor` of shape `(batch_size, in_channels, height, width)`):
                The noisy latent. Height and width are in latent pixels and multiples of `patch_size`.
            timestep (`torch.Tensor` of shape `(batch_size,)`):
                The timesteps of the scheduler, from 0 (an image) to 1000 (noise).
            encoder_hidden_states (`torch.Tensor` of shape `(batch_size, text_seq_len, text_embed_dim)`):
                The text embeddings. Padding tokens are attended to like any other token.
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

        # TODO(y_image): match the timesteps that the reference embeds (0 to 1000 here) and their frequencies.
        temb = self.time_proj(timestep).to(hidden_states.dtype)
        temb = self.time_embedder(temb)
        encoder_hidden_states = self.context_embedder(encoder_hidden_states)

        # 2. Transformer blocks
        for block in self.transformer_blocks:
            if torch.is_grad_enabled() and self.gradient_checkpointing:
                encoder_hidden_states, hidden_states = self._gradient_checkpointing_func(
                    block, hidden_states, encoder_hidden_states, temb, image_rotary_emb
                )
            else:
                encoder_hidden_states, hidden_states = block(
                    hidden_states, encoder_hidden_states, temb, image_rotary_emb
                )

        # 3. Output
        # TODO(y_image): negate the output if the reference predicts image - noise; the scheduler expects noise -
        # image.
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
