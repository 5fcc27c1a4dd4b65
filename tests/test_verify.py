"""Gates, baselines and the table: what is red before is not blamed, and what did not run is no pass."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from scaffold_model.errors import NotACheckout
from scaffold_model.gates import Counts, Gate, Outcome, Runner, all_gates, read_counts, read_failures, run_tests
from scaffold_model.snapshot import Snapshot
from scaffold_model.spec import ModelSpec
from scaffold_model.verify import (
    GateResult,
    Verification,
    baseline_commit,
    compared_tests,
    format_table,
    new_lines,
    run_gates,
    telling_line,
    verify,
    worktree,
)

SPEC = ModelSpec("foo", format="both")
MODEL = "src/diffusers/models/transformers/transformer_foo.py"


def git(root: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def write(root: Path, files: dict[str, str]) -> None:
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)


def commit(root: Path, message: str = "change") -> str:
    git(root, "add", "--all")
    git(root, "-c", "user.name=T", "-c", "user.email=t@example.com", "commit", "--quiet", "--message", message)
    return git(root, "rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A git repository with one file, in which a gate of the tests looks for bad words."""
    root = tmp_path / "checkout"
    root.mkdir()
    git(root, "init", "--quiet")
    write(root, {"words.txt": "good\n", "src/diffusers/__init__.py": ""})
    commit(root)
    return root


def words(root: Path) -> Outcome:
    """A gate that is red where a line says bad; it prints line numbers and a total, as real ones do."""
    lines = (root / "words.txt").read_text().splitlines()
    found = [f"{root}/words.txt:{number}: {line}" for number, line in enumerate(lines, 1) if "bad" in line]
    return Outcome(not found, "\n".join([*found, f"Found {len(found)} errors in {len(lines)} lines."]))


def run(repository: Path, *gates: Gate, missing: tuple[str, ...] = ()) -> list[GateResult]:
    return run_gates(repository, SPEC, gates, sys.executable, set(missing), lambda _: None)


# Baselines.


def test_red_because_of_the_model(repository: Path) -> None:
    write(repository, {"words.txt": "good\nbad one\n"})
    (result,) = run(repository, Gate("words", words))
    assert (result.name, result.status) == ("words", "failed")
    assert result.detail == f"{repository}/words.txt:2: bad one"


def test_red_before_is_not_blamed(repository: Path) -> None:
    write(repository, {"words.txt": "good\nbad old\n"})
    commit(repository)
    write(repository, {"words.txt": "new\nlines\nabove\ngood\nbad old\n"})
    (result,) = run(repository, Gate("words", words))
    assert result.status == "baseline"
    assert result.detail.startswith("red without the model as well: ")
    assert Verification((result,), ()).clean


def test_only_what_is_new_is_blamed(repository: Path) -> None:
    write(repository, {"words.txt": "bad old\n"})
    commit(repository)
    write(repository, {"words.txt": "bad new\nbad old\nbad old\n"})
    (result,) = run(repository, Gate("words", words))
    assert result.status == "failed"
    assert result.output.splitlines() == [f"{repository}/words.txt:1: bad new", f"{repository}/words.txt:3: bad old"]
    assert result.detail == f"2 new lines: {repository}/words.txt:1: bad new"


def test_a_gate_without_baseline_is_run_once(repository: Path) -> None:
    roots: list[Path] = []

    def gate(root: Path) -> Outcome:
        roots.append(root)
        return Outcome(False, "red")

    (result,) = run(repository, Gate("only here", gate, baseline=False))
    assert result.status == "failed"
    assert roots == [repository]


def failing(*failures: str) -> Outcome:
    return Outcome(False, "red", Counts(5, 0, len(failures)), failures)


@pytest.mark.parametrize(
    ("theirs", "status", "detail"),
    [
        (
            ("test_a: ValueError: offline", "test_x: other"),
            "baseline",
            "5 passed, 0 skipped, 1 failed; the same tests of another",
        ),
        (("test_a: ValueError: another reason",), "failed", "5 passed, 0 skipped, 1 failed; "),
        ((), "failed", "5 passed, 0 skipped, 1 failed; "),
    ],
)
def test_a_test_that_a_model_of_the_house_fails_too(
    theirs: tuple[str, ...], status: str, detail: str, repository: Path
) -> None:
    def kin(root: Path, failures: Sequence[str]) -> Outcome:
        assert root != repository
        assert failures == ("test_a: ValueError: offline",)
        return failing(*theirs)

    gate = Gate("tests/a.py", lambda _: failing("test_a: ValueError: offline"), baseline=False, kin=kin)
    (result,) = run(repository, gate)
    assert result.status == status
    assert result.detail.startswith(detail)
    assert result.counts == Counts(5, 0, 1)


