"""`scaffold-model verify`: the checkout's own gates and the model's tests, with a baseline, in one table.

What is red in the checkout is run again in an untouched worktree; only lines that are not printed there as well are
blamed on the model. A gate that could not run is never a pass.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import re
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from .errors import NotACheckout, ScaffoldError
from .gates import TEST_PACKAGES, TOOLS, Counts, Gate, Outcome, Runner, all_gates
from .hubcache import hub_cache
from .manifest import read_manifest
from .pythons import find_tool, missing_modules
from .snapshot import Snapshot
from .spec import ModelSpec
from .tiny import build, needed_repos

Status = Literal["passed", "failed", "baseline", "not run", "absent"]
Progress = Callable[[str], None]

#: The package that installs a module, for every module that a gate may need.
_PACKAGES = {**TEST_PACKAGES, "yaml": "pyyaml", "setuptools": "setuptools"}


@dataclass(frozen=True)
class GateResult:
    """One row of the table.

    Attributes:
        name: The gate.
        status: ``passed``; ``failed``; ``baseline``: red, and just as red in the untouched tree; ``not run``: something that
            it needs is missing; ``absent``: this checkout has no such gate.
        seconds: How long it took, without the baseline.
        detail: The one line to read.
        output: For a gate that failed, the lines that are blamed on the model.
        counts: For a test file, its tests.
        failures: For a test file, the tests that failed, each with its reason.
    """

    name: str
    status: Status
    seconds: float
    detail: str
    output: str = ""
    counts: Counts | None = None
    failures: tuple[str, ...] = ()


@dataclass(frozen=True)
class Verification:
    """All rows, and what else there is to know."""

    results: tuple[GateResult, ...]
    notices: tuple[str, ...]

    @property
    def clean(self) -> bool:
        """Whether nothing is wrong: no gate failed, and none that this checkout has went without being run."""
        return not any(result.status in ("failed", "not run") for result in self.results)


def verify(
    checkout: Path,
    spec: ModelSpec,
    python: str,
    progress: Progress,
    *,
    cache: Path | None = None,
    classes: Sequence[str] | None = None,
) -> Verification:
    """Run every gate on the checkout, two at a time, and red ones on an untouched worktree as well.

    Args:
        checkout: The root folder of the checkout.
        spec: The model.
        python: The interpreter with torch and the checkout's tools.
        progress: Is told of each gate when it is done.
        cache: The Hub cache that holds, or gets, the tiny repositories.
        classes: The model's public classes; those that the answers name by default.
    """
    cache = hub_cache() if cache is None else cache
    snapshot = Snapshot(checkout)
    gates = all_gates(snapshot, spec, Runner(python, cache), classes)
    missing = set(missing_modules(python, _PACKAGES))
    before = _state(checkout)
    tests = [gate for gate in gates if gate.name.startswith("tests/")]
    tiny = [_tiny_repositories(checkout, spec, python, cache, missing, progress)] if tests else []
    results = [*tiny, *run_gates(checkout, spec, gates, python, missing, progress)]
    if not tests:
        results.append(GateResult("the model's tests", "absent", 0.0, "the model has no test files in this checkout"))
    notices = [*_version_notices(snapshot, python)]
    if _state(checkout) != before:
        notices.append("files of the checkout changed while the gates ran; see `git status`")
    return Verification(tuple(results), tuple(notices))


def run_gates(
    checkout: Path,
    spec: ModelSpec,
    gates: Sequence[Gate],
    python: str,
    missing: set[str],
    progress: Progress,
) -> list[GateResult]:
    """Run ``gates`` and the baselines of the red ones; the results are in the order of the gates."""
    done = itertools.count(1)

    def one(gate: Gate) -> GateResult:
        result = _run(gate, checkout, python, missing)
        progress(f"[{next(done)}/{len(gates)}] {result.name}: {_word(result)}")
        return result

    with ThreadPoolExecutor(max_workers=2) as pool:
        results = list(pool.map(one, gates))
    red = [
        index
        for index, result in enumerate(results)
        if result.status == "failed" and (gates[index].baseline or (gates[index].kin and result.failures))
    ]
    if not red:
        return results
    base = baseline_commit(checkout, spec)
    if base is None:
        progress("no baseline: the commit that the model was added to is not known")
        return results
    try:
        with worktree(checkout, base) as untouched:
            for index in red:
                results[index] = _beside_baseline(gates[index], results[index], checkout, untouched, base, progress)
    except NotACheckout as error:
        # Without a baseline a red gate stays red, which is the safe side; the other results are worth having.
        progress(error.line)
    return results


def _beside_baseline(
    gate: Gate, result: GateResult, checkout: Path, untouched: Path, base: str, progress: Progress
) -> GateResult:
    """A red result beside that of the same gate, or of the same tests of another model, on an untouched tree."""
    what = "the same tests of another model" if gate.kin else "the same gate"
    progress(f"baseline of {gate.name}: {what} on an untouched tree ({base[:12]})")
    if gate.kin:
        result = compared_tests(result, gate.kin(untouched, result.failures))
    else:
        result = compared(result, gate.run(untouched), checkout, untouched)
    progress(f"{result.name}: {_word(result)}")
    return result


def _run(gate: Gate, checkout: Path, python: str, missing: set[str]) -> GateResult:
    absent = [path for path in gate.needs if not (checkout / path).is_file()]
    if absent:
        return GateResult(gate.name, "absent", 0.0, f"not in this checkout ({absent[0]})")
    install = [TOOLS[tool] for tool in gate.tools if find_tool(python, tool) is None]
    install += [_PACKAGES[module] for module in gate.modules if module in missing]
    if install:
        detail = f"needs {', '.join(install)}: `{python} -m pip install {' '.join(install)}`"
        return GateResult(gate.name, "not run", 0.0, detail)
    start = time.monotonic()
    outcome = gate.run(checkout)
    seconds = time.monotonic() - start
    counts = outcome.counts
    if outcome.green and counts is not None and not counts.passed:
        return GateResult(gate.name, "not run", seconds, f"no test ran: {counts}", counts=counts)
    if outcome.green:
        return GateResult(gate.name, "passed", seconds, str(counts or ""), counts=counts)
    detail = f"{counts}; {telling_line(outcome.output)}" if counts else telling_line(outcome.output)
    return GateResult(gate.name, "failed", seconds, detail, outcome.output, counts, outcome.failures)


def compared(result: GateResult, there: Outcome, checkout: Path, untouched: Path) -> GateResult:
    """A red result after its baseline: blamed is only what the untouched tree does not print."""
    if there.green:
        return result
    new = new_lines(result.output, there.output, checkout, untouched)
    name, seconds = result.name, result.seconds
    if not new:
        return GateResult(name, "baseline", seconds, f"red without the model as well: {telling_line(there.output)}")
    detail = f"{len(new)} new line{'s' if len(new) > 1 else ''}: {telling_line(chr(10).join(new))}"
    return GateResult(name, "failed", seconds, detail, "\n".join(new))


def compared_tests(result: GateResult, there: Outcome) -> GateResult:
    """A test file with failures after its baseline: a test that fails for the same reason in a model of the house is its own."""
    new = [failure for failure in result.failures if failure not in there.failures]
    if not result.failures or len(new) == len(result.failures):
        return result
    if not new:
        detail = f"{result.counts}; the same tests of another model fail without this one: {telling_line(result.failures[0])}"
        return replace(result, status="baseline", detail=detail, output="")
    return replace(result, detail=f"{result.counts}; new: {telling_line(new[0])}")


def new_lines(here: str, there: str, checkout: Path, untouched: Path) -> list[str]:
    """The lines of ``here`` that are not in ``there``, with multiplicity.

    Numbers that stand alone do not count: an added line shifts the line numbers below it, and an added file the totals.
    """
    known = Counter(_normal(line, untouched) for line in there.splitlines())
    new: list[str] = []
    for line in here.splitlines():
        normal = _normal(line, checkout)
        if known[normal]:
            known[normal] -= 1
        elif normal.strip():
            new.append(line)
    return new


def _normal(line: str, root: Path) -> str:
    return re.sub(r"(?<![\w.])\d+(\.\d+)?(?![\w.])", "N", line.replace(str(root), ".")).rstrip()


def telling_line(output: str) -> str:
    """The line of an output that says what is wrong: the last of a traceback, else the first; at most 200 characters."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    if not lines:
        return "it printed nothing"
    failed = [line for line in lines if line.startswith(("FAILED ", "ERROR "))]
    traceback = any(line.startswith("Traceback (most recent call last)") for line in lines)
    line = failed[0] if failed else lines[-1] if traceback else lines[0]
    return line if len(line) <= 200 else line[:197] + "..."


