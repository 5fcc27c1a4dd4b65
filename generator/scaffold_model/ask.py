"""Questions on a terminal, for what no flag gave; the recommended answer comes first and is the default."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from .errors import BadInput
from .questions import CHOICES, TASKS, VAES
from .spec import ModelSpec, default_class_prefix, default_title

_QUESTIONS: tuple[tuple[str, str], ...] = (
    ("format", "Pipeline format"),
    ("modality", "What the model generates"),
    ("task", "What the pipelines do, separated by commas"),
    ("attention", "Attention"),
    ("text_encoder", "Text encoder"),
    ("vae", "Autoencoder class, or new"),
    ("scheduler", "Scheduler class, or new"),
    ("guidance", "Guidance: classifier-free, or embedded in a distilled model"),
    ("lora", "LoRA loader mixin (usually a later pull request)"),
)


def ask_missing(given: Mapping[str, Any]) -> dict[str, Any]:
    """``given`` with the answers that were asked for.

    Raises:
        click.Abort: The terminal was closed, or Ctrl-C was pressed; nothing has been written by then.
    """
    answers = dict(given)
    if "name" not in answers:
        answers["name"] = click.prompt("Name of the model (snake_case)", value_proc=_checked_name, err=True)
    for question, text in _QUESTIONS:
        if question in answers:
            continue
        if question == "task":
            answers[question] = click.prompt(
                f"{text} ({', '.join(TASKS[answers['modality']])})",
                default=TASKS[answers["modality"]][0],
                value_proc=lambda given: _tasks(given, answers["modality"]),
                err=True,
            )
        elif question in CHOICES:
            values = CHOICES[question]
            answers[question] = click.prompt(text, type=click.Choice(values), default=values[0], err=True)
        else:
            default = VAES[answers["modality"]] if question == "vae" else "FlowMatchEulerDiscreteScheduler"
            answers[question] = click.prompt(text, default=default, err=True)
    name = str(answers["name"])
    if "title" not in answers:
        answers["title"] = click.prompt("Title for docs", default=default_title(name), err=True)
    if "class_prefix" not in answers:
        answers["class_prefix"] = click.prompt("Prefix of class names", default=default_class_prefix(name), err=True)
    return answers


def ask_unseen(unseen: Mapping[str, str]) -> dict[str, str]:
    """Answers to questions that the files of a model leave open, each asked with the reason.

    Raises:
        click.Abort: The terminal was closed, or Ctrl-C was pressed.
    """
    answers = {}
    for question, why in unseen.items():
        if question in CHOICES and question != "task":
            kind = click.Choice(CHOICES[question])
            answers[question] = click.prompt(f"{question} ({why})", type=kind, default=CHOICES[question][0], err=True)
        else:
            answers[question] = click.prompt(f"{question} ({why})", default="", show_default=False, err=True)
    return {question: answer for question, answer in answers.items() if answer}


def _checked_name(value: str) -> str:
    try:
        return ModelSpec(name=value).name
    except BadInput as error:
        raise click.UsageError(error.message) from None


def _tasks(value: str, modality: str) -> tuple[str, ...]:
    tasks = tuple(task.strip() for task in value.split(",") if task.strip())
    for task in tasks:
        if task not in TASKS[modality]:
            raise click.UsageError(f"{task!r} is none of {', '.join(TASKS[modality])}")
    return tasks
