"""Headers and stubs: what a template says about a block that is to be filled."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from ..errors import BrokenFile

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef

# The three patterns are the grammar of the checkout's utils/check_copies.py.
HEADER = re.compile(r"^(\s*)#\s*Copied from\s+diffusers\.(\S+\.\S+)\s*($|\S.*$)")
_RENAME = re.compile(r"^\s*(\S+)->(\S+)(\s+.*|$)")
# This one is ours; it never reaches a pull request.
_OLDER = re.compile(r"^\s*#\s*or, in an older checkout, from\s+diffusers\.(\S+\.\S+)\s*($|\S.*$)")


@dataclass(frozen=True)
class Header:
    """A source and its renames.

    Attributes:
        source: The dotted name without ``diffusers.``: ``pipelines.flux.pipeline_flux.calculate_shift``.
        renames: What follows it, ``with Flux->Foo``, or nothing.
    """

    source: str
    renames: str

    def comment(self, indent: str) -> str:
        """The header as a line, without its end."""
        return f"{indent}# Copied from diffusers.{self.source}{' ' if self.renames else ''}{self.renames}"

    def rename(self, code: str) -> str:
        """``code`` as check_copies.py expects it: regular expressions, unanchored, one after the other.

        ``with`` is eaten wherever it stands, as there: ``with_a->b`` renames ``_a``. A pattern with spaces around the
        arrow renames nothing.
        """
        for part in self.renames.replace("with", "").split(",") if self.renames else ():
            found = _RENAME.search(part)
            if found is None:
                continue
            old, new, option = found.groups()
            code = re.sub(old, new, code)
            if option.strip() == "all-casing":
                code = re.sub(old.lower(), new.lower(), code)
                code = re.sub(old.upper(), new.upper(), code)
        return code


@dataclass(frozen=True)
class Stub:
    """A header over a ``def`` or ``class`` whose body is ``...`` alone.

    Attributes:
        node: The definition.
        qualname: ``FooPipeline.prepare_latents``.
        headers: The sources in the order in which they are tried.
        first: Index of the header's line.
        indent: The white space before ``def``.
        misplaced: The header stands above the decorators, where check_copies.py would compare the wrong lines.
    """

    node: Definition
    qualname: str
    headers: tuple[Header, ...]
    first: int
    indent: str
    misplaced: bool


def parse(text: str, path: str) -> ast.Module:
    """The tree of a file.

    Raises:
        BrokenFile: It does not parse.
    """
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None)
        where = f" in line {line}" if line else ""
        raise BrokenFile(f"it is not valid Python{where}", path=path, hint="mend it and run again") from None


def is_stub(node: Definition) -> bool:
    """Whether the body is ``...`` and nothing else."""
    if len(node.body) != 1 or not isinstance(node.body[0], ast.Expr):
        return False
    value = node.body[0].value
    return isinstance(value, ast.Constant) and value.value is ...


def stubs(tree: ast.Module, lines: list[str]) -> list[Stub]:
    """The stubs of a file that have a header, from top to bottom."""
    return list(_stubs(tree.body, "", lines))


def _stubs(body: list[ast.stmt], prefix: str, lines: list[str]) -> Iterator[Stub]:
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            qualname = f"{prefix}{node.name}"
            if is_stub(node):
                stub = _with_header(node, qualname, lines)
                if stub:
                    yield stub
            elif isinstance(node, ast.ClassDef):
                yield from _stubs(node.body, f"{qualname}.", lines)
        elif isinstance(node, ast.If | ast.Try):
            for part in ("body", "orelse", "finalbody"):
                yield from _stubs(getattr(node, part, []), prefix, lines)


def _with_header(node: Definition, qualname: str, lines: list[str]) -> Stub | None:
    starts = [node.lineno - 1]
    if node.decorator_list:
        starts.append(node.decorator_list[0].lineno - 1)
    for start in starts:
        index = start - 1
        older: list[Header] = []
        while index >= 0 and (found := _OLDER.search(lines[index])):
            older.insert(0, Header(*found.groups()))
            index -= 1
        header = HEADER.search(lines[index]) if index >= 0 else None
        if header:
            first = Header(header.group(2), header.group(3).rstrip())
            headers = (first, *(Header(each.source, each.renames.rstrip()) for each in older))
            definition = lines[node.lineno - 1]
            indent = definition[: len(definition) - len(definition.lstrip())]
            return Stub(node, qualname, headers, index, indent, start != node.lineno - 1)
    return None


def unfilled(text: str, path: str | None = None) -> list[tuple[int, str]]:
    """The stubs that remain in a file, as ``(line, qualified name)``.

    Raises:
        BrokenFile: The text does not parse.
    """
    if "Copied from" not in text:
        return []
    tree = parse(text, path or "the file")
    return [(stub.node.lineno, stub.qualname) for stub in stubs(tree, text.split("\n"))]
