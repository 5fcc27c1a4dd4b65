"""The conversion script: the rules as a table, in the manner of the scripts of diffusers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .pieces import Shape
from .rule import Join, Rule, Rules
from .sizes import count_expression
from .surgery import Functions

BODY = Path(__file__).with_name("script_body.txt")


@dataclass(frozen=True)
class ScriptParts:
    """The parts of a script, as text.

    Attributes:
        functions: The functions that cut and reorder, and the configuration that they need.
        tables: The tables of keys.
        convert: The functions that convert a state dict by them.
    """

    functions: str
    tables: str
    convert: str


def script_parts(
    rules: Rules,
    sources: Mapping[str, Shape],
    config: Mapping[str, Any],
    class_name: str,
    kinds: Mapping[str, str],
    shown: Mapping[str, Any] | None = None,
) -> ScriptParts:
    """The parts of the script that the mapping decides.

    Args:
        rules: The rules.
        sources: The shapes of the sources.
        config: The configuration of the target.
        class_name: The target's class.
        kinds: The class of the module around each target, by key.
        shown: The configuration that the script names, where it is another than that of these sources.
    """
    functions = Functions(config)
    continuous = {key.rpartition(".")[0] for key, kind in kinds.items() if kind == "AdaLayerNormContinuous"}
    lines = []
    part = ""
    for rule in rules.rules:
        if rule.targets[0][0].split(".")[0] != part:
            part = rule.targets[0][0].split(".")[0]
            lines.append(f"    # {part}")
        lines += [f"    # {mark}" for mark in rule.marks]
        lines += _entry(rule, sources, functions, continuous)
    tables = [
        "# `original key -> diffusers keys`, where the key is a regular expression that matches a whole name and `{0}`,"
        " `{1}` ...",
        "# stand for its groups. Several diffusers keys need a function that returns as many tensors.",
        "TRANSFORMER_KEYS: dict[str, str | tuple[Callable, list[str]]] = {",
        *lines,
        "}",
    ]
    spread = [rule for rule in rules.rules if any(rule.spread)]
    if spread:
        tables += [
            "",
            "# How many blocks there are where one original tensor serves a layer of each of them, `{block}`.",
            "BLOCKS: dict[str, str] = {",
        ]
        for rule in spread:
            for text, place in zip(rule.formats(), rule.spread, strict=True):
                if place:
                    count = count_expression(place[1], config)
                    value = count.removeprefix('config["').removesuffix('"]')
                    tables.append(f'    "{text}": {value if count.isdecimal() else chr(34) + value + chr(34)},')
        tables.append("}")
        functions.uses_config = True
    if rules.joins:
        tables += ["", *_joined(rules.joins)]
    if rules.unused:
        tables += [
            "",
            "# What the original checkpoint holds and the model does not need.",
            "UNUSED_KEYS: list[str] = [",
        ]
        tables += [f'    r"{pattern}",' for pattern in rules.unused] + ["]"]
    texts = list(functions.texts)
    if functions.uses_config:
        texts = [text.replace("@CONFIG@", ", config: dict") for text in texts]
        texts.insert(
            0,
            "# The sizes that the original tensors are cut by, where no other configuration is given.\n"
            f"CONFIG = {_used_config(shown or config, [*texts, *tables])}\n",
        )
    else:
        texts = [text.replace("@CONFIG@", "") for text in texts]
    return ScriptParts(
        "\n\n".join(texts),
        "\n".join(tables) + "\n",
        _convert(class_name, functions.uses_config, bool(spread), bool(rules.joins), bool(rules.unused)),
    )


def _entry(rule: Rule, sources: Mapping[str, Shape], functions: Functions, continuous: set[str]) -> list[str]:
    pattern, targets = rule.regex(), rule.formats()
    if rule.surgery.is_rename and len(targets) == 1 and not any(rule.spread):
        return [f'    r"{pattern}": "{targets[0]}",']
    swaps = any(
        text.replace("#", "").startswith(module.replace("#", "")) for text, _ in rule.targets for module in continuous
    )
    name = functions.name(rule, sources[rule.keys[0]], swaps)
    return [
        f'    r"{pattern}": (',
        f"        {name},",
        f"        [{', '.join(f'{chr(34)}{one}{chr(34)}' for one in targets)}],",
        "    ),",
    ]


def _joined(joins: list[Join]) -> list[str]:
    lines = [
        "# `first original key -> the diffusers key and the original keys that are put together for it`, in order; rows",
        "# of a key in brackets.",
        "JOINED_KEYS: dict[str, tuple[str, list[tuple[str, slice]]]] = {",
    ]
    for join in joins:
        lines += [f"    # {mark}" for mark in join.marks]
        parts = ", ".join(
            f'("{text}", slice({"None" if rows is None else f"{rows[0]}, {rows[1]}"}))' for text, rows in join.sources
        )
        lines.append(f'    r"{join.regex}": ("{join.target}", [{parts}]),')
    return [*lines, "}"]


def _used_config(config: Mapping[str, Any], texts: list[str]) -> str:
    used = {key: value for key, value in config.items() if any(f'"{key}"' in text for text in texts)}
    return "{" + ", ".join(f'"{key}": {value!r}' for key, value in used.items()) + "}"


def _convert(class_name: str, config: bool, spread: bool, joins: bool, unused: bool) -> str:
    """The code that applies the tables; only what these tables need."""
    given = ", config: dict" if config else ""
    call = "function(tensor, config)" if config else "function(tensor)"
    lines: list[str | None] = [
        "def converted_tensors(",
        f"    original_state_dict: Mapping[str, torch.Tensor]{given}",
        ") -> Iterator[tuple[str, torch.Tensor]]:",
        '    """',
        "    Rename, and where needed rearrange, the weights of the original transformer, one after the other.",
        "",
        "    Args:",
        "        original_state_dict (`Mapping[str, torch.Tensor]`): The weights of the original transformer.",
        *(
            ["        config (`dict`): The configuration of the model, which the sizes are taken from."]
            if config
            else []
        ),
        "",
        "    Yields:",
        f"        `tuple[str, torch.Tensor]`: Key and weight of [`{class_name}`].",
        '    """',
        "    unknown_keys = []",
        *(["    joined_keys = set()"] if joins else []),
        "",
        "    for original_key in original_state_dict:",
    ]
    if unused:
        lines += [
            "        if any(re.fullmatch(pattern, original_key) for pattern in UNUSED_KEYS):",
            "            continue",
        ]
    if joins:
        lines += [
            "        for pattern, (target, originals) in JOINED_KEYS.items():",
            "            match = re.fullmatch(pattern, original_key)",
            "            if match is not None:",
            "                keys = [key.format(*match.groups()) for key, _ in originals]",
            "                parts = [original_state_dict[key][rows] for key, (_, rows) in zip(keys, originals)]",
            "                joined_keys.update(keys)",
            "                yield target.format(*match.groups()), torch.cat(parts, dim=0)",
        ]
    lines += [
        "        for pattern, target in TRANSFORMER_KEYS.items():",
        "            match = re.fullmatch(pattern, original_key)",
        "            if match is not None:",
        "                break",
        "        else:",
        "            unknown_keys.append(original_key)",
        "            continue",
        "",
        "        tensor = original_state_dict[original_key]",
        "        if isinstance(target, str):",
        "            yield target.format(*match.groups()), tensor",
        "        else:",
        "            function, keys = target",
        f"            for key, part in zip(keys, {call}, strict=True):",
    ]
    if spread:
        lines += [
            "                count = BLOCKS.get(key, 1)",
            "                for block in range(count if isinstance(count, int) else config[count]):",
            "                    # The parts of a tensor share its memory, which safetensors refuses to save.",
            "                    yield key.format(*match.groups(), block=block), part.clone()",
        ]
    else:
        lines += [
            "                # The parts of a tensor share its memory, which safetensors refuses to save.",
            "                yield key.format(*match.groups()), part.clone()",
        ]
    if joins:
        lines += ["", "    unknown_keys = [key for key in unknown_keys if key not in joined_keys]"]
    lines += [
        "" if not joins else None,
        "    if unknown_keys:",
        "        raise ValueError(",
        '            f"{len(unknown_keys)} keys of the original checkpoint are in none of the tables:"',
        "            f\" {', '.join(unknown_keys[:10])}{' ...' if len(unknown_keys) > 10 else ''}\"",
        "        )",
        "",
        "",
        "def convert_transformer_state_dict(",
        "    original_state_dict: Mapping[str, torch.Tensor]" + (", config: dict | None = None" if config else ""),
        ") -> dict[str, torch.Tensor]:",
        '    """',
        "    Rename, and where needed rearrange, the weights of the original transformer.",
        "",
        "    Args:",
        "        original_state_dict (`Mapping[str, torch.Tensor]`): The weights of the original transformer.",
        *(
            ["        config (`dict`, *optional*): The configuration of the model. By default, `CONFIG`."]
            if config
            else []
        ),
        "",
        "    Returns:",
        f"        `dict[str, torch.Tensor]`: The weights of [`{class_name}`].",
        '    """',
        "    return dict(converted_tensors(original_state_dict"
        + (", {**CONFIG, **(config or {})}" if config else "")
        + "))",
    ]
    return "\n".join(line for line in lines if line is not None) + "\n"


def whole_script(parts: ScriptParts, class_name: str, module: str, file_name: str) -> str:
    """A script that stands alone.

    Args:
        parts: What the mapping decides.
        class_name: The target's class.
        module: The module that it is imported from.
        file_name: The name of the script, for its docstring.
    """
    config = "config: dict" in parts.convert
    values = {
        "@CLASS@": class_name,
        "@MODULE@": module,
        "@SCRIPT@": file_name,
        "@FUNCTIONS@": parts.functions + "\n\n" if parts.functions else "",
        "@TABLES@": parts.tables + "\n\n",
        "@CONVERT@": parts.convert + "\n\n",
        "@GIVEN@": ", dict(model.config)" if config else "",
    }
    text = BODY.read_text(encoding="utf-8")
    for mark, value in values.items():
        text = text.replace(mark, value)
    return text
