"""What ``map`` shows: a table over block indices, the ties, and what of either side is left over."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

#: A choice with less confidence is counted as a guess.
CERTAIN = 0.75


@dataclass(frozen=True)
class Row:
    """Targets that differ in their indices only, and what they are made of.

    Attributes:
        target: The target key with ``#`` for the indices.
        count: How many targets it stands for.
        source: The source keys in the same way, with rows.
        transform: What is done to them.
        confidence: The lowest of all.
        ties: What else they may be.
    """

    target: str
    count: int
    source: str
    transform: str
    confidence: float
    ties: tuple[str, ...]


def pattern(key: str) -> str:
    """A key with ``#`` for each number that is a word.

    >>> pattern("blocks.11.ff.net.0.proj.weight")
    'blocks.#.ff.net.#.proj.weight'
    """
    return re.sub(r"(?<![^.])\d+(?![^.])", "#", key)


def rows(choices: list[dict[str, Any]]) -> list[Row]:
    """The table, in the order of the target; weight and bias of a module that go the same way share a row."""
    groups: dict[tuple[str, str, str, tuple[str, ...]], list[dict[str, Any]]] = defaultdict(list)
    for choice in choices:
        module, _, leaf = choice["target"].rpartition(".")
        source = _without(written(choice["pieces"]), leaf)
        ties = tuple(_without(written(pieces), leaf) for pieces in choice["ties"])
        groups[pattern(module or leaf), source, choice["transform"], ties].append(choice)
    found = []
    for (module, source, transform, ties), members in groups.items():
        leaves = list(dict.fromkeys(choice["target"].rpartition(".")[2] for choice in members))
        own = f".{leaves[0]}" if len(leaves) == 1 else f".({', '.join(leaves)})"
        target = module + ("" if members[0]["target"] == module or "." not in members[0]["target"] else own)
        confidence = min(choice["confidence"] for choice in members)
        count = len(members) // len(leaves)
        texts = [text.replace("@", own) for text in (source, *ties)]
        found.append(Row(target, count, texts[0], transform, confidence, tuple(texts[1:])))
    return found


def _without(text: str, leaf: str) -> str:
    """Source keys with a mark in place of the last word, where that is the target's."""
    return re.sub(rf"\.{re.escape(leaf)}(?=$| )", "@", text)


def written(pieces: list[dict[str, Any]]) -> str:
    """Pieces in words: ``blocks.#.qkv.weight [0:48 of 144]``."""
    texts = []
    for piece in pieces:
        whole = piece["start"] == 0 and piece["stop"] == piece["of"]
        texts.append(
            pattern(piece["source"]) + ("" if whole else f" [{piece['start']}:{piece['stop']} of {piece['of']}]")
        )
    return " + ".join(texts)


def coverage(result: dict[str, Any]) -> dict[str, Any]:
    """What of both sides the mapping covers.

    Returns:
        ``targets``, ``mapped``, ``ties`` and ``guesses`` as numbers, ``missing`` (targets without a source),
        ``sources``, ``used`` as numbers, ``unused`` (source keys), ``partly_used`` (source key and the rows left over).
    """
    taken: dict[str, set[int]] = defaultdict(set)
    sizes: dict[str, int] = {}
    for choice in result["choices"]:
        for piece in choice["pieces"]:
            taken[piece["source"]].update(range(piece["start"], piece["stop"]))
            sizes[piece["source"]] = piece["of"]
    missing = [choice["target"] for choice in result["choices"] if not choice["pieces"]]
    unused = [source["key"] for source in result["sources"] if not source["used"]]
    ties = [choice["target"] for choice in result["choices"] if choice["ties"]]
    guesses = [
        choice["target"]
        for choice in result["choices"]
        if choice["pieces"] and not choice["ties"] and choice["confidence"] < CERTAIN
    ]
    return {
        "targets": len(result["choices"]),
        "mapped": len(result["choices"]) - len(missing),
        "ties": len(ties),
        "guesses": len(guesses),
        "missing": missing,
        "sources": len(result["sources"]),
        "used": len(result["sources"]) - len(unused),
        "unused": unused,
        "partly_used": {key: sizes[key] - len(rows) for key, rows in taken.items() if len(rows) < sizes[key]},
    }