def test_only_the_tests_that_the_house_passes_are_blamed() -> None:
    result = GateResult("tests/a.py", "failed", 1.0, "", "", Counts(5, 0, 2), ("test_a: old", "test_b: new"))
    compared = compared_tests(result, failing("test_a: old"))
    assert (compared.status, compared.detail) == ("failed", "5 passed, 0 skipped, 2 failed; new: test_b: new")


def test_the_reasons_in_a_report() -> None:
    report = (
        "<testsuites><testsuite><testcase name='test_a[x]'><failure message='ValueError: no&#10;more'/></testcase>"
        "<testcase name='test_b'/><testcase name='test_c'><error message='fixture'/></testcase>"
        "<testcase name='test_d'><skipped message='not here'/></testcase></testsuite></testsuites>"
    )
    assert read_failures(report) == ("test_a[x]: ValueError: no", "test_c: fixture")


def test_one_more_file_to_restyle_is_seen(repository: Path, tmp_path: Path) -> None:
    class Restyled(Runner):
        def __call__(self, root: Path, command: Sequence[str], **env: str) -> Outcome:
            return Outcome(
                False, f"Traceback\nValueError: {4 if root == repository else 3} files should be restyled!\n"
            )

    write(repository, {"Makefile": "", "pyproject.toml": ""})
    commit(repository)
    gates = all_gates(Snapshot(repository), SPEC, Restyled(sys.executable, tmp_path))
    style = next(gate for gate in gates if gate.name == "doc-builder style")
    (result,) = run(repository, Gate(style.name, style.run))
    assert (result.status, result.detail) == ("failed", "1 new line: a file should be restyled")


def test_the_baseline_is_removed_afterwards(repository: Path) -> None:
    before = sorted(path for path in repository.rglob("*") if "objects" not in path.parts)
    with worktree(repository, "HEAD") as untouched:
        assert (untouched / "words.txt").read_text() == "good\n"
        assert len(git(repository, "worktree", "list").splitlines()) == 2
    assert not untouched.exists()
    assert len(git(repository, "worktree", "list").splitlines()) == 1
    with pytest.raises(ZeroDivisionError), worktree(repository, "HEAD") as untouched:
        _ = 1 / 0
    assert len(git(repository, "worktree", "list").splitlines()) == 1
    after = sorted(path for path in repository.rglob("*") if "objects" not in path.parts)
    assert [path for path in after if path.name != "worktrees"] == before


def test_a_commit_that_is_not_there(repository: Path) -> None:
    with (
        pytest.raises(NotACheckout, match="no worktree of 000000000000 could be made"),
        worktree(repository, "0" * 40),
    ):
        pass


def test_which_commit_is_without_the_model(repository: Path) -> None:
    base = git(repository, "rev-parse", "HEAD")
    write(repository, {MODEL: "class Foo: ...\n"})
    assert baseline_commit(repository, SPEC) == base
    commit(repository, "the model")
    assert baseline_commit(repository, SPEC) is None
    manifest = {"version": 1, "base_commit": base, "branch": None, "created": {}, "edited": {}}
    write(repository, {".scaffold/foo/manifest.json": json.dumps(manifest)})
    assert baseline_commit(repository, SPEC) == base


def test_without_a_known_base_a_red_gate_stays_red(repository: Path) -> None:
    write(repository, {"words.txt": "bad\n", MODEL: "class Foo: ...\n"})
    commit(repository, "the model")
    assert [result.status for result in run(repository, Gate("words", words))] == ["failed"]


def test_new_lines_ignore_numbers_and_places_but_not_multiplicity() -> None:
    here, there = Path("/here"), Path("/tmp/there")
    before = "/tmp/there/a.py:10:4: E501\nFound 1 error in 2.5 s\n"
    after = "/here/a.py:12:4: E501\n/here/a.py:99:4: E501\nFound 2 errors in 0.1 s\nFound 2 error in 3.5 s\n\n"
    assert new_lines(after, before, here, there) == ["/here/a.py:99:4: E501", "Found 2 errors in 0.1 s"]
    assert new_lines("Foo2Model missing", "Foo3Model missing", here, there) == ["Foo2Model missing"]


# Gates that do not run.


