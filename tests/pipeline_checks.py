"""Checks of generated pipelines, for `generated_checks.py`: every task in every format, through the public API.

Both formats are built from the components of the tiny repository of a `--both` scaffold.
"""

from __future__ import annotations

import copy
import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import diffusers
import torch
from PIL import Image

SAME = 1e-5
DIFFERENT = 1e-3

HEIGHT, WIDTH = 32, 48
FRAMES = 9
PROMPTS = ["a cat in a hat", "a red car"]

#: Infix of the standard class by task.
CLASSES = {
    "t2i": "",
    "i2i": "Img2Img",
    "inpaint": "Inpaint",
    "t2v": "",
    "i2v": "ImageToVideo",
    "v2v": "VideoToVideo",
    "t2a": "",
}
#: What the outputs are called, in a standard and in a modular pipeline.
OUTPUTS = {"image": ("images", "images"), "video": ("frames", "videos"), "audio": ("audios", "audios")}
COMPONENTS = ("transformer", "vae", "text_encoder", "tokenizer", "scheduler")


@dataclass(frozen=True)
class Drawing:
    """One pipeline of one task, ready to generate.

    Attributes:
        format: ``standard`` or ``modular``.
        task: The task.
        pipeline: The pipeline.
        modality: The modality of the model.
        guidance: ``cfg`` or ``embedded``.
    """

    format: str
    task: str
    pipeline: Any
    modality: str
    guidance: str

    def __str__(self) -> str:
        return f"{self.format} {self.task}"

    def inputs(self) -> dict[str, Any]:
        """The inputs that the task takes beside seed and guidance."""
        inputs: dict[str, Any] = {
            "prompt": PROMPTS if self.task.startswith("t2") else PROMPTS[0],
            "num_inference_steps": 3,
            "max_sequence_length": 16,
        }
        if self.modality == "audio":
            return {**inputs, "duration": self.seconds()}
        inputs |= {"height": HEIGHT, "width": WIDTH}
        if self.task in ("i2i", "inpaint", "v2v"):
            # Two of three steps are left: with 0.7 all three would be.
            inputs["strength"] = 0.6
        if self.task in ("i2i", "inpaint", "i2v"):
            inputs["image"] = picture(0)
        if self.task == "inpaint":
            inputs["mask_image"] = half_mask()
        if self.task == "v2v":
            inputs["video"] = [picture(shade) for shade in range(FRAMES)]
        elif self.modality == "video":
            inputs["num_frames"] = FRAMES
        return inputs

    def several(self, count: int) -> dict[str, int]:
        """The argument that asks for several outputs per prompt, which the formats may call differently."""
        if self.format == "standard":
            names = list(inspect.signature(self.pipeline.__call__).parameters)
        else:
            names = [parameter.name for parameter in self.pipeline.blocks.inputs]
        return {next(name for name in names if re.fullmatch(r"num_\w+_per_prompt", name)): count}

    def seconds(self) -> float:
        """A duration of 37 samples or a little more: no multiple of anything."""
        return 37 / self.pipeline.vae.config.sampling_rate

    def size(self) -> int:
        """How many images, videos or waveforms come out."""
        prompts = self.inputs()["prompt"]
        return len(prompts) if isinstance(prompts, list) else 1

    def shape(self) -> tuple[int, ...]:
        """The shape of one output."""
        if self.modality == "audio":
            return (self.pipeline.vae.config.audio_channels, 37)
        return (3, HEIGHT, WIDTH) if self.modality == "image" else (FRAMES, 3, HEIGHT, WIDTH)

    def draw(self, seed: int = 0, guidance_scale: float = 5.0, latents: bool = False, **changes: Any) -> torch.Tensor:
        """Generate, as a tensor: the output, or the latents before they are decoded."""
        arguments = {**self.inputs(), "generator": torch.Generator().manual_seed(seed), **changes}
        standard, modular = OUTPUTS[self.modality]
        if self.format == "standard":
            arguments |= {"guidance_scale": guidance_scale, "output_type": "latent" if latents else "pt"}
            return getattr(self.pipeline(**arguments), standard)
        if self.guidance == "cfg":
            self.pipeline.update_components(guider=diffusers.ClassifierFreeGuidance(guidance_scale=guidance_scale))
        else:
            arguments["guidance_scale"] = guidance_scale
        return self.pipeline(**arguments, output_type="pt", output="latents" if latents else modular)


