"""Started by `launch.run` as a script: loads this folder as the package ``scaffold_model_parity`` and runs one module.

Only this folder is loaded: were the folder around it put on the path of the other Python, everything that is installed
beside scaffold-model would come along.

Standard output carries one JSON object a line, ``{"progress": sentence}``. Whatever the reference or diffusers print
goes to standard error, which is kept as the log.
"""

from __future__ import annotations

import gc
import importlib
import importlib.util
import json
import os
import sys
import traceback
from pathlib import Path
from typing import Any

PACKAGE = "scaffold_model_parity"


def load_package(folder: Path) -> None:
    """Make ``folder`` importable as `PACKAGE`."""
    spec = importlib.util.spec_from_file_location(
        PACKAGE, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    assert spec is not None
    assert spec.loader is not None
    package = importlib.util.module_from_spec(spec)
    sys.modules[PACKAGE] = package
    spec.loader.exec_module(package)


def main(request_path: Path) -> None:
    asked: dict[str, Any] = json.loads(request_path.read_text(encoding="utf-8"))
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    # Python puts the folder of the script first on the path, where its modules would pass for top-level ones.
    sys.path[:] = [*asked["paths"], *(entry for entry in sys.path[1:] if entry)]
    sys.dont_write_bytecode = True
    # Importing torch and diffusers makes a million objects, none of which is garbage: looking for some takes a fifth.
    gc.set_threshold(50_000)

    def progress(sentence: str) -> None:
        print(json.dumps({"progress": sentence}), file=channel, flush=True)

    load_package(Path(__file__).resolve().parent)
    errors = importlib.import_module(f"{PACKAGE}.errors")
    try:
        module = importlib.import_module(f"{PACKAGE}.{asked['module']}")
        answer = {"result": module.main(asked["request"], progress)}
    except errors.RunningError as error:
        traceback.print_exc()
        answer = {"error": {"message": error.message, "path": error.path, "hint": error.hint}}
    except MemoryError:
        traceback.print_exc()
        answer = {"error": {"message": "the memory of this machine does not suffice", "path": None, "hint": None}}
    Path(asked["answer"]).write_text(json.dumps(answer), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
