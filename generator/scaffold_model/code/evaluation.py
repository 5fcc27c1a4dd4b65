"""The values of expressions in a source that is read and never imported: configurations of tests, class attributes."""

from __future__ import annotations

import ast
import functools
import math
import operator
from collections.abc import Callable, Mapping
from typing import Any


class NotConstant(Exception):
    """An expression has parts that only running the code would tell."""


_OPERATORS: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.Gt: operator.gt,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
    ast.USub: operator.neg,
    ast.Not: operator.not_,
}

_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "dict": dict,
    "float": float,
    "int": int,
    "len": len,
    "list": list,
    "max": max,
    "min": min,
    "range": range,
    "reversed": lambda values: list(reversed(values)),
    "sum": sum,
    "tuple": tuple,
    "functools.reduce": functools.reduce,
    "math.prod": math.prod,
    "np.prod": math.prod,
}


def evaluate(node: ast.expr, names: Mapping[str, Any]) -> Any:
    """The value of an expression of literals, of ``names``, and of what plain Python makes of them.

    An attribute is looked up in a mapping: ``vae.config.patch_size`` in ``{"vae": {"config": {"patch_size": 4}}}``.

    Raises:
        NotConstant: The expression holds something else, or makes no sense.
    """
    try:
        return _value(node, names)
    except (TypeError, ValueError, ArithmeticError, LookupError) as error:
        raise NotConstant(str(error)) from error


def _value(node: ast.expr, names: Mapping[str, Any]) -> Any:
    match node:
        case ast.Constant():
            return node.value
        case ast.Name():
            return names[node.id]
        case ast.Attribute():
            owner = _value(node.value, names)
            if not isinstance(owner, Mapping):
                raise NotConstant(ast.unparse(node))
            return owner[node.attr]
        case ast.Tuple():
            return tuple(_value(item, names) for item in node.elts)
        case ast.List():
            return [_value(item, names) for item in node.elts]
        case ast.Dict() if None not in node.keys:
            return {
                _value(key, names): _value(value, names)
                for key, value in zip(node.keys, node.values, strict=True)
                if key is not None
            }
        case ast.BinOp():
            return _operator(node.op)(_value(node.left, names), _value(node.right, names))
        case ast.UnaryOp():
            return _operator(node.op)(_value(node.operand, names))
        case ast.Compare(ops=[single], comparators=[right]):
            return _operator(single)(_value(node.left, names), _value(right, names))
        case ast.BoolOp():
            stops = bool if isinstance(node.op, ast.Or) else operator.not_
            value = None
            for item in node.values:
                value = _value(item, names)
                if stops(value):
                    break
            return value
        case ast.IfExp():
            return _value(node.body if _value(node.test, names) else node.orelse, names)
        case ast.Subscript(slice=ast.Slice() as part):
            lower, upper, step = (
                None if end is None else _value(end, names) for end in (part.lower, part.upper, part.step)
            )
            return _value(node.value, names)[lower:upper:step]
        case ast.Subscript():
            return _value(node.value, names)[_value(node.slice, names)]
        case ast.ListComp(generators=[ast.comprehension(target=ast.Name(), ifs=[]) as loop]):
            assert isinstance(loop.target, ast.Name)
            return [_value(node.elt, {**names, loop.target.id: item}) for item in _value(loop.iter, names)]
        case ast.Lambda():
            arguments = [argument.arg for argument in node.args.args]
            return lambda *given: _value(node.body, {**names, **dict(zip(arguments, given, strict=True))})
        case ast.Call(keywords=[]) if ast.unparse(node.func) in _FUNCTIONS:
            return _FUNCTIONS[ast.unparse(node.func)](*(_value(argument, names) for argument in node.args))
        case _:
            raise NotConstant(ast.unparse(node))


def _operator(kind: ast.AST) -> Callable[..., Any]:
    if type(kind) not in _OPERATORS:
        raise NotConstant(type(kind).__name__)
    return _OPERATORS[type(kind)]


def bindings(statements: list[ast.stmt], names: Mapping[str, Any]) -> dict[str, Any]:
    """``names``, and those that plain assignments of constants bind, in their order."""
    known = dict(names)
    for statement in statements:
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            try:
                known[statement.targets[0].id] = evaluate(statement.value, known)
            except NotConstant:
                known.pop(statement.targets[0].id, None)
    return known
