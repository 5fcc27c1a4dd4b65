"""The commands for a model that is there already: bring it up to date, take its registrations or all of it out."""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping
from contextlib import nullcontext
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
)
from .errors import BadInput

if TYPE_CHECKING:
    from .plan import Plan


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


LIFE_COMMANDS: tuple[click.Command, ...] = (update, unregister, remove)
