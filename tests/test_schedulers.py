"""What is read of scheduler classes."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from scaffold_model.errors import BadInput
from scaffold_model.schedulers import FLOW_MATCHING, FLOW_SOLVER, FOLDER, schedulers, traits
from scaffold_model.snapshot import Snapshot


def snapshot(
    arguments: str = "num_train_timesteps=1000, shift=1.0",
    set_timesteps: str = "num_inference_steps, device=None",
    step: str = "return sample",
    more: str = "    def scale_noise(self, sample, timestep, noise): ...\n    def set_begin_index(self, begin_index): ...\n",
) -> Snapshot:
    source = (
        "class BarScheduler(SchedulerMixin, ConfigMixin):\n"
        f"    def __init__(self, {arguments}): ...\n"
        f"    def set_timesteps(self, {set_timesteps}): ...\n"
        "    def step(self, model_output, timestep, sample, return_dict=True):\n"
        f"        {step}\n{more}"
    )
    init = '_import_structure["scheduling_bar"] = ["BarScheduler"]\n'
    return Snapshot(None, {f"{FOLDER}/scheduling_bar.py": source, f"{FOLDER}/__init__.py": init})


SOLVER = "num_train_timesteps=1000, prediction_type='epsilon', use_flow_sigmas=False, flow_shift=1.0"


def test_the_one_that_the_template_writes_does_flow_matching() -> None:
    assert traits(Snapshot(None), "new", ("i2i",)) == {"scheduler_arguments": FLOW_MATCHING}


def test_a_flow_matching_class_serves_every_task() -> None:
    assert traits(snapshot(), "BarScheduler", ("t2i", "i2i")) == {"scheduler_arguments": FLOW_MATCHING}


def test_a_solver_is_told_to_do_flow_matching() -> None:
    found = traits(
        snapshot(f"{SOLVER}, final_sigmas_type='zero'", more="    def set_begin_index(self): ...\n"),
        "BarScheduler",
        ("t2v", "i2v"),
    )
    assert found == {"scheduler_arguments": FLOW_SOLVER}


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        ({"arguments": "shift=1.0"}, "its configuration has no num_train_timesteps"),
        ({"arguments": "num_train_timesteps=1000"}, "its configuration has neither shift nor"),
        ({"arguments": SOLVER}, "its flow-matching schedule does not end without noise"),
        ({"set_timesteps": "num_inference_steps, stage_index"}, "its set_timesteps takes stage_index"),
        ({"step": "noise = randn_tensor(sample.shape)"}, "its step draws noise"),
        ({"more": ""}, "it has no scale_noise, which --task i2i needs"),
        ({"more": "    def scale_noise(self): ...\n"}, "it has no set_begin_index"),
    ],
)
def test_what_generated_code_can_not_use_is_refused(made: dict[str, str], reason: str) -> None:
    with pytest.raises(BadInput) as refusal:
        traits(snapshot(**made), "BarScheduler", ("t2i", "i2i"))
    assert refusal.value.message.startswith(f"--scheduler BarScheduler can not be used: {reason}")
    assert refusal.value.path == f"{FOLDER}/scheduling_bar.py"


def test_an_unknown_class_is_refused_with_its_neighbours() -> None:
    with pytest.raises(BadInput, match="--scheduler BazScheduler is no scheduler of this checkout") as refusal:
        traits(snapshot(), "BazScheduler", ("t2i",))
    assert refusal.value.hint == "did you mean BarScheduler?"


@pytest.mark.checkout
def test_the_classes_of_the_checkout(pinned: Path) -> None:
    """Those that are accepted; a new one that is accepted, or one that no longer is, has to be looked at."""
    real = Snapshot(pinned)
    accepted = []
    for name in schedulers(real):
        for task in ("t2i", "i2i"):
            with contextlib.suppress(BadInput):
                traits(real, name, (task,))
                accepted.append(f"{name} {task}")
    assert sorted(accepted) == [
        "DPMSolverMultistepScheduler t2i",
        "DPMSolverSinglestepScheduler t2i",
        "FlowMapEulerDiscreteScheduler i2i",
        "FlowMapEulerDiscreteScheduler t2i",
        "FlowMatchEulerDiscreteScheduler i2i",
        "FlowMatchEulerDiscreteScheduler t2i",
        "FlowMatchHeunDiscreteScheduler i2i",
        "FlowMatchHeunDiscreteScheduler t2i",
        "UniPCMultistepScheduler t2i",
    ]
