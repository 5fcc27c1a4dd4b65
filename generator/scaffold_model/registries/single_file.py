"""SINGLE_FILE_LOADABLE_CLASSES of ``loaders/single_file_model.py``: how a class reads an original checkpoint.

The conversion is the function of ``single_file_utils`` that is called like the model; without one the checkpoint is
taken as it is.

Before:
    from .single_file_utils import (
        convert_bar_to_diffusers,
        load_single_file_checkpoint,
    )

    SINGLE_FILE_LOADABLE_CLASSES = {
        "BarModel": {
            "checkpoint_mapping_fn": convert_bar_to_diffusers,
            "default_subfolder": "transformer",
        },
    }

Entry: Entry("single_file", "", "FooModel", "transformer", "convert_foo_to_diffusers")

After:
    from .single_file_utils import (
        convert_bar_to_diffusers,
        convert_foo_to_diffusers,
        load_single_file_checkpoint,
    )

    SINGLE_FILE_LOADABLE_CLASSES = {
        "BarModel": {
            "checkpoint_mapping_fn": convert_bar_to_diffusers,
            "default_subfolder": "transformer",
        },
        "FooModel": {
            "checkpoint_mapping_fn": convert_foo_to_diffusers,
            "default_subfolder": "transformer",
        },
    }
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from ..code import pairs
from ..errors import AnchorNotFound
from ..plan import Export
from . import lazy_init, positions
from .base import ROOT, Entry, Listed, Subject, area

if TYPE_CHECKING:
    from ..conventions import Conventions
    from ..snapshot import Snapshot

NAME = "single_file"
PATH = f"{ROOT}/loaders/single_file_model.py"
UTILS = f"{ROOT}/loaders/single_file_utils.py"
MAPPING = "SINGLE_FILE_LOADABLE_CLASSES"
AS_IT_IS = "lambda checkpoint, **kwargs: checkpoint"
# The folder of a component in a pipeline's repository, by the package of the model.
FOLDERS = {"transformers": "transformer", "autoencoders": "vae", "unets": "unet"}


def entries(subject: Subject, conventions: Conventions, snapshot: Snapshot) -> Iterable[Entry]:
    if not isinstance(subject, Export) or subject.kind != "model" or area(subject) != "models":
        return
    mixed = rf"^class {subject.name}\([^)]*\bFromOriginalModelMixin\b"
    if re.search(mixed, snapshot.read(subject.path) or "", re.MULTILINE) and MAPPING in (snapshot.read(PATH) or ""):
        folder = FOLDERS.get(subject.path.split("/")[3], "")
        conversion = _conversion(subject, snapshot.read(UTILS) or "")
        yield Entry(NAME, PATH, subject.name, folder, conversion, width=conventions.line_length)


def listed(source: str) -> list[Listed]:
    mapping = pairs.find(source, MAPPING)
    return [Listed(p.key, MAPPING, p.first, _function(p.value)) for p in mapping.pairs] if mapping else []


def insert(source: str, entry: Entry) -> str:
    if any(item.object == entry.object for item in listed(source)):
        return source
    rows = [f'"checkpoint_mapping_fn": {entry.value or AS_IT_IS},']
    if entry.key:
        rows.append(f'"default_subfolder": "{entry.key}",')
    value = "{\n" + "".join(f"        {row}\n" for row in rows) + "    }"
    edited = pairs.insert(source, MAPPING, entry.object, value, len)
    if edited is None:
        raise AnchorNotFound(entry.path or PATH, MAPPING)
    if not entry.value:
        return edited
    return lazy_init.insert(
        edited,
        _import(entry),
        "types",
        name_position=positions.by_import_order,
        key_position=positions.by_module_order,
        guarded=False,
    )


def remove(source: str, entry: Entry) -> str:
    edited = pairs.remove(source, MAPPING, entry.object)
    if edited == source or not entry.value or len(re.findall(rf"\b{entry.value}\b", edited)) > 1:
        return edited
    return lazy_init.remove(edited, _import(entry), "types")


def _import(entry: Entry) -> Entry:
    return replace(entry, object=entry.value, key="single_file_utils", value="")


def _conversion(export: Export, utils: str) -> str:
    """The one conversion function that is called like the module of the model; empty where there is none."""
    stem = export.path.rsplit("/", 1)[-1].removesuffix(".py")
    name = re.sub(r"^(?:transformer|autoencoder|controlnet|unet)_|_transformer\w*$", "", stem)
    found = re.findall(rf"^def (convert_{name}_\w*to_diffusers)\(", utils, re.MULTILINE)
    kind = FOLDERS.get(export.path.split("/")[3], "")
    # `convert_foo_bar_transformer_to_diffusers` is that of another model, if `foo` has one of its own.
    own = re.compile(rf"convert_{name}_(?:{kind}_)?(?:checkpoint_)?to_diffusers")
    fitting = (
        [function for function in found if own.fullmatch(function)]
        or [function for function in found if kind in function]
        or found
    )
    return fitting[0] if len(fitting) == 1 else ""


def _function(value: ast.expr) -> str:
    """The name of the conversion function in the value of a class; empty for anything else."""
    for key, item in zip(value.keys, value.values, strict=True) if isinstance(value, ast.Dict) else ():
        if isinstance(key, ast.Constant) and key.value == "checkpoint_mapping_fn" and isinstance(item, ast.Name):
            return item.id
    return ""
