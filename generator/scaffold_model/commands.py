"""The commands beside the main one, in the order of the help."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import click

from .command_line import (
    DONE,
    FOUND,
    checkout_option,
    dry_run_option,
    json_option,
    progress,
    prover,
    python_option,
    ruff_of,
    show_change,
)
from .errors import BadInput, ScaffoldError


@click.command()
@click.argument("name")
@click.option("--from-copier", metavar="OPERATION", default=None, hidden=True)
@python_option
@checkout_option
@dry_run_option
@json_option
def complete(
    name: str, from_copier: str | None, python: str | None, checkout: Path | None, dry_run: bool, as_json: bool
) -> None:
    """Finish a render that Copier made: fill, format, extend."""
    from .scaffold import read_spec
    from .snapshot import Snapshot

    if from_copier is not None:
        _complete_for_copier(name, from_copier, python)
        return
    from .checkout import apply, changing, find_checkout, head, state_excluded
    from .scaffold import complete as plan_complete

    root = find_checkout(checkout or Path.cwd())
    with nullcontext() if dry_run else changing(root):
        snapshot = Snapshot(root)
        spec = read_spec(snapshot, name)
        plan = plan_complete(spec, snapshot, head(root), ruff_of(python, root))
        if not dry_run:
            with state_excluded(root):
                apply(root, plan, prover(plan))
    show_change(plan, dry_run=dry_run, as_json=as_json, spec=spec)


def _complete_for_copier(name: str, operation: str, python: str | None) -> None:
    """The task of the template, in the folder that Copier rendered into.

    The temporary renders of an update are no checkout: there the files are formatted, so that old and new differ
    only in what the template changed, and nothing else is done. A copy that is refused takes its files with it.
    """
    from .checkout import ROOT_INIT, apply, changing, exclude_state, find_checkout, head, remove_created
    from .errors import NotACheckout
    from .manifest import owned_texts, read_manifest
    from .preflight import house_answers
    from .scaffold import complete as plan_complete
    from .scaffold import formatted, read_spec
    from .snapshot import Snapshot

    root = Path.cwd()
    snapshot = Snapshot(root)
    spec = read_spec(snapshot, name)
    if operation == "update" and not (root / ROOT_INIT).is_file():
        for path, text in formatted(spec, owned_texts(spec, snapshot), ruff_of(python, root)).items():
            (root / path).write_bytes(text.encode("utf-8"))
        return
    created = [*owned_texts(spec, snapshot), f"{spec.state_folder}/answers.yml"]
    first = read_manifest(snapshot, name) is None
    try:
        if find_checkout(root) != root.resolve():
            raise NotACheckout(f"{root} is not the root of the checkout", hint="run copier in the root folder")
        stand = head(root)
        with changing(root):
            plan = plan_complete(spec, snapshot, stand, ruff_of(python, root), register_too=True, fresh=True)
            apply(root, plan, prover(plan))
    except ScaffoldError:
        if operation == "copy" and first:
            remove_created(Path.cwd(), created, spec.owned_places())
        raise
    exclude_state(root)
    for question, detected in house_answers(snapshot, stand).items():
        used = getattr(spec, question)
        # In a list of what is lacking the order says nothing.
        if set(used) != set(detected) if isinstance(detected, tuple) else used != detected:
            words = [" ".join(one) or "nothing" if isinstance(one, tuple) else one for one in (detected, used)]
            click.echo(f"notice: this checkout's {question} is {words[0]}; the render used {words[1]}", err=True)
    show_change(plan, dry_run=False, as_json=False, spec=spec)


@click.command()
@click.option("--also", multiple=True, metavar="REGISTRY", help="An optional registry as well, such as auto_pipeline.")
@click.option("--fix", is_flag=True, help="Also take out names that nothing defines any more.")
@checkout_option
@dry_run_option
@json_option
def register(also: tuple[str, ...], fix: bool, checkout: Path | None, dry_run: bool, as_json: bool) -> None:
    """Register whatever is on disk and not registered."""
    from .checkout import apply, before_branch, changing, find_checkout
    from .registration import BASELINE
    from .registration import register as plan_register
    from .scaffold import record_registered
    from .snapshot import Snapshot

    root = find_checkout(checkout or Path.cwd())
    with nullcontext() if dry_run else changing(root):
        snapshot = Snapshot(root)
        base = before_branch(root, BASELINE) if also else None
        plan = record_registered(snapshot, plan_register(snapshot, also=also, base=base, fix=fix))
        if not dry_run:
            apply(root, plan, prover(plan))
    show_change(plan, dry_run=dry_run, as_json=as_json)


@click.command()
@click.argument("name")
@checkout_option
@json_option
def todo(name: str, checkout: Path | None, as_json: bool) -> None:
    """List the places that the contributor must port."""
    from .checkout import find_checkout
    from .report import print_json
    from .snapshot import Snapshot
    from .todo import todos

    snapshot = Snapshot(find_checkout(checkout or Path.cwd()))
    places = todos(snapshot, name)
    if as_json:
        print_json({"todos": [{"path": one.path, "line": one.line, "text": one.text} for one in places]})
        return
    for one in places:
        click.echo(f"{one.path}:{one.line}: {one.text}")
    click.echo(f"{len(places)} place{'' if len(places) == 1 else 's'} to port", err=True)


@click.command()
@click.argument("name")
@click.option("--force", is_flag=True, help="Also replace repositories of these names that were downloaded.")
@click.option(
    "--generate",
    type=click.Path(path_type=Path),
    default=None,
    metavar="FILE",
    help="Run the tiny pipeline as well and save its output: a .png, a .gif of a video, a .wav.",
)
@python_option
@checkout_option
@json_option
def tiny(
    name: str, force: bool, generate: Path | None, python: str | None, checkout: Path | None, as_json: bool
) -> None:
    """Build the tiny repositories that the tests load, into the local Hub cache."""
    from .checkout import find_checkout
    from .pythons import find_python
    from .report import print_json
    from .scaffold import read_spec
    from .snapshot import Snapshot
    from .tiny import build
    from .tiny import generate as run_pipeline

    root = find_checkout(checkout or Path.cwd())
    spec = read_spec(Snapshot(root), name)
    interpreter = find_python(python, root)
    built = build(root, spec, interpreter, progress, force=force)
    generated = run_pipeline(root, spec, interpreter, generate, progress) if generate else None
    if as_json:
        print_json(
            {
                "repositories": [
                    {"id": one.repo, "folder": str(one.folder), "status": one.status} for one in built.placed
                ],
                "publish": built.publish,
                "generated": str(generated.path) if generated else None,
                "notices": list(built.notices),
            }
        )
        return
    for notice in built.notices:
        click.echo(f"notice: {notice}")
    click.echo(f"Publish it before the pull request, so that upstream CI finds it:\n  {built.publish}")
    if generated:
        click.echo(f"{generated.path}: {generated.what}")


@click.command()
@click.argument("name")
@python_option
@checkout_option
@json_option
@click.pass_context
def verify(ctx: click.Context, name: str, python: str | None, checkout: Path | None, as_json: bool) -> None:
    """Run the checkout's own gates and the model's tests; end with one table."""
    from .checkout import find_checkout
    from .pythons import find_python
    from .report import print_json, verification_json
    from .scaffold import read_spec
    from .snapshot import Snapshot
    from .verify import format_table
    from .verify import verify as run_gates

    root = find_checkout(checkout or Path.cwd())
    spec = read_spec(Snapshot(root), name)
    verification = run_gates(root, spec, find_python(python, root), progress)
    if as_json:
        print_json(verification_json(verification))
    else:
        click.echo(format_table(verification))
    ctx.exit(DONE if verification.clean else FOUND)


@click.command()
@click.argument("directory", type=click.Path(path_type=Path))
@click.option("--version", "release", default=None, metavar="VERSION", help="The release.  [default: the newest]")
@json_option
def practice(directory: Path, release: str | None, as_json: bool) -> None:
    """Make a practice checkout from the released diffusers sources."""
    from .practice import practice as make
    from .report import print_json

    made = make(directory, progress, release)
    if as_json:
        print_json(
            {
                "directory": str(made.directory),
                "version": made.version,
                "commit": made.commit,
                "notices": list(made.notices),
            }
        )
        return
    click.echo(f"A practice checkout of diffusers {made.version}: {directory}")
    for notice in made.notices:
        click.echo(f"notice: {notice}")
    click.echo(f"Next\n  cd {directory}\n  scaffold-model --name y_image --modular")


@click.command()
@click.argument("name", required=False)
@click.option("--fix", is_flag=True, help="Repair what is fixable.")
@click.option("--baseline", default=None, metavar="REV", help="Report only what is new since this revision.")
@click.option("--copies", is_flag=True, help="Compare every `# Copied from` block, which takes seconds.")
@click.option(
    "--format",
    "output",
    type=click.Choice(["text", "github"]),
    default="text",
    help="text, or github for annotations in a workflow.  [default: text]",
)
@python_option
@checkout_option
@dry_run_option
@json_option
def check(name: str | None, checkout: Path | None, as_json: bool, **options: Any) -> int:
    """Find what the repository's CI does not see: in the whole checkout, or for the model NAME."""
    from .check import Request
    from .check import check as run_check
    from .checkout import apply, changing, find_checkout
    from .report import check_json, print_check, print_github, print_json
    from .scaffold import record_registered
    from .snapshot import Snapshot

    if as_json and options["output"] != "text":
        raise BadInput("--json and --format github exclude each other")
    root = find_checkout(checkout or Path.cwd())
    request = Request(name, options["baseline"], options["copies"], options["fix"])
    writing = options["fix"] and not options["dry_run"]
    with changing(root) if writing else nullcontext():
        snapshot = Snapshot(root)
        checked = run_check(root, snapshot, request, lambda: ruff_of(options["python"], root))
        if checked.plan:
            checked = replace(checked, plan=record_registered(snapshot, checked.plan))
        if checked.plan and writing:
            apply(root, checked.plan)
    if as_json:
        print_json(check_json(checked, fixed=options["fix"], dry_run=options["dry_run"]))
    elif options["output"] == "github":
        print_github(checked)
    else:
        if options["dry_run"]:
            sys.stdout.write(checked.plan.diff())
        print_check(checked, fixed=options["fix"] and not options["dry_run"])
    return DONE if all(finding.severity == "hint" for finding in checked.findings) else FOUND


