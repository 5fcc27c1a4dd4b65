"""The integration checklist of diffusers' own guide for one model: each line ticked or not, with what shows it.

A line is ticked (True), open (False), or does not apply or can not be seen from the files (None).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from ..code import toc
from ..plan import Export, Finding
from ..registries import toctree
from ..registries.base import ROOT, area
from . import guidelines
from .coverage import tested_classes
from .docs import documentable, is_configured
from .family import Family
from .mappings import SINGLE_FILE
from .problem import Problem
from .view import DOCS, View

_PLACES = {
    "model": f"{ROOT}/models/__init__.py",
    "scheduler": f"{ROOT}/schedulers/__init__.py",
    "pipeline": f"{ROOT}/pipelines/__init__.py",
    "modular pipeline": f"{ROOT}/modular_pipelines/__init__.py",
    "blocks": f"{ROOT}/modular_pipelines/__init__.py",
}
_REGISTERING = ("_structure", "_types", "models_package", "dummy_objects", "modular_mapping")


@dataclass(frozen=True)
class Line:
    """One line of the checklist.

    Attributes:
        part: Transformer model, VAE, Scheduler, Pipeline, Docs or Style.
        item: What the guide asks for.
        done: Ticked, open, or None.
        path: The file that shows it.
        note: More, in words.
    """

    part: str
    item: str
    done: bool | None
    path: str | None = None
    note: str = ""


def checklist(view: View, family: Family, problems: Sequence[Problem]) -> list[Line]:
    """The checklist of a model; ``problems`` are those of the model."""
    findings = [each.finding for each in problems]
    models = [export for export in family.of_kind("model") if is_configured(view, export.name)]
    vaes = [export for export in models if "/autoencoders/" in export.path]
    others = [export for export in models if export not in vaes]
    return [
        *_models(view, family, others, findings),
        *_vae(view, family, vaes, findings),
        *_scheduler(view, family, findings),
        *_pipelines(view, family, findings),
        *_docs(view, family),
        *_style(family, findings),
    ]


def _models(view: View, family: Family, models: list[Export], findings: list[Finding]) -> Iterator[Line]:
    part = "Transformer model"
    if not models:
        used = [name for key, name in family.components.items() if key in ("transformer", "unet", "prior")]
        if used:
            yield Line(part, "reuses an existing model", True, view.exports[used[0]].path, used[0])
        else:
            yield Line(part, "implement the model", False, None, "no model of this name was found")
        return
    for model in models:
        loads = {"ModelMixin", "ConfigMixin"} <= view.scanner.ancestors(model.name)
        item = f"implement {model.name} with from_pretrained support"
        yield Line(part, item, loads, model.path, "" if loads else "it lacks ModelMixin or ConfigMixin")
    yield from _shared(view, family, part, models, findings)


def _shared(view: View, family: Family, part: str, models: list[Export], findings: list[Finding]) -> Iterator[Line]:
    """The steps that a transformer and an autoencoder of one's own have in common."""
    yield from _advised(part, guidelines.of_models(view, models))
    yield _conversion(view, family, part)
    yield _parity(view, family, part)
    yield _registered(part, models, findings)
    yield from _tested(view, part, models, "model-level")


def _advised(part: str, advice: Iterable[guidelines.Advice]) -> Iterator[Line]:
    return (Line(part, each.item, each.done, each.path, each.note) for each in advice)


def _conversion(view: View, family: Family, part: str) -> Line:
    names = [file for file in view.snapshot.files("scripts") if file.startswith("convert_") and family.name in file]
    own = f"convert_{family.name}_to_diffusers.py"
    if names:
        return Line(part, "convert weights", True, f"scripts/{own if own in names else names[0]}")
    loadable = view.text(SINGLE_FILE)
    if any(f'"{export.name}"' in loadable for export in family.of_kind("model")):
        return Line(part, "convert weights", True, SINGLE_FILE, "from a single file")
    return Line(part, "convert weights", False, None, f"there is no scripts/{own}")


def _parity(view: View, family: Family, part: str) -> Line:
    item = "parity test against the reference (internal, not shipped)"
    harness = f"{family.state}/parity.py" if family.state else None
    if harness and view.snapshot.exists(harness):
        return Line(part, item, None, harness, "the harness is there; whether it passed is not recorded")
    return Line(part, item, None, None, "never shipped, so nothing here can show it")


def _vae(view: View, family: Family, vaes: list[Export], findings: list[Finding]) -> Iterator[Line]:
    part = "VAE"
    if vaes:
        for vae in vaes:
            yield Line(part, f"implement {vae.name}", True, vae.path)
        yield from _shared(view, family, part, vaes, findings)
        return
    used = [name for key, name in family.components.items() if "vae" in key]
    if used:
        yield Line(part, f"reuses {used[0]}", True, view.exports[used[0]].path)
    else:
        yield Line(part, "none", None, None, "the pipelines take no VAE")


