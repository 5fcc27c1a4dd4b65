"""Stored answers that generated code holds as they are: nothing but what an answer of ours can be gets through.

An answers file may come from anybody, and what is generated from it is run.
"""

from __future__ import annotations

import ast

_ARITHMETIC = (ast.Add, ast.Sub, ast.Mult, ast.FloorDiv)
_LONGEST = 200


def size_of_autoencoder(text: str) -> bool:
    """Whether ``text`` is arithmetic on numbers and on attributes of ``vae``, such as ``2 ** (len(vae.config.x) - 1)``."""
    # A comment would take what the template writes after it out of the code.
    if len(text) > _LONGEST or "#" in text or "\n" in text:
        return False
    try:
        return _is_size(ast.parse(text, mode="eval").body)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False


def _is_size(node: ast.expr) -> bool:
    match node:
        case ast.Constant(value=value):
            return type(value) is int
        case ast.BinOp(left=base, op=ast.Pow(), right=exponent):
            # A number of doublings; a tower of powers would never be computed to its end.
            return ast.unparse(base) == "2" and not ast.unparse(exponent).count("**") and _is_size(exponent)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return _is_size(operand)
        case ast.BinOp(left=left, op=operator, right=right):
            return isinstance(operator, _ARITHMETIC) and _is_size(left) and _is_size(right)
        case ast.Call(func=ast.Name(id="len" | "sum"), args=[argument], keywords=[]):
            return _is_size(argument)
        case ast.Call(func=ast.Attribute(value=ast.Name(id="math"), attr="prod"), args=[argument], keywords=[]):
            return _is_attribute(argument)
        case ast.Subscript(value=value, slice=index):
            return _is_attribute(value) and _is_size(index)
    return _is_attribute(node)


def _is_attribute(node: ast.expr) -> bool:
    match node:
        case ast.Attribute(value=ast.Name(id="vae"), attr=name):
            return not name.startswith("_")
        case ast.Attribute(value=value, attr=name):
            return not name.startswith("_") and _is_attribute(value)
    return False


def keyword_arguments(text: str) -> bool:
    """Whether ``text`` is keyword arguments whose values are literals, such as ``shift=3.0``; nothing is fine too."""
    try:
        call = ast.parse(f"f({text})", mode="eval").body
        match call:
            case ast.Call(func=ast.Name(), args=[], keywords=keywords):
                names = {keyword.arg for keyword in keywords}
                return len(names - {None}) == len(keywords) and all(_is_literal(one.value) for one in keywords)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        pass
    return False


def _is_literal(node: ast.expr) -> bool:
    try:
        ast.literal_eval(node)
    except (ValueError, TypeError):
        return False
    return True
