"""The picture of the error per layer: one dot a layer, in execution order, on a logarithmic scale."""

from __future__ import annotations

import math
from html import escape
from typing import Any

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 1100, 460, 64, 84, 34, 132
_AGREES, _DIFFERS, _GRID, _GUILTY = "#1f6feb", "#b3261e", "#8c959f", "#9a6700"

#: Below this relative difference two float32 computations of the same thing are one, as `running.aligned` has it.
ROUNDING = 1e-5


def picture(result: dict[str, Any]) -> str:
    """The SVG, which says its numbers when the pointer rests on a dot."""
    layers = result["layers"]
    if not layers:
        return "<p>No layer of the two sides could be paired.</p>"
    values = [layer["max_diff"] for layer in layers]
    finite = [value for value in values if value]
    low = math.floor(math.log10(min([*finite, 1e-7, result["tolerance"]])))
    low = max(low, -9)
    high = math.ceil(math.log10(max([*finite, result["tolerance"] * 10])))

    def x(index: int) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (index + 0.5) / len(layers)

    def y(value: float | None) -> float:
        # What is not finite stands at the top, what is zero at the bottom.
        power = high if value is None else low if value <= 0 else min(max(math.log10(value), low), high)
        return TOP + (HEIGHT - TOP - BOTTOM) * (high - power) / (high - low)

    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" xmlns="http://www.w3.org/2000/svg" font-family="system-ui, sans-serif" font-size="12">',
        "<title>Largest difference per layer, in execution order</title>",
    ]
    for power in range(low, high + 1):
        at = y(10.0**power)
        parts.append(
            f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at:.1f}" y2="{at:.1f}" stroke="{_GRID}" stroke-opacity=".25"/>'
        )
        parts.append(f'<text x="{LEFT - 8}" y="{at + 4:.1f}" text-anchor="end" fill="#1b1f24">1e{power}</text>')
    at = y(result["tolerance"])
    parts.append(
        f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at:.1f}" y2="{at:.1f}" stroke="{_DIFFERS}" stroke-dasharray="6 4"/>'
    )
    parts.append(
        f'<text x="{WIDTH - RIGHT}" y="{at - 5:.1f}" text-anchor="end" fill="{_DIFFERS}">tolerance {result["tolerance"]:.0e}</text>'
    )
    parts += _sections(layers, x)
    guilty = result["first_divergence"]["target_module"] if result["first_divergence"] else None
    marked = marked_layer(layers, guilty)
    if guilty is not None and marked is not None:
        spot = x(marked)
        anchor = "end" if spot > WIDTH / 2 else "start"
        shift = -6 if anchor == "end" else 6
        parts.append(
            f'<line x1="{spot:.1f}" x2="{spot:.1f}" y1="{TOP - 8}" y2="{HEIGHT - BOTTOM}" stroke="{_GUILTY}" stroke-width="2"/>'
        )
        name = guilty or "the model's own forward"
        parts.append(
            f'<text x="{spot + shift:.1f}" y="{TOP - 12}" text-anchor="{anchor}" fill="{_GUILTY}" font-weight="600">first divergence: {escape(name)}</text>'
        )
    points = " ".join(f"{x(index):.1f},{y(value):.1f}" for index, value in enumerate(values))
    parts.append(f'<polyline points="{points}" fill="none" stroke="{_GRID}" stroke-opacity=".6"/>')
    radius = 4 if len(layers) < 150 else 2.5
    for index, layer in enumerate(layers):
        relative = layer["relative"]
        colour = _AGREES if relative is not None and relative <= ROUNDING else _DIFFERS
        difference = "not finite" if layer["max_diff"] is None else f"{layer['max_diff']:.2e}"
        ratio = "" if relative is None else f", relative {relative:.2e}"
        words = f"{layer['target_module']}  (reference: {layer['reference_module']})  max_diff {difference}{ratio}"
        parts.append(
            f'<circle cx="{x(index):.1f}" cy="{y(layer["max_diff"]):.1f}" r="{radius}" fill="{colour}"><title>{escape(words)}</title></circle>'
        )
    parts.append(
        f'<text x="{LEFT}" y="{HEIGHT - 8}" fill="#1b1f24">blue: agrees but for rounding; red: differs; a dot tells its module when the pointer rests on it</text>'
    )
    parts.append("</svg>")
    return "\n".join(parts)


def marked_layer(layers: list[dict[str, Any]], guilty: str | None) -> int | None:
    """Where the first divergence is drawn: at its module, else at the first layer that differs."""
    if guilty:
        for index, layer in enumerate(layers):
            inside = layer["target_module"] == guilty or layer["target_module"].startswith(guilty + ".")
            if inside and (layer["relative"] is None or layer["relative"] > ROUNDING):
                return index
    for index, layer in enumerate(layers):
        if layer["relative"] is None or layer["relative"] > ROUNDING:
            return index
    return len(layers) - 1 if layers else None


def _sections(layers: list[dict[str, Any]], x: Any) -> list[str]:
    """The names of the parts of the model below the axis: as many as there is room for."""
    parts: list[str] = []
    groups: list[tuple[str, int, int]] = []
    for index, layer in enumerate(layers):
        names = layer["target_module"].split(".")
        name = ".".join(names[:2]) if len(names) > 1 and names[1].isdigit() else names[0]
        if groups and groups[-1][0] == name:
            groups[-1] = (name, groups[-1][1], index)
        else:
            groups.append((name, index, index))
    base = HEIGHT - BOTTOM
    last = -1000.0
    for number, (name, first, end) in enumerate(groups):
        left, right = x(first) - 3, x(end) + 3
        if number % 2 == 0:
            parts.append(
                f'<rect x="{left:.1f}" y="{TOP}" width="{max(right - left, 1):.1f}" height="{base - TOP}" fill="{_GRID}" fill-opacity=".07"/>'
            )
        middle = (left + right) / 2
        if middle - last >= 15:
            parts.append(
                f'<text transform="translate({middle:.1f} {base + 12}) rotate(35)" fill="#1b1f24" font-size="11">{escape(name)}</text>'
            )
            last = middle
    return parts
