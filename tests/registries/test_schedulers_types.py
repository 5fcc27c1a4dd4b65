from __future__ import annotations

import registry_checks as checks

from scaffold_model.registries import schedulers_types
from scaffold_model.registries.base import Entry


def test_natural_order_of_modules() -> None:
    before = """\
_import_structure = {}
if TYPE_CHECKING or DIFFUSERS_SLOW_IMPORT:
    if is_torch_available():
        from .scheduling_bar2 import Bar2Scheduler
        from .scheduling_bar10 import Bar10Scheduler
"""
    after = before.replace(
        "        from .scheduling_bar10",
        "        from .scheduling_bar3 import Bar3Scheduler\n        from .scheduling_bar10",
    )
    entry = Entry("schedulers_types", "x", "Bar3Scheduler", "scheduling_bar3", backends=("torch",))
    checks.check(schedulers_types, before, entry, after)
