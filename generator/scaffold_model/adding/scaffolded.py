"""More of a scaffold: the template with the new answers, merged three-way into what the contributor has made of the old ones."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from .. import autoencoders, schedulers
from ..needs import check_needs
from ..plan import Plan
from ..preflight import check_more
from ..scaffold import extend_and_register, record_registered
from ..snapshot import Snapshot
from ..spec import ModelSpec
from ..update import Updated, finish_both, update
from ..updating import Scaffold, check_files, merge_file, renders
from ..versions import newest_version
from .found import find_model
from .lora_test_plan import add_lora_test, recorded
from .request import Request, changed_answers


def add_to_scaffold(root: Path, snapshot: Snapshot, scaffold: Scaffold, request: Request, ruff: str | None) -> Updated:
    """The plan that adds to a scaffold, in the version of the template that it has.

    Args:
        root: The checkout.
        snapshot: Its files.
        scaffold: The record of the scaffold.
        request: What to add.
        ruff: The formatter, or None for our own.

    Raises:
        BadInput: It makes no sense for this model, or this checkout has no place for it.
        ScaffoldError: The record is of another branch, or a file can not be edited.
    """
    check_files(root, snapshot, scaffold)
    stored = {key: value for key, value in scaffold.answers.items() if not key.startswith("_")}
    spec = ModelSpec.from_answers(stored)
    new = fitted(changed_answers(spec.answers(), request), spec, snapshot)
    if new == spec:
        # What an earlier run could not finish for conflicts is done now.
        plan = record_registered(snapshot, extend_and_register(spec, snapshot, Plan(), ruff))
        plan = replace(plan, next_steps=())
    else:
        done = _merged(root, snapshot, scaffold, spec, new, request, ruff)
        if done.conflicts:
            return done
        plan = done.plan
    if request.lora:
        now = snapshot.overlaid(plan.overlay())
        test = add_lora_test(root, now, find_model(now, spec.name), ruff, anyway=request.with_test)
        plan = recorded(snapshot, spec.name, plan, test)
    return Updated(replace(plan, next_steps=next_steps(new)), ())


def _merged(
    root: Path,
    snapshot: Snapshot,
    scaffold: Scaffold,
    spec: ModelSpec,
    new: ModelSpec,
    request: Request,
    ruff: str | None,
) -> Updated:
    """What the template makes of the new answers, merged into the files that it made of the old ones."""
    check_more(spec, new, snapshot)
    version = None if newest_version().is_recorded_as(scaffold.version) else scaffold.version
    base, theirs = renders((spec.answers(), version), (new.answers(), version))
    base, theirs = finish_both(snapshot, spec, base, new, theirs, ruff)
    check_needs(snapshot, {path: text for path, text in theirs.items() if path not in base}, new.new_classes)
    command = " ".join(["scaffold-model add", spec.name, *request.flags])
    with tempfile.TemporaryDirectory(prefix="scaffold-model-merge-") as folder:

        def merge(mine: str, old: str, other: str) -> tuple[str, bool]:
            labels = ("before", f"with {' '.join(request.flags)}")
            return merge_file(root, Path(folder), mine, old, other, labels, "scaffold")

        return update(snapshot, new, scaffold.manifest, base, theirs, merge, ruff, settle=command)


def fitted(answers: Mapping[str, Any], before: ModelSpec, snapshot: Snapshot) -> ModelSpec:
    """The answers as a spec, with what the checkout tells of an autoencoder or a scheduler that they name anew.

    Raises:
        BadInput: The answers make no sense, or a class can not do what is asked of it.
    """
    spec = ModelSpec.from_answers(answers)
    traits: dict[str, str | int] = {}
    if spec.vae != before.vae:
        traits |= autoencoders.traits(snapshot, spec.vae, spec.modality)
    if (spec.scheduler, spec.task) != (before.scheduler, before.task):
        traits |= schedulers.traits(snapshot, spec.scheduler, spec.task)
    return ModelSpec.from_answers({**spec.answers(), **traits})


def next_steps(spec: ModelSpec) -> tuple[str, ...]:
    """What the contributor does next, one line each."""
    steps = [f"scaffold-model todo {spec.name}   # the places to port"]
    if spec.tests != "none":
        steps.insert(0, f"scaffold-model verify {spec.name}   # the checkout's own gates and the new tests")
    return tuple(steps)
