"""``make matrix``: a pairwise covering array of all axes, every cell scaffolded into a fresh clone and verified there.

    python tools/matrix.py                       every cell; the report goes to .matrix/, a red cell stays
    python tools/matrix.py --list                the cells, as command lines
    python tools/matrix.py --cell 3 --cell 7     only these

A cell is green when the scaffold applies and registers completely (a second `register` changes nothing), existing
files have added lines only, every gate and every generated test passes, and nothing is left behind.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined

from scaffold_model.checkout import git
from scaffold_model.errors import BadInput, ScaffoldError
from scaffold_model.questions import CHOICES, TASKS
from scaffold_model.spec import ModelSpec

ROOT = Path(__file__).resolve().parents[1]
REPORT = ROOT / ".matrix"
#: Not below this project, whose pytest settings would hold for the tests of the clones there.
WORK = Path.home() / ".cache" / "scaffold-model" / "matrix"
NAME = "foo"

#: Autoencoders of each modality: an existing class, and a new one. What the template does not serve yet makes no cell.
VAES = {
    "image": ("AutoencoderKL", "new"),
    "video": ("AutoencoderKLWan", "new"),
    "audio": ("AutoencoderOobleck", "new"),
}
SCHEDULERS = ("FlowMatchEulerDiscreteScheduler", "FlowMatchHeunDiscreteScheduler", "new")
#: The axes beside those in `CHOICES`; what a checkout decides (the test style) is none.
_OTHERS = ("format", "attention", "text_encoder", "guidance", "lora", "single_file", "auto_pipeline")

Answers = dict[str, Any]
Pair = tuple[tuple[str, Any], tuple[str, Any]]


def _tasks() -> Iterator[tuple[str, tuple[str, ...]]]:
    """Every task alone, and all tasks of a modality together."""
    for modality, tasks in TASKS.items():
        yield from ((modality, (task,)) for task in tasks)
        if len(tasks) > 1:
            yield modality, tasks


def feasible() -> list[Answers]:
    """Every combination of the axes that `ModelSpec` accepts, in a fixed order."""
    found: list[Answers] = []
    for modality, task in _tasks():
        axes = {"vae": VAES[modality], "scheduler": SCHEDULERS, **{axis: CHOICES[axis] for axis in _OTHERS}}
        for values in itertools.product(*axes.values()):
            answers = {"modality": modality, "task": task, **dict(zip(axes, values, strict=True))}
            if answers["single_file"] == "yes":
                answers["hub_repo"] = "scaffold-model/foo"
            try:
                ModelSpec(name=NAME, **answers)
            except BadInput:
                continue
            found.append(answers)
    return found


def pairs(answers: Answers) -> frozenset[Pair]:
    """Every pair of values of two axes in a cell."""
    values = sorted((axis, value) for axis, value in answers.items() if axis != "hub_repo")
    return frozenset(itertools.combinations(values, 2))


def covering_array(cells: Sequence[Answers]) -> list[Answers]:
    """A small choice among ``cells`` in which every pair of values occurs that occurs at all.

    Greedy, with the same result on every run: of a sample of the cells, always the one with the most pairs that are not
    covered yet; the sample always holds a cell with one of them.
    """
    of = [pairs(cell) for cell in cells]
    open_pairs = set().union(*of)
    dice = random.Random(0)
    chosen: list[Answers] = []
    while open_pairs:
        needed = min(open_pairs, key=repr)
        sample = [index for index in range(len(cells)) if needed in of[index]]
        sample = dice.sample(sample, min(len(sample), 400))
        best = max(sample, key=lambda index: (len(of[index] & open_pairs), -index))
        chosen.append(cells[best])
        open_pairs -= of[best]
    return chosen


def flags(answers: Answers) -> list[str]:
    """The cell as options of the main command."""
    words = [f"--{answers['format']}"]
    for axis, value in answers.items():
        option = "--" + axis.replace("_", "-")
        if axis == "format" or value == "no":
            continue
        if axis == "task":
            words += [word for task in value for word in (option, task)]
        else:
            words += [option] if value == "yes" else [option, str(value)]
    return words


@dataclass
class CellReport:
    """What came of one cell.

    Attributes:
        index: Its place in the covering array.
        command: The options of the main command.
        problems: What is wrong, a line each; empty for a green cell.
        gates: What `verify --json` says of every gate.
        passed: Generated tests that passed.
        skipped: Generated tests that were skipped.
        failed: Generated tests that failed.
        lines: New lines, in new and in existing files.
        code: New lines of new code, without tests and docs.
        seconds: Wall time of the whole cell.
    """

    index: int
    command: str
    problems: list[str] = field(default_factory=list)
    gates: list[dict[str, Any]] = field(default_factory=list)
    passed: int = 0
    skipped: int = 0
    failed: int = 0
    lines: int = 0
    code: int = 0
    seconds: float = 0.0


class Runner:
    """Runs cells in clones of one checkout, each with a Hub cache of its own."""

    def __init__(self, checkout: Path, python: str, revision: str, work: Path = WORK) -> None:
        self.work = work
        self.checkout = checkout
        self.python = python
        self.revision = revision

    def tool(self, root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        """``scaffold-model ARGUMENTS`` in a clone."""
        return subprocess.run(
            [sys.executable, "-m", "scaffold_model", *arguments],
            cwd=root,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "HF_HOME": str(root.parent / f"hub-{root.name}"), "OMP_NUM_THREADS": "1"},
            check=False,
        )

    def cell(self, index: int, answers: Answers) -> CellReport:
        """Scaffold, register again, verify, count, remove."""
        report = CellReport(index, shlex.join(flags(answers)))
        start = time.perf_counter()
        root = self.work / f"cell{index}"
        try:
            subprocess.run(["git", "clone", "--quiet", str(self.checkout), str(root)], check=True)
            git(root, "checkout", "--quiet", "--detach", self.revision)
            self._run(root, answers, report)
        finally:
            report.seconds = time.perf_counter() - start
            if not report.problems:
                shutil.rmtree(root, ignore_errors=True)
            shutil.rmtree(root.parent / f"hub-{root.name}", ignore_errors=True)
        return report

    def _run(self, root: Path, answers: Answers, report: CellReport) -> None:
        made = self.tool(root, "--name", NAME, *flags(answers), "-y", "--python", self.python)
        if made.returncode:
            report.problems.append(f"create: {made.stderr.strip() or made.returncode}")
            return
        self._count(root, report)
        before = git(root, "status", "--porcelain", "--untracked-files=all", "--ignored")
        again = self.tool(root, "register", "--json")
        if again.returncode or json.loads(again.stdout)["status"] != "unchanged":
            report.problems.append(f"register again: {again.stdout.strip()[:300]}{again.stderr.strip()}")
        self.verify(root, report)
        if git(root, "status", "--porcelain", "--untracked-files=all", "--ignored") != before:
            report.problems.append("verify left something behind")
        removed = self.tool(root, "remove", NAME, "--json")
        left = git(root, "status", "--porcelain", "--untracked-files=all", "--ignored")
        if removed.returncode or left:
            report.problems.append(
                f"remove: {left[-300:]}{removed.stdout.strip()[-300:] if removed.returncode else ''}"
            )

    def verify(self, root: Path, report: CellReport) -> None:
        """Make the tiny repositories and run all gates."""
        tiny = self.tool(root, "tiny", NAME, "--python", self.python)
        if tiny.returncode:
            report.problems.append(f"tiny: {tiny.stderr.strip()[-600:]}")
        verified = self.tool(root, "verify", NAME, "--python", self.python, "--json")
        try:
            report.gates = json.loads(verified.stdout)["gates"]
        except (ValueError, KeyError):
            report.problems.append(f"verify: {verified.stdout.strip()[-300:]}{verified.stderr.strip()[-300:]}")
        for gate in report.gates:
            report.passed += gate.get("passed") or 0
            report.skipped += gate.get("skipped") or 0
            report.failed += gate.get("failed") or 0
            if gate["status"] != "passed":
                report.problems.append(f"{gate['name']}: {gate['status']}: {gate.get('detail', '')}")

    def _count(self, root: Path, report: CellReport) -> None:
        removed = 0
        for line in git(root, "diff", "--numstat").splitlines():
            plus, minus, _ = line.split("\t")
            report.lines += int(plus)
            removed += int(minus)
        if removed:
            report.problems.append(f"{removed} lines of existing files were changed")
        for path in git(root, "ls-files", "--others", "--exclude-standard").splitlines():
            count = len((root / path).read_text(encoding="utf-8").splitlines())
            report.lines += count
            if path.startswith("src/"):
                report.code += count


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>scaffold-model: the matrix</title><style>
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 80rem; padding: 0 1rem; color: #1c2733 }
table { border-collapse: collapse; width: 100% } th, td { text-align: left; padding: .3rem .6rem; vertical-align: top }
th { border-bottom: 2px solid #9fb0c0 } tr + tr td { border-top: 1px solid #dde5ec } td.n { text-align: right }
.ok { color: #17703a; font-weight: 600 } .bad { color: #b3261e; font-weight: 600 } code { font-size: 13px }
</style></head><body>
<h1>The matrix</h1>
<p>{{ reports | length }} cells over diffusers <code>{{ revision }}</code>, {{ covered }} pairs of values;
<span class="{{ 'ok' if not red else 'bad' }}">{{ red }} red</span>,
{{ reports | sum(attribute="passed") }} tests passed, {{ reports | sum(attribute="skipped") }} skipped,
{{ reports | sum(attribute="failed") }} failed.</p>
<table><tr><th>cell</th><th>options</th><th>state</th><th>passed</th><th>skipped</th><th>failed</th><th>lines</th><th>code</th><th>seconds</th></tr>
{% for report in reports %}<tr><td class="n">{{ report.index }}</td><td><code>{{ report.command }}</code>
{%- if report.problems %}<ul>{% for problem in report.problems %}<li>{{ problem }}</li>{% endfor %}</ul>{% endif %}</td>
<td class="{{ 'bad' if report.problems else 'ok' }}">{{ "red" if report.problems else "green" }}</td>
<td class="n">{{ report.passed }}</td><td class="n">{{ report.skipped }}</td><td class="n">{{ report.failed }}</td>
<td class="n">{{ report.lines }}</td><td class="n">{{ report.code }}</td><td class="n">{{ "%.0f" | format(report.seconds) }}</td></tr>
{% endfor %}</table></body></html>
"""


