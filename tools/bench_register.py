"""How long `scaffold-model register` takes when the registries are 1, 4 and 16 times as long.

The registries of a clone are made longer by listing every family again under new names, each defined in a stub, so
that nothing is stale; then one model, one pipeline and their pages are added, and the whole process is timed.

    python tools/bench_register.py CLONE [--runs 5] [--times 1 4 16]
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from scaffold_model.registries import init_reading
from scaffold_model.snapshot import Snapshot

ROOT = "src/diffusers"
INITS = [f"{ROOT}/{part}__init__.py" for part in ("", "models/", "schedulers/", "pipelines/", "modular_pipelines/")]
TOCTREE = "docs/source/en/_toctree.yml"
MAPPING = f"{ROOT}/modular_pipelines/modular_pipeline.py"
NEW = {
    f"{ROOT}/models/transformers/transformer_benchnew.py": "class BenchNewModel(ModelMixin):\n    pass\n",
    f"{ROOT}/pipelines/benchnew/pipeline_benchnew.py": "class BenchNewPipeline(DiffusionPipeline):\n    pass\n",
    f"{ROOT}/pipelines/benchnew/__init__.py": (
        'from x import y\n\n_import_structure = {"pipeline_benchnew": ["BenchNewPipeline"]}\n\n'
        "if TYPE_CHECKING:\n    from .pipeline_benchnew import BenchNewPipeline\n"
    ),
    "docs/source/en/api/models/benchnew.md": "# BenchNewModel\n\n[[autodoc]] BenchNewModel\n",
    "docs/source/en/api/pipelines/benchnew.md": "# BenchNew\n\n[[autodoc]] BenchNewPipeline\n",
}
MIXINS = {
    "models": "ModelMixin",
    "schedulers": "SchedulerMixin",
    "pipelines": "DiffusionPipeline",
    "modular_pipelines": "ModularPipeline",
}
_NAME = re.compile(r'^(\s+)("?)([A-Z]\w+)("?),$')
_KEY = re.compile(r'^(\s+_import_structure\[")([\w.]+)("\] = \[)("[^\]]+")(\])$')
_IMPORT = re.compile(r"^(\s+from \.)([\w.]+)( import )(\w+(?:, \w+)*)$")
_PAIR = re.compile(r'^(\s+\(")([\w.-]+)(", _create_default_map_fn\(")(\w+)("\)\),)$')
_LOCAL = re.compile(r"^(\s*- local: api/(?:models|pipelines|schedulers)/)(\S+)$")


def lengthened(text: str, times: int, copy: Callable[[str, str], str | None]) -> str:
    """The text with ``times - 1`` copies of every line that ``copy`` knows how to rename."""
    rows: list[str] = []
    for row in text.split("\n"):
        rows.append(row)
        copies = [copy(row, f"X{number}") for number in range(1, times)]
        rows.extend(found for found in copies if found is not None)
    return "\n".join(rows)


def renamed_row(row: str, suffix: str) -> str | None:
    """A row of an init or of the mapping under new names."""
    if match := _NAME.match(row):
        return f"{match[1]}{match[2]}{match[3]}{suffix}{match[4]},"
    for pattern in (_KEY, _IMPORT, _PAIR):
        if match := pattern.match(row):
            names = re.sub(r"\b([A-Z]\w+)\b", rf"\g<1>{suffix}", match[4])
            return f"{match[1]}{match[2]}{suffix.lower()}{match[3]}{names}{match[5] if pattern is not _IMPORT else ''}"
    return None


def lengthen(checkout: Path, times: int) -> None:
    """Make the registries of ``checkout`` longer."""
    root = (checkout / INITS[0]).read_text(encoding="utf-8")
    for path in [*INITS, MAPPING]:
        file = checkout / path
        file.write_text(lengthened(file.read_text(encoding="utf-8"), times, renamed_row), encoding="utf-8")
    for file in (checkout / ROOT / "utils").glob("dummy_*_objects.py"):
        head, *blocks = re.split(r"(?m)^(?=class )", file.read_text(encoding="utf-8"))
        copies = [[re.sub(r"^class (\w+)", rf"class \g<1>X{n}", b) for n in range(1, times)] for b in blocks]
        file.write_text(head + "".join(b + "".join(c) for b, c in zip(blocks, copies, strict=True)), encoding="utf-8")
    toctree, rows = checkout / TOCTREE, []
    lines = toctree.read_text(encoding="utf-8").split("\n")
    for number, row in enumerate(lines):
        rows.append(row)
        before = _LOCAL.match(lines[number - 1]) if number else None
        for copy in range(1, times) if before else ():
            page = checkout / "docs/source/en" / f"{before[1].split('local: ')[1]}{before[2]}x{copy}.md"  # type: ignore[index]
            page.parent.mkdir(parents=True, exist_ok=True)
            page.write_text("# Copy\n", encoding="utf-8")
            rows += [f"{before[0]}x{copy}", f"{row}X{copy}"]  # type: ignore[index]
    toctree.write_text("\n".join(rows), encoding="utf-8")
    exported = init_reading.listed(root, "structure")
    for area, mixin in MIXINS.items():
        # As in the registries, where functions have no copies.
        names = sorted({item.object for item in exported if item.key == area and item.object[0].isupper()})
        stubs = "".join(f"class {name}X{n}({mixin}):\n    pass\n\n\n" for name in names for n in range(1, times))
        (checkout / ROOT / area / "bench_stubs.py").write_text(
            f"class {mixin}:\n    pass\n\n\n{stubs}", encoding="utf-8"
        )


def timed(checkout: Path, runs: int) -> list[float]:
    """Seconds of each run of the whole process, each on the same state."""
    command = [sys.executable, "-m", "scaffold_model", "register", "--checkout", str(checkout)]
    # An installed package has its bytecode; the run that does not count writes it.
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    seconds: list[float] = []
    subprocess.run(["git", "-C", str(checkout), "add", "-A"], check=True)
    for _ in range(runs + 1):
        subprocess.run(["git", "-C", str(checkout), "checkout", "-q", "--", "."], check=True)
        start = time.perf_counter()
        done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
        seconds.append(time.perf_counter() - start)
        if "entries in" not in done.stdout:
            raise SystemExit(f"nothing was registered: {done.stdout}")
    return seconds[1:]


def reading(checkout: Path) -> float:
    """Seconds that nothing but reading takes: the sources, pages and registries that a run must look into."""
    start = time.perf_counter()
    snapshot = Snapshot(checkout)
    folders = [(f"{ROOT}/{area}", ".py") for area in (*MIXINS, "utils")]
    folders += [(f"docs/source/en/api/{area}", ".md") for area in MIXINS]
    for path in [INITS[0], TOCTREE, *(path for folder, suffix in folders for path in snapshot.walk(folder, suffix))]:
        snapshot.read(path)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0] if __doc__ else None)
    parser.add_argument("clone", type=Path)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--times", type=int, nargs="+", default=[1, 4, 16])
    options = parser.parse_args()
    for times in options.times:
        with tempfile.TemporaryDirectory() as folder:
            checkout = Path(folder) / "diffusers"
            subprocess.run(["git", "clone", "-q", str(options.clone), str(checkout)], check=True)
            lengthen(checkout, times)
            for path, text in NEW.items():
                (checkout / path).parent.mkdir(parents=True, exist_ok=True)
                (checkout / path).write_text(text, encoding="utf-8")
            seconds = timed(checkout, options.runs)
            size = sum((checkout / path).stat().st_size for path in [*INITS, TOCTREE]) // 1024
            shortest = min(reading(checkout) for _ in range(options.runs))
            print(
                f"{times:3}x  {size:6} KiB of registries  median {statistics.median(seconds):.2f} s  "
                f"min {min(seconds):.2f} s  reading alone {shortest:.2f} s"
            )


if __name__ == "__main__":
    main()
