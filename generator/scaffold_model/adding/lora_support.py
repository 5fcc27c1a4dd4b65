"""The whole of a LoRA pull request for a model that was written by hand, from what discovery finds of it."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator

from ..conventions import detect
from ..formatting import format_python
from ..house import conventions
from ..lora import LORA_PIPELINE, PEFT, Wanted, add_lora_mixin
from ..plan import Edit, Export, Plan, Registered, merge_plans
from ..registration import register
from ..registries import lora_docs
from ..registries.base import ROOT
from ..snapshot import Snapshot
from ..sound import check_text
from .found import Found
from .lora_pages import with_badge
from .pipelines import mixin_of_another, with_attention_kwargs, with_mixin
from .transformer import is_usual, scale_name, with_lora_layers, with_scale


def lora_support(snapshot: Snapshot, found: Found, ruff: str | None) -> Plan:
    """The plan that gives a model its LoRA mixin, wired to transformer and pipelines, exported and documented.

    Args:
        snapshot: The checkout.
        found: The model.
        ruff: The formatter, or None for our own. Files that are not formatted get the added lines alone.

    Raises:
        ScaffoldError: The checkout has no mixin to go by, or a file can not be edited.
    """
    before = {path: plain(snapshot.read(path) or "") for path in _paths(found)}
    for path, text in before.items():
        if path.endswith(".py"):
            check_text(path, text)
    after = dict(before)
    notices = list(_wire(snapshot, found, after))
    after |= formatted(snapshot, before, after, ruff)
    edits = tuple(edit(snapshot, path, text) for path, text in after.items() if text != before[path])
    plan = Plan(edits=edits, notices=tuple(notices))
    single_file = any("FromSingleFileMixin" in _bases(after[each.path], each.name) for each in found.pipelines)
    wanted = Wanted(found.name, found.prefix, found.model.name, found.title, single_file)
    mixin = add_lora_mixin(snapshot.overlaid(plan.overlay()), wanted)
    objects = {LORA_PIPELINE: ("lora_mixin", found.mixin), PEFT: ("peft_scale", found.model.name)}
    entries = tuple(Registered(*objects[edit.path], edit.path) for edit in mixin)
    plan = merge_plans(plan, Plan(edits=tuple(mixin), entries=entries))
    page = snapshot.read(lora_docs.PATH)
    documented = page is not None and all(
        anchor in page for anchor in (f"- [`{lora_docs.BASE}`]", f"## {lora_docs.BASE}")
    )
    also = ("lora_docs",) if documented else ()
    registered = register(snapshot.overlaid(plan.overlay()), also=also, only={found.mixin})
    more = () if documented else (f"{lora_docs.PATH} has no {lora_docs.BASE} to list the mixin at; add it by hand",)
    return merge_plans(plan, Plan(edits=registered.edits, entries=registered.entries, notices=more))


def _paths(found: Found) -> list[str]:
    """The files of the model that change."""
    exports = (found.model, *found.pipelines, *found.modular)
    return list(dict.fromkeys([*(export.path for export in exports), *found.pages]))


def _wire(snapshot: Snapshot, found: Found, texts: dict[str, str]) -> Iterator[str]:
    """Change the texts of a model's files, and say what could not be placed."""
    known = {one.name: one.value for one in conventions(snapshot)}
    union_hints = bool(known["union_hints"])
    path, model = found.model.path, found.model.name
    texts[path] = with_lora_layers(texts[path], model, _package(path))
    if is_usual(texts[path], model) or scale_name(texts[path], model):
        decorator = bool(known["lora_scale_decorator"])
        texts[path] = with_scale(texts[path], model, _package(path), decorator=decorator, union_hints=union_hints)
    key = scale_name(texts[path], model)
    if key is None:
        yield (
            f"{path}: forward of {model} is not called like most, so that it takes no scale of the layers from a call; "
            "`set_adapters` sets one"
        )
    for export in (*found.pipelines, *found.modular):
        texts[export.path] = yield from _with_mixin(texts[export.path], export, found.mixin)
    for export in found.pipelines:
        if key:
            texts[export.path] = with_attention_kwargs(texts[export.path], export.name, key, union_hints)
    if key and found.modular and not _blocks_pass(snapshot, found, key):
        yield (
            f"{found.modular[0].path.rsplit('/', 1)[0]}: the blocks pass no {key} to the transformer; "
            "pass it where they call it, for a scale of the layers from a call"
        )
    for page in found.pages:
        texts[page] = with_badge(texts[page])


def _with_mixin(text: str, export: Export, mixin: str) -> Generator[str, None, str]:
    other = mixin_of_another(text, export.name, mixin)
    if other:
        yield f"{export.path}: {export.name} loaded LoRA layers by {other}, which {mixin} takes the place of"
    return with_mixin(text, export.name, mixin, _package(export.path), other)


def _blocks_pass(snapshot: Snapshot, found: Found, key: str) -> bool:
    folder = found.modular[0].path.rsplit("/", 1)[0]
    return any(re.search(rf"\b{key}\b", snapshot.read(path) or "") for path in snapshot.walk(folder))


def _package(path: str) -> str:
    """How a module names the library's root in a relative import: one dot for each folder up to it."""
    return "." * (path.removeprefix(f"{ROOT}/").count("/") + 1)


def _bases(text: str, name: str) -> str:
    found = re.search(rf"^class {name}\(([^)]*)\)", text, re.MULTILINE)
    return found[1] if found else ""


def formatted(snapshot: Snapshot, before: dict[str, str], after: dict[str, str], ruff: str | None) -> dict[str, str]:
    """The changed files as the formatter leaves them, as far as they were formatted before."""
    changed = {path: text for path, text in after.items() if path.endswith(".py") and text != before[path]}
    length = detect(snapshot).line_length
    old = format_python({path: before[path] for path in changed}, line_length=length, ruff=ruff)
    stable = {path: text for path, text in changed.items() if old[path] == before[path]}
    return format_python(stable, line_length=length, ruff=ruff)


def plain(text: str) -> str:
    return text.replace("\r\n", "\n") if text.count("\r\n") == text.count("\n") else text


def edit(snapshot: Snapshot, path: str, text: str) -> Edit:
    """The edit, with the line ends that the file has."""
    mine = snapshot.read(path) or ""
    return Edit(path, mine, text.replace("\n", "\r\n") if plain(mine) != mine else text)
