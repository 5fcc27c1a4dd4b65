"""`forward` with the scale of LoRA layers set and reset by hand, for a checkout without the decorator that does it."""

from __future__ import annotations

import ast

import libcst as cst
import libcst.matchers as m

from .nodes import Statement, spaced, statements

_DECORATOR = m.Decorator(m.Call(func=m.Name("apply_lora_scale")))

_SCALE = """\
if {kwargs} is not None:
    {kwargs} = {kwargs}.copy()
    lora_scale = {kwargs}.pop("scale", 1.0)
else:
    lora_scale = 1.0

if USE_PEFT_BACKEND:
    # weight the lora layers by setting `lora_scale` for each PEFT layer
    scale_lora_layers(self, lora_scale)
"""
_UNSCALE = """\
if USE_PEFT_BACKEND:
    # remove `lora_scale` from each PEFT layer
    unscale_lora_layers(self, lora_scale)
"""
_IMPORTED = ("USE_PEFT_BACKEND", "scale_lora_layers", "unscale_lora_layers")


def scaled_by_hand(text: str) -> str:
    """A module whose functions do themselves what `@apply_lora_scale(...)` would do."""
    return cst.parse_module(text).visit(_Scale()).code


class _Scale(m.MatcherDecoratableTransformer):
    @m.leave(m.FunctionDef(decorators=[m.ZeroOrMore(), _DECORATOR, m.ZeroOrMore()]))
    def _function(self, original_node: cst.FunctionDef, updated_node: cst.FunctionDef) -> cst.FunctionDef:
        decorator = next(one for one in updated_node.decorators if m.matches(one, _DECORATOR))
        call = cst.ensure_type(decorator.decorator, cst.Call)
        kwargs = ast.literal_eval(cst.ensure_type(call.args[0].value, cst.SimpleString).value)
        body: list[Statement] = [*updated_node.body.body]
        start = 1 if original_node.get_docstring() is not None else 0
        # Nothing that returns may come before the reset: the layers would keep the scale of this call.
        end = next((index for index, one in enumerate(body) if m.findall(one, m.Return())), len(body))
        scale, unscale = statements(_SCALE.format(kwargs=kwargs)), statements(_UNSCALE)
        if not start:
            scale[0] = scale[0].with_changes(leading_lines=[])
        for place, added in ((end, unscale), (start, scale)):
            if place < len(body):
                body[place] = spaced(body[place])
            body[place:place] = added
        return updated_node.with_changes(
            decorators=[one for one in updated_node.decorators if one is not decorator],
            body=updated_node.body.with_changes(body=body),
        )

    @m.leave(m.ImportFrom(names=[m.ZeroOrMore(), m.ImportAlias(m.Name("apply_lora_scale")), m.ZeroOrMore()]))
    def _import(self, original_node: cst.ImportFrom, updated_node: cst.ImportFrom) -> cst.ImportFrom:
        assert not isinstance(updated_node.names, cst.ImportStar)
        names = [cst.ensure_type(alias.name, cst.Name).value for alias in updated_node.names]
        names[names.index("apply_lora_scale") : names.index("apply_lora_scale") + 1] = _IMPORTED
        return updated_node.with_changes(names=[cst.ImportAlias(cst.Name(name)) for name in names])
