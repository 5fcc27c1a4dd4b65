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

from typing import Any, Callable

import torch
from transformers import CLIPTextModel, CLIPTokenizer

from ...callbacks import MultiPipelineCallbacks, PipelineCallback
from ...image_processor import VaeImageProcessor
from ...loaders import FooLoraLoaderMixin
from ...models import AutoencoderKL, FooTransformer2DModel
from ...schedulers import FooScheduler
from ...utils import is_torch_xla_available, replace_example_docstring
from ..pipeline_utils import DiffusionPipeline
from .pipeline_output import FooPipelineOutput


if is_torch_xla_available():
    import torch_xla.core.xla_model as xm

    XLA_AVAILABLE = True
else:
    XLA_AVAILABLE = False


# TODO(foo): name the repository of the published weights in the example.
EXAMPLE_DOC_STRING = """
    Examples:
        ```py
        >>> import torch
        >>> from diffusers import FooPipeline

        >>> repo_id = "ORG/Foo"
        >>> pipe = FooPipeline.from_pretrained(repo_id, dtype=torch.bfloat16)
        >>> pipe.to("cuda")
        >>> prompt = "A cat holding a sign that says hello world"
        >>> image = pipe(prompt, num_inference_steps=50, guidance_scale=5.0).images[0]
        >>> image.save("foo.png")
        ```
"""


# Copied from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion.retrieve_timesteps
def retrieve_timesteps(): ...


