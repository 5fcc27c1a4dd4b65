"""Which names a piece of code takes from its module, and which a module binds. Knows nothing of diffusers."""

from __future__ import annotations

import ast
import symtable
from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Binding:
    """A statement that binds a name at the top level of a module.

    Attributes:
        statement: The import, definition or assignment itself.
        container: The top-level ``if``, ``try``, ``for`` or ``with`` around it, if there is one.
    """

    statement: ast.stmt
    container: ast.stmt | None


def free_names(code: str, *, method: bool = False) -> set[str]:
    """The names that ``code`` takes from the module around it, or from the builtins.

    Names in string annotations count. What a local variable, a parameter, a comprehension or a class body binds does
    not.

    Args:
        code: Statements without indentation.
        method: The code is a method, so that its own name is not one of the module.
    """
    names = set(_global_names(symtable.symtable(code, "<block>", "exec")))
    tree = ast.parse(code)
    for annotation in _annotations(tree):
        names.update(_annotated(annotation))
    return names if method else names - set(bindings(tree.body))


def _global_names(table: symtable.SymbolTable) -> Iterator[str]:
    top = table.get_type() == "module"
    for symbol in table.get_symbols():
        if symbol.is_referenced() and (symbol.is_global() or (top and not symbol.is_assigned())):
            yield symbol.get_name()
    for child in table.get_children():
        yield from _global_names(child)


def _annotations(tree: ast.AST) -> Iterator[ast.expr]:
    for node in ast.walk(tree):
        if isinstance(node, ast.arg | ast.AnnAssign) and node.annotation is not None:
            yield node.annotation
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.returns is not None:
            yield node.returns


def _annotated(node: ast.expr) -> Iterator[str]:
    """The names in an annotation, also in its string parts; the arguments of Literal are values."""
    if isinstance(node, ast.Name):
        yield node.id
    elif isinstance(node, ast.Constant):
        if isinstance(node.value, str):
            try:
                yield from _annotated(ast.parse(node.value, mode="eval").body)
            except SyntaxError:
                return
    elif isinstance(node, ast.Subscript) and _last(node.value) in ("Literal", "Annotated"):
        yield from _annotated(node.value)
        if _last(node.value) == "Annotated" and isinstance(node.slice, ast.Tuple) and node.slice.elts:
            yield from _annotated(node.slice.elts[0])
    else:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr):
                yield from _annotated(child)


def _last(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def dotted_uses(code: str) -> set[str]:
    """Every dotted name in ``code``: ``torch.utils.checkpoint`` for ``torch.utils.checkpoint.checkpoint(f)``, too."""
    uses = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Attribute):
            name = dotted(node)
            if name:
                uses.add(name)
    return uses


def dotted(node: ast.expr) -> str | None:
    """``a.b.c`` for such an expression, or None."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.insert(0, node.attr)
        node = node.value
    return ".".join([node.id, *parts]) if isinstance(node, ast.Name) else None


def bindings(body: Iterable[ast.stmt]) -> dict[str, list[Binding]]:
    """The names that statements bind in their own scope, with the statements that bind them."""
    found: dict[str, list[Binding]] = {}
    for top in body:
        for statement in _flat(top):
            for name in bound_by(statement):
                found.setdefault(name, []).append(Binding(statement, None if statement is top else top))
    return found


def _flat(statement: ast.stmt) -> Iterator[ast.stmt]:
    yield statement
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return
    for part in ("body", "orelse", "finalbody"):
        for child in getattr(statement, part, ()):
            yield from _flat(child)
    for handler in getattr(statement, "handlers", ()):
        for child in handler.body:
            yield from _flat(child)


def bound_by(statement: ast.stmt) -> Iterator[str]:
    """The names that one statement binds, those of nested blocks left out."""
    if isinstance(statement, ast.Import | ast.ImportFrom):
        for alias in statement.names:
            yield alias.asname or alias.name.split(".")[0]
    elif isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield statement.name
    else:
        targets: list[ast.expr] = []
        if isinstance(statement, ast.Assign):
            targets = statement.targets
        elif isinstance(statement, ast.AnnAssign | ast.AugAssign | ast.For):
            # A bare annotation binds nothing.
            bare = isinstance(statement, ast.AnnAssign) and statement.value is None
            targets = [] if bare else [statement.target]
        elif isinstance(statement, ast.Delete):
            # Counted, so that a name which does not outlive its module is seen.
            targets = statement.targets
        elif isinstance(statement, ast.With):
            targets = [item.optional_vars for item in statement.items if item.optional_vars]
        for target in targets:
            for node in ast.walk(target):
                if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store | ast.Del):
                    yield node.id
