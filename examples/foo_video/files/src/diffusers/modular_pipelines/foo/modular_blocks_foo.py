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

"""The workflows of Foo, put together from the blocks of the other files."""

from ..modular_pipeline import AutoPipelineBlocks, SequentialPipelineBlocks
from ..modular_pipeline_utils import OutputParam
from .before_denoise import (
    FooImageInputStep,
    FooPrepareFirstFrameStep,
    FooPrepareLatentsStep,
    FooPrepareLatentsWithStrengthStep,
    FooSetTimestepsStep,
    FooSetTimestepsWithStrengthStep,
    FooTextInputStep,
    FooVideoInputStep,
)
from .decoders import FooDecodeStep
from .denoise import FooDenoiseStep, FooImageToVideoDenoiseStep
from .encoders import FooTextEncoderStep, FooVaeEncoderStep, FooVideoVaeEncoderStep


# auto_docstring
class FooAutoVaeEncoderStep(AutoPipelineBlocks):
    """
    Encoder step that encodes what a workflow starts from.
      - `FooVideoVaeEncoderStep` runs when `video` is passed.
      - `FooVaeEncoderStep` runs when `image` is passed.
      - Without any of these inputs the step is skipped.

      Components:
          vae (`AutoencoderKLWan`) video_processor (`VideoProcessor`)

      Inputs:
          video (`list`, *optional*):
              The video to start from, as a list of frames, or a list of such videos.
          height (`int`, *optional*, defaults to 512):
              The height in pixels of the generated video.
          width (`int`, *optional*, defaults to 768):
              The width in pixels of the generated video.
          image (`Image | list`, *optional*):
              The first frame of the video. Can be a single image or list of images.

      Outputs:
          video_latents (`Tensor`):
              The latent representation of the input video.
          image_latents (`Tensor`):
              The latent representation of the input image.
    """

    model_name = "foo"
    block_classes = [FooVideoVaeEncoderStep, FooVaeEncoderStep]
    block_names = ["video2video", "image2video"]
    block_trigger_inputs = ["video", "image"]

    @property
    def description(self) -> str:
        return (
            "Encoder step that encodes what a workflow starts from.\n"
            "- `FooVideoVaeEncoderStep` runs when `video` is passed.\n"
            "- `FooVaeEncoderStep` runs when `image` is passed.\n"
            "- Without any of these inputs the step is skipped."
        )


# auto_docstring
class FooCoreDenoiseStep(SequentialPipelineBlocks):
    """
    Core denoise step that takes the text embeddings and runs the denoising process.

      Components:
          scheduler (`FlowMatchEulerDiscreteScheduler`) transformer (`FooTransformer3DModel`)

      Inputs:
          num_videos_per_prompt (`int`, *optional*, defaults to 1):
              The number of videos to generate per prompt.
          prompt_embeds (`Tensor`):
              text embeddings used to guide the video generation. Can be generated from text_encoder step.
          num_inference_steps (`int`, *optional*, defaults to 50):
              The number of denoising steps.
          sigmas (`list`, *optional*):
              Custom sigmas for the denoising process.
          height (`int`, *optional*, defaults to 512):
              The height in pixels of the generated video.
          width (`int`, *optional*, defaults to 768):
              The width in pixels of the generated video.
          num_frames (`int`, *optional*, defaults to 81):
              The number of frames of the generated video.
          generator (`Generator`, *optional*):
              Torch generator for deterministic generation.
          latents (`Tensor`, *optional*):
              Pre-generated noisy latents for video generation.
          guidance_scale (`float`, *optional*, defaults to 3.5):
              The guidance scale, an input of the distilled transformer.
          **denoiser_input_fields (`None`, *optional*):
              conditional model inputs for the denoiser: e.g. prompt_embeds, negative_prompt_embeds, etc.

      Outputs:
          latents (`Tensor`):
              Denoised latents.
    """

    model_name = "foo"
    block_classes = [FooTextInputStep, FooSetTimestepsStep, FooPrepareLatentsStep, FooDenoiseStep]
    block_names = ["input", "set_timesteps", "prepare_latents", "denoise"]

    @property
    def description(self) -> str:
        return "Core denoise step that takes the text embeddings and runs the denoising process."

    @property
    def outputs(self) -> list[OutputParam]:
        return [OutputParam.template("latents")]


