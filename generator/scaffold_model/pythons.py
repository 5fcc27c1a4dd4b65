"""The Python that has torch and the checkout's tools: which one it is, what it lacks, and how it is run.

scaffold-model itself may live in an isolated environment, so whatever needs torch, diffusers or a tool that the
checkout pins is a subprocess of this other Python.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

from .errors import BadInput

_HINT = "give one with --python PATH, or activate an environment"

#: Prints which of its arguments can not be imported. The current folder is taken off the path first, since a checkout
#: has folders such as `utils` that would pass for modules.
_FIND_SPECS = """
import sys
sys.path[:] = [entry for entry in sys.path if entry]
import importlib.util, json
print(json.dumps([name for name in sys.argv[1:] if importlib.util.find_spec(name) is None]))
"""


def find_python(option: str | None, checkout: Path, environ: Mapping[str, str] | None = None) -> str:
    """The Python to use: ``--python``, else the active environment, else the checkout's ``.venv``, else ``PATH``.

    The path is made absolute but links are kept, because the interpreter of an environment is one.

    Args:
        option: What ``--python`` was given, if anything: a path, or a command to look up on ``PATH``.
        checkout: The root folder of the checkout.
        environ: The environment variables; those of this process by default.

    Raises:
        BadInput: What was given does not exist or is not executable, or there is no Python anywhere.
    """
    environ = os.environ if environ is None else environ
    path = environ.get("PATH")
    if option is not None:
        return _given(option, path)
    for folder in (environ.get("VIRTUAL_ENV"), str(checkout / ".venv")):
        if folder:
            for candidate in (Path(folder, "bin", "python"), Path(folder, "Scripts", "python.exe")):
                if candidate.is_file():
                    return os.path.abspath(candidate)
    for command in ("python3", "python"):
        found = shutil.which(command, path=path)
        if found:
            return os.path.abspath(found)
    raise BadInput("no Python was found in an active environment, the checkout's .venv or on PATH", hint=_HINT)


def _given(option: str, path: str | None) -> str:
    expanded = os.path.expanduser(option)
    if os.path.isdir(expanded):
        raise BadInput(f"--python {option} is a folder", hint="give the interpreter in it, such as bin/python")
    if os.path.isfile(expanded):
        if not os.access(expanded, os.X_OK):
            raise BadInput(f"--python {option} is not executable", hint=_HINT)
        return os.path.abspath(expanded)
    # A bare name is a command; anything with a separator can only have been a path.
    found = shutil.which(option, path=path) if os.path.basename(option) == option else None
    if found is None:
        raise BadInput(f"--python {option} does not exist", hint=_HINT)
    return os.path.abspath(found)


def missing_modules(python: str, names: Iterable[str]) -> list[str]:
    """Those of ``names`` (top-level modules) that ``python`` can not import, found without importing them.

    Raises:
        BadInput: The interpreter does not run.
    """
    try:
        done = subprocess.run(
            [python, "-c", _FIND_SPECS, *names], capture_output=True, text=True, check=False, timeout=120
        )
        if done.returncode:
            raise ValueError((done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1])
        missing: list[str] = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        raise BadInput(f"{python} does not run as a Python interpreter ({error})", hint=_HINT) from None
    return missing


def find_tool(python: str, command: str) -> str | None:
    """A console script of the environment that ``python`` belongs to, or None where it has none.

    ``PATH`` is not searched: a tool of another environment has other versions and other packages.
    """
    return shutil.which(command, path=str(Path(python).parent))


def subprocess_env(
    python: str, checkout: Path, extra: Mapping[str, str] | None = None, environ: Mapping[str, str] | None = None
) -> dict[str, str]:
    """The environment in which this Python works on the checkout: ``PYTHONPATH=src``, its own tools first on ``PATH``.

    Args:
        python: The interpreter.
        checkout: The root folder of the checkout.
        extra: Variables on top.
        environ: The variables to start from; those of this process by default.
    """
    base = dict(os.environ if environ is None else environ)
    # What belongs to the environment of scaffold-model must not leak into the other Python.
    for name in ("VIRTUAL_ENV", "PYTHONHOME"):
        base.pop(name, None)
    base["PATH"] = os.pathsep.join([str(Path(python).parent), base.get("PATH", os.defpath)])
    base["PYTHONPATH"] = str(checkout / "src")
    base["PYTHONUTF8"] = "1"
    # Nobody wants byte code files of a check in the tree.
    base["PYTHONDONTWRITEBYTECODE"] = "1"
    return {**base, **(extra or {})}


def require_modules(python: str, packages: Mapping[str, str], what: str) -> None:
    """Refuse where ``python`` lacks modules that ``what`` needs.

    Args:
        python: The interpreter.
        packages: The package that installs it, by module.
        what: What needs them, as the subject of the message.

    Raises:
        BadInput: Names every package that is missing, the interpreter, and what to install.
    """
    missing = [packages[module] for module in missing_modules(python, packages)]
    if missing:
        raise BadInput(
            f"{what} needs {', '.join(missing)}, which {python} does not have",
            hint=f"`{python} -m pip install {' '.join(missing)}`, or give another interpreter with --python PATH",
        )
