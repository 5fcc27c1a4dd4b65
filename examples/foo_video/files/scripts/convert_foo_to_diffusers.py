r"""
Convert an original Foo checkpoint to the diffusers format.

The transformer alone:

```bash
python scripts/convert_foo_to_diffusers.py \
    --checkpoint_path original/model.safetensors \
    --output_path transformer
```

A whole pipeline, with the other components from a folder or repository that holds them in subfolders of their names:

```bash
python scripts/convert_foo_to_diffusers.py \
    --checkpoint_path original/model.safetensors \
    --components_path components \
    --output_path foo
```
"""

import argparse
import json
import re
from collections.abc import Callable
from pathlib import Path

import torch
from accelerate import init_empty_weights
from safetensors.torch import load_file
from transformers import T5EncoderModel, T5TokenizerFast

from diffusers import (
    AutoencoderKLWan,
    FlowMatchEulerDiscreteScheduler,
    FooPipeline,
    FooTransformer3DModel,
)


# The components of the pipeline by name.
COMPONENTS = {
    "transformer": FooTransformer3DModel,
    "vae": AutoencoderKLWan,
    "text_encoder": T5EncoderModel,
    "tokenizer": T5TokenizerFast,
    "scheduler": FlowMatchEulerDiscreteScheduler,
}


def split_qkv(tensor: torch.Tensor) -> tuple[torch.Tensor, ...]:
    # The original layer computes query, key and value with one matrix.
    return tensor.chunk(3, dim=0)


def swap_shift_scale(tensor: torch.Tensor) -> tuple[torch.Tensor]:
    # The original layer predicts [shift, scale], AdaLayerNormContinuous expects [scale, shift].
    shift, scale = tensor.chunk(2, dim=0)
    return (torch.cat([scale, shift], dim=0),)


# TODO(foo): describe the original checkpoint. The layout below is an example, that of a plain DiT with fused
# projections. `original key -> diffusers keys`, where the key is a regular expression that matches a whole name and
# `{0}`, `{1}` ... stand for its groups. Several diffusers keys need a function that returns as many tensors.
TRANSFORMER_KEYS: dict[str, str | tuple[Callable, list[str]]] = {
    # Embeddings
    r"x_embedder\.proj\.(\w+)": "patch_embed.{0}",
    r"t_embedder\.mlp\.0\.(\w+)": "time_guidance_embed.timestep_embedder.linear_1.{0}",
    r"t_embedder\.mlp\.2\.(\w+)": "time_guidance_embed.timestep_embedder.linear_2.{0}",
    r"g_embedder\.mlp\.0\.(\w+)": "time_guidance_embed.guidance_embedder.linear_1.{0}",
    r"g_embedder\.mlp\.2\.(\w+)": "time_guidance_embed.guidance_embedder.linear_2.{0}",
    r"y_embedder\.(\w+)": "context_embedder.{0}",
    # Video stream of the blocks
    r"blocks\.(\d+)\.vid_mod\.1\.(\w+)": "transformer_blocks.{0}.norm1.linear.{1}",
    r"blocks\.(\d+)\.vid_attn\.qkv\.(\w+)": (
        split_qkv,
        [
            "transformer_blocks.{0}.attn.to_q.{1}",
            "transformer_blocks.{0}.attn.to_k.{1}",
            "transformer_blocks.{0}.attn.to_v.{1}",
        ],
    ),
    r"blocks\.(\d+)\.vid_attn\.q_norm\.weight": "transformer_blocks.{0}.attn.norm_q.weight",
    r"blocks\.(\d+)\.vid_attn\.k_norm\.weight": "transformer_blocks.{0}.attn.norm_k.weight",
    r"blocks\.(\d+)\.vid_attn\.proj\.(\w+)": "transformer_blocks.{0}.attn.to_out.0.{1}",
    r"blocks\.(\d+)\.vid_mlp\.fc1\.(\w+)": "transformer_blocks.{0}.ff.net.0.proj.{1}",
    r"blocks\.(\d+)\.vid_mlp\.fc2\.(\w+)": "transformer_blocks.{0}.ff.net.2.{1}",
    # Text stream of the blocks
    r"blocks\.(\d+)\.txt_mod\.1\.(\w+)": "transformer_blocks.{0}.norm1_context.linear.{1}",
    r"blocks\.(\d+)\.txt_attn\.qkv\.(\w+)": (
        split_qkv,
        [
            "transformer_blocks.{0}.attn.add_q_proj.{1}",
            "transformer_blocks.{0}.attn.add_k_proj.{1}",
            "transformer_blocks.{0}.attn.add_v_proj.{1}",
        ],
    ),
    r"blocks\.(\d+)\.txt_attn\.q_norm\.weight": "transformer_blocks.{0}.attn.norm_added_q.weight",
    r"blocks\.(\d+)\.txt_attn\.k_norm\.weight": "transformer_blocks.{0}.attn.norm_added_k.weight",
    r"blocks\.(\d+)\.txt_attn\.proj\.(\w+)": "transformer_blocks.{0}.attn.to_add_out.{1}",
    r"blocks\.(\d+)\.txt_mlp\.fc1\.(\w+)": "transformer_blocks.{0}.ff_context.net.0.proj.{1}",
    r"blocks\.(\d+)\.txt_mlp\.fc2\.(\w+)": "transformer_blocks.{0}.ff_context.net.2.{1}",
    # Output
    r"final_layer\.modulation\.1\.(\w+)": (swap_shift_scale, ["norm_out.linear.{0}"]),
    r"final_layer\.linear\.(\w+)": "proj_out.{0}",
}


