"""Defects, each made alone in a clone in memory, for families of different shapes."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from scaffold_model.registries import OPTIONAL, REGISTRIES
from scaffold_model.snapshot import Snapshot

REGISTRY = {registry.NAME: registry for registry in (*REGISTRIES, *OPTIONAL)}
ROOT = "src/diffusers/__init__.py"
TOCTREE = "docs/source/en/_toctree.yml"
MAPPING = "src/diffusers/modular_pipelines/modular_pipeline.py"
SINGLE_FILE = "src/diffusers/loaders/single_file_model.py"
DUMMIES = "src/diffusers/utils/dummy_torch_and_transformers_objects.py"


@dataclass(frozen=True)
class Family:
    """One family of diffusers, by the names of its parts."""

    name: str
    model: str
    pipeline: str
    modular: str
    blocks: str
    lora: str
    model_page: str
    model_test: str
    pipeline_tests: str
    source: str


FLUX = Family(
    "flux",
    "FluxTransformer2DModel",
    "FluxFillPipeline",
    "FluxKontextModularPipeline",
    "FluxKontextAutoBlocks",
    "FluxLoraLoaderMixin",
    "api/models/flux_transformer",
    "tests/models/transformers/test_models_transformer_flux.py",
    "tests/pipelines/flux",
    "src/diffusers/models/transformers/transformer_flux.py",
)
LTX2 = Family(
    "ltx2",
    "LTX2VideoTransformer3DModel",
    "LTX2Pipeline",
    "LTX2ModularPipeline",
    "LTX2AutoBlocks",
    "LTX2LoraLoaderMixin",
    "api/models/ltx2_video_transformer3d",
    "tests/models/transformers/test_models_transformer_ltx2.py",
    "tests/pipelines/ltx2",
    "src/diffusers/models/transformers/transformer_ltx2.py",
)
WAN = Family(
    "wan",
    "WanTransformer3DModel",
    "WanPipeline",
    "WanModularPipeline",
    "WanBlocks",
    "WanLoraLoaderMixin",
    "api/models/wan_transformer_3d",
    "tests/models/transformers/test_models_transformer_wan.py",
    "tests/pipelines/wan",
    "src/diffusers/models/transformers/transformer_wan.py",
)
FAMILIES = (FLUX, LTX2, WAN)

# What a finding must be: registry, object, path, severity, fixable.
Expected = tuple[str, str, str, str, bool]


@dataclass(frozen=True)
class Defect:
    """Texts that differ, files that are gone, and exactly what must be found."""

    texts: Mapping[str, str]
    expected: frozenset[Expected]
    absent: frozenset[str] = frozenset()
    line: int | None = field(default=None)


def one(registry: str, object_name: str, path: str, severity: str, fixable: bool) -> frozenset[Expected]:
    return frozenset({(registry, object_name, path, severity, fixable)})


def read(snapshot: Snapshot, path: str) -> str:
    text = snapshot.read(path)
    assert text is not None, path
    return text


def replaced(text: str, old: str, new: str, count: int = 1) -> str:
    """``text`` with ``old`` replaced; it must be there that often."""
    assert text.count(old) == count, (old, text.count(old))
    return text.replace(old, new)


def halves(text: str) -> tuple[str, str]:
    """An init module before and from its TYPE_CHECKING half."""
    head, mark, tail = text.partition("\nif TYPE_CHECKING")
    assert mark
    return head, mark + tail


def in_half(text: str, half: str, change: Callable[[str], str]) -> str:
    head, tail = halves(text)
    return change(head) + tail if half == "structure" else head + change(tail)


# Defects that are no omission --------------------------------------------------------------------------------------


def duplicate(snapshot: Snapshot, family: Family) -> Defect:
    row = f'            "{family.model}",\n'
    text = replaced(read(snapshot, ROOT), row, row * 2)
    return Defect({ROOT: text}, one("root_structure", family.model, ROOT, "warning", True))


def out_of_order_structure(snapshot: Snapshot, family: Family) -> Defect:
    text = read(snapshot, ROOT)
    row = f'            "{family.model}",\n'
    text = replaced(text, row, "")
    text = replaced(
        text, '            "AllegroTransformer3DModel",\n', f'            "AllegroTransformer3DModel",\n{row}'
    )
    return Defect({ROOT: text}, one("root_structure", family.model, ROOT, "warning", True))


def out_of_order_types(snapshot: Snapshot, family: Family) -> Defect:
    path = "src/diffusers/models/__init__.py"
    row = f"            {family.model},\n"
    text = in_half(read(snapshot, path), "types", lambda half: replaced(half, row, ""))
    anchor = "            AllegroTransformer3DModel,\n"
    text = in_half(text, "types", lambda half: replaced(half, anchor, anchor + row))
    return Defect({path: text}, one("models_types", family.model, path, "warning", True))


def out_of_order_toctree(snapshot: Snapshot, family: Family) -> Defect:
    text = read(snapshot, TOCTREE)
    match = re.search(rf"^( *)- local: {family.model_page}\n.*\n", text, re.MULTILINE)
    assert match is not None
    text = text.replace(match[0], "")
    near = match.start()
    # At the top of its section, where the titles begin with an A.
    block_start = text.rfind("sections:\n", 0, near) + len("sections:\n")
    text = text[:block_start] + match[0] + text[block_start:]
    return Defect({TOCTREE: text}, one("toctree", family.model_page, TOCTREE, "warning", True))


def out_of_order_dummy(snapshot: Snapshot, family: Family) -> Defect:
    text = read(snapshot, DUMMIES)
    match = re.search(rf"^class {family.pipeline}\(.*?(?=^class )", text, re.MULTILINE | re.DOTALL)
    assert match is not None
    text = text.replace(match[0], "")
    first = text.index("\nclass ") + 1
    text = text[:first] + match[0] + text[first:]
    return Defect({DUMMIES: text}, one("dummy_objects", family.pipeline, DUMMIES, "warning", True))


def wrong_group(snapshot: Snapshot, family: Family) -> Defect:
    """The pipeline among those of the root that need no transformers."""
    row = f"            {family.pipeline},\n"
    text = in_half(read(snapshot, ROOT), "types", lambda half: replaced(half, row, ""))
    anchor = "            DDPMPipeline,\n"
    text = in_half(text, "types", lambda half: replaced(half, anchor, anchor + row))
    return Defect({ROOT: text}, one("root_types", family.pipeline, ROOT, "warning", True))


def dummy_in_wrong_group(snapshot: Snapshot, family: Family) -> Defect:
    text = read(snapshot, DUMMIES)
    match = re.search(rf"^class {family.pipeline}\(.*?(?=^class )", text, re.MULTILINE | re.DOTALL)
    assert match is not None
    other = "src/diffusers/utils/dummy_pt_objects.py"
    moved = read(snapshot, other) + "\n\n" + match[0].rstrip("\n") + "\n"
    texts = {DUMMIES: text.replace(match[0], ""), other: moved}
    return Defect(texts, one("dummy_objects", family.pipeline, other, "warning", True))


def stale_dummy(snapshot: Snapshot, family: Family) -> Defect:
    text = read(snapshot, DUMMIES)
    gone = f"Old{family.pipeline}"
    block = f'\n\nclass {gone}(metaclass=DummyObject):\n    _backends = ["torch", "transformers"]\n'
    return Defect({DUMMIES: text + block}, one("dummy_objects", gone, DUMMIES, "error", True))


def toctree_without_page(snapshot: Snapshot, family: Family) -> Defect:
    text = read(snapshot, TOCTREE)
    match = re.search(r"^( *)- local: api/pipelines/z_image\n", text, re.MULTILINE)
    assert match is not None
    title = re.search(r"title: (.*)", text[match.end() :])
    assert title is not None
    local = f"api/pipelines/zz_{family.name}"
    item = f"{match[1]}- local: {local}\n{match[1]}  title: {title[1]}\n"
    text = text[: match.start()] + item + text[match.start() :]
    return Defect({TOCTREE: text}, one("toctree", local, TOCTREE, "error", True))


def page_missing(snapshot: Snapshot, family: Family) -> Defect:
    """The page of the model is gone: the table of contents points nowhere, and nothing documents the class."""
    page = f"docs/source/en/{family.model_page}.md"
    expected = {
        ("toctree", family.model_page, TOCTREE, "error", False),
        ("docs", family.model, family.source, "warning", False),
    }
    return Defect({}, frozenset(expected), frozenset({page}))


def page_without_autodoc(snapshot: Snapshot, family: Family) -> Defect:
    page = f"docs/source/en/{family.model_page}.md"
    text = replaced(read(snapshot, page), f"[[autodoc]] {family.model}\n", "")
    return Defect({page: text}, one("docs", family.model, family.source, "warning", False))


def toctree_missing(snapshot: Snapshot, family: Family) -> Defect:
    text = read(snapshot, TOCTREE)
    match = re.search(rf"^ *- local: {family.model_page}\n.*\n", text, re.MULTILINE)
    assert match is not None
    line = text.count("\n", 0, match.start()) + 1
    expected = one("toctree", family.model_page, TOCTREE, "warning", True)
    return Defect({TOCTREE: text.replace(match[0], "")}, expected, line=line)


def model_test_missing(snapshot: Snapshot, family: Family) -> Defect:
    expected = one("tests", family.model, family.source, "warning", False)
    return Defect({}, expected, frozenset({family.model_test}))


def single_file_missing(snapshot: Snapshot, family: Family) -> Defect:
    text = read(snapshot, SINGLE_FILE)
    match = re.search(rf'^    "{family.model}": {{\n.*?^    }},\n', text, re.MULTILINE | re.DOTALL)
    assert match is not None
    expected = one("single_file", family.model, family.source, "hint", False)
    return Defect({SINGLE_FILE: text.replace(match[0], "")}, expected)


def unfilled_stub(snapshot: Snapshot, family: Family) -> Defect:
    stub = (
        "\n\n# Copied from diffusers.pipelines.flux.pipeline_flux.calculate_shift\ndef calculate_shift_again(): ...\n"
    )
    text = read(snapshot, family.source) + stub
    return Defect({family.source: text}, one("copied_from", "calculate_shift_again", family.source, "error", False))


def mark_left(snapshot: Snapshot, family: Family) -> Defect:
    text = read(snapshot, family.source) + f"\n\n# TODO({family.name}): port this\n# TODO(somebody): and that\n"
    return Defect({family.source: text}, one("todo", family.name, family.source, "hint", False))


DEFECTS = (
    duplicate,
    out_of_order_structure,
    out_of_order_types,
    out_of_order_toctree,
    out_of_order_dummy,
    wrong_group,
    dummy_in_wrong_group,
    stale_dummy,
    toctree_without_page,
    toctree_missing,
    page_missing,
    page_without_autodoc,
    model_test_missing,
    single_file_missing,
    unfilled_stub,
    mark_left,
)
