"""The names in brackets of one statement, on one line or with a line for each."""

from __future__ import annotations

import re

from .regions import NAMES, OBJECTS, Item, Region, lines_of, unique

_ONE_LINE = re.compile(
    r"""^(?P<indent>[ ]*)(?P<head>from[ ][.\w]+[ ]import[ ]|_import_structure\[[^\]]+\](?:[ ]\+?=[ ]|\.extend\()|["'][^"']*["']:[ ])
        (?P<open>[\[(]?)(?P<names>[^\[\]()#\n]*)(?P<close>[\])]?)(?P<tail>\)?,?)\n$""",
    re.VERBOSE,
)
_ELEMENT = re.compile(r"""^[ ]+(?P<name>"[^"]*"|'[^']*'|[\w.]+(?:[ ]as[ ]\w+)?)(?P<comma>,?)[ ]*(?:\#.*)?\n$""")
_OPENING = re.compile(r"[\[(]\s*(#.*)?\n$")
INDENT = "    "


def split_lead(text: str) -> tuple[str, str]:
    """The comments and blank lines at the start of an item, and the rest."""
    lines = lines_of(text)
    count = next((index for index, line in enumerate(lines) if line.strip() and line.lstrip()[0] != "#"), len(lines))
    return "".join(lines[:count]), "".join(lines[count:])


def exploded(code: str) -> str | None:
    """A statement that lists names, with one name per line; None where that can not be done line by line."""
    if code.count("\n") > 1:
        regions = read_brackets(code)
        return code if regions else None
    match = _ONE_LINE.match(code)
    if match is None:
        return None
    indent, head, tail = match["indent"], match["head"], match["tail"]
    opening, closing = ("(", ")") if head.startswith("from ") else ("[", "]")
    if (match["open"], match["close"]) not in ((opening, closing), ("", "") if opening == "(" else (opening, closing)):
        return None
    rows = [row.strip() for row in match["names"].split(",") if row.strip()]
    if head.endswith("extend("):
        inner = indent + INDENT
        return "".join(
            [
                f"{indent}{head}\n",
                f"{inner}[\n",
                *(f"{inner}{INDENT}{row},\n" for row in rows),
                f"{inner}]\n",
                f"{indent}{tail}\n",
            ]
        )
    return "".join(
        [f"{indent}{head}{opening}\n", *(f"{indent}{INDENT}{row},\n" for row in rows), f"{indent}{closing}{tail}\n"]
    )


def collapsed(code: str) -> str:
    """A statement with one name per line, on one line."""
    rows = [row.strip() for row in lines_of(code)]
    indent = code[: len(code) - len(code.lstrip())]
    joined = (
        " ".join(rows)
        .replace("( ", "(")
        .replace("[ ", "[")
        .replace(", ]", "]")
        .replace(", )", ")")
        .replace("] )", "])")
    )
    if joined.startswith("from "):
        joined = joined.replace(" import (", " import ").removesuffix(")")
    return f"{indent}{joined}\n"


def read_brackets(text: str) -> list[Region]:
    """The names of a statement that has one name per line; nothing where it has not."""
    lines = lines_of(text)
    lead = split_lead(text)[0].count("\n")
    first = lead
    while first < len(lines) and _OPENING.search(lines[first]):
        first += 1
        if first < len(lines) and not re.match(r"\s*\[\s*\n$", lines[first]):
            break
    if first == lead:
        return []
    start, items = first, []
    for index in range(first, len(lines)):
        if not lines[index].strip() or lines[index].lstrip().startswith("#"):
            continue
        match = _ELEMENT.match(lines[index])
        if match is None:
            break
        if not match["comma"]:
            return []
        name = match["name"].strip("'\"")
        items.append(Item(name, name, "".join(lines[start : index + 1])))
        start = index + 1
    if not all(re.match(r"\s*([\])]+,?|#.*)?\n$", line) for line in lines[start:]):
        return []
    orders = NAMES if text[len(split_lead(text)[0]) :].lstrip().startswith("from ") else OBJECTS
    return [Region("names", first + 1, start, unique(items), orders)]