# auto_docstring
class FooImageToVideoCoreDenoiseStep(SequentialPipelineBlocks):
    """
    Core denoise step that takes the text embeddings, the image latents and runs the denoising process.

      Components:
          scheduler (`FlowMatchEulerDiscreteScheduler`) transformer (`FooTransformer3DModel`)

      Inputs:
          num_videos_per_prompt (`int`, *optional*, defaults to 1):
              The number of videos to generate per prompt.
          prompt_embeds (`Tensor`):
              text embeddings used to guide the video generation. Can be generated from text_encoder step.
          image_latents (`Tensor`):
              image latents used to guide the video generation. Can be generated from vae_encoder step.
          num_inference_steps (`int`, *optional*, defaults to 50):
              The number of denoising steps.
          sigmas (`list`, *optional*):
              Custom sigmas for the denoising process.
          height (`int`, *optional*, defaults to 512):
              The height in pixels of the generated video.
          width (`int`, *optional*, defaults to 768):
              The width in pixels of the generated video.
          num_frames (`int`, *optional*, defaults to 81):
              The number of frames of the generated video.
          generator (`Generator`, *optional*):
              Torch generator for deterministic generation.
          latents (`Tensor`, *optional*):
              Pre-generated noisy latents for video generation.
          guidance_scale (`float`, *optional*, defaults to 3.5):
              The guidance scale, an input of the distilled transformer.
          **denoiser_input_fields (`None`, *optional*):
              conditional model inputs for the denoiser: e.g. prompt_embeds, negative_prompt_embeds, etc.

      Outputs:
          latents (`Tensor`):
              Denoised latents.
    """

    model_name = "foo"
    block_classes = [
        FooTextInputStep,
        FooImageInputStep,
        FooSetTimestepsStep,
        FooPrepareLatentsStep,
        FooPrepareFirstFrameStep,
        FooImageToVideoDenoiseStep,
    ]
    block_names = ["input", "image_input", "set_timesteps", "prepare_latents", "prepare_first_frame", "denoise"]

    @property
    def description(self) -> str:
        return "Core denoise step that takes the text embeddings, the image latents and runs the denoising process."

    @property
    def outputs(self) -> list[OutputParam]:
        return [OutputParam.template("latents")]


# auto_docstring
class FooVideoToVideoCoreDenoiseStep(SequentialPipelineBlocks):
    """
    Core denoise step that takes the text embeddings, the video latents and runs the denoising process.

      Components:
          scheduler (`FlowMatchEulerDiscreteScheduler`) transformer (`FooTransformer3DModel`)

      Inputs:
          num_videos_per_prompt (`int`, *optional*, defaults to 1):
              The number of videos to generate per prompt.
          prompt_embeds (`Tensor`):
              text embeddings used to guide the video generation. Can be generated from text_encoder step.
          video_latents (`Tensor`):
              The latents of the video to start from. Can be generated from vae_encoder step.
          num_inference_steps (`int`, *optional*, defaults to 50):
              The number of denoising steps.
          sigmas (`list`, *optional*):
              Custom sigmas for the denoising process.
          strength (`float`, *optional*, defaults to 0.9):
              How far to go from the input, from 0 to 1: the part of the denoising steps that is taken.
          height (`int`, *optional*, defaults to 512):
              The height in pixels of the generated video.
          width (`int`, *optional*, defaults to 768):
              The width in pixels of the generated video.
          generator (`Generator`, *optional*):
              Torch generator for deterministic generation.
          latents (`Tensor`, *optional*):
              Pre-generated noisy latents for video generation.
          guidance_scale (`float`, *optional*, defaults to 3.5):
              The guidance scale, an input of the distilled transformer.
          **denoiser_input_fields (`None`, *optional*):
              conditional model inputs for the denoiser: e.g. prompt_embeds, negative_prompt_embeds, etc.

      Outputs:
          latents (`Tensor`):
              Denoised latents.
    """

    model_name = "foo"
    block_classes = [
        FooTextInputStep,
        FooVideoInputStep,
        FooSetTimestepsWithStrengthStep,
        FooPrepareLatentsStep,
        FooPrepareLatentsWithStrengthStep,
        FooDenoiseStep,
    ]
    block_names = ["input", "video_input", "set_timesteps", "prepare_latents", "prepare_video_latents", "denoise"]

    @property
    def description(self) -> str:
        return "Core denoise step that takes the text embeddings, the video latents and runs the denoising process."

    @property
    def outputs(self) -> list[OutputParam]:
        return [OutputParam.template("latents")]


