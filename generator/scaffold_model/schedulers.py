"""What the template has to know of a scheduler class: read from its source in the checkout, by shape and never by name."""

from __future__ import annotations

import ast
from collections.abc import Collection

from .component import Component, Unfit, arguments, classes, find, refused
from .snapshot import Snapshot

FOLDER = "src/diffusers/schedulers"
_EXPORTS = f"{FOLDER}/__init__.py"

#: What generated code knows to pass to ``set_timesteps``, or may leave out.
_KNOWN = {"num_inference_steps", "device", "sigmas", "mu", "timesteps"}

#: Tasks that start from a given image or video, which the scheduler has to mix with noise.
_GIVEN = ("i2i", "inpaint", "v2v")

#: Marks of a flow-matching scheduler, and what makes a tiny one with a static shift.
FLOW_MATCHING = "shift=3.0"
#: The same of a solver that can do flow matching among others.
FLOW_SOLVER = 'prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0'


def traits(snapshot: Snapshot, name: str, tasks: Collection[str]) -> dict[str, str | int]:
    """The stored answers about a scheduler of the checkout, or about the one that the template writes.

    Raises:
        BadInput: The class is unknown, or needs what the generated code does not do.
    """
    if name == "new":
        return {"scheduler_arguments": FLOW_MATCHING}
    found = find(snapshot, "scheduler", "scheduler", name, schedulers(snapshot), _EXPORTS)
    try:
        return {"scheduler_arguments": _arguments(found, tasks)}
    except Unfit as reason:
        raise refused("scheduler", found, reason) from None


def schedulers(snapshot: Snapshot) -> dict[str, str]:
    """The schedulers of the checkout that set timesteps and take steps, with their modules."""
    return classes(snapshot, FOLDER, "SchedulerMixin", ("set_timesteps", "step"))


def _arguments(found: Component, tasks: Collection[str]) -> str:
    config = found.arguments
    if "num_train_timesteps" not in config:
        raise Unfit("its configuration has no num_train_timesteps, so its timesteps have another scale")
    if "shift" in config:
        made = FLOW_MATCHING
    elif {"use_flow_sigmas", "flow_shift", "prediction_type"} <= set(config):
        made = FLOW_SOLVER
        if "final_sigmas_type" not in config:
            raise Unfit("its flow-matching schedule does not end without noise")
    else:
        raise Unfit("its configuration has neither shift nor use_flow_sigmas and flow_shift: it does no flow matching")
    set_timesteps, step = found.method("set_timesteps"), found.method("step")
    assert set_timesteps is not None
    assert step is not None
    unknown = [argument for argument in arguments(set_timesteps) if argument not in _KNOWN]
    if unknown:
        raise Unfit(f"its set_timesteps takes {', '.join(unknown)}")
    if any("randn_tensor(" in ast.unparse(part) for part in step.body if isinstance(part, ast.Assign)):
        raise Unfit("its step draws noise, for which pipelines would have to pass it their generator")
    for task in tasks:
        if task in _GIVEN and found.method("scale_noise") is None:
            raise Unfit(f"it has no scale_noise, which --task {task} needs")
    if found.method("set_begin_index") is None:
        raise Unfit("it has no set_begin_index")
    return made
