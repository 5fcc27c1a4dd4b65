"""What every command shares: options, exit codes, and the end of a command that changes files."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from .plan import Plan
    from .snapshot import Snapshot
    from .spec import ModelSpec

DONE, FOUND, REFUSED, BUG = 0, 1, 2, 3

checkout_option = click.option(
    "--checkout",
    type=click.Path(path_type=Path),
    default=None,
    metavar="DIR",
    help="The checkout of diffusers.  [default: the one around the current folder]",
)
json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output, nothing else.")
dry_run_option = click.option("--dry-run", is_flag=True, help="Show the full diff; write nothing.")
python_option = click.option(
    "--python",
    default=None,
    metavar="PATH",
    help="The Python with torch and the checkout's tools.  [default: active environment, the checkout's .venv, PATH]",
)
yes_option = click.option("-y", "--yes", is_flag=True, help="Never ask.")


def ruff_of(python: str | None, root: Path) -> str:
    """The formatter that goes with ``--python``, else our own."""
    from .formatting import find_ruff
    from .pythons import find_python

    return find_ruff(find_python(python, root))


def prover(plan: Plan) -> Callable[[Snapshot], None]:
    """After an apply: read the registries again and prove that every entry stands in them exactly once."""
    from .proof import prove

    return lambda snapshot: prove(snapshot, plan.entries)


def show_change(plan: Plan, *, dry_run: bool, as_json: bool, spec: ModelSpec | None = None) -> None:
    """The summary, the diff of a dry run, or the JSON object."""
    from .report import change_json, print_change, print_json

    if as_json:
        print_json(change_json(plan, dry_run=dry_run))
    elif dry_run:
        sys.stdout.write(plan.diff())
        for notice in plan.notices:
            click.echo(f"notice: {notice}", err=True)
    else:
        print_change(plan, spec)


def progress(line: str) -> None:
    """One line of progress, on standard error."""
    click.echo(line, err=True)
