"""Write ``examples/`` anew: ``make examples``; a test compares what this would write with what is committed.

Each example holds the answers, the tree, the generated files *before* their ``# Copied from`` stubs are filled (so that no
text of diffusers is committed), and the lines that registration adds, for one pinned commit of diffusers.
"""

from __future__ import annotations

import argparse
import difflib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import yaml

from scaffold_model.checkout import head
from scaffold_model.preflight import fitted_spec
from scaffold_model.render import render
from scaffold_model.scaffold import create, formatted
from scaffold_model.snapshot import Snapshot

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "examples"
PINNED = (EXAMPLES / "diffusers-commit").read_text().strip()


def example(answers: dict[str, object], clone: Path) -> dict[str, str]:
    """The files of one example, by path below its folder."""
    snapshot = Snapshot(clone)
    stand = head(clone)
    spec = fitted_spec(answers, snapshot, stand)
    rendered = render(spec.answers())
    plan = create(spec, snapshot, stand, rendered)
    files = {
        "answers.yml": yaml.safe_dump(answers, sort_keys=False),
        "tree.txt": tree([new.path for new in plan.new_files]),
    }
    shown = {path: text for path, text in rendered.items() if spec.owns(path)}
    for path, text in {**shown, **formatted(spec, shown, None)}.items():
        files[f"files/{path}"] = text
    for edit in plan.edits:
        added = [
            line[1:]
            for line in difflib.unified_diff(edit.before.splitlines(), edit.after.splitlines(), n=0, lineterm="")
            if line.startswith("+") and not line.startswith("+++")
        ]
        if edit.path.endswith("lora_pipeline.py"):
            # The mixin's bodies are text of diffusers; its own lines are those of the headers and the class statement.
            added = [line for line in added if line.lstrip().startswith(("class ", "# Copied from"))]
        files[f"added/{edit.path}.txt"] = "".join(line + "\n" for line in added)
    return files


def tree(paths: list[str]) -> str:
    """One path a line, sorted."""
    return "".join(path + "\n" for path in sorted(paths))


def main() -> None:
    """Regenerate every example from the answers that are committed with it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--checkout", type=Path, default=None, help="a clone of diffusers that holds the pinned commit"
    )
    arguments = parser.parse_args()
    source = arguments.checkout or Path(
        os.environ.get("DIFFUSERS_CHECKOUT", Path.home() / ".cache/scaffold-model/diffusers")
    )
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "diffusers"
        subprocess.run(["git", "clone", "--quiet", "--no-checkout", str(source), str(clone)], check=True)
        subprocess.run(["git", "-C", str(clone), "checkout", "--quiet", "--detach", PINNED], check=True)
        for answers in sorted(EXAMPLES.glob("*/answers.yml")):
            files = example(yaml.safe_load(answers.read_text()), clone)
            for old in ("files", "added"):
                shutil.rmtree(answers.parent / old, ignore_errors=True)
            for path, text in files.items():
                target = answers.parent / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(text.encode("utf-8"))
            print(f"{answers.parent.relative_to(ROOT)}: {len(files)} files")


if __name__ == "__main__":
    main()
