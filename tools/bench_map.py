"""Time and memory of `map`, and of the script that it writes: ``python tools/bench_map.py [--checkout DIR] [--python PATH]``.

Three runs, each a process of its own, with two threads:

* `map` with a harness, for a model of 500 million parameters: below 60 s.
* `map` by names and shapes, for a checkpoint of 20 GB of which only the header exists: a few seconds, most of which is the
  start of two interpreters and of torch.
* The script, on a checkpoint of 4 GB in one file: at most 1.3 times that file in memory, which counts what of it is mapped.
"""

from __future__ import annotations

import argparse
import json
import os
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CACHE = Path.home() / ".cache" / "scaffold-model" / "diffusers"

#: FLUX at a third of its width and depth: 503 million parameters.
CONFIG = {
    "patch_size": 1,
    "in_channels": 64,
    "num_layers": 6,
    "num_single_layers": 17,
    "attention_head_dim": 64,
    "num_attention_heads": 16,
    "joint_attention_dim": 512,
    "pooled_projection_dim": 256,
    "guidance_embeds": True,
    "axes_dims_rope": [8, 28, 28],
}

#: The reference holds the same weights in another layout, with names that say nothing.
HARNESS = """
import json, torch
from diffusers import FluxTransformer2DModel

CONFIG = json.loads({config!r})


class Reference(torch.nn.Module):
    def __init__(self, target):
        super().__init__()
        self.__dict__["target"] = target
        self.parts, left = {{}}, dict(target.state_dict())
        while left:
            key = next(iter(left))
            for first in ("to_q.", "add_q_proj."):
                if first in key:
                    keys = [key.replace(first, first.replace("q", one)) for one in "qkv"]
                    break
            else:
                keys = [key]
            module, _, leaf = key.rpartition(".")
            name = f"w{{abs(hash(module)) % 10**12}}_{{leaf}}"
            self.register_parameter(name, torch.nn.Parameter(torch.cat([left.pop(one) for one in keys])))
            self.parts[name] = keys

    def state_dict(self, *args, **kwargs):
        # Weight and bias of a module share its name.
        return {{name.replace("_", "."): getattr(self, name).data for name in self.parts}}

    def forward(self, **inputs):
        state = {{}}
        for name, keys in self.parts.items():
            state.update(zip(keys, getattr(self, name).chunk(len(keys))))
        return torch.func.functional_call(self.target, state, (), inputs)


def build_reference():
    torch.manual_seed(0)
    return Reference(FluxTransformer2DModel(**CONFIG))


def build_target():
    return FluxTransformer2DModel(**CONFIG)


def make_inputs():
    torch.manual_seed(1)
    return {{
        "hidden_states": torch.randn(1, 24, 64),
        "encoder_hidden_states": torch.randn(1, 7, 512),
        "pooled_projections": torch.randn(1, 256),
        "timestep": torch.tensor([0.7]),
        "guidance": torch.tensor([3.5]),
        "img_ids": torch.cartesian_prod(torch.zeros(1), torch.arange(4.0), torch.arange(6.0)),
        "txt_ids": torch.zeros(7, 3),
    }}


def run_reference(model, inputs):
    return model(**inputs, return_dict=False)[0]


run_target = run_reference
"""

#: A script whose last line of output is the peak of the memory of what it ran.
MEASURED = """
import resource, runpy, sys
sys.argv = sys.argv[1:]
if len(sys.argv) == 2 and sys.argv[1] == "--none":
    import torch, diffusers
    from diffusers import FluxTransformer2DModel
else:
    runpy.run_path(sys.argv[0], run_name="__main__")
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def header_of(path: Path, shapes: dict[str, list[int]], fill: bool) -> int:
    """A .safetensors file of float32 zeros, without the zeros where nothing has to be read; its size in bytes."""
    end, header = 0, {}
    for key, shape in shapes.items():
        size = 4
        for axis in shape:
            size *= axis
        header[key] = {"dtype": "F32", "shape": shape, "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        if fill:
            for _ in range(end // 2**20):
                file.write(os.urandom(1) * 2**20)
        file.truncate(8 + len(text) + end)
    return 8 + len(text) + end


def shapes_of(width: int, double: int, single: int) -> dict[str, list[int]]:
    """The shapes of a checkpoint like FLUX's."""
    shapes: dict[str, list[int]] = {}

    def linear(name: str, rows: int, columns: int) -> None:
        shapes[f"{name}.weight"], shapes[f"{name}.bias"] = [rows, columns], [rows]

    linear("img_in", width, 64)
    linear("txt_in", width, 512)
    for name, columns in (("time_in", 256), ("vector_in", 256), ("guidance_in", 256)):
        linear(f"{name}.in_layer", width, columns)
        linear(f"{name}.out_layer", width, width)
    for i in range(double):
        for stream in ("img", "txt"):
            at = f"double_blocks.{i}.{stream}"
            linear(f"{at}_mod.lin", 6 * width, width)
            linear(f"{at}_attn.qkv", 3 * width, width)
            linear(f"{at}_attn.proj", width, width)
            linear(f"{at}_mlp.0", 4 * width, width)
            linear(f"{at}_mlp.2", width, 4 * width)
            for one in ("query", "key"):
                shapes[f"{at}_attn.norm.{one}_norm.scale"] = [64]
    for i in range(single):
        at = f"single_blocks.{i}"
        linear(f"{at}.modulation.lin", 3 * width, width)
        linear(f"{at}.linear1", 7 * width, width)
        linear(f"{at}.linear2", width, 5 * width)
        for one in ("query", "key"):
            shapes[f"{at}.norm.{one}_norm.scale"] = [64]
    linear("final_layer.adaLN_modulation.1", 2 * width, width)
    linear("final_layer.linear", 64, width)
    return shapes


