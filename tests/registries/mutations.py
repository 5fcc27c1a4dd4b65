"""Mutations of registry files, as people and tools leave them: every one is a function of the text and a number."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable

Mutation = Callable[[str, int], str]


def _at(text: str, number: int) -> tuple[list[str], int]:
    lines = text.split("\n")
    return lines, number % max(1, len(lines))


def _indent(line: str) -> str:
    return line[: len(line) - len(line.lstrip())]


def comment_line(text: str, number: int) -> str:
    """A comment line in the column of the line below it."""
    lines, index = _at(text, number)
    return "\n".join([*lines[:index], f"{_indent(lines[index])}# FooPipeline, a remark", *lines[index:]])


def stray_comment(text: str, number: int) -> str:
    """A comment in the first column, wherever that is."""
    lines, index = _at(text, number)
    return "\n".join([*lines[:index], "# noqa: F401", *lines[index:]])


def trailing_comment(text: str, number: int) -> str:
    """A comment behind a line."""
    lines, index = _at(text, number)
    if lines[index].strip() and not lines[index].rstrip().endswith("\\"):
        lines[index] += '  # "BarPipeline", [see there'
    return "\n".join(lines)


def blank_line(text: str, number: int) -> str:
    """A blank line, with white space in it now and then."""
    lines, index = _at(text, number)
    return "\n".join([*lines[:index], "    " if number % 3 == 0 else "", *lines[index:]])


def no_blank_lines(text: str, number: int) -> str:
    """No blank line at all."""
    return "\n".join(line for line in text.split("\n") if line.strip()) + "\n"


def one_line(text: str, number: int) -> str:
    """A bracket on one line."""
    found = list(re.finditer(r"[\[({]\n[^\[\](){}#\"']*(?:\"[^\"\n]*\"[^\[\](){}#\"']*)*[\])}]", text))
    if not found:
        return text
    match = found[number % len(found)]
    return text[: match.start()] + re.sub(r"\s*\n\s*", " ", match[0]) + text[match.end() :]


def odd_wrapping(text: str, number: int) -> str:
    """A line break, and a column that no formatter would choose, behind a comma."""
    places = [match.end() for match in re.finditer(r", ?(?=[\"\w])|,$", text, re.MULTILINE)]
    if not places:
        return text
    place = places[number % len(places)]
    return text[:place].rstrip(" ") + "\n" + " " * (number % 7) + text[place:].lstrip("\n ")


def no_trailing_comma(text: str, number: int) -> str:
    """A closing bracket without a comma before it."""
    found = list(re.finditer(r",(?=\s*[\])}])", text))
    if not found:
        return text
    place = found[number % len(found)].start()
    return text[:place] + text[place + 1 :]


def trailing_comma(text: str, number: int) -> str:
    """A comma before a closing bracket of one line."""
    found = list(re.finditer(r"(?<=[\"\w])\]", text))
    if not found:
        return text
    place = found[number % len(found)].start()
    return text[:place] + "," + text[place:]


def tuples(text: str, number: int) -> str:
    """A list written as a tuple."""
    found = list(re.finditer(r"= \[([^\[\]]*)\]", text))
    if not found:
        return text
    match = found[number % len(found)]
    inner = match[1].rstrip()
    return f"{text[: match.start()]}= ({inner}{'' if inner.endswith(',') else ','}){text[match.end() :]}"


def single_quotes(text: str, number: int) -> str:
    """Quotes that the formatter would change."""
    lines, index = _at(text, number)
    if lines[index].count('"') == 2 and "'" not in lines[index]:
        lines[index] = lines[index].replace('"', "'")
    return "\n".join(lines)


def _wrapped(text: str, number: int, head: str, tail: str) -> str:
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return text
    simple = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign | ast.ImportFrom | ast.Expr) and hasattr(node, "end_lineno")
    ]
    if not simple:
        return text
    node = simple[number % len(simple)]
    lines = text.split("\n")
    if node.end_lineno is None or node.end_lineno > len(lines):
        # A carriage return alone ends a line for Python and for nobody else.
        return text
    indent = _indent(lines[node.lineno - 1])
    body = [f"    {line}" if line.strip() else line for line in lines[node.lineno - 1 : node.end_lineno]]
    parts = (
        [f"{indent}{line}" for line in head.split("\n")],
        body,
        [f"{indent}{line}" for line in tail.split("\n") if line],
    )
    return "\n".join([*lines[: node.lineno - 1], *parts[0], *parts[1], *parts[2], *lines[node.end_lineno :]])


def nested_try(text: str, number: int) -> str:
    """A statement in a try of its own."""
    return _wrapped(text, number, "try:", "except ImportError:\n    pass")


def nested_guard(text: str, number: int) -> str:
    """A statement in the else of a guard, as backends have it."""
    head = "try:\n    if not (is_torch_available() and is_onnx_available()):\n        raise OptionalDependencyNotAvailable()\n"
    return _wrapped(text, number, f"{head}except OptionalDependencyNotAvailable:\n    pass\nelse:", "")


def conditional(text: str, number: int) -> str:
    """A statement under a condition."""
    return _wrapped(text, number, "if is_torch_version('>=', '2.0'):", "")


def star_import(text: str, number: int) -> str:
    """A star import somewhere."""
    lines, index = _at(text, number)
    return "\n".join([*lines[:index], f"{_indent(lines[index])}from .star import *", *lines[index:]])


def semicolon(text: str, number: int) -> str:
    """Two statements on a line."""
    lines, index = _at(text, number)
    if re.fullmatch(r"\s*(?:_import_structure|from |import ).*[\]\w]", lines[index]):
        lines[index] += "; pass"
    return "\n".join(lines)


def duplicate(text: str, number: int) -> str:
    """A line twice."""
    lines, index = _at(text, number)
    return "\n".join([*lines[:index], lines[index], *lines[index:]])


def lost_line(text: str, number: int) -> str:
    """A line gone."""
    lines, index = _at(text, number)
    return "\n".join([*lines[:index], *lines[index + 1 :]])


def swapped(text: str, number: int) -> str:
    """Two neighbours in the other order."""
    lines, index = _at(text, number)
    if index + 1 < len(lines):
        lines[index], lines[index + 1] = lines[index + 1], lines[index]
    return "\n".join(lines)


def merge_markers(text: str, number: int) -> str:
    """The middle of a merge."""
    lines, index = _at(text, number)
    return "\n".join(
        [*lines[:index], "<<<<<<< HEAD", lines[index], "=======", lines[index], ">>>>>>> topic", *lines[index + 1 :]]
    )


def tabs(text: str, number: int) -> str:
    """A line with a tab for its indentation."""
    lines, index = _at(text, number)
    lines[index] = lines[index].replace("    ", "\t", 1)
    return "\n".join(lines)


def windows_line_ends(text: str, number: int) -> str:
    """One line end of another system."""
    lines, index = _at(text, number)
    lines[index] += "\r"
    return "\n".join(lines)


def no_final_newline(text: str, number: int) -> str:
    """No line end at the end."""
    return text.rstrip("\n")


def foreign_letters(text: str, number: int) -> str:
    """Letters of several bytes, which shift the columns that ``ast`` counts."""
    lines, index = _at(text, number)
    if '"' in lines[index]:
        lines[index] = lines[index].replace('"', '"ü', 1)
    return "\n".join(lines)


MUTATIONS: tuple[Mutation, ...] = (
    comment_line,
    stray_comment,
    trailing_comment,
    blank_line,
    no_blank_lines,
    one_line,
    odd_wrapping,
    no_trailing_comma,
    trailing_comma,
    tuples,
    single_quotes,
    nested_try,
    nested_guard,
    conditional,
    star_import,
    semicolon,
    duplicate,
    lost_line,
    swapped,
    merge_markers,
    tabs,
    windows_line_ends,
    no_final_newline,
    foreign_letters,
)
