"""What is to be added, as data, and the answers that it leads to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..spec import ModelSpec

#: What the answers of a scaffold say of autoencoder and scheduler, by the question that it follows from.
_FITTED = {"vae": "vae_", "scheduler": "scheduler_"}


@dataclass(frozen=True)
class Request:
    """What is to be added.

    Attributes:
        tasks: Further tasks, ``("i2i",)``.
        formats: Formats, ``("standard",)``; the model has both then.
        lora: LoRA loading.
        with_test: The LoRA test as well, although the model's own pull request is not in the base.
        single_file: Loading of original checkpoints.
        auto_pipeline: Entries in the AutoPipeline mappings.
        scheduler: ``new``, or nothing.
        vae: ``new``, or nothing.
        hub_repo: The published weights, which single-file loading needs; or nothing.
    """

    tasks: tuple[str, ...] = ()
    formats: tuple[str, ...] = ()
    lora: bool = False
    with_test: bool = False
    single_file: bool = False
    auto_pipeline: bool = False
    scheduler: str = ""
    vae: str = ""
    hub_repo: str = ""

    @property
    def flags(self) -> tuple[str, ...]:
        """The flags that ask for something, as they are typed: ``("--task i2i", "--lora")``."""
        return (
            *(f"--task {task}" for task in self.tasks),
            *(f"--{one}" for one in self.formats),
            *(["--lora"] if self.lora else []),
            *(["--single-file"] if self.single_file else []),
            *(["--auto-pipeline"] if self.auto_pipeline else []),
            *([f"--scheduler {self.scheduler}"] if self.scheduler else []),
            *([f"--vae {self.vae}"] if self.vae else []),
        )

    @property
    def needs_answers(self) -> tuple[str, ...]:
        """The flags that only a scaffold's answers can serve, since they write further files from the template."""
        able = {"--lora", "--auto-pipeline", "--single-file"}
        return tuple(flag for flag in self.flags if flag not in able)


def changed_answers(stored: Mapping[str, Any], request: Request) -> dict[str, Any]:
    """The answers with what is to be added.

    What follows from an answer that changes is left out, to be looked up in the checkout again.

    Raises:
        BadInput: The stored answers can not be used.
    """
    spec = ModelSpec.from_answers(stored)
    answers = dict(stored)
    answers["task"] = list(dict.fromkeys((*spec.task, *request.tasks)))
    formats = {*(("standard", "modular") if spec.format == "both" else (spec.format,)), *request.formats}
    answers["format"] = "both" if len(formats) > 1 else spec.format
    for question in ("lora", "single_file", "auto_pipeline"):
        if getattr(request, question):
            answers[question] = "yes"
    for question in ("scheduler", "vae", "hub_repo"):
        if value := getattr(request, question):
            answers[question] = value
    for question, prefix in _FITTED.items():
        if answers[question] != getattr(spec, question):
            answers = {key: value for key, value in answers.items() if not key.startswith(prefix)}
    return answers
