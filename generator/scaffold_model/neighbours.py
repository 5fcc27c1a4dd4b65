"""Two changes that only stand next to each other, which git takes for a conflict.

Git asks a person as soon as two changes touch. Where one side has merely added lines above or below lines that the other
one has changed, or both have added whole functions and classes of different names at one place, there is nothing to ask:

    yours                         base              scaffold
    A model that paints.          <!-- TODO -->     <img alt="LoRA">
                                                    <!-- TODO -->

gives the image and then the sentence. Nor is there anything to ask where the scaffold only words a TODO anew that the
contributor has done.
"""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Sequence

#: No line of a text looks like a marker of this size.
MARKER_SIZE = 61
_HUNK = re.compile(
    r"^<{61}[^\n]*\n(?P<ours>.*?)^\|{61}[^\n]*\n(?P<base>.*?)^={61}\n(?P<theirs>.*?)^>{61}[^\n]*\n",
    re.MULTILINE | re.DOTALL,
)
_BODY = re.compile(r"(?P<lead>\n*)(?P<body>.*?\n)(?P<trail>\n*)", re.DOTALL)
#: A comment of Markdown on one line, or one of Python.
_TODO = re.compile(r"<!-- TODO\([^\n]*-->\n| *# TODO\([^\n]*\n(?: *# [^\n]*\n)*")
_DEFINITIONS = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def settled(merged: str) -> str | None:
    """A merge in git's diff3 style with markers of ``MARKER_SIZE``, without them; None where two changes contradict.

    Args:
        merged: The text with its conflicts.
    """
    parts, start = [], 0
    for hunk in _HUNK.finditer(merged):
        text = _settled_hunk(hunk["ours"], hunk["base"], hunk["theirs"])
        if text is None:
            return None
        parts += [merged[start : hunk.start()], text]
        start = hunk.end()
    return "".join([*parts, merged[start:]])


def _settled_hunk(ours: str, base: str, theirs: str) -> str | None:
    if _is_todo(base) and _is_todo(theirs) and "TODO(" not in ours:
        return ours
    if base.strip():
        found = _beside(ours, base, theirs)
        return _beside(theirs, base, ours) if found is None else found
    return None if base else _both(ours, theirs)


def _is_todo(text: str) -> bool:
    return bool(_TODO.fullmatch(text))


def _beside(changed: str, base: str, added: str) -> str | None:
    """One side has changed ``base``, and the other one has added whole lines above or below it."""
    lines, old = added.splitlines(keepends=True), base.splitlines(keepends=True)
    if lines[-len(old) :] == old:
        return "".join(lines[: -len(old)]) + changed
    if lines[: len(old)] == old:
        return changed + "".join(lines[len(old) :])
    return None


def _both(ours: str, theirs: str) -> str | None:
    """Both sides have added definitions, in the same column and between the same blank lines."""
    first, second = _BODY.fullmatch(ours), _BODY.fullmatch(theirs)
    if not first or not second or (first["lead"], first["trail"]) != (second["lead"], second["trail"]):
        return None
    names = [_defined(side["body"]) for side in (first, second)]
    columns = [len(side["body"]) - len(side["body"].lstrip(" ")) for side in (first, second)]
    if not names[0] or not names[1] or set(names[0]) & set(names[1]) or columns[0] != columns[1]:
        return None
    between = "\n" if columns[0] else "\n\n"
    return first["lead"] + first["body"] + between + second["body"] + second["trail"]


def _defined(body: str) -> Sequence[str]:
    """The names of the definitions that a text consists of; empty when it holds anything else."""
    try:
        found = ast.parse(textwrap.dedent(body)).body
    except SyntaxError:
        return ()
    names = [each.name for each in found if isinstance(each, _DEFINITIONS)]
    return names if len(names) == len(found) else ()
