"""The docs: the table of contents, and a page with ``[[autodoc]]`` for every public class."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence

from ..code import toc
from ..plan import Export
from ..registries import lora_docs, toctree
from ..registries.base import ROOT, Entry, Page, area
from .order import misplaced
from .problem import Problem, Repair, problem
from .view import DOCS, View

SORTED = ("Models", "Pipelines", "Schedulers")


def check(view: View) -> Iterator[Problem]:
    """Problems of the table of contents, undocumented classes, LoRA mixins without their section."""
    if not view.snapshot.exists(toctree.PATH):
        return
    yield from _toctree(view)
    documented = view.documented
    for export in documentable(view):
        if export.name not in documented and not _has_page(view, export, documented):
            where = f"{DOCS}/api/{area(export)}"
            message = f"{export.name} has no [[autodoc]] in the docs: a page in {where} should document it"
            line = view.line_of(export.name, export.path)
            yield problem("docs", export.name, export.path, line, message, "warning")
    yield from _lora(view)


def documentable(view: View) -> Iterator[Export]:
    """The public classes that deserve a page: no containers of models, nothing on its way out."""
    for export in view.found.exports:
        if not view.concerns(export.name) or export.name not in view.in_root:
            continue
        if export.kind in ("blocks", "LoRA mixin") or view.is_deprecated(export.name):
            continue
        if area(export) not in ("models", "schedulers", "pipelines", "modular_pipelines"):
            continue
        if export.kind == "model" and not is_configured(view, export.name):
            continue
        yield export


def is_configured(view: View, name: str) -> bool:
    """Whether a model has a configuration of its own; containers such as MultiControlNetModel have none."""
    return "ConfigMixin" in view.scanner.ancestors(name)


def _has_page(view: View, export: Export, documented: dict[str, str]) -> bool:
    """A modular pipeline is content with the page of its family."""
    if export.kind != "modular pipeline":
        return False
    package = export.path.split("/")[3]
    if view.snapshot.exists(f"{DOCS}/api/pipelines/{package}.md"):
        return True
    kin = [each.name for each in view.found.exports if each.path.split("/")[3:4] == [package]]
    return any(name in documented for name in kin)


def _toctree(view: View) -> Iterator[Problem]:
    name, path = toctree.NAME, toctree.PATH
    items = toc.items(view.text(path))
    seen: dict[str, int] = {}
    groups: dict[tuple[tuple[str, ...], int], list[toc.Item]] = defaultdict(list)
    for item in items:
        groups[(item.section, item.indent)].append(item)
        if not item.local:
            continue
        entry = Entry(name, path, item.local, item.section, item.title)
        if not any(view.snapshot.exists(f"{DOCS}/{item.local}{suffix}") for suffix in (".md", ".mdx", ".ipynb")):
            repair = Repair("remove", name, entry) if _subject_is_gone(view, item) else None
            message = f"{item.local} is listed, but there is no {DOCS}/{item.local}.md"
            yield problem(name, item.local, path, item.first, message, "error", repair)
        if item.local in seen:
            message = f"{item.local} is a duplicate: already in line {seen[item.local]}"
            repair = Repair("remove", name, entry)
            yield problem(name, item.local, path, item.first, message, "warning", repair)
        seen.setdefault(item.local, item.first)
    for page in view.found.pages:
        message = f"{page.local} is missing: {DOCS}/{page.local}.md exists"
        line = _place(items, page)
        repair = Repair("register", name, Entry(name, path, page.local))
        yield problem(name, page.local, path, line, message, "warning", repair)
    for (section, _), group in groups.items():
        if len(section) > 1 and section[0] == "API" and section[1] in SORTED:
            rows = [item for item in group if not _is_fixed(item)]
            for index in misplaced([item.title.lower() for item in rows]):
                item = rows[index]
                entry = Entry(name, path, item.local, item.section, item.title)
                message = f"{item.local or item.title} stands out of order: its title is {item.title!r}"
                repair = Repair("move", name, entry, entry) if item.local else None
                yield problem(name, item.local or item.title, path, item.first, message, "warning", repair)


def _place(items: Sequence[toc.Item], page: Page) -> int | None:
    """The line of the item before which the page belongs, or of the last one of its section."""
    siblings = [item for item in items if item.section == page.section]
    later = [item for item in siblings if not _is_fixed(item) and item.title.lower() > page.title.lower()]
    return later[0].first if later else siblings[-1].first if siblings else None


def _is_fixed(item: toc.Item) -> bool:
    return item.title.lower() in ("overview", "autopipeline") or item.local.endswith("/overview")


def _subject_is_gone(view: View, item: toc.Item) -> bool:
    """Whether what the missing page was about is no longer there, so that the entry and not the page is wrong."""
    if item.local.startswith("api/models/"):
        return re.fullmatch(r"[A-Z]\w+", item.title) is not None and item.title not in view.scanner.sites
    if item.local.startswith("api/pipelines/"):
        package = item.local.split("/")[2]
        return not any(view.snapshot.files(f"{ROOT}/{each}/{package}") for each in ("pipelines", "modular_pipelines"))
    return False


def _lora(view: View) -> Iterator[Problem]:
    if not view.snapshot.exists(lora_docs.PATH):
        return
    listed = {item.object for item in lora_docs.listed(view.text(lora_docs.PATH))}
    for export in view.found.exports:
        if export.kind == "LoRA mixin" and export.name not in listed and not view.is_deprecated(export.name):
            message = f"{export.name} is missing: no section documents it"
            repair = Repair("register", lora_docs.NAME, Entry(lora_docs.NAME, lora_docs.PATH, export.name))
            yield problem(lora_docs.NAME, export.name, lora_docs.PATH, None, message, "warning", repair)
