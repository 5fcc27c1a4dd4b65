"""Formatting as the checkout's `make style` would do it, without its pyproject.toml."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from scaffold_model import formatting
from scaffold_model.formatting import FormattingFailed, find_ruff, format_python, wrap_todos
from scaffold_model.render import render
from scaffold_model.scaffold import finished, formatted
from scaffold_model.snapshot import Snapshot
from scaffold_model.spec import ModelSpec

MESSY = """\
import torch
from ..utils import logging
import os, sys
from diffusers import FooPipeline
from tests.things import thing
from ..utils import deprecate
logger = logging.get_logger(__name__)
def f(a, b):
    return os.path.join(a, b), torch.ones(1), 'x', deprecate, FooPipeline, thing
"""

CLEAN = """\
import os

import torch

from diffusers import FooPipeline
from tests.things import thing

from ..utils import deprecate, logging


logger = logging.get_logger(__name__)


def f(a, b):
    return os.path.join(a, b), torch.ones(1), "x", deprecate, FooPipeline, thing
"""


def test_imports_are_sorted_and_unused_ones_go() -> None:
    done = format_python({"src/diffusers/models/foo.py": MESSY}, line_length=119)
    assert done == {"src/diffusers/models/foo.py": CLEAN}
    assert format_python(done, line_length=119) == done


def test_an_init_keeps_imports_that_nothing_uses() -> None:
    text = "from .transformer_foo import FooTransformer2DModel\n"
    assert format_python({"src/diffusers/models/__init__.py": text}, line_length=119) == {
        "src/diffusers/models/__init__.py": text
    }


def test_the_line_length_is_the_stored_one() -> None:
    line = "value = some_function(first_argument, second_argument, third_argument)\n"
    wide = format_python({"a.py": line}, line_length=119)
    narrow = format_python({"a.py": line}, line_length=60)
    assert wide == {"a.py": line}
    assert narrow == {"a.py": "value = some_function(\n    first_argument, second_argument, third_argument\n)\n"}


def test_what_is_no_python_passes_through_and_costs_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "run", lambda *a, **k: pytest.fail("a process was started"))
    files = {"docs/foo.md": "import  x\n"}
    assert format_python(files, line_length=119) == files


def test_all_files_take_two_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    started = []
    real = subprocess.run

    def counted(command: list[str], **options: object) -> object:
        started.append(command)
        return real(command, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(formatting.subprocess, "run", counted)
    format_python({f"folder{index}/a.py": MESSY for index in range(40)}, line_length=119)
    assert [command[1] for command in started] == ["check", "format"]


def test_folders_that_ruff_skips_by_default_are_formatted(tmp_path: Path) -> None:
    paths = [".scaffold/foo/parity.py", "src/diffusers/pipelines/build/a.py", "dist/a.py"]
    assert format_python(dict.fromkeys(paths, "x = 'a'\n"), line_length=119) == dict.fromkeys(paths, 'x = "a"\n')


def test_a_pyproject_on_disk_does_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[tool.ruff]\nline-length = 20\n[tool.ruff.format]\nquote-style = "single"\n'
    )
    (tmp_path / "transformers").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert format_python({"src/diffusers/models/foo.py": MESSY}, line_length=119) == {
        "src/diffusers/models/foo.py": CLEAN
    }
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pyproject.toml", "transformers"]


def test_a_syntax_error_names_the_file() -> None:
    files = {"src/good.py": "x = 1\n", "src/diffusers/models/bad.py": "def f(:\n"}
    with pytest.raises(FormattingFailed, match=r"src/diffusers/models/bad\.py"):
        format_python(files, line_length=119)


def test_a_formatter_that_does_not_start_is_reported(tmp_path: Path) -> None:
    with pytest.raises(FormattingFailed, match="could not be started"):
        format_python({"a.py": "x = 1\n"}, line_length=119, ruff=str(tmp_path / "no-ruff"))


def test_the_given_python_lends_its_ruff(tmp_path: Path) -> None:
    (tmp_path / "python").touch()
    (tmp_path / "ruff").touch()
    assert find_ruff(str(tmp_path / "python")) == str(tmp_path / "ruff")


def test_our_own_ruff_is_used_when_the_python_has_none(tmp_path: Path) -> None:
    bare = tmp_path / "python"
    bare.write_text("#!/bin/sh\nexit 1\n")
    bare.chmod(0o755)
    own = find_ruff(None)
    assert find_ruff(str(bare)) == find_ruff(str(tmp_path / "missing")) == own
    assert subprocess.run([own, "--version"], capture_output=True, text=True, check=True).stdout.startswith("ruff ")


def test_a_python_that_keeps_ruff_elsewhere_is_asked(tmp_path: Path) -> None:
    wrapper = tmp_path / "python"
    wrapper.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    wrapper.chmod(0o755)
    assert find_ruff(str(wrapper)) == find_ruff(sys.executable)


@pytest.mark.checkout
def test_real_modules_are_left_alone(pristine: Path, pinned_ruff: str) -> None:
    """Every fifth module of diffusers, tests included: formatting is a no-op byte for byte."""
    paths = (
        sorted((pristine / "src/diffusers").rglob("*.py"))[::5]
        + sorted((pristine / "tests/models").rglob("*.py"))[::5]
    )
    files = {str(path.relative_to(pristine)): path.read_text(encoding="utf-8") for path in paths}
    assert len(files) > 150
    done = format_python(files, line_length=119, ruff=pinned_ruff)
    changed = [path for path in files if done[path] != files[path]]
    assert changed == []


@pytest.mark.checkout
@pytest.mark.parametrize("name", ["foo", "my_very_long_model_name_v15"])
@pytest.mark.parametrize("attention", ["joint", "cross"])
def test_our_own_ruff_writes_a_scaffold_as_the_pinned_one_does(
    name: str, attention: str, pristine: Path, pinned_ruff: str
) -> None:
    spec = ModelSpec(name, format="both", attention=attention, lora="yes", scheduler="new")
    rendered = render(spec.answers())
    ours = finished(spec, Snapshot(pristine), rendered, None)
    assert formatted(spec, ours, pinned_ruff) == ours


def test_todo_comments_that_a_long_name_makes_too_long_are_wrapped() -> None:
    text = (
        "x = 1\n"
        "    # TODO(a_name): match the rotary embeddings of the reference (base,\n"
        "    # order of the axes).\n"
        "    # TODO(a_name): short.\n"
        "    y = 2  # TODO(a_name): a comment behind code stays where it is, however long it may be\n"
    )
    assert wrap_todos(text, "a_name", 60) == (
        "x = 1\n"
        "    # TODO(a_name): match the rotary embeddings of the\n"
        "    # reference (base, order of the axes).\n"
        "    # TODO(a_name): short.\n"
        "    y = 2  # TODO(a_name): a comment behind code stays where it is, however long it may be\n"
    )
    assert wrap_todos(text, "a_name", 80) == text
    assert wrap_todos(text, "another", 60) == text
    assert wrap_todos(wrap_todos(text, "a_name", 60), "a_name", 60) == wrap_todos(text, "a_name", 60)
