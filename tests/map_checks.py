"""What the tests of `map` do in the Python that has torch: ``python map_checks.py FUNCTION ARGUMENT ...``."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import torch
from safetensors.torch import load_file, save_file

#: A small model of diffusers with joint and single blocks.
CONFIG = {
    "patch_size": 1,
    "in_channels": 12,
    "num_layers": 2,
    "num_single_layers": 2,
    "attention_head_dim": 16,
    "num_attention_heads": 2,
    "joint_attention_dim": 20,
    "pooled_projection_dim": 24,
    "guidance_embeds": True,
    "axes_dims_rope": [4, 6, 6],
}
RENAMED = {
    "time_text_embed.timestep_embedder.linear_1": "time_in.in_layer",
    "time_text_embed.timestep_embedder.linear_2": "time_in.out_layer",
    "time_text_embed.guidance_embedder.linear_1": "guidance_in.in_layer",
    "time_text_embed.guidance_embedder.linear_2": "guidance_in.out_layer",
    "time_text_embed.text_embedder.linear_1": "pooled_in.in_layer",
    "time_text_embed.text_embedder.linear_2": "pooled_in.out_layer",
    "context_embedder": "text_in",
    "x_embedder": "image_in",
    "proj_out": "last.linear",
    "norm_out.linear": "last.modulation.1",
    "norm1.linear": "image_mod.lin",
    "norm1_context.linear": "text_mod.lin",
    "attn.norm_q": "image_attn.norms.q",
    "attn.norm_k": "image_attn.norms.k",
    "attn.norm_added_q": "text_attn.norms.q",
    "attn.norm_added_k": "text_attn.norms.k",
    "attn.to_out.0": "image_attn.proj",
    "attn.to_add_out": "text_attn.proj",
    "ff.net.0.proj": "image_mlp.0",
    "ff.net.2": "image_mlp.2",
    "ff_context.net.0.proj": "text_mlp.0",
    "ff_context.net.2": "text_mlp.2",
    "norm.linear": "mod.lin",
}


def original(folder: str) -> None:
    """A checkpoint in a layout of our own, the configuration, and what it has to become."""
    from diffusers import FluxTransformer2DModel

    generator = torch.Generator().manual_seed(0)
    model = FluxTransformer2DModel(**CONFIG)
    weights = {key: torch.randn(value.shape, generator=generator) for key, value in model.state_dict().items()}
    left, source = dict(weights), {}
    for block in ("transformer_blocks", "single_transformer_blocks"):
        for index in range(2):
            at = f"{block}.{index}"
            name = f"{'double' if block == 'transformer_blocks' else 'single'}.{index}"
            for leaf in ("weight", "bias"):
                parts = [f"{at}.attn.to_{one}.{leaf}" for one in "qkv"]
                if name.startswith("single"):
                    fused = [*parts, f"{at}.proj_mlp.{leaf}"]
                    source[f"{name}.linear1.{leaf}"] = torch.cat([left.pop(key) for key in fused])
                    source[f"{name}.linear2.{leaf}"] = left.pop(f"{at}.proj_out.{leaf}")
                else:
                    source[f"{name}.image_attn.qkv.{leaf}"] = torch.cat([left.pop(key) for key in parts])
                    parts = [f"{at}.attn.add_{one}_proj.{leaf}" for one in "qkv"]
                    source[f"{name}.text_attn.qkv.{leaf}"] = torch.cat([left.pop(key) for key in parts])
    for key, value in left.items():
        module, _, leaf = key.rpartition(".")
        for block, name in (("single_transformer_blocks", "single"), ("transformer_blocks", "double")):
            module = module.replace(block, name)
        head, _, rest = module.partition(".")
        index, _, inner = rest.partition(".")
        if head in ("double", "single"):
            words = RENAMED[inner] if head == "double" or inner == "norm.linear" else inner.replace("attn.", "")
            module = f"{head}.{index}.{words}"
        else:
            module = RENAMED[module]
        source[f"{module}.{leaf}"] = torch.cat(value.chunk(2)[::-1]) if module.startswith("last.mod") else value
    save_file({key: value.contiguous() for key, value in source.items()}, f"{folder}/model.safetensors")
    save_file(weights, f"{folder}/expected.safetensors")
    Path(folder, "config.json").write_text(json.dumps({"_class_name": "FluxTransformer2DModel", **CONFIG}))
    half = len(source) // 2
    names = {key: f"part-{int(place >= half)}.safetensors" for place, key in enumerate(source)}
    for name in set(names.values()):
        save_file({key: source[key].contiguous() for key in source if names[key] == name}, f"{folder}/{name}")
    Path(folder, "parts.safetensors.index.json").write_text(json.dumps({"weight_map": names}))
    torch.save(source, f"{folder}/model.pt")


def compare(folder: str, class_name: str, expected: str) -> None:
    """A converted folder loads, with exactly these weights."""
    import diffusers

    saved = getattr(diffusers, class_name).from_pretrained(folder).state_dict()
    wanted = load_file(expected)
    assert saved.keys() == wanted.keys()
    assert [key for key in wanted if not torch.equal(saved[key], wanted[key])] == []


def save_reference(harness: str, path: str) -> None:
    """The weights of the reference of a harness as a checkpoint, and the configuration of its target."""
    module = load(Path(harness))
    torch.manual_seed(0)
    state = module.build_reference().state_dict()
    save_file({key: value.clone().contiguous() for key, value in state.items()}, path)
    Path(path).with_name("config.json").write_text(json.dumps(dict(module.build_target().config)))


@torch.no_grad()
def same_outputs(harness: str, folder: str) -> None:
    """The converted folder computes what the reference does."""
    module = load(Path(harness))
    target = type(module.build_target()).from_pretrained(folder).eval()
    inputs = module.make_inputs()
    # As the checkpoint was built: biases start at random.
    torch.manual_seed(0)
    expected = module.run_reference(module.build_reference().eval(), inputs)
    difference = (module.run_target(target, inputs) - expected).abs().max().item()
    assert difference < 1e-4, difference


def single_file(checkpoint: str, folder: str, class_name: str) -> None:
    """`from_single_file` makes of the checkpoint what the script has made of it."""
    import diffusers

    model_class = getattr(diffusers, class_name)
    loaded = model_class.from_single_file(checkpoint, config=folder).state_dict()
    wanted = model_class.from_pretrained(folder).state_dict()
    assert loaded.keys() == wanted.keys()
    assert [key for key in wanted if not torch.equal(loaded[key], wanted[key])] == []


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    torch.set_num_threads(1)
    globals()[sys.argv[1]](*sys.argv[2:])
