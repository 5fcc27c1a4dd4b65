"""Mistakes planted one at a time into two ports of diffusers, a joint and a cross-attention one: `parity` names the module
and the cause. The ports are diffusers' own, at the pinned commit, beside references of our own (`running/planted/`).
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from conftest import QUICKLY

HERE = Path(__file__).parent
PLANTED = HERE / "running" / "planted"

#: Neither port has a mask, so there is none to invert; `running/test_causes.py` does that with an attention of its own.
ELSEWHERE = {"mask-polarity"}
_rows: list[dict[str, Any]] = []


def _table(rows: list[dict[str, Any]]) -> str:
    lines = [f"{'port':6} {'mistake':22} {'cause':20} {'named':44} causes"]
    for row in rows:
        marks = (
            "" if row["named"] in row["expected"] else " (!)",
            "" if row["causes"][:1] == [row["tag"]] else " (!)",
        )
        name = row["named"] if row["named"] else "the model's own forward" if row["named"] == "" else "nothing"
        causes = ", ".join(row["causes"])
        lines.append(f"{row['port']:6} {row['mistake']:22} {row['tag']:20} {name + marks[0]:44} {causes}{marks[1]}")
    return "\n".join(lines)


@pytest.mark.torch
@pytest.mark.checkout
@pytest.mark.parametrize("port", ["joint", "cross"])
def test_planted(port: str, torch_python: str, pinned: Path) -> None:
    paths = [str(HERE.parent / "generator"), str(PLANTED), str(pinned / "src")]
    done = subprocess.run(
        [torch_python, "-c", QUICKLY, "planting.py", port],
        cwd=PLANTED,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(paths),
            "PYTHONDONTWRITEBYTECODE": "1",
            "SCAFFOLD_MODEL_TRACEBACK": "1",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    rows = json.loads(done.stdout)
    _rows.extend(rows)
    table = _table(rows)
    print(table)
    assert all(row["max_diff"] >= 1e-3 for row in rows), "every mistake shows"
    named = sum(row["named"] in row["expected"] for row in rows)
    first = sum(row["causes"][:1] == [row["tag"]] for row in rows)
    assert named >= 0.95 * len(rows), table
    assert first >= 0.75 * len(rows), table


@pytest.mark.torch
def test_every_tag_is_planted() -> None:
    from ast import literal_eval, parse, walk

    text = (HERE.parent / "generator/scaffold_model/parity/running/causes/base.py").read_text(encoding="utf-8")
    assigned = next(
        node for node in walk(parse(text)) if getattr(getattr(node, "targets", [None])[0], "id", "") == "TAGS"
    )
    tags = set(literal_eval(assigned.value))  # type: ignore[attr-defined]
    source = (PLANTED / "plants.py").read_text(encoding="utf-8")
    assert {tag for tag in tags if f'"{tag}"' not in source} == ELSEWHERE
