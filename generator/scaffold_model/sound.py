"""Whether a file that has to be edited can be: no merge-conflict markers, no syntax error, and the statement to edit."""

from __future__ import annotations

import re
from functools import lru_cache

from .code.folding import fold
from .code.syntax import parse
from .errors import AnchorNotFound, BrokenFile
from .registries import dummy_objects
from .snapshot import Snapshot

# A page with plain words for a title, and behind it another item in the same column: nothing can be wrong with it.
_PAGE = re.compile(r"^( *)- local: [a-z][\w/.-]*\n\1  title: [A-Z][\w .+()/-]*\n(?=\1- local: )", re.MULTILINE)
_MARKERS = ("<<<<<<< ", ">>>>>>> ")


def check_markers(path: str, text: str) -> None:
    """Refuse a text that is in the middle of a merge.

    Raises:
        BrokenFile: Says which line.
    """
    # Few texts have the letter, which is looked for many times faster than a word.
    marks = [mark for mark in _MARKERS if mark[0] in text]
    found = [0 for mark in marks if text.startswith(mark)]
    found += [place + 1 for mark in marks for place in [text.find(f"\n{mark}")] if place >= 0]
    if found:
        line = text.count("\n", 0, min(found)) + 1
        raise BrokenFile(f"merge-conflict markers in line {line}", path=path, hint="settle the merge first")


def check_text(path: str, text: str) -> None:
    """Refuse a text that is in the middle of a merge, or that is not valid Python or YAML.

    Raises:
        BrokenFile: Says which line.
    """
    check_markers(path, text)
    if path.endswith(".py"):
        try:
            read_python(path, text.replace("\r\n", "\n"))
        except SyntaxError as error:
            raise BrokenFile(
                f"syntax error in line {error.lineno}: {error.msg}", path=path, hint="mend it and run again"
            ) from None
    elif path.endswith(".yml"):
        where = None if _yaml_error(_PAGE.sub("", text)) is None else _yaml_error(text)
        if where is not None:
            raise BrokenFile(f"not valid YAML{where}", path=path, hint="mend it and run again")


def read_python(path: str, text: str) -> None:
    """Read a module as the registries read it, which fails exactly when Python would not take it.

    Raises:
        SyntaxError: The text is no Python.
    """
    if path.endswith("/__init__.py"):
        fold(text)
    elif dummy_objects.is_path(path):
        parse(dummy_objects.irregular(text))
    else:
        parse(text)


@lru_cache(maxsize=8)
def _yaml_error(text: str) -> str | None:
    """None for valid YAML, else where it is not, in words."""
    import yaml

    # The loader in C takes a tenth of the time, where PyYAML was built with it.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        yaml.load(text, Loader=loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        return f" in line {mark.line + 1}" if mark else ""
    return None


def need(snapshot: Snapshot, path: str, anchor: str = "") -> None:
    """Refuse a file that is missing, broken, or without the text that an entry goes beside.

    Args:
        snapshot: The checkout.
        path: The file.
        anchor: Text that must be in it.

    Raises:
        AnchorNotFound: The file or the text is missing.
        BrokenFile: The file can not be read.
    """
    text = snapshot.read(path)
    if text is None:
        raise AnchorNotFound(path, "the file")
    check_text(path, text)
    if anchor not in text:
        raise AnchorNotFound(path, anchor.strip())
