"""More of a model that has no answers: what can be told from the code."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from ..errors import BadInput
from ..plan import Plan, merge_plans
from ..registration import register
from ..registries import auto_pipeline, single_file
from ..snapshot import Snapshot
from ..spec import COMBINATIONS
from ..update import Updated
from .found import Found, find_model
from .lora_support import lora_support
from .lora_test_plan import add_lora_test
from .request import Request


def add_to_model(root: Path, snapshot: Snapshot, name: str, request: Request, ruff: str | None) -> Updated:
    """The plan that adds to any model of diffusers what needs no answers.

    Args:
        root: The checkout.
        snapshot: Its files.
        name: The model.
        request: What to add.
        ruff: The formatter, or None for our own.

    Raises:
        BadInput: It needs answers, there is no such model, or it makes no sense for it.
        ScaffoldError: A file can not be edited.
    """
    if request.needs_answers:
        raise BadInput(
            f"{request.needs_answers[0]} writes files by the answers of a scaffold, and {name} has none",
            hint=f"`scaffold-model adopt {name}` rebuilds them where scaffold-model has laid the model out",
        )
    found = find_model(snapshot, name)
    steps: list[tuple[bool, Callable[[Snapshot], Plan]]] = [
        (request.lora, lambda now: lora_support(now, found, ruff)),
        (request.lora, lambda now: add_lora_test(root, now, found, ruff, anyway=request.with_test)),
        (request.single_file, lambda now: _single_file(now, found)),
        (request.auto_pipeline, lambda now: _auto_pipeline(now, found)),
    ]
    plan = Plan()
    for asked, step in steps:
        if asked:
            plan = merge_plans(plan, step(snapshot.overlaid(plan.overlay())))
    after = (f"scaffold-model verify {name}   # the checkout's own gates and the model's tests",)
    return Updated(replace(plan, next_steps=after), ())


def _auto_pipeline(snapshot: Snapshot, found: Found) -> Plan:
    """The entries of the AutoPipeline mappings, as `register --also auto_pipeline` makes them."""
    if not found.pipelines:
        reason = next(reason for question, _, reason in COMBINATIONS if question == "auto_pipeline")
        raise BadInput(f"--auto-pipeline: {reason}")
    plan = register(snapshot, also=(auto_pipeline.NAME,), only={each.name for each in found.pipelines})
    return replace(plan, notices=())


def _single_file(snapshot: Snapshot, found: Found) -> Plan:
    """The entry of the loadable classes; the conversion is the contributor's."""
    text = snapshot.read(found.model.path) or ""
    if "FromOriginalModelMixin" not in text:
        raise BadInput(
            f"{found.model.name} has no FromOriginalModelMixin, and how its checkpoints are converted is not known",
            path=found.model.path,
            hint="write both; `register --also single_file` then lists the class",
        )
    plan = register(snapshot, also=(single_file.NAME,), only={found.model.name})
    notice = (
        f"{single_file.PATH}: original checkpoints are read as they are, unless single_file_utils.py has a function that "
        "converts them; see to that"
    )
    return replace(plan, notices=(notice,) if plan else ())
