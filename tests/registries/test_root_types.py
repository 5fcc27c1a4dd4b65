from __future__ import annotations

import registry_checks as checks

from scaffold_model.registries import root_types
from scaffold_model.registries.base import Entry


def test_an_area_that_the_group_does_not_import_yet() -> None:
    before = """\
_import_structure = {}
if TYPE_CHECKING or DIFFUSERS_SLOW_IMPORT:
    try:
        if not is_torch_available():
            raise OptionalDependencyNotAvailable()
    except OptionalDependencyNotAvailable:
        from .utils.dummy_pt_objects import *
    else:
        from .models import BarModel
        from .training_utils import EMAModel
"""
    after = before.replace("        from .train", "        from .schedulers import FooScheduler\n        from .train")
    entry = Entry("root_types", "x", "FooScheduler", "schedulers", backends=("torch",))
    checks.check(root_types, before, entry, after)
