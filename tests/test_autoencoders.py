"""What is read of autoencoder classes, and that it is so."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import ROOT, clone_of, git_status
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from scaffold_model.autoencoders import FOLDER, autoencoders, find_autoencoder, kind, traits
from scaffold_model.errors import BadInput
from scaffold_model.questions import VAES, default_traits
from scaffold_model.snapshot import Snapshot
from scaffold_model.spec import ModelSpec
from scaffold_model.tiny_configs import tiny_config

SOURCE = """
STATISTICS = [0.0, 0.1, 0.2, 0.3]


class AutoencoderBar(ModelMixin, AutoencoderMixin, ConfigMixin):
    def __init__(self, {arguments}):
        super().__init__()
        self.conv = nn.{convolution}(3, 8, 1)
        {init}

    def encode(self, {encode}):
        return {output}

    def decode(self, {decode}){returns}:
        return {decoded}

    def _decode(self, z):
        {inner}
"""

TEST = """
class AutoencoderBarTesterConfig(BaseModelTesterConfig):
    @property
    def model_class(self):
        return AutoencoderBar

    def get_dummy_inputs(self):
        return {{"sample": torch.randn(2, 3, 16, 16)}}

    def get_init_dict(self):
        levels = [8, 8]
        return {{{config}}}
"""


def snapshot(
    arguments: str = "block_out_channels=(64,), latent_channels=4, scaling_factor=0.2",
    convolution: str = "Conv2d",
    init: str = "self.use_tiling = False",
    encode: str = "x, return_dict=True",
    decode: str = "z, return_dict=True",
    output: str = "AutoencoderKLOutput(latent_dist=posterior)",
    inner: str = "return self.conv(z)",
    returns: str = "",
    decoded: str = "self._decode(z)",
    config: str = '"block_out_channels": levels, "latent_channels": 4',
    exported: str = "AutoencoderBar",
) -> Snapshot:
    source = SOURCE.format(**{key: value for key, value in locals().items() if key not in ("config", "exported")})
    return Snapshot(
        None,
        {
            f"{FOLDER}/autoencoder_bar.py": source,
            f"{FOLDER}/vae.py": "class AutoencoderMixin:\n    pass\n",
            "src/diffusers/models/__init__.py": f'_import_structure["autoencoders.x"] = ["{exported}"]\n',
            "tests/models/autoencoders/test_models_autoencoder_bar.py": TEST.format(config=config),
        },
    )


def edited(made: Snapshot, before: str, after: str) -> Snapshot:
    """The checkout with another text in the module of the class."""
    path = f"{FOLDER}/autoencoder_bar.py"
    text = made.read(path) or ""
    assert before in text
    return made.overlaid({path: text.replace(before, after)})


def test_an_image_autoencoder() -> None:
    assert traits(snapshot(), "AutoencoderBar", "image") == {
        "vae_statistics": "scale",
        "vae_encoding": "latent_dist",
        "vae_decoding": "sample",
        "vae_dtype": "any",
        "vae_offload": "modules",
        "vae_spatial": "2 ** (len(vae.config.block_out_channels) - 1)",
        "vae_temporal": "1",
        "vae_sampling_rate": "vae.config.sampling_rate",
        "vae_tiny": "block_out_channels=[8, 8], latent_channels=4",
        "vae_tiny_channels": 4,
        "vae_tiny_spatial": 2,
        "vae_tiny_temporal": 1,
        "vae_tiny_audio_channels": 2,
        "vae_tiny_zeros": "kept",
    }


def test_a_video_autoencoder_with_statistics_for_other_channels() -> None:
    made = snapshot(
        "z_dim=4, latents_mean=STATISTICS, latents_std=STATISTICS, patch_size=2, temporal_compression_ratio=4",
        convolution="Conv3d",
        init="self.spatial_compression_ratio = 4 * patch_size",
        output="EncoderOutput(latent=h)",
        config='"z_dim": 2, "patch_size": 1',
    )
    assert traits(made, "AutoencoderBar", "video") == {
        "vae_statistics": "mean_std",
        "vae_encoding": "latent",
        "vae_decoding": "sample",
        "vae_dtype": "any",
        "vae_offload": "modules",
        "vae_spatial": "vae.spatial_compression_ratio",
        "vae_temporal": "vae.config.temporal_compression_ratio",
        "vae_sampling_rate": "vae.config.sampling_rate",
        "vae_tiny": "z_dim=2, patch_size=1, latents_mean=[0.1, 0.1], latents_std=[2.0, 2.0]",
        "vae_tiny_channels": 2,
        "vae_tiny_spatial": 4,
        "vae_tiny_temporal": 4,
        "vae_tiny_audio_channels": 2,
        "vae_tiny_zeros": "kept",
    }


def test_an_audio_autoencoder_is_made_stereo_with_few_samples_in_a_second() -> None:
    made = snapshot(
        "latent_dim=8, rates=(2, 3), audio_channels=1, sampling_rate=44100",
        convolution="Conv1d",
        init="self.hop_length = math.prod(rates)",
        config='"latent_dim": 4',
    )
    found = traits(made, "AutoencoderBar", "audio")
    assert found["vae_tiny"] == "latent_dim=4, audio_channels=2, sampling_rate=16"
    assert (found["vae_spatial"], found["vae_tiny_spatial"]) == ("vae.hop_length", 6)
    assert found["vae_statistics"] == "none"


def test_a_shift_that_is_not_set_counts_where_a_pipeline_reads_it() -> None:
    arguments = "block_out_channels=(64,), latent_channels=4, scaling_factor=0.2, shift_factor=None"
    made = snapshot(arguments)
    assert traits(made, "AutoencoderBar", "image")["vae_statistics"] == "scale"
    pipeline = {"src/diffusers/pipelines/bar.py": "vae: AutoencoderBar\nlatents + vae.config.shift_factor\n"}
    found = traits(made.overlaid(pipeline), "AutoencoderBar", "image")
    assert found["vae_statistics"] == "scale_shift"
    assert found["vae_tiny"] == "block_out_channels=[8, 8], latent_channels=4, shift_factor=0.1"


BUFFERS = "self.register_buffer('latents_mean', zeros); self.register_buffer('latents_std', ones)"
BATCH_NORM = "self.bn = nn.BatchNorm2d(math.prod(patch_size) * latent_channels, affine=False)"
PATCHED = "vae: AutoencoderBar\nx.permute(0, 1, 3, 5, 2, 4)\nvae.bn.running_mean\n"


@pytest.mark.parametrize(
    ("made", "form"),
    [
        ({"init": BUFFERS}, "scaled_buffers"),
        ({"init": BUFFERS, "arguments": "block_out_channels=(64,), latent_channels=4"}, "buffers"),
        ({"init": "self.register_buffer('means', x)"}, "scale"),
        (
            {"arguments": "block_out_channels=(8,), latent_channels=4, patch_size=(2, 2)", "init": BATCH_NORM},
            "batch_norm",
        ),
        (
            {
                "arguments": "block_out_channels=(8,), latent_channels=2, latents_mean=STATISTICS, latents_std=STATISTICS"
            },
            "mean_std_frames",
        ),
        (
            {
                "arguments": "block_out_channels=(8,), latent_channels=4, latent_mean=None",
                "init": "if latent_mean is not None: raise NotImplementedError()",
            },
            "none",
        ),
    ],
)
def test_where_statistics_are(made: dict[str, str], form: str) -> None:
    with_pipeline = snapshot(**made).overlaid({"src/diffusers/pipelines/bar.py": PATCHED})
    assert traits(with_pipeline, "AutoencoderBar", "image")["vae_statistics"] == form


#: One mask for every sample, and no axis for heads.
_MASK = "mask = mask.unsqueeze(0).expand(batch_size, -1, -1)"


@pytest.mark.parametrize(
    ("made", "form"),
    [
        ({"decode": "z, generator=None, return_dict=True"}, "sample"),
        ({"decode": "z, generator=None, return_dict=True", "decoded": "self.unet(z, generator)"}, "generator"),
        ({"decode": "z", "returns": " -> torch.Tensor"}, "tensor"),
        (
            {"decode": "z", "returns": " -> torch.Tensor", "decoded": "z[:, :, self.temporal_compression_ratio - 1:]"},
            "cropped",
        ),
        ({"decode": "z, num_frames, return_dict=True", "decoded": "f(z, z.shape[0] // num_frames)"}, "frames"),
        ({"inner": f"{_MASK}; return F.scaled_dot_product_attention(q, k, v, attn_mask=mask)"}, "single"),
        ({"inner": f"{_MASK}; return F.scaled_dot_product_attention(q, k, v, attn_mask=None)"}, "sample"),
        ({"inner": "return self.split(z) if z.shape[2] > 1 and z.shape[2] % 2 == 1 else self.conv(z)"}, "surplus"),
    ],
)
def test_what_decode_takes_and_returns(made: dict[str, str], form: str) -> None:
    assert traits(snapshot(**made), "AutoencoderBar", "image")["vae_decoding"] == form


def test_layers_that_start_as_zeros_are_drawn_for_the_tests() -> None:
    made = snapshot(init="nn.init.zeros_(self.to_out.weight)")
    assert traits(made, "AutoencoderBar", "image")["vae_tiny_zeros"] == "drawn"
    assert (
        traits(snapshot(init="nn.init.zeros_(self.to_out.bias)"), "AutoencoderBar", "image")["vae_tiny_zeros"]
        == "kept"
    )


@pytest.mark.parametrize(
    ("made", "form"),
    [
        (snapshot(), "modules"),
        (edited(snapshot(), "\nclass", "\nfrom torch.nn.utils import weight_norm\n\nclass"), "whole"),
        (
            edited(snapshot(), "\nclass", "\nfrom torch.nn.utils.parametrizations import weight_norm\n\nclass"),
            "modules",
        ),
        (snapshot(decoded="self._decode(z.to(self.device))"), "whole"),
        (snapshot(inner="return torch.cdist(z, self.embedding.weight)"), "whole"),
        (snapshot(init="self.embedding.weight.data.zero_()"), "modules"),
        (
            edited(
                snapshot(init="self.quantize = Quantizer(8)"), "\nclass", "\nfrom .vae import Quantizer\n\nclass"
            ).overlaid(
                {
                    f"{FOLDER}/vae.py": "class Quantizer:\n    def forward(self, z):\n        return self.embedding.weight\n"
                }
            ),
            "whole",
        ),
        (
            # As its neighbours: a class that it does not make says nothing.
            edited(snapshot(), "\nclass", "\nfrom ..autoencoders.vae import Quantizer\n\nclass").overlaid(
                {
                    f"{FOLDER}/vae.py": "class Quantizer:\n    def forward(self, z):\n        return self.embedding.weight\n"
                }
            ),
            "modules",
        ),
    ],
)
def test_what_can_not_be_offloaded_module_by_module(made: Snapshot, form: str) -> None:
    assert traits(made, "AutoencoderBar", "image")["vae_offload"] == form


def test_weights_that_stay_in_float32() -> None:
    made = snapshot()
    head = "ConfigMixin):\n"
    pinned = edited(made, head, f'{head}    _keep_in_fp32_modules = ["encoder"]\n')
    assert traits(made, "AutoencoderBar", "image")["vae_dtype"] == "any"
    assert traits(pinned, "AutoencoderBar", "image")["vae_dtype"] == "float32"


def test_encode_without_return_dict_gives_a_distribution() -> None:
    assert traits(snapshot(encode="x"), "AutoencoderBar", "image")["vae_encoding"] == "latent_dist"


def test_statistics_of_every_frame_have_some_frames_of_the_tiny_channels() -> None:
    made = snapshot("block_out_channels=(8,), latent_channels=1, latents_mean=STATISTICS, latents_std=STATISTICS")
    tiny = str(traits(made, "AutoencoderBar", "image")["vae_tiny"])
    config = ast.literal_eval("{'" + tiny.replace(", l", ", 'l").replace("=", "': ") + "}")
    assert (len(config["latents_mean"]), config["latent_channels"]) == (16, 4)


def test_a_test_that_goes_the_rarer_way_lends_its_sizes_only() -> None:
    made = snapshot(
        "block_out_channels=(64,), latent_channels=4, regularizer='kl', double_z=True",
        encode="x",
        output="AutoencoderKLOutput(latent_dist=x) if self.regularizer == 'kl' else self.quantized(x)",
        config='"block_out_channels": levels, "latent_channels": 2, "regularizer": "fsq", "double_z": False',
    )
    found = traits(made, "AutoencoderBar", "image")
    assert found["vae_tiny"] == "block_out_channels=[8, 8], latent_channels=2, regularizer='kl', double_z=True"


def test_compression_that_a_part_of_the_class_has() -> None:
    part = """