class FooPipeline(DiffusionPipeline, FooLoraLoaderMixin):
    r"""
    Pipeline for text-to-image generation with Foo.

    Loading, saving, device placement and offloading are those of [`DiffusionPipeline`].

    Args:
        transformer ([`FooTransformer2DModel`]):
            The transformer that denoises the latents of the image.
        scheduler ([`FooScheduler`]):
            The flow-matching scheduler that is used with `transformer`. It owns the shift of the timesteps.
        vae ([`AutoencoderKL`]):
            The variational autoencoder that decodes latents to images.
        text_encoder ([`~transformers.CLIPTextModel`]):
            The text encoder.
        tokenizer ([`~transformers.CLIPTokenizer`]):
            The tokenizer of the text encoder.
    """

    model_cpu_offload_seq = "text_encoder->transformer->vae"
    _callback_tensor_inputs = ["latents", "prompt_embeds", "negative_prompt_embeds"]

    def __init__(
        self,
        transformer: FooTransformer2DModel,
        scheduler: FooScheduler,
        vae: AutoencoderKL,
        text_encoder: CLIPTextModel,
        tokenizer: CLIPTokenizer,
    ):
        super().__init__()

        self.register_modules(
            transformer=transformer,
            scheduler=scheduler,
            vae=vae,
            text_encoder=text_encoder,
            tokenizer=tokenizer,
        )
        self.vae_scale_factor = 2 ** (len(self.vae.config.block_out_channels) - 1) if getattr(self, "vae", None) else 8
        self.patch_size = self.transformer.config.patch_size if getattr(self, "transformer", None) else 2
        self.image_processor = VaeImageProcessor(vae_scale_factor=self.vae_scale_factor * self.patch_size)
        # In latent pixels, so the default image has a side of 1024 pixels with a VAE that scales by 8.
        self.default_sample_size = 128

    # TODO(foo): match the reference: prompt template, hidden layer, treatment of padding tokens.
    def _get_clip_prompt_embeds(
        self,
        prompt: list[str],
        max_sequence_length: int,
        device: torch.device,
    ) -> torch.Tensor:
        text_inputs = self.tokenizer(
            prompt,
            padding="max_length",
            max_length=max_sequence_length,
            truncation=True,
            return_tensors="pt",
        )
        prompt_embeds = self.text_encoder(
            text_inputs.input_ids.to(device), attention_mask=text_inputs.attention_mask.to(device)
        )[0]

        return prompt_embeds.to(dtype=self.text_encoder.dtype, device=device)

    def encode_prompt(
        self,
        prompt: str | list[str] | None = None,
        negative_prompt: str | list[str] | None = None,
        do_classifier_free_guidance: bool = True,
        num_images_per_prompt: int = 1,
        prompt_embeds: torch.Tensor | None = None,
        negative_prompt_embeds: torch.Tensor | None = None,
        max_sequence_length: int = 77,
        device: torch.device | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        r"""
        Encodes the prompt into text embeddings.

        Args:
            prompt (`str` or `list[str]`, *optional*):
                The prompt or prompts to encode. Not needed with `prompt_embeds`.
            negative_prompt (`str` or `list[str]`, *optional*):
                The prompt or prompts to guide away from, empty by default. Ignored without guidance.
            do_classifier_free_guidance (`bool`, *optional*, defaults to `True`):
                Whether to return embeddings of the negative prompt.
            num_images_per_prompt (`int`, *optional*, defaults to 1):
                The number of images to generate per prompt.
            prompt_embeds (`torch.Tensor` of shape `(batch_size, text_seq_len, text_embed_dim)`, *optional*):
                Pre-generated text embeddings, instead of `prompt`.
            negative_prompt_embeds (`torch.Tensor` of shape `(batch_size, text_seq_len, text_embed_dim)`, *optional*):
                Pre-generated negative text embeddings, instead of `negative_prompt`.
            max_sequence_length (`int`, *optional*, defaults to 77):
                The number of tokens that prompts are padded or truncated to.
            device (`torch.device`, *optional*):
                The device of the embeddings, by default that of the pipeline.

        Returns:
            `tuple[torch.Tensor, torch.Tensor | None]`:
                The embeddings of the prompts and of the negative prompts, each of shape `(batch_size *
                num_images_per_prompt, text_seq_len, text_embed_dim)`. The latter is `None` without guidance.
        """
        device = device or self._execution_device

        if prompt_embeds is None:
            prompt = [prompt] if isinstance(prompt, str) else prompt
            prompt_embeds = self._get_clip_prompt_embeds(prompt, max_sequence_length, device)

        batch_size = prompt_embeds.shape[0]
        prompt_embeds = prompt_embeds.repeat_interleave(num_images_per_prompt, dim=0)

        if not do_classifier_free_guidance:
            negative_prompt_embeds = None
        else:
            if negative_prompt_embeds is None:
                if negative_prompt is None:
                    negative_prompt = ""
                if isinstance(negative_prompt, str):
                    negative_prompt = batch_size * [negative_prompt]
                negative_prompt_embeds = self._get_clip_prompt_embeds(negative_prompt, max_sequence_length, device)
            negative_prompt_embeds = negative_prompt_embeds.repeat_interleave(num_images_per_prompt, dim=0)

        return prompt_embeds, negative_prompt_embeds

    def check_inputs(
        self,
        prompt,
        negative_prompt,
        height,
        width,
        prompt_embeds=None,
        negative_prompt_embeds=None,
        callback_on_step_end_tensor_inputs=None,
        max_sequence_length=None,
    ):
        multiple_of = self.vae_scale_factor * self.patch_size
        if height % multiple_of != 0 or width % multiple_of != 0:
            raise ValueError(
                f"`height` and `width` have to be divisible by {multiple_of} but are {height} and {width}."
            )

        if prompt is not None and prompt_embeds is not None:
            raise ValueError("Only one of `prompt` and `prompt_embeds` can be passed.")
        elif prompt is None and prompt_embeds is None:
            raise ValueError("One of `prompt` and `prompt_embeds` has to be passed.")
        elif prompt is not None and not isinstance(prompt, (str, list)):
            raise ValueError(f"`prompt` has to be of type `str` or `list` but is {type(prompt)}.")

        if negative_prompt is not None and negative_prompt_embeds is not None:
            raise ValueError("Only one of `negative_prompt` and `negative_prompt_embeds` can be passed.")
        elif negative_prompt is not None and not isinstance(negative_prompt, (str, list)):
            raise ValueError(f"`negative_prompt` has to be of type `str` or `list` but is {type(negative_prompt)}.")

        if isinstance(prompt, str):
            batch_size = 1
        elif isinstance(prompt, list):
            batch_size = len(prompt)
        else:
            batch_size = prompt_embeds.shape[0]

        if isinstance(negative_prompt, list) and len(negative_prompt) != batch_size:
            raise ValueError(
                f"`negative_prompt` has to have as many entries as there are prompts, {batch_size}, but has"
                f" {len(negative_prompt)}."
            )
        if negative_prompt_embeds is not None and negative_prompt_embeds.shape[0] != batch_size:
            raise ValueError(
                f"`negative_prompt_embeds` has to have as many entries as there are prompts, {batch_size}, but has"
                f" {negative_prompt_embeds.shape[0]}."
            )

        if callback_on_step_end_tensor_inputs is not None and not all(
            k in self._callback_tensor_inputs for k in callback_on_step_end_tensor_inputs
        ):
            raise ValueError(
                f"`callback_on_step_end_tensor_inputs` has to be in {self._callback_tensor_inputs} but is"
                f" {callback_on_step_end_tensor_inputs}."
            )

        if max_sequence_length is not None and max_sequence_length > 77:
            raise ValueError(f"`max_sequence_length` cannot be greater than 77 but is {max_sequence_length}.")

    # Copied from diffusers.pipelines.stable_diffusion_3.pipeline_stable_diffusion_3.StableDiffusion3Pipeline.prepare_latents
    def prepare_latents(self): ...

    @property
    def guidance_scale(self):
        return self._guidance_scale

    @property
    def do_classifier_free_guidance(self):
        return self._guidance_scale > 1

    @property
    def attention_kwargs(self):
        return self._attention_kwargs

    @property
    def num_timesteps(self):
        return self._num_timesteps

    @property
    def current_timestep(self):
        return self._current_timestep

    @property
    def interrupt(self):
        return self._interrupt

    # TODO(foo): set the defaults (steps, guidance, size, number of tokens) to those of the reference.
    @torch.no_grad()
    @replace_example_docstring(EXAMPLE_DOC_STRING)
    def __call__(
        self,
        prompt: str | list[str] | None = None,
        negative_prompt: str | list[str] | None = None,
        height: int | None = None,
        width: int | None = None,
        num_inference_steps: int = 50,
        sigmas: list[float] | None = None,
        guidance_scale: float = 5.0,
        num_images_per_prompt: int = 1,
        generator: torch.Generator | list[torch.Generator] | None = None,
        latents: torch.Tensor | None = None,
        prompt_embeds: torch.Tensor | None = None,
        negative_prompt_embeds: torch.Tensor | None = None,
        output_type: str = "pil",
        return_dict: bool = True,
        attention_kwargs: dict[str, Any] | None = None,
        callback_on_step_end: Callable[[int, int], None] | PipelineCallback | MultiPipelineCallbacks | None = None,
        callback_on_step_end_tensor_inputs: list[str] = ["latents"],
        max_sequence_length: int = 77,
    ) -> FooPipelineOutput | tuple:
        r"""
        Generates images from prompts.

        Args:
            prompt (`str` or `list[str]`, *optional*):
                The prompt or prompts to guide the image generation. If not defined, pass `prompt_embeds` instead.
            negative_prompt (`str` or `list[str]`, *optional*):
                The prompt or prompts to guide the image generation away from, empty by default. Ignored when guidance
                is off (`guidance_scale` of 1 or less).
            height (`int`, *optional*, defaults to `self.default_sample_size * self.vae_scale_factor`):
                The height of the images in pixels, a multiple of `vae_scale_factor * patch_size`.
            width (`int`, *optional*, defaults to `self.default_sample_size * self.vae_scale_factor`):
                The width of the images in pixels, a multiple of `vae_scale_factor * patch_size`.
            num_inference_steps (`int`, *optional*, defaults to 50):
                The number of denoising steps. More steps usually lead to better images at the expense of slower
                inference.
            sigmas (`list[float]`, *optional*):
                Noise levels from 1 to 0, instead of those that the scheduler computes from `num_inference_steps`, for
                schedulers whose `set_timesteps` takes `sigmas`.
            guidance_scale (`float`, *optional*, defaults to 5.0):
                The scale of [classifier-free guidance](https://huggingface.co/papers/2207.12598), which is on when the
                scale is greater than 1. A higher scale makes images follow the prompt more closely, usually at the
                expense of lower image quality.
            num_images_per_prompt (`int`, *optional*, defaults to 1):
                The number of images to generate per prompt.
            generator (`torch.Generator` or `list[torch.Generator]`, *optional*):
                One or a list of [torch generator(s)](https://pytorch.org/docs/stable/generated/torch.Generator.html)
                to make generation deterministic.
            latents (`torch.Tensor`, *optional*):
                Pre-generated Gaussian noise of shape `(batch_size * num_images_per_prompt, in_channels, height //
                vae_scale_factor, width // vae_scale_factor)`. If not provided, it is sampled with `generator`.
            prompt_embeds (`torch.Tensor` of shape `(batch_size, text_seq_len, text_embed_dim)`, *optional*):
                Pre-generated text embeddings, instead of `prompt`.
            negative_prompt_embeds (`torch.Tensor` of shape `(batch_size, text_seq_len, text_embed_dim)`, *optional*):
                Pre-generated negative text embeddings, instead of `negative_prompt`.
            output_type (`str`, *optional*, defaults to `"pil"`):
                The format of the images: `"pil"`, `"np"`, `"pt"` or `"latent"`.
            return_dict (`bool`, *optional*, defaults to `True`):
                Whether to return a [`~pipelines.foo.FooPipelineOutput`] instead of a plain tuple.
            attention_kwargs (`dict`, *optional*):
                A dictionary that is passed along to the transformer. Its `scale` is the weight of the LoRA layers.
            callback_on_step_end (`Callable`, *optional*):
                A function that is called at the end of each denoising step with the arguments
                `callback_on_step_end(self: DiffusionPipeline, step: int, timestep: int, callback_kwargs: dict)`.
                `callback_kwargs` holds the tensors that `callback_on_step_end_tensor_inputs` names.
            callback_on_step_end_tensor_inputs (`list[str]`, *optional*, defaults to `["latents"]`):
                The tensors that are passed to `callback_on_step_end`, out of `self._callback_tensor_inputs`.
            max_sequence_length (`int`, *optional*, defaults to 77):
                The number of tokens that prompts are padded or truncated to.

        Examples:

        Returns:
            [`~pipelines.foo.FooPipelineOutput`] or `tuple`:
                If `return_dict` is True, the output class, otherwise a `tuple` whose first element is the images.
        """
        height = height or self.default_sample_size * self.vae_scale_factor
        width = width or self.default_sample_size * self.vae_scale_factor

        if isinstance(callback_on_step_end, (PipelineCallback, MultiPipelineCallbacks)):
            callback_on_step_end_tensor_inputs = callback_on_step_end.tensor_inputs

        # 1. Check inputs
        self.check_inputs(
            prompt,
            negative_prompt,
            height,
            width,
            prompt_embeds=prompt_embeds,
            negative_prompt_embeds=negative_prompt_embeds,
            callback_on_step_end_tensor_inputs=callback_on_step_end_tensor_inputs,
            max_sequence_length=max_sequence_length,
        )

        self._guidance_scale = guidance_scale
        self._attention_kwargs = attention_kwargs
        self._current_timestep = None
        self._interrupt = False

        device = self._execution_device

        # 2. Encode the prompts
        prompt_embeds, negative_prompt_embeds = self.encode_prompt(
            prompt,
            negative_prompt,
            do_classifier_free_guidance=self.do_classifier_free_guidance,
            num_images_per_prompt=num_images_per_prompt,
            prompt_embeds=prompt_embeds,
            negative_prompt_embeds=negative_prompt_embeds,
            max_sequence_length=max_sequence_length,
            device=device,
        )

        # 3. Prepare the timesteps
        # TODO(foo): if the shift of the reference depends on the image size, compute `mu` and pass it here.
        timesteps, num_inference_steps = retrieve_timesteps(self.scheduler, num_inference_steps, device, sigmas=sigmas)
        num_warmup_steps = max(len(timesteps) - num_inference_steps * self.scheduler.order, 0)
        self._num_timesteps = len(timesteps)

        # 4. Prepare the latents
        latents = self.prepare_latents(
            prompt_embeds.shape[0],
            self.transformer.config.in_channels,
            height,
            width,
            prompt_embeds.dtype,
            device,
            generator,
            latents,
        )

        # 5. Denoise
        with self.progress_bar(total=num_inference_steps) as progress_bar:
            for i, t in enumerate(timesteps):
                if self.interrupt:
                    continue

                self._current_timestep = t
                timestep = t.expand(latents.shape[0])

                with self.transformer.cache_context("cond"):
                    noise_pred = self.transformer(
                        hidden_states=latents,
                        timestep=timestep,
                        encoder_hidden_states=prompt_embeds,
                        attention_kwargs=self.attention_kwargs,
                        return_dict=False,
                    )[0]

                if self.do_classifier_free_guidance:
                    with self.transformer.cache_context("uncond"):
                        noise_pred_uncond = self.transformer(
                            hidden_states=latents,
                            timestep=timestep,
                            encoder_hidden_states=negative_prompt_embeds,
                            attention_kwargs=self.attention_kwargs,
                            return_dict=False,
                        )[0]
                    noise_pred = noise_pred_uncond + self.guidance_scale * (noise_pred - noise_pred_uncond)

                latents_dtype = latents.dtype
                latents = self.scheduler.step(noise_pred, t, latents, return_dict=False)[0]
                if latents.dtype != latents_dtype and torch.backends.mps.is_available():
                    # Some platforms (e.g. Apple MPS) misbehave due to https://github.com/pytorch/pytorch/pull/99272.
                    latents = latents.to(latents_dtype)

                if callback_on_step_end is not None:
                    callback_kwargs = {}
                    for k in callback_on_step_end_tensor_inputs:
                        callback_kwargs[k] = locals()[k]
                    callback_outputs = callback_on_step_end(self, i, t, callback_kwargs)

                    latents = callback_outputs.pop("latents", latents)
                    prompt_embeds = callback_outputs.pop("prompt_embeds", prompt_embeds)
                    negative_prompt_embeds = callback_outputs.pop("negative_prompt_embeds", negative_prompt_embeds)

                if i == len(timesteps) - 1 or ((i + 1) > num_warmup_steps and (i + 1) % self.scheduler.order == 0):
                    progress_bar.update()

                if XLA_AVAILABLE:
                    xm.mark_step()

        self._current_timestep = None

        # 6. Decode the latents
        if output_type == "latent":
            image = latents
        else:
            # TODO(foo): match the normalization of the reference (a mean and std per channel, or no shift).
            latents = latents.to(self.vae.dtype)
            latents = latents / self.vae.config.scaling_factor + self.vae.config.shift_factor
            image = self.vae.decode(latents, return_dict=False)[0]
            image = self.image_processor.postprocess(image, output_type=output_type)

        # Offload all models
        self.maybe_free_model_hooks()

        if not return_dict:
            return (image,)

        return FooPipelineOutput(images=image)
