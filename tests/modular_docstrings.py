"""The docstrings that a checkout generates for modular pipelines: ``modular_docstrings.py REQUEST``.

Runs in the Python with torch, from the root of a checkout, where the pipelines are already. The request is a JSON file:
the names of the pipelines, the classes to stub by the part of diffusers that they are imported from, and the folder to
write to, where every marked docstring is as ``utils/modular_auto_docstring.py`` writes it. Formatters are not run: the
tool starts three of them for each file, which would take minutes here.
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path


def main(names: list[str], stubs: dict[str, list[str]], out: str) -> None:
    sys.path[:0] = ["src", "utils"]
    tool = importlib.import_module("modular_auto_docstring")
    for part, classes in stubs.items():
        for name in classes:
            setattr(importlib.import_module(f"diffusers.{part}"), name, type(name, (), {}))
    for name in names:
        folder = Path(out, name)
        folder.mkdir(parents=True)
        for path in sorted(Path("src/diffusers/modular_pipelines", name).glob("*.py")):
            marked = tool.find_auto_docstring_classes(str(path))
            lines, updated = tool.build_updated_lines(str(path), marked)
            assert len(updated) == len(marked), path
            (folder / path.name).write_text("".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main(**json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
