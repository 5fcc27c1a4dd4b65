"""Values of expressions in sources that are not imported."""

from __future__ import annotations

import ast
from typing import Any

import pytest

from scaffold_model.code.evaluation import NotConstant, bindings, evaluate

NAMES: dict[str, Any] = {"sizes": [2, 4], "nothing": None, "vae": {"config": {"levels": (1, 2, 3)}, "hop": 8}}


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("(1, 2) * 2", (1, 2, 1, 2)),
        ("['a'] * len(sizes)", ["a", "a"]),
        ("{'sizes': sizes, 'deep': ((), (5,))}", {"sizes": [2, 4], "deep": ((), (5,))}),
        ("nothing or [1]", [1]),
        ("sizes or [1]", [2, 4]),
        ("nothing and nothing.deeper", None),
        ("1 if nothing is None else sizes", 1),
        ("-sizes[0]", -2),
        ("sizes[::-1]", [4, 2]),
        ("[size // min(sizes) for size in reversed(sizes)]", [2, 1]),
        ("2 ** (len(vae.config.levels) - 1)", 4),
        ("vae.hop * 2", 16),
        ("int(np.prod(sizes))", 8),
        ("functools.reduce(lambda x, y: x * y, vae.config.levels, 1)", 6),
        ("dict(sizes=1)", NotConstant),
        ("torch.zeros(3)", NotConstant),
        ("unknown", NotConstant),
        ("sizes.append", NotConstant),
        ("vae.other", NotConstant),
        ("1 // 0", NotConstant),
        ("sizes @ sizes", NotConstant),
        ("sizes + 1", NotConstant),
        ("{**vae}", NotConstant),
        ("[a for a, b in sizes]", NotConstant),
        ("f'{sizes}'", NotConstant),
    ],
)
def test_values(source: str, value: Any) -> None:
    node = ast.parse(source, mode="eval").body
    if value is NotConstant:
        with pytest.raises(NotConstant):
            evaluate(node, NAMES)
    else:
        assert evaluate(node, NAMES) == value


def test_assignments_bind_what_is_constant_and_forget_what_no_longer_is() -> None:
    source = "a = 1\nb = a + 1\nc = a\nc = load()\nd.e = 3\nb += 1\nif b:\n    f = 4\n"
    assert bindings(ast.parse(source).body, {"a": 0}) == {"a": 1, "b": 2}