def test_what_is_missing_is_not_run_and_never_a_pass(repository: Path) -> None:
    def never(root: Path) -> Outcome:
        raise AssertionError("it must not run")

    results = run(
        repository,
        Gate("absent", never, needs=("utils/check_copies.py",)),
        Gate("no module", never, modules=("yaml", "json")),
        Gate("no tool", never, tools=("doc-builder",)),
        missing=("yaml",),
    )
    assert [(result.status, result.detail) for result in results] == [
        ("absent", "not in this checkout (utils/check_copies.py)"),
        ("not run", f"needs pyyaml: `{sys.executable} -m pip install pyyaml`"),
        ("not run", f"needs hf-doc-builder: `{sys.executable} -m pip install hf-doc-builder`"),
    ]
    assert Verification((results[0],), ()).clean
    assert not Verification((results[1],), ()).clean


@pytest.mark.parametrize(
    ("counts", "status", "detail"),
    [
        (Counts(3, 1, 0), "passed", "3 passed, 1 skipped, 0 failed"),
        (Counts(0, 4, 0), "not run", "no test ran: 0 passed, 4 skipped, 0 failed"),
    ],
)
def test_tests_that_were_all_skipped_are_no_pass(repository: Path, counts: Counts, status: str, detail: str) -> None:
    (result,) = run(repository, Gate("tests/a.py", lambda _: Outcome(True, "", counts)))
    assert (result.status, result.detail, result.counts) == (status, detail, counts)


def test_results_are_in_the_order_of_the_gates(repository: Path) -> None:
    import time

    def slow(root: Path) -> Outcome:
        time.sleep(0.2)
        return Outcome(True, "")

    progress: list[str] = []
    gates = [Gate("slow", slow), Gate("quick", lambda _: Outcome(True, "")), Gate("last", lambda _: Outcome(True, ""))]
    results = run_gates(repository, SPEC, gates, sys.executable, set(), progress.append)
    assert [result.name for result in results] == ["slow", "quick", "last"]
    assert [line.split("]")[0] for line in progress] == ["[1/3", "[2/3", "[3/3"]


# The gates themselves.


def gate_named(root: Path, name: str, tmp_path: Path) -> Gate:
    gates = all_gates(Snapshot(root), SPEC, Runner(sys.executable, tmp_path / "hub"))
    return next(gate for gate in gates if gate.name == name)


def test_every_gate_of_a_checkout_is_named() -> None:
    test = "tests/models/transformers/test_models_transformer_foo.py"
    pipeline = "tests/pipelines/foo/test_pipeline_foo.py"
    snapshot = Snapshot(None, {test: "", pipeline: "", "tests/pipelines/foo/__init__.py": ""})
    runner = Runner(sys.executable, Path("hub"))
    names = [gate.name for gate in all_gates(snapshot, SPEC, runner)]
    assert names == [
        "ruff check",
        "ruff format",
        "doc-builder style",
        "check_doc_toc",
        "check_ai",
        "check_copies",
        "check_dummies",
        "check_support_list",
        "check_forward_call_docstrings",
        "custom_init_isort",
        "modular_auto_docstring",
        "deps_table_check_updated",
        "import, lazy",
        "import, DIFFUSERS_SLOW_IMPORT=1",
        "no unfilled # Copied from",
        test,
        pipeline,
    ]
    standard = [gate.name for gate in all_gates(snapshot, ModelSpec("foo", format="standard"), runner)]
    assert [name for name in names if name not in standard] == ["modular_auto_docstring"]


_SETUP = """
import sys
assert sys.argv[1:] == ["deps_table_update"]
open("README.md").read()
open("src/diffusers/dependency_versions_table.py", "w").write("deps = {'a': 2}\\n")
"""


@pytest.mark.parametrize(("table", "green"), [("deps = {'a': 2}\n", True), ("deps = {'a': 1}\n", False)])
def test_the_dependency_table_is_compared_in_a_copy(table: str, green: bool, repository: Path, tmp_path: Path) -> None:
    write(
        repository,
        {"setup.py": _SETUP, "README.md": "", "Makefile": "", "src/diffusers/dependency_versions_table.py": table},
    )
    before = {path: path.read_bytes() for path in repository.rglob("*") if path.is_file()}
    outcome = gate_named(repository, "deps_table_check_updated", tmp_path).run(repository)
    assert outcome.green is green
    assert green or "dependency_versions_table.py is outdated" in outcome.output
    assert {path: path.read_bytes() for path in repository.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("class FooPipeline: ...\n", "FooTransformer2DModel: AttributeError: module 'diffusers' has no attribute"),
        (
            "class FooTransformer2DModel: ...\nFooTransformer2DModel.__module__ = 'diffusers.utils.dummy_pt_objects'\n",
            "FooTransformer2DModel: is the dummy object of diffusers.utils.dummy_pt_objects, not the class",
        ),
        ("class FooTransformer2DModel: ...\n", ""),
    ],
)
def test_classes_are_imported_from_the_root(source: str, line: str, repository: Path, tmp_path: Path) -> None:
    noise = "import sys\nprint('a warning', file=sys.stderr, flush=True)\n" if line else ""
    write(repository, {"src/diffusers/__init__.py": noise + source})
    gates = all_gates(Snapshot(repository), SPEC, Runner(sys.executable, tmp_path), ["FooTransformer2DModel"])
    for name in ("import, lazy", "import, DIFFUSERS_SLOW_IMPORT=1"):
        outcome = next(gate for gate in gates if gate.name == name).run(repository)
        assert outcome.green is (line == "")
        assert outcome.output.startswith(line)


