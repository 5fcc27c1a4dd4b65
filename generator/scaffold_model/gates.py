"""The checkout's own gates, as data: what each one runs, what it needs, and whether an untouched tree may be red too.

A gate is run on a root folder, which is the checkout or, for a baseline, an untouched worktree of it. None of them
changes that folder.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

from .manifest import read_manifest
from .pythons import find_tool, subprocess_env
from .snapshot import Snapshot
from .spec import ModelSpec
from .tiny import PACKAGES

#: A gate that takes longer hangs.
TIMEOUT = 1800

#: The package that installs a console script.
TOOLS = {"ruff": "ruff", "doc-builder": "hf-doc-builder"}

#: What the generated tests import, with the package that installs it.
TEST_PACKAGES = {
    **PACKAGES,
    "pytest": "pytest",
    "parameterized": "parameterized",
    "packaging": "packaging",
    "accelerate": "accelerate",
    "peft": "peft",
}

_IMPORT = """
import gc
import sys
gc.disable()
import diffusers
bad = 0
for name in sys.argv[1:]:
    try:
        found = getattr(diffusers, name)
    except Exception as error:
        print(f"{name}: {type(error).__name__}: {error}")
        bad = 1
        continue
    if found.__module__.startswith("diffusers.utils.dummy_"):
        print(f"{name}: is the dummy object of {found.__module__}, not the class")
        bad = 1
sys.exit(bad)
"""

#: `python -m pytest`, in which a garbage collection does not look through the modules: the tests of diffusers ask for one
#: before and after each test, which is three quarters of their time. What the tests themselves make is collected.
_PYTEST = """
import gc
import sys
gc.disable()
import pytest

class Modules:
    def pytest_collection_finish(self):
        gc.freeze()
        gc.enable()

sys.exit(pytest.main(sys.argv[1:], plugins=[Modules()]))
"""


@dataclass(frozen=True)
class Counts:
    """The tests of one file, from pytest's own report."""

    passed: int
    skipped: int
    failed: int

    def __str__(self) -> str:
        return f"{self.passed} passed, {self.skipped} skipped, {self.failed} failed"


@dataclass(frozen=True)
class Outcome:
    """What one run of a gate gave: green or red, what it printed, its tests if it has any, and which of them failed why."""

    green: bool
    output: str
    counts: Counts | None = None
    failures: tuple[str, ...] = ()


@dataclass(frozen=True)
class Gate:
    """One check.

    Attributes:
        name: What the table calls it.
        run: Runs it on a root folder.
        needs: Files of the checkout without which there is no such gate.
        tools: Console scripts that it calls.
        modules: Modules that it imports.
        baseline: Whether an untouched tree has this gate too, so that a red one is compared with it.
        kin: For tests: runs those of these failures that a model of the checkout has as well, as their baseline.
    """

    name: str
    run: Callable[[Path], Outcome]
    needs: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    baseline: bool = True
    kin: Callable[[Path, Sequence[str]], Outcome] | None = None


#: By area the tests that tell whether a failure is the house's: those of the model that its guides point to.
KIN = {
    "tests/models/transformers/": "tests/models/transformers/test_models_transformer_flux.py",
    "tests/models/autoencoders/": "tests/models/autoencoders/test_models_autoencoder_kl.py",
    "tests/pipelines/": "tests/pipelines/flux/test_pipeline_flux.py",
    "tests/modular_pipelines/": "tests/modular_pipelines/flux/test_modular_pipeline_flux.py",
}


