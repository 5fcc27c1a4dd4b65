"""Time and memory of `scaffold-model parity` for a model of 500 M parameters, on two cores.

    python tools/bench_parity.py [--blocks N]

Twice: where both sides agree, and with a mistake planted in the last block. The model is that of the tests, made wide. The
Python with torch is that of SCAFFOLD_MODEL_PYTHON, the diffusers that of the checkout that the tests use.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
HARNESS = """
import sys
sys.path.insert(0, {twins!r})
import torch
torch.set_num_threads(2)
import joint_twin as twin
twin.HEADS, twin.HEAD, twin.AXES = 12, 128, (16, 56, 56)
twin.DIM = twin.HEADS * twin.HEAD
DOUBLES, SINGLES = {doubles}, {singles}

def build_reference():
    model = twin.Twin()
    model.doubles = torch.nn.ModuleList(twin.Double() for _ in range(DOUBLES))
    model.singles = torch.nn.ModuleList(twin.Single() for _ in range(SINGLES))
    return twin.randomize(model, twin.SCALED)

def build_target():
    from diffusers import FluxTransformer2DModel
    model = FluxTransformer2DModel(
        patch_size=1, in_channels=twin.CHANNELS, num_layers=DOUBLES, num_single_layers=SINGLES, attention_head_dim=twin.HEAD,
        num_attention_heads=twin.HEADS, joint_attention_dim=twin.TEXT, pooled_projection_dim=twin.POOLED,
        guidance_embeds=True, axes_dims_rope=twin.AXES,
    )
    if {planted}:
        model.single_transformer_blocks[-1].norm.norm.eps = 1.0
    print(f"{{sum(each.numel() for each in model.parameters()) / 1e6:.0f}} M parameters", file=sys.stderr)
    return model

def make_inputs():
    inputs = twin.make_inputs()
    generator = torch.Generator().manual_seed(2)
    places = torch.cartesian_prod(torch.tensor([0.0]), torch.arange(16.0), torch.arange(16.0))
    return {{**inputs, "x": torch.randn(2, 256, twin.CHANNELS, generator=generator), "x_places": places}}

run_reference, run_target = twin.run_reference, twin.run_target
def convert(state):
    return twin.convert(state)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--doubles", type=int, default=3)
    parser.add_argument("--singles", type=int, default=7)
    parser.add_argument(
        "--checkout", default=os.environ.get("DIFFUSERS_CHECKOUT", Path.home() / ".cache/scaffold-model/diffusers")
    )
    options = parser.parse_args()
    python = os.environ.get("SCAFFOLD_MODEL_PYTHON", str(ROOT / ".venv-diffusers/bin/python"))
    for planted in (False, True):
        with tempfile.TemporaryDirectory() as folder:
            harness = Path(folder, "harness.py")
            twins = str(ROOT / "tests/running/planted")
            harness.write_text(
                HARNESS.format(twins=twins, doubles=options.doubles, singles=options.singles, planted=planted),
                encoding="utf-8",
            )
            command = [
                sys.executable,
                "-m",
                "scaffold_model",
                "parity",
                "--harness",
                str(harness),
                "--python",
                python,
                "--checkout",
                str(options.checkout),
                "--json",
            ]
            begin, before = time.monotonic(), _cpu()
            environment = {**os.environ, "PYTHONPATH": str(ROOT / "generator"), "OMP_NUM_THREADS": "2"}
            done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
            seconds, cpu = time.monotonic() - begin, _cpu() - before
        if done.returncode not in (0, 1):
            sys.exit(done.stderr)
        result = json.loads(done.stdout)
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
        found = result["first_divergence"]
        words = (
            f"{found['target_module']}: {', '.join(cause['tag'] for cause in found['causes'])}" if found else "agrees"
        )
        difference = "not finite" if result["max_diff"] is None else f"{result['max_diff']:.1e}"
        print(
            f"{'planted' if planted else 'correct'}: {seconds:.0f} s ({cpu:.0f} s of CPU), {peak:.1f} GiB at most, max_diff {difference}, {words}",
            flush=True,
        )


def _cpu() -> float:
    """The CPU seconds of all processes that have ended: on a busy machine they tell more than the clock."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()
