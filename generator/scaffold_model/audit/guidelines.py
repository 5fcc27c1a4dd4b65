"""What the guides behind the integration checklist ask of the files of a model, as far as the files show it.

Each is a pattern that the guide tells not to write, or one that it tells to write; the line says where.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ..plan import Export
from ..registries.base import ROOT
from ..registries.hook_calls import bodies
from .view import View

# Lines of comments and of examples in docstrings are no code.
_PROSE = re.compile(r"^ *(?:#|>>>|\.\.\.).*$", re.MULTILINE)
_LOADING = re.compile(r"\bdef from_pretrained\(|\bhf_hub_download\(|\bload_file\(|\bsys\.path\.insert\(")
_ATTENTION = re.compile(r"F\.scaled_dot_product_attention\(")
_NO_SPLIT = re.compile(r"^    _no_split_modules\b", re.MULTILINE)
_EINOPS = re.compile(r"^ *(?:from|import) einops\b", re.MULTILINE)
_NOISE = re.compile(r"torch\.randn\(")
_CALLBACK = re.compile(r"\{k: locals\(\)\[k\] for k in\b")
_CALL = re.compile(r"^( +@torch\.no_grad\(\)\n(?: +@[^\n]*\n)*)? +def __call__\(", re.MULTILINE)


@dataclass(frozen=True)
class Advice:
    """One thing that a guide asks for.

    Attributes:
        item: What it is.
        done: Whether the files are so.
        path: The file that shows it: the first that is not so, else the first of all.
        note: Where in it.
    """

    item: str
    done: bool
    path: str | None
    note: str = ""


def of_models(view: View, models: Iterable[Export]) -> Iterator[Advice]:
    """What ``models.md`` asks of a model's file."""
    paths = list(dict.fromkeys(model.path for model in models))
    yield _without(view, paths, _LOADING, "load weights through from_pretrained and from_single_file alone")
    yield _without(view, paths, _EINOPS, "no new mandatory dependency, such as einops")
    transformers = [path for path in paths if path.startswith(f"{ROOT}/models/transformers/")]
    if transformers and view.snapshot.exists(f"{ROOT}/models/attention_dispatch.py"):
        yield _without(view, transformers, _ATTENTION, "attention through dispatch_attention_fn")
    for path in transformers:
        note = "" if _NO_SPLIT.search(view.text(path)) else "it declares none"
        yield Advice("declare _no_split_modules", not note, path, note)


def of_pipelines(view: View, pipelines: Iterable[Export]) -> Iterator[Advice]:
    """What ``pipelines.md`` asks of a pipeline's file; one of blocks has no ``__call__`` of its own."""
    standard = [pipeline for pipeline in pipelines if pipeline.kind == "pipeline"]
    if not standard:
        return
    paths = list(dict.fromkeys(pipeline.path for pipeline in standard))
    yield _without_gradients(view, standard)
    yield _without(view, paths, _NOISE, "noise from randn_tensor, so that generators of the CPU work")
    yield _without(view, paths, _CALLBACK, "callback_kwargs from a loop, not from a comprehension")
    yield _of_its_own(view, standard)


def _without_gradients(view: View, pipelines: list[Export]) -> Advice:
    item = "@torch.no_grad() on __call__"
    for pipeline in pipelines:
        # Attention processors and other helpers beside it have a call too.
        body = bodies(view.text(pipeline.path)).get(pipeline.name, "")
        if any(match[1] is None for match in _CALL.finditer(body)):
            return Advice(item, False, pipeline.path, f"{pipeline.name} has none")
    return Advice(item, True, pipelines[0].path)


def _of_its_own(view: View, pipelines: list[Export]) -> Advice:
    item = "each pipeline a class of its own, no variant of another pipeline"
    for pipeline in pipelines:
        for site in view.scanner.sites[pipeline.name]:
            parent = next((base for base in site.bases if base in view.exports and base.endswith("Pipeline")), None)
            if parent:
                return Advice(item, False, pipeline.path, f"{pipeline.name} inherits from {parent}")
    return Advice(item, True, pipelines[0].path)


def _without(view: View, paths: list[str], pattern: re.Pattern[str], item: str) -> Advice:
    for path in paths:
        text = view.text(path)
        # The lines stay where they are.
        match = pattern.search(_PROSE.sub("", text)) if pattern.search(text) else None
        if match:
            line = _line(_PROSE.sub("", text), match.start())
            return Advice(item, False, path, f"line {line}: {match[0].strip()}")
    return Advice(item, True, paths[0] if paths else None)


def _line(text: str, place: int) -> int:
    return text.count("\n", 0, place) + 1
