from __future__ import annotations

import pytest
import registry_checks as checks

from scaffold_model.conventions import detect
from scaffold_model.plan import Export
from scaffold_model.questions import TASK_NAMES
from scaffold_model.registries import auto_pipeline
from scaffold_model.registries.base import Entry
from scaffold_model.snapshot import Snapshot

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


# What a pipeline tells of its modality.
SIGNS = {
    "i": "",
    "v": "from ...video_processor import VideoProcessor\n",
    "a": "return AudioPipelineOutput(audios=audio)\n",
}


@pytest.mark.parametrize("task", TASK_NAMES)
def test_each_task_has_its_mapping(task: str) -> None:
    suffix, infix, _ = TASK_NAMES[task]
    mapping = auto_pipeline.MAPPINGS[task]
    name = f"Foo{infix}Pipeline"
    path = f"src/diffusers/pipelines/foo/pipeline_foo{suffix}.py"
    modality = "i" if task == "inpaint" else task[-1]
    others = "".join(f"{each} = OrderedDict([])\n" for each in auto_pipeline.MAPPINGS.values())
    source = f"{SIGNS[modality]}class {name}(DiffusionPipeline):\n    def __call__(\n        self,\n        prompt: str,\n    ):\n"
    snapshot = Snapshot(None, {auto_pipeline.PATH: others, path: source})
    export = Export(name, path, "pipeline", ("torch", "transformers"))
    (entry,) = auto_pipeline.entries(export, detect(snapshot), snapshot)
    assert (entry.text_key, entry.value, entry.object) == (mapping, "foo", name)


def test_a_checkout_may_lack_the_mapping_of_a_task() -> None:
    assert auto_pipeline.unmapped(BEFORE, TASK_NAMES) == ["i2i", "t2v", "i2v", "v2v", "t2a"]
    assert auto_pipeline.unmapped(BEFORE, ["t2i", "inpaint"]) == []


GUARDED = (
    BEFORE.replace('        ("bar", BarPipeline),\n    ]\n)\n\nAUTO_INP', "    ]\n)\n\nAUTO_INP")
    + """
if is_sentencepiece_available():
    from .bar import BarImg2ImgPipeline, BarPipeline

    AUTO_TEXT2IMAGE_PIPELINES_MAPPING["bar"] = BarPipeline
    AUTO_IMAGE2IMAGE_PIPELINES_MAPPING["bar"] = BarImg2ImgPipeline

SUPPORTED_TASKS_MAPPINGS = [AUTO_TEXT2IMAGE_PIPELINES_MAPPING]
"""
)


def test_a_class_that_asks_for_more_is_assigned_where_its_backend_is_there() -> None:
    entry = Entry(
        *("auto_pipeline", "x", "BarPAGPipeline", "AUTO_TEXT2IMAGE_PIPELINES_MAPPING", "bar-pag"),
        backends=("sentencepiece",),
        order=("pag",),
    )
    first = '    AUTO_TEXT2IMAGE_PIPELINES_MAPPING["bar"] = BarPipeline\n'
    last = "import BarImg2ImgPipeline, BarPipeline\n"
    after = GUARDED.replace(first, first + first.replace("bar", "bar-pag").replace("BarP", "BarPAGP"))
    checks.check(auto_pipeline, GUARDED, entry, after.replace(last, f"{last}    from .pag import BarPAGPipeline\n"))


def test_what_asks_for_more_is_not_offered_where_nothing_guards_it() -> None:
    path = "src/diffusers/pipelines/pag/pipeline_pag_bar.py"
    pipeline = (
        "class BarPAGPipeline(DiffusionPipeline):\n    def __call__(\n        self,\n        prompt: str,\n    ):\n"
    )
    export = Export("BarPAGPipeline", path, "pipeline", ("torch", "transformers", "sentencepiece"))
    found = []
    for source in (BEFORE, GUARDED):
        snapshot = Snapshot(None, {auto_pipeline.PATH: source, path: pipeline})
        found.append([(e.value, e.backends) for e in auto_pipeline.entries(export, detect(snapshot), snapshot)])
    assert found == [[], [("bar-pag", ("sentencepiece",))]]
