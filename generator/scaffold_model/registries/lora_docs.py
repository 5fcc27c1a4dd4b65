"""The LoRA page of the docs, ``api/loaders/lora.md``: a bullet and a section for each mixin, before LoraBaseMixin's.

Before:
    - [`BarLoraLoaderMixin`] provides similar functions for [Bar](https://huggingface.co/docs/diffusers/main/en/api/pipelines/bar).
    - [`LoraBaseMixin`] provides a base class.

    ## BarLoraLoaderMixin

    [[autodoc]] loaders.lora_pipeline.BarLoraLoaderMixin

    ## LoraBaseMixin

    [[autodoc]] loaders.lora_base.LoraBaseMixin

Entry: Entry("lora_docs", "", "FooLoraLoaderMixin", "api/pipelines/foo", "Foo")

After:
    - [`BarLoraLoaderMixin`] provides similar functions for [Bar](https://huggingface.co/docs/diffusers/main/en/api/pipelines/bar).
    - [`FooLoraLoaderMixin`] provides similar functions for [Foo](https://huggingface.co/docs/diffusers/main/en/api/pipelines/foo).
    - [`LoraBaseMixin`] provides a base class.

    ## BarLoraLoaderMixin

    [[autodoc]] loaders.lora_pipeline.BarLoraLoaderMixin

    ## FooLoraLoaderMixin

    [[autodoc]] loaders.lora_pipeline.FooLoraLoaderMixin

    ## LoraBaseMixin

    [[autodoc]] loaders.lora_base.LoraBaseMixin
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..errors import AnchorNotFound
from ..plan import Export
from . import pages
from .base import ROOT, Entry, Listed, Subject

if TYPE_CHECKING:
    from ..conventions import Conventions
    from ..snapshot import Snapshot

NAME = "lora_docs"
PATH = "docs/source/en/api/loaders/lora.md"
SITE = "https://huggingface.co/docs/diffusers/main/en"
BASE = "LoraBaseMixin"
_AUTODOC = re.compile(r"^\[\[autodoc\]\] loaders\.lora_pipeline\.(\w+)", re.MULTILINE)


def entries(subject: Subject, conventions: Conventions, snapshot: Snapshot) -> Iterable[Entry]:
    if isinstance(subject, Export) and subject.kind == "LoRA mixin" and snapshot.exists(PATH):
        package = _package(subject.name, snapshot)
        page = f"api/pipelines/{package}"
        title = pages.heading(snapshot.read(f"{pages.DOCS}/{page}.md") or "")
        yield Entry(NAME, PATH, subject.name, page, title or subject.name.removesuffix("LoraLoaderMixin"))


def listed(source: str) -> list[Listed]:
    return [Listed(match[1], "", source.count("\n", 0, match.start()) + 1) for match in _AUTODOC.finditer(source)]


def insert(source: str, entry: Entry) -> str:
    if any(item.object == entry.object for item in listed(source)):
        return source
    bullet, section = _texts(entry)
    for text, anchor in ((bullet, f"- [`{BASE}`]"), (section, f"## {BASE}\n")):
        place = source.rfind(f"\n{anchor}") + 1 or (0 if source.startswith(anchor) else -1)
        if place < 0:
            raise AnchorNotFound(entry.path or PATH, anchor.strip())
        source = source[:place] + text + source[place:]
    return source


def remove(source: str, entry: Entry) -> str:
    source = re.sub(rf"^- \[`{entry.object}`\].*\n", "", source, flags=re.MULTILINE)
    return re.sub(
        rf"^## {entry.object}\n\n?\[\[autodoc\]\] loaders\.lora_pipeline\.{entry.object}\n\n?",
        "",
        source,
        flags=re.MULTILINE,
    )


def _texts(entry: Entry) -> tuple[str, str]:
    bullet = f"- [`{entry.object}`] provides similar functions for [{entry.value}]({SITE}/{entry.key}).\n"
    return bullet, f"## {entry.object}\n\n[[autodoc]] loaders.lora_pipeline.{entry.object}\n\n"


def _package(mixin: str, snapshot: Snapshot) -> str:
    """The package of the first pipeline that inherits from the mixin; else what the mixin's name suggests."""
    uses = re.compile(rf"^class \w+\([^)]*\b{mixin}\b", re.MULTILINE)
    for area in ("pipelines", "modular_pipelines"):
        for path in snapshot.walk(f"{ROOT}/{area}"):
            if uses.search(snapshot.read(path) or ""):
                return path.split("/")[3]
    stem = mixin.removesuffix("LoraLoaderMixin")
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", stem).lower()
