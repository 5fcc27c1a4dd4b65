"""A class of the checkout that the answers name, read from its source and never imported."""

from __future__ import annotations

import ast
import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from .code.evaluation import NotConstant, bindings, evaluate
from .code.syntax import parse
from .errors import BadInput
from .snapshot import Snapshot
from .sound import check_text


class Unfit(Exception):
    """Why generated code can not use a class."""


@dataclass(frozen=True)
class Component:
    """A class, as its source shows it.

    Attributes:
        name: The class.
        path: Its module.
        module: The module's tree.
        node: The class in it.
    """

    name: str
    path: str
    module: ast.Module
    node: ast.ClassDef

    def method(self, name: str) -> ast.FunctionDef | None:
        """A method that the class itself defines."""
        return next((one for one in self.node.body if isinstance(one, ast.FunctionDef) and one.name == name), None)

    @cached_property
    def arguments(self) -> dict[str, ast.expr | None]:
        """The arguments of the constructor with their defaults; None where there is no default."""
        found = self.method("__init__")
        return {} if found is None else arguments(found)

    @cached_property
    def defaults(self) -> dict[str, Any]:
        """The values of those defaults that are constants."""
        constants = bindings(self.module.body, {})
        found: dict[str, Any] = {}
        for argument, default in self.arguments.items():
            if default is not None:
                try:
                    found[argument] = evaluate(default, constants)
                except NotConstant:
                    continue
        return found

    @cached_property
    def attributes(self) -> dict[str, ast.expr]:
        """What the constructor assigns to attributes of ``self``, at its top level."""
        found: dict[str, ast.expr] = {}
        for statement in getattr(self.method("__init__"), "body", ()):
            match statement:
                case ast.Assign(targets=[ast.Attribute(value=ast.Name(id="self"), attr=name)], value=value):
                    found[name] = value
        return found

    def beside(self, name: str) -> Component | None:
        """Another class of the same module."""
        nodes = (one for one in self.module.body if isinstance(one, ast.ClassDef) and one.name == name)
        node = next(nodes, None)
        return None if node is None else Component(name, self.path, self.module, node)

    def given(self, argument: str) -> bool:
        """Whether the configuration holds a value for ``argument`` also where nobody passes one, or demands one."""
        return argument in self.arguments and self.defaults.get(argument, ...) is not None


def arguments(method: ast.FunctionDef) -> dict[str, ast.expr | None]:
    """The arguments of a method but for ``self``, with their defaults; None where there is no default."""
    plain, named = method.args.args[1:], method.args.kwonlyargs
    missing: list[ast.expr | None] = [None] * (len(plain) - len(method.args.defaults))
    defaults = [*missing, *method.args.defaults, *method.args.kw_defaults]
    return {argument.arg: default for argument, default in zip([*plain, *named], defaults, strict=True)}


def classes(snapshot: Snapshot, folder: str, mixin: str, methods: Iterable[str]) -> dict[str, str]:
    """The classes below ``folder`` that inherit from ``mixin`` and define ``methods``, with their modules."""
    found: dict[str, str] = {}
    for path in snapshot.walk(folder):
        for part in re.split(r"^(?=class )", snapshot.read(path) or "", flags=re.MULTILINE)[1:]:
            named = re.match(rf"class (\w+)\([^)]*\b{mixin}\b", part)
            if named and all(f"\n    def {method}(" in part for method in methods):
                found[named[1]] = path
    return found


def find(snapshot: Snapshot, question: str, noun: str, name: str, known: Mapping[str, str], exports: str) -> Component:
    """The class that answers a question.

    Args:
        snapshot: The checkout.
        question: The question that the class answers, for messages.
        noun: What it is, for messages.
        name: The class.
        known: The classes that it may be, with their modules.
        exports: The module that has to export it.

    Raises:
        BadInput: It is none of them, or is not exported.
    """
    if name not in known:
        near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
        raise BadInput(
            f"--{question} {name} is no {noun} of this checkout",
            hint=f"did you mean {', '.join(near)}?" if near else f"name one that {exports} exports",
        )
    path = known[name]
    text = snapshot.read(path) or ""
    check_text(path, text)
    if not re.search(rf'"{name}"', snapshot.read(exports) or ""):
        raise BadInput(f"--{question} {name} is not exported", path=exports, hint="register the class first")
    return component(snapshot, name, path)


def component(snapshot: Snapshot, name: str, path: str) -> Component:
    """The class of that name in a module."""
    module = parse(snapshot.read(path) or "")
    node = next(one for one in module.body if isinstance(one, ast.ClassDef) and one.name == name)
    return Component(name, path, module, node)


def refused(question: str, component: Component, reason: Unfit) -> BadInput:
    """The refusal of a class."""
    return BadInput(
        f"--{question} {component.name} can not be used: {reason}",
        path=component.path,
        hint=f"leave --{question} out and replace the component afterwards",
    )
