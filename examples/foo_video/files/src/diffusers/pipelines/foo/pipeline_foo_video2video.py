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

from typing import Callable

import PIL.Image
import torch
from transformers import T5EncoderModel, T5TokenizerFast

from ...callbacks import MultiPipelineCallbacks, PipelineCallback
from ...models import AutoencoderKLWan, FooTransformer3DModel
from ...schedulers import FlowMatchEulerDiscreteScheduler
from ...utils import is_torch_xla_available, replace_example_docstring
from ...video_processor import VideoProcessor
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
        >>> from diffusers import FooVideoToVideoPipeline
        >>> from diffusers.utils import export_to_video, load_video

        >>> repo_id = "ORG/Foo"
        >>> pipe = FooVideoToVideoPipeline.from_pretrained(repo_id, dtype=torch.bfloat16)
        >>> pipe.to("cuda")
        >>> video = load_video(
        ...     "https://huggingface.co/datasets/huggingface/documentation-images/resolve/main/diffusers/hiker.mp4"
        ... )
        >>> # The autoencoder takes one frame and whole groups of `pipe.vae_scale_factor_temporal` frames.
        >>> video = video[: (len(video) - 1) // pipe.vae_scale_factor_temporal * pipe.vae_scale_factor_temporal + 1]
        >>> prompt = "A robot stands on a mountain top at sunset"
        >>> video = pipe(prompt, video=video, strength=0.9, guidance_scale=3.5).frames[0]
        >>> export_to_video(video, "foo.mp4", fps=16)
        ```
"""


# Copied from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion_img2img.retrieve_latents
def retrieve_latents(): ...


# Copied from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion.retrieve_timesteps
def retrieve_timesteps(): ...


class FooVideoToVideoPipeline(DiffusionPipeline):
    r"""
    Pipeline for video-to-video generation with Foo.

    Loading, saving, device placement and offloading are those of [`DiffusionPipeline`].

    Args:
        transformer ([`FooTransformer3DModel`]):
            The transformer that denoises the latents of the video.
        scheduler ([`FlowMatchEulerDiscreteScheduler`]):
            The flow-matching scheduler that is used with `transformer`. It owns the shift of the timesteps.
        vae ([`AutoencoderKLWan`]):
            The variational autoencoder that encodes videos to latents and decodes latents to videos.
        text_encoder ([`~transformers.T5EncoderModel`]):
            The text encoder.
        tokenizer ([`~transformers.T5TokenizerFast`]):
            The tokenizer of the text encoder.
    """

    model_cpu_offload_seq = "text_encoder->transformer->vae"
    _callback_tensor_inputs = ["latents", "prompt_embeds"]

    def __init__(
        self,
        transformer: FooTransformer3DModel,
        scheduler: FlowMatchEulerDiscreteScheduler,
        vae: AutoencoderKLWan,
        text_encoder: T5EncoderModel,
        tokenizer: T5TokenizerFast,
    ):
        super().__init__()

        self.register_modules(
            transformer=transformer,
            scheduler=scheduler,
            vae=vae,
            text_encoder=text_encoder,
            tokenizer=tokenizer,
        )
        self.vae_scale_factor_spatial = self.vae.config.scale_factor_spatial if getattr(self, "vae", None) else 8
        self.vae_scale_factor_temporal = self.vae.config.scale_factor_temporal if getattr(self, "vae", None) else 4
        # Frames, rows and columns of a patch.
        self.patch_size = self.transformer.config.patch_size if getattr(self, "transformer", None) else (1, 2, 2)
        self.video_processor = VideoProcessor(vae_scale_factor=self.vae_scale_factor_spatial)

    # Copied from diffusers.pipelines.foo.pipeline_foo.FooPipeline._get_t5_prompt_embeds
    def _get_t5_prompt_embeds(
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

    # Copied from diffusers.pipelines.foo.pipeline_foo.FooPipeline.encode_prompt
    def encode_prompt(
        self,
        prompt: str | list[str] | None = None,
        num_videos_per_prompt: int = 1,
        prompt_embeds: torch.Tensor | None = None,
        max_sequence_length: int = 256,
        device: torch.device | None = None,
    ) -> torch.Tensor:
        r"""
        Encodes the prompt into text embeddings.

        Args:
            prompt (`str` or `list[str]`, *optional*):
                The prompt or prompts to encode. Not needed with `prompt_embeds`.
            num_videos_per_prompt (`int`, *optional*, defaults to 1):
                The number of videos to generate per prompt.
            prompt_embeds (`torch.Tensor` of shape `(batch_size, text_seq_len, text_embed_dim)`, *optional*):
                Pre-generated text embeddings, instead of `prompt`.
            max_sequence_length (`int`, *optional*, defaults to 256):
                The number of tokens that prompts are padded or truncated to.
            device (`torch.device`, *optional*):
                The device of the embeddings, by default that of the pipeline.

        Returns:
            `torch.Tensor`:
                The embeddings of the prompts, of shape `(batch_size * num_videos_per_prompt, text_seq_len,
                text_embed_dim)`.
        """
        device = device or self._execution_device

        if prompt_embeds is None:
            prompt = [prompt] if isinstance(prompt, str) else prompt
            prompt_embeds = self._get_t5_prompt_embeds(prompt, max_sequence_length, device)

        return prompt_embeds.repeat_interleave(num_videos_per_prompt, dim=0)

    def check_inputs(
        self,
        prompt,
        video,
        height,
        width,
        strength,
        prompt_embeds=None,
        callback_on_step_end_tensor_inputs=None,
        max_sequence_length=None,
    ):
        if video is None:
            raise ValueError("`video` has to be passed.")

        if strength < 0 or strength > 1:
            raise ValueError(f"`strength` has to be between 0 and 1 but is {strength}.")

        height_multiple_of = self.vae_scale_factor_spatial * self.patch_size[1]
        width_multiple_of = self.vae_scale_factor_spatial * self.patch_size[2]
        if height % height_multiple_of != 0 or width % width_multiple_of != 0:
            raise ValueError(
                f"`height` and `width` have to be divisible by {height_multiple_of} and {width_multiple_of} but are"
                f" {height} and {width}."
            )

        if prompt is not None and prompt_embeds is not None:
            raise ValueError("Only one of `prompt` and `prompt_embeds` can be passed.")
        elif prompt is None and prompt_embeds is None:
            raise ValueError("One of `prompt` and `prompt_embeds` has to be passed.")
        elif prompt is not None and not isinstance(prompt, (str, list)):
            raise ValueError(f"`prompt` has to be of type `str` or `list` but is {type(prompt)}.")

        if callback_on_step_end_tensor_inputs is not None and not all(
            k in self._callback_tensor_inputs for k in callback_on_step_end_tensor_inputs
        ):
            raise ValueError(
                f"`callback_on_step_end_tensor_inputs` has to be in {self._callback_tensor_inputs} but is"
                f" {callback_on_step_end_tensor_inputs}."
            )

        if max_sequence_length is not None and max_sequence_length > 512:
            raise ValueError(f"`max_sequence_length` cannot be greater than 512 but is {max_sequence_length}.")

    # Copied from diffusers.pipelines.stable_diffusion_3.pipeline_stable_diffusion_3_img2img.StableDiffusion3Img2ImgPipeline.get_timesteps
    def get_timesteps(self): ...

    # Copied from diffusers.pipelines.wan.pipeline_wan.WanPipeline.prepare_latents
    def prepare_latents(self): ...

    def prepare_video_latents(
        self, video: torch.Tensor, batch_size: int, dtype: torch.dtype, device: torch.device
    ) -> torch.Tensor:
        if batch_size % video.shape[0] != 0:
            raise ValueError(f"{video.shape[0]} videos in `video` can not be spread over a batch of {batch_size}.")

        video_latents = retrieve_latents(
            self.vae.encode(video.to(device=device, dtype=self.vae.dtype)), sample_mode="argmax"
        )
        latents_mean = torch.tensor(self.vae.config.latents_mean).view(1, -1, 1, 1, 1).to(video_latents)
        latents_std = torch.tensor(self.vae.config.latents_std).view(1, -1, 1, 1, 1).to(video_latents)
        video_latents = (video_latents - latents_mean) / latents_std
        video_latents = video_latents.to(dtype=dtype)
        return video_latents.repeat_interleave(batch_size // video_latents.shape[0], dim=0)

    @property
    def guidance_scale(self):
        return self._guidance_scale

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
        video: list[PIL.Image.Image] | torch.Tensor | None = None,
        height: int = 512,
        width: int = 768,
        strength: float = 0.9,
        num_inference_steps: int = 50,
        sigmas: list[float] | None = None,
        guidance_scale: float = 3.5,
        num_videos_per_prompt: int = 1,
        generator: torch.Generator | list[torch.Generator] | None = None,
        latents: torch.Tensor | None = None,
        prompt_embeds: torch.Tensor | None = None,
        output_type: str = "pil",
        return_dict: bool = True,
        callback_on_step_end: Callable[[int, int], None] | PipelineCallback | MultiPipelineCallbacks | None = None,
        callback_on_step_end_tensor_inputs: list[str] = ["latents"],
        max_sequence_length: int = 256,
    ) -> FooPipelineOutput | tuple:
        r"""
        Generates videos from prompts and videos.

        Args:
            prompt (`str` or `list[str]`, *optional*):
                The prompt or prompts to guide the video generation. If not defined, pass `prompt_embeds` instead.
            video (`list[PIL.Image.Image]`, `torch.Tensor` or a list of them):
                The video or videos to start from, resized to `height` and `width`: a list of frames, or a tensor of
                shape `(num_frames, channels, height, width)` with values from 0 to 1. The number of frames is a
                multiple of `vae_scale_factor_temporal` plus 1.
            height (`int`, *optional*, defaults to 512):
                The height of the videos in pixels, a multiple of `vae_scale_factor_spatial` and the patch size.
            width (`int`, *optional*, defaults to 768):
                The width of the videos in pixels, a multiple of `vae_scale_factor_spatial` and the patch size.
            strength (`float`, *optional*, defaults to 0.9):
                How much to change the video, from 0 to 1: how far along the schedule the noise is that is added to it.
                At 1 nothing of it is left; at lower values fewer of the `num_inference_steps` are taken.
            num_inference_steps (`int`, *optional*, defaults to 50):
                The number of denoising steps. More steps usually lead to better videos at the expense of slower
                inference.
            sigmas (`list[float]`, *optional*):
                Noise levels from 1 to 0, instead of those that the scheduler computes from `num_inference_steps`, for
                schedulers whose `set_timesteps` takes `sigmas`.
            guidance_scale (`float`, *optional*, defaults to 3.5):
                The scale of the guidance that was distilled into the transformer, which gets it as an input. A higher
                scale makes videos follow the prompt more closely, usually at the expense of lower video quality.
            num_videos_per_prompt (`int`, *optional*, defaults to 1):
                The number of videos to generate per prompt.
            generator (`torch.Generator` or `list[torch.Generator]`, *optional*):
                One or a list of [torch generator(s)](https://pytorch.org/docs/stable/generated/torch.Generator.html)
                to make generation deterministic.
            latents (`torch.Tensor`, *optional*):
                Pre-generated Gaussian noise of shape `(batch_size * num_videos_per_prompt, in_channels, (num_frames -
                1) // vae_scale_factor_temporal + 1, height // vae_scale_factor_spatial, width //
                vae_scale_factor_spatial)`. If not provided, it is sampled with `generator`.
            prompt_embeds (`torch.Tensor` of shape `(batch_size, text_seq_len, text_embed_dim)`, *optional*):
                Pre-generated text embeddings, instead of `prompt`.
            output_type (`str`, *optional*, defaults to `"pil"`):
                The format of the videos: `"pil"`, `"np"`, `"pt"` or `"latent"`.
            return_dict (`bool`, *optional*, defaults to `True`):
                Whether to return a [`~pipelines.foo.FooPipelineOutput`] instead of a plain tuple.
            callback_on_step_end (`Callable`, *optional*):
                A function that is called at the end of each denoising step with the arguments
                `callback_on_step_end(self: DiffusionPipeline, step: int, timestep: int, callback_kwargs: dict)`.
                `callback_kwargs` holds the tensors that `callback_on_step_end_tensor_inputs` names.
            callback_on_step_end_tensor_inputs (`list[str]`, *optional*, defaults to `["latents"]`):
                The tensors that are passed to `callback_on_step_end`, out of `self._callback_tensor_inputs`.
            max_sequence_length (`int`, *optional*, defaults to 256):
                The number of tokens that prompts are padded or truncated to.

        Examples:

        Returns:
            [`~pipelines.foo.FooPipelineOutput`] or `tuple`:
                If `return_dict` is True, the output class, otherwise a `tuple` whose first element is the frames.
        """
        if isinstance(callback_on_step_end, (PipelineCallback, MultiPipelineCallbacks)):
            callback_on_step_end_tensor_inputs = callback_on_step_end.tensor_inputs

        # 1. Check inputs
        self.check_inputs(
            prompt,
            video,
            height,
            width,
            strength,
            prompt_embeds=prompt_embeds,
            callback_on_step_end_tensor_inputs=callback_on_step_end_tensor_inputs,
            max_sequence_length=max_sequence_length,
        )

        self._guidance_scale = guidance_scale
        self._current_timestep = None
        self._interrupt = False

        device = self._execution_device

        # 2. Encode the prompts
        prompt_embeds = self.encode_prompt(
            prompt,
            num_videos_per_prompt=num_videos_per_prompt,
            prompt_embeds=prompt_embeds,
            max_sequence_length=max_sequence_length,
            device=device,
        )

        # 3. Prepare the timesteps
        # TODO(foo): if the shift of the reference depends on the video size, compute `mu` and pass it here.
        timesteps, num_inference_steps = retrieve_timesteps(self.scheduler, num_inference_steps, device, sigmas=sigmas)
        timesteps, num_inference_steps = self.get_timesteps(num_inference_steps, strength, device)
        if num_inference_steps < 1:
            raise ValueError(f"`strength` {strength} leaves no step to take; raise it or `num_inference_steps`.")
        num_warmup_steps = max(len(timesteps) - num_inference_steps * self.scheduler.order, 0)
        self._num_timesteps = len(timesteps)

        # 4. Prepare the latents
        video = self.video_processor.preprocess_video(video, height=height, width=width)
        if (video.shape[2] - 1) % self.vae_scale_factor_temporal != 0:
            raise ValueError(
                f"The number of frames of `video` has to be a multiple of {self.vae_scale_factor_temporal} plus 1 but is"
                f" {video.shape[2]}."
            )
        noise = self.prepare_latents(
            prompt_embeds.shape[0],
            self.transformer.config.in_channels,
            height,
            width,
            video.shape[2],
            prompt_embeds.dtype,
            device,
            generator,
            latents,
        )
        video_latents = self.prepare_video_latents(video, prompt_embeds.shape[0], prompt_embeds.dtype, device)
        latents = self.scheduler.scale_noise(video_latents, timesteps[:1].repeat(prompt_embeds.shape[0]), noise)

        guidance = torch.full([latents.shape[0]], guidance_scale, device=device, dtype=torch.float32)

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
                        guidance=guidance,
                        return_dict=False,
                    )[0]

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

                if i == len(timesteps) - 1 or ((i + 1) > num_warmup_steps and (i + 1) % self.scheduler.order == 0):
                    progress_bar.update()

                if XLA_AVAILABLE:
                    xm.mark_step()

        self._current_timestep = None

        # 6. Decode the latents
        if output_type == "latent":
            video = latents
        else:
            # TODO(foo): match the normalization of the reference.
            latents = latents.to(self.vae.dtype)
            latents_mean = torch.tensor(self.vae.config.latents_mean).view(1, -1, 1, 1, 1).to(latents)
            latents_std = torch.tensor(self.vae.config.latents_std).view(1, -1, 1, 1, 1).to(latents)
            latents = latents * latents_std + latents_mean
            video = self.vae.decode(latents, return_dict=False)[0]
            video = self.video_processor.postprocess_video(video, output_type=output_type)

        # Offload all models
        self.maybe_free_model_hooks()

        if not return_dict:
            return (video,)

        return FooPipelineOutput(frames=video)
