"""Checks of what generated code computes, run by the Python with torch: ``generated_checks.py REQUEST RESULT``.

The request is a JSON object: the root of a scaffolded checkout, the answers of the model, and the names of the checks
to run. The result lists the checks that ran; the first one that fails ends the run. diffusers must come from that checkout.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
import re
import runpy
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import diffusers
import pipeline_checks
import torch
from pipeline_checks import DIFFERENT, SAME, difference
from safetensors.torch import save_file


@dataclass(frozen=True)
class Model:
    """A scaffolded model: where it is, what it is called, and a folder for what the checks write."""

    root: Path
    name: str
    class_prefix: str
    modality: str
    attention: str
    guidance: str
    vae: str
    task: list[str]
    pipeline: str
    tiny_repo: str
    folder: Path

    def cls(self, suffix: str) -> Any:
        return getattr(diffusers, self.class_prefix + suffix)

    @property
    def transformer_class(self) -> Any:
        dim = {"image": "2D", "video": "3D", "audio": "1D"}[self.modality]
        return self.cls(f"Transformer{dim}Model")

    @property
    def script(self) -> Path:
        return self.root / "scripts" / f"convert_{self.name}_to_diffusers.py"

    @property
    def parity(self) -> Path:
        return self.root / ".scaffold" / self.name / "parity.py"

    def tiny_transformer(self) -> Any:
        return self.transformer_class.from_pretrained(self.tiny_repo, subfolder="transformer")


def load_module(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run_script(path: Path, *arguments: str) -> tuple[int, str]:
    """Run a script as Python does, in this process: its exit code, and what it printed to standard error.

    Starting another process for each run would take longer than all else here together. An exit code is what the script
    asked for: where it breaks, the exception comes through.
    """
    argv, search_path = sys.argv, list(sys.path)
    errors = io.StringIO()
    sys.argv = [str(path), *arguments]
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(errors):
            runpy.run_path(str(path), run_name="__main__")
        code = 0
    except SystemExit as stop:
        code = int(stop.code or 0)
    finally:
        sys.argv, sys.path[:] = argv, search_path
    return code, errors.getvalue()


def failure_of(path: Path, *arguments: str) -> Exception:
    """The error of a script that must refuse its arguments."""
    try:
        code, _ = run_script(path, *arguments)
    except (OSError, RuntimeError, ValueError) as error:
        return error
    raise AssertionError(f"{path.name} {arguments} ended with exit code {code}")


# Conversion


def original_key(pattern: str, groups: tuple[str, ...]) -> str:
    """The name that a pattern of the rename table matches: ``blocks\\.(\\d+)`` and ``("3",)`` give ``blocks.3``."""
    parts = iter(groups)
    return re.sub(r"\(\\[dw]\+\)", lambda _: next(parts), pattern).replace(r"\.", ".")


def invert(table: dict[str, Any], weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The original checkpoint that the rename table of a conversion script turns into ``weights``."""
    joins: dict[str, Callable[[list[torch.Tensor]], torch.Tensor]] = {
        "split_qkv": torch.cat,
        "swap_shift_scale": lambda parts: torch.cat(parts[0].chunk(2)[::-1]),
    }
    original, left = {}, dict(weights)
    for pattern, target in table.items():
        join, keys = (lambda parts: parts[0], [target]) if isinstance(target, str) else target
        if not isinstance(target, str):
            join = joins[join.__name__]
        first = re.sub(r"\\\{\d\\\}", r"(\\w+)", re.escape(keys[0]))
        for match in filter(None, (re.fullmatch(first, key) for key in weights)):
            name = original_key(pattern, match.groups())
            assert re.fullmatch(pattern, name), f"{pattern} does not match {name}"
            assert name not in original, f"two patterns name {name}"
            original[name] = join([left.pop(key.format(*match.groups())) for key in keys])
    assert not left, f"the table names no original key for {sorted(left)}"
    return original


