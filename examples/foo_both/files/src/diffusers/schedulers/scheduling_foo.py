# Copyright 2026 The Foo Team and The HuggingFace Team. All rights reserved.
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

from dataclasses import dataclass

import torch

from ..configuration_utils import ConfigMixin, register_to_config
from ..utils import BaseOutput
from .scheduling_utils import SchedulerMixin


@dataclass
class FooSchedulerOutput(BaseOutput):
    """
    What [`FooScheduler.step`] returns.

    Args:
        prev_sample (`torch.Tensor` of shape `(batch_size, num_channels, height, width)`):
            The sample at the next, less noisy timestep. It is the model input of the next denoising step.
    """

    prev_sample: torch.Tensor


class FooScheduler(SchedulerMixin, ConfigMixin):
    """
    Flow-matching Euler scheduler of Foo. A sample is `sigma * noise + (1 - sigma) * image`, the model predicts the
    velocity `noise - image`, and each step follows it to the next, smaller sigma.

    Loading and saving, which all schedulers share, are documented in [`SchedulerMixin`] and [`ConfigMixin`].

    Args:
        num_train_timesteps (`int`, defaults to 1000):
            The number of timesteps that the model was trained with. The timesteps are `sigma * num_train_timesteps`.
        shift (`float`, defaults to 1.0):
            Moves the schedule towards the noise where it is larger than 1.
    """

    _compatibles = []
    order = 1

    @register_to_config
    def __init__(self, num_train_timesteps: int = 1000, shift: float = 1.0):
        # The schedule of the training, until `set_timesteps` sets one for inference.
        sigmas = self._shift_sigmas(torch.linspace(1.0, 1 / num_train_timesteps, num_train_timesteps))
        self.sigmas = torch.cat([sigmas, torch.zeros(1)])
        self.timesteps = sigmas * num_train_timesteps
        self.num_inference_steps = None
        # The standard deviation of the noise that generation starts from.
        self.init_noise_sigma = 1.0

        self._step_index = None
        self._begin_index = None

    @property
    def step_index(self) -> int | None:
        """
        The index of the step to take next, or `None` before the first one. Each `step` moves it on by one.
        """
        return self._step_index

    @property
    def begin_index(self) -> int | None:
        """
        The index of the first step to take, where a pipeline has set one with `set_begin_index`.
        """
        return self._begin_index

    # Copied from diffusers.schedulers.scheduling_dpmsolver_multistep.DPMSolverMultistepScheduler.set_begin_index
    def set_begin_index(self): ...

    # TODO(foo): shift the sigmas as the reference does.
    def _shift_sigmas(self, sigmas: torch.Tensor) -> torch.Tensor:
        return self.config.shift * sigmas / (1 + (self.config.shift - 1) * sigmas)

    def set_timesteps(
        self,
        num_inference_steps: int | None = None,
        device: str | torch.device | None = None,
        sigmas: list[float] | None = None,
    ) -> None:
        """
        Sets the timesteps and sigmas to denoise at. Call it before the first `step`.

        Args:
            num_inference_steps (`int`, *optional*):
                The number of denoising steps. It may be left out where `sigmas` are passed.
            device (`str` or `torch.device`, *optional*):
                The device to put the timesteps and sigmas on. If `None`, they stay on the CPU.
            sigmas (`list[float]`, *optional*):
                Custom sigmas to denoise at, in descending order and before the shift. The final 0 is added. If `None`,
                `num_inference_steps` evenly spaced sigmas from 1 on are used.
        """
        if sigmas is not None:
            if num_inference_steps is not None and len(sigmas) != num_inference_steps:
                raise ValueError(
                    f"`sigmas` has to have `num_inference_steps`={num_inference_steps} values but has {len(sigmas)}."
                )
            sigmas = torch.tensor(sigmas, dtype=torch.float32)
        elif num_inference_steps is not None:
            sigmas = torch.linspace(1.0, 1 / num_inference_steps, num_inference_steps)
        else:
            raise ValueError("Pass either `num_inference_steps` or `sigmas`.")

        sigmas = self._shift_sigmas(sigmas).to(device)
        self.num_inference_steps = len(sigmas)
        self.sigmas = torch.cat([sigmas, sigmas.new_zeros(1)])
        self.timesteps = sigmas * self.config.num_train_timesteps

        self._step_index = None
        self._begin_index = None

    # Copied from diffusers.schedulers.scheduling_dpmsolver_multistep.DPMSolverMultistepScheduler.scale_model_input
    def scale_model_input(self): ...

    def add_noise(self, original_samples: torch.Tensor, noise: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
        """
        Mixes samples with noise as `scale_noise` does, with the arguments that other schedulers have.

        Args:
            original_samples (`torch.Tensor`):
                The clean samples.
            noise (`torch.Tensor`):
                The noise, of the same shape.
            timesteps (`torch.Tensor` of shape `(batch_size,)`):
                The timestep of each sample, one of `timesteps`.

        Returns:
            `torch.Tensor`:
                The noisy samples.
        """
        return self.scale_noise(original_samples, timesteps, noise)

    # Copied from diffusers.schedulers.scheduling_flow_match_euler_discrete.FlowMatchEulerDiscreteScheduler.scale_noise
    def scale_noise(self): ...

    # Copied from diffusers.schedulers.scheduling_flow_match_euler_discrete.FlowMatchEulerDiscreteScheduler.index_for_timestep
    def index_for_timestep(self): ...

    # Copied from diffusers.schedulers.scheduling_flow_match_euler_discrete.FlowMatchEulerDiscreteScheduler._init_step_index
    def _init_step_index(self): ...

    def step(
        self,
        model_output: torch.Tensor,
        timestep: float | torch.Tensor,
        sample: torch.Tensor,
        return_dict: bool = True,
    ) -> FooSchedulerOutput | tuple[torch.Tensor]:
        """
        Follows the predicted velocity from the sample at `timestep` to the sample at the next timestep.

        Args:
            model_output (`torch.Tensor`):
                The velocity that the model predicts.
            timestep (`float` or `torch.Tensor`):
                The current timestep, one of `timesteps`.
            sample (`torch.Tensor`):
                The sample at `timestep`.
            return_dict (`bool`, *optional*, defaults to `True`):
                Whether to return a [`FooSchedulerOutput`] instead of a plain tuple.

        Returns:
            [`FooSchedulerOutput`] or `tuple`:
                The next sample. It is the first element of the tuple if `return_dict` is False.
        """
        if isinstance(timestep, int) or (isinstance(timestep, torch.Tensor) and not timestep.is_floating_point()):
            raise ValueError(
                f"`timestep` is the integer {timestep}, which looks like an index. Pass one of `scheduler.timesteps`"
                " to `FooScheduler.step`."
            )

        if self.step_index is None:
            self._init_step_index(timestep)

        # The update is small next to the sample, so it is computed in float32.
        dt = self.sigmas[self.step_index + 1] - self.sigmas[self.step_index]
        prev_sample = sample.to(torch.float32) + dt * model_output.to(torch.float32)
        prev_sample = prev_sample.to(model_output.dtype)

        self._step_index += 1

        if not return_dict:
            return (prev_sample,)

        return FooSchedulerOutput(prev_sample=prev_sample)

    def __len__(self) -> int:
        return self.config.num_train_timesteps
