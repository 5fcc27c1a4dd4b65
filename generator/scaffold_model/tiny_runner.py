"""The half of `scaffold-model tiny` that needs torch: run as a script, by the checkout's Python, with one JSON request.

It must not import scaffold_model, which that Python does not have. The request names an action, ``build`` or ``image``,
and its arguments; the result is one JSON object in the file that the request names. It is run from a copy elsewhere: a
script has its own folder first on the path, and here modules such as `code` would hide those of the standard library.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import sys
from pathlib import Path
from typing import Any


def main(request: dict[str, Any]) -> dict[str, Any]:
    """Do what the request asks for."""
    diffusers = importlib.import_module("diffusers")
    source = Path(diffusers.__file__ or "").resolve()
    if Path(request["checkout"]).resolve() not in source.parents:
        raise SystemExit(f"diffusers was imported from {source.parent}, not from the checkout")
    actions = {"build": build, "image": image}
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


def image(diffusers: Any, request: dict[str, Any]) -> dict[str, Any]:
    """Load the tiny pipeline by its repository's name, run it from prompt to picture, and save that.

    Returns:
        Width and height, and how many colours there are (not-a-number latents decode to a single one).
    """
    torch = importlib.import_module("torch")
    arguments = {
        "prompt": request["prompt"],
        "num_inference_steps": request["steps"],
        "height": request["size"],
        "width": request["size"],
        "generator": torch.Generator("cpu").manual_seed(0),
    }
    if request["kind"] == "standard":
        pipeline = diffusers.DiffusionPipeline.from_pretrained(request["repo"])
        pipeline.set_progress_bar_config(disable=True)
        picture = pipeline(**arguments).images[0]
    else:
        pipeline = diffusers.ModularPipeline.from_pretrained(request["repo"])
        pipeline.load_components()
        pipeline.set_progress_bar_config(disable=True)
        picture = pipeline(**arguments, output="images")[0]
    picture.save(request["out"])
    colours = len(picture.convert("RGB").getcolors(picture.width * picture.height))
    return {"width": picture.width, "height": picture.height, "colours": colours}


if __name__ == "__main__":
    asked = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    Path(asked["result"]).write_text(json.dumps(main(asked)), encoding="utf-8")
