"""What `parity` shows: a table on the terminal, and one page with a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .picture import marked_layer, picture

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1b1f24; background: #fff; margin: 2rem auto; max-width: 76rem; padding: 0 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .25rem .9rem .25rem 0; border-bottom: 1px solid #d8dee4; vertical-align: top; }
td.number, th.number { text-align: right; } code { font: 13px ui-monospace, monospace; }
.passed { color: #116329; } .failed { color: #b3261e; } svg { width: 100%; height: auto; }
details { margin-top: 1.5rem; } @media (prefers-color-scheme: dark) { body { color: #e6edf3; background: #0d1117; }
th, td { border-color: #30363d; } .passed { color: #56d364; } .failed { color: #ff8f85; } svg text { fill: #e6edf3 !important; } }
"""


def verdict(result: dict[str, Any]) -> str:
    """One sentence: whether it passed, and by how much."""
    difference = shown(result["max_diff"])
    if result["passed"]:
        return f"passed: max_diff {difference}, tolerance {result['tolerance']:.0e}"
    if result["mismatches"] and result["max_diff"] is not None and result["max_diff"] < result["tolerance"]:
        return f"failed: weights do not load strictly, though max_diff is {difference}"
    return f"failed: max_diff {difference}, tolerance {result['tolerance']:.0e}"


def shown(value: float | None) -> str:
    """A difference; what is not finite stands in JSON as null."""
    return "not finite" if value is None else f"{value:.2e}"


def where(divergence: dict[str, Any]) -> str:
    """The first module that disagrees, in words."""
    return divergence["target_module"] or "the model's own forward"