def test_the_two_imports_differ_in_the_variable(repository: Path, tmp_path: Path) -> None:
    source = "import os\nprint(os.environ['DIFFUSERS_SLOW_IMPORT'], os.environ['HF_HUB_OFFLINE'])\nclass Foo: ...\n"
    write(repository, {"src/diffusers/__init__.py": source})
    gates = all_gates(Snapshot(repository), SPEC, Runner(sys.executable, tmp_path), ["Foo"])
    outputs = [gate.run(repository).output.split() for gate in gates if gate.name.startswith("import")]
    assert outputs == [["0", "1"], ["1", "1"]]


def test_an_unfilled_stub_is_named(repository: Path, tmp_path: Path) -> None:
    gate = gate_named(repository, "no unfilled # Copied from", tmp_path)
    write(repository, {MODEL: "# Copied from diffusers.models.x.Y\nclass Y: ...\n"})
    outcome = gate.run(repository)
    assert not outcome.green
    assert outcome.output.startswith(f"{MODEL}:2: the `# Copied from` stub of Y is not filled")
    write(repository, {MODEL: "# Copied from diffusers.models.x.Y\nclass Y:\n    x = 1\n"})
    assert gate.run(repository) == Outcome(True, "")


@pytest.mark.parametrize(
    ("body", "green", "counts"),
    [
        ("def test_a(): pass\n\ndef test_b(): pytest.skip('no')\n", True, Counts(1, 1, 0)),
        ("def test_a(): pass\n\ndef test_b(): assert 0\n", False, Counts(1, 0, 1)),
        ("import no_such_module\n", False, Counts(0, 0, 1)),
        ("", False, Counts(0, 0, 0)),
    ],
)
def test_tests_are_counted(body: str, green: bool, counts: Counts, repository: Path, tmp_path: Path) -> None:
    path = "tests/pipelines/foo/test_pipeline_foo.py"
    write(repository, {path: "import pytest\n\n\n" + body})
    outcome = gate_named(repository, path, tmp_path).run(repository)
    assert (outcome.green, outcome.counts) == (green, counts), outcome.output
    assert git(repository, "status", "--porcelain", "--untracked-files=all", "--ignored") == f"?? {path}"


def test_garbage_of_the_tests_is_collected_and_modules_are_not_looked_through(
    repository: Path, tmp_path: Path
) -> None:
    """What `python -m pytest` does, but for what was there before the first test."""
    body = """
import gc
import sys
import weakref

class Node:
    pass

imported = Node()
imported.itself = imported
before = weakref.ref(imported)
del imported

def test_collection():
    assert gc.isenabled() and gc.get_freeze_count() > 1000
    node = Node()
    node.itself = node
    gone = weakref.ref(node)
    del node
    gc.collect()
    assert gone() is None
    assert before() is not None

def test_the_folder_is_on_the_path():
    import words_of_the_root
    assert words_of_the_root.WORDS == "good"
    assert sys.argv[1:2] == ["test_garbage.py"]
"""
    write(repository, {"test_garbage.py": body, "words_of_the_root.py": 'WORDS = "good"\n'})
    outcome = run_tests(Runner(sys.executable, tmp_path), repository, "test_garbage.py")
    assert (outcome.green, outcome.counts) == (True, Counts(2, 0, 0)), outcome.output


def test_counts_of_a_report_with_every_kind() -> None:
    report = '<testsuites><testsuite tests="9" failures="2" errors="1" skipped="3"/></testsuites>'
    assert read_counts(report) == Counts(3, 3, 3)


