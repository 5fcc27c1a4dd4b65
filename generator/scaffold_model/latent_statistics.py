"""How the latents of an autoencoder class are normalized, read from its source and from the pipelines that use it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from .component import Component, Unfit
from .snapshot import Snapshot

_PIPELINES = ("src/diffusers/pipelines", "src/diffusers/modular_pipelines")

#: How pipelines bring the pixels of a patch of latents into the channels; ``pixel_unshuffle`` does it in this order.
_PATCHED = "permute(0, 1, 3, 5, 2, 4)"


def statistics(snapshot: Snapshot, found: Component, channels: str) -> str:
    """One of the forms of the question ``vae_statistics``.

    Args:
        snapshot: The checkout.
        found: The class.
        channels: The argument of its constructor that holds the number of latent channels.

    Raises:
        Unfit: The statistics are in no form that generated code reads.
    """
    config = set(found.arguments)
    if layers := [call for call in _calls(found) if _called(call).startswith("BatchNorm")]:
        _check_batch_norm(snapshot, found, layers)
        return "batch_norm"
    if {"latents_mean", "latents_std"} <= _buffers(found):
        return "scaled_buffers" if found.given("scaling_factor") else "buffers"
    if {"latent_mean", "latent_std"} & config and not _left_out(found, "latent_mean"):
        raise Unfit("its statistics are named latent_mean and latent_std, not latents_mean and latents_std")
    if {"latents_mean", "latents_std"} <= config and (found.given("latents_mean") or "scaling_factor" not in config):
        return _mean_std(found, channels)
    if "scaling_factor" not in config:
        return "none"
    shifted = "shift_factor" in config and (found.given("shift_factor") or _shifted(snapshot, found.name))
    return "scale_shift" if shifted else "scale"


def _calls(found: Component) -> Iterator[ast.Call]:
    return (node for node in ast.walk(found.method("__init__") or found.node) if isinstance(node, ast.Call))


def _called(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else ""


def _buffers(found: Component) -> set[str]:
    """The names of the buffers that the constructor registers."""
    return {
        str(call.args[0].value)
        for call in _calls(found)
        if _called(call) == "register_buffer" and call.args and isinstance(call.args[0], ast.Constant)
    }


def _left_out(found: Component, argument: str) -> bool:
    """Whether the constructor refuses any value of an argument but None."""
    for statement in getattr(found.method("__init__"), "body", ()):
        match statement:
            case ast.If(test=test, body=[ast.Raise()]) if f"{argument} is not None" in ast.unparse(test):
                return True
    return False


def _check_batch_norm(snapshot: Snapshot, found: Component, layers: list[ast.Call]) -> None:
    """Generated code knows one batch norm: ``bn``, without weights, of square patches of the latents.

    Raises:
        Unfit: It is another one, or no pipeline shows how its latents are patched.
    """
    given = {keyword.arg: ast.unparse(keyword.value) for keyword in layers[0].keywords}
    patch = found.defaults.get("patch_size")
    if (
        len(layers) > 1
        or found.attributes.get("bn") is not layers[0]
        or given.get("affine") != "False"
        or not isinstance(patch, tuple)
        or len(patch) != 2
        or patch[0] != patch[1]
        or not any("patch_size" in ast.unparse(argument) for argument in layers[0].args)
    ):
        raise Unfit("its batch norm is not `bn`, without weights, of square patches of the latents")
    if not any("bn.running_mean" in text and _PATCHED in text for text in _users(snapshot, found.name)):
        raise Unfit("no pipeline shows how its latents are patched for its batch norm")


def _mean_std(found: Component, channels: str) -> str:
    mean, count = found.defaults.get("latents_mean"), found.defaults.get(channels)
    if mean is None or count is None or len(mean) == count:
        return "mean_std"
    if len(mean) % count:
        raise Unfit(f"its latents_mean has {len(mean)} values for {count} channels")
    return "mean_std_frames"


def _shifted(snapshot: Snapshot, name: str) -> bool:
    """Whether a pipeline that uses the class reads a shift, which is not set by default."""
    return any("config.shift_factor" in text for text in _users(snapshot, name))


def _users(snapshot: Snapshot, name: str) -> Iterator[str]:
    """The sources of the pipelines that name the class."""
    for folder in _PIPELINES:
        for path in snapshot.walk(folder):
            text = snapshot.read(path) or ""
            if name in text and re.search(rf"\b{name}\b", text):
                yield text