def print_parity(result: dict[str, Any], html: Path | None) -> None:
    """The table, the first divergence and its causes."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(soft_wrap=False)
    table = Table(box=None, pad_edge=False)
    for column, justify in (("module", "left"), ("reference", "left"), ("max diff", "right"), ("relative", "right")):
        table.add_column(column, justify=justify, overflow="fold")  # type: ignore[arg-type]
    guilty = result["first_divergence"]["target_module"] if result["first_divergence"] else None
    for layer in _short(result["layers"], guilty):
        if layer is None:
            table.add_row("...", "", "", "")
            continue
        style = "bold red" if layer["target_module"] == guilty else None
        table.add_row(
            escape(layer["target_module"]),
            escape(layer["reference_module"]),
            shown(layer["max_diff"]),
            shown(layer["relative"]),
            style=style,
        )
    console.print(table)
    for output in result["outputs"]:
        shape = " x ".join(map(str, output["shape"]))
        console.print(f"output {output['index']} ({shape}): max_diff {shown(output['max_diff'])}")
    for mismatch in result["mismatches"][:12]:
        words = (
            "the model needs it, and convert does not make it"
            if mismatch["kind"] == "missing"
            else "convert makes it, and the model has no such weight"
        )
        console.print(f"[yellow]weight[/] {escape(mismatch['key'])}: {words}")
    for line in result.get("notices", ()):
        console.print(f"[yellow]notice[/] {escape(line)}")
    loop = result.get("loop")
    if loop and loop.get("steps"):
        last = loop["steps"][-1]
        console.print(
            f"denoising loop of {len(loop['steps'])} steps: max_diff {shown(loop['steps'][0]['max_diff'])} after the first, {shown(last['max_diff'])} after the last"
        )
    for drift in result.get("drift", ()):
        console.print(
            f"{drift['dtype']} on {drift['device']}: max_diff {shown(drift['max_diff'])} from float32 on the CPU, relative {shown(drift['relative'])}"
        )
    console.print(f"[bold {'green' if result['passed'] else 'red'}]{verdict(result)}[/]")
    divergence = result["first_divergence"]
    if divergence:
        reference = divergence["reference_module"]
        beside = f" (reference: {reference})" if reference else ""
        console.print(
            f"first divergence: [bold]{escape(where(divergence))}[/]{escape(beside)}, max_diff {shown(divergence['max_diff'])}"
        )
        for cause in divergence["causes"]:
            console.print(
                f"  [bold]{cause['tag']}[/]  {escape(cause['evidence'])}: max_diff {shown(cause['max_diff_after'])}"
            )
        if not divergence["causes"]:
            console.print("  no single change that was tried makes it agree")
    if html is not None:
        console.print(f"picture: {escape(str(html))}")


def _short(layers: list[dict[str, Any]], guilty: str | None) -> list[dict[str, Any] | None]:
    """The layers that a terminal has room for: all of few, else the ends and those around the first divergence."""
    if len(layers) <= 40:
        return list(layers)
    at = marked_layer(layers, guilty) if guilty is not None else None
    if at is None:
        at = len(layers)
    kept = {*range(6), *range(len(layers) - 6, len(layers)), *range(max(at - 5, 0), min(at + 6, len(layers)))}
    found: list[dict[str, Any] | None] = []
    for index, layer in enumerate(layers):
        if index in kept:
            found.append(layer)
        elif found and found[-1] is not None:
            found.append(None)
    return found


def page(result: dict[str, Any], title: str) -> str:
    """One page that needs nothing beside it: the verdict, the picture, causes, outputs and every layer."""
    from html import escape

    def rows(lines: list[list[str]], heads: list[str], numbers: set[int]) -> str:
        head = "".join(
            f"<th{' class=number' if index in numbers else ''}>{each}</th>" for index, each in enumerate(heads)
        )
        body = "".join(
            "<tr>"
            + "".join(
                f"<td{' class=number' if index in numbers else ''}>{each}</td>" for index, each in enumerate(line)
            )
            + "</tr>"
            for line in lines
        )
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"

    def code(text: str | None) -> str:
        return f"<code>{escape(text)}</code>" if text else ""

    divergence = result["first_divergence"]
    parts = [
        f"<h1>Parity of {escape(title)}</h1>",
        f'<p class="{"passed" if result["passed"] else "failed"}"><strong>{escape(verdict(result))}</strong></p>',
    ]
    if divergence:
        beside = f", in the reference {code(divergence['reference_module'])}" if divergence["reference_module"] else ""
        name = code(divergence["target_module"]) or "the model's own forward"
        parts.append(
            f"<p>The first module whose inputs agree and whose output does not: {name}{beside}, max_diff {shown(divergence['max_diff'])}.</p>"
        )
    parts += ["<h2>Difference per layer, in execution order</h2>", picture(result)]
    if divergence:
        lines = [
            [f"<strong>{each['tag']}</strong>", escape(each["evidence"]), shown(each["max_diff_after"])]
            for each in divergence["causes"]
        ]
        parts += [
            "<h2>Causes that were tried</h2>",
            rows(lines, ["cause", "evidence", "max_diff after"], {2})
            if lines
            else "<p>No single change that was tried makes it agree.</p>",
        ]
    outputs = [
        [str(each["index"]), " x ".join(map(str, each["shape"])), shown(each["max_diff"])]
        for each in result["outputs"]
    ]
    parts += ["<h2>Outputs</h2>", rows(outputs, ["output", "shape", "max_diff"], {2})]
    if result["mismatches"]:
        lines = [[code(each["key"]), each["kind"]] for each in result["mismatches"]]
        parts += ["<h2>Weights that do not fit</h2>", rows(lines, ["weight", "kind"], set())]
    loop = result.get("loop")
    if loop:
        if loop.get("steps"):
            lines = [
                [f"{each['sigma']:.3f}", shown(each["max_diff"]), shown(each["relative"])] for each in loop["steps"]
            ]
            parts += ["<h2>Denoising loop</h2>", rows(lines, ["sigma", "max_diff", "relative"], {0, 1, 2})]
        else:
            parts += ["<h2>Denoising loop</h2>", f"<p>{escape(loop['reason'])}</p>"]
    for drift in result.get("drift", ()):
        parts += [
            f"<h2>Drift in {drift['dtype']} on {escape(drift['device'])}</h2>",
            f"<p>{drift['dtype']} on {escape(drift['device'])}: max_diff {shown(drift['max_diff'])} from float32 on the CPU.</p>",
        ]
        lines = [
            [code(each["target_module"]), shown(each["max_diff"]), shown(each["relative"])] for each in drift["layers"]
        ]
        parts.append(
            f"<details><summary>{len(lines)} layers</summary>{rows(lines, ['module', 'max_diff', 'relative'], {1, 2})}</details>"
        )
    lines = [
        [code(each["target_module"]), code(each["reference_module"]), shown(each["max_diff"]), shown(each["relative"])]
        for each in result["layers"]
    ]
    parts.append(
        f"<details><summary>All {len(lines)} layers</summary>{rows(lines, ['module', 'reference', 'max_diff', 'relative'], {2, 3})}</details>"
    )
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>Parity of {escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_STYLE}</style></head>\n<body>\n'
        + "\n".join(parts)
        + "\n</body></html>\n"
    )
