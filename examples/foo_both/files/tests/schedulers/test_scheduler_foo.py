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

import unittest

import torch

from diffusers import FlowMatchEulerDiscreteScheduler, FooScheduler

from .test_schedulers import SchedulerCommonTest


class FooSchedulerTest(SchedulerCommonTest):
    scheduler_classes = (FooScheduler,)
    forward_default_kwargs = (("num_inference_steps", 10),)

    # The shape of a batch of one sample.
    sample_shape = (1, 4, 8, 8)

    def get_scheduler_config(self, **kwargs):
        config = {
            "shift": 3.0,
        }
        config.update(**kwargs)
        return config

    def get_scheduler(self, **kwargs):
        return self.scheduler_classes[0](**self.get_scheduler_config(**kwargs))

    @unittest.skip("A flow-matching scheduler has no betas.")
    def test_trained_betas(self):
        pass

    def test_shifts(self):
        for shift in [0.5, 1.0, 5.0]:
            self.check_over_configs(time_step=None, shift=shift)

    def test_num_inference_steps(self):
        for num_inference_steps in [5, 10, 20]:
            self.check_over_forward(time_step=None, num_inference_steps=num_inference_steps)

    def test_default_config(self):
        scheduler = self.scheduler_classes[0]()
        self.assertEqual(scheduler.config.num_train_timesteps, 1000)
        self.assertEqual(scheduler.config.shift, 1.0)
        self.assertEqual(scheduler.order, 1)
        self.assertEqual(len(scheduler), 1000)
        self.assertEqual(scheduler.timesteps.shape, (1000,))

    def test_set_timesteps(self):
        scheduler = self.get_scheduler()
        for num_inference_steps in [1, 2, 10, 50]:
            scheduler.set_timesteps(num_inference_steps)
            self.assertEqual(scheduler.num_inference_steps, num_inference_steps)
            self.assertEqual(scheduler.timesteps.shape, (num_inference_steps,))
            self.assertEqual(scheduler.sigmas.shape, (num_inference_steps + 1,))
            self.assertEqual(scheduler.timesteps[0].item(), 1000.0)
            self.assertEqual(scheduler.sigmas[-1].item(), 0.0)
            self.assertTrue((scheduler.sigmas.diff() < 0).all())

    def test_set_timesteps_custom_sigmas(self):
        scheduler = self.get_scheduler(shift=1.0)
        scheduler.set_timesteps(sigmas=[0.9, 0.7, 0.4, 0.1])
        self.assertEqual(scheduler.num_inference_steps, 4)
        torch.testing.assert_close(scheduler.sigmas, torch.tensor([0.9, 0.7, 0.4, 0.1, 0.0]))
        torch.testing.assert_close(scheduler.timesteps, torch.tensor([900.0, 700.0, 400.0, 100.0]))

    def test_set_timesteps_rejects_bad_arguments(self):
        scheduler = self.get_scheduler()
        with self.assertRaises(ValueError):
            scheduler.set_timesteps()
        with self.assertRaises(ValueError):
            scheduler.set_timesteps(3, sigmas=[1.0, 0.5])

    def test_shift(self):
        plain, shifted = self.get_scheduler(shift=1.0), self.get_scheduler(shift=3.0)
        plain.set_timesteps(10)
        shifted.set_timesteps(10)
        self.assertEqual(shifted.sigmas[0].item(), 1.0)
        self.assertTrue((shifted.sigmas[1:-1] > plain.sigmas[1:-1]).all())

    def test_step_dtype(self):
        scheduler = self.get_scheduler()
        for dtype in [torch.float32, torch.bfloat16]:
            scheduler.set_timesteps(4)
            sample, model_output = torch.randn(2, *self.sample_shape, dtype=dtype)
            prev_sample = scheduler.step(model_output, scheduler.timesteps[0], sample).prev_sample
            self.assertEqual(prev_sample.shape, sample.shape)
            self.assertEqual(prev_sample.dtype, dtype)

    def test_step_return_dict(self):
        scheduler = self.get_scheduler()
        sample, model_output = torch.randn(2, *self.sample_shape)
        scheduler.set_timesteps(4)
        output = scheduler.step(model_output, scheduler.timesteps[0], sample)
        scheduler.set_timesteps(4)
        output_tuple = scheduler.step(model_output, scheduler.timesteps[0], sample, return_dict=False)
        torch.testing.assert_close(output_tuple[0], output.prev_sample)

    def test_step_rejects_integer_timesteps(self):
        scheduler = self.get_scheduler()
        scheduler.set_timesteps(4)
        sample = torch.randn(self.sample_shape)
        for timestep in [0, torch.tensor(0)]:
            with self.assertRaises(ValueError):
                scheduler.step(sample, timestep, sample)

    def test_step_index(self):
        scheduler = self.get_scheduler()
        scheduler.set_timesteps(4)
        self.assertIsNone(scheduler.step_index)
        self.assertIsNone(scheduler.begin_index)

        sample = torch.randn(self.sample_shape)
        for i, t in enumerate(scheduler.timesteps):
            scheduler.step(torch.randn_like(sample), t, sample)
            self.assertEqual(scheduler.step_index, i + 1)

    def test_begin_index(self):
        scheduler = self.get_scheduler()
        scheduler.set_timesteps(4)
        scheduler.set_begin_index(2)
        self.assertEqual(scheduler.begin_index, 2)

        sample = torch.randn(self.sample_shape)
        scheduler.step(sample, scheduler.timesteps[2], sample)
        self.assertEqual(scheduler.step_index, 3)

    def test_full_loop_with_exact_velocity(self):
        # The true velocity is constant along the path, so that any number of steps ends at the image.
        image, noise = torch.randn(2, *self.sample_shape)
        for num_inference_steps in [1, 5, 20]:
            scheduler = self.get_scheduler()
            scheduler.set_timesteps(num_inference_steps)
            sample = noise
            for t in scheduler.timesteps:
                sample = scheduler.step(noise - image, t, sample).prev_sample
            torch.testing.assert_close(sample, image, atol=1e-5, rtol=1e-5)

    def test_full_loop_matches_flow_match_euler(self):
        # TODO(foo): drop this test as soon as the schedule differs from that of FlowMatchEulerDiscreteScheduler.
        sigmas = torch.linspace(1.0, 0.1, 10).tolist()
        scheduler, reference = self.get_scheduler(), FlowMatchEulerDiscreteScheduler(**self.get_scheduler_config())
        scheduler.set_timesteps(sigmas=sigmas)
        reference.set_timesteps(sigmas=sigmas)
        torch.testing.assert_close(scheduler.timesteps, reference.timesteps)

        sample = expected = torch.randn(self.sample_shape)
        for t in scheduler.timesteps:
            sample = scheduler.step(torch.sin(sample), t, sample).prev_sample
        for t in reference.timesteps:
            expected = reference.step(torch.sin(expected), t, expected).prev_sample
        torch.testing.assert_close(sample, expected)

    def test_scale_noise(self):
        scheduler = self.get_scheduler()
        scheduler.set_timesteps(4)
        image, noise = torch.randn(2, *self.sample_shape)
        for i, t in enumerate(scheduler.timesteps):
            sigma = scheduler.sigmas[i]
            noisy = scheduler.scale_noise(image, t[None], noise)
            torch.testing.assert_close(noisy, sigma * noise + (1 - sigma) * image)
            torch.testing.assert_close(scheduler.add_noise(image, noise, t[None]), noisy)

    def test_start_in_the_middle(self):
        # Pipelines that start from a given image take only the last steps, from a noisy version of it on.
        scheduler = self.get_scheduler()
        scheduler.set_timesteps(4)
        scheduler.set_begin_index(2)
        timesteps = scheduler.timesteps[2:]
        image, noise = torch.randn(2, *self.sample_shape)
        sample = scheduler.scale_noise(image, timesteps[:1], noise)
        torch.testing.assert_close(sample, scheduler.sigmas[2] * noise + (1 - scheduler.sigmas[2]) * image)
        for t in timesteps:
            sample = scheduler.step(noise - image, t, sample).prev_sample
        torch.testing.assert_close(sample, image, atol=1e-5, rtol=1e-5)
