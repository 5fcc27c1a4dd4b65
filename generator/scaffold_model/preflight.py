"""What only the checkout shows about the answers: names that are taken, classes that are unknown or do not fit."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from . import autoencoders, schedulers
from .checkout import Head
from .errors import BadInput
from .house import stored_conventions
from .registration import check_registries
from .registries import auto_pipeline
from .snapshot import Snapshot
from .sound import need
from .spec import ModelSpec

_SOURCES = ("models", "pipelines", "modular_pipelines", "schedulers", "loaders", "guiders")


def house_answers(snapshot: Snapshot, head: Head) -> dict[str, object]:
    """The stored conventions of the checkout, by question: what a render needs to know and nobody is asked."""
    found = re.search(r"^line-length\s*=\s*(\d+)", snapshot.read("pyproject.toml") or "", re.MULTILINE)
    return {
        **stored_conventions(snapshot),
        "year": head.year,
        "line_length": int(found[1]) if found else 119,
    }


def trait_answers(spec: ModelSpec, snapshot: Snapshot) -> dict[str, str | int]:
    """What the checkout tells about the classes that the answers name, by question: stored, and asked of nobody.

    Raises:
        BadInput: A class is unknown, or generated code can not use it.
    """
    return {
        **autoencoders.traits(snapshot, spec.vae, spec.modality),
        **schedulers.traits(snapshot, spec.scheduler, spec.task),
    }


def fitted_spec(given: Mapping[str, Any], snapshot: Snapshot, head: Head) -> ModelSpec:
    """The answers together with what only the checkout tells: its conventions, and the traits of the classes named.

    Raises:
        BadInput: The answers make no sense, or a class can not be used.
    """
    answers = {**house_answers(snapshot, head), **given}
    return ModelSpec.from_answers({**answers, **trait_answers(ModelSpec.from_answers(answers), snapshot)})


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
            other = _other_spelling(snapshot, place)
            if other:
                raise BadInput(
                    f"differs from {place}, which {spec.name} needs, by upper and lower case alone",
                    path=other,
                    hint="choose another --name: on macOS and Windows the two are one file",
                )
    _check_class_names(spec, snapshot, spec.new_classes)
    _check_traits(spec, snapshot)
    _check_modular(spec, snapshot)
    _check_registries(spec, snapshot)


def check_more(before: ModelSpec, spec: ModelSpec, snapshot: Snapshot) -> None:
    """Refuse more of a model than this checkout can take.

    Args:
        before: The answers that the model was made of.
        spec: Those with what is to be added.
        snapshot: The checkout, with the model.

    Raises:
        BadInput: A class name is taken, a class is unknown, or the checkout has no place for what is asked for.
    """
    mixin = f"{spec.class_prefix}LoraLoaderMixin"
    names = [name for name in spec.new_classes if name not in before.new_classes and name != mixin]
    if names:
        _check_class_names(spec, snapshot, names)
    _check_modular(spec, snapshot)
    _check_registries(spec, snapshot)


def _check_modular(spec: ModelSpec, snapshot: Snapshot) -> None:
    if spec.has_modular and not snapshot.exists("src/diffusers/modular_pipelines/modular_pipeline.py"):
        # The transformers need more than a standard pipeline does, and came late too.
        standard = "class AttentionMixin" in (snapshot.read("src/diffusers/models/attention.py") or "")
        raise BadInput(
            "this checkout has no modular pipelines (they came in July 2025)",
            hint="use --standard, or update the checkout" if standard else "update the checkout",
        )


def _other_spelling(snapshot: Snapshot, place: str) -> str | None:
    """What stands in the folder of ``place`` under its name in other letters."""
    folder, _, name = place.rpartition("/")
    present = (*snapshot.files(folder), *snapshot.folders(folder))
    found = next((one for one in present if one != name and one.casefold() == name.casefold()), None)
    return f"{folder}/{found}" if found else None


def _check_registries(spec: ModelSpec, snapshot: Snapshot) -> None:
    """The registries that every run reads, and those that the answers ask for: a missing one must not be passed over."""
    check_registries(snapshot)
    need(snapshot, "src/diffusers/models/transformers/__init__.py", "    from .")
    need(snapshot, "docs/source/en/_toctree.yml", "- local: api/models/")
    if spec.lora == "yes":
        need(snapshot, "src/diffusers/loaders/lora_pipeline.py", "LoraLoaderMixin(LoraBaseMixin)")
        need(snapshot, "docs/source/en/api/loaders/lora.md", "- [`LoraBaseMixin`]")
    if spec.single_file == "yes":
        need(snapshot, "src/diffusers/loaders/single_file_model.py", "SINGLE_FILE_LOADABLE_CLASSES")
    if spec.auto_pipeline == "yes":
        need(snapshot, auto_pipeline.PATH)
        unmapped = auto_pipeline.unmapped(snapshot.read(auto_pipeline.PATH) or "", spec.task)
        if unmapped:
            raise BadInput(
                f"--auto-pipeline: this checkout has no mapping for --task {', '.join(unmapped)}",
                path=auto_pipeline.PATH,
                hint="leave --auto-pipeline out, or update the checkout",
            )


def _check_traits(spec: ModelSpec, snapshot: Snapshot) -> None:
    """What was rendered about classes is what the checkout says; Copier can not look into them."""
    for question, value in trait_answers(spec, snapshot).items():
        if getattr(spec, question) != value:
            raise BadInput(
                f"{question} is {value!r} in this checkout, not {getattr(spec, question)!r}",
                hint="make the model with `scaffold-model --name "
                f"{spec.name} --vae {spec.vae} --scheduler {spec.scheduler}`, which reads the classes",
            )


def _check_class_names(spec: ModelSpec, snapshot: Snapshot, names: Collection[str]) -> None:
    wanted = re.compile(rf"^class ({'|'.join(names)})\b", re.MULTILINE)
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
