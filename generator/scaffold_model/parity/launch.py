"""Runs a module of `running` in the Python that has torch, and brings its result back."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ..errors import BadInput, ScaffoldError
from ..pythons import require_modules, subprocess_env

RUNNING = Path(__file__).with_name("running")

#: What every running module imports, with the package that installs it.
PACKAGES = {"torch": "torch", "safetensors": "safetensors", "numpy": "numpy"}

Progress = Callable[[str], None]


class RunFailed(ScaffoldError):
    """The running half ended with an error that it did not foresee."""


def run(
    python: str,
    checkout: Path | None,
    module: str,
    request: dict[str, Any],
    progress: Progress,
    *,
    paths: Sequence[Path] = (),
    log: Path | None = None,
) -> dict[str, Any]:
    """Run ``running.<module>.main(request, progress)`` in another Python.

    Args:
        python: The interpreter.
        checkout: The checkout whose diffusers is used; without one the diffusers that ``python`` has.
        module: The module's name below `running`.
        request: Its input, as JSON.
        progress: Is told of each step.
        paths: Folders to put on the path, such as that of the reference.
        log: The file that keeps what was printed, where the run fails; by default it is not kept.

    Returns:
        Its result, as JSON.

    Raises:
        BadInput: A package is missing, or the running half says what the user can mend.
        RunFailed: It ended in another way.
    """
    needed = PACKAGES if checkout is not None else {**PACKAGES, "diffusers": "diffusers"}
    require_modules(python, needed, f"`{module}`")
    with tempfile.TemporaryDirectory(prefix="scaffold-model-run-") as folder:
        answer, asked, output = Path(folder, "answer.json"), Path(folder, "request.json"), Path(folder, "log")
        whole = {
            "module": module,
            "request": request,
            "answer": str(answer),
            "paths": [str(path.absolute()) for path in paths],
        }
        asked.write_text(json.dumps(whole), encoding="utf-8")
        environment = _environment(python, checkout)
        with (
            output.open("wb") as stderr,
            subprocess.Popen(
                [python, str(RUNNING / "bootstrap.py"), str(asked)],
                env=environment,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                encoding="utf-8",
            ) as process,
        ):
            assert process.stdout is not None
            try:
                for line in process.stdout:
                    progress(json.loads(line)["progress"])
                code = process.wait()
            except BaseException:
                process.kill()
                raise
        said = output.read_text(encoding="utf-8", errors="replace")
        found = json.loads(answer.read_text(encoding="utf-8")) if answer.is_file() else {}
    if log is not None:
        log.unlink(missing_ok=True)
        if "result" not in found and log.parent.is_dir():
            log.write_text(said, encoding="utf-8")
    if "error" in found:
        error = found["error"]
        raise BadInput(error["message"], path=error["path"], hint=error["hint"])
    if "result" not in found:
        lines = [line.strip() for line in said.splitlines() if line.strip()]
        reason = lines[-1] if lines else _exit(code)
        raise RunFailed(
            f"{module} failed: {reason}", hint=f"the whole output is in {log}" if log else "please report it"
        )
    result: dict[str, Any] = found["result"]
    return result


def _exit(code: int) -> str:
    return "it was killed, as a system does that runs out of memory" if code == -9 else f"exit code {code}"


def _environment(python: str, checkout: Path | None) -> dict[str, str]:
    """The environment of the subprocess: the checkout's diffusers first, or that of the interpreter as it is."""
    extra = {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    if checkout is not None:
        return subprocess_env(python, checkout, extra)
    environment = {key: value for key, value in os.environ.items() if key not in ("VIRTUAL_ENV", "PYTHONHOME")}
    return {**environment, "PYTHONUTF8": "1", "PYTHONDONTWRITEBYTECODE": "1", **extra}
