"""Questions on a terminal, for what no flag gave; the recommended answer comes first and is the default."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from .errors import BadInput
from .spec import CHOICES, UNSUPPORTED, ModelSpec, default_class_prefix, default_title

_QUESTIONS: tuple[tuple[str, str], ...] = (
    ("format", "Pipeline format"),
    ("attention", "Attention"),
    ("text_encoder", "Text encoder"),
    ("vae", "Autoencoder class"),
    ("scheduler", "Scheduler class, or new"),
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
    defaults = {"vae": "AutoencoderKL", "scheduler": "FlowMatchEulerDiscreteScheduler"}
    for question, text in _QUESTIONS:
        if question in answers:
            continue
        if question in CHOICES:
            values = [value for value in CHOICES[question] if (question, value) not in UNSUPPORTED]
            answers[question] = click.prompt(text, type=click.Choice(values), default=values[0], err=True)
        else:
            answers[question] = click.prompt(text, default=defaults[question], err=True)
    name = str(answers["name"])
    if "title" not in answers:
        answers["title"] = click.prompt("Title for docs", default=default_title(name), err=True)
    if "class_prefix" not in answers:
        answers["class_prefix"] = click.prompt("Prefix of class names", default=default_class_prefix(name), err=True)
    return answers


def _checked_name(value: str) -> str:
    try:
        return ModelSpec(name=value).name
    except BadInput as error:
        raise click.UsageError(error.message) from None
