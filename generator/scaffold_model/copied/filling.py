"""Filling: stub by stub, as text splices that leave everything else byte for byte."""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Callable, Collection
from dataclasses import dataclass

from ..errors import CopySourceError
from ..snapshot import Snapshot
from .headers import Header, Stub, parse, stubs
from .imports import Needs
from .names import bindings, dotted
from .source import Missing, Source, find, locate

_Refuse = Callable[[str, str], CopySourceError]
_FIRST_LINE = re.compile(r"^(\s*(?:def|class)\s+)(\w+)(.*\n)$", re.DOTALL)


def fill(text: str, path: str, snapshot: Snapshot, *, own: Collection[str], bound: Collection[str] = ()) -> str:
    """``text`` with every stub filled from the source that its header names.

    A header over anything but a stub, and a stub without a header, are left alone; so a filled text comes back as it
    is. The result is valid Python; :func:`~scaffold_model.formatting.format_python` sorts the added imports, removes
    those that nothing uses, and wraps what a rename made too long.

    Args:
        text: A Python file.
        path: Where it lies, relative to the checkout: relative imports are rewritten for that place.
        snapshot: The checkout.
        own: Paths of the model's own files, which can not be a source.
        bound: Names that the file has although ``text`` does not show it.

    Raises:
        CopySourceError: A source that this checkout lacks, or a block that would not work where it is to stand.
        BrokenFile: ``text``, or the source, does not parse.
    """
    if "Copied from" not in text:
        return text
    newline = "\r\n" if "\r\n" in text else "\n"
    text = text.replace("\r\n", "\n")
    tree = parse(text, path)
    lines = text.split("\n")
    found = stubs(tree, lines)
    if not found:
        return text.replace("\n", newline)
    needs = Needs(path, set(bindings(tree.body)) | set(bound))
    blocks = [_block(stub, path, snapshot, own) for stub in found]
    for stub, block in zip(found, blocks, strict=True):
        needs.add(block.code, block.source.module, stub.qualname, method=bool(stub.indent))
    for stub, block in reversed(list(zip(found, blocks, strict=True))):
        # The decorators of a misplaced header would be lost here, but such a stub was refused.
        end = stub.node.end_lineno or stub.node.lineno
        lines[stub.first : end] = block.text.removesuffix("\n").split("\n")
    if needs.imports or needs.statements:
        # The splices above lie below the imports, so the first tree still tells where those end.
        added = needs.imports + [line for each in needs.statements for line in ("", "", *each.split("\n"))]
        index = _end_of_imports(tree, lines)
        lines[index:index] = [*added, ""] if needs.statements else added
    return newline.join(lines)


@dataclass(frozen=True)
class _Block:
    """A filled block: with its header and indentation, and as bare code for the analysis of its names."""

    text: str
    code: str
    source: Source


def _block(stub: Stub, path: str, snapshot: Snapshot, own: Collection[str]) -> _Block:
    def refuse(reason: str, hint: str) -> CopySourceError:
        return CopySourceError(f"{stub.qualname} can not be copied: {reason}", path=path, hint=hint)

    if stub.misplaced:
        raise refuse(
            "its header stands above the decorators", "move the header to the line right above the definition"
        )
    header, source = _first_source(stub, path, snapshot, own)
    split = _FIRST_LINE.match(source.first)
    kind = "class" if isinstance(stub.node, ast.ClassDef) else "def"
    name = f"diffusers.{header.source}"
    if split is None or split.group(1).split() != [kind] or isinstance(stub.node, ast.AsyncFunctionDef):
        raise refuse(f"{name} is not a {kind}", "mend the header or the stub")
    if len(source.first) - len(source.first.lstrip()) != len(stub.indent):
        raise refuse(
            f"{name} stands at another indentation, which check_copies.py can not compare",
            "copy a method to a method and a function to a function",
        )
    if not source.rest.strip():
        raise refuse(f"the whole of {name} stands on one line", "write this block by hand")
    _check_decorators(stub, header, source, name, refuse)
    # check_copies.py leaves the first line alone, so the stub's name stays; the rest of the line follows the renames.
    definition = split.group(1) + stub.node.name + header.rename(split.group(3)) + header.rename(source.rest)
    code = textwrap.dedent(definition)
    try:
        ast.parse(code)
    except SyntaxError:
        # A string whose lines begin in the first column defeats dedent: put the block into a block instead.
        code = f"if True:\n{definition}" if stub.indent else code
        try:
            ast.parse(code)
        except SyntaxError as error:
            raise refuse(
                f"after the renames of the header it is not valid Python ({error.msg})", "mend the renames"
            ) from None
    return _Block(f"{header.comment(stub.indent)}\n{definition}", code, source)


def _first_source(stub: Stub, path: str, snapshot: Snapshot, own: Collection[str]) -> tuple[Header, Source]:
    reasons = []
    for header in stub.headers:
        try:
            place = locate(header.source, snapshot)[0]
            if place in own:
                raise CopySourceError(
                    f"{stub.qualname} can not be copied: its source {place} is one of the model's own files",
                    path=path,
                    hint="name a source outside the model, or write the block out",
                )
            return header, find(header.source, snapshot)
        except Missing as missing:
            reasons.append(str(missing))
    raise CopySourceError(
        f"{stub.qualname} can not be copied: {', and '.join(reasons)}",
        path=path,
        hint="this checkout is older or newer than this scaffold-model knows: update whichever is older, or report it",
    )


def _check_decorators(stub: Stub, header: Header, source: Source, name: str, refuse: _Refuse) -> None:
    """Decorators are not copied, as check_copies.py does not compare them; but without one the copy means something else."""
    have = {_decorator(node) for node in stub.node.decorator_list}
    for node in source.node.decorator_list:
        wanted = header.rename(_decorator(node))
        if wanted not in have and _decorator(node) not in have:
            raise refuse(f"{name} is decorated with @{wanted}, and the stub is not", f"put @{wanted} above the header")


def _decorator(node: ast.expr) -> str:
    called = node.func if isinstance(node, ast.Call) else node
    return dotted(called) or ast.unparse(called)


def _end_of_imports(tree: ast.Module, lines: list[str]) -> int:
    """The index of the line below the first run of imports, or where the first import belongs."""
    index: int | None = None
    for position, node in enumerate(tree.body):
        if isinstance(node, ast.Import | ast.ImportFrom) or (position == 0 and _is_docstring(node)):
            index = node.end_lineno
        else:
            break
    if index is not None:
        return index
    index = 0
    while index < len(lines) and lines[index].startswith("#"):
        index += 1
    # Comments that run into the code belong to the code.
    return index if index < len(lines) and not lines[index].strip() else 0


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