def synthetic_checkpoint(model: Model) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor], Path]:
    """Random weights of the tiny transformer, the same as an original checkpoint, and the file of its configuration."""
    transformer = model.tiny_transformer()
    generator = torch.Generator().manual_seed(1)
    weights = {key: torch.randn(tensor.shape, generator=generator) for key, tensor in transformer.state_dict().items()}
    config = model.folder / "config.json"
    config.write_text(json.dumps({key: value for key, value in transformer.config.items() if key[0] != "_"}))
    return weights, invert(load_module(model.script).TRANSFORMER_KEYS, weights), config


def save_shards(weights: dict[str, torch.Tensor], folder: Path) -> Path:
    shard_of = {key: f"model-{number % 2}.safetensors" for number, key in enumerate(weights)}
    for shard in set(shard_of.values()):
        save_file({key: weights[key] for key in weights if shard_of[key] == shard}, folder / shard)
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": shard_of}))
    return index


def check_conversion(model: Model) -> None:
    """Every kind of file comes out as a folder that loads, with every tensor equal."""
    weights, original, config = synthetic_checkpoint(model)
    save_file(original, model.folder / "model.safetensors")
    torch.save({"ema": original, "step": 3}, model.folder / "model.pt")
    index = save_shards(original, model.folder)
    inputs = {
        "single": [str(model.folder / "model.safetensors")],
        "sharded": [str(index)],
        "pickled": [str(model.folder / "model.pt"), "--state_dict_key", "ema"],
    }
    for kind, (path, *more) in inputs.items():
        out = model.folder / kind
        arguments = ["--checkpoint_path", path, "--config_path", str(config), "--output_path", str(out), *more]
        if kind == "single":
            done = subprocess.run(
                [sys.executable, str(model.script), *arguments], capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, done.stderr
            assert f"Converted {len(weights)} tensors" in done.stdout
        else:
            code, errors = run_script(model.script, *arguments)
            assert code == 0, errors
        saved = model.transformer_class.from_pretrained(out).state_dict()
        assert saved.keys() == weights.keys()
        assert all(torch.equal(saved[key], weights[key]) for key in weights), kind


def check_converted_pipeline(model: Model) -> None:
    """With the other components at hand, the script saves the model's first pipeline, which loads with all weights equal."""
    weights, original, config = synthetic_checkpoint(model)
    save_file(original, model.folder / "model.safetensors")
    out = model.folder / "pipeline"
    code, errors = run_script(
        *(model.script, "--checkpoint_path", str(model.folder / "model.safetensors"), "--config_path", str(config)),
        *("--components_path", model.tiny_repo, "--output_path", str(out)),
    )
    assert code == 0, errors
    if (out / "model_index.json").is_file():
        loaded = diffusers.DiffusionPipeline.from_pretrained(out)
    else:
        loaded = diffusers.ModularPipeline.from_pretrained(out)
        loaded.load_components()
    assert type(loaded).__name__ == model.pipeline, type(loaded)
    vae = type(loaded.vae).from_pretrained(model.tiny_repo, subfolder="vae").state_dict()
    for component, wanted in {"transformer": weights, "vae": vae}.items():
        saved = getattr(loaded, component).state_dict()
        assert saved.keys() == wanted.keys()
        assert all(torch.equal(saved[key], wanted[key]) for key in wanted), component


def check_converted_autoencoder(model: Model) -> None:
    """A new autoencoder is converted by the same script; here its original has the names of diffusers."""
    vae = getattr(diffusers, model.vae).from_pretrained(model.tiny_repo, subfolder="vae")
    weights = {key: torch.randn(tensor.shape) for key, tensor in vae.state_dict().items()}
    config, checkpoint, out = (model.folder / name for name in ("config.json", "vae.safetensors", "vae"))
    config.write_text(json.dumps({key: value for key, value in vae.config.items() if key[0] != "_"}))
    save_file(weights, checkpoint)
    code, errors = run_script(
        *(model.script, "--component", "vae", "--checkpoint_path", str(checkpoint), "--config_path", str(config)),
        *("--output_path", str(out)),
    )
    assert code == 0, errors
    saved = type(vae).from_pretrained(out).state_dict()
    assert saved.keys() == weights.keys()
    assert all(torch.equal(saved[key], weights[key]) for key in weights)


def check_conversion_errors(model: Model) -> None:
    """What can not be converted ends with one error that names the key or the file, and nothing is written."""
    _, original, config = synthetic_checkpoint(model)
    first = next(iter(original))
    save_file({**original, "extra.weight": torch.zeros(1)}, model.folder / "unknown.safetensors")
    save_file({key: original[key] for key in original if key != "y_embedder.bias"}, model.folder / "lacks.safetensors")
    save_file({**original, first: original[first][:1].clone()}, model.folder / "shape.safetensors")
    (model.folder / "notes.txt").write_text("no checkpoint")
    (model.folder / "page.safetensors").write_text("<html>no checkpoint either</html>")
    (model.folder / "page.pt").write_text("<html>no checkpoint either</html>")
    torch.save({"ema": original, "step": 3}, model.folder / "nested.pt")
    torch.save([1, 2], model.folder / "list.pt")
    torch.save(original[first], model.folder / "tensor.pt")
    (model.folder / "other.safetensors.index.json").write_text('{"weight_map": {"a": "gone.safetensors"}}')
    (model.folder / "list.safetensors.index.json").write_text("[]")
    cases = {
        "unknown.safetensors": (["extra.weight"], []),
        "lacks.safetensors": (["context_embedder.bias"], []),
        "shape.safetensors": (["size mismatch", "patch_embed"], []),
        "notes.txt": (["notes.txt"], []),
        "absent.safetensors": (["absent.safetensors"], []),
        "page.safetensors": (["page.safetensors"], []),
        "page.pt": (["page.pt"], []),
        "nested.pt": (["nested.pt", "--state_dict_key"], []),
        "model.pt": (["nested.pt", "'model'", "ema"], ["--state_dict_key", "model"]),
        "list.pt": (["list.pt holds a list"], []),
        "tensor.pt": (["tensor.pt holds a Tensor"], []),
        "other.safetensors.index.json": (["gone.safetensors"], []),
        "list.safetensors.index.json": (["list.safetensors.index.json"], []),
    }
    out = model.folder / "refused"
    for name, (wanted, more) in cases.items():
        path = model.folder / ("nested.pt" if more else name)
        arguments = ["--checkpoint_path", str(path), "--config_path", str(config), "--output_path", str(out), *more]
        error = failure_of(model.script, *arguments)
        # A chained error would show a second traceback.
        shown = "".join(traceback.format_exception(error))
        assert shown.count("Traceback (most recent call last)") == 1, f"{name}:\n{shown}"
        assert all(word in str(error) for word in wanted), f"{name}: {error}"
        assert not out.exists(), f"{name} left {sorted(path.name for path in out.iterdir())}"


# Parity


def check_parity(model: Model) -> None:
    """The harness says no as generated, passes against a plain DiT, and notices a bug in it."""
    generated = model.parity.read_text()
    code, errors = run_script(model.parity)
    assert (code, errors.count("\n")) == (2, 1), errors
    assert "set REFERENCE to the folder" in errors
    # The edits that a contributor makes: where the reference is, and how it is built.
    todo = f"    # TODO({model.name}): import the transformer of the reference"
    before, after = generated[: generated.index(todo)], generated[generated.index("\n\n\ndef build_target") :]
    assert before.count('REFERENCE = ""') == 1
    before = before.replace('REFERENCE = ""', f"REFERENCE = {str(Path(__file__).resolve().parent)!r}")
    bugs = ["rotation", *(["guidance"] if model.guidance == "embedded" else [])]
    twin = (model.modality, model.attention, model.guidance)
    try:
        for planted_bug, expected in {"": 0, **dict.fromkeys(bugs, 1)}.items():
            model.parity.write_text(
                f"{before}    from plain_dit import PlainDiT\n\n"
                f"    model = PlainDiT(*{twin}, CONFIG, planted_bug={planted_bug!r})\n"
                f"    randomize_weights(model)\n    return model{after}"
            )
            code, errors = run_script(model.parity)
            assert code == expected, f"planted bug: {planted_bug!r}, exit code {code}\n{errors}"
    finally:
        model.parity.write_text(generated)


def check_autoencoder_parity(model: Model) -> None:
    """The harness compares a new autoencoder too: it says no as generated, passes, and notices a bug."""
    generated = model.parity.read_text()
    code, errors = run_script(model.parity, "vae")
    assert (code, errors.count("\n")) == (2, 1), errors
    code, errors = run_script(model.parity, "vea")
    assert (code, errors.count("\n")) == (2, 1), errors
    assert "transformer, vae" in errors
    # The generated autoencoder in the place of its reference: what is tested is the harness.
    todo = f"    # TODO({model.name}): import the autoencoder of the reference"
    before, after = generated[: generated.index(todo)], generated[generated.index("\n\n\ndef build_target_vae") :]
    before = before.replace('REFERENCE = ""', f"REFERENCE = {str(Path(__file__).resolve().parent)!r}")
    call = '    latents = model.encode(inputs["sample"])\n    return latents, model.decode(latents)\n'
    assert after.count(call) == 1
    try:
        for bug, expected in {"": 0, ".flip(-1)": 1}.items():
            run = f"    latents, sample = run_target_vae(model, inputs)\n    return latents, sample{bug}\n"
            build = "    model = build_target_vae()\n    randomize_weights(model)\n    return model"
            model.parity.write_text(f"{before}{build}{after.replace(call, run)}")
            code, errors = run_script(model.parity, "vae")
            assert code == expected, f"planted bug: {bug!r}, exit code {code}\n{errors}"
    finally:
        model.parity.write_text(generated)


# LoRA and single files


def check_lora(model: Model) -> None:
    """An adapter that was saved and loaded does what it did before, and its scale is obeyed."""
    from peft import LoraConfig, get_peft_model_state_dict

    for drawing in next(pipeline_checks.drawings(model)):
        kind, pipeline, draw = drawing.format, drawing.pipeline, drawing.draw
        base = draw()
        targets = ["to_q", "to_k", "to_v", "to_out.0"]
        torch.manual_seed(0)
        # Other than by default, the second matrix of the adapter is not zero.
        config = LoraConfig(r=4, lora_alpha=4, target_modules=targets, init_lora_weights=False)
        pipeline.transformer.add_adapter(config)
        adapted = draw()
        assert difference(base, adapted) > DIFFERENT, f"{kind}: the adapter changes nothing"
        folder = model.folder / f"lora-{kind}"
        layers = get_peft_model_state_dict(pipeline.transformer)
        pipeline.save_lora_weights(folder, transformer_lora_layers=layers)
        pipeline.unload_lora_weights()
        assert difference(base, draw()) < SAME, f"{kind}: unloading leaves something behind"
        pipeline.load_lora_weights(folder)
        assert difference(adapted, draw()) < SAME, f"{kind}: the loaded adapter is another"
        half = draw(attention_kwargs={"scale": 0.5})
        assert min(difference(half, adapted), difference(half, base)) > DIFFERENT, f"{kind}: the scale is ignored"
        off = draw(attention_kwargs={"scale": 0.0})
        assert difference(base, off) < SAME, f"{kind}: a scale of 0 is not the base"
        assert difference(adapted, draw()) < SAME, f"{kind}: the scale of one call stays"


# Scheduler


def check_single_file(model: Model) -> None:
    """`from_single_file` converts as the script does, and leaves what is not the transformer's to other components."""
    from diffusers.loaders import single_file_utils

    _, original, _ = synthetic_checkpoint(model)
    expected = load_module(model.script).convert_transformer_state_dict(dict(original))
    convert = getattr(single_file_utils, f"convert_{model.name}_transformer_checkpoint_to_diffusers")
    for prefix in ("", "model.diffusion_model."):
        checkpoint = {f"{prefix}{key}": tensor for key, tensor in original.items()}
        assert single_file_utils.infer_diffusers_model_type(checkpoint) == model.name
        checkpoint["vae.encoder.conv_in.weight"] = torch.zeros(1)
        converted = convert(checkpoint)
        assert converted.keys() == expected.keys()
        assert all(torch.equal(converted[key], expected[key]) for key in expected)
        assert checkpoint.keys() == {"vae.encoder.conv_in.weight"}


def check_scheduler(model: Model) -> None:
    """The new scheduler, as generated, is the plain Euler rule: that of FlowMatchEulerDiscreteScheduler."""
    generator = torch.Generator().manual_seed(0)
    for shift in (1.0, 3.0):
        for steps in (1, 2, 28):
            ours = model.cls("Scheduler")(shift=shift)
            euler = diffusers.FlowMatchEulerDiscreteScheduler(shift=shift)
            ours.set_timesteps(steps)
            # Without `sigmas`, the Euler scheduler ends at the smallest sigma of the training.
            euler.set_timesteps(sigmas=torch.linspace(1.0, 1 / steps, steps).tolist())
            torch.testing.assert_close(ours.timesteps, euler.timesteps)
            torch.testing.assert_close(ours.sigmas, euler.sigmas)
            sample = expected = torch.randn(2, 4, 6, 8, generator=generator)
            for t, euler_t in zip(ours.timesteps, euler.timesteps, strict=True):
                velocity = torch.randn(2, 4, 6, 8, generator=generator)
                sample = ours.step(velocity, t, sample).prev_sample
                expected = euler.step(velocity, euler_t, expected).prev_sample
                torch.testing.assert_close(sample, expected)
        training, euler = model.cls("Scheduler")(shift=shift), diffusers.FlowMatchEulerDiscreteScheduler(shift=shift)
        torch.testing.assert_close(training.timesteps, euler.timesteps)
        image, noise = torch.randn(2, 1, 4, 6, 8, generator=generator)
        t, euler_t = training.timesteps[[300]], euler.timesteps[[300]]
        noisy = training.scale_noise(image, t, noise)
        torch.testing.assert_close(noisy, euler.scale_noise(image, euler_t, noise))
        # The velocity is noise - image: one step along it, all the way to sigma 0, gives the image back.
        assert difference(noisy - training.sigmas[300] * (noise - image), image) < SAME


CHECKS: dict[str, Callable[[Model], None]] = {
    "conversion": check_conversion,
    "converted pipeline": check_converted_pipeline,
    "converted autoencoder": check_converted_autoencoder,
    "conversion errors": check_conversion_errors,
    "parity": check_parity,
    "autoencoder parity": check_autoencoder_parity,
    "standard equals modular": pipeline_checks.check_standard_equals_modular,
    "inputs matter": pipeline_checks.check_inputs_matter,
    "saving": pipeline_checks.check_saving,
    "lora": check_lora,
    "single file": check_single_file,
    "scheduler": check_scheduler,
}


def run_checks(request: dict[str, Any]) -> list[str]:
    root = Path(request["root"]).resolve()
    assert root in Path(diffusers.__file__).resolve().parents, f"diffusers comes from {diffusers.__file__}"
    torch.set_num_threads(1)
    ran = []
    for name in request["checks"]:
        with tempfile.TemporaryDirectory(prefix="generated-") as folder:
            CHECKS[name](Model(root=root, folder=Path(folder), **request["model"]))
        ran.append(name)
    return ran


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(json.dumps(run_checks(json.loads(Path(sys.argv[1]).read_text()))))
