"""A pipeline that loads LoRA layers: the mixin among its bases, and the scale on its way to the transformer."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence

from ..code.splice import (
    find_class,
    find_method,
    parameters,
    with_base,
    with_entry,
    with_import,
    with_keyword,
    with_parameter,
    with_property,
    with_statement,
)
from .found import KWARGS
from .transformer import declaration, with_hint_imports

_ENTRY = """\
{name} (`dict`, *optional*):
    A dictionary that is passed along to the transformer. Its `scale` is the weight of the LoRA layers."""
_BEFORE = ("callback_on_step_end", "callback_on_step_end_tensor_inputs", "max_sequence_length")


def with_mixin(text: str, owner: str, mixin: str, package: str, replaced: str | None) -> str:
    """A module whose pipeline ``owner`` has the mixin, behind its main base or in the place of another model's."""
    node = find_class(text, owner)
    if node is None or any(ast.unparse(base) == mixin for base in node.bases):
        return text
    text = with_import(text, f"{package}loaders", mixin)
    text = with_base(text, owner, mixin, after=ast.unparse(node.bases[0]), instead=replaced)
    return _without_import(text, replaced) if replaced else text


def mixin_of_another(text: str, owner: str, mixin: str) -> str | None:
    """The LoRA mixin of another model that a pipeline has."""
    node = find_class(text, owner)
    named = [ast.unparse(base) for base in node.bases] if node else []
    return next((each for each in named if each.endswith("LoraLoaderMixin") and each != mixin), None)


def _without_import(text: str, name: str) -> str:
    """A module without the import of a name that it no longer uses."""
    if len(re.findall(rf"\b{name}\b", text)) != 1:
        return text
    text = re.sub(rf"^ +{name},\n", "", text, flags=re.MULTILINE)
    text = re.sub(rf"^(from .* import .*?)\b{name}, ", r"\1", text, flags=re.MULTILINE)
    return re.sub(rf"^(from .* import .*?), {name}$", r"\1", text, flags=re.MULTILINE)


def with_attention_kwargs(text: str, owner: str, key: str, union_hints: bool) -> str:
    """A module whose pipeline ``owner`` passes a dictionary with the scale on to its transformer.

    Args:
        text: The module, with plain line feeds.
        owner: The pipeline.
        key: What the transformer calls the dictionary; a pipeline may have another name for it already.
        union_hints: Whether hints are ``X | None``.
    """
    call = find_method(text, owner, "__call__")
    if call is None or not transformer_calls(text, owner):
        return text
    name = next((known for known in KWARGS if known in parameters(call)), KWARGS[0])
    if name not in parameters(call):
        shown = declaration(text, name, union_hints)
        text = with_parameter(text, owner, "__call__", shown, after=("return_dict",), before=_BEFORE)
        text = with_hint_imports(text, union_hints)
    entry = _ENTRY.format(name=name)
    text = with_entry(text, owner, "__call__", entry, after=("return_dict",), before=_BEFORE)
    if f"self._{name}" not in _source(text, owner):
        text = with_statement(text, owner, "__call__", f"self._{name} = {name}", _keeps_an_argument)
    text = with_property(text, owner, name, before=("num_timesteps", "current_timestep", "interrupt", "__call__"))
    return with_keyword(text, lambda code: transformer_calls(code, owner), key, f"self.{name}", before="return_dict")


def _keeps_an_argument(statement: ast.stmt) -> bool:
    """``self._guidance_scale = guidance_scale``."""
    return (
        isinstance(statement, ast.Assign)
        and isinstance(statement.value, ast.Name)
        and ast.unparse(statement.targets[0]) == f"self._{statement.value.id}"
    )


def _source(text: str, owner: str) -> str:
    node = find_class(text, owner)
    return "\n".join(text.split("\n")[node.lineno - 1 : node.end_lineno]) if node else ""


def transformer_calls(text: str, owner: str) -> Sequence[ast.Call]:
    """The calls of a pipeline's transformers, by their own names or by a name that stands for one of them."""
    node = find_class(text, owner)
    if node is None:
        return ()
    own = re.compile(r"self\.(?:\w+_)?transformer(?:_\w+)?")
    names = {
        target.id
        for each in ast.walk(node)
        if isinstance(each, ast.Assign) and own.fullmatch(ast.unparse(each.value))
        for target in each.targets
        if isinstance(target, ast.Name)
    }
    return [
        each
        for each in ast.walk(node)
        if isinstance(each, ast.Call) and (own.fullmatch(shown := ast.unparse(each.func)) or shown in names)
    ]
