"""Loading a harness: every way in which it can be wrong is one sentence that names file, function and line."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from scaffold_model.parity.running.errors import RunningError
from scaffold_model.parity.running.harness import load_harness

WHOLE = """
import torch

def build_reference(): return torch.nn.Linear(2, 2)
def build_target(): return torch.nn.Linear(2, 2)
def make_inputs(): return {"x": torch.ones(1, 2)}
def run_reference(model, inputs): return model(inputs["x"])
def run_target(model, inputs): return model(inputs["x"]), "a word"
def convert(state_dict):
    raise KeyError("blocks.0")
"""


def _write(folder: Path, text: str) -> Path:
    path = folder / "parity.py"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_whole_harness(tmp_path: Path) -> None:
    harness = load_harness(_write(tmp_path, WHOLE))
    model, inputs = harness.call("build_reference"), harness.call("make_inputs")
    assert [type(value) for value in harness.outputs("run_reference", model, inputs)] == [torch.Tensor]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def build_reference(): ...", "lacks build_target, make_inputs, run_reference, run_target, convert"),
        ("import no_such_module", "can not be imported: ModuleNotFoundError: No module named 'no_such_module'"),
        ("def (", "can not be imported: SyntaxError: invalid syntax (parity.py, line 1)"),
        ("raise SystemExit(3)", "can not be imported: SystemExit: 3"),
    ],
)
def test_a_file_that_is_no_harness(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(RunningError) as error:
        load_harness(_write(tmp_path, text))
    assert error.value.message == message
    assert error.value.path == str(tmp_path / "parity.py")


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(RunningError, match="is not there"):
        load_harness(tmp_path / "parity.py")


def test_a_function_that_raises(tmp_path: Path) -> None:
    harness = load_harness(_write(tmp_path, WHOLE))
    with pytest.raises(RunningError) as error:
        harness.call("convert", {})
    assert error.value.message == "convert (line 10) raised KeyError: 'blocks.0'"


def test_an_output_that_is_no_tensor(tmp_path: Path) -> None:
    harness = load_harness(_write(tmp_path, WHOLE))
    model, inputs = harness.call("build_target"), harness.call("make_inputs")
    with pytest.raises(RunningError, match="run_target returns str, where a tensor or a tuple of tensors is needed"):
        harness.outputs("run_target", model, inputs)