def is_complete(result: dict[str, Any]) -> bool:
    """Whether nothing is left to decide: every target has a source, and no tie, guess or doubt remains."""
    found = coverage(result)
    settled = not (found["missing"] or found["ties"] or found["guesses"])
    ran = result.get("max_diff")
    return settled and not result.get("unproved") and (ran is None or ran < 1e-3)


def print_map(result: dict[str, Any], script: str) -> None:
    """The table and the summary, on standard output."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(highlight=False, soft_wrap=True)
    if not console.is_terminal:
        console = Console(highlight=False, soft_wrap=True, width=160)
    table = Table("model", "", "checkpoint", "what is done", "sure", box=None, padding=(0, 1), header_style="bold")
    for row in rows(result["choices"]):
        tie = f"\n[yellow]or {escape(' or '.join(row.ties[:3]))}[/yellow]" if row.ties else ""
        more = f"\n[yellow]or {len(row.ties) - 3} others[/yellow]" if len(row.ties) > 3 else ""
        count = f"x{row.count}" if row.count > 1 else ""
        style = "red" if not row.source else "yellow" if row.ties or row.confidence < CERTAIN else ""
        source = escape(row.source) if row.source else "nothing fits"
        table.add_row(
            escape(row.target), count, source + tie + more, row.transform, f"{row.confidence:.2f}", style=style
        )
    for column in table.columns:
        column.overflow = "fold"
    console.print(table)
    console.print()
    for line in summary(result, script):
        console.print(line, markup=False)


def summary(result: dict[str, Any], script: str) -> list[str]:
    """The lines below the table."""
    found = coverage(result)
    lines = [
        f"{found['mapped']} of {found['targets']} tensors of {result['target_class']} have a source, "
        f"{found['used']} of {found['sources']} of the checkpoint are used.",
    ]
    if found["missing"]:
        lines.append(f"Without a source: {_some(found['missing'])}.")
    if found["unused"]:
        lines.append(f"Not used: {_some(found['unused'])}.")
    if found["partly_used"]:
        left = [f"{count} rows of {key}" for key, count in found["partly_used"].items()]
        lines.append(f"Partly used: {_some(left)} are left over.")
    if result.get("larger"):
        lines.append(
            "Found with the small models of the harness; the script fits the checkpoint and --config as well."
        )
    if "apart" in result:
        lines.append(
            f"The outputs of the two sides stay {result['apart']:.1e} apart whatever the weights are: they compute"
            " different functions, so that running can not settle the mapping. It is by names and shapes alone; mend the"
            f" port and run again. max_diff is {result['max_diff']:.1e} as it is."
        )
    elif "max_diff" in result:
        unproved = f"; not proved: {_some(result['unproved'])}" if result["unproved"] else ""
        lines.append(f"Both sides run: max_diff {result['max_diff']:.1e}{unproved}.")
        hidden = [choice["target"] for choice in result["choices"] if "it does not show" in choice["evidence"]]
        if hidden:
            lines.append(
                f"{len(hidden)} can not show in any output, and go with what they stand beside: {_some(hidden)}."
            )
    if found["ties"] or found["guesses"]:
        lines.append(
            f"{found['ties']} ties and {found['guesses']} guesses are left, marked in the script; a harness (--harness"
            " FILE) settles them by running."
        )
    lines.append(f"Wrote {script}.")
    return lines


def _some(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def map_json(result: dict[str, Any], script: str) -> dict[str, Any]:
    """The stable JSON of ``map``."""
    ran: dict[str, Any] = {key: result[key] for key in ("max_diff", "unproved") if key in result}
    return {
        "status": "complete" if is_complete(result) else "open",
        "class": result["target_class"],
        "script": script,
        "coverage": coverage(result),
        **ran,
        "targets": [
            {
                "target": choice["target"],
                "shape": choice["shape"],
                "sources": list(dict.fromkeys(piece["source"] for piece in choice["pieces"])),
                "slices": choice["pieces"],
                "transform": choice["transform"],
                "confidence": choice["confidence"],
                "evidence": choice["evidence"],
                "ties": choice["ties"],
            }
            for choice in result["choices"]
        ],
    }
