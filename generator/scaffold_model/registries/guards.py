"""The ``try`` statements of lazy ``__init__`` modules: a new guard is a copy of a neighbour's, below it.

What a checkout writes around a guard (comments, blank lines, ``_dummy_objects``) has changed over the years and differs from
module to module, so that the neighbour's text is kept but for the backends, the placeholders and the registrations.
"""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Sequence

from ..code.splice import with_import
from ..code.syntax import last_line, parse
from ..code.text import get_lines, insert_before
from .init_blocks import Suite

_UTILS = re.compile(r"^from (\.+utils) import ", re.MULTILINE)
_PLACEHOLDERS = re.compile(r"\bdummy_\w+_objects\b")
_LIST = re.compile(r'^( *)(_import_structure\["[\w.]+"\] = \[)\s*(name for [^\n]*?)\s*\]$', re.MULTILINE)


def placeholders(backends: Sequence[str]) -> str:
    """The module that stands in for what a backend group guards."""
    return f"dummy_{'pt' if tuple(backends) == ('torch',) else '_and_'.join(backends)}_objects"


def statement_of(source: str, suite: Suite) -> ast.Try | None:
    """The ``try`` statement whose ``else`` a suite is; None for a suite of another kind."""
    first = suite.lines[0]
    tries = (node for node in ast.walk(parse(source)) if isinstance(node, ast.Try))
    return next((node for node in tries if node.orelse and node.orelse[0].lineno == first), None)


def below(
    source: str,
    neighbour: Suite,
    backends: Sequence[str],
    registration: str,
    *,
    dummies: str,
    width: int,
    each: bool = False,
) -> str | None:
    """The module with a further guard below a neighbour's.

    Args:
        source: The module.
        neighbour: What the neighbour guards.
        backends: What the new one asks for.
        registration: What it guards, in lines of any common indentation.
        dummies: The module that stands in for that.
        width: The longest line that the formatter leaves alone.
        each: Whether all backends have to be missing for the placeholders, as quantizers have it, and not one of them.

    Returns:
        The module; None where the neighbour is no ``try`` statement with one test.
    """
    statement = statement_of(source, neighbour)
    if statement is None or len(statement.body) != 1 or not isinstance(statement.body[0], ast.If):
        return None
    test = statement.body[0]
    indent = " " * statement.col_offset
    # Between the test and the registrations are the two lines of the exception, the placeholders and ``else``.
    middle = get_lines(source, test.body[0].lineno, statement.orelse[0].lineno - 1)
    middle = _LIST.sub(lambda found: _list(found, width), _PLACEHOLDERS.sub(dummies, middle))
    body = textwrap.indent(textwrap.dedent(registration), f"{indent}    ")
    text = "\n".join([f"{indent}try:", *_test(backends, f"{indent}    ", each, width), middle, body])
    edited = insert_before(source, last_line(statement) + 1, f"\n{text}")
    found = _UTILS.search(source)
    for backend in backends:
        edited = with_import(edited, found[1] if found else ".utils", f"is_{backend}_available")
    return edited


def _list(found: re.Match[str], width: int) -> str:
    """The names of the placeholders, on one line where there is room."""
    indent, target, names = found.groups()
    whole = f"{indent}{target}{names}]"
    return whole if len(whole) <= width else f"{indent}{target}\n{indent}    {names}\n{indent}]"


def _test(backends: Sequence[str], indent: str, each: bool, width: int) -> list[str]:
    """The ``if`` that asks for the backends, broken where it gets too long."""
    asked = [f"{'not ' if each else ''}is_{backend}_available()" for backend in backends]
    joined = " and ".join(asked)
    if not each:
        joined = f"not ({joined})" if len(asked) > 1 else f"not {joined}"
    whole = f"{indent}if {joined}:"
    if len(whole) <= width:
        return [whole]
    rows = [f"{indent}    {asked[0]}", *(f"{indent}    and {one}" for one in asked[1:])]
    return [f"{indent}if {'' if each else 'not '}(", *rows, f"{indent}):"]
