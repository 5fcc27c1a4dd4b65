"""The registries of diffusers, one module each, and the order in which a plan applies them."""

from __future__ import annotations

from . import (
    auto_pipeline,
    docs_overview,
    dummy_objects,
    hooks_blocks,
    hooks_processors,
    loaders_structure,
    loaders_types,
    lora_docs,
    models_package,
    models_structure,
    models_types,
    modular_blocks_mapping,
    modular_mapping,
    modular_structure,
    modular_types,
    package_structure,
    package_types,
    peft_scale,
    pipelines_structure,
    pipelines_types,
    plain_package,
    root_structure,
    root_types,
    schedulers_structure,
    schedulers_types,
    single_file,
    toctree,
)
from .base import Entry, Listed, Page, Registry, Subject

# From the inside out: a package's own init decides the order of names in the init above it, and the dummies follow the
# root's TYPE_CHECKING half, so they come after it. The docs depend on nothing and come last.
REGISTRIES: tuple[Registry, ...] = (
    package_structure,
    package_types,
    models_package,
    models_structure,
    models_types,
    schedulers_structure,
    schedulers_types,
    pipelines_structure,
    pipelines_types,
    modular_structure,
    modular_types,
    modular_mapping,
    modular_blocks_mapping,
    loaders_structure,
    loaders_types,
    plain_package,
    root_structure,
    root_types,
    dummy_objects,
    toctree,
)

# Registries that a pull request may leave out; ``also`` names the ones that are wanted.
OPTIONAL: tuple[Registry, ...] = (
    lora_docs,
    auto_pipeline,
    hooks_blocks,
    hooks_processors,
    peft_scale,
    single_file,
    docs_overview,
)

__all__ = [
    "OPTIONAL",
    "REGISTRIES",
    "Entry",
    "Listed",
    "Page",
    "Registry",
    "Subject",
    "dummy_objects",
    "modular_mapping",
    "toctree",
]
