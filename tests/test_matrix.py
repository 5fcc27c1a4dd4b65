"""The covering array of ``make matrix``: it covers what it says, and its cells are what the command line takes."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import pytest
from click.testing import CliRunner
from conftest import load_tool

from scaffold_model.cli import cli
from scaffold_model.questions import CHOICES
from scaffold_model.spec import ModelSpec


@pytest.fixture(scope="module")
def matrix() -> ModuleType:
    return load_tool("matrix")


def test_every_pair_of_values_that_makes_sense_is_in_a_cell(matrix: ModuleType) -> None:
    cells = matrix.feasible()
    chosen = matrix.covering_array(cells)
    covered = set().union(*map(matrix.pairs, chosen))
    assert covered == set().union(*map(matrix.pairs, cells))
    assert len(chosen) < 50
    assert chosen == matrix.covering_array(matrix.feasible()), "the array is the same on every run"


def test_every_axis_is_in_the_array_with_all_of_its_values(matrix: ModuleType) -> None:
    chosen = matrix.covering_array(matrix.feasible())
    # What a checkout decides, or the class of the autoencoder, is no axis.
    assert {"modality", "task", "format", "guidance", "lora"} <= set(chosen[0])
    for axis in set(CHOICES) & set(chosen[0]):
        values = (
            {cell[axis] for cell in chosen} if axis != "task" else {task for cell in chosen for task in cell[axis]}
        )
        assert values == set(CHOICES[axis]), axis


def test_the_options_of_a_cell_are_its_answers(matrix: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[ModelSpec] = []

    def create(options: dict[str, object]) -> None:
        given = {key: options[key] for key in ModelSpec.__dataclass_fields__ if options.get(key) not in (None, ())}
        seen.append(ModelSpec.from_answers(given))

    monkeypatch.setattr("scaffold_model.cli._create", create)
    for cell in matrix.covering_array(matrix.feasible()):
        done = CliRunner().invoke(cli, ["--name", "foo", *matrix.flags(cell)])
        assert done.exit_code == 0, done.output
        assert seen[-1] == ModelSpec(name="foo", **cell)


def test_the_report_says_what_is_red(matrix: ModuleType, tmp_path: Path) -> None:
    green = matrix.CellReport(0, "--modular", passed=12, skipped=3, lines=100, code=60, seconds=2.4)
    red = matrix.CellReport(1, "--standard", ["ruff check: failed: <1 error>"], failed=1)
    matrix.write_report([green, red], "abc1234", 541, tmp_path)
    data = json.loads((tmp_path / "matrix.json").read_text(encoding="utf-8"))
    assert (data["revision"], data["pairs"], data["red"]) == ("abc1234", 541, 1)
    assert [cell["problems"] for cell in data["cells"]] == [[], ["ruff check: failed: <1 error>"]]
    page = (tmp_path / "matrix.html").read_text(encoding="utf-8")
    assert "<li>ruff check: failed: &lt;1 error&gt;</li>" in page
    assert page.count('class="ok">green') == 1
    assert "http" not in page, "the page needs no other file"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--cell", "999"], "there is no cell 999"),
        (["--checkout", "/nonexistent", "--cell", "0"], "git rev-parse failed"),
    ],
)
def test_what_can_not_be_run_is_refused(
    matrix: ModuleType, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    with pytest.raises(SystemExit) as stop:
        matrix.main(arguments)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err
