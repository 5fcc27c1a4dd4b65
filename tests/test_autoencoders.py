"""What is read of autoencoder classes, and that it is so."""

from __future__ import annotations

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

    def decode(self, {decode}):
        return self._decode(z)

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


def test_an_image_autoencoder() -> None:
    assert traits(snapshot(), "AutoencoderBar", "image") == {
        "vae_statistics": "scale",
        "vae_encoding": "latent_dist",
        "vae_spatial": "2 ** (len(vae.config.block_out_channels) - 1)",
        "vae_temporal": "1",
        "vae_tiny": "block_out_channels=[8, 8], latent_channels=4",
        "vae_tiny_channels": 4,
        "vae_tiny_spatial": 2,
        "vae_tiny_temporal": 1,
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
        "vae_spatial": "vae.spatial_compression_ratio",
        "vae_temporal": "vae.config.temporal_compression_ratio",
        "vae_tiny": "z_dim=2, patch_size=1, latents_mean=[0.1, 0.1], latents_std=[2.0, 2.0]",
        "vae_tiny_channels": 2,
        "vae_tiny_spatial": 4,
        "vae_tiny_temporal": 4,
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
        (
            {"init": "self.bn = nn.BatchNorm2d(4)"},
            "its latents are normalized by the statistics of a batch norm layer",
        ),
        ({"init": "self.register_buffer('latents_mean', x)"}, "its statistics are buffers (latents_mean)"),
        ({"arguments": "latent_channels=4, latent_mean=None"}, "its statistics are named latent_mean and latent_std"),
        (
            {"arguments": "latent_channels=2, latents_mean=STATISTICS, latents_std=STATISTICS"},
            "its latents_mean has 4 values for 2 channels",
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
        ({"convolution": "Conv1d"}, "its configuration has no audio_channels"),
    ],
)
def test_audio_that_generated_code_can_not_use_is_refused(made: dict[str, str], reason: str) -> None:
    with pytest.raises(BadInput) as refusal:
        traits(snapshot("latent_channels=4, sampling_rate=16", **made), "AutoencoderBar", "audio")
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
    "AutoencoderKLHunyuanImage": "image",
    "AutoencoderKLHunyuanVideo": "video",
    "AutoencoderKLHunyuanVideo15": "video",
    "AutoencoderKLKVAE": "image",
    "AutoencoderKLKVAEVideo": "video",
    "AutoencoderKLMagvit": "video",
    "AutoencoderKLMochi": "video",
    "AutoencoderKLQwenImage": "video",
    "AutoencoderKLWan": "video",
    "AutoencoderOobleck": "audio",
    "AutoencoderSAME": "audio",
    "AutoencoderTiny": "image",
    "VQModel": "image",
}

REFUSED = {
    "AutoencoderKLAllegro": "its encode is not implemented without tiling",
    "AutoencoderKLCosmos": "its latents_mean has 256 values for 16 channels",
    "AutoencoderKLFlux2": "its latents are normalized by the statistics of a batch norm layer",
    "AutoencoderKLHunyuanImageRefiner": "the checkout's tests have no tiny configuration of it that can be read",
    "AutoencoderKLLTX2Audio": "its statistics are buffers (latents_mean), not configuration",
    "AutoencoderKLLTX2Video": "its statistics are buffers (latents_mean), not configuration",
    "AutoencoderKLLTXVideo": "its statistics are buffers (latents_mean), not configuration",
    "AutoencoderKLMiniMaxH3": "it encodes clips of clip_length frames, not videos of any length",
    "AutoencoderKLMiniMaxH3Audio": "its configuration has no audio_channels",
    "AutoencoderKLTemporalDecoder": "its decode also needs num_frames",
    "AutoencoderRAE": "its statistics are buffers (encoder_mean), not configuration",
    "AutoencoderVidTok": "its encode takes no return_dict",
    "ConsistencyDecoderVAE": "its statistics are buffers (means), not configuration",
    "Cosmos3AVAEAudioTokenizer": "its decode takes no return_dict",
    "LongCatAudioDiTVae": "its configuration has no audio_channels",
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
        '{{ {"tiny": vae_code.tiny(), "normalize": vae_code.normalize("vae", "latents"),'
        ' "denormalize": vae_code.denormalize("vae", "latents")} | tojson }}'
    )
    made: dict[str, str] = json.loads(environment.from_string(text).render(answers))
    return made


MEASURE = """
import json, sys, warnings
warnings.simplefilter("ignore")
import torch
import diffusers
torch.set_num_threads(1)
measured = {}
for name, (kind, traits, code) in json.load(sys.stdin).items():
    torch.manual_seed(0)
    names = {name: getattr(diffusers, name), "torch": torch}
    exec(code["tiny"], names)
    vae = names["vae"].eval()
    spatial, temporal = (eval(traits[key], {"vae": vae}) for key in ("vae_spatial", "vae_temporal"))
    channels = traits["vae_tiny_channels"]
    shapes = {
        "image": ((1, 3, 4 * spatial, 2 * spatial), (1, channels, 4, 2)),
        "video": ((1, 3, 2 * temporal + 1, 4 * spatial, 2 * spatial), (1, channels, 3, 4, 2)),
        "audio": ((1, 2, 8 * spatial), (1, channels, 8)),
    }
    sample_shape, latent_shape = shapes[kind]
    with torch.no_grad():
        latents = vae.encode(torch.randn(sample_shape), return_dict=False)[0]
        if traits["vae_encoding"] == "latent_dist":
            latents = latents.mode()
        decoded = vae.decode(latents, return_dict=False)[0]
    names.update(vae=vae, latents=latents.clone())
    exec(code["normalize"], names)
    changed = not torch.allclose(names["latents"], latents)
    exec(code["denormalize"], names)
    measured[name] = {
        "compression": [spatial, temporal],
        "latents": list(latents.shape) == list(latent_shape),
        "decoded": list(decoded.shape) == list(sample_shape),
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
            # Some test's statistics are zeros and ones, which change nothing.
            "normalized": found["vae_statistics"] != "none" and measured[name]["normalized"],
            "restored": True,
        }, name


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


def test_what_is_stored_can_be_read_back() -> None:
    found = traits(snapshot(), "AutoencoderBar", "image")
    spec = ModelSpec.from_answers({"name": "foo", "vae": "AutoencoderBar", **found})
    assert ModelSpec.from_answers(yaml.safe_load(yaml.safe_dump(spec.answers()))) == spec
