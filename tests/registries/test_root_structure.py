from __future__ import annotations

import registry_checks as checks

from scaffold_model.registries import root_structure
from scaffold_model.registries.base import Entry


def test_a_first_scheduler_of_a_backend_group() -> None:
    before = """\
_import_structure = {"schedulers": []}

try:
    if not (is_torch_available() and is_torchsde_available()):
        raise OptionalDependencyNotAvailable()
except OptionalDependencyNotAvailable:
    pass
else:
    _import_structure["schedulers"].extend(["CosineScheduler", "SDEScheduler"])
"""
    after = before.replace('["Cosine', '["BarSDEScheduler", "Cosine')
    entry = Entry("root_structure", "x", "BarSDEScheduler", "schedulers", backends=("torch", "torchsde"))
    checks.check(root_structure, before, entry, after)


def test_a_long_one_line_extension_breaks_inside_its_brackets() -> None:
    before = """\
_import_structure = {"schedulers": []}
if is_torch_available():
    _import_structure["schedulers"].extend(["CosineScheduler"])
"""
    after = """\
_import_structure = {"schedulers": []}
if is_torch_available():
    _import_structure["schedulers"].extend(
        [
            "CosineScheduler",
            "ZScheduler",
        ]
    )
"""
    entry = Entry("root_structure", "x", "ZScheduler", "schedulers", backends=("torch",), width=70)
    checks.check(root_structure, before, entry, after)
