"""The command line: parse, call, print, exit code. Nothing heavy is imported at the top, so that ``--help`` is quick."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from . import __version__
from .errors import BadInput, ScaffoldError

if TYPE_CHECKING:
    from .plan import Plan
    from .spec import ModelSpec

DONE, FOUND, REFUSED, BUG = 0, 1, 2, 3

_checkout_option = click.option(
    "--checkout",
    type=click.Path(path_type=Path),
    default=None,
    metavar="DIR",
    help="The checkout of diffusers.  [default: the one around the current folder]",
)
_json_option = click.option(
    "--json", "as_json", is_flag=True, help="One JSON object on standard output, nothing else."
)
_dry_run_option = click.option("--dry-run", is_flag=True, help="Show the full diff; write nothing.")
_python_option = click.option(
    "--python",
    default=None,
    metavar="PATH",
    help="The Python with torch and the checkout's tools.  [default: active environment, the checkout's .venv, PATH]",
)
_yes_option = click.option("-y", "--yes", is_flag=True, help="Never ask.")


class _Group(click.Group):
    """Shows the options of the main command as its usage."""

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write_usage("scaffold-model", "--name NAME [--modular | --standard | --both] [OPTIONS]")
        formatter.write_usage("scaffold-model", "COMMAND [OPTIONS]", prefix="       ")


def _choice(question: str, help_text: str, **extra: Any) -> Callable[[Any], Any]:
    from .spec import CHOICES, UNSUPPORTED, flag

    values = CHOICES[question]
    supported = [value for value in values if (question, value) not in UNSUPPORTED]
    return click.option(
        flag(question),
        question,
        default=None,
        metavar="|".join(supported),
        help=f"{help_text}  [default: {supported[0]}]",
        **extra,
    )


@click.group(
    cls=_Group,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(__version__, prog_name="scaffold-model")
@click.option("--name", default=None, metavar="NAME", help="Name of the model, snake_case, such as y_image.")
@click.option("--modular", "format", flag_value="modular", help="A modular pipeline.  [the default]")
@click.option("--standard", "format", flag_value="standard", help="A standard DiffusionPipeline.")
@click.option("--both", "format", flag_value="both", help="Both.")
@_choice("modality", "What the model generates.")
@_choice("task", "What the pipeline does; repeatable.", multiple=True)
@_choice("attention", "Joint text and image tokens, or text by cross-attention.")
@_choice("text_encoder", "Text encoder.")
@click.option("--vae", default=None, metavar="CLASS", help="Autoencoder class.  [default: AutoencoderKL]")
@click.option(
    "--scheduler",
    default=None,
    metavar="CLASS|new",
    help="Flow-matching scheduler class, or a new one.  [default: FlowMatchEulerDiscreteScheduler]",
)
@_choice("guidance", "Classifier-free guidance.")
@click.option("--lora", is_flag=True, default=None, help="A LoRA loader mixin, wired to model and pipeline.")
@click.option("--single-file", is_flag=True, default=None, help="Loading of original checkpoints (not supported yet).")
@click.option("--auto-pipeline", is_flag=True, default=None, help="An entry in the AutoPipeline mapping.")
@click.option("--title", default=None, help="Title for docs.  [default: from the name, 'Y Image']")
@click.option("--class-prefix", default=None, help="Prefix of class names.  [default: from the name, 'YImage']")
@click.option("--hub-repo", default=None, metavar="ORG/NAME", help="The published weights.  [default: a marked TODO]")
@click.option(
    "--tiny-repo",
    default=None,
    metavar="ORG/NAME",
    help="The tiny test repository.  [default: hf-internal-testing/tiny-<name>-modular-pipe]",
)
@click.option("--reference", default=None, metavar="PATH_OR_URL", help="The reference implementation.")
@click.option(
    "--answers", type=click.Path(path_type=Path), default=None, metavar="FILE", help="Answers from a YAML file."
)
@click.option("--vcs-ref", default=None, metavar="REF", help="Version of the template.  [default: the newest]")
@_python_option
@_checkout_option
@_dry_run_option
@_json_option
@_yes_option
@click.pass_context
def cli(ctx: click.Context, /, **options: Any) -> None:
    """Lay out a complete, working new-model pull request in a checkout of diffusers, and register it everywhere."""
    if ctx.invoked_subcommand is None:
        _create(options)


def _create(options: dict[str, Any]) -> None:
    from .ask import ask_missing
    from .checkout import apply, exclude_state, find_checkout, head
    from .preflight import check_spec, house_answers
    from .render import render
    from .scaffold import create, parse_answers
    from .snapshot import Snapshot
    from .spec import ModelSpec

    given = {key: options[key] for key in ModelSpec.__dataclass_fields__ if options.get(key) not in (None, ())}
    if options["answers"]:
        path: Path = options["answers"]
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise BadInput(f"--answers {path} can not be read: {error}") from None
        given = {**parse_answers(text, str(path)), **given}
    asking = not options["yes"] and not options["as_json"] and not options["answers"] and sys.stdin.isatty()
    if not asking or "name" in given:
        # Answers that make no sense anywhere are refused before a checkout is looked for.
        ModelSpec.from_answers(given)
    root = find_checkout(options["checkout"] or Path.cwd())
    if asking:
        given = ask_missing(given)
    snapshot = Snapshot(root)
    stand = head(root)
    spec = ModelSpec.from_answers({**house_answers(snapshot, stand), **given})
    check_spec(spec, snapshot)
    rendered = render(spec.answers(), options["vcs_ref"])
    plan = create(spec, snapshot, stand, rendered, _ruff(options["python"], root))
    if not options["dry_run"]:
        apply(root, plan, _prover(plan))
        exclude_state(root)
    _print_change(plan, dry_run=options["dry_run"], as_json=options["as_json"], spec=spec)


def _ruff(python: str | None, root: Path) -> str:
    from .formatting import find_ruff
    from .pythons import find_python

    return find_ruff(find_python(python, root))


def _prover(plan: Plan) -> Any:
    """After an apply: read the registries again and prove that every entry stands in them exactly once."""
    from .proof import prove

    return lambda snapshot: prove(snapshot, plan.entries)


def _print_change(plan: Plan, *, dry_run: bool, as_json: bool, spec: ModelSpec | None = None) -> None:
    from .report import change_json, print_change, print_json

    if as_json:
        print_json(change_json(plan, dry_run=dry_run))
    elif dry_run:
        sys.stdout.write(plan.diff())
        for notice in plan.notices:
            click.echo(f"notice: {notice}", err=True)
    else:
        print_change(plan, spec)


@cli.command()
@click.argument("name")
@click.option("--from-copier", metavar="OPERATION", default=None, hidden=True)
@_python_option
@_checkout_option
@_dry_run_option
@_json_option
def complete(
    name: str, from_copier: str | None, python: str | None, checkout: Path | None, dry_run: bool, as_json: bool
) -> None:
    """Finish a render that Copier made: fill, format, extend."""
    from .scaffold import read_spec
    from .snapshot import Snapshot

    if from_copier is not None:
        _complete_for_copier(name, from_copier, python)
        return
    from .checkout import apply, exclude_state, find_checkout, head
    from .scaffold import complete as plan_complete

    root = find_checkout(checkout or Path.cwd())
    snapshot = Snapshot(root)
    spec = read_spec(snapshot, name)
    plan = plan_complete(spec, snapshot, head(root), _ruff(python, root))
    if not dry_run:
        apply(root, plan, _prover(plan))
        exclude_state(root)
    _print_change(plan, dry_run=dry_run, as_json=as_json, spec=spec)


def _complete_for_copier(name: str, operation: str, python: str | None) -> None:
    """The task of the template, in the folder that Copier rendered into.

    The temporary renders of an update are no checkout: there the files are formatted, so that old and new differ
    only in what the template changed, and nothing else is done. A copy that is refused takes its files with it.
    """
    from .checkout import ROOT_INIT, apply, exclude_state, find_checkout, head, remove_created
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
        for path, text in formatted(spec, owned_texts(spec, snapshot), _ruff(python, root)).items():
            (root / path).write_bytes(text.encode("utf-8"))
        return
    created = [*owned_texts(spec, snapshot), f"{spec.state_folder}/answers.yml"]
    first = read_manifest(snapshot, name) is None
    try:
        if find_checkout(root) != root.resolve():
            raise NotACheckout(f"{root} is not the root of the checkout", hint="run copier in the root folder")
        stand = head(root)
        plan = plan_complete(spec, snapshot, stand, _ruff(python, root), register_too=True, fresh=True)
        apply(root, plan, _prover(plan))
    except ScaffoldError:
        if operation == "copy" and first:
            remove_created(Path.cwd(), created, spec.owned_places())
        raise
    exclude_state(root)
    for question, detected in house_answers(snapshot, stand).items():
        if getattr(spec, question) != detected:
            click.echo(
                f"notice: this checkout's {question} is {detected}; the render used {getattr(spec, question)}",
                err=True,
            )
    _print_change(plan, dry_run=False, as_json=False, spec=spec)


@cli.command()
@click.option("--also", multiple=True, metavar="REGISTRY", help="An optional registry as well, such as auto_pipeline.")
@click.option("--fix", is_flag=True, help="Also take out names that nothing defines any more.")
@_checkout_option
@_dry_run_option
@_json_option
def register(also: tuple[str, ...], fix: bool, checkout: Path | None, dry_run: bool, as_json: bool) -> None:
    """Register whatever is on disk and not registered."""
    from .checkout import apply, before_branch, find_checkout
    from .registration import BASELINE
    from .registration import register as plan_register
    from .scaffold import record_registered
    from .snapshot import Snapshot

    root = find_checkout(checkout or Path.cwd())
    snapshot = Snapshot(root)
    base = before_branch(root, BASELINE) if also else None
    plan = record_registered(snapshot, plan_register(snapshot, also=also, base=base, fix=fix))
    if not dry_run:
        apply(root, plan, _prover(plan))
    _print_change(plan, dry_run=dry_run, as_json=as_json)


@cli.command()
@click.argument("name")
@_checkout_option
@_json_option
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


@cli.command()
@click.argument("name")
@click.option("--force", is_flag=True, help="Also replace repositories of these names that were downloaded.")
@click.option(
    "--generate",
    type=click.Path(path_type=Path),
    default=None,
    metavar="FILE.png",
    help="Run the tiny pipeline as well and save its image.",
)
@_python_option
@_checkout_option
@_json_option
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
    built = build(root, spec, interpreter, _progress, force=force)
    picture = run_pipeline(root, spec, interpreter, generate, _progress) if generate else None
    if as_json:
        print_json(
            {
                "repositories": [
                    {"id": one.repo, "folder": str(one.folder), "status": one.status} for one in built.placed
                ],
                "publish": built.publish,
                "picture": str(picture.path) if picture else None,
                "notices": list(built.notices),
            }
        )
        return
    for notice in built.notices:
        click.echo(f"notice: {notice}")
    click.echo(f"Publish it before the pull request, so that upstream CI finds it:\n  {built.publish}")
    if picture:
        click.echo(f"{picture.path}: {picture.width}x{picture.height} pixels, {picture.colours} colours")


@cli.command()
@click.argument("name")
@_python_option
@_checkout_option
@_json_option
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
    verification = run_gates(root, spec, find_python(python, root), _progress)
    if as_json:
        print_json(verification_json(verification))
    else:
        click.echo(format_table(verification))
    ctx.exit(DONE if verification.clean else FOUND)


@cli.command()
@click.argument("directory", type=click.Path(path_type=Path))
@click.option("--version", "release", default=None, metavar="VERSION", help="The release.  [default: the newest]")
@_json_option
def practice(directory: Path, release: str | None, as_json: bool) -> None:
    """Make a practice checkout from the released diffusers sources."""
    from .practice import practice as make
    from .report import print_json

    made = make(directory, _progress, release)
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


@cli.command()
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
@_python_option
@_checkout_option
@_dry_run_option
@_json_option
def check(name: str | None, checkout: Path | None, as_json: bool, **options: Any) -> int:
    """Find what the repository's CI does not see: in the whole checkout, or for the model NAME."""
    from .check import Request
    from .check import check as run_check
    from .checkout import apply, find_checkout
    from .report import check_json, print_check, print_github, print_json
    from .snapshot import Snapshot

    if as_json and options["output"] != "text":
        raise BadInput("--json and --format github exclude each other")
    root = find_checkout(checkout or Path.cwd())
    request = Request(name, options["baseline"], options["copies"], options["fix"])
    checked = run_check(root, Snapshot(root), request, lambda: _ruff(options["python"], root))
    if checked.plan and not options["dry_run"]:
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


