"""How many of the files of real new-model pull requests a scaffold with the equivalent options creates.

    python tools/file_recall.py CLONE [--json FILE]

Counted are models, autoencoders, schedulers, pipelines, outputs, every file of a modular pipeline, tests, docs pages, scripts
and package inits. Helper modules of one pipeline, hooks and guiders, which belong to no kind of model, are listed apart.
A pull request's options are read from the files that it adds: an autoencoder or a scheduler of its own, the format, the
tasks that its pipelines are named after. Only its modality is written down here. A file counts as created where the
scaffold has one of the same folder and role; `one to one` counts a second transformer, say, as missed.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from scaffold_model.checkout import git
from scaffold_model.questions import TASKS
from scaffold_model.render import render
from scaffold_model.spec import ModelSpec

#: Pull requests that added a model with its pipeline, or a modular pipeline, with the modality; newest first.
PULL_REQUESTS: dict[str, str] = {
    "3a2f35d4ef": "video",
    "7564fb016d": "video",
    "f53d552036": "video",
    "623213d29f": "image",
    "e39aecff57": "video",
    "fc77592427": "video",
    "b231a6a896": "image",
    "b3889ea478": "video",
    "c41a3c3ed8": "audio",
    "dc8d903217": "image",
    "5a9a941a89": "video",
    "447e571ada": "image",
    "c10bdd9b73": "video",
    "be3c2a0667": "image",
    "4f136f842c": "image",
    "4088e8a851": "image",
    "b3e9dfced7": "video",
    "a138d71ec1": "image",
    "23ebbb4bc8": "video",
    "f50b18eec7": "image",
    "7298bdd817": "video",
    "73a9d5856f": "video",
    "d7ffe60166": "video",
    "0ef29355c9": "image",
    "23b467c79c": "video",
    "96c376a5ff": "video",
    "3f329a426a": "video",
    "0d1d267b12": "video",
    "2dad462d9b": "video",
    "69e72b1dd1": "audio",
    "413604405f": "image",
    "04cd6adf8c": "video",
}

#: How the files of a task are called, beside those of the modality's first task.
_TASK_WORDS = (
    ("i2v", re.compile(r"(_|\b)(i2v|image2video|image_to_video)(_|\b)")),
    ("v2v", re.compile(r"(_|\b)(v2v|video2video|video_to_video)(_|\b)")),
    ("i2i", re.compile(r"(_|\b)(img2img|image2image|image_to_image)(_|\b)")),
    ("inpaint", re.compile(r"(_|\b)inpaint(_|\b)")),
)

Role = tuple[str, str]


def task_of(stem: str, modality: str) -> str:
    """The task that a pipeline or its test is named after; the modality's first one by default."""
    named = (task for task, words in _TASK_WORDS if words.search(stem) and task in TASKS[modality])
    return next(named, TASKS[modality][0])


def role(path: str, modality: str) -> Role | None:
    """The folder and the role of a file of a new model, whatever the model is called; None for what has no role."""
    folder, _, file = path.rpartition("/")
    stem = file.rpartition(".")[0]
    if path.startswith("scripts/convert"):
        return "scripts", "conversion"
    if match := re.fullmatch(r"docs/source/en/api/(models|pipelines|schedulers)", folder):
        coder = match[1] == "models" and re.search("autoencoder|vae", stem)
        return match[1], "autoencoder page" if coder else "page"
    if match := re.fullmatch(r"(?:src/diffusers|tests)/models/(\w+)", folder):
        return folder, match[1]
    if folder in ("src/diffusers/schedulers", "tests/schedulers"):
        return folder, "scheduler"
    match = re.fullmatch(r"(src/diffusers|tests)/((?:modular_)?pipelines)/\w+", folder)
    if match is None:
        return None
    place = f"{match[1]}/{match[2]}"
    if stem in ("__init__", "pipeline_output"):
        return place, stem
    if match[2] == "modular_pipelines" and match[1] != "tests":
        return place, "modular_blocks" if stem.startswith("modular_blocks") else stem
    if stem.startswith(("pipeline_", "test_")):
        return place, "modular test" if match[2] == "modular_pipelines" else task_of(stem, modality)
    return place, stem


def is_counted(path: str) -> bool:
    """Whether a file is of a kind that a new model brings, and not a helper module, a hook or a guider."""
    if not path.startswith("src/"):
        return True
    _, _, area, *_, file = path.split("/")
    if area == "pipelines":
        return file.startswith(("__init__", "pipeline_", "modeling_"))
    return area in ("models", "schedulers", "modular_pipelines")


