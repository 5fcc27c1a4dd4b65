"""The task that Copier runs after a render: complete and register, or say how to, where scaffold-model is missing.

Runs with the Python of Copier and imports nothing but the standard library, since this file travels with the template.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys


def command() -> list[str] | None:
    """How to run scaffold-model here: beside Copier, or from PATH; None where it is not installed."""
    if importlib.util.find_spec("scaffold_model") is not None:
        return [sys.executable, "-m", "scaffold_model"]
    found = shutil.which("scaffold-model")
    return [found] if found else None


def main() -> int:
    """Finish the render in the current folder; the exit code goes to Copier, which fails with it."""
    operation, name = sys.argv[1:3]
    run = command()
    if run is None:
        if not os.path.isfile("src/diffusers/__init__.py"):
            # One of the two temporary renders of `copier update`: there is nothing to finish.
            return 0
        print(
            "scaffold-model is not installed here, so the new files are neither completed nor registered yet. Finish with:\n"
            f"  scaffold-model complete {name}\n"
            "  scaffold-model register",
            file=sys.stderr,
        )
        return 0
    return subprocess.run([*run, "complete", name, "--from-copier", operation], check=False).returncode


if __name__ == "__main__":
    raise SystemExit(main())