@cli.command("merge-driver")
@click.argument("arguments", nargs=-1, metavar="[%O %A %B %P]")
@click.option("--install", "change", flag_value="install", help="Set the driver up in the checkout's repository.")
@click.option("--uninstall", "change", flag_value="uninstall", help="Take it out again.")
@_checkout_option
@_dry_run_option
@_json_option
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


def _progress(line: str) -> None:
    click.echo(line, err=True)


def main() -> NoReturn:
    """The console script: run, and turn every error into one line and an exit code."""
    # A command lives for a second or two and builds large syntax trees; collecting cycles meanwhile is a tenth of that.
    gc.disable()
    arguments = sys.argv[1:]
    as_json = "--json" in arguments
    try:
        code = cli.main(args=arguments, prog_name="scaffold-model", standalone_mode=False)
        _exit(code if isinstance(code, int) else DONE)
    except ScaffoldError as error:
        _refuse(error, as_json)
    except click.exceptions.Abort:
        click.echo("stopped; nothing was written", err=True)
        _exit(REFUSED)
    except click.ClickException as error:
        _refuse(BadInput(error.format_message().rstrip("."), hint="see scaffold-model --help"), as_json)
    except BrokenPipeError:
        # The reader of a pipe went away, as `head` does; there is nobody left to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        _exit(DONE)
    except Exception as error:
        if os.environ.get("SCAFFOLD_MODEL_TRACEBACK"):
            raise
        _report_bug(error, as_json)


def _exit(code: int) -> NoReturn:
    sys.exit(code)


def _refuse(error: ScaffoldError, as_json: bool) -> NoReturn:
    if as_json:
        from .report import print_json, refusal_json

        print_json(refusal_json(error))
    else:
        click.echo(f"scaffold-model: {error.line}", err=True)
    _exit(REFUSED)


def _report_bug(error: Exception, as_json: bool) -> NoReturn:
    message = f"internal error, nothing was written: {type(error).__name__}: {error}".replace("\n", " ")
    hint = "please report it, with the output of the same command under SCAFFOLD_MODEL_TRACEBACK=1"
    if as_json:
        from .report import print_json

        print_json(
            {"status": "refused", "error": {"type": "InternalError", "message": message, "path": None, "hint": hint}}
        )
    else:
        click.echo(f"scaffold-model: {message}; {hint}", err=True)
    _exit(BUG)
