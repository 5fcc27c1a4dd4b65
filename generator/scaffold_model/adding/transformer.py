"""A transformer that takes LoRA layers: the mixin that loads them, and the scale that a call gives them."""

from __future__ import annotations

import re

from ..code.splice import (
    find_class,
    find_method,
    parameters,
    with_base,
    with_decorator,
    with_entry,
    with_import,
    with_parameter,
)
from .found import KWARGS

_ENTRY = """\
{name} (`dict`, *optional*):
    A dictionary whose `scale` is the weight of the LoRA layers, where the model has any."""
_BY_HAND = ("USE_PEFT_BACKEND", "scale_lora_layers", "unscale_lora_layers")


def with_lora_layers(text: str, model: str, package: str) -> str:
    """A module whose class ``model`` loads LoRA layers.

    Args:
        text: The module, with plain line feeds.
        model: The class.
        package: How the module names the library's root in a relative import: ``...``.
    """
    node = find_class(text, model)
    if node is None or re.search(rf"^class {model}\([^)]*\bPeftAdapterMixin\b", text, re.MULTILINE):
        return text
    text = with_import(text, f"{package}loaders", "PeftAdapterMixin")
    return with_base(text, model, "PeftAdapterMixin", after="ConfigMixin")


def scale_name(text: str, model: str) -> str | None:
    """The parameter of ``forward`` that holds the scale."""
    forward = find_method(text, model, "forward")
    return next((name for name in KWARGS if name in parameters(forward)), None) if forward else None


def is_usual(text: str, model: str) -> bool:
    """Whether ``forward`` is one that pipelines call as they call most: with hidden states of the latents and of the text.

    A transformer that is called otherwise takes no dictionary of arguments for its attention anywhere in the house.
    """
    forward = find_method(text, model, "forward")
    names = parameters(forward) if forward else []
    return "hidden_states" in names and any(name.startswith("encoder_hidden_states") for name in names)


def with_scale(text: str, model: str, package: str, *, decorator: bool, union_hints: bool) -> str:
    """A module whose class ``model`` scales its LoRA layers by what a call asks for.

    Args:
        text: The module, with plain line feeds.
        model: The class; its ``forward`` is a usual one, or has the dictionary already.
        package: How the module names the library's root in a relative import: ``...``.
        decorator: Whether the checkout has ``apply_lora_scale``; otherwise ``forward`` does it by hand.
        union_hints: Whether hints are ``X | None``.
    """
    forward = find_method(text, model, "forward")
    if forward is None or "scale_lora_layers(" in _source(text, model) or "apply_lora_scale(" in _source(text, model):
        return text
    name = scale_name(text, model)
    if name is None:
        name = KWARGS[0]
        text = with_parameter(text, model, "forward", declaration(text, name, union_hints), before=("return_dict",))
        entry = _ENTRY.format(name=name)
        text = with_entry(text, model, "forward", entry, after=(), before=("return_dict",))
        text = with_hint_imports(text, union_hints)
    text = with_decorator(text, model, "forward", f'@apply_lora_scale("{name}")')
    if decorator:
        return with_import(text, f"{package}utils", "apply_lora_scale")
    from ..older.lora_scale import scaled_by_hand

    text = scaled_by_hand(text)
    for each in _BY_HAND:
        text = with_import(text, f"{package}utils", each)
    return text


def _source(text: str, model: str) -> str:
    forward = find_method(text, model, "forward")
    if forward is None:
        return ""
    first = min([forward.lineno, *(each.lineno for each in forward.decorator_list)])
    return "\n".join(text.split("\n")[first - 1 : forward.end_lineno])


def declaration(text: str, name: str, union_hints: bool) -> str:
    """The parameter as the module writes its hints."""
    if _has_old_hints(text) or not union_hints:
        return f"{name}: Optional[Dict[str, Any]] = None"
    return f"{name}: dict[str, Any] | None = None"


def with_hint_imports(text: str, union_hints: bool) -> str:
    """What the hint of `declaration` needs."""
    old = _has_old_hints(text) or not union_hints
    for name in ("Any", *(("Dict", "Optional") if old else ())):
        text = with_import(text, "typing", name)
    return text


def _has_old_hints(text: str) -> bool:
    return re.search(r"^from typing import [^\n]*\bOptional\b", text, re.MULTILINE) is not None
