"""The commands for a model that is there already: bring it up to date, take its registrations or all of it out."""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .command_line import (
    DONE,
    FOUND,
    checkout_option,
    dry_run_option,
    json_option,
    prover,
    python_option,
    ruff_of,
    show_change,
    yes_option,
)
from .errors import BadInput

if TYPE_CHECKING:
    from .plan import Plan
    from .spec import ModelSpec


@click.command()
@click.argument("name")
@click.option("--also", multiple=True, metavar="REGISTRY", help="An optional registry as well, such as auto_pipeline.")
@checkout_option
@dry_run_option
@json_option
def unregister(name: str, also: tuple[str, ...], checkout: Path | None, dry_run: bool, as_json: bool) -> None:
    """Take the registrations of the model NAME out; its files stay."""
    from .checkout import apply, changing, find_checkout
    from .removal import unregister as plan_unregister
    from .snapshot import Snapshot

    root = find_checkout(checkout or Path.cwd())
    with nullcontext() if dry_run else changing(root):
        plan = plan_unregister(Snapshot(root), name, also=also)
        if not dry_run:
            apply(root, plan)
    _show_removal(plan, dry_run=dry_run, as_json=as_json)


@click.command()
@click.argument("name")
@click.option("--force", is_flag=True, help="Remove files that were edited too.")
@checkout_option
@dry_run_option
@json_option
def remove(name: str, force: bool, checkout: Path | None, dry_run: bool, as_json: bool) -> None:
    """Take the model NAME out: its files, its registrations, its part of shared modules."""
    from .audit.history import texts_at
    from .checkout import apply, changing, find_checkout
    from .removal import remove as plan_remove
    from .snapshot import Snapshot

    root = find_checkout(checkout or Path.cwd())

    def committed(paths: Collection[str]) -> Mapping[str, str]:
        return texts_at(root, "HEAD", list(paths))

    with nullcontext() if dry_run else changing(root):
        plan = plan_remove(Snapshot(root), name, committed, force=force)
        if not dry_run:
            apply(root, plan)
    _show_removal(plan, dry_run=dry_run, as_json=as_json)


def _show_removal(plan: Plan, *, dry_run: bool, as_json: bool) -> None:
    from .report import change_json, print_json, print_removal

    if as_json:
        print_json(change_json(plan, dry_run=dry_run))
        return
    if dry_run:
        sys.stdout.write(plan.diff())
        for notice in plan.notices:
            click.echo(f"notice: {notice}", err=True)
        return
    print_removal(plan)


@click.command()
@click.argument("name", required=False)
@click.option("--all", "every", is_flag=True, help="Every scaffold of the checkout.")
@click.option("--check", "only_check", is_flag=True, help="Only say whether an update exists; exit 1 if so.")
@click.option("--conventions", is_flag=True, help="Also move to the conventions that the checkout has now.")
@python_option
@checkout_option
@dry_run_option
@json_option
def update(
    name: str | None, every: bool, only_check: bool, checkout: Path | None, as_json: bool, **options: Any
) -> int:
    """Bring the scaffold NAME to the current template by a three-way merge, then register."""
    from .checkout import apply, changing, find_checkout
    from .report import change_json, print_json, print_update
    from .snapshot import Snapshot
    from .updating import check_place, read_scaffold, scaffolds, update_scaffold
    from .versions import newest_version

    if (name is None) is not every:
        raise BadInput("give the NAME of a scaffold, or --all")
    root = find_checkout(checkout or Path.cwd())
    check_place(root)
    names = [name] if name is not None else scaffolds(Snapshot(root))
    # All records are read before the first one is worked on, so that a broken one stops nothing halfway.
    records = [read_scaffold(Snapshot(root), each) for each in names]
    newest = newest_version()
    dry_run = options["dry_run"]
    shown: list[dict[str, Any]] = []
    found = False
    for record in records:
        told = {"name": record.name, "from": record.version, "to": newest.name}
        if only_check:
            current = newest.is_recorded_as(record.version)
            found = found or not current
            shown.append({**told, "current": current})
            if not as_json:
                end = "is up to date" if current else f"can be updated to {newest.name}"
                click.echo(f"{record.name}, template {record.version}: {end}")
            continue
        with nullcontext() if dry_run else changing(root):
            snapshot = Snapshot(root)
            ruff = ruff_of(options["python"], root)
            done = update_scaffold(root, snapshot, record, ruff, conventions=options["conventions"])
            if not dry_run:
                apply(root, done.plan, prover(done.plan))
        found = found or bool(done.conflicts)
        shown.append({**told, "conflicts": list(done.conflicts), **change_json(done.plan, dry_run=dry_run)})
        if dry_run and not as_json:
            sys.stdout.write(done.plan.diff())
        elif not as_json:
            print_update(record.name, (record.version, newest.name), done)
    if as_json:
        print_json({"updates": shown})
    return FOUND if found else DONE


@click.command()
@click.argument("name")
@click.option("--set", "given", multiple=True, metavar="QUESTION=ANSWER", help="An answer that the files do not show.")
@python_option
@checkout_option
@dry_run_option
@json_option
@yes_option
def adopt(
    name: str, given: tuple[str, ...], checkout: Path | None, dry_run: bool, as_json: bool, **options: Any
) -> None:
    """Rebuild the lost record of the scaffold NAME (`.scaffold/NAME`) from its files, so that it can be updated."""
    from .adoption import adopt as plan_adopt
    from .adoption import detect_answers
    from .ask import ask_unseen
    from .checkout import apply, changing, find_checkout, head, state_excluded
    from .manifest import new_manifest
    from .preflight import house_answers
    from .render import render
    from .scaffold import finished
    from .snapshot import Snapshot
    from .spec import ModelSpec

    told: dict[str, Any] = dict(_assignment(text) for text in given)
    root = find_checkout(checkout or Path.cwd())
    seen = detect_answers(Snapshot(root), name)
    unseen = {question: why for question, why in seen.unseen.items() if question not in told}
    if unseen and sys.stdin.isatty() and not options["yes"] and not as_json:
        told.update(ask_unseen(unseen))
        unseen = {}
    if "task" in told:
        told["task"] = told["task"].replace(",", " ").split()
    with nullcontext() if dry_run else changing(root):
        snapshot = Snapshot(root)
        stand = head(root)
        spec = ModelSpec.from_answers({**house_answers(snapshot, stand), **seen.answers, **told})
        rendered = render(spec.answers())
        own = {path: text for path, text in rendered.items() if path.endswith(".py") or spec.owns(path)}
        done = {**rendered, **finished(spec, snapshot, own, ruff_of(options["python"], root))}
        plan = plan_adopt(snapshot, spec, new_manifest(stand), done)
        guesses = (f"{question} is taken to be {_shown(spec, question)}: {why}" for question, why in unseen.items())
        plan = replace(plan, notices=(*plan.notices, *guesses))
        if not dry_run:
            with state_excluded(root):
                apply(root, plan)
    show_change(plan, dry_run=dry_run, as_json=as_json)


def _assignment(text: str) -> tuple[str, str]:
    question, separator, answer = text.partition("=")
    if not separator:
        raise BadInput(f"--set {text!r} is no QUESTION=ANSWER", hint="for example --set attention=cross")
    return question.replace("-", "_"), answer


def _shown(spec: ModelSpec, question: str) -> str:
    value = getattr(spec, question)
    return " ".join(value) if isinstance(value, tuple) else value or "nothing"


LIFE_COMMANDS: tuple[click.Command, ...] = (update, adopt, unregister, remove)
