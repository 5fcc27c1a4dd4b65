"""What of a model LoRA concerns, found by looking at the checkout: its transformer and the pipelines that take it."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

from ..audit.family import Family, find_family
from ..audit.view import View
from ..errors import BadInput
from ..plan import Export
from ..registries.base import ROOT
from ..registries.pages import heading
from ..scanning import LORA
from ..snapshot import Snapshot

#: What the house calls the dictionary with the scale, the usual name first.
KWARGS = ("attention_kwargs", "joint_attention_kwargs", "cross_attention_kwargs")
_PARAMETER = re.compile(r"^\s+transformer: [\"']?(?:Optional\[|Union\[)?(\w+)", re.MULTILINE)
_COMPONENT = re.compile(r"ComponentSpec\(\s*(?:name=)?\"transformer\",\s*(?:type_hint=)?(\w+)")
# Blocks that serve several transformers take the name of the component as an argument.
_ANY_COMPONENT = re.compile(r"ComponentSpec\(\s*[\w.]+,\s*(\w*Transformer\w*)")
_TRANSFORMER = re.compile(r"(\w*?)(?:Transformer\w*|Model)$")


@dataclass(frozen=True)
class Found:
    """A model as LoRA sees it.

    Attributes:
        name: As it was asked for.
        mixin: Its LoRA mixin, there already or not.
        model: The transformer that the layers are loaded into.
        pipelines: The standard pipelines that take it.
        modular: The modular pipelines that do.
        title: How prose calls the model.
        pages: Its pages below ``api/pipelines/`` of the docs, with path.
    """

    name: str
    mixin: str
    model: Export
    pipelines: tuple[Export, ...]
    modular: tuple[Export, ...]
    title: str
    pages: tuple[str, ...]

    @property
    def prefix(self) -> str:
        """What the mixin's name begins with."""
        return self.mixin.removesuffix("LoraLoaderMixin")


def find_model(snapshot: Snapshot, name: str) -> Found:
    """The model ``name``.

    Raises:
        BadInput: There is no such model here, or it has no transformer.
    """
    view = View(snapshot)
    family = find_family(view, name)
    taken = {export: _transformer(view, export) for export in family.of_kind("pipeline", "modular pipeline")}
    model = _chosen(view, family, Counter(value for value in taken.values() if value))
    mine = [export for export, value in taken.items() if value == model.name]
    pages = tuple(f"docs/source/en/{page}.md" for page in family.pages if page.startswith("api/pipelines/"))
    title = next((found for page in pages if (found := heading(snapshot.read(page) or ""))), "")
    called = [*(page.rsplit("/", 1)[1].removesuffix(".md") for page in pages), name]
    mixin = _own_mixin(view, family, model.name) or f"{_prefix(model.name, mine, called)}LoraLoaderMixin"
    return Found(
        name=name,
        mixin=mixin,
        model=model,
        pipelines=tuple(export for export in mine if export.kind == "pipeline"),
        modular=tuple(export for export in mine if export.kind == "modular pipeline"),
        title=title or mixin.removesuffix("LoraLoaderMixin"),
        pages=pages,
    )


def _transformer(view: View, export: Export) -> str | None:
    """The class that a pipeline takes as its transformer."""
    if export.kind == "pipeline":
        # A module may hold several pipelines; each has its own `__init__`.
        text = view.text(export.path).split(f"\nclass {export.name}(", 1)[-1].split("\nclass ", 1)[0]
        found = _PARAMETER.search(text)
        return found[1] if found else None
    folder = export.path.rsplit("/", 1)[0]
    texts = [view.text(path) for path in view.snapshot.walk(folder)]
    for pattern in (_COMPONENT, _ANY_COMPONENT):
        counted = Counter(name for text in texts for name in pattern.findall(text))
        if counted:
            return str(counted.most_common(1)[0][0])
    return None


def _chosen(view: View, family: Family, taken: Counter[str]) -> Export:
    """The transformer: the model's own one, or else the one that most of its pipelines take."""
    models = {export.name: export for export in view.found.exports if export.kind == "model"}
    own = {export.name for export in family.of_kind("model")}
    known = [name for name, _ in taken.most_common() if name in models]
    for name in [*(name for name in known if name in own), *known]:
        return models[name]
    raise BadInput(
        f"no pipeline of {family.name} takes a transformer, which is where LoRA layers are loaded",
        hint="a model with another denoiser needs a mixin written by hand; see loaders/lora_pipeline.py",
    )


def _own_mixin(view: View, family: Family, model: str) -> str | None:
    """The mixin of lora_pipeline.py that loads layers into this transformer, or that no other model uses."""
    others = {
        base
        for sites in view.scanner.sites.values()
        for site in sites
        if site.path.startswith((f"{ROOT}/pipelines/", f"{ROOT}/modular_pipelines/")) and site.path not in family.paths
        for base in site.bases
    }
    text = view.text(LORA)
    for export in family.of_kind("LoRA mixin"):
        body = text.split(f"\nclass {export.name}(", 1)[-1].split("\nclass ", 1)[0]
        if export.path == LORA and (export.name not in others or re.search(rf"\b{model}\b", body)):
            return export.name
    return None


def _prefix(model: str, pipelines: list[Export], called: list[str]) -> str:
    """What the model's classes are called: by its transformer, or by its pipelines where that is another model's.

    Where both are called differently, the name of the docs page or of the package decides.
    """
    found = _TRANSFORMER.match(model)
    prefix = found[1] if found else model
    stems = [re.split(r"(?:Modular)?Pipeline", export.name)[0] for export in pipelines]
    shortest = min(stems, key=len, default=prefix)
    for name in called:
        for candidate in (prefix, shortest):
            if candidate.lower() == name.replace("_", "").replace("-", "").lower():
                return candidate
    shared = any(stem.startswith(prefix) or prefix.startswith(stem) for stem in stems)
    return prefix if shared or not stems else shortest
