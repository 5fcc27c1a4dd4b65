"""Mistakes that porters make, planted one at a time into diffusers' own ports: what is edited, the module that is guilty of
it, and the cause.

A mistake is an edit of the text of one function (`M`), of the converted weights, or of the built model.
"""

from __future__ import annotations

from typing import Any

import torch

TF = "diffusers.models.transformers.transformer_flux"
TW = "diffusers.models.transformers.transformer_wan"
N = "diffusers.models.normalization"
E = "diffusers.models.embeddings"
A = "diffusers.models.activations"


def C(name: str, tag: str, module: str | list[str], *edits: Any, **changes: Any) -> dict[str, Any]:
    """A mistake; where more than one module may rightly be called guilty, all of them are named."""
    return {
        "name": name,
        "tag": tag,
        "modules": module if isinstance(module, list) else [module],
        "edits": edits,
        **changes,
    }


def M(owner: str, function: str, *texts: tuple[str, str]) -> tuple[str, str, tuple[tuple[str, str], ...]]:
    """An edit of a function: each text and what stands in its place."""
    return owner, function, texts


def every(blocks: Any, path: str, name: str, value: Any) -> None:
    """Set an attribute of a module of every block."""
    for block in blocks:
        setattr(block.get_submodule(path), name, value)


JOINT = [
    C(
        "patch-order-packed",
        "patch-order",
        "",
        M(
            f"{TF}:FluxTransformer2DModel",
            "forward",
            (
                "self.x_embedder(hidden_states)",
                "self.x_embedder(hidden_states.unflatten(-1, (-1, 2, 2)).permute(0, 1, 3, 4, 2).flatten(2))",
            ),
        ),
    ),
    C(
        "patch-order-turned",
        "patch-order",
        "",
        M(
            f"{TF}:FluxTransformer2DModel",
            "forward",
            (
                "self.x_embedder(hidden_states)",
                "self.x_embedder(hidden_states.unflatten(-1, (-1, 2, 2)).transpose(-1, -2).flatten(2))",
            ),
        ),
    ),
    C(
        "mod-order-norm1",
        "modulation-order",
        "transformer_blocks.0.norm1",
        M(
            f"{N}:AdaLayerNormZero",
            "forward",
            (
                "shift_msa, scale_msa, gate_msa, shift_mlp, scale_mlp, gate_mlp = emb.chunk",
                "scale_msa, shift_msa, gate_msa, shift_mlp, scale_mlp, gate_mlp = emb.chunk",
            ),
        ),
    ),
    C(
        "mod-order-out",
        "modulation-order",
        "norm_out",
        M(f"{N}:AdaLayerNormContinuous", "forward", ("scale, shift = torch.chunk", "shift, scale = torch.chunk")),
    ),
    C(
        "mod-order-single",
        "modulation-order",
        "single_transformer_blocks.0.norm",
        M(
            f"{N}:AdaLayerNormZeroSingle",
            "forward",
            ("shift_msa, scale_msa, gate_msa = ", "scale_msa, shift_msa, gate_msa = "),
        ),
    ),
    C(
        "mod-order-block",
        "modulation-order",
        "transformer_blocks.0",
        M(
            f"{TF}:FluxTransformerBlock",
            "forward",
            (
                "norm_hidden_states * (1 + scale_mlp[:, None]) + shift_mlp[:, None]",
                "norm_hidden_states * (1 + shift_mlp[:, None]) + scale_mlp[:, None]",
            ),
        ),
    ),
    C(
        "mod-scale-norm1",
        "modulation-scale",
        "transformer_blocks.0.norm1",
        M(f"{N}:AdaLayerNormZero", "forward", ("(1 + scale_msa[:, None])", "scale_msa[:, None]")),
    ),
    C(
        "mod-scale-block",
        "modulation-scale",
        "transformer_blocks.0",
        M(f"{TF}:FluxTransformerBlock", "forward", ("(1 + c_scale_mlp[:, None])", "c_scale_mlp[:, None]")),
    ),
    C(
        "mod-scale-out",
        "modulation-scale",
        "norm_out",
        M(f"{N}:AdaLayerNormContinuous", "forward", ("(1 + scale)", "scale")),
    ),
    C(
        "norm-order-qk",
        "norm-order",
        ["transformer_blocks.0.attn"],
        M(
            f"{TF}:FluxAttnProcessor",
            "__call__",
            ("query = attn.norm_q(query)\n    key = attn.norm_k(key)\n", ""),
            (
                "hidden_states = dispatch_attention_fn(\n        query,",
                "query = torch.cat([query[:, :-hidden_states.shape[1]], attn.norm_q(query[:, -hidden_states.shape[1]:])], 1); key = torch.cat([key[:, :-hidden_states.shape[1]], attn.norm_k(key[:, -hidden_states.shape[1]:])], 1)\n    hidden_states = dispatch_attention_fn(\n        query,",
            ),
        ),
    ),
    C(
        "norm-order-mod",
        "norm-order",
        "transformer_blocks.0",
        M(
            f"{TF}:FluxTransformerBlock",
            "forward",
            (
                "norm_hidden_states = self.norm2(hidden_states)\n    norm_hidden_states = norm_hidden_states * (1 + scale_mlp[:, None]) + shift_mlp[:, None]",
                "norm_hidden_states = self.norm2(hidden_states * (1 + scale_mlp[:, None]) + shift_mlp[:, None])",
            ),
        ),
    ),
    C(
        "norm-eps-q",
        "norm-eps",
        "transformer_blocks.0.attn.norm_q",
        target=lambda t: ([setattr(b.attn.norm_q, "eps", 1e-3) for b in t.transformer_blocks], t)[1],
    ),
    C(
        "norm-eps-ln",
        "norm-eps",
        "transformer_blocks.0.norm1.norm",
        target=lambda t: ([setattr(b.norm1.norm, "eps", 1e-4) for b in t.transformer_blocks], t)[1],
    ),
    C(
        "norm-eps-ff",
        "norm-eps",
        ["transformer_blocks.0.norm2"],
        target=lambda t: ([setattr(b.norm2, "eps", 1e-2) for b in t.transformer_blocks], t)[1],
    ),
    C(
        "norm-missing",
        "norm-missing",
        "transformer_blocks.0",
        M(
            f"{TF}:FluxTransformerBlock",
            "forward",
            ("norm_hidden_states = self.norm2(hidden_states)", "norm_hidden_states = hidden_states"),
        ),
    ),
    C(
        "norm-missing-out",
        "norm-missing",
        "norm_out",
        M(f"{N}:AdaLayerNormContinuous", "forward", ("self.norm(x)", "x")),
    ),
    C(
        "act-gelu",
        "activation",
        "transformer_blocks.0.ff.net.0",
        M(f"{A}:GELU", "gelu", ("approximate=self.approximate", 'approximate="none"')),
    ),
    C(
        "act-single",
        "activation",
        "single_transformer_blocks.0.act_mlp",
        target=lambda t: ([setattr(b, "act_mlp", torch.nn.GELU()) for b in t.single_transformer_blocks], t)[1],
    ),
    C(
        "act-silu-missing",
        "activation",
        "transformer_blocks.0.norm1",
        M(f"{N}:AdaLayerNormZero", "forward", ("self.linear(self.silu(emb))", "self.linear(emb)")),
    ),
    C(
        "act-time",
        "activation",
        ["time_text_embed.timestep_embedder", "time_text_embed.timestep_embedder.act"],
        target=lambda t: (setattr(t.time_text_embed.timestep_embedder, "act", torch.nn.GELU()), t)[1],
    ),
    C(
        "qknorm-q",
        "qk-norm",
        "transformer_blocks.0.attn",
        M(f"{TF}:FluxAttnProcessor", "__call__", ("query = attn.norm_q(query)\n", "query = query\n")),
    ),
    C(
        "qknorm-both",
        "qk-norm",
        "transformer_blocks.0.attn",
        M(
            f"{TF}:FluxAttnProcessor",
            "__call__",
            ("query = attn.norm_q(query)\n", "query = query\n"),
            ("key = attn.norm_k(key)\n", "key = key\n"),
        ),
    ),
    C(
        "qknorm-added",
        "qk-norm",
        "transformer_blocks.0.attn",
        M(
            f"{TF}:FluxAttnProcessor",
            "__call__",
            ("encoder_key = attn.norm_added_k(encoder_key)", "encoder_key = encoder_key"),
        ),
    ),
    C(
        "qknorm-swapped",
        "qk-norm",
        "transformer_blocks.0.attn",
        M(
            f"{TF}:FluxAttnProcessor",
            "__call__",
            (
                "query = attn.norm_q(query)\n    key = attn.norm_k(key)\n",
                "query = attn.norm_k(query)\n    key = attn.norm_q(key)\n",
            ),
        ),
    ),
    C(
        "rope-layout-apply",
        "rope-layout",
        "transformer_blocks.0.attn",
        M(
            f"{TF}:FluxAttnProcessor",
            "__call__",
            (
                "apply_rotary_emb(query, image_rotary_emb, sequence_dim=1)",
                "apply_rotary_emb(query, image_rotary_emb, sequence_dim=1, use_real_unbind_dim=-2)",
            ),
            (
                "apply_rotary_emb(key, image_rotary_emb, sequence_dim=1)",
                "apply_rotary_emb(key, image_rotary_emb, sequence_dim=1, use_real_unbind_dim=-2)",
            ),
        ),
    ),
    C(
        "rope-layout-pos",
        "rope-layout",
        "pos_embed",
        M(f"{TF}:FluxPosEmbed", "forward", ("repeat_interleave_real=True", "repeat_interleave_real=False")),
    ),
    C(
        "rope-precision-bf16",
        "rope-precision",
        "pos_embed",
        M(
            f"{TF}:FluxPosEmbed",
            "forward",
            (
                "freqs_cos = torch.cat(cos_out, dim=-1).to(ids.device)",
                "freqs_cos = torch.cat(cos_out, dim=-1).to(torch.bfloat16).float()",
            ),
            (
                "freqs_sin = torch.cat(sin_out, dim=-1).to(ids.device)",
                "freqs_sin = torch.cat(sin_out, dim=-1).to(torch.bfloat16).float()",
            ),
        ),
    ),
    C(
        "rope-precision-freq",
        "rope-precision",
        "pos_embed",
        M(
            f"{TF}:FluxPosEmbed",
            "forward",
            ("freqs_dtype = maybe_adjust_dtype_for_device(torch.float64, ids.device)", "freqs_dtype = torch.float16"),
        ),
    ),
    C(
        "rope-precision-half",
        "rope-precision",
        "pos_embed",
        M(
            f"{TF}:FluxPosEmbed",
            "forward",
            ("freqs_dtype = maybe_adjust_dtype_for_device(torch.float64, ids.device)", "freqs_dtype = torch.bfloat16"),
        ),
    ),
    C(
        "rope-frequency",
        "rope-frequency",
        "pos_embed",
        M(f"{TF}:FluxPosEmbed", "forward", ("theta=self.theta", "theta=5000")),
    ),
    C("rope-frequency2", "rope-frequency", "pos_embed", target=lambda t: (setattr(t.pos_embed, "theta", 256), t)[1]),
    C(
        "rope-axes",
        "rope-axes",
        "pos_embed",
        M(f"{TF}:FluxPosEmbed", "forward", ("pos[:, i]", "pos[:, [0, 2, 1][i]]")),
    ),
    C(
        "rope-axes-dim",
        "rope-axes",
        "pos_embed",
        M(f"{TF}:FluxPosEmbed", "forward", ("self.axes_dim[i]", "self.axes_dim[::-1][i]")),
    ),
    C(
        "rope-axes-ids",
        "rope-axes",
        "",
        M(
            f"{TF}:FluxTransformer2DModel",
            "forward",
            ("image_rotary_emb = self.pos_embed(ids)", "image_rotary_emb = self.pos_embed(ids[:, [0, 2, 1]])"),
        ),
    ),
    C(
        "rope-ids-order",
        "concat-order",
        "",
        M(
            f"{TF}:FluxTransformer2DModel",
            "forward",
            ("ids = torch.cat((txt_ids, img_ids), dim=0)", "ids = torch.cat((img_ids, txt_ids), dim=0)"),
        ),
    ),
    C(
        "time-scale",
        "timestep-scale",
        "",
        M(
            f"{TF}:FluxTransformer2DModel",
            "forward",
            ("timestep = timestep.to(hidden_states.dtype) * 1000", "timestep = timestep.to(hidden_states.dtype)"),
        ),
    ),
    C(
        "time-cast",
        "timestep-cast",
        "",
        M(
            f"{TF}:FluxTransformer2DModel",
            "forward",
            (
                "timestep = timestep.to(hidden_states.dtype) * 1000",
                "timestep = (timestep.to(hidden_states.dtype) * 1000).long()",
            ),
        ),
    ),
    C(
        "time-cast-bf16",
        "timestep-cast",
        "",
        M(
            f"{TF}:FluxTransformer2DModel",
            "forward",
            ("timestep = timestep.to(hidden_states.dtype) * 1000", "timestep = (timestep * 1000).to(torch.bfloat16)"),
        ),
    ),
    C(
        "time-embed",
        "timestep-embedding",
        ["time_text_embed.time_proj"],
        M(
            f"{E}:CombinedTimestepGuidanceTextProjEmbeddings",
            "__init__",
            ("flip_sin_to_cos=True", "flip_sin_to_cos=False"),
        ),
    ),
    C(
        "time-embed-shift",
        "timestep-embedding",
        ["time_text_embed.time_proj"],
        M(
            f"{E}:CombinedTimestepGuidanceTextProjEmbeddings",
            "__init__",
            ("downscale_freq_shift=0", "downscale_freq_shift=1"),
        ),
    ),
    C(
        "guidance-scale",
        "guidance-scale",
        "",
        M(
            f"{TF}:FluxTransformer2DModel",
            "forward",
            ("guidance = guidance.to(hidden_states.dtype) * 1000", "guidance = guidance.to(hidden_states.dtype)"),
        ),
    ),
    C(
        "cond-missing-pooled",
        "conditioning-missing",
        "time_text_embed",
        M(
            f"{E}:CombinedTimestepGuidanceTextProjEmbeddings",
            "forward",
            ("conditioning = time_guidance_emb + pooled_projections", "conditioning = time_guidance_emb"),
        ),
    ),
    C(
        "cond-missing-guidance",
        "conditioning-missing",
        "time_text_embed",
        M(
            f"{E}:CombinedTimestepGuidanceTextProjEmbeddings",
            "forward",
            ("time_guidance_emb = timesteps_emb + guidance_emb", "time_guidance_emb = timesteps_emb"),
        ),
    ),
    C(
        "softmax-scale",
        "softmax-scale",
        "transformer_blocks.0.attn",
        M(
            f"{TF}:FluxAttnProcessor",
            "__call__",
            ("attn_mask=attention_mask,", "attn_mask=attention_mask, scale=1.0 / query.shape[-1],"),
        ),
    ),
    C(
        "bias-out",
        "bias",
        "transformer_blocks.0.attn.to_out.0",
        target=lambda t: (t.transformer_blocks[0].attn.to_out[0].register_parameter("bias", None), t)[1],
    ),
    C(
        "bias-forward",
        "bias",
        ["transformer_blocks.0.ff.net.2", "transformer_blocks.0"],
        target=lambda t: (
            setattr(
                t.transformer_blocks[0].ff.net[2],
                "forward",
                lambda x: torch.nn.functional.linear(x, t.transformer_blocks[0].ff.net[2].weight),
            ),
            t,
        )[1],
    ),
    C(
        "bias-convert",
        "bias",
        "transformer_blocks.1.attn.to_q",
        convert=lambda s: {
            **s,
            "transformer_blocks.1.attn.to_q.bias": torch.zeros_like(s["transformer_blocks.1.attn.to_q.bias"]),
        },
    ),
    C(
        "head-layout-in",
        "head-layout",
        "transformer_blocks.0.attn",
        M(
            f"{TF}:FluxAttnProcessor",
            "__call__",
            (
                "query = query.unflatten(-1, (-1, attn.head_dim))\n",
                "query = query.unflatten(-1, (attn.head_dim, -1)).transpose(-1, -2)\n",
            ),
            (
                "key = key.unflatten(-1, (-1, attn.head_dim))\n",
                "key = key.unflatten(-1, (attn.head_dim, -1)).transpose(-1, -2)\n",
            ),
            (
                "value = value.unflatten(-1, (-1, attn.head_dim))\n",
                "value = value.unflatten(-1, (attn.head_dim, -1)).transpose(-1, -2)\n",
            ),
        ),
    ),
    C(
        "head-layout-out",
        "head-layout",
        "transformer_blocks.0.attn",
        M(
            f"{TF}:FluxAttnProcessor",
            "__call__",
            (
                "hidden_states = hidden_states.flatten(2, 3)",
                "hidden_states = hidden_states.transpose(2, 3).flatten(2, 3)",
            ),
        ),
    ),
    C(
        "concat-qkv",
        "concat-order",
        "transformer_blocks.0.attn",
        M(
            f"{TF}:FluxAttnProcessor",
            "__call__",
            ("torch.cat([encoder_query, query], dim=1)", "torch.cat([query, encoder_query], dim=1)"),
            ("torch.cat([encoder_key, key], dim=1)", "torch.cat([key, encoder_key], dim=1)"),
            ("torch.cat([encoder_value, value], dim=1)", "torch.cat([value, encoder_value], dim=1)"),
        ),
    ),
    C(
        "concat-single",
        "concat-order",
        "single_transformer_blocks.0",
        M(
            f"{TF}:FluxSingleTransformerBlock",
            "forward",
            (
                "torch.cat([attn_output, mlp_hidden_states], dim=2)",
                "torch.cat([mlp_hidden_states, attn_output], dim=2)",
            ),
        ),
    ),
    C(
        "concat-single-tok",
        "concat-order",
        "single_transformer_blocks.0",
        M(
            f"{TF}:FluxSingleTransformerBlock",
            "forward",
            (
                "torch.cat([encoder_hidden_states, hidden_states], dim=1)",
                "torch.cat([hidden_states, encoder_hidden_states], dim=1)",
            ),
        ),
    ),
    C(
        "gate-missing",
        "gate-branch",
        "transformer_blocks.0",
        M(f"{TF}:FluxTransformerBlock", "forward", ("    attn_output = gate_msa.unsqueeze(1) * attn_output\n", "")),
    ),
    C(
        "gate-swap",
        "gate-branch",
        "transformer_blocks.0",
        M(
            f"{TF}:FluxTransformerBlock",
            "forward",
            ("ff_output = gate_mlp.unsqueeze(1) * ff_output", "ff_output = gate_msa.unsqueeze(1) * ff_output"),
        ),
    ),
    C(
        "gate-single",
        "gate-branch",
        "single_transformer_blocks.0",
        M(
            f"{TF}:FluxSingleTransformerBlock",
            "forward",
            ("hidden_states = gate * self.proj_out(hidden_states)", "hidden_states = self.proj_out(hidden_states)"),
        ),
    ),
    C(
        "gate-context",
        "gate-branch",
        "transformer_blocks.0",
        M(
            f"{TF}:FluxTransformerBlock",
            "forward",
            (
                "context_attn_output = c_gate_msa.unsqueeze(1) * context_attn_output",
                "context_attn_output = gate_msa.unsqueeze(1) * context_attn_output",
            ),
        ),
    ),
    C(
        "w-transposed",
        "weight-transposed",
        "transformer_blocks.0.attn.to_out.0",
        convert=lambda s: {
            **s,
            "transformer_blocks.0.attn.to_out.0.weight": s["transformer_blocks.0.attn.to_out.0.weight"]
            .t()
            .contiguous(),
        },
    ),
    C(
        "w-order-qk",
        "weight-order",
        ["transformer_blocks.0.attn", "transformer_blocks.0.attn.to_q"],
        convert=lambda s: {
            **s,
            **{
                f"transformer_blocks.0.attn.to_{a}.{p}": s[f"transformer_blocks.0.attn.to_{b}.{p}"]
                for a, b in (("q", "k"), ("k", "q"))
                for p in ("weight", "bias")
            },
        },
    ),
    C(
        "w-order-kv",
        "weight-order",
        ["transformer_blocks.0.attn.to_k"],
        convert=lambda s: {
            **s,
            **{
                f"transformer_blocks.{i}.attn.to_{a}.{p}": s[f"transformer_blocks.{i}.attn.to_{b}.{p}"]
                for i in (0, 1)
                for a, b in (("v", "k"), ("k", "v"))
                for p in ("weight", "bias")
            },
        },
    ),
    C(
        "w-order-norms",
        "weight-order",
        ["transformer_blocks.0.attn.norm_q", "transformer_blocks.0.attn"],
        convert=lambda s: {
            **s,
            "transformer_blocks.0.attn.norm_q.weight": s["transformer_blocks.0.attn.norm_k.weight"],
            "transformer_blocks.0.attn.norm_k.weight": s["transformer_blocks.0.attn.norm_q.weight"],
        },
    ),
    C(
        "w-order-out",
        "modulation-order",
        "norm_out",
        convert=lambda s: {
            **s,
            **{k: torch.cat(list(s[k].chunk(2))[::-1]) for k in ("norm_out.linear.weight", "norm_out.linear.bias")},
        },
    ),
    C(
        "w-order-bias",
        "weight-order",
        ["norm_out.linear"],
        convert=lambda s: {**s, "norm_out.linear.bias": torch.cat(list(s["norm_out.linear.bias"].chunk(2))[::-1])},
    ),
    C(
        "residual-single",
        "residual",
        "single_transformer_blocks.0",
        M(
            f"{TF}:FluxSingleTransformerBlock",
            "forward",
            ("hidden_states = residual + hidden_states\n", "hidden_states = hidden_states\n"),
        ),
    ),
    C(
        "residual-attn",
        "residual",
        "transformer_blocks.0",
        M(
            f"{TF}:FluxTransformerBlock",
            "forward",
            ("hidden_states = hidden_states + attn_output\n", "hidden_states = attn_output\n"),
        ),
    ),
    C(
        "residual-ff",
        "residual",
        "transformer_blocks.0",
        M(
            f"{TF}:FluxTransformerBlock",
            "forward",
            (
                "    hidden_states = hidden_states + ff_output\n",
                "    hidden_states = norm_hidden_states + ff_output\n",
            ),
        ),
    ),
    C(
        "layer-count",
        "layer-count",
        "",
        M(
            f"{TF}:FluxTransformer2DModel",
            "forward",
            ("enumerate(self.transformer_blocks)", "enumerate(self.transformer_blocks[:-1])"),
        ),
    ),
    C(
        "layer-count-single",
        "layer-count",
        "",
        M(
            f"{TF}:FluxTransformer2DModel",
            "forward",
            ("enumerate(self.single_transformer_blocks)", "enumerate(self.single_transformer_blocks[:-1])"),
        ),
    ),
    C(
        "layer-twice",
        "layer-count",
        "",
        M(
            f"{TF}:FluxTransformer2DModel",
            "forward",
            (
                "enumerate(self.single_transformer_blocks)",
                "enumerate([*self.single_transformer_blocks, self.single_transformer_blocks[-1]])",
            ),
        ),
    ),
    C(
        "branch-missing",
        "branch-missing",
        ["transformer_blocks.0"],
        M(
            f"{TF}:FluxTransformerBlock",
            "forward",
            (
                "encoder_hidden_states = encoder_hidden_states + c_gate_mlp.unsqueeze(1) * context_ff_output",
                "encoder_hidden_states = encoder_hidden_states",
            ),
        ),
    ),
    C(
        "branch-missing-mlp",
        "branch-missing",
        ["single_transformer_blocks.0"],
        M(
            f"{TF}:FluxSingleTransformerBlock",
            "forward",
            (
                "torch.cat([attn_output, mlp_hidden_states], dim=2)",
                "torch.cat([attn_output, torch.zeros_like(mlp_hidden_states)], dim=2)",
            ),
        ),
    ),
    C(
        "mask-ignored",
        "mask-ignored",
        "transformer_blocks.0.attn",
        M(
            f"{TF}:FluxAttnProcessor",
            "__call__",
            ("attn_mask=attention_mask,", "attn_mask=(torch.arange(key.shape[1]) < 30)[None, None, None],"),
        ),
    ),
]
CROSS = [
    C(
        "mod-order-block",
        "modulation-order",
        "blocks.0",
        M(
            f"{TW}:WanTransformerBlock",
            "forward",
            (
                "        shift_msa, scale_msa, gate_msa, c_shift_msa, c_scale_msa, c_gate_msa = (\n            self.scale_shift_table + temb.float()",
                "        scale_msa, shift_msa, gate_msa, c_shift_msa, c_scale_msa, c_gate_msa = (\n            self.scale_shift_table + temb.float()",
            ),
        ),
    ),
    C(
        "mod-order-out",
        "modulation-order",
        "",
        M(
            f"{TW}:WanTransformer3DModel",
            "forward",
            (
                "shift, scale = (self.scale_shift_table.to(temb.device) + temb.unsqueeze(1)).chunk(2, dim=1)",
                "scale, shift = (self.scale_shift_table.to(temb.device) + temb.unsqueeze(1)).chunk(2, dim=1)",
            ),
        ),
    ),
    C(
        "mod-order-use",
        "modulation-order",
        "blocks.0",
        M(f"{TW}:WanTransformerBlock", "forward", ("(1 + c_scale_msa) + c_shift_msa", "(1 + scale_msa) + shift_msa")),
    ),
    C(
        "mod-scale",
        "modulation-scale",
        "blocks.0",
        M(f"{TW}:WanTransformerBlock", "forward", ("(1 + scale_msa)", "scale_msa")),
    ),
    C("mod-scale-out", "modulation-scale", "", M(f"{TW}:WanTransformer3DModel", "forward", ("(1 + scale)", "scale"))),
    C(
        "norm-order-qk",
        "norm-order",
        "blocks.0.attn1",
        M(
            f"{TW}:WanAttnProcessor",
            "__call__",
            ("    query = attn.norm_q(query)\n    key = attn.norm_k(key)\n", ""),
            (
                "    # I2V task",
                "    query = attn.norm_q(query.flatten(2)).unflatten(2, (attn.heads, -1)); key = attn.norm_k(key.flatten(2)).unflatten(2, (attn.heads, -1))\n    # I2V task",
            ),
        ),
    ),
    C(
        "norm-order-swap",
        "norm-order",
        "blocks.0",
        M(
            f"{TW}:WanTransformerBlock",
            "forward",
            ("self.norm3(hidden_states.float())", "self.norm2(hidden_states.float())"),
            (
                "norm_hidden_states = self.norm2(hidden_states.float()).type_as(hidden_states)",
                "norm_hidden_states = self.norm3(hidden_states.float()).type_as(hidden_states)",
            ),
        ),
    ),
    C(
        "norm-order-post",
        "norm-order",
        "blocks.0",
        M(
            f"{TW}:WanTransformerBlock",
            "forward",
            (
                "norm_hidden_states = self.norm2(hidden_states.float()).type_as(hidden_states)\n    attn_output = self.attn2(norm_hidden_states, encoder_hidden_states, None, None)",
                "attn_output = self.norm2(self.attn2(hidden_states, encoder_hidden_states, None, None))",
            ),
        ),
    ),
    C(
        "norm-eps",
        "norm-eps",
        "blocks.0.norm1",
        target=lambda t: ([setattr(b.norm1, "eps", 1e-5) for b in t.blocks], t)[1],
    ),
    C(
        "norm-eps-q",
        "norm-eps",
        "blocks.0.attn1.norm_q",
        target=lambda t: ([setattr(b.attn1.norm_q, "eps", 1e-5) for b in t.blocks], t)[1],
    ),
    C(
        "norm-missing",
        "norm-missing",
        "blocks.0",
        M(f"{TW}:WanTransformerBlock", "forward", ("self.norm2(hidden_states.float())", "(hidden_states.float())")),
    ),
    C(
        "norm-missing3",
        "norm-missing",
        "blocks.0",
        M(f"{TW}:WanTransformerBlock", "forward", ("self.norm3(hidden_states.float())", "(hidden_states.float())")),
    ),
    C(
        "norm-missing-out",
        "norm-missing",
        "",
        M(
            f"{TW}:WanTransformer3DModel",
            "forward",
            ("self.norm_out(hidden_states.float())", "(hidden_states.float())"),
        ),
    ),
    C(
        "activation",
        "activation",
        "blocks.0.ffn.net.0",
        M(f"{A}:GELU", "gelu", ("approximate=self.approximate", 'approximate="none"')),
    ),
    C(
        "activation-text",
        "activation",
        ["condition_embedder.text_embedder.act_1"],
        target=lambda t: (setattr(t.condition_embedder.text_embedder, "act_1", torch.nn.SiLU()), t)[1],
    ),
    C(
        "activation-img",
        "activation",
        "condition_embedder.image_embedder.ff.net.0",
        target=lambda t: (setattr(t.condition_embedder.image_embedder.ff.net[0], "approximate", "tanh"), t)[1],
    ),
    C(
        "act-missing",
        "activation",
        "condition_embedder",
        M(f"{TW}:WanTimeTextImageEmbedding", "forward", ("self.time_proj(self.act_fn(temb))", "self.time_proj(temb)")),
    ),
    C(
        "qk-norm",
        "qk-norm",
        "blocks.0.attn1",
        M(f"{TW}:WanAttnProcessor", "__call__", ("key = attn.norm_k(key)\n", "key = key\n")),
    ),
    C(
        "qk-norm-added",
        "qk-norm",
        "blocks.0.attn2",
        M(f"{TW}:WanAttnProcessor", "__call__", ("key_img = attn.norm_added_k(key_img)", "key_img = key_img")),
    ),
    C(
        "rope-layout",
        "rope-layout",
        "blocks.0.attn1",
        M(
            f"{TW}:WanAttnProcessor",
            "__call__",
            (
                "x1, x2 = hidden_states.unflatten(-1, (-1, 2)).unbind(-1)",
                "x1, x2 = hidden_states.unflatten(-1, (2, -1)).unbind(-2)",
            ),
            ("out[..., 0::2] = x1", "out[..., :out.shape[-1] // 2] = x1"),
            ("out[..., 1::2] = x1", "out[..., out.shape[-1] // 2:] = x1"),
        ),
    ),
    C(
        "rope-sign",
        "rope-layout",
        "blocks.0.attn1",
        M(
            f"{TW}:WanAttnProcessor",
            "__call__",
            ("x1 * cos - x2 * sin", "x1 * cos + x2 * sin"),
            ("x1 * sin + x2 * cos", "x2 * cos - x1 * sin"),
        ),
    ),
    C(
        "rope-precision",
        "rope-precision",
        "rope",
        M(
            f"{TW}:WanRotaryPosEmbed",
            "__init__",
            (
                "freqs_dtype = torch.float32 if torch.backends.mps.is_available() else torch.float64",
                "freqs_dtype = torch.bfloat16",
            ),
        ),
    ),
    C(
        "rope-precision-out",
        "rope-precision",
        "rope",
        M(
            f"{TW}:WanRotaryPosEmbed",
            "forward",
            (
                "return freqs_cos, freqs_sin",
                "return freqs_cos.to(torch.bfloat16).float(), freqs_sin.to(torch.bfloat16).float()",
            ),
        ),
    ),
    C(
        "rope-frequency",
        "rope-frequency",
        "rope",
        target=lambda t: (t.rope.__init__(20, (1, 2, 2), 1024, theta=1000.0), t)[1],
    ),
    C(
        "rope-frequency-dim",
        "rope-frequency",
        "rope",
        target=lambda t: (t.rope.__init__(20, (1, 2, 2), 1024, theta=20000.0), t)[1],
    ),
    C(
        "rope-axes",
        "rope-axes",
        "rope",
        M(
            f"{TW}:WanRotaryPosEmbed",
            "forward",
            (
                "freqs_cos_h = freqs_cos[1][:pph].view(1, pph, 1, -1)",
                "freqs_cos_h = freqs_cos[1][:ppw].view(1, 1, ppw, -1)",
            ),
            (
                "freqs_cos_w = freqs_cos[2][:ppw].view(1, 1, ppw, -1)",
                "freqs_cos_w = freqs_cos[2][:pph].view(1, pph, 1, -1)",
            ),
            (
                "freqs_sin_h = freqs_sin[1][:pph].view(1, pph, 1, -1)",
                "freqs_sin_h = freqs_sin[1][:ppw].view(1, 1, ppw, -1)",
            ),
            (
                "freqs_sin_w = freqs_sin[2][:ppw].view(1, 1, ppw, -1)",
                "freqs_sin_w = freqs_sin[2][:pph].view(1, pph, 1, -1)",
            ),
        ),
    ),
    C(
        "rope-axes-cat",
        "rope-axes",
        "rope",
        M(
            f"{TW}:WanRotaryPosEmbed",
            "forward",
            (
                "torch.cat([freqs_cos_f, freqs_cos_h, freqs_cos_w], dim=-1)",
                "torch.cat([freqs_cos_h, freqs_cos_w, freqs_cos_f], dim=-1)",
            ),
            (
                "torch.cat([freqs_sin_f, freqs_sin_h, freqs_sin_w], dim=-1)",
                "torch.cat([freqs_sin_h, freqs_sin_w, freqs_sin_f], dim=-1)",
            ),
        ),
    ),
    C(
        "time-scale",
        "timestep-scale",
        "condition_embedder",
        M(
            f"{TW}:WanTimeTextImageEmbedding",
            "forward",
            ("timestep = self.timesteps_proj(timestep)", "timestep = self.timesteps_proj(timestep / 1000)"),
        ),
    ),
    C(
        "time-scale2",
        "timestep-scale",
        "",
        M(
            f"{TW}:WanTransformer3DModel",
            "forward",
            (
                "timestep, encoder_hidden_states, encoder_hidden_states_image, timestep_seq_len=ts_seq_len",
                "timestep * 1000, encoder_hidden_states, encoder_hidden_states_image, timestep_seq_len=ts_seq_len",
            ),
        ),
    ),
    C(
        "time-cast",
        "timestep-cast",
        "",
        M(
            f"{TW}:WanTransformer3DModel",
            "forward",
            (
                "timestep, encoder_hidden_states, encoder_hidden_states_image, timestep_seq_len=ts_seq_len",
                "timestep.long(), encoder_hidden_states, encoder_hidden_states_image, timestep_seq_len=ts_seq_len",
            ),
        ),
    ),
    C(
        "time-cast2",
        "timestep-cast",
        "condition_embedder",
        M(
            f"{TW}:WanTimeTextImageEmbedding",
            "forward",
            ("timestep = self.timesteps_proj(timestep)", "timestep = self.timesteps_proj(timestep.bfloat16())"),
        ),
    ),
    C(
        "time-embed",
        "timestep-embedding",
        "condition_embedder.timesteps_proj",
        target=lambda t: (setattr(t.condition_embedder.timesteps_proj, "flip_sin_to_cos", False), t)[1],
    ),
    C(
        "time-embed2",
        "timestep-embedding",
        "condition_embedder.timesteps_proj",
        target=lambda t: (setattr(t.condition_embedder.timesteps_proj, "downscale_freq_shift", 1), t)[1],
    ),
    C(
        "cond-missing",
        "conditioning-missing",
        ["blocks.0"],
        M(
            f"{TW}:WanTransformerBlock",
            "forward",
            (
                "            self.scale_shift_table + temb.float()\n",
                "            self.scale_shift_table + torch.zeros_like(temb.float())\n",
            ),
        ),
    ),
    C(
        "cond-missing-table",
        "conditioning-missing",
        ["blocks.0"],
        M(
            f"{TW}:WanTransformerBlock",
            "forward",
            ("            self.scale_shift_table + temb.float()\n", "            temb.float()\n"),
        ),
    ),
    C(
        "cond-missing-out",
        "conditioning-missing",
        [""],
        M(
            f"{TW}:WanTransformer3DModel",
            "forward",
            ("(self.scale_shift_table.to(temb.device) + temb.unsqueeze(1))", "self.scale_shift_table.to(temb.device)"),
        ),
    ),
    C(
        "softmax-scale",
        "softmax-scale",
        "blocks.0.attn1",
        M(
            f"{TW}:WanAttnProcessor",
            "__call__",
            ("attn_mask=attention_mask,", "attn_mask=attention_mask, scale=(query.shape[-1] * attn.heads) ** -0.5,"),
        ),
    ),
    C(
        "bias",
        "bias",
        "blocks.0.attn2.to_out.0",
        target=lambda t: (t.blocks[0].attn2.to_out[0].register_parameter("bias", None), t)[1],
    ),
    C(
        "bias-patch",
        "bias",
        "patch_embedding",
        target=lambda t: (t.patch_embedding.register_parameter("bias", None), t)[1],
    ),
    C(
        "head-layout",
        "head-layout",
        "blocks.0.attn1",
        M(
            f"{TW}:WanAttnProcessor",
            "__call__",
            *[
                (
                    f"{n} = {n}.unflatten(2, (attn.heads, -1))\n",
                    f"{n} = {n}.unflatten(2, (-1, attn.heads)).transpose(2, 3)\n",
                )
                for n in ("query", "key", "value")
            ],
        ),
    ),
    C(
        "head-layout-out",
        "head-layout",
        "blocks.0.attn1",
        M(
            f"{TW}:WanAttnProcessor",
            "__call__",
            (
                "    hidden_states = hidden_states.flatten(2, 3)\n    hidden_states = hidden_states.type_as(query)\n\n    if",
                "    hidden_states = hidden_states.transpose(2, 3).flatten(2, 3)\n    hidden_states = hidden_states.type_as(query)\n\n    if",
            ),
        ),
    ),
    C(
        "concat-order",
        "concat-order",
        "",
        M(
            f"{TW}:WanTransformer3DModel",
            "forward",
            (
                "torch.concat([encoder_hidden_states_image, encoder_hidden_states], dim=1)",
                "torch.concat([encoder_hidden_states, encoder_hidden_states_image], dim=1)",
            ),
        ),
    ),
    C(
        "gate-missing",
        "gate-branch",
        "blocks.0",
        M(
            f"{TW}:WanTransformerBlock",
            "forward",
            ("(hidden_states.float() + attn_output * gate_msa)", "(hidden_states.float() + attn_output)"),
        ),
    ),
    C(
        "gate-swap",
        "gate-branch",
        "blocks.0",
        M(f"{TW}:WanTransformerBlock", "forward", ("ff_output.float() * c_gate_msa", "ff_output.float() * gate_msa")),
    ),
    C(
        "w-transposed",
        "weight-transposed",
        "blocks.0.attn1.to_q",
        convert=lambda s: {**s, "blocks.0.attn1.to_q.weight": s["blocks.0.attn1.to_q.weight"].t().contiguous()},
    ),
    C(
        "w-transposed-all",
        "weight-transposed",
        "blocks.0.attn1.to_out.0",
        convert=lambda s: {
            k: (v.t().contiguous() if k.endswith("attn1.to_out.0.weight") else v) for k, v in s.items()
        },
    ),
    C(
        "w-order-kv",
        "weight-order",
        ["blocks.0.attn2.to_k", "blocks.0.attn2"],
        convert=lambda s: {
            **s,
            **{
                f"blocks.0.attn2.to_{a}.{p}": s[f"blocks.0.attn2.to_{b}.{p}"]
                for a, b in (("v", "k"), ("k", "v"))
                for p in ("weight", "bias")
            },
        },
    ),
    C(
        "w-order-img",
        "weight-order",
        ["blocks.0.attn2.add_k_proj", "blocks.0.attn2"],
        convert=lambda s: {
            **s,
            **{
                f"blocks.0.attn2.add_{a}_proj.{p}": s[f"blocks.0.attn2.add_{b}_proj.{p}"]
                for a, b in (("v", "k"), ("k", "v"))
                for p in ("weight", "bias")
            },
        },
    ),
    C(
        "w-order-table",
        "modulation-order",
        "blocks.0",
        convert=lambda s: {
            k: (v[:, [1, 0, 2, 4, 3, 5]] if k.endswith("scale_shift_table") and "blocks" in k else v)
            for k, v in s.items()
        },
    ),
    C(
        "residual",
        "residual",
        "blocks.0",
        M(
            f"{TW}:WanTransformerBlock",
            "forward",
            ("hidden_states = hidden_states + attn_output\n", "hidden_states = attn_output\n"),
        ),
    ),
    C(
        "residual-first",
        "residual",
        "blocks.0",
        M(
            f"{TW}:WanTransformerBlock",
            "forward",
            ("(hidden_states.float() + attn_output * gate_msa)", "(attn_output * gate_msa)"),
        ),
    ),
    C(
        "residual-normed",
        "residual",
        "blocks.0",
        M(
            f"{TW}:WanTransformerBlock",
            "forward",
            (
                "(hidden_states.float() + ff_output.float() * c_gate_msa)",
                "(norm_hidden_states + ff_output.float() * c_gate_msa)",
            ),
        ),
    ),
    C(
        "layer-count",
        "layer-count",
        "",
        M(
            f"{TW}:WanTransformer3DModel",
            "forward",
            (
                "        for block in self.blocks:\n            hidden_states = block(hidden_states,",
                "        for block in self.blocks[:-1]:\n            hidden_states = block(hidden_states,",
            ),
        ),
    ),
    C(
        "layer-first",
        "layer-count",
        "",
        M(
            f"{TW}:WanTransformer3DModel",
            "forward",
            (
                "        for block in self.blocks:\n            hidden_states = block(hidden_states,",
                "        for block in self.blocks[1:]:\n            hidden_states = block(hidden_states,",
            ),
        ),
    ),
    C(
        "branch-missing",
        "branch-missing",
        "blocks.0.attn2",
        M(
            f"{TW}:WanAttnProcessor",
            "__call__",
            ("hidden_states = hidden_states + hidden_states_img", "hidden_states = hidden_states"),
        ),
    ),
    C(
        "branch-missing2",
        "branch-missing",
        "blocks.0.attn2",
        M(f"{TW}:WanAttnProcessor", "__call__", ("if encoder_hidden_states_img is not None:", "if False:")),
    ),
    C(
        "branch-cross",
        "branch-missing",
        "blocks.0",
        M(
            f"{TW}:WanTransformerBlock",
            "forward",
            ("hidden_states = hidden_states + attn_output\n", "hidden_states = hidden_states\n"),
        ),
    ),
    C(
        "patch-order",
        "patch-order",
        "",
        M(
            f"{TW}:WanTransformer3DModel",
            "forward",
            ("hidden_states.permute(0, 7, 1, 4, 2, 5, 3, 6)", "hidden_states.permute(0, 7, 1, 4, 2, 6, 3, 5)"),
        ),
    ),
    C(
        "patch-order-c",
        "patch-order",
        "",
        M(
            f"{TW}:WanTransformer3DModel",
            "forward",
            ("post_patch_width, p_t, p_h, p_w, -1\n", "post_patch_width, -1, p_t, p_h, p_w\n"),
            ("hidden_states.permute(0, 7, 1, 4, 2, 5, 3, 6)", "hidden_states.permute(0, 4, 1, 5, 2, 6, 3, 7)"),
        ),
    ),
    C(
        "patch-order-in",
        "patch-order",
        "",
        M(
            f"{TW}:WanTransformer3DModel",
            "forward",
            (
                "hidden_states = hidden_states.flatten(2).transpose(1, 2)",
                "hidden_states = hidden_states.transpose(-1, -2).flatten(2).transpose(1, 2)",
            ),
        ),
    ),
    C(
        "mask-ignored",
        "mask-ignored",
        "blocks.0.attn1",
        M(
            f"{TW}:WanAttnProcessor",
            "__call__",
            (
                "attn_mask=attention_mask,",
                "attn_mask=(torch.arange(key.shape[1]) < key.shape[1] - 6)[None, None, None],",
            ),
        ),
    ),
]
