from __future__ import annotations

from scaffold_model.older.hints import with_typing

TODAY = '''\
"""A module."""

from collections.abc import Callable
from typing import Any

import torch


class Model:
    """
    Args:
        sizes (`list[int]`): Sizes, out of `sizes[0]`.

    Returns:
        `tuple[torch.Tensor, torch.Tensor | None]`
    """

    def forward(self, x: str | list[str] | None = None, y: None | int = None, z: "Model" = 3) -> Output | tuple[int]:
        table: dict[str, str | tuple[Callable, list[str]]] = {}
        flags = x | y
        hint = InputParam("image", type_hint=Image | list[Image], required=a | b)
        return dict(zip(x, y, strict=True))
'''

OLDER = '''\
"""A module."""

from collections.abc import Callable
from typing import Any, Dict, List, Optional, Tuple, Union

import torch


class Model:
    """
    Args:
        sizes (`List[int]`): Sizes, out of `sizes[0]`.

    Returns:
        `Tuple[torch.Tensor, Optional[torch.Tensor]]`
    """

    def forward(self, x: Optional[Union[str, List[str]]] = None, y: Optional[int] = None, z: "Model" = 3) -> Union[Output, Tuple[int]]:
        table: Dict[str, Union[str, Tuple[Callable, List[str]]]] = {}
        flags = x | y
        hint = InputParam("image", type_hint=Union[Image, List[Image]], required=a | b)
        return dict(zip(x, y))
'''


def test_hints_and_the_types_that_docstrings_quote() -> None:
    assert with_typing(TODAY) == OLDER
    assert with_typing(OLDER) == OLDER


def test_the_import_goes_below_the_docstring() -> None:
    assert with_typing('"""Text."""\n\nimport os\n\nx: list[int] = []\n') == (
        '"""Text."""\nfrom typing import List\n\nimport os\n\nx: List[int] = []\n'
    )


def test_a_module_without_such_hints() -> None:
    text = "import torch\n\n\ndef run(x: torch.Tensor, y=1 | 2):\n    return x[0]\n"
    assert with_typing(text) == text
