"""Every kind of `add`, onto a scaffold that a contributor has edited and committed: checked, repeated and verified.

    python tools/adds.py                       every kind, a minute or two each
    python tools/adds.py --kind lora --kind vae    only these
    python tools/adds.py --list                the kinds

A kind is green when `add` changes nothing that the contributor wrote, `check NAME` names no error and no warning, a
second `add` changes nothing, and every gate of `verify NAME` passes.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matrix import NAME, CellReport, Runner, commit_of, option_parser

from scaffold_model.checkout import git

WORK = Path.home() / ".cache" / "scaffold-model" / "adds"

#: What is there and what is added.
KINDS = {
    "task of a modular pipeline": ("--modular", "--task i2i"),
    "task of a standard pipeline": ("--standard", "--task i2i"),
    "lora": ("--standard", "--lora"),
    "lora with test": ("--standard", "--lora --with-test"),
    "single file": ("--standard", "--single-file --hub-repo scaffold-model/foo"),
    "auto pipeline": ("--standard", "--auto-pipeline"),
    "scheduler": ("--modular", "--scheduler new"),
    "vae": ("--modular", "--vae new"),
    "modular": ("--standard", "--modular"),
    "standard": ("--modular", "--standard"),
    "task of a video": ("--standard --modality video", "--task i2v"),
}

#: What diffusers takes after the pull request of the model itself, so that the base branch has the model there.
MERGED = ("lora with test",)

TRANSFORMER = f"src/diffusers/models/transformers/transformer_{NAME}.py"
STANDARD = f"src/diffusers/pipelines/{NAME}/pipeline_{NAME}.py"
MODULAR = f"src/diffusers/modular_pipelines/{NAME}"
_MINE = 'def test_{0}_is_mine():\n    # Written by hand.\n    assert "{0}" != ""\n'


@dataclass(frozen=True)
class HandEdit:
    """What a contributor changes in a generated file.

    Attributes:
        path: The file; nothing happens where the scaffold has none, since it has the other format.
        pattern: A place that is found exactly once.
        mine: What is written there; ``\\g<0>`` is what was there.
    """

    path: str
    pattern: str
    mine: str


#: Ten for either format: two comments, two docstrings, a parameter, two methods, two tests, and prose.
EDITS = (
    HandEdit(
        TRANSFORMER,
        r'"""The (\w+) transformer of Foo and its layers\."""',
        '"""The \\1 transformer, ported by hand."""',
    ),
    HandEdit(
        TRANSFORMER, r"(?<=    \"\"\"\n\n)    _supports_gradient_checkpointing", "    # Checked by hand.\n\\g<0>"
    ),
    HandEdit(
        TRANSFORMER,
        r"        axes_dims_rope \(`",
        "        dropout (`float`, defaults to `0.0`):\n            Dropout, for training.\n\\g<0>",
    ),
    HandEdit(
        TRANSFORMER,
        r"        axes_dims_rope: tuple\[int, [^=\n]+ = \([\d, ]+\),\n    \):",
        "        dropout: float = 0.0,\n\\g<0>",
    ),
    HandEdit(
        TRANSFORMER,
        r"        return Transformer2DModelOutput\(sample=output\)\n\Z",
        "\\g<0>\n    def count_blocks(self) -> int:\n        return len(self.transformer_blocks)\n",
    ),
    HandEdit(f"tests/models/transformers/test_models_transformer_{NAME}.py", r"\Z", f"\n\n{_MINE.format('model')}"),
    HandEdit(f"docs/source/en/api/pipelines/{NAME}.md", r"<!-- TODO[^\n]+-->", "A model that paints, by its authors."),
    HandEdit(
        f"scripts/convert_{NAME}_to_diffusers.py", r"(?<=\n)# The components of the pipeline", "# By hand.\n\\g<0>"
    ),
    HandEdit(STANDARD, r"        # 5\. Denoise\n", "\\g<0>        # The loop of the reference.\n"),
    HandEdit(
        STANDARD,
        r"    @property\n    def guidance_scale",
        "    def count_components(self):\n        return len(self.components)\n\n\\g<0>",
    ),
    HandEdit(f"tests/pipelines/{NAME}/test_pipeline_{NAME}.py", r"\Z", f"\n\n{_MINE.format('pipeline')}"),
    HandEdit(
        f"{MODULAR}/denoise.py", r"        # TODO\(foo\): pass latents and timestep", "        # By hand.\n\\g<0>"
    ),
    HandEdit(
        f"{MODULAR}/decoders.py",
        r"    @property\n    def description",
        "    def count_inputs(self) -> int:\n        return len(self.inputs)\n\n\\g<0>",
    ),
    HandEdit(
        f"tests/modular_pipelines/{NAME}/test_modular_pipeline_{NAME}.py", r"\Z", f"\n\n{_MINE.format('blocks')}"
    ),
)


@dataclass
class AddReport(CellReport):
    """What came of one kind.

    Attributes:
        edits: How many places were edited by hand before.
        created: How many files `add` created.
        edited: How many files it edited.
        checked: What `check NAME` says.
        again: What a second `add` says.
    """

    edits: int = 0
    created: int = 0
    edited: int = 0
    checked: str = ""
    again: str = ""


def edit_by_hand(root: Path) -> int:
    """Edit the generated files as a contributor does; how many places that were."""
    count = 0
    for edit in EDITS:
        path = root / edit.path
        if not path.exists():
            continue
        text, times = re.subn(edit.pattern, edit.mine, path.read_text(encoding="utf-8"))
        if times != 1:
            raise SystemExit(f"{edit.path}: {edit.pattern} was found {times} times; bring tools/adds.py up to date")
        path.write_text(text, encoding="utf-8")
        count += 1
    return count


def commit(root: Path, message: str) -> None:
    """Commit everything."""
    git(root, "add", "--all")
    git(root, "-c", "user.name=A", "-c", "user.email=a@example.org", "commit", "--quiet", "--no-verify", "-m", message)


def lost_lines(root: Path) -> list[str]:
    """The lines that the last commit has added and that their files hold no more, ``path: line``."""
    lost, path = [], ""
    for line in git(root, "show", "--format=", "--unified=0", "HEAD").splitlines():
        if line.startswith("+++ b/"):
            path = line.removeprefix("+++ b/")
            held = (root / path).read_text(encoding="utf-8").splitlines()
        elif line.startswith("+") and line[1:] not in held:
            lost.append(f"{path}: {line[1:].strip()}")
    return lost


class Adder(Runner):
    """Runs the kinds, each in a clone of its own."""

    def kind(self, kind: str) -> AddReport:
        """Scaffold, edit, commit, add, check, add again, verify."""
        base, added = KINDS[kind]
        report = AddReport(list(KINDS).index(kind), f"{base}, then add {NAME} {added}")
        start = time.perf_counter()
        root = self.work / f"kind{report.index}"
        shutil.rmtree(root, ignore_errors=True)
        try:
            subprocess.run(["git", "clone", "--quiet", "--shared", str(self.checkout), str(root)], check=True)
            git(root, "checkout", "--quiet", "-b", "mine", self.revision)
            if self._scaffolded(root, base.split(), report):
                if kind in MERGED:
                    git(root, "update-ref", "refs/remotes/origin/HEAD", "HEAD")
                self._add(root, added.split(), report)
        finally:
            report.seconds = time.perf_counter() - start
            if not report.problems:
                shutil.rmtree(root, ignore_errors=True)
            shutil.rmtree(root.parent / f"hub-{root.name}", ignore_errors=True)
        return report

    def _scaffolded(self, root: Path, base: Sequence[str], report: AddReport) -> bool:
        made = self.tool(root, "--name", NAME, *base, "-y", "--python", self.python)
        if made.returncode:
            report.problems.append(f"create: {made.stderr.strip() or made.returncode}")
            return False
        commit(root, "The scaffold")
        report.edits = edit_by_hand(root)
        commit(root, "By hand")
        return True

    def _add(self, root: Path, added: Sequence[str], report: AddReport) -> None:
        command = ["add", NAME, *added, "-y", "--json", "--python", self.python]
        done = self.tool(root, *command)
        shown = json.loads(done.stdout or "{}")
        if done.returncode:
            report.problems.append(f"add: conflicts in {shown.get('conflicts')} {done.stderr.strip()[-600:]}")
            return
        report.created, report.edited = len(shown["created"]), len(shown["edited"])
        report.problems += [f"lost: {line}" for line in lost_lines(root)]
        self._check(root, report)
        before = self._state(root)
        report.again = json.loads(self.tool(root, *command).stdout or "{}").get("status", "failed")
        if report.again != "unchanged" or self._state(root) != before:
            report.problems.append(f"add again: {report.again}")
        self.verify(root, report)
        if self._state(root) != before:
            report.problems.append("verify left something behind")

    def _check(self, root: Path, report: AddReport) -> None:
        """Clean is what has no error and no warning; hints are places that are left to port."""
        checked = self.tool(root, "check", NAME, "--json")
        findings = json.loads(checked.stdout or "{}").get("findings")
        if findings is None:
            report.problems.append(f"check: {checked.stderr.strip()[-300:]}")
            return
        found = [finding for finding in findings if finding["severity"] != "hint"]
        report.checked = f"{len(found)} found" if found else "clean"
        report.problems += [f"check: {finding['path']}: {finding['message']}" for finding in found]
        if bool(checked.returncode) != bool(found):
            report.problems.append(f"check: exit code {checked.returncode}")

    def _state(self, root: Path) -> tuple[str, str]:
        status = git(root, "status", "--porcelain", "--untracked-files=all", "--ignored")
        files = git(root, "ls-files", "--others", "--modified", "--exclude-standard").splitlines()
        return status, git(root, "hash-object", "--", *files)


def _row(kind: str, report: AddReport) -> str:
    tests = f"{report.passed:4} {report.skipped:4} {report.failed:4}"
    return (
        f"{kind:27} {report.edits:5} {report.created:4} + {report.edited:2}  {report.checked:8} {report.again:9} "
        f"{tests}  {len(report.gates):2} {report.seconds:4.0f}  {'red' if report.problems else 'green'}"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the kinds; 1 when one is red."""
    parser = option_parser(__doc__)
    parser.add_argument("--revision", default="HEAD")
    parser.add_argument("--kind", choices=KINDS, action="append", help="only this kind; repeatable")
    options = parser.parse_args(arguments)
    kinds = options.kind or list(KINDS)
    if options.list:
        for kind in kinds:
            base, added = KINDS[kind]
            print(f"{kind:27} --name {NAME} {base}, then add {NAME} {added}")
        return 0
    revision = commit_of(parser, options.checkout, options.revision)
    WORK.mkdir(parents=True, exist_ok=True)
    adder = Adder(options.checkout, options.python, revision, WORK)
    print(f"{'kind':27} edits  new + ed  {'check':8} {'again':9} pass skip fail  gates  s", flush=True)
    red = 0
    for kind in kinds:
        report = adder.kind(kind)
        red += bool(report.problems)
        print("\n".join([_row(kind, report), *(f"    {problem}" for problem in report.problems)]), flush=True)
    print(f"{len(kinds)} kinds over diffusers {revision}, {red} red")
    return 1 if red else 0


if __name__ == "__main__":
    raise SystemExit(main())
