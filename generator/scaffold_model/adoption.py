"""The answers of a scaffold whose record is gone, read from its files: what they show, and what they can not show."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from .errors import BadInput
from .manifest import Manifest, manifest_path
from .plan import NewFile, Plan
from .questions import DIMENSIONS, TASK_NAMES, TASKS
from .registries import auto_pipeline
from .registries.base import ROOT
from .registries.pages import DOCS, heading
from .scaffold import parse_answers
from .scanning import LORA
from .snapshot import Snapshot
from .spec import ModelSpec

_ENCODERS = {"t5": "T5EncoderModel", "clip": "CLIPTextModel", "qwen3": "Qwen3Model"}
_COMPONENT = r"(?:ComponentSpec\(\s*\"{name}\",\s*|^\s+{name}: )(\w+)"


@dataclass(frozen=True)
class Seen:
    """What the files say.

    Attributes:
        answers: Question -> answer.
        unseen: The questions that they do not answer, each with the reason.
    """

    answers: dict[str, Any]
    unseen: dict[str, str]


def detect_answers(snapshot: Snapshot, name: str) -> Seen:
    """The answers that the files of ``name`` show.

    Raises:
        BadInput: There are no such files, or a record is there already.
    """
    # Refuses what is no name of a scaffold before it becomes part of a path.
    ModelSpec(name)
    stored = f".scaffold/{name}/answers.yml"
    if snapshot.exists(stored) and snapshot.exists(manifest_path(name)):
        raise BadInput(f"{name} has its record", path=manifest_path(name), hint="there is nothing to adopt")
    text = snapshot.read(stored)
    if text is not None:
        # Only the manifest is gone: the contributor's own answers are better than what can be seen.
        return Seen({key: value for key, value in parse_answers(text, stored).items() if key[0] != "_"}, {})
    path = f"{ROOT}/models/transformers/transformer_{name}.py"
    transformer = snapshot.read(path) or ""
    model = re.search(r"^class (\w+?)Transformer([123]D)Model\(", transformer, re.MULTILINE)
    if model is None:
        raise BadInput(
            f"no transformer of {name} is here",
            path=path,
            hint="only what scaffold-model has laid out can be adopted; check the name, or the branch",
        )
    pipelines = _texts(snapshot, f"{ROOT}/pipelines/{name}")
    blocks = _texts(snapshot, f"{ROOT}/modular_pipelines/{name}")
    if not pipelines and not blocks:
        raise BadInput(f"no pipeline of {name} is here", path=f"{ROOT}/pipelines/{name}", hint="check the name")
    prefix, dimensions = model.groups()
    modality = next(key for key, value in DIMENSIONS.items() if value == dimensions)
    code = pipelines + blocks
    answers: dict[str, Any] = {
        "name": name,
        "class_prefix": prefix,
        "modality": modality,
        "format": "both" if pipelines and blocks else "standard" if pipelines else "modular",
        "lora": _yes(f"class {prefix}LoraLoaderMixin" in (snapshot.read(LORA) or "")),
        "single_file": _yes("FromOriginalModelMixin" in transformer),
        "auto_pipeline": _yes(_is_automatic(snapshot, prefix)),
    }
    answers.update(_found(snapshot, name, prefix, modality, transformer, code))
    reasons = {
        "task": "no pipeline and no workflow is called like a task",
        "attention": "the blocks are neither of the joint nor of the cross-attention shape",
        "text_encoder": "the pipelines take no text encoder that the template knows",
        "vae": "the pipelines take no autoencoder under this name",
        "scheduler": "the pipelines take no scheduler under this name",
        "reference": "only the parity harness knew it",
    }
    return Seen(answers, {question: why for question, why in reasons.items() if question not in answers})


def _found(
    snapshot: Snapshot, name: str, prefix: str, modality: str, transformer: str, code: str
) -> Iterator[tuple[str, Any]]:
    """The answers that may or may not be seen."""
    tasks = tuple(_tasks(snapshot, name, modality, code))
    if tasks:
        yield "task", tasks
    shapes = {"joint": r"\badd_q_proj\b|\bnorm1_context\b", "cross": r"\bself\.attn2 = "}
    fitting = [value for value, shape in shapes.items() if re.search(shape, transformer)]
    if len(fitting) == 1:
        yield "attention", fitting[0]
    encoders = [value for value, kind in _ENCODERS.items() if re.search(rf"\b{kind}\b", code)]
    if len(encoders) == 1:
        yield "text_encoder", encoders[0]
    for component, own in (("vae", f"AutoencoderKL{prefix}"), ("scheduler", f"{prefix}Scheduler")):
        kind = re.search(_COMPONENT.format(name=component), code, re.MULTILINE)
        if kind:
            yield component, "new" if kind[1] == own else kind[1]
    forward = transformer.rpartition("    def forward(")[2].partition("):")[0]
    yield "guidance", "embedded" if re.search(r"^        guidance: ", forward, re.MULTILINE) else "cfg"
    title = heading(snapshot.read(f"{DOCS}/api/pipelines/{name}.md") or "")
    if title:
        yield "title", title
    year = re.search(r"^# Copyright (20\d\d)\b", transformer, re.MULTILINE)
    if year:
        yield "year", year[1]
    repository = re.search(r"(?:repo_id = |from_pretrained\()\"([\w.-]+/[\w.-]+)\"", code)
    if repository and not repository[1].startswith("ORG/"):
        yield "hub_repo", repository[1]
    tests = _texts(snapshot, f"tests/modular_pipelines/{name}")
    tiny = re.search(r"pretrained_model_name_or_path = \"([\w.-]+/[\w.-]+)\"", tests)
    if tiny:
        yield "tiny_repo", tiny[1]


def _texts(snapshot: Snapshot, folder: str) -> str:
    return "\n".join(snapshot.read(path) or "" for path in snapshot.walk(folder))


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _tasks(snapshot: Snapshot, name: str, modality: str, code: str) -> Iterator[str]:
    """A task has a pipeline's file, or a workflow of the blocks."""
    for task in TASKS[modality]:
        suffix, _, workflow = TASK_NAMES[task]
        file = f"{ROOT}/pipelines/{name}/pipeline_{name}{suffix}.py"
        if snapshot.exists(file) or f'"{workflow}": ' in code:
            yield task


