"""Additions as text splices: whole texts before and after, in the shapes that people write."""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Callable

import pytest

from scaffold_model.code.splice import (
    with_base,
    with_decorator,
    with_entry,
    with_import,
    with_keyword,
    with_parameter,
    with_property,
    with_statement,
    without_import,
)


def dedent(text: str) -> str:
    return textwrap.dedent(text).removeprefix("\n")


def check(change: Callable[[str], str], before: str, after: str) -> None:
    """The change, and that it is made once."""
    old, new = dedent(before), dedent(after)
    ast.parse(new)
    assert change(old) == new
    assert change(new) == new


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("class Foo:\n    pass\n", "class Foo(Mixin):\n    pass\n"),
        ("class Foo():\n    pass\n", "class Foo(Mixin):\n    pass\n"),
        ("class Foo(A):\n    pass\n", "class Foo(A, Mixin):\n    pass\n"),
        ("class Foo(A, Config, B):\n    pass\n", "class Foo(A, Config, Mixin, B):\n    pass\n"),
        (
            "class Foo(\n    A,\n    Config,  # why\n    B,\n):\n    pass\n",
            "class Foo(\n    A,\n    Config,  # why\n    Mixin,\n    B,\n):\n    pass\n",
        ),
        ("class Foo(A, metaclass=M):\n    é = 'é'\n", "class Foo(A, Mixin, metaclass=M):\n    é = 'é'\n"),
    ],
)
def test_a_base(before: str, after: str) -> None:
    check(lambda text: with_base(text, "Foo", "Mixin", after="Config"), before, after)


def test_a_base_in_the_place_of_another() -> None:
    before, after = "class Foo(A, OldMixin, B):\n    pass\n", "class Foo(A, Mixin, B):\n    pass\n"
    check(lambda text: with_base(text, "Foo", "Mixin", after="A", instead="OldMixin"), before, after)


def test_a_decorator_stands_on_top_and_a_header_stays_on_its_def() -> None:
    check(
        lambda text: with_decorator(text, "Foo", "forward", '@scaled("kwargs")'.replace('"', "'")),
        """
        class Foo:
            # Copied from diffusers.bar.Bar.forward
            def forward(self):
                pass
        """,
        """
        class Foo:
            @scaled('kwargs')
            # Copied from diffusers.bar.Bar.forward
            def forward(self):
                pass
        """,
    )
    check(
        lambda text: with_decorator(text, "Foo", "forward", "@scaled"),
        """
        class Foo:
            @torch.no_grad()
            # Copied from diffusers.bar.Bar.forward
            def forward(self):
                pass
        """,
        """
        class Foo:
            @scaled
            @torch.no_grad()
            # Copied from diffusers.bar.Bar.forward
            def forward(self):
                pass
        """,
    )


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("self, a, return_dict=True", "self, a, kwargs: dict | None = None, return_dict=True"),
        ("self, a", "self, a, kwargs: dict | None = None"),
        ("self, a=(1, 2), **others", "self, a=(1, 2), kwargs: dict | None = None, **others"),
        ("self, *, a: int = 1, return_dict=True", "self, *, a: int = 1, kwargs: dict | None = None, return_dict=True"),
        (
            "\n        self,\n        a: int,  # why\n        return_dict: bool = True,\n    ",
            "\n        self,\n        a: int,  # why\n        kwargs: dict | None = None,\n        return_dict: bool = True,\n    ",
        ),
        (
            "\n        self,\n        a: int = 1,  # why\n    ",
            "\n        self,\n        a: int = 1,  # why\n        kwargs: dict | None = None,\n    ",
        ),
        (
            "\n        self,\n        a: int\n    ",
            "\n        self,\n        a: int,\n        kwargs: dict | None = None\n    ",
        ),
    ],
)
def test_a_parameter(before: str, after: str) -> None:
    shape = "class Foo:\n    def forward({}):\n        pass\n"
    change = "kwargs: dict | None = None"
    check(
        lambda text: with_parameter(text, "Foo", "forward", change, before=("return_dict",)),
        shape.format(before),
        shape.format(after),
    )


def test_a_parameter_behind_another() -> None:
    shape = "class Foo:\n    def call(self, a, return_dict=True{}, last=1):\n        pass\n"
    check(
        lambda text: with_parameter(text, "Foo", "call", "kwargs=None", after=("return_dict",), before=("last",)),
        shape.format(""),
        shape.format(", kwargs=None"),
    )


def test_an_entry_of_a_docstring() -> None:
    entry = "kwargs (`dict`, *optional*):\n    What it is."
    shape = '''
    class Foo:
        def call(self, a, return_dict=True, kwargs=None, last=1):
            r"""
            Args:
                a (`int`):
                    The first,
                    on two lines.
                return_dict (`bool`):
                    A dictionary.{}
                last (`int`): The last.

            Returns:
                Nothing.
            """
            return a
    '''
    lines = "\n                kwargs (`dict`, *optional*):\n                    What it is."
    check(
        lambda text: with_entry(text, "Foo", "call", entry, after=("return_dict",), before=()),
        shape.format(""),
        shape.format(lines),
    )
    check(
        lambda text: with_entry(text, "Foo", "call", entry, after=(), before=("last",)),
        shape.format(""),
        shape.format(lines),
    )
    plain = 'class Foo:\n    def call(self, a, kwargs):\n        """One line."""\n'
    assert with_entry(plain, "Foo", "call", entry, after=(), before=()) == plain


