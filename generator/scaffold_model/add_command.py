"""`scaffold-model add`: more of a model that is there already."""

from __future__ import annotations

import sys
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
    yes_option,
)
from .errors import BadInput
from .questions import CHOICES

if TYPE_CHECKING:
    from .adding.request import Request
    from .snapshot import Snapshot
    from .update import Updated


@click.command()
@click.argument("name")
@click.option(
    "--task",
    "tasks",
    multiple=True,
    type=click.Choice(CHOICES["task"]),
    metavar="T",
    help=f"A further workflow, repeatable: {', '.join(CHOICES['task'])}.",
)
@click.option(
    "--lora", is_flag=True, help="LoRA loading, in any model: mixin, exports, docs, pipeline and transformer."
)
@click.option("--with-test", is_flag=True, help="With --lora: its test too, in a model's first pull request.")
@click.option("--single-file", is_flag=True, help="Loading of original checkpoints; needs a --hub-repo.")
@click.option("--auto-pipeline", is_flag=True, help="Entries in the AutoPipeline mappings, for any model.")
@click.option("--scheduler", type=click.Choice(["new"]), default=None, metavar="new", help="A scheduler of its own.")
@click.option("--vae", type=click.Choice(["new"]), default=None, metavar="new", help="An autoencoder of its own.")
@click.option("--modular", is_flag=True, help="A modular pipeline beside the standard one.")
@click.option("--standard", is_flag=True, help="A standard pipeline beside the modular one.")
@click.option("--hub-repo", default=None, metavar="ORG/NAME", help="The published weights, for --single-file.")
@python_option
@checkout_option
@dry_run_option
@json_option
@yes_option
def add(name: str, checkout: Path | None, dry_run: bool, as_json: bool, **options: Any) -> int:
    """Add to the model NAME: a task, LoRA, single-file loading, a scheduler, an autoencoder, the other format.

    A scaffold's files are merged three-way, so that edits are kept; conflicts are as `git merge` shows them. LoRA and the
    AutoPipeline entries need no scaffold: they work on any model of diffusers.
    """
    from .adding.request import Request
    from .checkout import apply, changing, find_checkout
    from .report import change_json, print_addition, print_json
    from .snapshot import Snapshot

    request = Request(
        tasks=options["tasks"],
        formats=tuple(each for each in ("modular", "standard") if options[each]),
        lora=options["lora"],
        with_test=options["with_test"],
        single_file=options["single_file"],
        auto_pipeline=options["auto_pipeline"],
        scheduler=options["scheduler"] or "",
        vae=options["vae"] or "",
        hub_repo=options["hub_repo"] or "",
    )
    _check(request)
    root = find_checkout(checkout or Path.cwd())
    with nullcontext() if dry_run else changing(root):
        done = _planned(root, Snapshot(root), name, request, ruff_of(options["python"], root))
        if not dry_run:
            apply(root, done.plan, prover(done.plan))
    if as_json:
        print_json({"conflicts": list(done.conflicts), **change_json(done.plan, dry_run=dry_run)})
    elif dry_run:
        sys.stdout.write(done.plan.diff())
        for notice in done.plan.notices:
            click.echo(f"notice: {notice}", err=True)
    else:
        print_addition(name, request.flags, done)
    return FOUND if done.conflicts else DONE


def _check(request: Request) -> None:
    if request.with_test and not request.lora:
        raise BadInput("--with-test goes with --lora", hint="give both, or neither")
    if not request.flags:
        raise BadInput("nothing to add", hint="give --task, --lora, --single-file or another flag; see add --help")


def _planned(root: Path, snapshot: Snapshot, name: str, request: Request, ruff: str | None) -> Updated:
    """The plan: by the answers of a scaffold, or else by what discovery finds."""
    from .adding.by_discovery import add_to_model
    from .adding.scaffolded import add_to_scaffold
    from .updating import check_place, read_scaffold

    if not snapshot.exists(f".scaffold/{name}/answers.yml"):
        return add_to_model(root, snapshot, name, request, ruff)
    check_place(root)
    return add_to_scaffold(root, snapshot, read_scaffold(snapshot, name), request, ruff)