# auto_docstring
class FooAutoCoreDenoiseStep(AutoPipelineBlocks):
    """
    Core denoise step that selects the workflow by its inputs.
      - `FooVideoToVideoCoreDenoiseStep` runs when `video_latents` is passed.
      - `FooImageToVideoCoreDenoiseStep` runs when `image_latents` is passed.
      - `FooCoreDenoiseStep` runs otherwise.

      Components:
          scheduler (`FlowMatchEulerDiscreteScheduler`) transformer (`FooTransformer3DModel`)

      Inputs:
          num_videos_per_prompt (`int`, *optional*, defaults to 1):
              The number of videos to generate per prompt.
          prompt_embeds (`Tensor`):
              text embeddings used to guide the video generation. Can be generated from text_encoder step.
          video_latents (`Tensor`, *optional*):
              The latents of the video to start from. Can be generated from vae_encoder step.
          num_inference_steps (`int`):
              The number of denoising steps.
          sigmas (`list`, *optional*):
              Custom sigmas for the denoising process.
          strength (`float`, *optional*, defaults to 0.9):
              How far to go from the input, from 0 to 1: the part of the denoising steps that is taken.
          height (`int`, *optional*, defaults to 512):
              The height in pixels of the generated video.
          width (`int`, *optional*, defaults to 768):
              The width in pixels of the generated video.
          generator (`Generator`, *optional*):
              Torch generator for deterministic generation.
          latents (`Tensor`):
              Pre-generated noisy latents for video generation.
          guidance_scale (`float`, *optional*, defaults to 3.5):
              The guidance scale, an input of the distilled transformer.
          **denoiser_input_fields (`None`, *optional*):
              conditional model inputs for the denoiser: e.g. prompt_embeds, negative_prompt_embeds, etc.
          image_latents (`Tensor`, *optional*):
              image latents used to guide the video generation. Can be generated from vae_encoder step.
          num_frames (`int`, *optional*, defaults to 81):
              The number of frames of the generated video.

      Outputs:
          latents (`Tensor`):
              Denoised latents.
    """

    model_name = "foo"
    block_classes = [FooVideoToVideoCoreDenoiseStep, FooImageToVideoCoreDenoiseStep, FooCoreDenoiseStep]
    block_names = ["video2video", "image2video", "text2video"]
    block_trigger_inputs = ["video_latents", "image_latents", None]

    @property
    def description(self) -> str:
        return (
            "Core denoise step that selects the workflow by its inputs.\n"
            "- `FooVideoToVideoCoreDenoiseStep` runs when `video_latents` is passed.\n"
            "- `FooImageToVideoCoreDenoiseStep` runs when `image_latents` is passed.\n"
            "- `FooCoreDenoiseStep` runs otherwise."
        )


# auto_docstring
class FooAutoBlocks(SequentialPipelineBlocks):
    """
    Auto Modular pipeline for text-to-video, image-to-video and video-to-video using Foo.

      Supported workflows:
        - `text2video`: requires `prompt`
        - `image2video`: requires `image`, `prompt`
        - `video2video`: requires `video`, `prompt`

      Components:
          text_encoder (`T5EncoderModel`) tokenizer (`T5Tokenizer`) vae (`AutoencoderKLWan`) video_processor
          (`VideoProcessor`) scheduler (`FlowMatchEulerDiscreteScheduler`) transformer (`FooTransformer3DModel`)

      Inputs:
          prompt (`str`):
              The prompt or prompts to guide video generation.
          max_sequence_length (`int`, *optional*, defaults to 256):
              Maximum sequence length for prompt encoding.
          video (`list`, *optional*):
              The video to start from, as a list of frames, or a list of such videos.
          height (`int`, *optional*, defaults to 512):
              The height in pixels of the generated video.
          width (`int`, *optional*, defaults to 768):
              The width in pixels of the generated video.
          image (`Image | list`, *optional*):
              The first frame of the video. Can be a single image or list of images.
          num_videos_per_prompt (`int`, *optional*, defaults to 1):
              The number of videos to generate per prompt.
          video_latents (`Tensor`, *optional*):
              The latents of the video to start from. Can be generated from vae_encoder step.
          num_inference_steps (`int`):
              The number of denoising steps.
          sigmas (`list`, *optional*):
              Custom sigmas for the denoising process.
          strength (`float`, *optional*, defaults to 0.9):
              How far to go from the input, from 0 to 1: the part of the denoising steps that is taken.
          generator (`Generator`, *optional*):
              Torch generator for deterministic generation.
          latents (`Tensor`):
              Pre-generated noisy latents for video generation.
          guidance_scale (`float`, *optional*, defaults to 3.5):
              The guidance scale, an input of the distilled transformer.
          **denoiser_input_fields (`None`, *optional*):
              conditional model inputs for the denoiser: e.g. prompt_embeds, negative_prompt_embeds, etc.
          image_latents (`Tensor`, *optional*):
              image latents used to guide the video generation. Can be generated from vae_encoder step.
          num_frames (`int`, *optional*, defaults to 81):
              The number of frames of the generated video.
          output_type (`str`, *optional*, defaults to pil):
              Output format: 'pil', 'np', 'pt'.

      Outputs:
          videos (`list`):
              The generated videos.
    """

    model_name = "foo"
    block_classes = [FooTextEncoderStep, FooAutoVaeEncoderStep, FooAutoCoreDenoiseStep, FooDecodeStep]
    block_names = ["text_encoder", "vae_encoder", "denoise", "decode"]

    _workflow_map = {
        "text2video": {"prompt": True},
        "image2video": {"image": True, "prompt": True},
        "video2video": {"video": True, "prompt": True},
    }

    @property
    def description(self) -> str:
        return "Auto Modular pipeline for text-to-video, image-to-video and video-to-video using Foo."

    @property
    def outputs(self) -> list[OutputParam]:
        return [OutputParam.template("videos")]
