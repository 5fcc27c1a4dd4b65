"""The examples in docstrings of the mapping hold."""

from __future__ import annotations

import doctest

import pytest

from scaffold_model.parity import map_report
from scaffold_model.parity.running.mapping import indices, names, pieces


@pytest.mark.parametrize("module", [indices, names, pieces, map_report], ids=lambda module: module.__name__)
def test_examples(module: object) -> None:
    result = doctest.testmod(module)
    assert (result.failed, result.attempted > 0) == (0, True)
