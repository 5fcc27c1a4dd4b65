"""Speed and memory of the main job, as medians and ratios of one run: ``make bench``.

Every command runs as a whole process, in a throw-away clone of diffusers that is put back in between; the commands take
turns, so that a busy moment of the machine falls on all of them alike.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SCAFFOLD = [sys.executable, "-m", "scaffold_model"]
COPIER = [
    sys.executable,
    "-m",
    "copier",
    "copy",
    "--trust",
    "--defaults",
    "--quiet",
    "--vcs-ref=HEAD",
    "--data=name=foo",
]


@dataclass
class Line:
    """One command of the benchmark.

    Attributes:
        name: What the table calls it.
        command: The process to time.
        prepare: What is done to the clone beforehand, untimed.
        goal: Seconds, or None where there is none.
    """

    name: str
    command: list[str]
    prepare: Callable[[Path], None]
    goal: float | None = None
    seconds: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)


def clean(clone: Path) -> None:
    """The clone as it was made."""
    subprocess.run(["git", "-C", str(clone), "checkout", "--quiet", "--", "."], check=True)
    subprocess.run(["git", "-C", str(clone), "clean", "-fdxq"], check=True)


def rendered(clone: Path) -> None:
    """A render by Copier that is not completed."""
    clean(clone)
    subprocess.run([*COPIER, "--skip-tasks", str(ROOT), str(clone)], check=True)


def completed(clone: Path) -> None:
    """A completed render that is not registered."""
    rendered(clone)
    subprocess.run([*SCAFFOLD, "complete", "foo"], cwd=clone, check=True, stdout=subprocess.DEVNULL)


def ready(clone: Path) -> None:
    """A scaffold that is registered already."""
    clean(clone)
    subprocess.run([*SCAFFOLD, "--name", "foo", "--yes"], cwd=clone, check=True, stdout=subprocess.DEVNULL)


def outdated(clone: Path) -> None:
    """A scaffold of an older version of the template."""
    clean(clone)
    versions = ["git", "-C", str(ROOT), "log", "--format=%h", "-2", "--", "template"]
    older = subprocess.run(versions, check=True, capture_output=True, text=True).stdout.split()[-1]
    command = [*SCAFFOLD, "--name", "foo", "--yes", "--vcs-ref", f"{older}^"]
    subprocess.run(command, cwd=clone, check=True, stdout=subprocess.DEVNULL)


def run(line: Line, clone: Path) -> None:
    """Time one process and read its peak memory, children included."""
    line.prepare(clone)
    start = time.perf_counter()
    process = subprocess.Popen(line.command, cwd=clone, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    line.seconds.append(time.perf_counter() - start)
    # ru_maxrss is in KiB on Linux and in bytes on macOS.
    line.memory.append(usage.ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10))
    # 1 says that `check` has found something.
    if os.waitstatus_to_exitcode(status) not in (0, int("check" in line.command)):
        raise SystemExit(f"bench: {' '.join(line.command)} failed")


def main() -> None:
    """Run the benchmark and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--checkout", type=Path, default=None, help="a clone of diffusers to clone from")
    parser.add_argument("--json", type=Path, default=None, help="write the figures to a file as well")
    arguments = parser.parse_args()
    source = arguments.checkout or Path(
        os.environ.get("DIFFUSERS_CHECKOUT", Path.home() / ".cache/scaffold-model/diffusers")
    )
    if not (source / ".git").exists():
        raise SystemExit(f"bench: no clone of diffusers at {source}; give one with --checkout")
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "diffusers"
        subprocess.run(["git", "clone", "--quiet", str(source), str(clone)], check=True)
        lines = [
            Line("one-shot (create + complete + register)", [*SCAFFOLD, "--name", "foo", "--yes"], clean, 1.5),
            Line("copier copy with its task", [*COPIER, str(ROOT), "."], clean),
            Line("copier copy --skip-tasks", [*COPIER, "--skip-tasks", str(ROOT), "."], clean),
            Line("complete", [*SCAFFOLD, "complete", "foo"], rendered),
            Line("register, new model", [*SCAFFOLD, "register"], completed),
            Line("register, ready tree", [*SCAFFOLD, "register"], ready, 0.6),
            Line("check, whole checkout", [*SCAFFOLD, "check", "--json"], ready, 1.0),
            Line("check NAME", [*SCAFFOLD, "check", "foo", "--json"], ready, 0.5),
            Line("update from an older template", [*SCAFFOLD, "update", "foo"], outdated, 1.5),
            Line("--help", [*SCAFFOLD, "--help"], lambda _: None, 0.15),
        ]
        for number in range(arguments.rounds + 1):
            for line in lines:
                run(line, clone)
            if number == 0:
                # The first round fills caches of the file system and of Python.
                for line in lines:
                    line.seconds.clear()
                    line.memory.clear()
        shutil.rmtree(clone)
    report(lines, arguments.json)


def report(lines: list[Line], out: Path | None) -> None:
    """Print the table; the ratio is to Copier with its task, the way in that does the same work."""
    base = statistics.median(lines[1].seconds)
    print(f"{'':<42}{'median s':>9}{'min':>8}{'max':>8}{'ratio':>8}{'goal s':>8}{'peak MB':>9}")
    for line in lines:
        median = statistics.median(line.seconds)
        goal = f"{line.goal:.2f}" if line.goal else ""
        print(
            f"{line.name:<42}{median:>9.2f}{min(line.seconds):>8.2f}{max(line.seconds):>8.2f}"
            f"{median / base:>8.2f}{goal:>8}{max(line.memory):>9.0f}"
        )
    if out:
        out.write_text(
            json.dumps({line.name: {"seconds": line.seconds, "peak_mb": line.memory} for line in lines}, indent=2)
        )


if __name__ == "__main__":
    main()