def baseline_commit(checkout: Path, spec: ModelSpec) -> str | None:
    """A commit without the model: HEAD while the model is not committed, else the one that the manifest names."""
    if not _git(checkout, "ls-tree", "-r", "--name-only", "HEAD", "--", *spec.owned_places()):
        return _git(checkout, "rev-parse", "HEAD") or None
    manifest = read_manifest(Snapshot(checkout), spec.name)
    if manifest is None:
        return None
    return _git(checkout, "rev-parse", "--verify", "--quiet", f"{manifest.base_commit}^{{commit}}") or None


@contextlib.contextmanager
def worktree(checkout: Path, commit: str) -> Iterator[Path]:
    """A worktree of ``commit`` in a temporary folder, gone afterwards, from git's list as well.

    Raises:
        NotACheckout: git could not make it.
    """
    with tempfile.TemporaryDirectory(prefix="scaffold-model-baseline-") as folder:
        target = Path(folder, "diffusers")
        done = subprocess.run(
            ["git", "-C", str(checkout), "worktree", "add", "--quiet", "--detach", str(target), commit],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise NotACheckout(f"no worktree of {commit[:12]} could be made for the baseline: {reason}")
        try:
            yield target
        finally:
            _git(checkout, "worktree", "remove", "--force", str(target))


def _tiny_repositories(
    checkout: Path, spec: ModelSpec, python: str, cache: Path, missing: set[str], progress: Progress
) -> GateResult:
    """Build what the tests load. It is built again each time, since the model may have changed since the last time."""
    name = "tiny repositories"
    install = [package for module, package in TEST_PACKAGES.items() if module in missing]
    if install:
        detail = f"needs {', '.join(install)}: `{python} -m pip install {' '.join(install)}`"
        return GateResult(name, "not run", 0.0, detail)
    start = time.monotonic()
    try:
        result = build(checkout, spec, python, progress, cache=cache)
    except ScaffoldError as error:
        return GateResult(name, "failed", time.monotonic() - start, error.line, error.line)
    needed = needed_repos(Snapshot(checkout), spec)
    words = ", ".join(f"{one.repo} {one.status}" for one in result.placed if one.repo in needed)
    return GateResult(name, "passed", time.monotonic() - start, words)


def _version_notices(snapshot: Snapshot, python: str) -> Iterator[str]:
    pinned = re.search(r"\"ruff==([\d.]+)\"", snapshot.read("setup.py") or "")
    tool = find_tool(python, "ruff")
    if pinned and tool:
        done = subprocess.run([tool, "--version"], capture_output=True, text=True, check=False)
        version = done.stdout.strip().removeprefix("ruff ")
        if version != pinned.group(1):
            yield f"ruff is {version}, this checkout pins {pinned.group(1)}: `{python} -m pip install ruff=={pinned.group(1)}`"


def _state(checkout: Path) -> str:
    """A digest of what git sees: the state of every file that is not as in HEAD, and what it holds."""
    status = _git(checkout, "status", "--porcelain", "--untracked-files=all")
    return hashlib.sha256((status + _git(checkout, "diff", "HEAD")).encode()).hexdigest()


def _git(checkout: Path, *arguments: str) -> str:
    """The output of a git command, empty when it fails."""
    done = subprocess.run(
        ["git", "-C", str(checkout), *arguments], capture_output=True, text=True, errors="replace", check=False
    )
    return done.stdout.strip() if done.returncode == 0 else ""


_WORDS: dict[Status, str] = {
    "passed": "passed",
    "failed": "FAILED",
    "baseline": "red before",
    "not run": "NOT RUN",
    "absent": "absent",
}


def _word(result: GateResult) -> str:
    detail = f", {result.detail}" if result.detail else ""
    return f"{_WORDS[result.status]} in {result.seconds:.1f} s{detail}"


def format_table(verification: Verification) -> str:
    """The one table at the end, as plain text: gate, result, seconds, detail; then the notices and the verdict."""
    rows = [
        (result.name, _WORDS[result.status], f"{result.seconds:.1f}" if result.seconds else "", result.detail)
        for result in verification.results
    ]
    header = ("gate", "result", "s", "")
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(3)]

    def line(row: tuple[str, str, str, str]) -> str:
        return f"{row[0]:<{widths[0]}}  {row[1]:<{widths[1]}}  {row[2]:>{widths[2]}}  {row[3]}".rstrip()

    counted = Counter(result.status for result in verification.results)
    verdict = ", ".join(f"{counted[status]} {word}" for status, word in _WORDS.items() if counted[status])
    lines = [line(header), line(("-" * widths[0], "-" * widths[1], "-" * widths[2], "")), *map(line, rows)]
    return "\n".join([*lines, *(f"notice: {notice}" for notice in verification.notices), verdict]) + "\n"