def picture(shade: int) -> Image.Image:
    """A picture with edges in both directions; every shade is another one."""
    pixels = [
        ((x * 5 + shade * 20) % 256, (y * 8) % 256, 255 if (x // 8 + y // 8 + shade) % 2 else 0)
        for y in range(HEIGHT)
        for x in range(WIDTH)
    ]
    image = Image.new("RGB", (WIDTH, HEIGHT))
    image.putdata(pixels)
    return image


def half_mask() -> Image.Image:
    """White, where an inpainting pipeline paints, on the right half."""
    mask = Image.new("L", (WIDTH, HEIGHT), 0)
    mask.paste(255, (WIDTH // 2, 0, WIDTH, HEIGHT))
    return mask


def difference(a: torch.Tensor, b: torch.Tensor) -> float:
    """The largest difference of two tensors of one shape."""
    assert a.shape == b.shape, (a.shape, b.shape)
    return (a - b).abs().max().item()


def load_modular(model: Any) -> Any:
    """The modular pipeline of the tiny repository."""
    modular = diffusers.ModularPipeline.from_pretrained(model.tiny_repo)
    modular.load_components()
    assert type(modular) is model.cls("ModularPipeline")
    modular.set_progress_bar_config(disable=True)
    return modular


def drawings(model: Any) -> Iterator[tuple[Drawing, Drawing]]:
    """The standard and the modular pipeline of every task, with the same weights."""
    modular = load_modular(model)
    components = {name: modular.components[name] for name in COMPONENTS}
    for task in model.task:
        # Both share what is only read; a scheduler remembers where it is, and a transformer may get adapters.
        own = {**components, **{name: copy.deepcopy(components[name]) for name in ("scheduler", "transformer")}}
        standard = model.cls(f"{CLASSES[task]}Pipeline")(**own)
        standard.set_progress_bar_config(disable=True)
        yield (
            Drawing("standard", task, standard, model.modality, model.guidance),
            Drawing("modular", task, modular, model.modality, model.guidance),
        )


def _changes(drawing: Drawing) -> list[dict[str, Any]]:
    """Changes of one input each, all of which must change the output."""
    found: list[dict[str, Any]] = [
        {"seed": 1},
        {"guidance_scale": 2.0},
        {"prompt": ["a green tree", "two dogs"] if drawing.size() == 2 else "a green tree"},
        {"num_inference_steps": 5},
    ]
    if drawing.guidance == "cfg":
        found += [{"guidance_scale": 1.0}, {"negative_prompt": "blurry"}]
    inputs = drawing.inputs()
    if "image" in inputs:
        found.append({"image": picture(7)})
    if "strength" in inputs:
        found.append({"strength": 1.0})
    if "mask_image" in inputs:
        found.append({"mask_image": half_mask().transpose(Image.Transpose.FLIP_LEFT_RIGHT)})
    if "video" in inputs:
        found.append({"video": [picture(shade + 7) for shade in range(FRAMES)]})
    return found


def check_standard_equals_modular(model: Any) -> None:
    """The same seed and inputs give the same latents, and the same output, in both formats."""
    for standard, modular in drawings(model):
        cases: list[dict[str, Any]] = [{}, *_changes(standard)]
        # Not every scheduler takes sigmas.
        if "sigmas" in inspect.signature(standard.pipeline.scheduler.set_timesteps).parameters:
            cases.append({"sigmas": [1.0, 0.5, 0.2]})
        for changes in cases:
            a, b = standard.draw(latents=True, **changes), modular.draw(latents=True, **changes)
            assert difference(a, b) < SAME, f"{standard.task} {sorted(changes)}: latents differ by {difference(a, b)}"
        a, b = (one.draw(latents=True, **one.several(2)) for one in (standard, modular))
        assert difference(a, b) < SAME, f"{standard.task}: several outputs differ by {difference(a, b)}"
        a, b = standard.draw(), modular.draw()
        assert difference(a, b) < SAME, f"{standard.task}: outputs differ by {difference(a, b)}"


def check_inputs_matter(model: Any) -> None:
    """Every input changes the output, which is finite, of the asked size, and the same for the same seed."""
    for pair in drawings(model):
        for drawing in pair:
            base = drawing.draw()
            assert tuple(base.shape) == (drawing.size(), *drawing.shape()), f"{drawing}: {tuple(base.shape)}"
            assert torch.isfinite(base).all(), str(drawing)
            if model.modality != "audio":
                assert (base.min() >= 0, base.max() <= 1) == (True, True), str(drawing)
                assert base.std() > 0.01, f"{drawing}: flat output"
            assert difference(base, drawing.draw()) == 0, f"{drawing}: the same seed gives another output"
            latents = drawing.draw(latents=True)
            for changes in _changes(drawing):
                # Of a tiny decoder little is left of a small change: what counts is what the model made.
                changed = difference(latents, drawing.draw(latents=True, **changes))
                assert changed > DIFFERENT, f"{drawing}: {sorted(changes)} changes the latents by {changed}"
            if drawing.size() == 2:
                prompts = [PROMPTS[0], "two dogs"]
                other = drawing.draw(latents=True, prompt=prompts)
                assert difference(latents[:1], other[:1]) < SAME, (
                    f"{drawing}: the second prompt changes the first output"
                )
                several, changed = (
                    drawing.draw(latents=True, **drawing.several(2), prompt=each) for each in (PROMPTS, prompts)
                )
                assert several.shape[0] == 4
                assert difference(several[:2], changed[:2]) < SAME, f"{drawing}: outputs are not grouped by prompt"
                assert min(difference(several[i], changed[i]) for i in (2, 3)) > DIFFERENT, str(drawing)
                assert difference(several[0], several[1]) > DIFFERENT, (
                    f"{drawing}: two outputs of a prompt are the same"
                )


def check_saving(model: Any) -> None:
    """Pipelines that were saved and loaded give the same output."""
    for standard, modular in drawings(model):
        folder = Path(model.folder) / standard.task
        standard.pipeline.save_pretrained(folder)
        loaded = diffusers.DiffusionPipeline.from_pretrained(folder)
        assert type(loaded) is type(standard.pipeline)
        loaded.set_progress_bar_config(disable=True)
        again = Drawing("standard", standard.task, loaded, model.modality, model.guidance)
        assert difference(standard.draw(), again.draw()) < SAME, f"{standard}: saving changes the output"

        folder = Path(model.folder) / f"modular-{standard.task}"
        modular.pipeline.save_pretrained(str(folder))
        loaded = diffusers.ModularPipeline.from_pretrained(str(folder))
        loaded.load_components()
        loaded.set_progress_bar_config(disable=True)
        again = Drawing("modular", standard.task, loaded, model.modality, model.guidance)
        assert difference(modular.draw(), again.draw()) < SAME, f"{modular}: saving changes the output"
