from __future__ import annotations

import registry_checks as checks

from scaffold_model.registries import auto_pipeline
from scaffold_model.registries.base import Entry

BEFORE = """\
from collections import OrderedDict

from ..utils import is_sentencepiece_available
from .bar import BarPipeline


AUTO_TEXT2IMAGE_PIPELINES_MAPPING = OrderedDict(
    [
        ("bar", BarPipeline),
    ]
)

AUTO_INPAINT_PIPELINES_MAPPING = OrderedDict(
    [
        ("bar", BarPipeline),
    ]
)
"""


def test_a_task_of_a_package_that_is_imported_already() -> None:
    entry = Entry(
        "auto_pipeline", "x", "BarInpaintPipeline", "AUTO_INPAINT_PIPELINES_MAPPING", "bar-xl", order=("bar",)
    )
    head, tail = BEFORE.split("AUTO_INPAINT")
    after = head.replace("import BarPipeline", "import BarInpaintPipeline, BarPipeline") + "AUTO_INPAINT"
    after += tail.replace("    ]", '        ("bar-xl", BarInpaintPipeline),\n    ]')
    checks.check(auto_pipeline, BEFORE, entry, after)
