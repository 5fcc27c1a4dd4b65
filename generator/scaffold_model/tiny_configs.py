"""The tiny configuration of a class, as the checkout's own tests have it; read and never imported."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from typing import Any

from .code.evaluation import NotConstant, bindings, evaluate
from .code.syntax import parse
from .snapshot import Snapshot

_MODEL_TESTS = "tests/models/autoencoders"
_PIPELINE_TESTS = "tests/pipelines"


def tiny_config(snapshot: Snapshot, class_name: str, arguments: Mapping[str, Any]) -> dict[str, Any] | None:
    """The arguments with which a test makes a tiny autoencoder, or None where no test says so in constants.

    The model's own test comes first: a method of a test class for it that returns arguments of its constructor. Then a
    pipeline's test, which calls the constructor.

    Args:
        snapshot: The checkout.
        class_name: The autoencoder.
        arguments: The arguments of its constructor.
    """
    for folder, configurations in ((_MODEL_TESTS, _returned), (_PIPELINE_TESTS, _called)):
        for path in snapshot.walk(folder):
            text = snapshot.read(path) or ""
            if re.search(rf"\b{class_name}\b", text):
                for found in configurations(parse(text), class_name):
                    if found and set(found) <= set(arguments):
                        return found
    return None


def _returned(tree: ast.Module, class_name: str) -> Iterator[dict[str, Any]]:
    """What the methods of the test classes for ``class_name`` return, where that is a dict of constants."""
    constants = bindings(tree.body, {})
    for test in tree.body:
        if isinstance(test, ast.ClassDef) and _tested(test) == class_name:
            for method in test.body:
                if isinstance(method, ast.FunctionDef) and not method.name.startswith("test"):
                    yield from _dicts(method, constants)


def _tested(test: ast.ClassDef) -> str | None:
    """The class that a test class is about: ``model_class``, an attribute or a property."""
    for member in test.body:
        match member:
            case ast.Assign(targets=[ast.Name(id="model_class")], value=ast.Name(id=name)):
                return name
            case ast.FunctionDef(name="model_class", body=[*_, ast.Return(value=ast.Name(id=name))]):
                return name
    return None


def _dicts(function: ast.FunctionDef, constants: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    names = bindings(function.body, {**constants, **_defaults(function)})
    for statement in function.body:
        if isinstance(statement, ast.Return) and statement.value is not None:
            try:
                value = evaluate(statement.value, names)
            except NotConstant:
                continue
            if isinstance(value, dict):
                yield value


def _called(tree: ast.Module, class_name: str) -> Iterator[dict[str, Any]]:
    """The keyword arguments of the calls of ``class_name``, where they are constants."""
    constants = bindings(tree.body, {})
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef):
            continue
        names = bindings(function.body, {**constants, **_defaults(function)})
        for call in ast.walk(function):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == class_name:
                if call.args or any(keyword.arg is None for keyword in call.keywords):
                    continue
                try:
                    yield {keyword.arg: evaluate(keyword.value, names) for keyword in call.keywords if keyword.arg}
                except NotConstant:
                    continue


def _defaults(function: ast.FunctionDef) -> dict[str, Any]:
    arguments = function.args.args[len(function.args.args) - len(function.args.defaults) :]
    found: dict[str, Any] = {}
    for argument, default in zip(arguments, function.args.defaults, strict=True):
        try:
            found[argument.arg] = evaluate(default, {})
        except NotConstant:
            continue
    return found