def test_a_keyword_of_some_calls() -> None:
    def calls(text: str) -> list[ast.Call]:
        found = (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call))
        return [node for node in found if ast.unparse(node.func) == "self.net"]

    check(
        lambda text: with_keyword(text, calls, "kwargs", "self.kwargs", before="return_dict"),
        """
        x = self.net(a, return_dict=False)[0]
        y = self.net(
            a=self.net(),
            b=é,  # why
            return_dict=False,
        )
        z = self.net(a, b=other(c))
        """,
        """
        x = self.net(a, kwargs=self.kwargs, return_dict=False)[0]
        y = self.net(
            a=self.net(kwargs=self.kwargs),
            b=é,  # why
            kwargs=self.kwargs,
            return_dict=False,
        )
        z = self.net(a, b=other(c), kwargs=self.kwargs)
        """,
    )


LONG = ", ".join(f"Name{number}" for number in range(13))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("from ...loaders import A, Z\n", "from ...loaders import A, Mixin, Z\n"),
        ("from ...loaders import (\n    A,\n    Z,\n)\n", "from ...loaders import (\n    A,\n    Mixin,\n    Z,\n)\n"),
        ("from ...loaders import A as B\n", "from ...loaders import A as B, Mixin\n"),
        (
            "from ...a import x\nfrom ..b import y\n",
            "from ...a import x\nfrom ...loaders import Mixin\nfrom ..b import y\n",
        ),
        ("from ...z import x\n", "from ...loaders import Mixin\nfrom ...z import x\n"),
        ("import torch\n", "import torch\n\nfrom ...loaders import Mixin\n"),
        ("# A licence.\n\nX = 1\n", "# A licence.\n\nfrom ...loaders import Mixin\n\nX = 1\n"),
        ("from ...loaders.x import Mixin\n", "from ...loaders.x import Mixin\n"),
    ],
)
def test_an_import_of_the_library(before: str, after: str) -> None:
    check(lambda text: with_import(text, "...loaders", "Mixin"), before, after)


def test_an_import_that_gets_too_long_is_wrapped() -> None:
    after = with_import(
        f"from ...loaders import {LONG}, {LONG.replace('Name', 'Other')}  # noqa\n", "...loaders", "Mixin"
    )
    assert after.startswith("from ...loaders import (\n    Mixin,\n    Name0,\n")
    assert after.endswith("    Other12,\n)  # noqa\n")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("from typing import Callable\n", "from typing import Any, Callable\n"),
        ("import math\n\nimport torch\n", "import math\nfrom typing import Any\n\nimport torch\n"),
        ("import torch\n", "from typing import Any\n\nimport torch\n"),
        (
            "import os\nfrom abc import ABC\nfrom urllib import x\n",
            "import os\nfrom abc import ABC\nfrom typing import Any\nfrom urllib import x\n",
        ),
    ],
)
def test_an_import_of_the_standard_library(before: str, after: str) -> None:
    check(lambda text: with_import(text, "typing", "Any"), before, after)


def test_an_import_that_goes() -> None:
    text = "from ..utils import (\n    A,\n    B,\n    C,\n)\n\nA, C\n"
    assert without_import(text, "..utils", "B") == "from ..utils import A, C\n\nA, C\n"
    assert without_import("from ..utils import B\nx = 1\n", "..utils", "B") == "x = 1\n"
    used = "from ..utils import B\nB\n"
    assert without_import(used, "..utils", "B") == used


def test_a_statement_and_a_property() -> None:
    def keeps(statement: ast.stmt) -> bool:
        return ast.unparse(statement).startswith("self._")

    shape = '''
    class Foo:
        def call(self, a):
            """What it does."""
            a = 1

            self._b = 2
            self._c = (
                3
            ){}

            self.d = 4
            self._e = 5
    '''
    check(
        lambda text: with_statement(text, "Foo", "call", "self._new = new", keeps),
        shape.format(""),
        shape.format("\n            self._new = new"),
    )
    check(
        lambda text: with_statement(text, "Foo", "call", "self._new = new", lambda _: False),
        'class Foo:\n    def call(self):\n        """What."""\n        return 1\n',
        'class Foo:\n    def call(self):\n        """What."""\n        self._new = new\n\n        return 1\n',
    )
    check(
        lambda text: with_property(text, "Foo", "new", before=("gone", "call")),
        "class Foo:\n    def a(self):\n        pass\n\n    # Why.\n    def call(self):\n        pass\n",
        "class Foo:\n    def a(self):\n        pass\n\n    @property\n    def new(self):\n        return self._new\n\n"
        "    # Why.\n    def call(self):\n        pass\n",
    )
