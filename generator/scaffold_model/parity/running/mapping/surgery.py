"""The functions of the script that cut, reorder and reshape tensors."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .pieces import Shape
from .rule import Output, Rule, Surgery
from .sizes import expression

#: What the last words of a target's key say of its part in a fused tensor.
_PARTS = (
    ("q", r"(to_|add_|norm_)?q(_proj)?|query|to_q\w*"),
    ("k", r"(to_|add_)?k(_proj)?|key|to_k\w*"),
    ("v", r"(to_|add_)?v(_proj)?|value|to_v\w*"),
    ("mlp", r"\w*mlp\w*|ff|ffn|net|proj_mlp"),
    ("gate", r"\w*gate\w*"),
)


@dataclass
class Functions:
    """The functions that a script needs, each with a name of its own.

    Attributes:
        config: The configuration that sizes are taken from.
        names: By surgery and number of axes, the name.
        texts: The functions, in order.
        uses_config: Whether any of them needs the configuration.
    """

    config: Mapping[str, Any]
    names: dict[object, str] = field(default_factory=dict)
    texts: list[str] = field(default_factory=list)
    uses_config: bool = False

    def name(self, rule: Rule, source: Shape, swaps_scale: bool) -> str:
        """The function for a rule.

        Args:
            rule: The rule.
            source: The shape of its source.
            swaps_scale: Whether its target takes scale and shift of an adaptive norm.
        """
        identity = rule.surgery
        if identity not in self.names:
            wanted = _name(rule, swaps_scale)
            taken = set(self.names.values())
            name = next(
                one
                for one in (wanted, *(f"{wanted}_{number}" for number in range(2, len(taken) + 3)))
                if one not in taken
            )
            self.names[identity] = name
            self.texts.append(self._text(name, rule.surgery, source, wanted))
        return self.names[identity]

    def _text(self, name: str, surgery: Surgery, source: Shape, kind: str) -> str:
        comment = _COMMENTS.get(kind, "")
        interleaved = _interleaved(surgery)
        if interleaved:
            return self._interleaved(name, surgery, interleaved)
        lines = [f"    # {comment}"] if comment else []
        if len(surgery.rows) > 1:
            lines += self._split(surgery.rows)
        results = []
        for output in surgery.outputs:
            parts = [f"parts[{index}]" for index in output.segments] if len(surgery.rows) > 1 else ["tensor"]
            text = parts[0] if len(parts) == 1 else f"torch.cat([{', '.join(parts)}], dim=0)"
            results.append(self._shaped(text, output, source))
        if len(surgery.rows) > 1 and results == [f"parts[{index}]" for index in range(len(surgery.rows))]:
            lines[-1] = lines[-1].replace("parts = ", "return ")
        else:
            lines.append(f"    return ({', '.join(results)}{',' if len(results) == 1 else ''})")
        return f"def {name}(tensor: torch.Tensor@CONFIG@) -> tuple[torch.Tensor, ...]:\n" + "\n".join(lines) + "\n"

    def _interleaved(self, name: str, surgery: Surgery, parts: int) -> str:
        count = len(surgery.rows) // parts
        heads = next((key for key, value in self.config.items() if value == count and "head" in key), None)
        self.uses_config = self.uses_config or heads is not None
        number = f'config["{heads}"]' if heads else str(count)
        return (
            f"def {name}(tensor: torch.Tensor@CONFIG@) -> tuple[torch.Tensor, ...]:\n"
            "    # The rows of the original layer go head by head.\n"
            f"    by_head = tensor.unflatten(0, ({number}, {parts}, -1))\n"
            "    return tuple(part.flatten(0, 1) for part in by_head.unbind(1))\n"
        )

    def _split(self, rows: tuple[int, ...]) -> list[str]:
        if len(set(rows)) == 1:
            return [f"    parts = tensor.chunk({len(rows)}, dim=0)"]
        sizes: list[str] = []
        names: dict[int, str] = {}
        lines = []
        # The last part is whatever is left.
        for size in rows[:-1]:
            if size not in names:
                text = expression(size, self.config)
                if text is None:
                    return [
                        f"    unit = tensor.shape[0] // {sum(_ratio(rows))}",
                        f"    parts = tensor.split([part * unit for part in {_ratio(rows)}], dim=0)",
                    ]
                self.uses_config = True
                names[size] = "size" if not names else f"size_{len(names) + 1}"
                lines.append(f"    {names[size]} = {text}")
            sizes.append(names[size])
        rest = f"tensor.shape[0] - {' - '.join(sizes)}"
        return [*lines, f"    parts = tensor.split([{', '.join([*sizes, rest])}], dim=0)"]

    def _shaped(self, text: str, output: Output, source: Shape) -> str:
        if output.permute == (1, 0) and not output.view:
            return f"{text}.t()"
        if output.permute:
            if output.view:
                text = f"{text}.reshape({self._sizes(output.view)})"
            text = f"{text}.permute({', '.join(str(axis) for axis in output.permute)})"
        elif output.shape is None:
            return text
        shape = output.shape or ()
        if len(shape) == 2 and len(source) > 2 and not output.view and (output.permute or shape[0] == source[0]):
            return f"{text}.flatten(1)"
        if not output.permute and shape == (1, *source):
            return f"{text}[None]"
        if not output.permute and (1, *shape) == source:
            return f"{text}[0]"
        return f"{text}.reshape({self._sizes(shape)})"

    def _sizes(self, shape: Shape) -> str:
        """A shape whose largest axis is whatever is left; of the others, the large ones are taken from the configuration."""
        rest = max(range(len(shape)), key=lambda axis: shape[axis])
        sizes = []
        for axis, size in enumerate(shape):
            found = expression(size, self.config) if size > 8 and axis != rest else None
            self.uses_config = self.uses_config or found is not None
            sizes.append("-1" if axis == rest else found or str(size))
        return ", ".join(sizes)


_COMMENTS = {
    "split_qkv": "The original layer computes query, key and value with one matrix.",
    "split_kv": "The original layer computes key and value with one matrix.",
    "split_qkv_mlp": "The original layer computes query, key, value and the input of the feed-forward with one matrix.",
    "transpose": "The original layer is stored for `x @ weight`.",
    "reorder_patches": "The original layer has the elements of a patch in another order.",
    "swap_shift_scale": "The original layer predicts [shift, scale], AdaLayerNormContinuous expects [scale, shift].",
}


def _interleaved(surgery: Surgery) -> int:
    """How many targets share a source whose rows go to them in turn; 0 where they do not."""
    parts, count = len(surgery.outputs), len(surgery.rows)
    in_turn = [tuple(range(first, count, parts)) for first in range(parts)]
    regular = len(set(surgery.rows)) == 1 and count > parts > 1 and count % parts == 0
    plain = all(output.shape is None for output in surgery.outputs)
    return parts if regular and plain and [output.segments for output in surgery.outputs] == in_turn else 0


def _ratio(rows: tuple[int, ...]) -> tuple[int, ...]:
    import math

    unit = math.gcd(*rows)
    return tuple(size // unit for size in rows)


def _name(rule: Rule, swaps_scale: bool) -> str:
    surgery = rule.surgery
    orders = [output.segments for output in surgery.outputs]
    if len(surgery.rows) == 1:
        if any(output.permute == (1, 0) and not output.view for output in surgery.outputs):
            return "transpose"
        if any(output.permute for output in surgery.outputs):
            return "reorder_patches"
        return "copy" if all(output.shape is None for output in surgery.outputs) else "reshape"
    if orders == [(1, 0)]:
        return "swap_shift_scale" if swaps_scale else "swap_halves"
    if len(orders) == 1:
        return "reorder"
    prefix = "split_interleaved" if _interleaved(surgery) else "split"
    parts = [_part(text) for text, _ in rule.targets]
    if all(parts) and len(set(parts)) == len(parts):
        # One letter each where they are single letters, as in qkv.
        names = "".join(part if len(part) == 1 else f"_{part}" for part in parts if part)
        return f"{prefix}_{names.lstrip('_')}"
    return f"{prefix}_in_{len(surgery.outputs)}"


def _part(target: str) -> str | None:
    for word in reversed([word for word in target.split(".") if word not in ("#", "weight", "bias", "proj")]):
        for part, expression_ in _PARTS:
            if re.fullmatch(expression_, word):
                return part
    return None
