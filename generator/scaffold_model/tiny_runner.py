"""The half of `scaffold-model tiny` that needs torch: run as a script, by the checkout's Python, with one JSON request.

It must not import scaffold_model, which that Python does not have. The request names an action, ``build`` or ``generate``,
and its arguments; the result is one JSON object in the file that the request names. It is run from a copy elsewhere: a
script has its own folder first on the path, and here modules such as `code` would hide those of the standard library.
"""

from __future__ import annotations

import gc
import importlib
import importlib.util
import json
import sys
import wave
from pathlib import Path
from typing import Any


def main(request: dict[str, Any]) -> dict[str, Any]:
    """Do what the request asks for."""
    diffusers = importlib.import_module("diffusers")
    source = Path(diffusers.__file__ or "").resolve()
    if Path(request["checkout"]).resolve() not in source.parents:
        raise SystemExit(f"diffusers was imported from {source.parent}, not from the checkout")
    actions = {"build": build, "generate": generate}
    return actions[request["action"]](diffusers, request)


def build(_: Any, request: dict[str, Any]) -> dict[str, Any]:
    """Save the tiny pipeline that the model's own recipe (``.scaffold/<name>/tiny.py``) makes.

    Returns:
        The names of the saved components.
    """
    torch = importlib.import_module("torch")
    out = request["out"]
    torch.manual_seed(0)
    recipe = _recipe(request["recipe"])
    components = recipe.get_components(request["tokenizer"])
    recipe.get_pipeline(components).save_pretrained(out)
    index = Path(out, "modular_model_index.json")
    if index.is_file():
        for name, component in components.items():
            # Modular pipelines of older checkouts save their index only.
            if not Path(out, name).is_dir():
                component.save_pretrained(str(Path(out, name)))
        _point_to_repository(index, request["repo"])
    return {"components": sorted(components)}


def _recipe(path: str) -> Any:
    spec = importlib.util.spec_from_file_location("tiny_recipe", path)
    if spec is None or spec.loader is None:
        raise SystemExit(f"{path} can not be loaded")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _point_to_repository(index: Path, repo: str) -> None:
    """`save_pretrained` writes the local folder, or none, into the index of a modular pipeline; a published one names itself."""
    text = index.read_text(encoding="utf-8")
    config = json.loads(text)
    for name, entry in config.items():
        if (
            not name.startswith("_")
            and isinstance(entry, list)
            and isinstance(entry[-1], dict)
            and (index.parent / name).is_dir()
        ):
            # The first is how older checkouts call it.
            key = "repo" if "repo" in entry[-1] else "pretrained_model_name_or_path"
            entry[-1].update({key: repo, "subfolder": name})
    index.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def generate(diffusers: Any, request: dict[str, Any]) -> dict[str, Any]:
    """Load the tiny pipeline by its repository's name, run it from its inputs to its output, and save that.

    Returns:
        The output in words, and how many values there are in it (not-a-number latents decode to a single one).
    """
    torch = importlib.import_module("torch")
    arguments = {
        **request["arguments"],
        **_given(request["given"], request["side"], request["frames"]),
        "generator": torch.Generator("cpu").manual_seed(0),
    }
    if request["kind"] == "standard":
        pipeline = diffusers.DiffusionPipeline.from_pretrained(request["repo"])
        pipeline.set_progress_bar_config(disable=True)
        output = pipeline(**arguments)[0][0]
    else:
        pipeline = diffusers.ModularPipeline.from_pretrained(request["repo"])
        pipeline.load_components()
        pipeline.set_progress_bar_config(disable=True)
        output = pipeline(**arguments, output=request["output"])[0]
    if request["output"] == "images":
        return _save_frames([output], request["out"])
    if request["output"] == "videos":
        return _save_frames(output, request["out"])
    return _save_audio(output, request["out"], pipeline.sampling_rate)


def _given(names: list[str], side: int, frames: int) -> dict[str, Any]:
    """What a task starts from: a gradient, a mask of its brighter half, and a video of the gradient turning round."""
    if not names:
        return {}
    picture = importlib.import_module("PIL.Image").linear_gradient("L").resize((side, side))
    colour = picture.convert("RGB")
    made = {
        "image": colour,
        "mask_image": picture.point(lambda value: 255 if value > 127 else 0),
        "video": [colour.rotate(90 * frame) for frame in range(frames)],
    }
    return {name: made[name] for name in names}


def _save_frames(frames: list[Any], path: str) -> dict[str, Any]:
    """A picture, or several as a moving one."""
    first = frames[0]
    first.save(path, **({"save_all": True, "append_images": frames[1:]} if len(frames) > 1 else {}))
    colours = max(len(frame.convert("RGB").getcolors(frame.width * frame.height)) for frame in frames)
    what = f"{first.width}x{first.height} pixels, {colours} colours"
    return {"what": what if len(frames) == 1 else f"{len(frames)} frames of {what}", "values": colours}


def _save_audio(audio: Any, path: str, sampling_rate: int) -> dict[str, Any]:
    """A waveform of channels and samples between -1 and 1, as 16-bit integers."""
    channels, samples = audio.shape
    integers = (audio.detach().float().clamp(-1, 1) * 32767).round().short()
    with wave.open(path, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(sampling_rate)
        file.writeframes(integers.T.contiguous().numpy().tobytes())
    values = len(integers.unique())
    return {"what": f"{samples} samples in {channels} channels, {values} values", "values": values}


if __name__ == "__main__":
    # Its life is short, and mostly importing: collecting cycles meanwhile is a fifth of it.
    gc.disable()
    asked = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    Path(asked["result"]).write_text(json.dumps(main(asked)), encoding="utf-8")
