"""Sizes as expressions of a configuration, so that no script has the sizes of one checkpoint in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def expression(size: int, config: Mapping[str, Any]) -> str | None:
    """Python for a number of rows, such as ``config["num_attention_heads"] * config["attention_head_dim"]``.

    Args:
        size: The number of rows.
        config: The configuration.

    Returns:
        The first of: heads times their size, one entry, a small multiple of either, a product of two entries. None
        where no such expression has this value.
    """
    for value, text in _terms(config):
        if value == size:
            return text
    for factor in (2, 3, 4, 6, 8):
        for value, text in _terms(config):
            if value * factor == size:
                return f"{factor} * {text}"
    numbers = _numbers(config)
    for position, (one, value) in enumerate(numbers):
        for other, another in numbers[position:]:
            if value * another == size and value > 1 and another > 1:
                return f'config["{one}"] * config["{other}"]'
    return None


def count_expression(count: int, config: Mapping[str, Any]) -> str:
    """Python for a number of blocks: the entry of the configuration that counts them, else the number itself."""
    named = [
        key
        for key, value in _numbers(config)
        if value == count and any(word in key for word in ("layer", "depth", "block"))
    ]
    return f'config["{min(named, key=len)}"]' if named else str(count)


def _terms(config: Mapping[str, Any]) -> Iterator[tuple[int, str]]:
    numbers = dict(_numbers(config))
    sizes = [key for key in numbers if "head_dim" in key or key == "dim_head"]
    heads = [key for key in numbers if "head" in key and key not in sizes]
    # Query heads come before key and value heads, whose names are longer.
    for head in sorted(heads, key=len):
        for size in sizes:
            yield numbers[head] * numbers[size], f'config["{head}"] * config["{size}"]'
    for key, value in numbers.items():
        if any(word in key for word in ("dim", "size", "width", "channels")) and "patch" not in key:
            yield value, f'config["{key}"]'


def _numbers(config: Mapping[str, Any]) -> list[tuple[str, int]]:
    return [(key, value) for key, value in config.items() if isinstance(value, int) and not isinstance(value, bool)]
