"""The model of diffusers that the checkpoint is mapped to: built from its class and configuration on ``meta``."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..errors import RunningError
from .pieces import Shape


@dataclass(frozen=True)
class Target:
    """What the mapping has to fill.

    Attributes:
        name: The class.
        config: Its configuration, with the defaults.
        shapes: The shapes of the state dict, in the order of definition.
        kinds: The class of the module that holds each tensor.
        parents: The class of the module around that one, by key.
    """

    name: str
    config: dict[str, Any]
    shapes: dict[str, Shape]
    kinds: dict[str, str]
    parents: dict[str, str]


def build_target(name: str, config_path: Path) -> Target:
    """Build a class of diffusers without memory for its weights.

    Args:
        name: The class, of diffusers or with its module in front of it (``package.module:Class``).
        config_path: Its ``config.json``.

    Raises:
        RunningError: There is no such class, or it can not be built from this configuration.
    """
    import torch

    model_class = _class(name)
    config = _config(config_path, name)
    logging.disable(logging.WARNING)
    try:
        with torch.device("meta"):
            model = model_class.from_config(config) if hasattr(model_class, "from_config") else model_class(**config)
    except Exception as error:
        said = " ".join(str(error).split())[:300]
        raise RunningError(
            f"{name} can not be built from it: {type(error).__name__}: {said}",
            path=str(config_path),
            hint="give the configuration of the converted model with --config",
        ) from error
    finally:
        logging.disable(logging.NOTSET)
    if not isinstance(model, torch.nn.Module):
        raise RunningError(f"{name} is no model", hint="name a torch.nn.Module, such as a ModelMixin of diffusers")
    return described(name, model, {**config, **dict(getattr(model, "config", {}))})


def described(name: str, model: Any, config: dict[str, Any]) -> Target:
    """What the mapping has to know of a model."""
    shapes = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    return replace(described_tensors(model, shapes), name=name, config=config)


def described_tensors(model: Any, shapes: dict[str, Shape]) -> Target:
    """What the mapping has to know of some tensors of a model."""
    modules = {path: type(module).__name__ for path, module in model.named_modules()}
    kinds, parents = {}, {}
    for key in shapes:
        module = key.rpartition(".")[0]
        kinds[key] = modules.get(module, "")
        parents[key] = modules.get(module.rpartition(".")[0], "")
    return Target(type(model).__name__, {}, shapes, kinds, parents)


def _class(name: str) -> Any:
    import importlib

    module_name, _, class_name = name.rpartition(":")
    try:
        module = importlib.import_module(module_name or "diffusers")
    except ImportError as error:
        raise RunningError(f"{module_name or 'diffusers'} can not be imported: {error}") from None
    found = getattr(module, class_name, None)
    if found is None:
        raise RunningError(
            f"{module.__name__} has no class {class_name}",
            hint="give the class with --against, such as FluxTransformer2DModel, or module:Class",
        )
    return found


def _config(path: Path, name: str) -> dict[str, Any]:
    path = path / "config.json" if path.is_dir() else path
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RunningError("is not there", path=str(path), hint="give the model's config.json with --config") from None
    except (OSError, ValueError) as error:
        raise RunningError(f"is no JSON: {error}", path=str(path), hint="give the model's config.json") from None
    if not isinstance(config, dict):
        raise RunningError("holds no JSON object", path=str(path), hint="give the model's config.json")
    named = config.get("_class_name")
    if named is not None and named != name.rpartition(":")[2]:
        raise RunningError(
            f"is the configuration of {named}, not of {name}", path=str(path), hint="--against and --config must agree"
        )
    return {key: value for key, value in config.items() if not key.startswith("_")}