class Encoder(nn.Module):
    def __init__(self, levels, halved=None):
        self.count = len(levels)
        self.halved = list(range(self.count - 1)) if halved is None else halved
"""
    made = snapshot("levels=(1, 2, 4), latent_channels=4", init="self.encoder = Encoder(levels=levels); self.side = 1")
    path = f"{FOLDER}/autoencoder_bar.py"
    text = (made.read(path) or "").replace(
        "self.side = 1", "self.spatial_compression_ratio = 2 ** len(self.encoder.halved)"
    )
    tests = "tests/models/autoencoders/test_models_autoencoder_bar.py"
    made = made.overlaid({path: part + text, tests: TEST.format(config='"latent_channels": 2, "levels": (1, 2)')})
    found = traits(made, "AutoencoderBar", "image")
    assert (found["vae_spatial"], found["vae_tiny_spatial"]) == ("vae.spatial_compression_ratio", 2)


def test_compression_that_a_test_has_wrong_is_counted() -> None:
    made = snapshot(
        "latent_dim=8, in_channels=1, c_mults=None, strides=None, downsampling_ratio=2048, sample_rate=24000",
        convolution="Conv1d",
        config='"latent_dim": 4, "c_mults": [1, 2], "strides": [2], "downsampling_ratio": 2',
    )
    found = traits(made, "AutoencoderBar", "audio")
    assert found["vae_tiny"] == "latent_dim=4, c_mults=[1, 2], strides=[2], downsampling_ratio=4, sample_rate=16"
    assert (found["vae_tiny_spatial"], found["vae_tiny_audio_channels"]) == (4, 1)
    assert found["vae_sampling_rate"] == "vae.config.sample_rate"


def test_audio_whose_channels_only_encode_tells() -> None:
    made = snapshot("latent_dim=8, hop_length=2, sampling_rate=24000", convolution="Conv1d", config='"latent_dim": 4')
    asking = edited(made, "        return Auto", "        if x.shape[1] != 1: raise ValueError\n        return Auto")
    assert traits(asking, "AutoencoderBar", "audio")["vae_tiny_audio_channels"] == 1


def test_a_class_without_a_test_is_tested_as_one_with_the_same_arguments() -> None:
    made = snapshot(exported="AutoencoderBar").overlaid(
        {
            f"{FOLDER}/autoencoder_baz.py": SOURCE.replace("AutoencoderBar", "AutoencoderBaz").format(
                **{
                    "arguments": "block_out_channels=(64,), latent_channels=8, scaling_factor=1.0",
                    "convolution": "Conv2d",
                    "init": "self.use_tiling = False",
                    "encode": "x, return_dict=True",
                    "output": "AutoencoderKLOutput(latent_dist=posterior)",
                    "decode": "z, return_dict=True",
                    "returns": "",
                    "decoded": "self._decode(z)",
                    "inner": "return z",
                }
            ),
            "src/diffusers/models/__init__.py": '_import_structure["autoencoders.x"] = ["AutoencoderBaz"]\n',
        }
    )
    assert traits(made, "AutoencoderBaz", "image")["vae_tiny"] == "block_out_channels=[8, 8], latent_channels=4"


def test_a_test_with_wide_blocks_is_made_narrow() -> None:
    made = snapshot("ch=128, ch_mult=(1, 2), latent_channels=4", config='"ch": 64, "latent_channels": 2')
    assert traits(made, "AutoencoderBar", "image")["vae_tiny"] == "ch=32, latent_channels=2"


def test_blocks_that_pack_no_frames_do_not_compress_time() -> None:
    made = snapshot("latent_channels=4, scale_factor_spatial=2, temporal_compression_ratio=4", convolution="Conv3d")
    made = made.overlaid(
        {"tests/models/autoencoders/test_models_autoencoder_bar.py": TEST.format(config='"latent_channels": 4')}
    )
    path = f"{FOLDER}/autoencoder_bar.py"
    block = "\nclass Down:\n    def forward(self, x):\n        if self.add_temporal_downsample:\n            x = packed(x, r1={})\n"
    packing = made.overlaid({path: (made.read(path) or "") + block.format(2)})
    assert traits(packing, "AutoencoderBar", "video")["vae_temporal"] == "vae.config.temporal_compression_ratio"
    keeping = made.overlaid({path: (made.read(path) or "") + block.format(1)})
    assert traits(keeping, "AutoencoderBar", "video")["vae_temporal"] == "1"


def test_blocks_of_several_kinds_are_counted() -> None:
    made = snapshot(
        "latent_channels=4, patch_size=1, patch_size_t=1, downsample_type=('spatial', 'temporal', 'spatiotemporal'),"
        " spatio_temporal_scaling=(True, True, True), spatial_compression_ratio=None, temporal_compression_ratio=None",
        convolution="Conv3d",
        init="self.spatial_compression_ratio = spatial_compression_ratio; self.temporal_compression_ratio = temporal_compression_ratio",
        config='"latent_channels": 4',
    )
    found = traits(made, "AutoencoderBar", "video")
    assert found["vae_tiny"] == "latent_channels=4, spatial_compression_ratio=4, temporal_compression_ratio=4"


def test_a_pipeline_test_has_a_tiny_configuration_too() -> None:
    made = snapshot(config='"unknown": 1')
    assert tiny_config(made, "AutoencoderBar", {"latent_channels": None, "levels": None}) is None
    pipeline = (
        "def get_dummy_components(z=4):\n"
        "    other = AutoencoderBar(levels=load())\n"
        "    vae = AutoencoderBar(latent_channels=z, levels=(8,) * 2)\n"
    )
    made = made.overlaid({"tests/pipelines/bar/test_bar.py": pipeline})
    assert tiny_config(made, "AutoencoderBar", {"latent_channels": None, "levels": None}) == {
        "latent_channels": 4,
        "levels": (8, 8),
    }


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        ({"encode": "x, mask, return_dict=True"}, "its encode also needs mask"),
        ({"decode": "z"}, "its decode takes no return_dict"),
        ({"inner": "raise NotImplementedError()"}, "its decode is not implemented without tiling"),
        ({"arguments": "latent_channels=4, clip_length=17"}, "it encodes clips of clip_length frames"),
        ({"init": "self.bn = nn.BatchNorm2d(4)"}, "its batch norm is not `bn`, without weights, of square patches"),
        (
            {
                "arguments": "block_out_channels=(64,), latent_channels=4, patch_size=(2, 2)",
                "init": "self.bn = nn.BatchNorm2d(math.prod(patch_size) * latent_channels, affine=False)",
            },
            "no pipeline shows how its latents are patched for its batch norm",
        ),
        ({"output": "y", "encode": "x"}, "its encode takes no return_dict"),
        ({"decode": "z, num_frames, return_dict=True"}, "its decode also needs num_frames"),
        ({"inner": "return F.interpolate(z, size=(self.side, self.side))"}, "it resizes every image to one size"),
        ({"arguments": "latent_channels=4, latent_mean=None"}, "its statistics are named latent_mean and latent_std"),
        (
            {"arguments": "latent_channels=3, latents_mean=STATISTICS, latents_std=STATISTICS"},
            "its latents_mean has 4 values for 3 channels",
        ),
        ({"arguments": "latent_channels=4"}, "its compression can not be read: it has none of scale_factor_spatial"),
        ({"arguments": "block_out_channels=(64,)", "config": '"block_out_channels": levels'}, "its latent channels"),
        ({"config": '"latent_channels": load()'}, "the checkout's tests have no tiny configuration of it"),
        ({"config": '"latent_channels": None'}, "the latent channels of its tiny configuration are None"),
        (
            {"init": "self.spatial_compression_ratio = load()"},
            "vae.spatial_compression_ratio can not be computed for its tiny configuration",
        ),
    ],
)
def test_what_generated_code_can_not_use_is_refused(made: dict[str, str], reason: str) -> None:
    with pytest.raises(BadInput) as refusal:
        traits(snapshot(**made), "AutoencoderBar", "image")
    assert refusal.value.message.startswith(f"--vae AutoencoderBar can not be used: {reason}")
    assert refusal.value.path == f"{FOLDER}/autoencoder_bar.py"


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        ({"convolution": "Conv2d"}, "it encodes spectrograms, so it needs a vocoder"),
        (
            {"convolution": "Conv1d", "config": '"latent_channels": 4'},
            "the channels of its audio can not be read: it has none of audio_channels, dec_out_channels, out_channels,"
            " in_channels",
        ),
    ],
)
def test_audio_that_generated_code_can_not_use_is_refused(made: dict[str, str], reason: str) -> None:
    with pytest.raises(BadInput) as refusal:
        traits(snapshot("latent_channels=4, sampling_rate=16, hop_length=2", **made), "AutoencoderBar", "audio")
    assert refusal.value.message == f"--vae AutoencoderBar can not be used: {reason}"


def test_a_class_of_another_kind_is_refused() -> None:
    with pytest.raises(BadInput) as refusal:
        traits(snapshot(convolution="Conv3d"), "AutoencoderBar", "image")
    assert refusal.value.message == "--vae AutoencoderBar is an autoencoder for video, and --modality is image"


def test_a_class_that_is_not_exported_is_refused() -> None:
    with pytest.raises(BadInput, match="--vae AutoencoderBar is not exported"):
        traits(snapshot(exported="AutoencoderBaz"), "AutoencoderBar", "image")


def test_a_new_one_needs_the_mixin_of_the_checkout() -> None:
    assert traits(snapshot(), "new", "audio") == default_traits("new", "audio")
    with pytest.raises(BadInput, match="--vae new: this checkout has no AutoencoderMixin"):
        traits(Snapshot(None), "new", "audio")


ACCEPTED = {
    "AsymmetricAutoencoderKL": "image",
    "AutoencoderDC": "image",
    "AutoencoderKL": "image",
    "AutoencoderKLCogVideoX": "video",
    "AutoencoderKLCosmos": "video",
    "AutoencoderKLFlux2": "image",
    "AutoencoderKLHunyuanImage": "image",
    "AutoencoderKLHunyuanImageRefiner": "video",
    "AutoencoderKLHunyuanVideo": "video",
    "AutoencoderKLHunyuanVideo15": "video",
    "AutoencoderKLKVAE": "image",
    "AutoencoderKLKVAEVideo": "video",
    "AutoencoderKLLTX2Video": "video",
    "AutoencoderKLLTXVideo": "video",
    "AutoencoderKLMagvit": "video",
    "AutoencoderKLMiniMaxH3Audio": "audio",
    "AutoencoderKLMochi": "video",
    "AutoencoderKLQwenImage": "video",
    "AutoencoderKLTemporalDecoder": "video",
    "AutoencoderKLWan": "video",
    "AutoencoderOobleck": "audio",
    "AutoencoderSAME": "audio",
    "AutoencoderTiny": "image",
    "AutoencoderVidTok": "video",
    "ConsistencyDecoderVAE": "image",
    "Cosmos3AVAEAudioTokenizer": "audio",
    "LongCatAudioDiTVae": "audio",
    "VQModel": "image",
}

REFUSED = {
    "AutoencoderKLAllegro": "its encode is not implemented without tiling",
    "AutoencoderKLLTX2Audio": "it encodes spectrograms, so it needs a vocoder",
    "AutoencoderKLMiniMaxH3": "it encodes clips of clip_length frames, not videos of any length",
    "AutoencoderRAE": "it resizes every image to one size",
}


@pytest.fixture(scope="module")
def accepted(pinned: Path) -> dict[str, tuple[str, dict[str, Any]]]:
    """The kind and the traits of every class of the checkout that is not refused."""
    real = Snapshot(pinned)
    found = {}
    for name in autoencoders(real):
        its_kind = kind(find_autoencoder(real, name))
        if name not in REFUSED:
            found[name] = (its_kind, traits(real, name, its_kind))
    return found


@pytest.mark.checkout
def test_the_classes_of_the_checkout(pinned: Path, accepted: dict[str, tuple[str, dict[str, Any]]]) -> None:
    assert {name: its_kind for name, (its_kind, _) in accepted.items()} == ACCEPTED
    real = Snapshot(pinned)
    for name, reason in REFUSED.items():
        with pytest.raises(BadInput) as refusal:
            traits(real, name, kind(find_autoencoder(real, name)))
        assert refusal.value.message == f"--vae {name} can not be used: {reason}"


@pytest.mark.checkout
def test_the_traits_of_the_proposed_classes_are_the_defaults(
    accepted: dict[str, tuple[str, dict[str, Any]]],
) -> None:
    for modality, name in VAES.items():
        assert accepted[name] == (modality, default_traits(name, modality))


def code(spec: ModelSpec) -> dict[str, str]:
    """What `includes/vae.jinja` makes of the answers."""
    answers = {**spec.answers(), "_copier_conf": None}
    environment = Environment(loader=FileSystemLoader(ROOT), undefined=StrictUndefined)
    text = (
        '{%- import "includes/vae.jinja" as vae_code with context -%}\n'
        "{%- macro encoded(pixels) -%}vae.encode({{ pixels }}"
        '{{ ").latent_dist.mode()" if vae_encoding == "latent_dist" else ", return_dict=False)[0]" }}{%- endmacro -%}\n'
        '{{ {"tiny": vae_code.tiny(), "normalize": vae_code.normalize("vae", "latents"),'
        ' "denormalize": vae_code.denormalize("vae", "latents"),'
        ' "encode": vae_code.encode_video("latents", "video", encoded, "pipe"),'
        ' "decode": vae_code.decode("decoded", "pipe.vae", "latents", "None")} | tojson }}'
    )
    made: dict[str, str] = json.loads(environment.from_string(text).render(answers))
    return made


MEASURE = """
import json, math, sys, types, warnings
warnings.simplefilter("ignore")
import accelerate
import torch
import diffusers
torch.set_num_threads(1)
measured = {}
for name, (kind, traits, code) in json.load(sys.stdin).items():
    torch.manual_seed(0)
    names = {name: getattr(diffusers, name), "torch": torch}
    exec(code["tiny"], names)
    vae = names["vae"].eval()
    spatial, temporal = (eval(traits[key], {"vae": vae, "math": math}) for key in ("vae_spatial", "vae_temporal"))
    channels = traits["vae_tiny_channels"]
    shapes = {
        "image": ((1, 3, 4 * spatial, 2 * spatial), (1, channels, 4, 2)),
        "video": ((1, 3, 2 * temporal + 1, 4 * spatial, 2 * spatial), (1, channels, 3, 4, 2)),
        "audio": ((1, traits["vae_tiny_audio_channels"], 8 * spatial), (1, channels, 8)),
    }
    sample_shape, latent_shape = shapes[kind]
    if traits["vae_decoding"] in ("frames", "single"):
        # Frames of one video could end up in the other, and one at a time has to come back as two.
        sample_shape, latent_shape = ((2, *shape[1:]) for shape in (sample_shape, latent_shape))
    pipe = types.SimpleNamespace(vae=vae, vae_scale_factor_temporal=temporal)
    names.update(vae=vae, pipe=pipe, video=torch.randn(sample_shape))
    with torch.no_grad():
        exec(code["encode"], names)
        torch.manual_seed(1)
        exec(code["decode"], names)
    latents, decoded = names["latents"], names["decoded"]
    even = latents[:, :, :2] if kind == "video" else latents
    frames = temporal + 1 if kind == "video" else decoded.shape[2]
    with torch.no_grad():
        exec(code["decode"], {**names, "latents": even}, fewer := {})
    with torch.no_grad():
        exec(code["decode"], {**names, "latents": latents + torch.randn_like(latents)}, others := {})
    names.update(latents=latents.clone())
    exec(code["normalize"], names)
    changed = not torch.allclose(names["latents"], latents)
    exec(code["denormalize"], names)
    # As `enable_sequential_cpu_offload` does it, here to the CPU: what is not brought to the device has no values.
    accelerate.cpu_offload(vae, torch.device("cpu"), offload_buffers=len(vae._parameters) > 0)
    try:
        with torch.no_grad():
            exec(code["encode"], again := {**names})
            torch.manual_seed(1)
            exec(code["decode"], again)
        offloaded = bool(torch.allclose(again["decoded"], decoded, atol=1e-4))
    except RuntimeError as error:
        # The one thing that is looked for: a tensor without values, on the device that accelerate calls meta.
        if "meta" not in str(error):
            raise
        offloaded = False
    measured[name] = {
        "offload": "modules" if offloaded else "whole",
        "compression": [spatial, temporal],
        "latents": list(latents.shape) == list(latent_shape),
        "decoded": list(decoded.shape) == list(sample_shape),
        "even": fewer["decoded"].shape[2] == frames,
        "decodes": bool((others["decoded"] - decoded).abs().max() > 1e-4),
        "normalized": changed,
        "restored": torch.allclose(names["latents"], latents, atol=1e-5),
    }
