"""``make demo``: the main job in a practice checkout, shown step by step, and the proof that everything is registered."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from scaffold_model.conventions import detect
from scaffold_model.discovery import discover
from scaffold_model.pythons import missing_modules
from scaffold_model.registries import REGISTRIES
from scaffold_model.scaffold import read_spec
from scaffold_model.snapshot import Snapshot

ROOT = Path(__file__).resolve().parents[1]
DEMO = ROOT / ".demo"
CHECKOUT = DEMO / "diffusers"
NAME = "y_image"

# Rows stay whole where the output goes into a file or a pipe.
console = Console(highlight=False, width=None if sys.stdout.isatty() else 160)


def step(title: str) -> None:
    """A heading."""
    console.print(f"\n[bold cyan]== {title}[/]")


def run(*arguments: str, cwd: Path) -> str:
    """Show a command, run it, show what it prints; end the demo where it fails."""
    console.print(f"[bold]$ {shlex.join(arguments)}[/]", soft_wrap=True)
    command = (
        [sys.executable, "-m", "scaffold_model", *arguments[1:]] if arguments[0] == "scaffold-model" else arguments
    )
    done = subprocess.run(command, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, check=False)
    sys.stdout.write(done.stdout)
    sys.stdout.flush()
    if done.returncode:
        raise SystemExit(f"demo: `{shlex.join(arguments)}` ended with exit code {done.returncode}")
    return done.stdout


def prove() -> None:
    """Read every registry from the disk and count the model's entries; each must be there exactly once."""
    snapshot = Snapshot(CHECKOUT)
    spec = read_spec(snapshot, NAME)
    found = discover(snapshot)
    conventions = detect(snapshot)
    subjects = [export for export in found.exports if export.name in spec.public_classes]
    if {export.name for export in subjects} != {*spec.public_classes}:
        raise SystemExit(f"demo: not every class of {NAME} was found on disk")
    pages = [page for page in found.pages if {*page.documents} & {*spec.public_classes}]
    table = Table("registry", "entry", "file", "times", box=None)
    wrong = 0
    for registry in REGISTRIES:
        for subject in [*subjects, *pages]:
            for entry in registry.entries(subject, conventions, snapshot):
                count = sum(item.object == entry.object for item in registry.listed(snapshot.read(entry.path) or ""))
                wrong += count != 1
                table.add_row(registry.NAME, entry.object, entry.path, str(count))
    console.print(table)
    if wrong or not table.row_count:
        raise SystemExit(f"demo: {wrong} of {table.row_count} entries are not there exactly once")
    console.print(f"[bold green]Proof: {table.row_count} entries, each exactly once.[/]")


def python_with_torch() -> str | None:
    """The Python that was named, the one that `make test` sets up, or the user's own; None where none has torch."""
    own = [folder for folder in os.environ["PATH"].split(os.pathsep) if Path(folder) != Path(sys.executable).parent]
    candidates = [
        os.environ.get("SCAFFOLD_MODEL_PYTHON"),
        str(ROOT / ".venv-diffusers" / "bin" / "python"),
        shutil.which("python3", path=os.pathsep.join(own)),
    ]
    for python in candidates:
        if python and Path(python).exists() and not missing_modules(python, ["torch", "transformers"]):
            return python
    return None


def main() -> None:
    """The demo, from nothing to an image."""
    shutil.rmtree(DEMO, ignore_errors=True)
    DEMO.mkdir()
    step("A practice checkout, from the newest release of diffusers")
    run("scaffold-model", "practice", str(CHECKOUT.relative_to(ROOT)), cwd=ROOT)
    step("The main job: one command")
    run("scaffold-model", "--name", NAME, "--both", cwd=CHECKOUT)
    step("What git sees")
    run("git", "diff", "--stat", cwd=CHECKOUT)
    step("A second registration finds nothing to do")
    run("scaffold-model", "register", cwd=CHECKOUT)
    step("Every registry, read from the disk again")
    prove()
    step("What is left for you")
    run("scaffold-model", "todo", NAME, cwd=CHECKOUT)
    step("An image from the tiny pipeline")
    python = python_with_torch()
    if python is None:
        console.print(
            "left out: no Python with torch and transformers here. `make test` sets one up; any other one does as well: "
            "make demo SCAFFOLD_MODEL_PYTHON=PATH",
            soft_wrap=True,
        )
        return
    picture = DEMO / "y_image.png"
    os.environ["HF_HOME"] = str(DEMO / "hub")
    os.environ["HF_HUB_OFFLINE"] = "1"
    run("scaffold-model", "tiny", NAME, "--generate", str(picture), "--python", python, cwd=CHECKOUT)
    console.print(f"[bold green]{picture.relative_to(ROOT)}[/]")


if __name__ == "__main__":
    main()
