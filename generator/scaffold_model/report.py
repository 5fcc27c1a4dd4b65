"""What the terminal and ``--json`` show."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from .errors import ScaffoldError
from .plan import Plan
from .spec import ModelSpec

if TYPE_CHECKING:
    from .check import Checked
    from .plan import Finding
    from .update import Updated
    from .verify import Verification


def print_json(value: dict[str, Any]) -> None:
    """One object on standard output, nothing else there."""
    utf8 = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    print(json.dumps(value, indent=2, ensure_ascii=not utf8))


def change_json(plan: Plan, *, dry_run: bool) -> dict[str, Any]:
    """The stable JSON of a command that changes files."""
    edited: dict[str, list[dict[str, str]]] = {edit.path: [] for edit in plan.edits}
    for entry in plan.entries:
        if entry.path in edited:
            edited[entry.path].append({"registry": entry.registry, "object": entry.object})
    status = "unchanged" if not plan else "planned" if dry_run else "applied"
    return {
        "status": status,
        "created": [new.path for new in plan.new_files],
        "removed": [gone.path for gone in plan.removed],
        "edited": [{"path": path, "entries": entries} for path, entries in edited.items()],
        "notices": list(plan.notices),
        "next_steps": list(plan.next_steps) if plan else [],
    }


def refusal_json(error: ScaffoldError) -> dict[str, Any]:
    """The stable JSON of a refusal."""
    return {
        "status": "refused",
        "error": {"type": type(error).__name__, "message": error.message, "path": error.path, "hint": error.hint},
    }


def print_change(plan: Plan, spec: ModelSpec | None) -> None:
    """The summary of a change: the tree of new files, the entries that were added, what to do next."""
    from rich.console import Console
    from rich.markup import escape
    from rich.tree import Tree

    console = Console(highlight=False, soft_wrap=True)
    if not plan:
        console.print("Nothing to do: everything on disk is registered.")
    if plan.new_files:
        tree = Tree(f"[bold]{len(plan.new_files)} new files[/]")
        _grow(tree, [new.path for new in plan.new_files])
        console.print(tree)
    entries: dict[str, list[str]] = {}
    for entry in plan.entries:
        entries.setdefault(entry.path, []).append(entry.object)
    ours = {new.path for new in plan.new_files}
    registered = {path: objects for path, objects in entries.items() if path not in ours}
    if registered:
        console.print(f"[bold]{sum(map(len, registered.values()))} entries in {len(registered)} files[/]")
        width = max(len(path) for path in registered)
        for path, objects in registered.items():
            console.print(f"  {path:<{width}}  {', '.join(dict.fromkeys(objects))}")
    if plan.edits and not registered:
        console.print(f"[bold]{len(plan.edits)} files completed[/]")
    for notice in plan.notices:
        console.print(f"[yellow]notice[/]  {escape(notice)}")
    if spec is not None and spec.tests == "none" and plan:
        console.print(
            "[yellow]notice[/]  this checkout has no house test mixins (tests/models/testing_utils), "
            "so no tests were laid out"
        )
    if plan and plan.next_steps:
        console.print("[bold]Next[/]")
        for step in plan.next_steps:
            console.print(f"  {escape(step)}")


def print_removal(plan: Plan) -> None:
    """The summary of what was taken out: files, entries by file, notices, what to do next. Without rich, as it is plain."""
    import click

    if plan.removed:
        click.secho(f"{len(plan.removed)} files removed", bold=True)
        for gone in plan.removed:
            click.echo(f"  {gone.path}")
    entries: dict[str, list[str]] = {}
    for entry in plan.entries:
        entries.setdefault(entry.path, []).append(entry.object)
    if entries:
        click.secho(f"{len(plan.entries)} entries taken out of {len(entries)} files", bold=True)
        width = max(len(path) for path in entries)
        for path, objects in entries.items():
            click.echo(f"  {path:<{width}}  {', '.join(dict.fromkeys(objects))}")
    for notice in plan.notices:
        click.echo(f"{click.style('notice', fg='yellow')}  {notice}")
    if plan and plan.next_steps:
        click.secho("Next", bold=True)
        for step in plan.next_steps:
            click.echo(f"  {step}")


def print_update(name: str, versions: tuple[str, str], updated: Updated) -> None:
    """The summary of an update: the files that changed, and the conflicts."""
    import click

    plan = updated.plan
    if not plan:
        click.echo(f"{name} is up to date (template {versions[0]})")
        return
    click.secho(f"{name}: template {versions[0]} -> {versions[1]}", bold=True)
    marks = [("new", new.path) for new in plan.new_files] + [("removed", gone.path) for gone in plan.removed]
    marks += [("conflict" if edit.path in updated.conflicts else "updated", edit.path) for edit in plan.edits]
    for mark, path in marks:
        click.secho(f"  {mark:8}  {path}", fg="red" if mark == "conflict" else None)
    for notice in plan.notices:
        click.echo(f"{click.style('notice', fg='yellow')}  {notice}")


def print_addition(name: str, flags: Sequence[str], done: Updated) -> None:
    """The summary of an addition: the files, the entries, the conflicts, what to do next."""
    import click

    plan = done.plan
    if not plan:
        click.echo(f"Nothing to do: {name} has {', '.join(flags)}")
    else:
        click.secho(f"{name}: added {', '.join(flags)}", bold=True)
    objects: dict[str, list[str]] = {}
    for entry in plan.entries:
        objects.setdefault(entry.path, []).append(entry.object)
    marks = [("new", new.path) for new in plan.new_files] + [("removed", gone.path) for gone in plan.removed]
    marks += [("conflict" if edit.path in done.conflicts else "edited", edit.path) for edit in plan.edits]
    for mark, path in marks:
        entries = f"  ({', '.join(dict.fromkeys(objects[path]))})" if path in objects else ""
        click.secho(f"  {mark:8}  {path}{entries}", fg="red" if mark == "conflict" else None)
    for notice in plan.notices:
        click.echo(f"{click.style('notice', fg='yellow')}  {notice}")
    if plan and plan.next_steps:
        click.secho("Next", bold=True)
        for step in plan.next_steps:
            click.echo(f"  {step}")


def verification_json(verification: Verification) -> dict[str, Any]:
    """The stable JSON of ``verify``."""
    return {
        "gates": [
            {
                "name": result.name,
                "status": result.status,
                "seconds": round(result.seconds, 1),
                "detail": result.detail,
                "passed": result.counts.passed if result.counts else None,
                "skipped": result.counts.skipped if result.counts else None,
                "failed": result.counts.failed if result.counts else None,
            }
            for result in verification.results
        ],
        "notices": list(verification.notices),
    }


def finding_json(finding: Finding) -> dict[str, Any]:
    """The stable JSON of a finding."""
    return {
        "registry": finding.registry,
        "object": finding.object,
        "path": finding.path,
        "line": finding.line,
        "message": finding.message,
        "severity": finding.severity,
        "fixable": finding.fixable,
    }


def check_json(checked: Checked, *, fixed: bool, dry_run: bool) -> dict[str, Any]:
    """The stable JSON of ``check``: the findings, for one model its checklist, with ``--fix`` the change."""
    shown: dict[str, Any] = {"findings": [finding_json(finding) for finding in checked.findings]}
    if checked.lines is not None:
        shown["checklist"] = [
            {"part": line.part, "item": line.item, "done": line.done, "path": line.path, "note": line.note}
            for line in checked.lines
        ]
    if fixed:
        shown["fix"] = change_json(checked.plan, dry_run=dry_run)
    return shown


def print_check(checked: Checked, *, fixed: bool) -> None:
    """One line per finding, the checklist of a model, and the count. Without rich, which takes longer than a check."""
    import click

    colours = {"error": "red", "warning": "yellow", "hint": "cyan"}
    part = None
    for line in checked.lines or ():
        if line.part != part:
            part = line.part
            click.secho(part, bold=True)
        mark = {True: "[x]", False: "[ ]", None: "[-]"}[line.done]
        shown = "  ".join(each for each in (line.item, line.path, f"({line.note})" if line.note else "") if each)
        click.echo(f"  {mark} {shown}")
    for finding in checked.findings:
        where = f"{finding.path}:{finding.line}" if finding.line else finding.path
        severity = click.style(finding.severity, fg=colours[finding.severity])
        mark = " (fixable)" if finding.fixable else ""
        click.echo(f"{where}: {severity}: {finding.message} [{finding.registry}]{mark}")
    if fixed:
        for edit in checked.plan.edits:
            click.echo(f"fixed {edit.path}")
    counts = [
        f"{count} {severity}{'' if count == 1 else 's'}"
        for severity in colours
        if (count := sum(each.severity == severity for each in checked.findings))
    ]
    fixable = sum(finding.fixable for finding in checked.findings)
    then = f"; {fixable} fixable with --fix" if fixable else ""
    click.echo(", ".join(counts) + then if counts else "clean: nothing was found")


def print_github(checked: Checked) -> None:
    """Workflow commands that GitHub shows as annotations."""
    levels = {"error": "error", "warning": "warning", "hint": "notice"}
    for finding in checked.findings:
        place = f"file={_property(finding.path)}" + (f",line={finding.line}" if finding.line else "")
        message = finding.message.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
        print(f"::{levels[finding.severity]} {place},title={_property(finding.registry)}::{message}")


def _property(text: str) -> str:
    for old, new in (("%", "%25"), ("\r", "%0D"), ("\n", "%0A"), (":", "%3A"), (",", "%2C")):
        text = text.replace(old, new)
    return text


def _grow(branch: Any, paths: Iterable[str]) -> None:
    """Add paths to a tree; folders that hold nothing but one folder share its line."""
    below: dict[str, list[str]] = {}
    for path in sorted(paths):
        first, _, rest = path.partition("/")
        below.setdefault(first, []).append(rest)
    for name, rests in below.items():
        if rests == [""]:
            branch.add(name)
            continue
        while len({rest.partition("/")[0] for rest in rests}) == 1 and "/" in rests[0]:
            name = f"{name}/{rests[0].partition('/')[0]}"
            rests = [rest.partition("/")[2] for rest in rests]
        _grow(branch.add(f"{name}/"), rests)