@pytest.mark.parametrize(
    ("output", "line"),
    [
        ("first\nsecond\n", "first"),
        ("noise\nTraceback (most recent call last):\n  File ...\nValueError: no\n", "ValueError: no"),
        ("noise\nFAILED tests/a.py::test_b - assert 0\n1 failed\n", "FAILED tests/a.py::test_b - assert 0"),
        ("\n \n", "it printed nothing"),
        ("x" * 300, "x" * 197 + "..."),
    ],
)
def test_the_telling_line(output: str, line: str) -> None:
    assert telling_line(output) == line


def test_the_table() -> None:
    verification = Verification(
        (
            GateResult("ruff check", "passed", 2.04, ""),
            GateResult("check_copies", "failed", 1.5, "1 new line: a.py: copy"),
            GateResult("check_ai", "absent", 0.0, "not in this checkout (utils/check_ai.py)"),
            GateResult("tests/test_a.py", "passed", 61.23, "3 passed, 1 skipped, 0 failed", counts=Counts(3, 1, 0)),
            GateResult("doc-builder style", "not run", 0.0, "needs hf-doc-builder"),
            GateResult("check_dummies", "baseline", 0.1, "red without the model as well: x"),
        ),
        ("something else",),
    )
    assert format_table(verification) == (
        "gate               result         s\n"
        "-----------------  ----------  ----\n"
        "ruff check         passed       2.0\n"
        "check_copies       FAILED       1.5  1 new line: a.py: copy\n"
        "check_ai           absent            not in this checkout (utils/check_ai.py)\n"
        "tests/test_a.py    passed      61.2  3 passed, 1 skipped, 0 failed\n"
        "doc-builder style  NOT RUN           needs hf-doc-builder\n"
        "check_dummies      red before   0.1  red without the model as well: x\n"
        "notice: something else\n"
        "2 passed, 1 FAILED, 1 red before, 1 NOT RUN, 1 absent\n"
    )
    assert not verification.clean


def test_a_checkout_without_gates_and_tests_says_so(repository: Path, tmp_path: Path) -> None:
    write(repository, {MODEL: "class Foo: ...\n"})
    found = verify(repository, SPEC, sys.executable, lambda _: None, cache=tmp_path / "hub", classes=[])
    statuses = {result.name: result.status for result in found.results}
    assert statuses["ruff check"] == statuses["check_copies"] == statuses["the model's tests"] == "absent"
    assert statuses["no unfilled # Copied from"] == "passed"


# Real gates of a real checkout.

DUMMIES = "src/diffusers/utils/dummy_pt_objects.py"


def drop_a_dummy(root: Path, name: str) -> None:
    text = (root / DUMMIES).read_text()
    start = text.index(f"class {name}(")
    (root / DUMMIES).write_text(text[:start] + text[text.index("\nclass ", start) + 1 :])


def swap_in_init(root: Path) -> None:
    path = root / "src/diffusers/__init__.py"
    text = path.read_text()
    assert text.count('            "AutoencoderDC",\n            "AutoencoderKL",\n') == 1
    path.write_text(
        text.replace(
            '            "AutoencoderDC",\n            "AutoencoderKL",\n',
            '            "AutoencoderKL",\n            "AutoencoderDC",\n',
        )
    )


@pytest.mark.checkout
@pytest.mark.parametrize(
    ("defect", "name"),
    [(lambda root: drop_a_dummy(root, "AutoencoderKL"), "check_dummies"), (swap_in_init, "custom_init_isort")],
    ids=["check_dummies", "custom_init_isort"],
)
def test_a_planted_defect_turns_its_gate_red_and_a_committed_one_is_baseline(
    defect: Callable[[Path], None], name: str, checkout: Path, tmp_path: Path
) -> None:
    gate = gate_named(checkout, name, tmp_path)
    assert [result.status for result in run(checkout, gate)] == ["passed"]
    defect(checkout)
    assert [result.status for result in run(checkout, gate)] == ["failed"]
    commit(checkout, "red from now on")
    assert [result.status for result in run(checkout, gate)] == ["baseline"]
    assert git(checkout, "status", "--porcelain", "--ignored") == ""


@pytest.mark.checkout
def test_light_gates_are_green_on_an_untouched_checkout(checkout: Path, tmp_path: Path) -> None:
    light = ("check_dummies", "check_support_list", "check_forward_call_docstrings", "custom_init_isort")
    results = run(checkout, *(gate_named(checkout, name, tmp_path) for name in light))
    assert [(result.name, result.status) for result in results] == [(name, "passed") for name in light]
    assert git(checkout, "status", "--porcelain", "--ignored") == ""
