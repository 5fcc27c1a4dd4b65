from __future__ import annotations

import pytest
import registry_checks as checks

from scaffold_model.errors import AnchorNotFound
from scaffold_model.registries import schedulers_structure
from scaffold_model.registries.base import Entry


def test_the_suite_of_the_backends_is_found() -> None:
    before = """\
_import_structure = {}

try:
    if not is_torch_available():
        raise OptionalDependencyNotAvailable()
except OptionalDependencyNotAvailable:
    pass
else:
    _import_structure["scheduling_bar"] = ["BarScheduler"]

try:
    if not (is_torch_available() and is_torchsde_available()):
        raise OptionalDependencyNotAvailable()
except OptionalDependencyNotAvailable:
    pass
else:
    _import_structure["scheduling_sde"] = ["SDEScheduler"]
"""
    row = '    _import_structure["scheduling_foo_sde"] = ["FooSDEScheduler"]\n'
    after = before.replace('    _import_structure["scheduling_sde"]', row + '    _import_structure["scheduling_sde"]')
    entry = Entry("schedulers_structure", "x", "FooSDEScheduler", "scheduling_foo_sde", backends=("torch", "torchsde"))
    checks.check(schedulers_structure, before, entry, after)


def test_a_missing_suite_is_an_error_that_names_it() -> None:
    entry = Entry(
        "schedulers_structure", "schedulers/__init__.py", "FooScheduler", "foo", backends=("torch", "torchsde")
    )
    with pytest.raises(AnchorNotFound) as caught:
        schedulers_structure.insert("_import_structure = {}\n", entry)
    assert caught.value.path == "schedulers/__init__.py"
    assert "is_torch_available() and is_torchsde_available()" in caught.value.line
