"""Registration on real releases: the sources of one with the registries of the one before it."""

from __future__ import annotations

from types import ModuleType

import pytest
from conftest import load_tool

from scaffold_model.practice import NoRelease
from scaffold_model.registries.base import ROOT
from scaffold_model.snapshot import Snapshot


@pytest.fixture(scope="module")
def releases() -> ModuleType:
    return load_tool("releases")


@pytest.mark.parametrize(
    ("older", "newer", "registered", "noticed"),
    [
        ("0.29.0", "0.30.0", 42, 0),
        ("0.39.0", "0.40.0", 43, 0),
        ("0.40.0", "0.41.0", 12, 1),
        ("0.41.0", "0.42.1", 33, 0),
    ],
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


INIT = """\
_import_structure = {}

try:
    if not is_torch_available():
        raise OptionalDependencyNotAvailable()
except OptionalDependencyNotAvailable:
    pass
else:
    _import_structure["models"] = [TORCH_NAMES]

try:
    if not (is_torch_available() and is_transformers_available()):
        raise OptionalDependencyNotAvailable()
except OptionalDependencyNotAvailable:
    pass
else:
    _import_structure["models"].extend([BOTH_NAMES])
"""


def tree(torch: str, both: str = "", new: bool = True) -> Snapshot:
    names = {"TORCH_NAMES": torch, "BOTH_NAMES": both}
    init = INIT
    for place, listed in names.items():
        init = init.replace(place, ", ".join(f'"{name}"' for name in listed.split()))
    files = {
        f"{ROOT}/__init__.py": init,
        f"{ROOT}/models/modeling_utils.py": "class ModelMixin:\n    pass\n",
        f"{ROOT}/models/old.py": "class OldModel(ModelMixin):\n    pass\n",
    }
    if new:
        files[f"{ROOT}/models/new.py"] = "class NewModel(ModelMixin):\n    pass\n"
    return Snapshot(None, files)


@pytest.mark.parametrize(
    ("made", "notices", "expected"),
    [
        (tree("NewModel OldModel"), [], {}),
        (tree("OldModel"), [], {"missing": ["NewModel"]}),
        (tree("OldModel"), ["models/new.py: NewModel is undecided"], {"noticed": ["NewModel"]}),
        (tree("NewModel OldModel Another"), [], {"extra": ["Another"]}),
        (
            tree("OldModel", "NewModel"),
            [],
            {
                "wrong": [
                    f"root_structure: has ('NewModel', 'models', '', ('torch', 'transformers')) in {ROOT}/__init__.py",
                    f"root_structure: lacks ('NewModel', 'models', '', ('torch',)) in {ROOT}/__init__.py",
                ]
            },
        ),
    ],
)
def test_what_is_not_as_in_the_release_is_seen(
    releases: ModuleType, made: Snapshot, notices: list[str], expected: dict[str, list[str]]
) -> None:
    pair = releases.Pair("1", "2")
    releases.judge(pair, tree("OldModel", new=False), tree("NewModel OldModel"), made, notices)
    seen = {label: getattr(pair, label) for label in ("noticed", "missing", "wrong", "extra") if getattr(pair, label)}
    assert seen == expected
    assert pair.is_right == (not set(expected) - {"noticed"})
