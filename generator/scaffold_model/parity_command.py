"""``scaffold-model parity``: both sides on the same weights, and where they part."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from .command_line import DONE, FOUND, checkout_option, json_option, progress, python_option


@click.command()
@click.argument("name", required=False)
@click.option(
    "--harness",
    type=click.Path(path_type=Path),
    default=None,
    metavar="FILE",
    help="A file that builds and runs both sides.  [default: .scaffold/NAME/parity.py of the checkout]",
)
@click.option(
    "--html", type=click.Path(path_type=Path), default=None, metavar="FILE", help="Write a page with a picture."
)
@click.option(
    "--component", default=None, metavar="NAME", help="What to compare where a harness has several, such as vae."
)
@click.option(
    "--steps", type=click.IntRange(0, 200), default=8, show_default=True, help="Steps of the denoising loop."
)
@click.option(
    "--device", default=None, metavar="DEVICE", help="Also run the target there, and show the drift, such as cuda."
)
@click.option(
    "--dtype",
    type=click.Choice(["float32", "bfloat16", "float16"]),
    default=None,
    help="Also run the target in it, and show the drift beside float32's.  [with --device: bfloat16]",
)
@click.option(
    "--seconds", type=click.FloatRange(1), default=60.0, show_default=True, help="How long causes are tried."
)
@python_option
@checkout_option
@json_option
def parity(
    name: str | None,
    harness: Path | None,
    html: Path | None,
    component: str | None,
    steps: int,
    device: str | None,
    dtype: str | None,
    seconds: float,
    python: str | None,
    checkout: Path | None,
    as_json: bool,
) -> None:
    """Compare a model with its reference, and say where and why the numbers part.

    Both sides run in one process, on the CPU and in float32, with the same freshly converted weights and the same inputs.
    Exit code 1 where an output differs by 1e-3 or more.
    """
    from .errors import BadInput
    from .parity.choose import diffusers_and_python
    from .parity.launch import run
    from .parity.report import page, print_parity
    from .report import print_json

    if (name is None) == (harness is None):
        raise BadInput("give either NAME or --harness FILE", hint="see scaffold-model parity --help")
    if html is not None and not html.absolute().parent.is_dir():
        raise BadInput(f"--html {html}: its folder does not exist", hint="create it, or name a file in another one")
    if harness is not None and not harness.is_file():
        raise BadInput("is no file", path=str(harness), hint="name the harness with --harness FILE")
    root, interpreter = diffusers_and_python(checkout, python, progress)
    if name is not None:
        harness = _of_scaffold(root, name)
    assert harness is not None
    request = {
        "harness": str(harness.absolute()),
        "component": component,
        "steps": steps,
        "device": device,
        "dtype": dtype,
        "seconds": seconds,
    }
    result = run(interpreter, root, "compare", request, progress)
    if html is not None:
        html.write_text(page(result, name or harness.name), encoding="utf-8")
    if as_json:
        print_json(result)
    else:
        print_parity(result, html)
    sys.exit(DONE if result["passed"] else FOUND)


def _of_scaffold(root: Path | None, name: str) -> Path:
    """The harness of a scaffold."""
    from .errors import BadInput

    if root is None:
        raise BadInput(
            f"{name} needs the checkout that it was scaffolded in",
            hint="run in it, give --checkout DIR, or name a harness with --harness FILE",
        )
    path = root / ".scaffold" / name / "parity.py"
    if not path.is_file():
        raise BadInput(
            "is not there",
            path=path.relative_to(root).as_posix(),
            hint=f"`scaffold-model adopt {name}` writes it where the folder is lost; --harness FILE names another",
        )
    return path
