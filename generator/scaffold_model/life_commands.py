"""The commands for a model that is there already: take its registrations out, take all of it out."""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .command_line import checkout_option, dry_run_option, json_option

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


LIFE_COMMANDS: tuple[click.Command, ...] = (unregister, remove)