def _is_automatic(snapshot: Snapshot, prefix: str) -> bool:
    source = snapshot.read(auto_pipeline.PATH) or ""
    own = re.compile(rf"{prefix}(?:Img2Img|Inpaint|ImageToVideo|VideoToVideo)?Pipeline")
    return any(own.fullmatch(item.object) for item in auto_pipeline.listed(source))


def adopt(snapshot: Snapshot, spec: ModelSpec, manifest: Manifest, rendered: Mapping[str, str]) -> Plan:
    """The plan that writes a record anew; the model's own files are not touched.

    Args:
        snapshot: The checkout.
        spec: The answers.
        manifest: An empty one, with where the checkout stands.
        rendered: What the newest template makes of the answers, finished. An update goes on from there.

    Raises:
        BadInput: Less than half of the files are here, so that these are not the answers.
    """
    own = [path for path in rendered if spec.owns(path)]
    missing = [path for path in own if not snapshot.exists(path)]
    if 2 * len(missing) > len(own):
        raise BadInput(
            f"{len(missing)} of the {len(own)} files that these answers lead to are not here, such as {missing[0]}",
            hint="check the answers (`--set QUESTION=ANSWER`), or go to the branch that has the files",
        )
    answers = f"{spec.state_folder}/answers.yml"
    manifest.record_created({path: text for path, text in rendered.items() if path != answers})
    files = [(path, text) for path, text in sorted(rendered.items()) if path.startswith(f"{spec.state_folder}/")]
    files.append((manifest_path(spec.name), manifest.text()))
    new = tuple(NewFile(path, text) for path, text in files if not snapshot.exists(path))
    same = sum(snapshot.read(path) == rendered[path] for path in own)
    notices = [f"{same} of {len(own)} files are as the template makes them; the others count as edited"]
    notices += [f"{path} is missing and stays so" for path in missing]
    return replace(Plan(new_files=new), notices=tuple(notices))
