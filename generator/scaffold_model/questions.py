"""The questions: the values of those with a closed list, and what follows from an answer by itself.

`ModelSpec` validates with these tables, the command line shows them, and tests compare them with ``copier.yml``.
"""

from __future__ import annotations

#: The tasks of each modality, the most usual first.
TASKS: dict[str, tuple[str, ...]] = {
    "image": ("t2i", "i2i", "inpaint"),
    "video": ("t2v", "i2v", "v2v"),
    "audio": ("t2a",),
}

#: What a checkout may lack of what the template writes; `older` then writes it otherwise.
LACKS: tuple[str, ...] = (
    "union_hints",
    "parallel_config",
    "video_tiling",
    "lora_scale_decorator",
    "workflow_map",
    "auto_docstrings",
    "parameter_templates",
    "dtype_argument",
    "model_torch_dtype",
    "base_model_output",
    "autoencoder_config_tests",
    "autoencoder_mixin_name",
    "pipeline_output_shape",
    "run_pipe",
    "assert_tensors_close",
)

#: The values of every question with a closed list, the recommended one first.
CHOICES: dict[str, tuple[str, ...]] = {
    "format": ("modular", "standard", "both"),
    "modality": ("image", "video", "audio"),
    "task": tuple(task for tasks in TASKS.values() for task in tasks),
    "attention": ("joint", "cross"),
    "text_encoder": ("t5", "clip", "qwen3"),
    "guidance": ("cfg", "embedded"),
    "lora": ("no", "yes"),
    "single_file": ("no", "yes"),
    "auto_pipeline": ("no", "yes"),
    "tests": ("mixins", "unittest", "none"),
    "pipeline_tests": ("config", "unittest", "none"),
    "modular_tests": ("config", "common", "unittest", "none"),
    "lacks": LACKS,
    "vae_statistics": (
        "scale_shift",
        "scale",
        "mean_std",
        "mean_std_frames",
        "buffers",
        "scaled_buffers",
        "batch_norm",
        "none",
    ),
    "vae_encoding": ("latent_dist", "latent"),
    "vae_dtype": ("any", "float32"),
    "vae_offload": ("modules", "whole"),
    "vae_tiny_zeros": ("kept", "drawn"),
    "vae_decoding": ("sample", "surplus", "tensor", "cropped", "generator", "frames", "single"),
}

#: The classes of a standard pipeline and of a modular workflow by task: suffix of the file, infix of the class, workflow.
TASK_NAMES: dict[str, tuple[str, str, str]] = {
    "t2i": ("", "", "text2image"),
    "i2i": ("_img2img", "Img2Img", "image2image"),
    "inpaint": ("_inpaint", "Inpaint", "inpainting"),
    "t2v": ("", "", "text2video"),
    "i2v": ("_image2video", "ImageToVideo", "image2video"),
    "v2v": ("_video2video", "VideoToVideo", "video2video"),
    "t2a": ("", "", "text2audio"),
}

#: Dimensions of the transformer's class and of its page by modality.
DIMENSIONS: dict[str, str] = {"image": "2D", "video": "3D", "audio": "1D"}

#: The autoencoder of each modality that is proposed.
VAES: dict[str, str] = {"image": "AutoencoderKL", "video": "AutoencoderKLWan", "audio": "AutoencoderOobleck"}


def default_traits(vae: str, modality: str) -> dict[str, str | int]:
    """What the template has to know of the autoencoders that it proposes or writes; of others the checkout tells."""
    new = vae == "new"
    found: dict[str, str | int] = {
        "vae_encoding": "latent_dist",
        "vae_decoding": "sample",
        "vae_dtype": "any",
        "vae_offload": "whole" if modality == "audio" and not new else "modules",
        "vae_tiny_zeros": "kept",
        "vae_temporal": "1",
        "vae_sampling_rate": "vae.config.sampling_rate",
        "vae_tiny_channels": 4,
        "vae_tiny_spatial": 8,
        "vae_tiny_temporal": 1,
        "vae_tiny_audio_channels": 2,
    }
    if modality == "video":
        return found | {
            "vae_statistics": "mean_std",
            "vae_spatial": "vae.spatial_compression_ratio" if new else "vae.config.scale_factor_spatial",
            "vae_temporal": "vae.temporal_compression_ratio" if new else "vae.config.scale_factor_temporal",
            "vae_tiny_channels": 4 if new else 16,
            "vae_tiny_temporal": 4,
        }
    if modality == "audio":
        return found | {"vae_statistics": "mean_std" if new else "none", "vae_spatial": "vae.hop_length"}
    return found | {"vae_statistics": "scale_shift", "vae_spatial": "2 ** (len(vae.config.block_out_channels) - 1)"}