def convert_transformer_state_dict(original_state_dict: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """
    Rename, and where needed rearrange, the weights of the original transformer.

    Args:
        original_state_dict (`dict[str, torch.Tensor]`): The weights of the original transformer.

    Returns:
        `dict[str, torch.Tensor]`: The weights of [`FooTransformer3DModel`].
    """
    converted_state_dict = {}
    unknown_keys = []

    for original_key, tensor in original_state_dict.items():
        for pattern, target in TRANSFORMER_KEYS.items():
            match = re.fullmatch(pattern, original_key)
            if match is not None:
                break
        else:
            unknown_keys.append(original_key)
            continue

        if isinstance(target, str):
            converted_state_dict[target.format(*match.groups())] = tensor
        else:
            function, keys = target
            # The parts of a split tensor share its memory, which safetensors refuses to save.
            tensors = [part.clone() for part in function(tensor)]
            converted_state_dict.update(zip((key.format(*match.groups()) for key in keys), tensors, strict=True))

    if unknown_keys:
        raise ValueError(
            f"{len(unknown_keys)} keys of the original checkpoint are not in `TRANSFORMER_KEYS`:"
            f" {', '.join(unknown_keys[:10])}{' ...' if len(unknown_keys) > 10 else ''}"
        )
    return converted_state_dict


def load_original_state_dict(checkpoint_path: str, state_dict_key: str | None = None) -> dict[str, torch.Tensor]:
    """
    Load a .safetensors file, a sharded checkpoint (its .safetensors.index.json) or a PyTorch checkpoint.

    Args:
        checkpoint_path (`str`): The file, or the index of the shards.
        state_dict_key (`str`, *optional*): The entry of a PyTorch checkpoint that holds the weights.

    Returns:
        `dict[str, torch.Tensor]`: The weights of the original transformer.
    """
    path = Path(checkpoint_path)
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not a file. Pass the checkpoint, or the .index.json of its shards.")

    if not path.name.endswith((".safetensors", ".safetensors.index.json", ".pt", ".pth", ".ckpt", ".bin")):
        raise ValueError(
            f"{path.name} is neither a .safetensors file, nor a .safetensors.index.json, nor a .pt, .pth, .ckpt or"
            " .bin file."
        )

    file = path
    try:
        if path.name.endswith(".safetensors"):
            state_dict = load_file(path)
        elif path.name.endswith(".safetensors.index.json"):
            shards = sorted(set(json.loads(path.read_text())["weight_map"].values()))
            state_dict = {}
            for shard in shards:
                file = path.parent / shard
                state_dict.update(load_file(file))
        else:
            state_dict = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        # The libraries do not say which file is damaged, or is no checkpoint at all.
        raise ValueError(f"{file} cannot be read: {type(error).__name__}: {error}") from None

    if state_dict_key is not None and isinstance(state_dict, dict):
        if state_dict_key not in state_dict:
            raise ValueError(
                f"{path.name} has no entry {state_dict_key!r}. Its entries: {', '.join(map(str, state_dict))[:500]}"
            )
        state_dict = state_dict[state_dict_key]

    if not isinstance(state_dict, dict):
        raise ValueError(f"{path.name} holds a {type(state_dict).__name__}, where a dictionary of tensors is needed.")

    nested_keys = [key for key, value in state_dict.items() if not isinstance(value, torch.Tensor)]
    if nested_keys:
        raise ValueError(
            f"{path.name} holds more than tensors: {', '.join(map(str, nested_keys))[:500]}. Name the entry that"
            " holds the weights with `--state_dict_key`."
        )
    return state_dict


def check_saved_model(folder: Path, component: str, state_dict: dict[str, torch.Tensor]) -> None:
    """
    Load the saved component back and compare each of its weights with the converted ones.

    Args:
        folder (`Path`): The folder that the component was saved to.
        component (`str`): The name of the component.
        state_dict (`dict[str, torch.Tensor]`): The weights that were saved.
    """
    reloaded = COMPONENTS[component].from_pretrained(folder).state_dict()
    different_keys = sorted(reloaded.keys() ^ state_dict.keys()) or [
        key for key, tensor in state_dict.items() if not torch.equal(reloaded[key].float(), tensor.float())
    ]
    if different_keys:
        raise ValueError(f"The model in {folder} differs from the converted weights in {different_keys[:10]}.")


def save_pipeline(
    converted: dict[str, torch.nn.Module], components_path: str, output_path: str, max_shard_size: str
) -> None:
    """
    Save a pipeline of the converted component and the other ones.

    Args:
        converted (`dict[str, torch.nn.Module]`): The converted component by its name.
        components_path (`str`): The folder or repository with the other components.
        output_path (`str`): The folder to save the pipeline to.
        max_shard_size (`str`): The size of the largest file to write.
    """
    components = {
        name: component_class.from_pretrained(components_path, subfolder=name)
        for name, component_class in COMPONENTS.items()
        if name not in converted
    }
    FooPipeline(**components, **converted).save_pretrained(output_path, max_shard_size=max_shard_size)


def main(args: argparse.Namespace) -> None:
    config = json.loads(Path(args.config_path).read_text()) if args.config_path is not None else {}
    original_state_dict = load_original_state_dict(args.checkpoint_path, args.state_dict_key)
    state_dict = convert_transformer_state_dict(original_state_dict)
    if args.dtype is not None:
        state_dict = {key: tensor.to(getattr(torch, args.dtype)) for key, tensor in state_dict.items()}

    with init_empty_weights():
        model = COMPONENTS["transformer"].from_config(config)
    model.load_state_dict(state_dict, strict=True, assign=True)

    folder = Path(args.output_path)
    if args.components_path is None:
        model.save_pretrained(folder, max_shard_size=args.max_shard_size)
    else:
        save_pipeline({"transformer": model}, args.components_path, args.output_path, args.max_shard_size)
        folder = folder / "transformer"
    check_saved_model(folder, "transformer", state_dict)
    print(f"Converted {len(state_dict)} tensors to {folder}; they load back unchanged.")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--checkpoint_path",
        required=True,
        help="The original checkpoint: a .safetensors file, its .index.json, or a .pt, .pth, .ckpt or .bin file",
    )
    parser.add_argument(
        "--output_path", required=True, help="The folder to save the converted transformer, or the pipeline, to"
    )
    parser.add_argument(
        "--components_path",
        help="A folder or repository with the other components in subfolders. With it, the whole pipeline is saved",
    )
    parser.add_argument(
        "--config_path",
        help="A JSON file with the arguments of the transformer. By default, its defaults are used",
    )
    parser.add_argument(
        "--state_dict_key",
        help="The entry of a PyTorch checkpoint that holds the weights, such as `ema` or `state_dict`",
    )
    parser.add_argument(
        "--dtype",
        choices=["float32", "float16", "bfloat16"],
        help="The dtype to save the weights in. By default, that of the original checkpoint",
    )
    parser.add_argument("--max_shard_size", default="10GB", help="The size of the largest file to write")
    main(parser.parse_args())