def write_report(reports: Sequence[CellReport], revision: str, covered: int, folder: Path = REPORT) -> None:
    """``matrix.json`` and ``matrix.html``, which needs no other file."""
    folder.mkdir(exist_ok=True)
    red = sum(bool(report.problems) for report in reports)
    data = {"revision": revision, "pairs": covered, "red": red, "cells": [asdict(report) for report in reports]}
    (folder / "matrix.json").write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    page = Environment(autoescape=True, undefined=StrictUndefined).from_string(_PAGE)
    html = page.render(reports=reports, revision=revision, covered=covered, red=red)
    (folder / "matrix.html").write_text(html, encoding="utf-8")


def option_parser(description: str | None) -> argparse.ArgumentParser:
    """The options of every tool that scaffolds into clones: which checkout and which interpreter."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = Path.home() / ".cache" / "scaffold-model" / "diffusers"
    parser.add_argument("--checkout", type=Path, default=Path(os.environ.get("DIFFUSERS_CHECKOUT", default)))
    python = os.environ.get("SCAFFOLD_MODEL_PYTHON", str(ROOT / ".venv-diffusers" / "bin" / "python"))
    parser.add_argument("--python", default=python)
    parser.add_argument("--list", action="store_true", help="show what there is to run, and run nothing")
    return parser


def commit_of(parser: argparse.ArgumentParser, checkout: Path, revision: str) -> str:
    """The commit that a revision names; the parser's error where the checkout has none."""
    try:
        return git(checkout, "rev-parse", "--short", revision)
    except ScaffoldError as error:
        parser.error(error.line)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the matrix; 1 when a cell is red."""
    parser = option_parser(__doc__)
    parser.add_argument("--revision", default="HEAD")
    parser.add_argument("--cell", type=int, action="append", help="only this cell; repeatable")
    parser.add_argument("--jobs", type=int, default=1, help="cells at a time; each runs two gates at a time")
    options = parser.parse_args(arguments)
    cells = covering_array(feasible())
    covered = len(set().union(*map(pairs, cells)))
    unknown = sorted(set(options.cell or ()) - set(range(len(cells))))
    if unknown:
        parser.error(f"there is no cell {unknown[0]}; --list shows them")
    numbered: Iterable[tuple[int, Answers]] = [
        (index, cell) for index, cell in enumerate(cells) if not options.cell or index in options.cell
    ]
    if options.list:
        for index, cell in numbered:
            print(f"{index:3} {shlex.join(flags(cell))}")
        print(f"{len(cells)} cells cover {covered} pairs of values")
        return 0
    revision = commit_of(parser, options.checkout, options.revision)
    REPORT.mkdir(exist_ok=True)
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True)
    (REPORT / ".gitignore").write_text("*\n", encoding="utf-8")
    runner = Runner(options.checkout, options.python, revision)
    reports: list[CellReport] = []
    with ThreadPoolExecutor(options.jobs) as pool:
        for report in pool.map(lambda pair: runner.cell(*pair), numbered):
            reports.append(report)
            state = "; ".join(report.problems) or "green"
            print(f"{report.index:3} {report.seconds:4.0f} s  {report.command}: {state}", flush=True)
            write_report(reports, revision, covered)
    red = sum(bool(report.problems) for report in reports)
    print(f"{len(reports)} cells, {red} red; the report is {REPORT.relative_to(ROOT)}/matrix.html")
    return 1 if red else 0


if __name__ == "__main__":
    raise SystemExit(main())
