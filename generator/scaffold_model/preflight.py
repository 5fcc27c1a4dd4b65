"""What only the checkout shows about the answers: names that are taken, classes that are unknown or do not fit."""

from __future__ import annotations

import ast
import difflib
import re

from .checkout import Head
from .code.syntax import parse
from .errors import BadInput
from .house import stored_conventions
from .snapshot import Snapshot
from .sound import check_text, need
from .spec import ModelSpec

_SOURCES = ("models", "pipelines", "modular_pipelines", "schedulers", "loaders", "guiders")

#: The arguments that the generated code passes to, or reads from the configuration of, the autoencoder.
VAE_ARGUMENTS = (
    "in_channels",
    "out_channels",
    "block_out_channels",
    "layers_per_block",
    "latent_channels",
    "norm_num_groups",
    "sample_size",
    "scaling_factor",
    "shift_factor",
    "use_quant_conv",
    "use_post_quant_conv",
)

#: What marks a flow-matching scheduler with a static shift, the contract of the generated pipelines.
SCHEDULER_ARGUMENTS = ("num_train_timesteps", "shift")


def house_answers(snapshot: Snapshot, head: Head) -> dict[str, object]:
    """The stored conventions of the checkout, by question: what a render needs to know and nobody is asked."""
    found = re.search(r"^line-length\s*=\s*(\d+)", snapshot.read("pyproject.toml") or "", re.MULTILINE)
    return {
        **stored_conventions(snapshot),
        "year": head.year,
        "line_length": int(found[1]) if found else 119,
    }


def check_spec(spec: ModelSpec, snapshot: Snapshot, *, rendered: bool = False) -> None:
    """Refuse answers that do not fit this checkout.

    Args:
        spec: The answers.
        snapshot: The checkout, without the scaffold unless ``rendered``.
        rendered: Copier has already written the scaffold's own files, so that they do not count as taken.

    Raises:
        BadInput: A name is taken, a class is unknown, or a class does not fit the template.
    """
    if not rendered:
        for place in spec.owned_places():
            if snapshot.exists(place) or snapshot.files(place) or snapshot.folders(place):
                raise BadInput(f"{spec.name} exists already", path=place, hint="choose another --name")
    _check_class_names(spec, snapshot)
    if spec.vae != "new":
        arguments = VAE_ARGUMENTS if spec.vae_statistics == "scale_shift" else ()
        _check_component(snapshot, "vae", spec.vae, "src/diffusers/models/autoencoders", "Autoencoder", arguments)
    if spec.scheduler != "new":
        _check_component(
            snapshot, "scheduler", spec.scheduler, "src/diffusers/schedulers", "Scheduler", SCHEDULER_ARGUMENTS
        )
    if spec.has_modular and not snapshot.exists("src/diffusers/modular_pipelines/modular_pipeline.py"):
        raise BadInput(
            "this checkout has no modular pipelines (they came in July 2025)",
            hint="use --standard, or update the checkout",
        )
    _check_registries(spec, snapshot)


def _check_registries(spec: ModelSpec, snapshot: Snapshot) -> None:
    """The registries that the answers ask for; a missing one must not be passed over in silence."""
    need(snapshot, "src/diffusers/models/transformers/__init__.py", "    from .")
    need(snapshot, "docs/source/en/_toctree.yml", "- local: api/models/")
    if spec.lora == "yes":
        need(snapshot, "src/diffusers/loaders/lora_pipeline.py", "LoraLoaderMixin(LoraBaseMixin)")
        need(snapshot, "docs/source/en/api/loaders/lora.md", "- [`LoraBaseMixin`]")
    if spec.auto_pipeline == "yes":
        need(snapshot, "src/diffusers/pipelines/auto_pipeline.py", "AUTO_TEXT2IMAGE_PIPELINES_MAPPING")


def _check_class_names(spec: ModelSpec, snapshot: Snapshot) -> None:
    wanted = re.compile(rf"^class ({'|'.join(spec.new_classes)})\b", re.MULTILINE)
    for folder in _SOURCES:
        for path in snapshot.walk(f"src/diffusers/{folder}"):
            text = snapshot.read(path) or ""
            # A plain search first: most files hold none of the names, and the expression is slow over 24 MB.
            if spec.class_prefix not in text or spec.owns(path):
                continue
            match = wanted.search(text)
            if match:
                line = text.count("\n", 0, match.start()) + 1
                raise BadInput(
                    f"class {match[1]} exists already (line {line})",
                    path=path,
                    hint="choose another --name or --class-prefix",
                )


def _check_component(
    snapshot: Snapshot, question: str, name: str, folder: str, family: str, needed: tuple[str, ...]
) -> None:
    """An existing class of ``folder``, whose constructor takes the arguments that the template relies on."""
    definition = re.compile(r"^class (\w+)\(", re.MULTILINE)
    found: dict[str, str] = {}
    for path in snapshot.walk(folder):
        for class_name in definition.findall(snapshot.read(path) or ""):
            if family in class_name:
                found[class_name] = path
    if name not in found:
        near = difflib.get_close_matches(name, found, n=3, cutoff=0.5)
        raise BadInput(
            f"--{question} {name} is no class of {folder}",
            hint=f"did you mean {', '.join(near)}?" if near else f"name a class defined in {folder}",
        )
    source = snapshot.read(found[name]) or ""
    check_text(found[name], source)
    arguments = _constructor_arguments(source, name)
    missing = [argument for argument in needed if argument not in arguments]
    if missing:
        raise BadInput(
            f"--{question} {name} is not supported yet: its __init__ has no {', '.join(missing)}",
            path=found[name],
            hint=f"leave --{question} out and replace the component afterwards",
        )


def _constructor_arguments(source: str, name: str) -> set[str]:
    for node in parse(source).body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            for member in node.body:
                if isinstance(member, ast.FunctionDef) and member.name == "__init__":
                    return {argument.arg for argument in member.args.args + member.args.kwonlyargs}
    return set()
