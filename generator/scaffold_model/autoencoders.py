"""What the template has to know of an autoencoder class: read from its source in the checkout, by shape and never by name.

`traits` gives the stored answers, or refuses a class that needs more than the generated code does, with the reason.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Any

from .code.syntax import parse
from .component import Component, Unfit, arguments, classes, component, find, refused
from .errors import BadInput
from .latent_statistics import statistics
from .questions import VAES, default_traits
from .snapshot import Snapshot
from .tiny_autoencoders import SAMPLING_RATES, Answers, Read, tiny
from .tiny_configs import tiny_config

FOLDER = "src/diffusers/models/autoencoders"
_EXPORTS = "src/diffusers/models/__init__.py"

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
_HOP = (("hop_length", "{}"), ("downsampling_ratio", "{}"), ("dec_strides", "math.prod({})"))

#: Arguments that hold the number of latent channels.
_CHANNELS = ("latent_channels", "z_channels", "z_dim", "decoder_input_channels", "latent_dim")
#: Arguments of a decoder's constructor that hold the same.
_DECODER_CHANNELS = ("in_channels", "input_channels")


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
    if set(SAMPLING_RATES) & set(found.arguments):
        return "audio"
    return "video" if 3 in _convolutions(found) else "image"


def _convolutions(found: Component) -> set[int]:
    """The dimensions of the convolutions in the module of a class."""
    names = (getattr(node, "attr", None) or getattr(node, "id", None) for node in ast.walk(found.module))
    return {int(match[1]) for name in names if name and (match := re.search(r"Conv(?:Transpose)?([123])d$", name))}


def _traits(snapshot: Snapshot, found: Component) -> Answers:
    encoding, decoding = _encoding(found), _decoding(found)
    if "clip_length" in found.arguments:
        raise Unfit("it encodes clips of clip_length frames, not videos of any length")
    audio = kind(found) == "audio"
    if audio and 2 in _convolutions(found):
        raise Unfit("it encodes spectrograms, so it needs a vocoder")
    channels = _channels_argument(found)
    read: Read = {
        "vae_statistics": statistics(snapshot, found, channels),
        "vae_encoding": encoding,
        "vae_decoding": decoding,
        "vae_dtype": "float32" if _keeps_float32(found) else "any",
        "vae_offload": "whole" if _needs_all_of_itself(snapshot, found) else "modules",
        "vae_spatial": _compression(found, _HOP if audio else _SPATIAL),
        "vae_temporal": _temporal(found, decoding),
        "vae_sampling_rate": f"vae.config.{_given(found, SAMPLING_RATES)}" if audio else "vae.config.sampling_rate",
    }
    if found.name in VAES.values():
        # The tiny ones of the classes that are proposed are spelled out in the template.
        return {**default_traits(found.name, kind(found)), **read}
    return {**read, **tiny(found, _tiny_config(snapshot, found), channels, read)}


def _tiny_config(snapshot: Snapshot, found: Component) -> dict[str, Any]:
    """The arguments with which a test makes the class, or one whose constructor has the very same arguments."""
    own = tiny_config(snapshot, found.name, found.arguments)
    if own is not None:
        return own
    for name, path in autoencoders(snapshot).items():
        if list(component(snapshot, name, path).arguments) == list(found.arguments):
            alike = tiny_config(snapshot, name, found.arguments)
            if alike is not None:
                return alike
    raise Unfit("the checkout's tests have no tiny configuration of it that can be read")


def _keeps_float32(found: Component) -> bool:
    """Whether the class pins modules to float32, so that its weights are not of the dtype that a pipeline is loaded in."""
    for member in found.node.body:
        match member:
            case ast.Assign(targets=[ast.Name(id="_keep_in_fp32_modules")], value=ast.List(elts=[_, *_])):
                return True
    return False


def _needs_all_of_itself(snapshot: Snapshot, found: Component) -> bool:
    """Whether a call needs weights of modules that are not being called, so that they can not come and go one by one.

    Hooks for weight norm run before those that bring a module to the device; a quantizer looks into the weights of its
    embedding without calling it; and while all weights are away, the class says that it is on no device.
    """
    hooked = re.search(
        r"^from torch\.nn\.utils import .*\b(?:weight|spectral)_norm\b", ast.unparse(found.module), re.M
    )
    placed = re.search(r"\bself\.device\b", ast.unparse(found.node))
    return bool(hooked or placed) or any(_looks_into_weights(part) for part in _parts(snapshot, found))


def _parts(snapshot: Snapshot, found: Component) -> Iterator[ast.ClassDef]:
    """The classes of its module, and those of other modules that it makes."""
    yield from (node for node in found.module.body if isinstance(node, ast.ClassDef))
    calls = (node.func for node in ast.walk(found.node) if isinstance(node, ast.Call))
    made = {function.id for function in calls if isinstance(function, ast.Name)}
    for statement in found.module.body:
        match statement:
            case ast.ImportFrom(module=str(module), level=level, names=imported) if level:
                folder = found.path.rsplit("/", level)[0]
                names = made & {name.name for name in imported}
                text = snapshot.read(f"{folder}/{module.replace('.', '/')}.py") if names else None
                for node in parse(text).body if text else ():
                    if isinstance(node, ast.ClassDef) and node.name in names:
                        yield node


def _looks_into_weights(node: ast.ClassDef) -> bool:
    """Whether a method reads ``self.embedding.weight``."""
    methods = [part for part in node.body if isinstance(part, ast.FunctionDef) and part.name != "__init__"]
    return any(re.search(r"\bself\.\w+\.weight\b", ast.unparse(method)) for method in methods)


def _given(found: Component, names: tuple[str, ...]) -> str:
    return next(name for name in names if name in found.arguments)


def _decoding(found: Component) -> str:
    """What ``decode`` takes beside the latents, and what it returns."""
    method = _checked(found, "decode")
    taken = arguments(method)
    needed = _needed(method)
    text = ast.unparse(method)
    if needed == ["num_frames"] and "shape[0] // num_frames" in text:
        return "frames"
    if needed:
        raise Unfit(f"its decode also needs {', '.join(needed)}")
    if "return_dict" not in taken:
        if method.returns is None or ast.unparse(method.returns) != "torch.Tensor":
            raise Unfit("its decode takes no return_dict")
        # What is left out of the beginning has to go in: the class leaves that to its forward.
        return "cropped" if "self.temporal_compression_ratio - 1:" in text else "tensor"
    if _takes_one_sample(found):
        return "single"
    if _goes_by_odd_frames(found):
        return "surplus"
    # Most that take a generator never look at it.
    used = {node.id for statement in method.body for node in ast.walk(statement) if isinstance(node, ast.Name)}
    return "generator" if "generator" in set(taken) & used else "sample"


def _takes_one_sample(found: Component) -> bool:
    """Whether attention gets a mask of every sample without an axis for heads, which fits a batch of one alone."""
    text = ast.unparse(found.module)
    masked = re.search(r"scaled_dot_product_attention\([^()]*attn_mask=(?!None)\w+", text)
    return bool(masked and re.search(r"\.unsqueeze\(0\)\.expand\(\w+, -1, -1\)", text))


def _goes_by_odd_frames(found: Component) -> bool:
    """Whether the first of the latent frames stands for one frame only where their number is odd."""
    return bool(re.search(r"\.shape\[2\] % 2 == 1", ast.unparse(found.module)))


def _encoding(found: Component) -> str:
    """What ``encode`` returns. Generated code passes it one tensor, and ``return_dict=False`` to get latents."""
    method = _checked(found, "encode")
    if needed := _needed(method):
        raise Unfit(f"its encode also needs {', '.join(needed)}")
    if "latent_dist=" in ast.unparse(method):
        return "latent_dist"
    if "return_dict" not in arguments(method):
        raise Unfit("its encode takes no return_dict")
    return "latent"


def _needed(method: ast.FunctionDef) -> list[str]:
    """The arguments without a default beside the first one."""
    return [argument for argument, default in arguments(method).items() if default is None][1:]


def _checked(found: Component, name: str) -> ast.FunctionDef:
    """One of the two methods, where it works as it is and on every size."""
    method = found.method(name)
    assert method is not None
    for part in (method, found.method(f"_{name}")):
        if part is not None and any(_raises_not_implemented(statement) for statement in part.body):
            raise Unfit(f"its {name} is not implemented without tiling")
    if any(_resizes(call) for call in ast.walk(found.node)):
        raise Unfit("it resizes every image to one size")
    return method


def _raises_not_implemented(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Raise) and "NotImplementedError" in ast.unparse(statement)


def _resizes(call: ast.AST) -> bool:
    """Whether a node is ``F.interpolate(x, size=(self.size, self.size))``: to a size that the class is made for."""
    match call:
        case ast.Call(func=ast.Attribute(attr="interpolate"), keywords=keywords):
            return any(one.arg == "size" and "self." in ast.unparse(one.value) for one in keywords)
    return False


def _compression(found: Component, ways: tuple[tuple[str, str], ...]) -> str:
    """The expression over ``vae`` of a compression, the most direct one that the class offers."""
    for name, form in ways:
        if found.given(name):
            return form.format(f"vae.config.{name}")
        if name in found.attributes:
            return form.format(f"vae.{name}")
    raise Unfit(f"its compression can not be read: it has none of {', '.join(name for name, _ in ways)}")


def _temporal(found: Component, decoding: str) -> str:
    if kind(found) != "video" or decoding == "frames" or _keeps_frames(found):
        return "1"
    return _compression(found, _TEMPORAL)


def _keeps_frames(found: Component) -> bool:
    """Whether the blocks that would compress time pack space alone, whatever the configuration calls the compression."""
    packed = {
        ast.unparse(keyword.value)
        for branch in ast.walk(found.module)
        if isinstance(branch, ast.If) and "temporal_downsample" in ast.unparse(branch.test)
        for statement in branch.body
        for call in ast.walk(statement)
        if isinstance(call, ast.Call)
        for keyword in call.keywords
        if keyword.arg == "r1"
    }
    return packed == {"1"}


def _channels_argument(found: Component) -> str:
    for argument in _CHANNELS:
        if argument in found.arguments:
            return argument
    match found.attributes.get("decoder"):
        case ast.Call(keywords=keywords):
            for keyword in keywords:
                if keyword.arg in _DECODER_CHANNELS and isinstance(keyword.value, ast.Name):
                    return keyword.value.id
    raise Unfit(f"its latent channels can not be read: it has none of {', '.join(_CHANNELS)}")
