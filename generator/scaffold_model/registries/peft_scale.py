"""_SET_ADAPTER_SCALE_FN_MAPPING of ``loaders/peft.py``, in checkouts where it lists every model that takes a LoRA.

A mapping with a default for all models needs no entry.

Before:
    _SET_ADAPTER_SCALE_FN_MAPPING = {
        "BarUNet": _maybe_expand_lora_scales,
        "BarModel": lambda model_cls, weights: weights,
    }

Entry: Entry("peft_scale", "", "FooModel", "_SET_ADAPTER_SCALE_FN_MAPPING")

After:
    _SET_ADAPTER_SCALE_FN_MAPPING = {
        "BarUNet": _maybe_expand_lora_scales,
        "BarModel": lambda model_cls, weights: weights,
        "FooModel": lambda model_cls, weights: weights,
    }
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..code import pairs
from ..errors import AnchorNotFound
from ..plan import Export
from .base import ROOT, Entry, Listed, Subject, area

if TYPE_CHECKING:
    from ..conventions import Conventions
    from ..snapshot import Snapshot

NAME = "peft_scale"
PATH = f"{ROOT}/loaders/peft.py"
MAPPING = "_SET_ADAPTER_SCALE_FN_MAPPING"
SAME = "lambda model_cls, weights: weights"


def entries(subject: Subject, conventions: Conventions, snapshot: Snapshot) -> Iterable[Entry]:
    if not isinstance(subject, Export) or subject.kind != "model" or area(subject) != "models":
        return
    source = snapshot.read(PATH) or ""
    # With a default for all models the mapping lists none that keeps its weights as they are.
    if f": {SAME}" not in source.replace(f"lambda: ({SAME})", ""):
        return
    mixed = rf"^class {subject.name}\([^)]*\bPeftAdapterMixin\b"
    if re.search(mixed, snapshot.read(subject.path) or "", re.MULTILINE):
        yield Entry(NAME, PATH, subject.name, MAPPING)


def listed(source: str) -> list[Listed]:
    mapping = pairs.find(source, MAPPING)
    return [Listed(p.key, MAPPING, p.first, ast.unparse(p.value)) for p in mapping.pairs] if mapping else []


def insert(source: str, entry: Entry) -> str:
    if any(item.object == entry.object for item in listed(source)):
        return source
    edited = pairs.insert(source, MAPPING, entry.object, SAME, len)
    if edited is None:
        raise AnchorNotFound(entry.path or PATH, MAPPING)
    return edited


def remove(source: str, entry: Entry) -> str:
    return pairs.remove(source, MAPPING, entry.object)