def equivalent(added: Sequence[str], modality: str) -> ModelSpec:
    """The answers that fit what a pull request adds."""
    roles = {role(path, modality) for path in added}
    standard = any(path.startswith("src/diffusers/pipelines/") for path in added)
    modular = any(path.startswith("src/diffusers/modular_pipelines/") for path in added)
    tasks = {
        name for place, name in filter(None, roles) if place == "src/diffusers/pipelines" and name in TASKS[modality]
    }
    return ModelSpec(
        "foo",
        format="both" if standard and modular else "modular" if modular else "standard",
        modality=modality,
        task=tuple(tasks),
        vae="new" if ("src/diffusers/models/autoencoders", "autoencoders") in roles else "",
        scheduler="new" if ("src/diffusers/schedulers", "scheduler") in roles else "FlowMatchEulerDiscreteScheduler",
    )


@dataclass(frozen=True)
class Recall:
    """What came of one pull request.

    Attributes:
        sha: Its commit.
        subject: Its title.
        options: The answers of the scaffold, in short.
        model: Whether it added a transformer or a UNet, and not only a pipeline.
        added: How many files it added.
        missed: Files without one of their folder and role in the scaffold.
        surplus: Files whose role the scaffold has, but not as often.
    """

    sha: str
    subject: str
    options: str
    model: bool
    added: int
    helpers: tuple[str, ...]
    missed: tuple[str, ...]
    surplus: tuple[str, ...]


def compare(added: Sequence[str], created: Iterable[str], modality: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The added files whose role the scaffold lacks, and those that are one too many of their role."""
    left = Counter(role(path, modality) for path in created)
    had = set(left)
    missed, surplus = [], []
    for path in added:
        found = role(path, modality)
        if found is None or found not in had:
            missed.append(path)
        elif left[found] == 0:
            surplus.append(path)
        else:
            left[found] -= 1
    return tuple(missed), tuple(surplus)


def recall(clone: Path, sha: str, modality: str, renders: dict[ModelSpec, list[str]]) -> Recall:
    """Compare one pull request with its scaffold; ``renders`` is a cache."""
    added = git(clone, "diff", "--diff-filter=A", "--name-only", f"{sha}^", sha).splitlines()
    added = [path for path in added if path.startswith(("src/", "tests/", "docs/", "scripts/"))]
    spec = equivalent(added, modality)
    if spec not in renders:
        renders[spec] = [path for path in render(spec.answers()) if spec.owns(path)]
    helpers = tuple(path for path in added if not is_counted(path))
    added = [path for path in added if is_counted(path)]
    missed, surplus = compare(added, renders[spec], modality)
    options = " ".join(
        (
            spec.format,
            modality,
            *spec.task,
            *(["vae"] * (spec.vae == "new")),
            *(["scheduler"] * (spec.scheduler == "new")),
        )
    )
    model = any(
        path.startswith(("src/diffusers/models/transformers/", "src/diffusers/models/unets/")) for path in added
    )
    return Recall(
        sha, git(clone, "log", "-1", "--format=%s", sha).strip(), options, model, len(added), helpers, missed, surplus
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a line per pull request with its misses, and the sums."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("clone", type=Path)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    renders: dict[ModelSpec, list[str]] = {}
    found = [recall(options.clone, sha, modality, renders) for sha, modality in PULL_REQUESTS.items()]
    for one in found:
        print(f"{one.sha}  {one.added - len(one.missed):2} of {one.added:2}  {one.subject[:60]:60}  [{one.options}]")
        for path in one.missed:
            print(f"            missed   {path}")
        for path in one.surplus:
            print(f"            one more {path}")
        for path in one.helpers:
            print(f"            helper   {path}")
    for kind, rows in (
        ("that add a model", [one for one in found if one.model]),
        ("that add a modular pipeline to an existing model", [one for one in found if not one.model]),
        ("in all", found),
    ):
        added = sum(one.added for one in rows)
        missed, surplus, helpers = (
            sum(len(getattr(one, part)) for one in rows) for part in ("missed", "surplus", "helpers")
        )
        print(
            f"{len(rows):2} pull requests {kind}, {added} files: {(added - missed) / added:.3f} have one of their folder "
            f"and role in the scaffold, {(added - missed - surplus) / added:.3f} one to one; with the {helpers} helpers "
            f"{(added - missed) / (added + helpers):.3f}"
        )
    if options.json:
        rows = [
            {**vars(one), "missed": list(one.missed), "surplus": list(one.surplus), "helpers": list(one.helpers)}
            for one in found
        ]
        options.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