def measure(command: list[str], environment: dict[str, str], folder: Path) -> tuple[float, str]:
    start = time.perf_counter()
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1) or not done.stdout:
        sys.exit(done.stderr[-3000:])
    return time.perf_counter() - start, done.stdout


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkout", type=Path, default=CACHE)
    parser.add_argument("--python", default=os.environ.get("SCAFFOLD_MODEL_PYTHON", sys.executable))
    parser.add_argument("--threads", default="2")
    args = parser.parse_args()
    environment = {**os.environ, "OMP_NUM_THREADS": args.threads, "PYTHONPATH": str(ROOT / "generator")}
    other = {**environment, "PYTHONPATH": str(args.checkout / "src"), "HF_HUB_OFFLINE": "1"}
    with tempfile.TemporaryDirectory(prefix="bench-map-") as name:
        folder = Path(name)
        (folder / "measured.py").write_text(MEASURED)
        (folder / "harness.py").write_text(HARNESS.format(config=json.dumps(CONFIG)))
        tool = [
            sys.executable,
            "-m",
            "scaffold_model",
            "map",
            "--checkout",
            str(args.checkout),
            "--python",
            args.python,
        ]
        wrapped = [args.python, str(folder / "measured.py")]

        command = [*tool, "--harness", "harness.py", "--out", "by_running.py", "--json"]
        children = (
            f"import resource, subprocess, sys; done = subprocess.run({command!r}, stdout=open('out.json', 'w')); "
        )
        children += "print(done.returncode, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024)"
        seconds, said = measure([sys.executable, "-c", children], environment, folder)
        code, peak = said.split()
        found = json.loads((folder / "out.json").read_text())
        print(
            f"map with a harness, 500 M parameters: {seconds:.1f} s, {int(peak):,} MiB, exit code {code},"
            f" max_diff {found['max_diff']:.1e}, {found['coverage']['mapped']} of {found['coverage']['targets']} mapped"
        )

        config = {
            **CONFIG,
            "attention_head_dim": 64,
            "num_attention_heads": 32,
            "num_layers": 19,
            "num_single_layers": 38,
        }
        (folder / "config.json").write_text(json.dumps(config))
        size = header_of(folder / "large.safetensors", shapes_of(2048, 19, 38), fill=False)
        command = [*tool, "--weights", "large.safetensors", "--against", "FluxTransformer2DModel", "--json"]
        seconds, _ = measure([*command, "--config", "config.json", "--out", "large.py"], environment, folder)
        print(f"map by names and shapes, {size / 1e9:.1f} GB: {seconds:.1f} s")
        (folder / "large.safetensors").unlink()

        config = {**config, "num_attention_heads": 16, "num_layers": 12, "num_single_layers": 36}
        (folder / "config.json").write_text(json.dumps(config))
        size = header_of(folder / "original.safetensors", shapes_of(1024, 12, 36), fill=True)
        command = [*tool, "--weights", "original.safetensors", "--against", "FluxTransformer2DModel", "--json"]
        measure([*command, "--config", "config.json", "--out", "convert.py"], environment, folder)
        _, base = measure([*wrapped, "convert.py", "--none"], other, folder)
        arguments = [
            "--checkpoint_path",
            "original.safetensors",
            "--config_path",
            "config.json",
            "--output_path",
            "out",
        ]
        seconds, said = measure([*wrapped, "convert.py", *arguments], other, folder)
        peak = int(said.split()[-1]) * 2**20
        print(
            f"the script, one file of {size / 1e9:.2f} GB: {seconds:.1f} s, peak {peak / 1e9:.2f} GB, that is"
            f" {peak / size:.2f} of the file (torch and diffusers alone: {int(base.split()[-1]) / 1024:.2f} GiB)"
        )


if __name__ == "__main__":
    main()
