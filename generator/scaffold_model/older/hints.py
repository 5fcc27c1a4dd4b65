"""Type hints for a Python older than 3.10: ``X | None`` -> ``Optional[X]``, ``list[int]`` -> ``List[int]``."""

from __future__ import annotations

import re

import libcst as cst
import libcst.matchers as m

from .nodes import code_of

#: Generic classes that only newer Pythons subscript, and their names in ``typing``.
_GENERIC = {"dict": "Dict", "frozenset": "FrozenSet", "list": "List", "set": "Set", "tuple": "Tuple", "type": "Type"}

#: A type in backticks, as docstrings name it.
_QUOTED = re.compile(rf"(?<=`)(?:{'|'.join(_GENERIC)})\[[^`\n]*\](?=`)")


def with_typing(text: str) -> str:
    """A module with its hints, and the types that its docstrings quote, written with the names of ``typing``.

    ``zip(..., strict=True)`` goes as well, which came with the same Python.

        def size(names: list[str] | None) -> int: ...

    becomes

        from typing import List, Optional

        def size(names: Optional[List[str]]) -> int: ...
    """
    hints = _Hints()
    module = cst.parse_module(_QUOTED.sub(_quoted, text)).visit(hints)
    return _with_import(module, hints.names).code


def _quoted(match: re.Match[str]) -> str:
    try:
        annotation = cst.Annotation(cst.parse_expression(match[0]))
    except cst.ParserSyntaxError:
        return match[0]
    converted = annotation.visit(_Hints())
    return code_of(cst.ensure_type(converted, cst.Annotation).annotation)


class _Hints(cst.CSTTransformer):
    """Collects in ``names`` what has to be imported from ``typing``."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()
        # `|` between expressions that are no types means what it always meant.
        self._depth = 0

    def visit_Annotation(self, node: cst.Annotation) -> None:
        self._depth += 1

    def leave_Annotation(self, original_node: cst.Annotation, updated_node: cst.Annotation) -> cst.Annotation:
        self._depth -= 1
        return updated_node

    def visit_Arg(self, node: cst.Arg) -> None:
        self._depth += m.matches(node, m.Arg(keyword=m.Name("type_hint")))

    def leave_Arg(self, original_node: cst.Arg, updated_node: cst.Arg) -> cst.Arg:
        self._depth -= m.matches(original_node, m.Arg(keyword=m.Name("type_hint")))
        return updated_node

    def leave_Subscript(self, original_node: cst.Subscript, updated_node: cst.Subscript) -> cst.Subscript:
        if isinstance(updated_node.value, cst.Name) and updated_node.value.value in _GENERIC:
            return updated_node.with_changes(value=self._typing(_GENERIC[updated_node.value.value]))
        return updated_node

    def leave_BinaryOperation(
        self, original_node: cst.BinaryOperation, updated_node: cst.BinaryOperation
    ) -> cst.BaseExpression:
        if not self._depth or not isinstance(updated_node.operator, cst.BitOr):
            return updated_node
        # The left side of a chain is converted already, so its members are taken out again.
        members = [*_members(updated_node.left), *_members(updated_node.right)]
        types = [member for member in members if not m.matches(member, m.Name("None"))]
        union = types[0] if len(types) == 1 else self._subscript("Union", types)
        return union if len(types) == len(members) else self._subscript("Optional", [union])

    def leave_Call(self, original_node: cst.Call, updated_node: cst.Call) -> cst.Call:
        if not m.matches(updated_node.func, m.Name("zip")):
            return updated_node
        kept = [one for one in updated_node.args if not m.matches(one, m.Arg(keyword=m.Name("strict")))]
        # A comma that is left behind would make the formatter break the line.
        kept[-1] = kept[-1].with_changes(comma=cst.MaybeSentinel.DEFAULT)
        return updated_node.with_changes(args=kept)

    def _typing(self, name: str) -> cst.Name:
        self.names.add(name)
        return cst.Name(name)

    def _subscript(self, name: str, types: list[cst.BaseExpression]) -> cst.Subscript:
        elements = [cst.SubscriptElement(cst.Index(one)) for one in types]
        return cst.Subscript(self._typing(name), elements)


def _members(node: cst.BaseExpression) -> list[cst.BaseExpression]:
    """The types of a union, in either way of writing it."""
    if m.matches(node, m.Subscript(value=m.Name("Union") | m.Name("Optional"))):
        subscript = cst.ensure_type(node, cst.Subscript)
        inner = [cst.ensure_type(element.slice, cst.Index).value for element in subscript.slice]
        if m.matches(subscript.value, m.Name("Optional")):
            return [*_members(inner[0]), cst.Name("None")]
        return inner
    return [node]


def _with_import(module: cst.Module, names: set[str]) -> cst.Module:
    """``from typing import ...`` with these names as well; the formatter sorts them, and drops what is unused by now."""
    if not names:
        return module
    body = list(module.body)
    for index, statement in enumerate(body):
        if m.matches(statement, m.SimpleStatementLine(body=[m.ImportFrom(module=m.Name("typing"), relative=[])])):
            line = cst.ensure_type(statement, cst.SimpleStatementLine)
            found = cst.ensure_type(line.body[0], cst.ImportFrom)
            assert not isinstance(found.names, cst.ImportStar)
            known = [cst.ensure_type(alias.name, cst.Name).value for alias in found.names]
            aliases = [cst.ImportAlias(cst.Name(name)) for name in [*known, *sorted(names - {*known})]]
            body[index] = line.with_changes(body=[found.with_changes(names=aliases)])
            return module.with_changes(body=body)
    added = cst.parse_statement(f"from typing import {', '.join(sorted(names))}\n")
    place = next(index for index, statement in enumerate(body) if not _is_docstring(statement))
    return module.with_changes(body=[*body[:place], added, *body[place:]])


def _is_docstring(statement: cst.BaseStatement) -> bool:
    return m.matches(statement, m.SimpleStatementLine(body=[m.Expr(m.SimpleString())]))