print(json.dumps(measured))
"""


@pytest.mark.checkout
@pytest.mark.torch
def test_every_accepted_class_compresses_as_read(
    pinned: Path, torch_python: str, accepted: dict[str, tuple[str, dict[str, Any]]]
) -> None:
    """Each is built at its tiny size, and what goes in is compared with what comes out."""
    given = {}
    for name, (its_kind, found) in accepted.items():
        spec = ModelSpec.from_answers({"name": "foo", "modality": its_kind, "vae": name, **found})
        given[name] = (its_kind, found, code(spec))
    done = subprocess.run(
        [torch_python, "-c", MEASURE],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(pinned / "src"), "PYTHONDONTWRITEBYTECODE": "1", "HF_HUB_OFFLINE": "1"},
    )
    assert done.returncode == 0, done.stderr
    measured = json.loads(done.stdout)
    for name, (_, found) in accepted.items():
        assert measured[name] == {
            "compression": [found["vae_tiny_spatial"], found["vae_tiny_temporal"]],
            "latents": True,
            "decoded": True,
            "even": True,
            "decodes": True,
            "offload": found["vae_offload"],
            # Some test's statistics are zeros and ones, which change nothing.
            "normalized": found["vae_statistics"] != "none" and measured[name]["normalized"],
            "restored": True,
        }, name


PATCHES = """
import sys
import torch
from diffusers import AutoencoderKLFlux2, Flux2Pipeline
vae = AutoencoderKLFlux2(block_out_channels=(4,), norm_num_groups=1, latent_channels=2, down_block_types=("DownEncoderBlock2D",), up_block_types=("UpDecoderBlock2D",))
vae.bn.running_mean.copy_(torch.randn(8))
vae.bn.running_var.copy_(torch.rand(8) + 0.5)
latents = torch.randn(2, 2, 4, 6)
expected = torch.nn.functional.batch_norm(
    Flux2Pipeline._patchify_latents(latents), vae.bn.running_mean, vae.bn.running_var, eps=vae.config.batch_norm_eps
)
names = {"torch": torch, "vae": vae, "latents": latents}
exec(sys.stdin.read(), names)
torch.testing.assert_close(Flux2Pipeline._patchify_latents(names["latents"]), expected)
"""


@pytest.mark.checkout
@pytest.mark.torch
def test_statistics_of_patches_are_in_the_order_of_the_pipeline(pinned: Path, torch_python: str) -> None:
    spec = ModelSpec(name="foo", vae="AutoencoderKLFlux2", vae_statistics="batch_norm", vae_tiny="latent_channels=2")
    done = subprocess.run(
        [torch_python, "-c", PATCHES],
        input=code(spec)["normalize"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(pinned / "src"), "PYTHONDONTWRITEBYTECODE": "1", "HF_HUB_OFFLINE": "1"},
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.checkout
def test_under_plain_copier_other_classes_end_in_one_line(pristine: Path, tmp_path: Path) -> None:
    root = clone_of(pristine, tmp_path / "diffusers")
    before = git_status(root)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "copier", "copy", "--trust", "--defaults", "--quiet", "--vcs-ref=HEAD"),
            *("--data=name=foo", "--data=vae=AutoencoderDC", str(ROOT), str(root)),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert done.returncode != 0
    assert "vae_statistics is 'scale' in this checkout, not 'scale_shift'; make the model with" in done.stderr
    assert git_status(root) == before


def test_answers_of_earlier_templates_lack_the_newer_traits_and_mean_their_defaults() -> None:
    newer = {
        "vae_decoding",
        "vae_dtype",
        "vae_offload",
        "vae_sampling_rate",
        "vae_tiny_audio_channels",
        "vae_tiny_zeros",
    }
    found = traits(snapshot(), "AutoencoderBar", "image")
    stored = ModelSpec.from_answers({"name": "foo", "vae": "AutoencoderBar", **found}).answers()
    earlier = {question: answer for question, answer in stored.items() if question not in newer}
    assert ModelSpec.from_answers(earlier).answers() == stored


def test_what_is_stored_can_be_read_back() -> None:
    found = traits(snapshot(), "AutoencoderBar", "image")
    spec = ModelSpec.from_answers({"name": "foo", "vae": "AutoencoderBar", **found})
    assert ModelSpec.from_answers(yaml.safe_load(yaml.safe_dump(spec.answers()))) == spec
