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

"""The video transformer of Foo and its layers."""

import math

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


class FooAttnProcessor:
    """Joint attention over the text and video tokens; rotary embeddings are applied to the video tokens."""

    _attention_backend = None
    _parallel_config = None

    def __call__(
        self,
        attn: "FooAttention",
        hidden_states: torch.Tensor,
        encoder_hidden_states: torch.Tensor,
        rotary_emb: tuple[torch.Tensor, torch.Tensor],
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

        # Text tokens sit at position 0, where the rotation is the identity, so only the video tokens are rotated.
        query = apply_rotary_emb(query, rotary_emb, sequence_dim=1)
        key = apply_rotary_emb(key, rotary_emb, sequence_dim=1)

        # The joint sequence is [text, video].
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
        rotary_emb: tuple[torch.Tensor, torch.Tensor],
    ) -> tuple[torch.Tensor, torch.Tensor]:
        return self.processor(self, hidden_states, encoder_hidden_states, rotary_emb)


# TODO(foo): match the rotary embeddings of the reference (base, order of the axes, interleaved or split halves,
# positions of the text tokens).
class FooRotaryPosEmbed(nn.Module):
    """
    Three-dimensional rotary position embedding of the patches of a latent.

    Args:
        patch_size (`tuple[int, int, int]`): Frames, height and width of a patch, in latent frames and pixels.
        axes_dim (`tuple[int, int, int]`):
            Channels of an attention head that encode the frame, the row and the column of a patch.
        theta (`float`, defaults to 10000.0): Base of the frequencies.
    """

    def __init__(self, patch_size: tuple[int, int, int], axes_dim: tuple[int, int, int], theta: float = 10000.0):
        super().__init__()
        self.patch_size = patch_size
        self.axes_dim = axes_dim
        self.theta = theta

    def forward(self, hidden_states: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        num_frames, height, width = hidden_states.shape[-3:]
        p_t, p_h, p_w = self.patch_size
        frames = torch.arange(num_frames // p_t, device=hidden_states.device, dtype=torch.float32)
        rows = torch.arange(height // p_h, device=hidden_states.device, dtype=torch.float32)
        columns = torch.arange(width // p_w, device=hidden_states.device, dtype=torch.float32)
        # Patches frame by frame in row-major order, as the patch embedding flattens them: (video_seq_len, 3)
        positions = torch.stack(torch.meshgrid(frames, rows, columns, indexing="ij"), dim=-1).flatten(0, 2)

        freqs_cos, freqs_sin = [], []
        for axis, dim in enumerate(self.axes_dim):
            cos, sin = get_1d_rotary_pos_embed(dim, positions[:, axis], theta=self.theta, use_real=True)
            freqs_cos.append(cos)
            freqs_sin.append(sin)

        # Each of shape (video_seq_len, attention_head_dim)
        return torch.cat(freqs_cos, dim=-1), torch.cat(freqs_sin, dim=-1)


# TODO(foo): match the timesteps (0 to 1000 here) and guidance scales (times 1000 here) that the reference embeds,
# and their frequencies.
class FooTimestepGuidanceEmbedding(nn.Module):
    """Embedding of the timestep plus that of the guidance scale, which the model was distilled to follow."""

    def __init__(self, embedding_dim: int):
        super().__init__()
        self.time_proj = Timesteps(num_channels=256, flip_sin_to_cos=True, downscale_freq_shift=0)
        self.timestep_embedder = TimestepEmbedding(in_channels=256, time_embed_dim=embedding_dim)
        self.guidance_embedder = TimestepEmbedding(in_channels=256, time_embed_dim=embedding_dim)

    def forward(self, timestep: torch.Tensor, guidance: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        timestep_emb = self.timestep_embedder(self.time_proj(timestep).to(dtype))
        guidance_emb = self.guidance_embedder(self.time_proj(guidance * 1000).to(dtype))
        return timestep_emb + guidance_emb


# TODO(foo): replace the block by that of the reference: order of norms and gates, order of shift and scale in the
# modulation, kind of feed-forward.
@maybe_allow_in_graph
class FooTransformerBlock(nn.Module):
    """Double-stream block: joint attention over the text and video tokens, with separate weights for either stream."""

    def __init__(self, dim: int, num_attention_heads: int, attention_head_dim: int, mlp_ratio: float):
        super().__init__()
        self.norm1 = AdaLayerNormZero(dim)
        self.norm1_context = AdaLayerNormZero(dim)
        self.attn = FooAttention(dim, num_attention_heads, attention_head_dim)

        self.norm2 = nn.LayerNorm(dim, elementwise_affine=False, eps=1e-6)
        self.ff = FeedForward(dim, mult=mlp_ratio, activation_fn="gelu-approximate")

        self.norm2_context = nn.LayerNorm(dim, elementwise_affine=False, eps=1e-6)
        self.ff_context = FeedForward(dim, mult=mlp_ratio, activation_fn="gelu-approximate")

    def forward(
        self,
        hidden_states: torch.Tensor,
        encoder_hidden_states: torch.Tensor,
        temb: torch.Tensor,
        rotary_emb: tuple[torch.Tensor, torch.Tensor],
    ) -> tuple[torch.Tensor, torch.Tensor]:
        norm_hidden_states, gate_msa, shift_mlp, scale_mlp, gate_mlp = self.norm1(hidden_states, emb=temb)
        norm_encoder_hidden_states, c_gate_msa, c_shift_mlp, c_scale_mlp, c_gate_mlp = self.norm1_context(
            encoder_hidden_states, emb=temb
        )

        attn_output, context_attn_output = self.attn(
            norm_hidden_states, norm_encoder_hidden_states, rotary_emb=rotary_emb
        )

        # Video stream
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


class FooTransformer3DModel(ModelMixin, ConfigMixin, AttentionMixin, PeftAdapterMixin, CacheMixin):
    r"""
    The flow-matching diffusion transformer of Foo. It predicts the velocity that carries noise to the latent of a
    video, given the timestep, the guidance scale and the text embeddings.

    Args:
        patch_size (`tuple[int, int, int]`, defaults to `(1, 2, 2)`):
            Frames, height and width of the patches that the latent is cut into, in latent frames and pixels.
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
        axes_dims_rope (`tuple[int, int, int]`, defaults to `(24, 20, 20)`):
            The channels of an attention head that encode the frame, the row and the column of a patch. They add up to
            `attention_head_dim`.
    """

    _supports_gradient_checkpointing = True
    _no_split_modules = ["FooTransformerBlock", "FooTimestepGuidanceEmbedding", "AdaLayerNormContinuous"]
    _repeated_blocks = ["FooTransformerBlock"]
    _skip_layerwise_casting_patterns = ["patch_embed", "time_guidance_embed", "norm"]
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

    # TODO(foo): set the defaults to the configuration of the reference checkpoint.
    @register_to_config
    def __init__(
        self,
        patch_size: tuple[int, int, int] = (1, 2, 2),
        in_channels: int = 16,
        out_channels: int | None = None,
        num_layers: int = 24,
        attention_head_dim: int = 64,
        num_attention_heads: int = 24,
        text_embed_dim: int = 4096,
        mlp_ratio: float = 4.0,
        axes_dims_rope: tuple[int, int, int] = (24, 20, 20),
    ):
        super().__init__()
        if sum(axes_dims_rope) != attention_head_dim:
            raise ValueError(f"`axes_dims_rope` has to add up to {attention_head_dim=} but is {axes_dims_rope}.")

        inner_dim = num_attention_heads * attention_head_dim
        self.out_channels = out_channels or in_channels

        # 1. Patch, position, timestep, guidance and text embeddings
        self.patch_embed = nn.Conv3d(in_channels, inner_dim, kernel_size=patch_size, stride=patch_size)
        self.pos_embed = FooRotaryPosEmbed(patch_size, axes_dims_rope)
        self.time_guidance_embed = FooTimestepGuidanceEmbedding(inner_dim)
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
        self.proj_out = nn.Linear(inner_dim, math.prod(patch_size) * self.out_channels)

        self.gradient_checkpointing = False

    def forward(
        self,
        hidden_states: torch.Tensor,
        timestep: torch.Tensor,
        encoder_hidden_states: torch.Tensor,
        guidance: torch.Tensor,
        return_dict: bool = True,
    ) -> Transformer2DModelOutput | tuple[torch.Tensor]:
        r"""
        The [`FooTransformer3DModel`] forward method.

        Args:
            hidden_states (`torch.Tensor` of shape `(batch_size, in_channels, num_frames, height, width)`):
                The noisy latent. The sizes are in latent frames and pixels and multiples of those of `patch_size`.
            timestep (`torch.Tensor` of shape `(batch_size,)`):
                The timesteps of the scheduler, from 0 (a video) to 1000 (noise).
            encoder_hidden_states (`torch.Tensor` of shape `(batch_size, text_seq_len, text_embed_dim)`):
                The text embeddings. Padding tokens are attended to like any other token.
            guidance (`torch.Tensor` of shape `(batch_size,)`):
                The guidance scales, such as 3.5.
            return_dict (`bool`, *optional*, defaults to `True`):
                Whether to return a [`~models.modeling_outputs.Transformer2DModelOutput`] instead of a plain tuple.

        Returns:
            [`~models.modeling_outputs.Transformer2DModelOutput`] or `tuple`:
                The velocity, of shape `(batch_size, out_channels, num_frames, height, width)`, in the sign convention
                of the scheduler's `step`. It is the first element of the tuple if `return_dict` is False.
        """
        batch_size, _, num_frames, height, width = hidden_states.shape
        p_t, p_h, p_w = self.config.patch_size

        # 1. Embeddings
        rotary_emb = self.pos_embed(hidden_states)

        # (batch_size, in_channels, num_frames, height, width) -> (batch_size, video_seq_len, inner_dim)
        hidden_states = self.patch_embed(hidden_states)
        hidden_states = hidden_states.flatten(2).transpose(1, 2).contiguous()

        temb = self.time_guidance_embed(timestep, guidance, hidden_states.dtype)
        encoder_hidden_states = self.context_embedder(encoder_hidden_states)

        # 2. Transformer blocks
        for block in self.transformer_blocks:
            if torch.is_grad_enabled() and self.gradient_checkpointing:
                encoder_hidden_states, hidden_states = self._gradient_checkpointing_func(
                    block, hidden_states, encoder_hidden_states, temb, rotary_emb
                )
            else:
                encoder_hidden_states, hidden_states = block(hidden_states, encoder_hidden_states, temb, rotary_emb)

        # 3. Output
        # TODO(foo): negate the output if the reference predicts video - noise; the scheduler expects noise - video.
        hidden_states = self.norm_out(hidden_states, temb)
        hidden_states = self.proj_out(hidden_states)

        # (batch_size, video_seq_len, p_t * p_h * p_w * out_channels)
        # -> (batch_size, out_channels, num_frames, height, width)
        hidden_states = hidden_states.reshape(
            batch_size, num_frames // p_t, height // p_h, width // p_w, p_t, p_h, p_w, self.out_channels
        )
        hidden_states = hidden_states.permute(0, 7, 1, 4, 2, 5, 3, 6)
        output = hidden_states.reshape(batch_size, self.out_channels, num_frames, height, width)

        if not return_dict:
            return (output,)

        return Transformer2DModelOutput(sample=output)
