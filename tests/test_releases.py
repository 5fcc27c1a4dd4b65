"""Registration on real releases: the sources of one with the registries of the one before it."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType

import pytest
from conftest import ROOT

from scaffold_model.practice import NoRelease


@pytest.fixture(scope="module")
def releases() -> ModuleType:
    spec = importlib.util.spec_from_file_location("releases", ROOT / "tools" / "releases.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["releases"] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("older", "newer", "registered", "noticed"),
    [("0.39.0", "0.40.0", 41, 0), ("0.40.0", "0.41.0", 9, 1), ("0.41.0", "0.42.1", 32, 0)],
)
def test_what_a_release_adds_is_registered_as_in_the_release(
    releases: ModuleType, older: str, newer: str, registered: int, noticed: int
) -> None:
    try:
        pair = releases.compare(older, newer)
    except NoRelease as error:
        pytest.skip(f"a release can not be had: {error.message}")
    assert pair.is_right, pair
    assert (len(pair.registered), len(pair.noticed)) == (registered, noticed), pair
