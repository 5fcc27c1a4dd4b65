"""A tiny autoencoder of a class: the arguments of its constructor for the tests, and what they amount to."""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Mapping
from typing import Any

from .code.evaluation import NotConstant, evaluate
from .component import Component, Unfit

#: Arguments that hold the channels of the audio and its samples in a second.
AUDIO_CHANNELS = ("audio_channels", "dec_out_channels", "out_channels", "in_channels")
SAMPLING_RATES = ("sampling_rate", "sample_rate")

#: The audio that the tests make: stereo, and so few samples in a second that whole seconds are tiny.
TINY_AUDIO = {"audio_channels": 2, "sampling_rate": 16}

#: Latent frames for which a tiny autoencoder has statistics, where they differ from frame to frame; the tests make fewer.
_FRAMES = 4

#: The width of the narrowest blocks that have the usual 32 groups of a group norm, and the arguments that hold it.
_WIDTH = 32
_WIDTHS = ("ch",)

#: A layer whose weights start as zeros: until it is trained, what goes through it has no effect.
_ZEROS = re.compile(r"\binit\.zeros_\(self\.[\w.]+\.weight\)")

Answers = dict[str, str | int]
Read = dict[str, str]


def tiny(found: Component, config: Mapping[str, Any], channels: str, read: Mapping[str, str]) -> Answers:
    """A tiny configuration, with statistics that change the latents, and what it amounts to.

    Args:
        found: The class.
        config: The arguments with which a test makes a tiny one.
        channels: The argument of its constructor that holds the number of latent channels.
        read: The answers that were read of the class.

    Raises:
        Unfit: It can not be told what it amounts to.
    """
    given = _switched(found, config)
    given.update({name: _WIDTH for name in _WIDTHS if isinstance(width := given.get(name), int) and width > _WIDTH})
    audio = TINY_AUDIO["audio_channels"]
    if rate := next((name for name in SAMPLING_RATES if name in found.arguments), None):
        if "audio_channels" in found.arguments:
            given["audio_channels"] = audio
        given[rate] = TINY_AUDIO["sampling_rate"]
        audio = _audio_channels(found, given)
    whole = {**found.defaults, **given}
    count = whole.get(channels)
    if not isinstance(count, int):
        raise Unfit(f"the latent channels of its tiny configuration are {count!r}")
    given.update(_statistics(read["vae_statistics"], whole, count))
    given.update(_counted(whole))
    values = [_evaluated(found, read[name], {**whole, **given}) for name in ("vae_spatial", "vae_temporal")]
    return {
        "vae_tiny": ", ".join(f"{argument}={value!r}" for argument, value in given.items()),
        "vae_tiny_channels": count,
        "vae_tiny_spatial": values[0],
        "vae_tiny_temporal": values[1],
        "vae_tiny_audio_channels": audio,
        "vae_tiny_zeros": "drawn" if _ZEROS.search(ast.unparse(found.module)) else "kept",
    }


def _statistics(form: str, config: Mapping[str, Any], count: int) -> dict[str, Any]:
    if form == "mean_std" and len(config.get("latents_mean") or ()) != count:
        return {"latents_mean": [0.1] * count, "latents_std": [2.0] * count}
    if form == "mean_std_frames":
        return {"latents_mean": [0.1] * count * _FRAMES, "latents_std": [2.0] * count * _FRAMES}
    if form == "scale_shift" and config.get("shift_factor") is None:
        return {"shift_factor": 0.1}
    return {}


def _audio_channels(found: Component, config: Mapping[str, Any]) -> int:
    """The channels of the audio that an autoencoder of this configuration makes.

    Raises:
        Unfit: No argument holds them, and ``encode`` does not ask for a number either.
    """
    for argument in AUDIO_CHANNELS:
        value = config.get(argument, found.defaults.get(argument))
        if isinstance(value, int):
            return value
    asked = re.search(r"\.shape\[1\] != (\d+)", ast.unparse(found.method("encode") or found.node))
    if asked is None:
        raise Unfit(f"the channels of its audio can not be read: it has none of {', '.join(AUDIO_CHANNELS)}")
    return int(asked[1])


def _switched(found: Component, given: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration, with the switches of the defaults where ``encode`` and ``decode`` go other ways by them.

    A test may try the rarer way, and the pipelines of the class take the usual one.
    """
    used = {
        node.attr
        for name in ("encode", "decode")
        if (method := found.method(name)) is not None
        for branch in ast.walk(method)
        if isinstance(branch, ast.If | ast.IfExp)
        for node in ast.walk(branch.test)
        if isinstance(node, ast.Attribute)
    }
    if not any(name in given and given[name] != found.defaults.get(name) for name in used):
        return dict(given)
    return {
        name: found.defaults.get(name, value) if isinstance(value, bool | str) else value
        for name, value in given.items()
    }


def _counted(config: Mapping[str, Any]) -> dict[str, int]:
    """The compression where the configuration says it beside the blocks, and a test need not have it right.

    Published configurations have: what a class or a pipeline makes of a wrong one shows only in the size of what is decoded.
    """
    strides, multiples = config.get("strides"), config.get("c_mults")
    if "downsampling_ratio" in config and strides and multiples:
        # Of the strides the last one holds for the blocks that have none.
        strides = [*strides, *([strides[-1]] * len(multiples))][: len(multiples)]
        return {"downsampling_ratio": math.prod(strides)}
    counted: dict[str, int] = {}
    kinds, scaled = config.get("downsample_type"), config.get("spatio_temporal_scaling")
    if not isinstance(kinds, tuple | list) or not isinstance(scaled, tuple | list) or len(kinds) != len(scaled):
        return counted
    for axis, other, patch in (("spatial", "temporal", "patch_size"), ("temporal", "spatial", "patch_size_t")):
        argument = f"{axis}_compression_ratio"
        if {"spatial", "temporal"} & set(kinds) and config.get(argument, 0) is None and patch in config:
            halved = sum(bool(scale) and kind != other for kind, scale in zip(kinds, scaled, strict=True))
            counted[argument] = config[patch] * 2**halved
    return counted


def _evaluated(found: Component, expression: str, config: Mapping[str, Any]) -> int:
    """The value of an expression over ``vae`` for a configuration."""
    attributes = {"config": config, **_attributes(found, config)}
    try:
        return int(evaluate(ast.parse(expression, mode="eval").body, {"vae": attributes}))
    except (NotConstant, TypeError, ValueError):
        raise Unfit(f"{expression} can not be computed for its tiny configuration") from None


def _attributes(found: Component, config: Mapping[str, Any]) -> dict[str, Any]:
    """The values of the attributes that a constructor assigns, and of those of its parts."""
    attributes: dict[str, Any] = {}
    names = {**config, "self": attributes}
    for name, assigned in found.attributes.items():
        try:
            attributes[name] = _value(found, assigned, names)
        except NotConstant:
            continue
    return attributes


def _value(found: Component, node: ast.expr, names: Mapping[str, Any]) -> Any:
    match node:
        case ast.Call(func=ast.Name(id=name), args=[], keywords=keywords):
            if part := found.beside(name):
                return _attributes(part, {**part.defaults, **_arguments(keywords, names)})
    return evaluate(node, names)


def _arguments(keywords: list[ast.keyword], names: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for keyword in keywords:
        if keyword.arg:
            try:
                found[keyword.arg] = evaluate(keyword.value, names)
            except NotConstant:
                continue
    return found
