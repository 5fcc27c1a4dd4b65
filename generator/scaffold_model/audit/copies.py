"""``# Copied from`` blocks: stubs that nothing filled, and copies that no longer match their source.

The comparison is that of the checkout's ``utils/check_copies.py``: the same lines, the same renames, and the same
formatter after a rename, but in memory, and with one process of the formatter for all blocks that need it.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ..copied import unfilled
from ..copied.headers import HEADER, Header
from ..copied.source import Missing, find
from ..errors import BrokenFile
from ..registries.base import ROOT
from .problem import Problem, problem
from .view import View

_LAST_LINES = re.compile(r"^\s*\)(\s*->.*:|:)\s*$")
_ELLIPSIS = (": ...\n", "    ...\n")
Ruff = Callable[[], str]


def check_stubs(view: View, paths: Iterable[str]) -> Iterator[Problem]:
    """Stubs that still wait for their text; only files that can have one are parsed."""
    for path in paths:
        text = view.text(path)
        if "Copied from" not in text or not any(each in text for each in _ELLIPSIS):
            continue
        try:
            stubs = unfilled(text, path)
        except BrokenFile:
            continue
        for line, name in stubs:
            message = f"the `# Copied from` stub of {name} is not filled: run `scaffold-model complete`"
            yield problem("copied_from", name, path, line, message, "error")


@dataclass(frozen=True)
class _Block:
    """One copy: what stands there, and what should."""

    path: str
    line: int
    name: str
    definition: str
    observed: str
    expected: str
    renamed: bool


def check_copies(view: View, paths: Iterable[str], ruff: Ruff) -> Iterator[Problem]:
    """The copies in some files that do not match their sources."""
    differing: list[_Block] = []
    for path in paths:
        for found in _blocks(view, path):
            if isinstance(found, Problem):
                yield found
            elif found.observed != found.expected:
                differing.append(found)
    formatted = _formatted([block for block in differing if block.renamed], view, ruff)
    for block in differing:
        if block.renamed and formatted[block] == block.observed:
            continue
        message = f"the copy no longer matches diffusers.{block.name}: run `make fix-copies`, or drop the header"
        yield problem("copied_from", block.name, block.path, block.line, message, "error")


def _blocks(view: View, path: str) -> Iterator[_Block | Problem]:
    text = view.text(path)
    if "Copied from" not in text:
        return
    lines = [f"{line}\n" for line in text.split("\n")]
    lines[-1] = lines[-1].removesuffix("\n")
    index = 0
    while index < len(lines):
        match = HEADER.search(lines[index].rstrip("\n")) if "Copied from" in lines[index] else None
        if match is None:
            index += 1
            continue
        header = Header(match[2], match[3].rstrip())
        line = index + 1
        try:
            source = find(header.source, view.snapshot)
        except (Missing, BrokenFile) as error:
            message = f"the header names no source: {str(error).removeprefix('this checkout ')}"
            yield problem("copied_from", header.source, path, line, message, "error")
            index += 1
            continue
        inner = re.match(r"\s*", source.rest.lstrip("\n"))
        indent = inner[0] if inner else ""
        # The line of the definition is not compared, unless the header stands inside the block.
        start = index + 1 if match[1] == indent else index + 2
        end = start
        keep = True
        while end < len(lines) and keep:
            end += 1
            if end >= len(lines):
                break
            keep = _continues(lines[end], indent) and re.search(f"^{indent}# End copy", lines[end]) is None
        while end > start and len(lines[end - 1]) <= 1:
            end -= 1
        observed = "".join(lines[start:end])
        yield _Block(
            path,
            line,
            header.source,
            lines[start - 1] if start - 1 < len(lines) else "",
            observed,
            header.rename(source.rest) if header.renames else source.rest,
            bool(header.renames),
        )
        index = max(end, index + 1)


def _continues(line: str, indent: str) -> bool:
    return line.startswith(indent) or len(line) <= 1 or _LAST_LINES.search(line) is not None


_WRAP = "class Bla:\n"


def _formatted(blocks: list[_Block], view: View, ruff: Ruff) -> dict[_Block, str]:
    """What the formatter makes of the expected texts, each below its own definition line."""
    if not blocks:
        return {}
    result: dict[_Block, str] = {}
    with tempfile.TemporaryDirectory(prefix="scaffold-model-") as folder:
        root = Path(folder)
        settings = f"line-length = {view.conventions.line_length}\n"
        (root / "ruff.toml").write_text(settings, encoding="utf-8")
        for number, block in enumerate(blocks):
            wrap = _WRAP if block.definition.startswith(" ") else ""
            (root / f"b{number}.py").write_bytes((wrap + block.definition + block.expected).encode("utf-8"))
        command = [ruff(), "format", "--no-cache", "--quiet", "--config", str(root / "ruff.toml"), str(root)]
        # A block that is no valid Python stays as it is, and then differs: that is what is to be reported.
        subprocess.run(command, capture_output=True, check=False)
        for number, block in enumerate(blocks):
            text = (root / f"b{number}.py").read_bytes().decode("utf-8")
            wrap = _WRAP if block.definition.startswith(" ") else ""
            result[block] = text[len(wrap) + len(block.definition) :]
    return result


def dependants(view: View, changed: Iterable[str]) -> list[str]:
    """The changed files of the library, and those that copy from them."""
    mine = {path for path in changed if path.startswith(f"{ROOT}/") and path.endswith(".py")}
    modules = [path[len(ROOT) + 1 :].removesuffix(".py").replace("/", ".") for path in mine]
    if not modules:
        return []
    copied = re.compile(r"Copied from\s+diffusers\.(?:" + "|".join(map(re.escape, modules)) + r")\.")
    return sorted(mine | {path for path in view.snapshot.walk(ROOT) if copied.search(view.text(path))})
