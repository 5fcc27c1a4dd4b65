"""Plants mistakes and scores what `parity` says of them; run by the Python with torch, with the diffusers of a checkout.

    python planting.py joint|cross [NAME ...]

prints the table as JSON.
"""

from __future__ import annotations

import importlib
import inspect
import json
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import plants
import torch

from scaffold_model.parity.running import compare

HERE = Path(__file__).parent
TABLES = {"joint": plants.JOINT, "cross": plants.CROSS}


def plant(owner: Any, name: str, texts: Any) -> Callable[[], None]:
    """Put an edited copy of a function in its place, compiled from its text; what is returned undoes it."""
    before = vars(owner)[name]
    function = inspect.unwrap(before)
    lines = textwrap.dedent(inspect.getsource(function)).splitlines()
    begin = next(index for index, line in enumerate(lines) if line.startswith("def "))
    source = "\n".join(lines[begin:]) + "\n"
    for old, new in texts:
        assert old in source, f"{name} has changed: {old!r} is not in it"
        source = source.replace(old, new)
    names: dict[str, Any] = {}
    if "super()" in source:
        source = source.replace("super()", "super(_planted_in, self)")
        function.__globals__["_planted_in"] = owner
    exec(compile(source, f"<planted {name}>", "exec"), function.__globals__, names)
    after = names[name]
    if before is not function and name == "__init__":
        from diffusers.configuration_utils import register_to_config

        after = register_to_config(after)
    setattr(owner, name, after)
    return lambda: setattr(owner, name, before)


def score(kind: str, mistake: dict[str, Any]) -> dict[str, Any]:
    """What `parity` says of one mistake."""
    undo = []
    for where, name, texts in mistake["edits"]:
        module, _, attribute = where.partition(":")
        owner = importlib.import_module(module)
        undo.append(plant(getattr(owner, attribute) if attribute else owner, name, texts))
    harness_of = compare.load_harness

    def load(path: Path) -> Any:
        harness = harness_of(path)
        module = harness.module
        convert, build = module.convert, module.build_target
        if "convert" in mistake:
            module.convert = lambda state: mistake["convert"](convert(state))
        if "target" in mistake:
            module.build_target = lambda: mistake["target"](build())
        return harness

    compare.load_harness = load
    said: list[str] = []
    try:
        result = compare.main({"harness": str(HERE / f"{kind}_twin.py"), "steps": 0}, said.append)
    finally:
        compare.load_harness = harness_of
        for each in reversed(undo):
            each()
    found = result["first_divergence"] or {"target_module": None, "causes": []}
    causes = [cause["tag"] for cause in found["causes"]]
    return {
        "mistake": mistake["name"],
        "port": kind,
        "tag": mistake["tag"],
        "expected": mistake["modules"],
        "named": found["target_module"],
        "causes": causes,
        "max_diff": result["max_diff"],
        "after": found["causes"][0]["max_diff_after"] if causes else None,
        "unmade": [line for line in said if "can not be made" in line],
    }


def main() -> None:
    torch.set_num_threads(1)
    kind, *names = sys.argv[1:]
    table = [each for each in TABLES[kind] if not names or each["name"] in names]
    output = sys.stdout
    sys.stdout = sys.stderr
    rows = []
    for mistake in table:
        rows.append(score(kind, mistake))
        print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    json.dump(rows, output)


if __name__ == "__main__":
    main()
