"""What the template has to know of an autoencoder class: read from its source in the checkout, by shape and never by name.

`traits` gives the stored answers, or refuses a class that needs more than the generated code does, with the reason.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from typing import Any

from .code.evaluation import NotConstant, evaluate
from .component import Component, Unfit, arguments, classes, find, refused
from .errors import BadInput
from .questions import VAES, default_traits
from .snapshot import Snapshot
from .tiny_configs import tiny_config

FOLDER = "src/diffusers/models/autoencoders"
_EXPORTS = "src/diffusers/models/__init__.py"
_PIPELINES = ("src/diffusers/pipelines", "src/diffusers/modular_pipelines")

#: Arguments and attributes that hold the compression, the most direct first; ``{}`` is where the value stands.
_SPATIAL = (
    ("scale_factor_spatial", "{}"),
    ("spatial_compression_ratio", "{}"),
    ("block_out_channels", "2 ** (len({}) - 1)"),
    ("encoder_block_out_channels", "2 ** (len({}) - 1)"),
    ("down_block_out_channels", "2 ** (len({}) - 1)"),
    ("ch_mult", "2 ** (len({}) - 1)"),
)
_TEMPORAL = (
    ("scale_factor_temporal", "{}"),
    ("temporal_compression_ratio", "{}"),
    ("temporal_compress_times", "{}"),
    ("temperal_downsample", "2 ** sum({})"),
)
_HOP = (("hop_length", "{}"), ("downsampling_ratio", "{}"))

#: Arguments that hold the number of latent channels.
_CHANNELS = ("latent_channels", "z_channels", "z_dim", "decoder_input_channels", "latent_dim")

#: The audio that the tests make: stereo, and so few samples in a second that whole seconds are tiny.
TINY_AUDIO = {"audio_channels": 2, "sampling_rate": 16}

Answers = dict[str, str | int]


def traits(snapshot: Snapshot, name: str, modality: str) -> Answers:
    """The stored answers about an autoencoder of the checkout, or about the one that the template writes.

    Raises:
        BadInput: The class is unknown, of another kind, or needs what the generated code does not do.
    """
    if name == "new":
        _check_blocks(snapshot)
        return default_traits(name, modality)
    found = find_autoencoder(snapshot, name)
    if kind(found) != modality:
        raise BadInput(
            f"--vae {name} is an autoencoder for {kind(found)}, and --modality is {modality}",
            path=found.path,
            hint=f"name one for {modality}, such as {VAES[modality]}",
        )
    try:
        return _traits(snapshot, found)
    except Unfit as reason:
        raise refused("vae", found, reason) from None


def _check_blocks(snapshot: Snapshot) -> None:
    """A new autoencoder inherits slicing and tiling from a mixin that older checkouts do not have."""
    path = f"{FOLDER}/vae.py"
    if not re.search(r"^class AutoencoderMixin\b", snapshot.read(path) or "", re.MULTILINE):
        raise BadInput(
            "--vae new: this checkout has no AutoencoderMixin (it came in October 2025)",
            path=path,
            hint="name an existing class, or update the checkout",
        )


def autoencoders(snapshot: Snapshot) -> dict[str, str]:
    """The models of the checkout that encode and decode, with their modules."""
    return classes(snapshot, FOLDER, "ModelMixin", ("encode", "decode"))


def find_autoencoder(snapshot: Snapshot, name: str) -> Component:
    """The autoencoder of that name.

    Raises:
        BadInput: No class of that name encodes and decodes, or the package does not export it.
    """
    return find(snapshot, "vae", "autoencoder", name, autoencoders(snapshot), _EXPORTS)


def kind(found: Component) -> str:
    """``image``, ``video`` or ``audio``: what a class encodes, by its sampling rate and by its convolutions."""
    if {"sampling_rate", "sample_rate"} & set(found.arguments):
        return "audio"
    return "video" if 3 in _convolutions(found) else "image"


def _convolutions(found: Component) -> set[int]:
    """The dimensions of the convolutions in the module of a class."""
    names = (getattr(node, "attr", None) or getattr(node, "id", None) for node in ast.walk(found.module))
    return {int(match[1]) for name in names if name and (match := re.search(r"Conv(?:Transpose)?([123])d$", name))}


def _traits(snapshot: Snapshot, found: Component) -> Answers:
    encoding = _encoding(found)
    if "clip_length" in found.arguments:
        raise Unfit("it encodes clips of clip_length frames, not videos of any length")
    statistics = _statistics(snapshot, found)
    if kind(found) == "audio":
        if 2 in _convolutions(found):
            raise Unfit("it encodes spectrograms, so it needs a vocoder")
        for argument in TINY_AUDIO:
            if argument not in found.arguments:
                raise Unfit(f"its configuration has no {argument}")
        spatial, temporal = _compression(found, _HOP), "1"
    else:
        spatial = _compression(found, _SPATIAL)
        temporal = _compression(found, _TEMPORAL) if kind(found) == "video" else "1"
    read: Answers = {
        "vae_statistics": statistics,
        "vae_encoding": encoding,
        "vae_spatial": spatial,
        "vae_temporal": temporal,
    }
    if found.name in VAES.values():
        # The tiny ones of the classes that are proposed are spelled out in the template.
        return {**default_traits(found.name, kind(found)), **read}
    return {**read, **_tiny(snapshot, found, statistics, spatial, temporal)}


def _encoding(found: Component) -> str:
    """What ``encode`` returns. Generated code passes both methods one tensor and ``return_dict=False``."""
    for name in ("encode", "decode"):
        method = found.method(name)
        assert method is not None
        taken = arguments(method)
        needed = [argument for argument, default in taken.items() if default is None][1:]
        if needed:
            raise Unfit(f"its {name} also needs {', '.join(needed)}")
        if "return_dict" not in taken:
            raise Unfit(f"its {name} takes no return_dict")
        for part in (method, found.method(f"_{name}")):
            if part is not None and any(_raises_not_implemented(statement) for statement in part.body):
                raise Unfit(f"its {name} is not implemented without tiling")
    text = ast.unparse(found.method("encode") or found.node)
    return "latent_dist" if "latent_dist=" in text else "latent"


def _raises_not_implemented(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Raise) and "NotImplementedError" in ast.unparse(statement)


def _statistics(snapshot: Snapshot, found: Component) -> str:
    for call in ast.walk(found.method("__init__") or found.node):
        match call:
            case ast.Call(func=ast.Attribute(attr=layer)) if layer.startswith("BatchNorm"):
                raise Unfit("its latents are normalized by the statistics of a batch norm layer")
            case ast.Call(func=ast.Attribute(attr="register_buffer"), args=[ast.Constant(value=str(buffer)), *_]):
                if re.search(r"mean|std", buffer):
                    raise Unfit(f"its statistics are buffers ({buffer}), not configuration")
    config = found.arguments
    if {"latent_mean", "latent_std"} & set(config):
        raise Unfit("its statistics are named latent_mean and latent_std, not latents_mean and latents_std")
    if {"latents_mean", "latents_std"} <= set(config) and (
        found.given("latents_mean") or "scaling_factor" not in config
    ):
        mean, channels = found.defaults.get("latents_mean"), found.defaults.get(_channels_argument(found))
        if mean is not None and channels is not None and len(mean) != channels:
            raise Unfit(f"its latents_mean has {len(mean)} values for {channels} channels")
        return "mean_std"
    if "scaling_factor" not in config:
        return "none"
    shifted = "shift_factor" in config and (found.given("shift_factor") or _shifted(snapshot, found.name))
    return "scale_shift" if shifted else "scale"


def _shifted(snapshot: Snapshot, name: str) -> bool:
    """Whether a pipeline that uses the class reads a shift, which is not set by default."""
    texts = (snapshot.read(path) or "" for folder in _PIPELINES for path in snapshot.walk(folder))
    return any("config.shift_factor" in text and re.search(rf"\b{name}\b", text) for text in texts)


def _compression(found: Component, ways: tuple[tuple[str, str], ...]) -> str:
    """The expression over ``vae`` of a compression, the most direct one that the class offers."""
    for name, form in ways:
        if found.given(name):
            return form.format(f"vae.config.{name}")
        if name in found.attributes:
            return form.format(f"vae.{name}")
    raise Unfit(f"its compression can not be read: it has none of {', '.join(name for name, _ in ways)}")


def _channels_argument(found: Component) -> str:
    for argument in _CHANNELS:
        if argument in found.arguments:
            return argument
    raise Unfit(f"its latent channels can not be read: it has none of {', '.join(_CHANNELS)}")


def _tiny(snapshot: Snapshot, found: Component, statistics: str, spatial: str, temporal: str) -> Answers:
    """A tiny configuration, with statistics that change the latents, and what it amounts to."""
    tiny = tiny_config(snapshot, found.name, found.arguments)
    if tiny is None:
        raise Unfit("the checkout's tests have no tiny configuration of it that can be read")
    if kind(found) == "audio":
        tiny.update(TINY_AUDIO)
    config = {**found.defaults, **tiny}
    channels = config.get(_channels_argument(found))
    if not isinstance(channels, int):
        raise Unfit(f"the latent channels of its tiny configuration are {channels!r}")
    if statistics == "mean_std" and len(config.get("latents_mean") or ()) != channels:
        tiny.update({"latents_mean": [0.1] * channels, "latents_std": [2.0] * channels})
    if statistics == "scale_shift" and config.get("shift_factor") is None:
        tiny["shift_factor"] = 0.1
    values = [_evaluated(found, expression, config) for expression in (spatial, temporal)]
    return {
        "vae_tiny": ", ".join(f"{argument}={value!r}" for argument, value in tiny.items()),
        "vae_tiny_channels": channels,
        "vae_tiny_spatial": values[0],
        "vae_tiny_temporal": values[1],
    }


def _evaluated(found: Component, expression: str, config: Mapping[str, Any]) -> int:
    """The value of an expression over ``vae`` for a configuration."""
    attributes: dict[str, Any] = {"config": config}
    for name, assigned in found.attributes.items():
        try:
            attributes[name] = evaluate(assigned, {**config, "self": attributes})
        except NotConstant:
            continue
    try:
        return int(evaluate(ast.parse(expression, mode="eval").body, {"vae": attributes}))
    except (NotConstant, TypeError, ValueError):
        raise Unfit(f"{expression} can not be computed for its tiny configuration") from None
