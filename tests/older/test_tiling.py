from __future__ import annotations

from scaffold_model.older.tiling import METHODS, with_own_tiling

STUB = """\
    # Copied from diffusers.models.autoencoders.autoencoder_kl_hunyuanvideo15.AutoencoderKLHunyuanVideo15.{name}
    def {name}(self): ...
"""
TODAY = """\
from ...utils.accelerate_utils import apply_forward_hook
from ..modeling_utils import ModelMixin
from .vae import AutoencoderMixin


class AutoencoderKLFoo(ModelMixin, AutoencoderMixin, ConfigMixin):
    def __init__(self):
        self.tile_overlap_factor = 0.25

""" + "\n".join(
    f"    @apply_forward_hook\n{STUB.format(name=name)}" if name in ("encode", "decode") else STUB.format(name=name)
    for name in ("enable_tiling", "_encode", "encode", "_decode", "decode", "tiled_encode", "tiled_decode", "forward")
)
OLDER = f"""\
from ...utils.accelerate_utils import apply_forward_hook
from ..modeling_outputs import AutoencoderKLOutput
from ..modeling_utils import ModelMixin
from .vae import AutoencoderMixin, DecoderOutput, DiagonalGaussianDistribution


class AutoencoderKLFoo(ModelMixin, AutoencoderMixin, ConfigMixin):
    def __init__(self):
        self.tile_overlap_factor = 0.25

{METHODS}"""


def test_the_methods_stand_in_place_of_the_stubs() -> None:
    assert with_own_tiling(TODAY) == OLDER
    assert with_own_tiling(OLDER) == OLDER
    compile(OLDER, "autoencoder_kl_foo.py", "exec")


def test_another_module_is_left_alone() -> None:
    text = "from .vae import AutoencoderMixin\n\n\nclass AutoencoderKLFoo(ModelMixin, AutoencoderMixin):\n    pass\n"
    assert with_own_tiling(text) == text