def _scheduler(view: View, family: Family, findings: list[Finding]) -> Iterator[Line]:
    part = "Scheduler"
    own = family.of_kind("scheduler")
    if own:
        for scheduler in own:
            yield Line(part, f"add {scheduler.name}", True, scheduler.path)
        yield _registered(part, own, findings)
        yield from _tested(view, part, own, "scheduler")
        return
    used = [name for name in family.components.values() if view.exports[name].kind == "scheduler"]
    if used:
        yield Line(part, f"reuses {used[0]}", True, view.exports[used[0]].path)
    else:
        yield Line(part, "none", None, None, "the pipelines name no scheduler class")


def _pipelines(view: View, family: Family, findings: list[Finding]) -> Iterator[Line]:
    part = "Pipeline"
    own = family.of_kind("pipeline", "modular pipeline")
    if not own:
        yield Line(part, "implement the pipeline", False, None, "no pipeline of this name was found")
        return
    for pipeline in own:
        yield Line(part, f"implement {pipeline.name}", True, pipeline.path)
    yield from _advised(part, guidelines.of_pipelines(view, own))
    mixins = family.of_kind("LoRA mixin")
    if mixins:
        for mixin in mixins:
            open_ = [each for each in findings if each.object == mixin.name and each.severity != "hint"]
            note = open_[0].message if open_ else ""
            path = open_[0].path if open_ else mixin.path
            yield Line(part, f"LoRA mixin {mixin.name}", not open_, path, note)
    else:
        yield Line(part, "LoRA mixin, if applicable", None, None, "no pipeline has one")
    yield _registered(part, [*own, *family.of_kind("blocks")], findings)
    yield from _tested(view, part, own, "pipeline-level")


def _registered(part: str, exports: list[Export], findings: list[Finding]) -> Line:
    names = {export.name for export in exports}
    keys = {each.object for each in findings if each.registry == "modular_mapping"}
    blocking = [
        each
        for each in findings
        if (each.object in names or (each.object in keys and part == "Pipeline"))
        and each.registry.endswith(_REGISTERING)
        and each.severity == "error"
    ]
    item = "register in the __init__.py files"
    if blocking:
        return Line(part, item, False, blocking[0].path, blocking[0].message)
    return Line(part, item, True, _PLACES[exports[0].kind])


def _tested(view: View, part: str, exports: list[Export], what: str) -> Iterator[Line]:
    if not view.snapshot.folders("tests"):
        yield Line(part, f"{what} tests", None, None, "this checkout has no tests")
        return
    for folder in dict.fromkeys(area(export) for export in exports):
        tested = tested_classes(view, folder)
        for export in exports:
            if area(export) == folder:
                path = tested.get(export.name)
                note = "" if path else f"nothing in tests/{folder} uses it"
                yield Line(part, f"{what} tests of {export.name}", path is not None, path, note)


def _docs(view: View, family: Family) -> Iterator[Line]:
    part = "Docs"
    if not view.snapshot.exists(toctree.PATH):
        yield Line(part, "docs pages", None, None, "this checkout has no docs")
        return
    documented = view.documented
    deserving = {export.name for export in documentable(view)}
    wanted = [each for each in family.of_kind("model", "scheduler", "pipeline") if each.name in deserving]
    for export in wanted:
        page = documented.get(export.name)
        note = "" if page else "no page has [[autodoc]] of it"
        yield Line(part, f"page of {export.name}", page is not None, page, note)
    if not family.of_kind("pipeline"):
        page = f"{DOCS}/api/pipelines/{family.name}.md"
        shown = [documented[each.name] for each in family.of_kind("modular pipeline") if each.name in documented]
        path = page if view.snapshot.exists(page) else shown[0] if shown else None
        yield Line(part, "page of the modular pipeline", path is not None, path)
    listed = {item.local: item.first for item in toc.items(view.text(toctree.PATH)) if item.local}
    missing = [page for page in family.pages if page not in listed]
    note = f"{', '.join(missing)} is not listed" if missing else "" if family.pages else "there is no page to list"
    yield Line(part, "pages in the table of contents", bool(family.pages) and not missing, toctree.PATH, note)


def _style(family: Family, findings: list[Finding]) -> Iterator[Line]:
    part = "Style"
    copied = [each for each in findings if each.registry == "copied_from"]
    first = copied[0] if copied else None
    yield Line(
        part,
        "`# Copied from` blocks match their sources",
        not copied,
        first.path if first else None,
        f"line {first.line}: {first.message}" if first else "",
    )
    marks = [each for each in findings if each.registry == "todo"]
    note = f"{len(marks)} left; `scaffold-model todo {family.name}` lists them" if marks else ""
    early = [each for each in findings if each.registry == "first_pull_request" and each.severity != "hint"]
    note = early[0].message if early else ""
    yield Line(part, "no parity harness, LoRA or slow test yet", not early, early[0].path if early else None, note)
    yield Line(part, "nothing left to port", not marks, marks[0].path if marks else None, note)
    yield Line(part, "make style and make quality", None, None, "not run here; `scaffold-model verify` does")
