"""The command line: parse, call, print, exit code. Nothing heavy is imported at the top, so that ``--help`` is quick."""

from __future__ import annotations

import errno
import gc
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NoReturn

import click

from . import __version__
from .add_command import add
from .command_line import (
    BUG,
    DONE,
    REFUSED,
    checkout_option,
    dry_run_option,
    json_option,
    prover,
    python_option,
    ruff_of,
    show_change,
    yes_option,
)
from .commands import COMMANDS
from .errors import BadInput, ScaffoldError, Stopped
from .life_commands import LIFE_COMMANDS
from .map_command import map_weights
from .parity_command import parity


class _Group(click.Group):
    """Shows the options of the main command as its usage."""

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write_usage("scaffold-model", "--name NAME [--modular | --standard | --both] [OPTIONS]")
        formatter.write_usage("scaffold-model", "COMMAND [OPTIONS]", prefix="       ")


def _choice(question: str, help_text: str, default: str | None = None, **extra: Any) -> Callable[[Any], Any]:
    from .questions import CHOICES
    from .spec import flag

    values = CHOICES[question]
    return click.option(
        flag(question),
        question,
        default=None,
        metavar="|".join(values),
        help=f"{help_text}  [default: {default or values[0]}]",
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
@_choice("task", "What the pipelines do; repeatable.", default="the modality's first", multiple=True)
@_choice("attention", "Joint text and image tokens, or text by cross-attention.")
@_choice("text_encoder", "Text encoder.")
@click.option(
    "--vae",
    default=None,
    metavar="CLASS|new",
    help="Autoencoder class, or a new one.  [default: by modality, AutoencoderKL]",
)
@click.option(
    "--scheduler",
    default=None,
    metavar="CLASS|new",
    help="Flow-matching scheduler class, or a new one.  [default: FlowMatchEulerDiscreteScheduler]",
)
@_choice("guidance", "Classifier-free guidance, or guidance as an input of a distilled model.")
@click.option("--lora", is_flag=True, default=None, help="A LoRA loader mixin, wired to model and pipeline.")
@click.option("--single-file", is_flag=True, default=None, help="Loading of original checkpoints; needs --hub-repo.")
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
@python_option
@checkout_option
@dry_run_option
@json_option
@yes_option
@click.pass_context
def cli(ctx: click.Context, /, **options: Any) -> None:
    """Lay out a complete, working new-model pull request in a checkout of diffusers, and register it everywhere."""
    if ctx.invoked_subcommand is None:
        _create(options)


def _create(options: dict[str, Any]) -> None:
    from .ask import ask_missing
    from .checkout import apply, changing, find_checkout, head, state_excluded
    from .preflight import check_spec, fitted_spec
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
    with nullcontext() if options["dry_run"] else changing(root):
        snapshot = Snapshot(root)
        stand = head(root)
        spec = fitted_spec(given, snapshot, stand)
        check_spec(spec, snapshot)
        rendered = render(spec.answers(), options["vcs_ref"])
        plan = create(spec, snapshot, stand, rendered, ruff_of(options["python"], root))
        if not options["dry_run"]:
            with state_excluded(root):
                apply(root, plan, prover(plan))
    show_change(plan, dry_run=options["dry_run"], as_json=options["as_json"], spec=spec)


for command in (*COMMANDS, add, *LIFE_COMMANDS, map_weights):
    cli.add_command(command)
cli.add_command(parity)


def main() -> NoReturn:
    """The console script: run, and leave with the exit code."""
    # A command lives for a second or two and builds large syntax trees; collecting cycles meanwhile is a tenth of that.
    gc.disable()
    code = _flushed(run(sys.argv[1:]))
    # Taking the trees apart again, object by object, would be another tenth.
    os._exit(code)


def run(arguments: Sequence[str]) -> int:
    """Run a command line, turn every error into one line, and return the exit code."""
    stream = sys.stdout
    try:
        return _called(arguments, "--json" in arguments)
    except BrokenPipeError:
        # The reader of a pipe went away, as `head` does; there is nobody left to tell.
        return DONE
    except SystemExit as ended:
        # A command that ends by itself; or click, which has put something silent in the place of such a pipe.
        if ended.code is None or sys.stdout is not stream:
            return DONE
        if isinstance(ended.code, int):
            return ended.code
        raise
    except OSError as error:
        if not _is_output(error):
            raise
        return _unwritten(error)


def _called(arguments: Sequence[str], as_json: bool) -> int:
    try:
        code = cli.main(args=list(arguments), prog_name="scaffold-model", standalone_mode=False)
        return code if isinstance(code, int) else DONE
    except ScaffoldError as error:
        return _refuse(error, as_json)
    except (click.exceptions.Abort, KeyboardInterrupt):
        return _refuse(Stopped("stopped; nothing was written"), as_json)
    except click.ClickException as error:
        return _refuse(BadInput(error.format_message().rstrip("."), hint="see scaffold-model --help"), as_json)
    except Exception as error:
        if _is_output(error) or os.environ.get("SCAFFOLD_MODEL_TRACEBACK"):
            raise
        return _report_bug(error, as_json)


def _flushed(code: int) -> int:
    """Write out what is buffered; returns the exit code, which says so where that fails."""
    for stream in (sys.stdout, sys.stderr):
        try:
            # Without an open descriptor there is no stream.
            if stream is not None:
                stream.flush()
        except BrokenPipeError:
            continue
        except OSError as error:
            return _unwritten(error)
    return code


def _is_output(error: Exception) -> bool:
    """Whether writing failed, to a closed pipe or a full disk: what is wrong with a file that is opened has its name."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EPIPE) and error.filename is None


def _unwritten(error: OSError) -> int:
    click.echo(f"scaffold-model: the output could not be written ({error.strerror})", err=True)
    return BUG


def _refuse(error: ScaffoldError, as_json: bool) -> int:
    if as_json:
        from .report import print_json, refusal_json

        print_json(refusal_json(error))
    else:
        click.echo(f"scaffold-model: {error.line}", err=True)
    return REFUSED


def _report_bug(error: Exception, as_json: bool) -> int:
    message = f"internal error, nothing was written: {type(error).__name__}: {error}".replace("\n", " ")
    hint = "please report it, with the output of the same command under SCAFFOLD_MODEL_TRACEBACK=1"
    if as_json:
        from .report import print_json

        print_json(
            {"status": "refused", "error": {"type": "InternalError", "message": message, "path": None, "hint": hint}}
        )
    else:
        click.echo(f"scaffold-model: {message}; {hint}", err=True)
    return BUG
