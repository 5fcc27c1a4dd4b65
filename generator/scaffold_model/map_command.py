"""The command ``map``: a conversion script from the names, shapes and, with a harness, the numbers of both sides."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from .command_line import DONE, FOUND, checkout_option, json_option, progress, python_option, ruff_of
from .errors import BadInput


@click.command(name="map")
@click.argument("name", required=False)
@click.option(
    "--weights",
    type=click.Path(path_type=Path),
    metavar="SOURCE",
    help="The original checkpoint: a .safetensors file, the .index.json of its shards, a folder, or a PyTorch file.",
)
@click.option("--against", metavar="CLASS", help="The model of diffusers to map to, such as FluxTransformer2DModel.")
@click.option("--config", type=click.Path(path_type=Path), metavar="FILE", help="Its config.json.")
@click.option(
    "--harness",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Builds and runs both sides.  [default with NAME: .scaffold/NAME/parity.py]",
)
@click.option("--names-only", is_flag=True, help="With NAME: do not run the harness.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="SCRIPT",
    help="The script to write.  [default with NAME: scripts/convert_NAME_to_diffusers.py]",
)
@click.option("--force", is_flag=True, help="Write over an existing script.")
@python_option
@checkout_option
@json_option
def map_weights(
    name: str | None,
    weights: Path | None,
    against: str | None,
    config: Path | None,
    harness: Path | None,
    names_only: bool,
    out: Path | None,
    force: bool,
    python: str | None,
    checkout: Path | None,
    as_json: bool,
) -> None:
    """Map an original checkpoint to a model of diffusers, and write the conversion script.

    Names, shapes and structure propose. With a harness, both sides are run and the numbers decide. Exit code 1 says
    that the script is written, and that something in it is left to decide.
    """
    from .formatting import FormattingFailed, format_python
    from .parity.choose import diffusers_and_python
    from .parity.launch import run
    from .parity.map_report import is_complete, map_json, print_map
    from .parity.splice import spliced
    from .report import print_json

    if names_only and harness is not None:
        raise BadInput("--names-only and --harness exclude each other", hint="give one of them")
    root, interpreter = diffusers_and_python(checkout, python)
    if name is not None:
        root, harness, out = _of_scaffold(name, root, harness, names_only, out)
    if out is None:
        raise BadInput("--out is missing", hint="name the script to write with --out SCRIPT")
    _check_inputs(weights, against, config, harness)
    _check_out(out, force)
    request = {
        "weights": _absolute(weights),
        "against": against,
        "config": _absolute(config),
        "harness": _absolute(harness),
        "script": _shown(out, root),
    }
    log = out.with_name(f"{out.stem}.map.log")
    try:
        result = run(interpreter, root, "map", request, progress, log=log)
    except BadInput:
        # What can be mended is said in full; the log is for what can not be foreseen.
        log.unlink(missing_ok=True)
        raise
    text = result["script"]
    if name is not None and out.is_file():
        text = spliced(out.read_text(encoding="utf-8"), result["parts"], str(out))
    try:
        text = format_python({out.name: text}, line_length=119)[out.name]
    except FormattingFailed as error:
        raise AssertionError(f"the script that was written is no Python: {error}") from error
    _write(out, text)
    if name is not None and root is not None:
        _follow_single_file(name, root, out, text, interpreter)
    if as_json:
        print_json(map_json(result, str(out)))
    else:
        print_map(result, str(out))
    sys.exit(DONE if is_complete(result) else FOUND)


def _of_scaffold(
    name: str, root: Path | None, harness: Path | None, names_only: bool, out: Path | None
) -> tuple[Path, Path | None, Path]:
    """Harness and script of a scaffolded model."""
    from .scaffold import read_spec
    from .snapshot import Snapshot

    if root is None:
        raise BadInput(
            f"{name} is a scaffold of a checkout, and this folder is in none",
            hint="run inside the checkout, or give it with --checkout DIR",
        )
    spec = read_spec(Snapshot(root), name)
    own = root / spec.state_folder / "parity.py"
    if harness is None and not names_only:
        if not own.is_file():
            raise BadInput(
                "is not there",
                path=str(own.relative_to(root)),
                hint=f"`scaffold-model adopt {name}` brings it back; or give --harness FILE, or --names-only",
            )
        harness = own
    return root, harness, out or root / "scripts" / f"convert_{name}_to_diffusers.py"


def _follow_single_file(name: str, root: Path, out: Path, text: str, python: str) -> None:
    """`from_single_file` converts as the script of the scaffold does."""
    from .checkout import apply, changing
    from .parity.single_file import follow
    from .scaffold import read_spec
    from .snapshot import Snapshot

    snapshot = Snapshot(root)
    spec = read_spec(snapshot, name)
    script = f"scripts/convert_{name}_to_diffusers.py"
    if spec.single_file != "yes" or out.resolve() != (root / script).resolve():
        return
    with changing(root):
        plan = follow(snapshot, spec, script, text, ruff_of(python, root))
        if plan:
            apply(root, plan)
    for line in (*(f"{edit.path} follows the script" for edit in plan.edits), *plan.notices):
        progress(line)


def _check_inputs(weights: Path | None, against: str | None, config: Path | None, harness: Path | None) -> None:
    missing = [flag for flag, value in (("--against", against), ("--config", config)) if value is None]
    if weights is None and harness is None:
        raise BadInput("--weights is missing", hint="name the original checkpoint with --weights SOURCE")
    if missing and (harness is None or len(missing) == 1):
        raise BadInput(
            f"{' and '.join(missing)} {'are' if len(missing) > 1 else 'is'} missing",
            hint="name the model with --against CLASS and its configuration with --config FILE",
        )
    for flag, path in (("--weights", weights), ("--config", config), ("--harness", harness)):
        if path is not None and not path.exists():
            raise BadInput("is not there", path=str(path), hint=f"{flag} names a file")


def _check_out(out: Path, force: bool) -> None:
    if out.is_dir():
        raise BadInput("is a folder", path=str(out), hint="name the script to write with --out SCRIPT")
    if not out.parent.is_dir():
        raise BadInput("its folder is not there", path=str(out), hint="make the folder first")
    if out.suffix != ".py":
        raise BadInput("is no name of a Python file", path=str(out), hint="let --out end with .py")
    if out.exists() and not force:
        raise BadInput(
            "is there already", path=str(out), hint="write over it with --force, or name another with --out"
        )


def _absolute(path: Path | None) -> str | None:
    return None if path is None else str(path.absolute())


def _shown(out: Path, root: Path | None) -> str:
    """The script as the docstring names it: relative to the checkout, where it is in one."""
    if root is not None and out.absolute().is_relative_to(root):
        return str(out.absolute().relative_to(root))
    return out.name


def _write(path: Path, text: str) -> None:
    """Write the whole file or nothing."""
    beside = path.with_name(f".{path.name}.tmp")
    try:
        beside.write_text(text, encoding="utf-8")
        os.replace(beside, path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise BadInput(f"can not be written: {error.strerror}", path=str(path), hint="name another --out") from None