@dataclass(frozen=True)
class Runner:
    """How a command is run: by which Python, with which cache of tiny repositories."""

    python: str
    cache: Path
    env: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, root: Path, command: Sequence[str], **env: str) -> Outcome:
        """Run one command in ``root``; its output is what it printed, errors included."""
        threads = str(max(1, (os.cpu_count() or 2) // 2))
        extra = {
            "HF_HUB_OFFLINE": "1",
            "HF_HUB_CACHE": str(self.cache),
            # ruff, and scripts that call it, would leave its cache behind in the folder that they look at.
            "RUFF_NO_CACHE": "true",
            # Two gates run side by side.
            "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", threads),
            **self.env,
            **env,
        }
        try:
            done = subprocess.run(
                list(command),
                cwd=root,
                env=subprocess_env(self.python, root, extra),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                timeout=TIMEOUT,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            printed = error.stdout.decode(errors="replace") if isinstance(error.stdout, bytes) else error.stdout or ""
            return Outcome(False, f"{printed}\nstopped after {TIMEOUT} seconds")
        return Outcome(done.returncode == 0, done.stdout)


def all_gates(
    snapshot: Snapshot, spec: ModelSpec, runner: Runner, classes: Sequence[str] | None = None
) -> tuple[Gate, ...]:
    """Every gate, in the order of the table.

    Args:
        snapshot: The checkout, of which only the layout is looked at.
        spec: The model.
        runner: Runs commands.
        classes: The model's public classes; those that the answers name by default.
    """
    return (
        *_quality_gates(snapshot, runner),
        *_script_gates(runner),
        *((_docstring_gate(spec, runner),) if spec.has_modular else ()),
        _deps_table_gate(runner),
        *_import_gates(spec.public_classes if classes is None else classes, runner),
        _stub_gate(spec),
        *(_pytest_gate(path, runner) for path in _tests(snapshot, spec)),
    )


def _quality_gates(snapshot: Snapshot, runner: Runner) -> tuple[Gate, ...]:
    """The parts of ``make quality``, one by one, so that the table says which one is red."""
    makefile = snapshot.read("Makefile") or ""
    listed = re.search(r"^check_dirs\s*:?=\s*(.+)$", makefile, re.MULTILINE)
    folders = [*(listed.group(1).split() if listed else ["src"]), "setup.py"]

    def ruff(*arguments: str) -> Callable[[Path], Outcome]:
        command = [find_tool(runner.python, "ruff") or "ruff", *arguments]
        return lambda root: runner(root, [*command, *(one for one in folders if (root / one).exists())])

    def style(root: Path) -> Outcome:
        tool = find_tool(runner.python, "doc-builder") or "doc-builder"
        done = runner(root, [tool, "style", "src/diffusers", "docs/source", "--max_len", "119", "--check_only"])
        counted = re.search(r"(\d+) files should be restyled", done.output)
        # It tells how many, but not which. A line for each shows one more than in an untouched tree.
        return Outcome(False, "a file should be restyled\n" * int(counted[1])) if counted else done

    needs = ("Makefile", "pyproject.toml")
    return (
        Gate("ruff check", ruff("check", "--output-format=concise"), needs, ("ruff",)),
        Gate("ruff format", ruff("format", "--check"), needs, ("ruff",)),
        Gate("doc-builder style", style, needs, ("doc-builder",)),
    )


def _script_gates(runner: Runner) -> tuple[Gate, ...]:
    """The scripts in ``utils/``; each one only looks, as it is called here."""
    light = tuple(module for module in PACKAGES if module not in ("torch", "transformers"))

    def script(name: str, *arguments: str, tools: tuple[str, ...] = (), modules: tuple[str, ...] = ()) -> Gate:
        path = f"utils/{name}.py"
        return Gate(name, lambda root: runner(root, [runner.python, path, *arguments]), (path,), tools, modules)

    return (
        script("check_doc_toc", modules=("yaml",)),
        script("check_ai", modules=light),
        script("check_copies", tools=("ruff",)),
        script("check_dummies"),
        script("check_support_list"),
        script("check_forward_call_docstrings"),
        script("custom_init_isort", "--check_only"),
    )


def _docstring_gate(spec: ModelSpec, runner: Runner) -> Gate:
    """Only on the model's own folder: the whole tree needs packages that few have."""
    script = "utils/modular_auto_docstring.py"
    folder = f"src/diffusers/modular_pipelines/{spec.name}"
    return Gate(
        "modular_auto_docstring",
        lambda root: runner(root, [runner.python, script, folder]),
        (script, f"{folder}/__init__.py"),
        ("ruff", "doc-builder"),
        tuple(PACKAGES),
        baseline=False,
    )


def _deps_table_gate(runner: Runner) -> Gate:
    """``make deps_table_check_updated`` in a copy of the three files concerned: the target itself rewrites the table, and
    leaves a file behind when it fails."""
    table = "src/diffusers/dependency_versions_table.py"

    def run(root: Path) -> Outcome:
        with tempfile.TemporaryDirectory(prefix="scaffold-model-deps-") as folder:
            copy = Path(folder)
            (copy / "src/diffusers").mkdir(parents=True)
            for path in ("setup.py", "README.md", table):
                if (root / path).is_file():
                    shutil.copyfile(root / path, copy / path)
            before = (copy / table).read_bytes()
            done = runner(copy, [runner.python, "setup.py", "deps_table_update"])
            if not done.green:
                return done
            if (copy / table).read_bytes() != before:
                return Outcome(False, f"{table} is outdated; run `make deps_table_update` and commit the change")
            return done

    return Gate("deps_table_check_updated", run, ("Makefile", "setup.py", table), modules=("setuptools",))


def _import_gates(classes: Sequence[str], runner: Runner) -> tuple[Gate, ...]:
    """Each public class from the root, lazily (which sees a missing structure entry) and eagerly (the other half)."""

    def imports(**env: str) -> Callable[[Path], Outcome]:
        def run(root: Path) -> Outcome:
            done = runner(root, [runner.python, "-c", _IMPORT, *classes], **env)
            # Libraries print warnings of their own while they are imported; what counts are the lines about a class.
            lines = [line for line in done.output.splitlines() if line.partition(":")[0] in classes]
            return Outcome(done.green, "\n".join(lines)) if lines else done

        return run

    lazy, eager = imports(DIFFUSERS_SLOW_IMPORT="0"), imports(DIFFUSERS_SLOW_IMPORT="1")
    modules = tuple(PACKAGES)
    return (
        # An untouched tree has none of the classes, and says so of each. What is blamed on it is only that diffusers itself can
        # not be imported: older ones import packages eagerly that need not be installed.
        Gate("import, lazy", lazy, modules=modules),
        Gate("import, DIFFUSERS_SLOW_IMPORT=1", eager, modules=modules),
    )


def _stub_gate(spec: ModelSpec) -> Gate:
    def run(root: Path) -> Outcome:
        from .copied import unfilled

        snapshot = Snapshot(root)
        stubs = [
            f"{path}:{line}: the `# Copied from` stub of {name} is not filled; run `scaffold-model complete {spec.name}`"
            for path in model_files(snapshot, spec)
            for line, name in unfilled(snapshot.read(path) or "", path)
        ]
        return Outcome(not stubs, "\n".join(stubs))

    return Gate("no unfilled # Copied from", run, baseline=False)


def model_files(snapshot: Snapshot, spec: ModelSpec, below: str = "") -> list[str]:
    """The model's own Python files that exist, by path."""
    found: list[str] = []
    for place in spec.owned_places():
        if place.startswith(below):
            single = place.endswith(".py") and snapshot.exists(place)
            found += [place] if single else snapshot.walk(place)
    return found


def _tests(snapshot: Snapshot, spec: ModelSpec) -> list[str]:
    """The model's tests, those among other models' that `add` has written included."""
    manifest = read_manifest(snapshot, spec.name)
    more = [path for path in manifest.created if path.startswith("tests/lora/")] if manifest else []
    paths = [*model_files(snapshot, spec, "tests/"), *(path for path in more if snapshot.exists(path))]
    return [path for path in paths if path.rpartition("/")[2].startswith("test_")]


def _pytest_gate(path: str, runner: Runner) -> Gate:
    def kin(root: Path, failures: Sequence[str]) -> Outcome:
        names = dict.fromkeys(line.partition(":")[0].partition("[")[0] for line in failures)
        file = next((file for area, file in KIN.items() if path.startswith(area)), "")
        # Without kin there is nothing to compare with, and nothing is excused.
        return (
            run_tests(runner, root, file, "-k", " or ".join(names)) if (root / file).is_file() else Outcome(True, "")
        )

    return Gate(
        path,
        lambda root: run_tests(runner, root, path),
        (path,),
        modules=tuple(TEST_PACKAGES),
        baseline=False,
        kin=kin,
    )


def run_tests(runner: Runner, root: Path, path: str, *more: str) -> Outcome:
    """Run a test file with pytest; what passed and what failed is read from its report."""
    with tempfile.TemporaryDirectory(prefix="scaffold-model-pytest-") as folder:
        report = Path(folder, "report.xml")
        # Without its cache, which it would leave behind in the checkout.
        arguments = ["-c", _PYTEST, path, "-q", "-rfE", "-p", "no:cacheprovider", f"--junitxml={report}", *more]
        done = runner(root, [runner.python, *arguments])
        text = report.read_text(encoding="utf-8") if report.is_file() else None
    counts = read_counts(text) if text else None
    green = done.green and counts is not None and counts.failed == 0
    return Outcome(green, done.output, counts, read_failures(text) if text else ())


def read_failures(report: str) -> tuple[str, ...]:
    """The tests of a JUnit report that failed, each with the first line of the reason."""
    return tuple(
        f"{case.get('name')}: {(problem.get('message') or '').partition(chr(10))[0]}"
        for case in ElementTree.fromstring(report).iter("testcase")
        for problem in case
        if problem.tag in ("failure", "error")
    )


def read_counts(report: str) -> Counts:
    """The sums of a JUnit report; an error while collecting or setting up counts as a failure."""
    suites = list(ElementTree.fromstring(report).iter("testsuite"))

    def total(name: str) -> int:
        return sum(int(suite.get(name, "0")) for suite in suites)

    failed, skipped = total("failures") + total("errors"), total("skipped")
    return Counts(max(0, total("tests") - failed - skipped), skipped, failed)
