"""Python files as the checkout's `make style` would leave them: sorted imports, none unused, `ruff format`.

Formatting runs in every render, also in the temporary ones of an update, where there is no checkout. So the settings
are written here and never read from a ``pyproject.toml``; the line length comes from the stored answers.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
import textwrap
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path

# What diffusers' own pyproject says, as far as it changes a file. `src` is empty and the first-party names are listed,
# because ruff would otherwise look for folders beside the file: in a checkout there are some, in a render there are none.
_SETTINGS = """\
line-length = {line_length}
src = []

[lint]
select = ["I", "F401"]

[lint.per-file-ignores]
"__init__.py" = ["F401"]

[lint.isort]
lines-after-imports = 2
known-first-party = ["diffusers", "benchmarks", "docs", "examples", "scripts", "src", "tests", "utils"]
"""


class FormattingFailed(RuntimeError):
    """Ruff could not read a file that we composed, or could not run: a bug of ours, not something a user can mend."""


def format_python(files: Mapping[str, str], *, line_length: int, ruff: str | None = None) -> dict[str, str]:
    """``files`` (``{path: text}``), formatted; what is no Python file comes back as it is.

    All files go through two processes of ruff in all.

    Args:
        files: Texts by path relative to the checkout. The path matters: unused imports stay in an ``__init__.py``.
        line_length: The line length of the checkout.
        ruff: The binary; our own dependency's by default.

    Raises:
        FormattingFailed: A file has a syntax error (the message names it), or ruff failed.
    """
    result = dict(files)
    python = [path for path in files if path.endswith(".py")]
    if not python:
        return result
    binary = ruff or find_ruff(None)
    with tempfile.TemporaryDirectory(prefix="scaffold-model-") as folder:
        root = Path(folder)
        settings = root / "ruff.toml"
        settings.write_text(_SETTINGS.format(line_length=line_length), encoding="utf-8")
        for path in python:
            target = root / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(files[path].encode("utf-8"))
        common = ["--no-cache", "--config", str(settings), "--", *python]
        # Exit-zero: what can not be fixed (an unused import in a try) is the gates' business; a syntax error is left
        # alone here and reported by the formatter.
        _run([binary, "check", "--fix", "--exit-zero", "--quiet", *common], root)
        _run([binary, "format", *common], root)
        for path in python:
            result[path] = (root / path).read_bytes().decode("utf-8")
    return result


def wrap_todos(text: str, name: str, line_length: int) -> str:
    """Wrap the ``# TODO(name):`` comments that a long name makes longer than a line; ruff leaves comments alone.

    A comment goes on as long as lines of the same indent start with ``#`` and hold no mark of their own. Marks of other
    names are text of diffusers, which a copy must hold as it is.
    """
    todo = re.compile(rf"( *)# TODO\({name}\): ")
    lines = text.split("\n")
    done: list[str] = []
    while lines:
        line = lines.pop(0)
        mark = todo.match(line)
        if mark is None:
            done.append(line)
            continue
        block = [line]
        while lines and lines[0].startswith(f"{mark[1]}# ") and todo.match(lines[0]) is None:
            block.append(lines.pop(0))
        if max(map(len, block)) > line_length:
            words = " ".join(part.strip().removeprefix("#").strip() for part in block)
            prefix = f"{mark[1]}# "
            block = textwrap.wrap(
                words,
                line_length,
                initial_indent=prefix,
                subsequent_indent=prefix,
                break_long_words=False,
                break_on_hyphens=False,
            )
        done.extend(block)
    return "\n".join(done)


def _run(command: list[str], folder: Path) -> None:
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, encoding="utf-8", check=False)
    except OSError as error:
        raise FormattingFailed(f"ruff could not be started: {error}") from error
    if done.returncode:
        reason = (done.stderr.strip() or done.stdout.strip()).replace(f"{folder}/", "")
        raise FormattingFailed(f"ruff failed with exit code {done.returncode}: {reason}")


def find_ruff(python: str | None) -> str:
    """The ruff of ``python`` when it has one (the checkout pins its version), else our own dependency's.

    Args:
        python: An interpreter, usually that of the virtual environment in which the checkout is installed.
    """
    if python:
        # In a virtual environment the script stands beside the interpreter; asking it would cost a process.
        folder = Path(python).parent
        for name in ("ruff", "ruff.exe"):
            if (folder / name).is_file():
                return str(folder / name)
        asked = _ask(python)
        if asked:
            return asked
    # The package of ruff carries no types, and only some versions of it have the function at the top.
    return str(import_module("ruff.__main__").find_ruff_bin())


def _ask(python: str) -> str | None:
    code = "from ruff.__main__ import find_ruff_bin; print(find_ruff_bin())"
    try:
        done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 and done.stdout.strip() else None