@click.command("merge-driver")
@click.argument("arguments", nargs=-1, metavar="[%O %A %B %P]")
@click.option("--install", "change", flag_value="install", help="Set the driver up in the checkout's repository.")
@click.option("--uninstall", "change", flag_value="uninstall", help="Take it out again.")
@checkout_option
@dry_run_option
@json_option
@click.pass_context
def merge_driver(
    ctx: click.Context,
    arguments: tuple[str, ...],
    change: str | None,
    checkout: Path | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Let git merge the registries by structure, so that parallel pull requests do not collide in them."""
    from .merge_driver import drive, install, uninstall

    if change is None:
        if not arguments:
            raise BadInput("say --install or --uninstall")
        ctx.exit(FOUND if drive(arguments) else DONE)
    if arguments:
        raise BadInput(f"--{change} takes no files")
    from .checkout import find_checkout
    from .report import print_json

    changes = (install if change == "install" else uninstall)(find_checkout(checkout or Path.cwd()), dry_run=dry_run)
    if as_json:
        status = "unchanged" if not changes else "planned" if dry_run else "applied"
        print_json({"status": status, "changes": changes})
        return
    done = {"install": "installed", "uninstall": "uninstalled"}[change]
    click.echo(f"{'would change' if dry_run else done}: {', '.join(changes)}" if changes else f"already {done}")


@click.command()
@checkout_option
@json_option
def conventions(checkout: Path | None, as_json: bool) -> None:
    """Show what this checkout expects, and from which file that was read."""
    from .checkout import find_checkout
    from .house import conventions as all_conventions
    from .report import print_json
    from .snapshot import Snapshot

    found = all_conventions(Snapshot(find_checkout(checkout or Path.cwd())))
    if as_json:
        print_json({"conventions": [asdict(one) for one in found]})
        return
    width = max(len(one.name) for one in found)
    for one in found:
        value = "yes" if one.value is True else "no" if one.value is False else one.value
        shown = ", ".join(value) or "none" if isinstance(value, tuple) else value
        click.echo(f"{one.name:{width}}  {shown}\n{'':{width}}  {one.meaning} ({one.path})")


COMMANDS: tuple[click.Command, ...] = (
    complete,
    register,
    todo,
    tiny,
    verify,
    practice,
    check,
    merge_driver,
    conventions,
)
