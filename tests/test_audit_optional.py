"""The optional registries: names in vain are found and taken out; a gap is one only for what is new."""

from __future__ import annotations

from pathlib import Path

import pytest

from scaffold_model.audit import Problem, View, audit_view, new_since
from scaffold_model.audit.fixing import fix
from scaffold_model.plan import Finding
from scaffold_model.registries import auto_pipeline, docs_overview, hook_calls, lora_docs, peft_scale
from scaffold_model.snapshot import Snapshot

OVERVIEW = "| Pipeline | Tasks |\n|---|---|\n| [Flux](flux) | text2image |\n| [Gone](gone) | text2image |\n"
NEW_PIPELINE = '''\
class BrandNewPipeline(DiffusionPipeline):
    def __call__(self, prompt=None, image=None):
        """Makes an image of an image: image-to-image."""
'''

NEW_MODEL = """\
class BrandNewBlock(nn.Module):
    def forward(self, hidden_states):
        return hidden_states


class BrandNewModel(ModelMixin):
    def __init__(self):
        self.block = BrandNewBlock()
"""


@pytest.fixture(scope="module")
def untouched(pristine: Path) -> tuple[Snapshot, list[Problem]]:
    snapshot = Snapshot(pristine)
    return snapshot, audit_view(View(snapshot))


def fresh(
    untouched: tuple[Snapshot, list[Problem]], texts: dict[str, str]
) -> tuple[list[Finding], list[Finding], str]:
    """What is found of ``texts`` alone, what remains after a fix, and the first of the texts then."""
    snapshot, before = untouched
    edited = snapshot.overlaid(texts)
    problems = new_since(audit_view(View(edited)), before)
    plan, left = fix(edited, problems, lambda after: new_since(audit_view(View(after)), before))
    path = next(iter(texts))
    return [each.finding for each in problems], [each.finding for each in left], plan.overlay().get(path, texts[path])


def test_the_untouched_tree_names_nothing_in_vain(untouched: tuple[Snapshot, list[Problem]]) -> None:
    optional = {"auto_pipeline", "hooks_blocks", "hooks_processors", "peft_scale", "docs_overview", "lora_docs"}
    assert [each.finding for each in untouched[1] if each.finding.registry in optional] == []


def test_a_class_that_auto_pipeline_can_not_import_is_an_error_at_each_key(
    untouched: tuple[Snapshot, list[Problem]],
) -> None:
    path = auto_pipeline.PATH
    text = untouched[0].read(path) or ""
    gone = text.replace("ChromaPipeline", "ChromaGonePipeline")
    found, left, fixed = fresh(untouched, {path: gone})
    lines = [number for number, row in enumerate(gone.split("\n"), 1) if "ChromaGone" in row and "import" not in row]
    message = "ChromaGonePipeline is listed, but src/diffusers/pipelines/chroma does not define it: importing the module fails"
    assert found == [
        Finding("auto_pipeline", "ChromaGonePipeline", path, line, message, "error", True) for line in lines
    ]
    assert left == []
    assert fixed == "".join(row for row in text.splitlines(keepends=True) if "ChromaPipeline" not in row)


def test_a_class_that_auto_pipeline_does_not_import_is_an_error(untouched: tuple[Snapshot, list[Problem]]) -> None:
    path = auto_pipeline.PATH
    text = (untouched[0].read(path) or "").replace("from .chroma import ChromaPipeline\n", "")
    found, _, _ = fresh(untouched, {path: text})
    assert {(each.object, each.severity) for each in found} == {("ChromaPipeline", "error")}
    assert "nothing here imports or defines it" in found[0].message


def test_a_block_that_the_hooks_can_not_import_is_an_error(untouched: tuple[Snapshot, list[Problem]]) -> None:
    path = hook_calls.PATH
    text = untouched[0].read(path) or ""
    found, left, fixed = fresh(untouched, {path: text.replace("MochiTransformerBlock", "MochiGoneBlock")})
    assert [(each.registry, each.object, each.severity) for each in found] == [
        ("hooks_blocks", "MochiGoneBlock", "error")
    ]
    assert left == []
    assert "MochiGoneBlock" not in fixed
    assert "transformer_mochi" not in fixed


def test_names_in_texts_that_import_nothing_are_warnings(untouched: tuple[Snapshot, list[Problem]]) -> None:
    lora = f"{untouched[0].read(lora_docs.PATH)}\n## OldLoraLoaderMixin\n\n[[autodoc]] loaders.lora_pipeline.OldLoraLoaderMixin\n"
    peft = (untouched[0].read(peft_scale.PATH) or "").replace('"UNetMotionModel":', '"GoneModel":')
    texts = {docs_overview.PATH: OVERVIEW, lora_docs.PATH: lora, peft_scale.PATH: peft}
    found, left, fixed = fresh(untouched, texts)
    assert [(each.registry, each.object, each.message) for each in found if each.severity == "warning"] == [
        ("lora_docs", "OldLoraLoaderMixin", "OldLoraLoaderMixin is listed, but nothing defines it"),
        ("docs_overview", "gone", "gone is listed, but there is no docs/source/en/api/pipelines/gone.md"),
        ("peft_scale", "GoneModel", "GoneModel is listed, but nothing defines it"),
    ]
    assert left == []
    assert fixed == OVERVIEW.replace("| [Gone](gone) | text2image |\n", "")


def test_a_gap_is_a_hint_for_what_is_new_alone(untouched: tuple[Snapshot, list[Problem]]) -> None:
    snapshot, before = untouched
    path = "src/diffusers/pipelines/brandnew/pipeline_brandnew.py"
    found = new_since(audit_view(View(snapshot.overlaid({path: NEW_PIPELINE}))), before)
    message = (
        "BrandNewPipeline may be listed in src/diffusers/pipelines/auto_pipeline.py too; "
        "`scaffold-model register --also auto_pipeline` adds that"
    )
    hints = {each.finding for each in found if each.finding.registry == "auto_pipeline"}
    assert hints == {Finding("auto_pipeline", "BrandNewPipeline", path, 1, message, "hint", False)}


def test_optional_registries_that_do_not_parse_are_findings(untouched: tuple[Snapshot, list[Problem]]) -> None:
    snapshot, before = untouched
    texts = {path: f"{snapshot.read(path)}\n(  # BrandNewBlock\n" for path in (hook_calls.PATH, peft_scale.PATH)}
    texts["src/diffusers/models/transformers/transformer_brandnew.py"] = NEW_MODEL
    found = new_since(audit_view(View(snapshot.overlaid(texts))), before)
    syntax = [each.finding for each in found if each.finding.registry == "syntax"]
    assert [(each.path, each.severity) for each in syntax] == [(path, "error") for path in sorted(texts)[:2]]
