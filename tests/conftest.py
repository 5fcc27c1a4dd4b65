"""Fixtures: a real clone of diffusers, taken from DIFFUSERS_CHECKOUT, from the cache folder, or from the network."""

from __future__ import annotations

import ast
import gc
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from scaffold_model import guard
from scaffold_model.code.syntax import parse
from scaffold_model.formatting import find_ruff
from scaffold_model.registries.base import Entry, Registry

ROOT = Path(__file__).resolve().parents[1]
CACHE = Path.home() / ".cache" / "scaffold-model" / "diffusers"
UPSTREAM = "https://github.com/huggingface/diffusers"

#: These run in the Python that has torch: see test_running.py.
collect_ignore = ["running"]

#: ``python -c QUICKLY SCRIPT ...`` is ``python SCRIPT ...`` which seldom collects garbage: importing torch makes none.
QUICKLY = """
import gc, os, runpy, sys
gc.set_threshold(50_000)
del sys.argv[0]
sys.argv[0] = os.path.abspath(sys.argv[0])
sys.path[0] = os.path.dirname(sys.argv[0])
runpy.run_path(sys.argv[0], run_name="__main__")
"""

# The trees of whole checkouts are no garbage either.
gc.set_threshold(50_000)

_skipped_for_checkout: list[str] = []


def find_clone() -> Path | None:
    """The clone that the tests read: never written to."""
    named = os.environ.get("DIFFUSERS_CHECKOUT")
    if named:
        return Path(named) if (Path(named) / ".git").exists() else None
    if (CACHE / ".git").exists():
        return CACHE
    if os.environ.get("SCAFFOLD_MODEL_OFFLINE"):
        return None
    CACHE.parent.mkdir(parents=True, exist_ok=True)
    partial = CACHE.with_name("diffusers.partial")
    cloned = subprocess.run(
        ["git", "clone", "--quiet", UPSTREAM, str(partial)],
        capture_output=True,
        check=False,
        timeout=1800,
        env={**os.environ, "GIT_TERMINAL_PROMPT": "0"},
    )
    if cloned.returncode:
        return None
    partial.rename(CACHE)
    return CACHE


@pytest.fixture(scope="session")
def pristine(request: pytest.FixtureRequest) -> Path:
    """The clone of diffusers itself, for reading only."""
    clone = find_clone()
    if clone is None:
        pytest.skip(f"no clone of diffusers: set DIFFUSERS_CHECKOUT, or clone {UPSTREAM} to {CACHE}")
    return clone


def clone_of(pristine: Path, target: Path, revision: str = "HEAD") -> Path:
    """A throw-away clone at ``revision``; hard links make it cheap."""
    subprocess.run(["git", "clone", "--quiet", str(pristine), str(target)], check=True)
    if revision != "HEAD":
        subprocess.run(["git", "-C", str(target), "checkout", "--quiet", "--detach", revision], check=True)
    for key, value in (("user.name", "Test"), ("user.email", "test@example.com")):
        subprocess.run(["git", "-C", str(target), "config", key, value], check=True)
    return target


@pytest.fixture(scope="session")
def pinned(pristine: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """diffusers at the commit of the examples, for what a newer one may well change: for reading only."""
    revision = (ROOT / "examples" / "diffusers-commit").read_text(encoding="utf-8").strip()
    known = subprocess.run(["git", "-C", str(pristine), "cat-file", "-e", revision], check=False)
    if known.returncode:
        pytest.skip(f"no clone of diffusers that holds the pinned commit {revision[:10]}")
    return clone_of(pristine, tmp_path_factory.mktemp("pinned") / "diffusers", revision)


@pytest.fixture
def checkout(pristine: Path, tmp_path: Path) -> Path:
    """A fresh clone of diffusers HEAD for one test."""
    return clone_of(pristine, tmp_path / "diffusers")


@pytest.fixture(scope="session")
def torch_python() -> str:
    """The Python with torch and the tools that diffusers pins, as `make test` sets it up."""
    python = os.environ.get("SCAFFOLD_MODEL_PYTHON", str(ROOT / ".venv-diffusers" / "bin" / "python"))
    if (
        not Path(python).exists()
        or subprocess.run([python, "-c", "import torch, transformers"], check=False).returncode
    ):
        pytest.skip(f"no Python with torch and transformers ({python}): run `make test`, or set SCAFFOLD_MODEL_PYTHON")
    return python


@pytest.fixture(scope="session")
def pinned_ruff(pristine: Path) -> str:
    """The ruff that the checkout pins; another version may format differently, so without it nothing is proven."""
    setup = ast.parse((pristine / "setup.py").read_text(encoding="utf-8"))
    constants = (str(node.value) for node in ast.walk(setup) if isinstance(node, ast.Constant))
    pinned = next(value for value in constants if value.startswith("ruff=="))
    beside = find_ruff(os.environ.get("SCAFFOLD_MODEL_PYTHON", str(ROOT / ".venv-diffusers" / "bin" / "python")))
    for candidate in filter(None, (shutil.which("ruff"), beside)):
        shown = subprocess.run([candidate, "--version"], capture_output=True, text=True, check=False).stdout
        if shown.split()[-1:] == [pinned.removeprefix("ruff==")]:
            return candidate
    pytest.skip(f"{pinned} is neither on PATH nor beside SCAFFOLD_MODEL_PYTHON")


def load_tool(name: str) -> ModuleType:
    """A script of ``tools/`` as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    # A dataclass looks its module up there.
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def git_status(checkout: Path) -> str:
    """What git says of a checkout, untracked and ignored files included."""
    return subprocess.run(
        ["git", "-C", str(checkout), "status", "--porcelain", "--untracked-files=all", "--ignored"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def run_command(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """``scaffold-model ARGUMENTS`` as a user runs it: a process of its own, without a terminal."""
    return subprocess.run(
        [sys.executable, "-m", "scaffold_model", *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        env={**os.environ, **environment},
        check=False,
    )


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Count what was skipped for the want of a clone."""
    if report.skipped and "no clone of diffusers" in str(report.longrepr):
        _skipped_for_checkout.append(report.nodeid)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Say loudly, in one line and as the last one, how much was not proven."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if _skipped_for_checkout and reporter is not None and not hasattr(config, "workerinput"):
        reporter.write_line(
            f"{len(_skipped_for_checkout)} tests were skipped for want of a clone of diffusers: "
            f"set DIFFUSERS_CHECKOUT, or clone {UPSTREAM} to ~/.cache/scaffold-model/diffusers",
            red=True,
            bold=True,
        )


def guarded_insert(registry: Registry, source: str, entry: Entry) -> str:
    """One insertion with the proof that `register` makes of all insertions of a run."""
    after = guard.insert(registry, source, entry)
    if after != source and entry.path.endswith(".py"):
        with guard.understood(entry, source):
            parse(after)
    guard.check_insertions(registry, source, after, [] if after == source else [entry])
    return after
