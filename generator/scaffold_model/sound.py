"""Whether a file that has to be edited can be: no merge-conflict markers, no syntax error, and the statement to edit."""

from __future__ import annotations

import re

from .code.syntax import parse
from .errors import AnchorNotFound, BrokenFile
from .snapshot import Snapshot

_MARKER = re.compile(r"^(?:<{7}|>{7}) ", re.MULTILINE)


def check_markers(path: str, text: str) -> None:
    """Refuse a text that is in the middle of a merge.

    Raises:
        BrokenFile: Says which line.
    """
    marker = _MARKER.search(text)
    if marker:
        line = text.count("\n", 0, marker.start()) + 1
        raise BrokenFile(f"merge-conflict markers in line {line}", path=path, hint="settle the merge first")


def check_text(path: str, text: str) -> None:
    """Refuse a text that is in the middle of a merge, or that is not valid Python or YAML.

    Raises:
        BrokenFile: Says which line.
    """
    check_markers(path, text)
    if path.endswith(".py"):
        try:
            parse(text.replace("\r\n", "\n"))
        except SyntaxError as error:
            raise BrokenFile(
                f"syntax error in line {error.lineno}: {error.msg}", path=path, hint="mend it and run again"
            ) from None
    elif path.endswith(".yml"):
        import yaml

        # The loader in C takes a tenth of the time, where PyYAML was built with it.
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        try:
            yaml.load(text, Loader=loader)
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            where = f" in line {mark.line + 1}" if mark else ""
            raise BrokenFile(f"not valid YAML{where}", path=path, hint="mend it and run again") from None


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
