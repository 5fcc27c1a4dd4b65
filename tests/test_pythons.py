"""Which Python is used, what it lacks, and in which environment it runs."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from scaffold_model.errors import BadInput
from scaffold_model.pythons import find_python, find_tool, missing_modules, require_modules, subprocess_env


def executable(path: Path, text: str = "#!/bin/sh\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def test_the_order_of_places(tmp_path: Path) -> None:
    given = executable(tmp_path / "given" / "python")
    active = executable(tmp_path / "active" / "bin" / "python")
    own = executable(tmp_path / "checkout" / ".venv" / "bin" / "python")
    on_path = executable(tmp_path / "bin" / "python3")
    environ = {"VIRTUAL_ENV": str(tmp_path / "active"), "PATH": str(tmp_path / "bin")}
    checkout = tmp_path / "checkout"
    assert find_python(str(given), checkout, environ) == str(given)
    assert find_python(None, checkout, environ) == str(active)
    del environ["VIRTUAL_ENV"]
    assert find_python(None, checkout, environ) == str(own)
    own.unlink()
    assert find_python(None, checkout, environ) == str(on_path)


def test_python_on_path_where_there_is_no_python3(tmp_path: Path) -> None:
    found = executable(tmp_path / "python")
    assert find_python(None, tmp_path / "checkout", {"PATH": str(tmp_path)}) == str(found)


def test_a_command_is_looked_up_on_path(tmp_path: Path) -> None:
    found = executable(tmp_path / "python3.12")
    assert find_python("python3.12", tmp_path, {"PATH": str(tmp_path)}) == str(found)


def test_the_link_of_an_environment_is_kept(tmp_path: Path) -> None:
    link = tmp_path / "venv" / "bin" / "python"
    link.parent.mkdir(parents=True)
    link.symlink_to(sys.executable)
    assert find_python(str(link), tmp_path) == str(link)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("nowhere/python", "--python nowhere/python does not exist"),
        ("no-such-python", "--python no-such-python does not exist"),
        ("folder", "--python folder is a folder"),
        ("plain.txt", "--python plain.txt is not executable"),
    ],
)
def test_what_is_given_must_be_an_interpreter(
    option: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "plain.txt").write_text("")
    with pytest.raises(BadInput) as caught:
        find_python(option, tmp_path, {"PATH": str(tmp_path / "bin")})
    assert caught.value.line.startswith(message + "; ")


def test_no_python_anywhere(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no Python was found"):
        find_python(None, tmp_path, {"PATH": str(tmp_path)})


def test_missing_modules_are_found_without_importing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A folder of the current directory must not pass for a module, as `utils` of a checkout would.
    (tmp_path / "some_folder").mkdir()
    monkeypatch.chdir(tmp_path)
    assert missing_modules(sys.executable, ["json", "no_such_module", "some_folder"]) == [
        "no_such_module",
        "some_folder",
    ]


def test_an_interpreter_that_does_not_run_is_bad_input(tmp_path: Path) -> None:
    broken = executable(tmp_path / "python", "#!/bin/sh\necho broken >&2\nexit 3\n")
    with pytest.raises(BadInput, match=r"does not run as a Python interpreter \(broken\)"):
        missing_modules(str(broken), ["json"])


def test_require_modules_names_packages_and_interpreter() -> None:
    require_modules(sys.executable, {"json": "json"}, "this test")
    with pytest.raises(BadInput) as caught:
        require_modules(sys.executable, {"json": "json", "no_such_module": "no-such-package"}, "this test")
    assert caught.value.line == (
        f"this test needs no-such-package, which {sys.executable} does not have; "
        f"`{sys.executable} -m pip install no-such-package`, or give another interpreter with --python PATH"
    )


def test_a_tool_is_one_of_the_same_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = executable(tmp_path / "venv" / "bin" / "ruff")
    executable(tmp_path / "elsewhere" / "doc-builder")
    monkeypatch.setenv("PATH", str(tmp_path / "elsewhere"))
    python = str(tmp_path / "venv" / "bin" / "python")
    assert find_tool(python, "ruff") == str(tool)
    assert find_tool(python, "doc-builder") is None


def test_the_environment_of_a_subprocess(tmp_path: Path) -> None:
    before = {"PATH": "/usr/bin", "VIRTUAL_ENV": "/ours", "PYTHONPATH": "/ours/lib", "HOME": "/home/someone"}
    env = subprocess_env("/theirs/bin/python", tmp_path, {"HF_HUB_OFFLINE": "1"}, before)
    assert env == {
        "PATH": os.pathsep.join(["/theirs/bin", "/usr/bin"]),
        "PYTHONPATH": str(tmp_path / "src"),
        "PYTHONUTF8": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "HOME": "/home/someone",
        "HF_HUB_OFFLINE": "1",
    }
